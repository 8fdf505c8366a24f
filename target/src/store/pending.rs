//! An operation on its way to a thread, answered exactly once whatever becomes of it.

use std::sync::Arc;

use block::{Completion, Fault, Op, Ticket};

use crate::inbox::Completions;

/// A ticket that is not answered yet. Dropped unanswered, it answers by itself.
#[derive(Debug)]
pub(super) struct Pending {
    ticket: Ticket,
    op: Option<Op>,
    reply: Arc<Completions>,
}

impl Pending {
    pub(super) fn new(ticket: Ticket, op: Op, reply: &Arc<Completions>) -> Self {
        Self {
            ticket,
            op: Some(op),
            reply: Arc::clone(reply),
        }
    }

    pub(super) fn op(&mut self) -> &mut Op {
        self.op.as_mut().expect("taken only by answer and drop")
    }

    pub(super) fn answer(mut self, outcome: Result<(), Fault>) {
        self.settle(outcome);
    }

    fn settle(&mut self, outcome: Result<(), Fault>) {
        if let Some(op) = self.op.take() {
            self.reply.post(Completion::of(self.ticket, op, outcome));
        }
    }
}

impl Drop for Pending {
    /// Whether it landed is unknown, so the initiator is asked to try again.
    fn drop(&mut self) {
        self.settle(Err(Fault::Unreachable));
    }
}

#[cfg(test)]
mod tests {
    use block::Buffer;

    use super::*;

    #[test]
    fn a_ticket_that_is_dropped_answers_with_its_buffer() {
        let reply = Arc::new(Completions::default());
        let op = Op::Read {
            at: 0,
            buffer: Buffer::zeroed(512),
        };
        drop(Pending::new(Ticket(7), op, &reply));
        Pending::new(Ticket(8), Op::Flush, &reply).answer(Ok(()));
        let mut got = Vec::new();
        reply.take(&mut got);
        assert_eq!(got.len(), 2);
        assert_eq!(
            (got[0].ticket, got[0].outcome),
            (Ticket(7), Err(Fault::Unreachable))
        );
        assert_eq!(got[0].buffer.as_ref().map(Buffer::len), Some(512));
        assert_eq!((got[1].ticket, got[1].outcome), (Ticket(8), Ok(())));
    }
}
