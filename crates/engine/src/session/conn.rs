//! One connection of a session: its framing, numbering and liveness.

use block::Buffer;
use iscsi::frame::Framer;
use iscsi::{Cid, Digests, Serial, Ttt};

use crate::input::{ConnId, Handover, Moment};

/// A connection in full feature phase.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) id: ConnId,
    pub(super) cid: Cid,
    /// Absent only while its PDUs are being handled.
    pub(super) framer: Option<Box<Framer<Buffer>>>,
    pub(super) stat_sn: Serial,
    pub(super) digests: Digests,
    /// The initiator's limit for what we send.
    pub(super) peer_segment: u32,
    /// Closing: nothing is read or sent any more.
    pub(super) closing: bool,
    /// Logging out: what still comes is ignored.
    pub(super) leaving: bool,
    pub(super) last_heard: Moment,
    /// The tag of our last ping, until it is answered.
    pub(super) ping: Option<Ttt>,
    /// When it was sent, as long as nothing was heard since.
    pub(super) pinged_at: Option<Moment>,
}

impl Conn {
    pub(super) fn new(handover: Handover, now: Moment) -> Self {
        Self {
            id: handover.conn,
            cid: handover.cid,
            framer: Some(Box::new(handover.framer)),
            stat_sn: handover.stat_sn,
            digests: handover.params.digests,
            peer_segment: handover.params.peer_max_recv_data_segment,
            closing: false,
            leaving: false,
            last_heard: now,
            ping: None,
            pinged_at: None,
        }
    }
}
