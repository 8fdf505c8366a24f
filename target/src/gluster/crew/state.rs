//! What waits, what is under way, and who is there to do it.
//!
//! Pure but for the inboxes it answers into, so that worlds play it without threads.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use block::{Completion, Fault, Op, Span, Stage, Stead, Ticket};
use engine::Moment;

use crate::inbox::Completions;
use crate::planted::{Bug, Writers, has};

/// A ticket that is to be answered, and where.
pub struct Promise {
    ticket: Ticket,
    reply: Arc<Completions>,
}

impl Promise {
    /// That `ticket` is answered into `reply`.
    pub fn new(ticket: Ticket, reply: &Arc<Completions>) -> Self {
        Self {
            ticket,
            reply: Arc::clone(reply),
        }
    }

    fn keep(self, op: Op, outcome: Result<(), Fault>) {
        self.reply.post(Completion::of(self.ticket, op, outcome));
    }

    /// Answers while the operation's own buffer is still in use. One that can still change bytes
    /// has a second promise to keep.
    fn give_up(self, stead: Option<Stead>, changes: bool) -> Option<Self> {
        let mut answer = Completion::overdue(self.ticket, stead.map(Stead::buffer));
        let changes = changes && !has(Bug::OverdueTicketEnds);
        if !changes {
            answer.outcome = Err(Fault::Unreachable);
            answer.stage = Stage::Only;
        }
        self.reply.post(answer);
        (changes || has(Bug::CompletedTwice)).then_some(self)
    }

    /// Nothing of it can land any more.
    fn keep_late(self, outcome: Result<(), Fault>) {
        self.reply.post(Completion::late(self.ticket, outcome));
    }
}

/// An operation that waits for a thread.
pub struct Waiting {
    pub(super) deadline: Moment,
    pub(super) op: Op,
    pub(super) promise: Promise,
    /// The number of its first call, where storage was away for that.
    first: Option<u64>,
}

impl Waiting {
    /// One that was just submitted; it is given up at `deadline`.
    pub fn new(deadline: Moment, op: Op, promise: Promise) -> Self {
        Self {
            deadline,
            op,
            promise,
            first: None,
        }
    }
}

/// A call under way.
struct Call {
    deadline: Moment,
    /// Of one that is overdue, the second one: that it will be told of its end.
    promise: Option<Promise>,
    overdue: bool,
    stead: Option<Stead>,
    /// The bytes it may change.
    writes: Option<Span>,
    first: Option<u64>,
    /// Another change to these bytes was under way at the same time: tried again it could undo that
    /// one after it was seen.
    crossed: bool,
}

/// The operations of one image, from submission to their end.
#[derive(Default)]
pub struct State {
    pub(super) waiting: VecDeque<Waiting>,
    /// Came back because storage is away; called for again with the next tick.
    held: Vec<Waiting>,
    /// Bytes whose change was tried, in vain as far as we know, and will be tried again, with the
    /// number of the first call. Nobody else may look at them or change them in between: they would
    /// see the change come and go.
    contested: Vec<(u64, Span)>,
    /// Reads that overlap a change under way, and what overlaps those and came later: replicas take a
    /// change at different moments, so that a read could see it and the next one, from another
    /// replica, not yet. In the order they came.
    behind: VecDeque<Waiting>,
    /// By number, in the order they began.
    calls: BTreeMap<u64, Call>,
    /// Of these, how many change bytes.
    changing: usize,
    begun: u64,
    threads: usize,
    overdue: usize,
    pub(super) idle: usize,
    pub(super) closing: bool,
    writers: Writers,
}

impl State {
    /// Calls that passed their deadline and have not come back.
    pub fn overdue(&self) -> usize {
        self.overdue
    }

    /// Takes one more.
    pub fn submit(&mut self, waiting: Waiting) {
        self.waiting.push_back(waiting);
    }

    /// Operations that wait for a thread.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Calls under way, overdue ones included.
    pub fn under_way(&self) -> usize {
        self.calls.len()
    }

    /// Whether nothing waits, is held or is under way.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
            && self.held.is_empty()
            && self.behind.is_empty()
            && self.calls.is_empty()
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

    /// Calls under way.
    #[cfg(test)]
    pub(super) fn calls(&self) -> usize {
        self.calls.len()
    }

    pub(super) fn left(&mut self) {
        self.threads -= 1;
    }

    /// Whether the crew is closed and every ticket answered.
    pub(super) fn is_over(&self) -> bool {
        self.closing
            && self.waiting.is_empty()
            && self.held.is_empty()
            && self.behind.is_empty()
            && self.threads == self.overdue
    }

    /// The next operation to call for, with its deadline. What overlaps a write in limbo is refused:
    /// its bytes can still change.
    pub fn begin(&mut self) -> Option<(u64, Op, Moment)> {
        while let Some(waiting) = self.waiting.pop_front() {
            let span = waiting.op.span();
            let looks = has(Bug::LimboRead) && !waiting.op.changes();
            if !looks && span.is_some_and(|span| self.in_limbo(span)) {
                let Waiting { op, promise, .. } = waiting;
                self.settle(waiting.first);
                promise.keep(op, Err(Fault::Unreachable));
                continue;
            }
            if span.is_some_and(|span| self.is_contested(span, waiting.first)) {
                self.held.push(waiting);
                continue;
            }
            if span.is_some_and(|span| self.is_behind(span, waiting.op.changes())) {
                self.behind.push_back(waiting);
                continue;
            }
            let Waiting {
                deadline,
                op,
                promise,
                first,
            } = waiting;
            if self.writers.skip_flush(&op, &promise.reply) {
                promise.keep(op, Ok(()));
                continue;
            }
            let writes = span.filter(|_| op.changes());
            let call = Call {
                deadline,
                promise: Some(promise),
                overdue: false,
                stead: op.buffer().map(|buffer| buffer.stead()),
                writes,
                first,
                crossed: writes.is_some_and(|span| self.crosses(span)),
            };
            self.changing += usize::from(writes.is_some());
            self.begun += 1;
            self.calls.insert(self.begun, call);
            return Some((self.begun, op, deadline));
        }
        None
    }

    fn in_limbo(&self, span: Span) -> bool {
        let late = |call: &Call| call.overdue && call.writes.is_some_and(|w| w.overlaps(span));
        self.overdue > 0 && !has(Bug::LimboReused) && self.calls.values().any(late)
    }

    /// Whether a read overlaps a change under way, or anything that waits for one.
    fn is_behind(&self, span: Span, changes: bool) -> bool {
        let under_way = |call: &Call| {
            let reused = has(Bug::LimboRead) || has(Bug::LimboReused);
            let skipped = call.overdue && reused;
            !skipped && call.writes.is_some_and(|writes| writes.overlaps(span))
        };
        let waits = |other: &Waiting| {
            let meets = other.op.span().is_some_and(|other| other.overlaps(span));
            meets && (changes || other.op.changes())
        };
        let waits_for = self.changing > 0 && !has(Bug::ReadOvertakes);
        let reads_too_early = !changes && waits_for && self.calls.values().any(under_way);
        reads_too_early || self.behind.iter().any(waits)
    }

    /// A change is over: what waited behind it goes on before what came later.
    fn catch_up(&mut self) {
        while let Some(waiting) = self.behind.pop_back() {
            self.waiting.push_front(waiting);
        }
    }

    /// Whether others have to try again first. Of two that cross, the older one does.
    fn is_contested(&self, span: Span, first: Option<u64>) -> bool {
        let earlier = |number: u64| first.is_none_or(|first| number < first);
        let mut contested = self.contested.iter();
        !has(Bug::ContestedIgnored)
            && contested.any(|(number, other)| earlier(*number) && other.overlaps(span))
    }

    /// Whether another change to these bytes is under way; that one is told.
    fn crosses(&mut self, span: Span) -> bool {
        let mut crosses = false;
        for call in self.calls.values_mut() {
            if call.writes.is_some_and(|writes| writes.overlaps(span)) {
                (call.crossed, crosses) = (true, true);
            }
        }
        crosses
    }

    /// An operation is answered: nobody has to wait for its next try any more.
    fn settle(&mut self, first: Option<u64>) {
        let Some(first) = first else { return };
        self.contested.retain(|(number, _)| *number != first);
        self.waiting.extend(self.held.drain(..));
    }

    /// A call came back, in time or not. Where storage is away it is held: bricks that come back
    /// within the deadline are worth more to an initiator than a quick BUSY.
    pub fn returned(&mut self, number: u64, op: Op, outcome: Result<(), Fault>) {
        let Some(call) = self.calls.remove(&number) else {
            return;
        };
        if call.writes.is_some() {
            self.changing -= 1;
            self.catch_up();
        }
        if call.overdue {
            self.overdue -= 1;
            tracing::warn!("a storage call came back after its deadline: {outcome:?}");
            if let Some(promise) = call.promise {
                promise.keep_late(outcome);
            }
            return self.settle(call.first);
        }
        let Some(promise) = call.promise else { return };
        let may_try = !call.crossed || has(Bug::CrossedTriedAgain);
        if outcome == Err(Fault::Unreachable) && may_try {
            let first = call.first.unwrap_or(number);
            if let (Some(span), None) = (call.writes, call.first) {
                self.contested.push((first, span));
            }
            return self.held.push(Waiting {
                deadline: call.deadline,
                op,
                promise,
                first: Some(first),
            });
        }
        promise.keep(op, outcome);
        self.settle(call.first);
    }

    /// Answers everything whose deadline has passed at `now`, and lets what was held wait again.
    pub fn expire(&mut self, now: Moment) {
        let behind = self.behind.drain(..);
        let all = behind
            .chain(self.waiting.drain(..))
            .chain(self.held.drain(..));
        let (due, rest): (Vec<_>, Vec<_>) = all.partition(|each| each.deadline <= now);
        self.waiting = rest.into();
        for Waiting {
            op, promise, first, ..
        } in due
        {
            // Not begun, or ended by storage itself: nothing of it can land any more.
            let good = has(Bug::HeldWriteGood) && first.is_some() && op.changes();
            promise.keep(
                op,
                if good {
                    Ok(())
                } else {
                    Err(Fault::Unreachable)
                },
            );
            if !has(Bug::ContestedForGood) {
                self.settle(first);
            }
        }
        let before = self.overdue;
        for call in self.calls.values_mut() {
            if call.deadline <= now
                && !call.overdue
                && let Some(promise) = call.promise.take()
            {
                call.promise = promise.give_up(call.stead.take(), call.writes.is_some());
                call.overdue = true;
                self.overdue += 1;
            }
        }
        if self.overdue > before {
            let (overdue, calls) = (self.overdue, self.calls.len());
            tracing::warn!("storage calls overdue: {overdue}, of {calls} under way");
        }
    }
}
