//! The client's protocol mind, without sockets and without a clock.
//!
//! [`Login`] talks a connection from its first byte into the full feature phase and ends in an
//! [`Established`]; [`Client`] takes that over and carries commands. Both take decoded PDUs and
//! write theirs into a [`PduSink`], which is an `iscsi::Outbox` plus whatever the shell adds.

mod client;
mod command;
mod login;
mod numbering;
mod options;
mod security;
mod transfer;
mod violation;

pub use client::{Client, Event, WritePolicy};
pub use command::{Command, Direction, Outcome, Residual, Sense};
pub use login::{Established, Login, LoginRecord, Refusal};
pub use numbering::{Header, Numbering};
pub use options::{Auth, Chap, LoginOptions, Mutual, Route, SessionType};
pub use security::Entropy;
pub use violation::Violation;

use bytes::Bytes;
use iscsi::{Bhs, Digests, Outbox, Payload};

/// Where outgoing PDUs go.
pub trait PduSink {
    /// Queue one PDU; the lengths in `bhs` are set by the sink, `ahs` is whole words.
    fn pdu(&mut self, bhs: Bhs, ahs: &[u8], data: Bytes);
}

/// The plain sink: an outbox and the digests agreed on.
pub struct Outgoing {
    /// What is to be sent.
    pub outbox: Outbox<Bytes>,
    /// Digests put on every PDU.
    pub digests: Digests,
}

/// Payloads up to this size are copied beside their header: cheaper than another slice.
const INLINE_MAX: usize = 1024;

impl PduSink for Outgoing {
    fn pdu(&mut self, bhs: Bhs, ahs: &[u8], data: Bytes) {
        let payload = match data.len() {
            0 => Payload::None,
            1..=INLINE_MAX => Payload::Inline(&data),
            _ => Payload::Shared(data.clone()),
        };
        self.outbox.push_with_ahs(bhs, ahs, payload, self.digests);
    }
}

#[cfg(test)]
mod tests;
