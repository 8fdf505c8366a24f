//! What waits, what is under way, and who is there to do it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use block::{Completion, Fault, Op, Span, Stead, Ticket};
use engine::Moment;

use crate::inbox::Completions;
use crate::store::completion;

/// A ticket that is to be answered, and where.
pub(super) struct Promise {
    ticket: Ticket,
    reply: Arc<Completions>,
}

impl Promise {
    pub(super) fn new(ticket: Ticket, reply: &Arc<Completions>) -> Self {
        Self {
            ticket,
            reply: Arc::clone(reply),
        }
    }

    fn keep(self, op: Op, outcome: Result<(), Fault>) {
        self.reply.post(completion(self.ticket, op, outcome));
    }

    /// Answers while the operation's own buffer is still in use.
    fn keep_without(self, stead: Option<Stead>, outcome: Result<(), Fault>) {
        self.reply.post(Completion {
            ticket: self.ticket,
            outcome,
            buffer: stead.map(Stead::buffer),
        });
    }
}

/// An operation no thread has taken yet.
pub(super) struct Waiting {
    pub(super) deadline: Moment,
    pub(super) op: Op,
    pub(super) promise: Promise,
}

/// A call under way.
struct Call {
    deadline: Moment,
    /// Gone once the deadline has passed: the call is overdue.
    promise: Option<Promise>,
    stead: Option<Stead>,
    /// The bytes it may change.
    writes: Option<Span>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) waiting: VecDeque<Waiting>,
    /// Came back because storage is away; called for again with the next tick.
    held: Vec<Waiting>,
    /// By number, in the order they began.
    calls: BTreeMap<u64, Call>,
    begun: u64,
    threads: usize,
    overdue: usize,
    pub(super) idle: usize,
    pub(super) closing: bool,
}

impl State {
    /// Calls that passed their deadline and have not come back.
    pub(super) fn overdue(&self) -> usize {
        self.overdue
    }

    /// Whether a thread more would have something to do and be within `share`.
    pub(super) fn wants_threads(&self, share: usize) -> bool {
        let busy = self.calls.len() - self.overdue;
        let free = (self.threads - self.overdue).saturating_sub(busy);
        self.waiting.len() > free && self.threads - self.overdue < share
    }

    /// Whether a thread that was written off came back after another took its place.
    pub(super) fn has_too_many(&self, share: usize) -> bool {
        self.threads - self.overdue > share
    }

    pub(super) fn started(&mut self) {
        self.threads += 1;
    }

    /// Threads there are, hanging or not.
    #[cfg(test)]
    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    pub(super) fn left(&mut self) {
        self.threads -= 1;
    }

    /// Whether the crew is closed and every ticket answered.
    pub(super) fn is_over(&self) -> bool {
        self.closing
            && self.waiting.is_empty()
            && self.held.is_empty()
            && self.threads == self.overdue
    }

    /// The next operation to call for. What overlaps a write in limbo is refused: its bytes can
    /// still change.
    pub(super) fn begin(&mut self) -> Option<(u64, Op)> {
        while let Some(Waiting {
            deadline,
            op,
            promise,
        }) = self.waiting.pop_front()
        {
            let (span, writes) = span(&op);
            if span.is_some_and(|span| self.in_limbo(span)) {
                promise.keep(op, Err(Fault::Unreachable));
                continue;
            }
            let call = Call {
                deadline,
                promise: Some(promise),
                stead: stead(&op),
                writes: span.filter(|_| writes),
            };
            self.begun += 1;
            self.calls.insert(self.begun, call);
            return Some((self.begun, op));
        }
        None
    }

    fn in_limbo(&self, span: Span) -> bool {
        self.overdue > 0
            && self.calls.values().any(|call| {
                call.promise.is_none() && call.writes.is_some_and(|writes| writes.overlaps(span))
            })
    }

    /// A call came back, in time or not. Where storage is away it is held: bricks that come back
    /// within the deadline are worth more to an initiator than a quick BUSY.
    pub(super) fn returned(&mut self, number: u64, op: Op, outcome: Result<(), Fault>) {
        let Some(call) = self.calls.remove(&number) else {
            return;
        };
        match call.promise {
            Some(promise) if outcome == Err(Fault::Unreachable) => self.held.push(Waiting {
                deadline: call.deadline,
                op,
                promise,
            }),
            Some(promise) => promise.keep(op, outcome),
            None => {
                self.overdue -= 1;
                tracing::warn!("a storage call came back after its deadline: {outcome:?}");
            }
        }
    }

    /// Answers everything whose deadline has passed at `now`, and lets what was held wait again.
    pub(super) fn expire(&mut self, now: Moment) {
        let all = self.waiting.drain(..).chain(self.held.drain(..));
        let (due, rest): (Vec<_>, Vec<_>) = all.partition(|each| each.deadline <= now);
        self.waiting = rest.into();
        for Waiting { op, promise, .. } in due {
            // Not begun, or ended by storage itself: nothing of it can land any more.
            promise.keep(op, Err(Fault::Unreachable));
        }
        let before = self.overdue;
        for call in self.calls.values_mut() {
            if call.deadline <= now
                && let Some(promise) = call.promise.take()
            {
                promise.keep_without(call.stead.take(), Err(Fault::TimedOut));
                self.overdue += 1;
            }
        }
        if self.overdue > before {
            let (overdue, calls) = (self.overdue, self.calls.len());
            tracing::warn!("storage calls overdue: {overdue}, of {calls} under way");
        }
    }
}

/// The bytes an operation is about, and whether it may change them.
fn span(op: &Op) -> (Option<Span>, bool) {
    let span = |at: u64, len: usize| {
        Some(Span {
            at,
            len: len as u64,
        })
    };
    match op {
        Op::Read { at, buffer } => (span(*at, buffer.len()), false),
        Op::Write { at, buffer, .. } => (span(*at, buffer.len()), true),
        Op::Flush => (None, false),
    }
}

fn stead(op: &Op) -> Option<Stead> {
    match op {
        Op::Read { buffer, .. } | Op::Write { buffer, .. } => Some(buffer.stead()),
        Op::Flush => None,
    }
}
