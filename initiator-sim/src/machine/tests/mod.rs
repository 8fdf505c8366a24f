//! The machine against PDUs written by hand; expected values are RFC 7143's.

mod client;
mod login;
mod numbering;

use bytes::Bytes;
use iscsi::{Bhs, Request};

use super::PduSink;

/// Keeps what is sent.
#[derive(Default)]
struct Sent(Vec<(Bhs, Vec<u8>, Bytes)>);

impl PduSink for Sent {
    fn pdu(&mut self, bhs: Bhs, ahs: &[u8], data: Bytes) {
        self.0.push((bhs, ahs.to_vec(), data));
    }
}

impl Sent {
    /// The only PDU sent since the last call.
    fn one(&mut self) -> (Request, Bytes) {
        assert_eq!(self.0.len(), 1, "exactly one PDU is sent");
        let (bhs, _, data) = self.0.remove(0);
        (Request::decode(&bhs).expect("we send what decodes"), data)
    }

    /// All PDUs sent since the last call.
    fn all(&mut self) -> Vec<(Request, Bytes)> {
        self.0
            .drain(..)
            .map(|(bhs, _, data)| (Request::decode(&bhs).expect("we send what decodes"), data))
            .collect()
    }
}
