//! The target's end of a connection: what is queued, and whether it is closing. As
//! `target::driver::socket`, on a virtual wire.

use block::Slice;
use engine::limits::CLOSE_WAIT;
use engine::{Body, ConnId, Moment};
use iscsi::{Bhs, Digests, Outbox, Payload};

use super::super::around::Around;
use super::super::plan::Way;

#[derive(Debug)]
pub(super) struct Socket {
    pub(super) conn: ConnId,
    outbox: Outbox<Slice>,
    closing: Option<Moment>,
    outbox_max: usize,
}

/// What became of a send.
pub(super) enum Sent {
    /// It goes on.
    Open,
    /// Nobody is there any more.
    Broken,
    /// It was closing, and all is out or the time is over.
    Done,
}

impl Socket {
    pub(super) fn new(conn: ConnId, memory: usize) -> Self {
        Self {
            conn,
            outbox: Outbox::new(),
            closing: None,
            outbox_max: memory + (8 << 20),
        }
    }

    fn wire(&self) -> usize {
        self.conn.0 as usize
    }

    /// Queues a PDU. A payload that can no longer be sent is given back.
    pub(super) fn push(&mut self, bhs: Bhs, body: Body, digests: Digests) -> Option<Slice> {
        if self.closing.is_some() {
            return slice(body);
        }
        match body {
            Body::Empty => self.outbox.push(bhs, Payload::None, digests),
            Body::Inline(bytes) => self.outbox.push(bhs, Payload::Inline(&bytes), digests),
            Body::Shared(slice) => self.outbox.push(bhs, Payload::Shared(slice), digests),
        }
        None
    }

    pub(super) fn close(&mut self, now: Moment) {
        self.closing.get_or_insert(now.plus(CLOSE_WAIT));
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        self.closing
    }

    pub(super) fn is_open(&self) -> bool {
        self.closing.is_none()
    }

    /// Sends what goes. Payloads that are out go to `done`.
    pub(super) fn send(&mut self, around: &mut Around, mut done: impl FnMut(Slice)) -> Sent {
        let wire = self.wire();
        while !self.outbox.is_empty() {
            if around.wires[wire].pipe(Way::Out).is_dead() {
                return Sent::Broken;
            }
            let room = around.room(wire, Way::Out);
            if room == 0 {
                break;
            }
            let mut slices = Vec::new();
            self.outbox.slices(&mut slices);
            let count = around.send(wire, Way::Out, &slices, room);
            drop(slices);
            self.outbox.advance(count, &mut done);
        }
        let over = |until: Moment| self.outbox.is_empty() || around.now >= until;
        match self.closing.is_some_and(over) {
            true => Sent::Done,
            false if self.outbox.len() > self.outbox_max => Sent::Broken,
            false => Sent::Open,
        }
    }

    /// Lets go of the connection; payloads that were not sent go to `done`.
    pub(super) fn finish(mut self, around: &mut Around, done: impl FnMut(Slice)) {
        let wire = self.wire();
        match self.outbox.is_empty() {
            true => around.close(wire, Way::Out),
            false => around.reset(wire),
        }
        self.outbox.advance(self.outbox.len(), done);
    }
}

/// The memory of a body that cannot be sent.
pub(super) fn slice(body: Body) -> Option<Slice> {
    match body {
        Body::Shared(slice) => Some(slice),
        Body::Inline(_) | Body::Empty => None,
    }
}
