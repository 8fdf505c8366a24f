//! Watching a conversation: a protocol monitor and a recorder hang on here.

use std::net::SocketAddr;
use std::time::SystemTime;

use iscsi::{Bhs, Digests};

/// Which way a PDU travelled, seen from the initiator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Initiator to target.
    Sent,
    /// Target to initiator.
    Received,
}

/// One PDU as it was on the wire.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The connection's number, unique in this process: one observer may watch many connections.
    pub conn: u64,
    /// Which way.
    pub flow: Flow,
    /// When it was queued for sending, or was complete on receipt.
    pub at: SystemTime,
    /// The basic header segment, lengths filled in.
    pub bhs: &'a Bhs,
    /// The additional header segments, whole words.
    pub ahs: &'a [u8],
    /// The data segment without padding.
    pub data: &'a [u8],
    /// Which digests protected it.
    pub digests: Digests,
}

/// Is shown everything that passes on the connections it is attached to.
///
/// Called on the connection's own task between two system calls: be quick, never block.
pub trait Observer: Send + Sync {
    /// A connection was made.
    fn opened(&self, conn: u64, at: SystemTime, local: SocketAddr, peer: SocketAddr) {
        let _ = (conn, at, local, peer);
    }

    /// A whole PDU was sent or received.
    fn pdu(&self, seen: &Seen<'_>);

    /// Bytes left that were not built as a PDU (`Conn::send_raw`, a corrupted digest).
    fn raw(&self, conn: u64, at: SystemTime, bytes: &[u8]) {
        let _ = (conn, at, bytes);
    }

    /// The connection ended, by either side.
    fn closed(&self, conn: u64, at: SystemTime) {
        let _ = (conn, at);
    }
}
