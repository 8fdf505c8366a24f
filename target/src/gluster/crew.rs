//! The threads of one image: its share of the calls that may be under way, which no other image
//! can take, and what becomes of a call that does not come back.
//!
//! An operation that passes its deadline is answered while its call still hangs: the thread is
//! written off and another takes its place, its memory stays where it is, and the blocks of a
//! write stay in limbo, refused to everyone, until the call returns and can no longer change them;
//! only then its ticket ends. An operation that storage is away for is held and tried again until
//! its deadline, and nothing else touches its blocks in between.
//! Invariant: every ticket is answered at the latest one tick after its deadline, and ended once.

mod state;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use block::{Completion, Fault, Op, Ticket};
use engine::Moment;

use crate::clock::Clock;
use crate::inbox::Completions;
use crate::store::STORAGE_TIMEOUT;

pub use state::{Promise, State, Waiting};

/// What the threads do.
pub(super) trait Work: Send + Sync {
    /// Carries out one operation. Blocks. [`Fault::Unreachable`] is tried again, with the same
    /// bytes.
    fn perform(&self, op: &mut Op, deadline: Deadline) -> Result<(), Fault>;
}

/// When an operation is given up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    clock: Clock,
    at: Moment,
}

impl Deadline {
    /// Whether nobody waits any more: what is made of several calls ends with the next.
    pub(super) fn has_passed(&self) -> bool {
        self.clock.now() >= self.at
    }
}

/// The bounds of a crew.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Calls under way that are within their deadline.
    pub share: usize,
    /// Calls under way beyond it; with that many, operations fail at once.
    pub overdue_max: usize,
    /// From submission to answer.
    pub deadline: Duration,
    /// How often deadlines are looked at, and what storage was away for is tried again.
    pub tick: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Half a session's queue depth: measured with 32 commands in flight.
            share: 32,
            overdue_max: 64,
            deadline: STORAGE_TIMEOUT,
            tick: Duration::from_millis(250),
        }
    }
}

/// The threads of one image. Closed before it is dropped.
pub(super) struct Crew {
    hands: Hands,
    foreman: Option<JoinHandle<()>>,
}

/// What every thread of a crew holds.
#[derive(Clone)]
struct Hands {
    shared: Arc<Shared>,
    work: Arc<dyn Work>,
}

struct Shared {
    limits: Limits,
    clock: Clock,
    state: Mutex<State>,
    /// Something waits for a thread, or the end has come.
    wake: Condvar,
    /// The end has come, or come nearer.
    foreman: Condvar,
}

impl Crew {
    /// A crew for `work`; its threads start when there is something to do.
    pub(super) fn start(work: Arc<dyn Work>, limits: Limits) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            limits,
            clock: Clock::start(),
            state: Mutex::default(),
            wake: Condvar::new(),
            foreman: Condvar::new(),
        });
        let hands = Hands { shared, work };
        let own = hands.clone();
        let foreman = std::thread::Builder::new()
            .name("glintd-deadline".to_owned())
            .spawn(move || own.keep_deadlines())?;
        Ok(Self {
            hands,
            foreman: Some(foreman),
        })
    }

    /// Takes every operation of `batch`. What cannot be done at all is answered into `done`.
    pub(super) fn submit(
        &self,
        batch: &mut Vec<(Ticket, Op)>,
        done: &mut Vec<Completion>,
        reply: &Arc<Completions>,
    ) {
        if batch.is_empty() {
            return;
        }
        let shared = &self.hands.shared;
        let mut state = shared.lock();
        if state.overdue() >= shared.limits.overdue_max {
            drop(state);
            let refused = batch.drain(..);
            done.extend(
                refused.map(|(ticket, op)| Completion::of(ticket, op, Err(Fault::Unreachable))),
            );
            return;
        }
        let deadline = shared.clock.now().plus(shared.limits.deadline);
        let count = batch.len();
        state.waiting.extend(
            batch
                .drain(..)
                .map(|(ticket, op)| Waiting::new(deadline, op, Promise::new(ticket, reply))),
        );
        let notify_all = count >= state.idle;
        self.hands.staff(&mut state);
        drop(state);
        match notify_all {
            true => shared.wake.notify_all(),
            false => (0..count).for_each(|_| shared.wake.notify_one()),
        }
    }

    /// Whether a call hangs that was answered in its stead.
    pub(super) fn has_overdue(&self) -> bool {
        self.hands.shared.lock().overdue() > 0
    }

    /// Ends the crew once everything submitted is answered. Calls that hang are left behind.
    pub(super) fn close(&mut self) {
        self.hands.shared.lock().closing = true;
        self.hands.shared.wake.notify_all();
        self.hands.shared.foreman.notify_all();
        if let Some(foreman) = self.foreman.take() {
            // It does not panic, and if it did there is nothing left to be done about it.
            foreman.join().ok();
        }
        // Nothing of ours holds the work any more; a call left behind may.
        self.hands.work = Arc::new(Closed);
    }
}

/// What a closed crew does.
struct Closed;

impl Work for Closed {
    fn perform(&self, _: &mut Op, _: Deadline) -> Result<(), Fault> {
        Err(Fault::Gone)
    }
}

impl Hands {
    /// Starts threads for what waits, within the share.
    fn staff(&self, state: &mut State) {
        while state.wants_threads(self.shared.limits.share) {
            let own = self.clone();
            let thread = std::thread::Builder::new().name("glintd-gluster".to_owned());
            match thread.spawn(move || own.labour()) {
                Ok(_) => state.started(),
                // What waits is answered by its deadline, or by the threads there are.
                Err(why) => {
                    tracing::error!("no more threads for an image: {why}");
                    return;
                }
            }
        }
    }

    /// One thread's life: until the crew closes, or its call comes back too late.
    fn labour(self) {
        let Self { shared, work } = self;
        while let Some((number, mut op, at)) = shared.next() {
            let clock = shared.clock;
            let deadline = Deadline { clock, at };
            let performed = catch_unwind(AssertUnwindSafe(|| work.perform(&mut op, deadline)));
            let outcome = performed.unwrap_or_else(|_| {
                tracing::error!("bug: a storage operation panicked");
                Err(Fault::Unreachable)
            });
            let mut state = shared.lock();
            state.returned(number, op, outcome);
            // This thread takes one; whatever else may go on needs others.
            if state.idle > 0 && state.waiting.len() > 1 {
                shared.wake.notify_all();
            }
            drop(state);
        }
        // The work first: whoever waits for the last thread may then be the only one to hold it.
        drop(work);
        shared.lock().left();
        shared.foreman.notify_all();
    }

    /// Answers what is overdue, until the crew is closed and nothing is left to be answered.
    fn keep_deadlines(self) {
        let shared = &self.shared;
        let mut state = shared.lock();
        while !state.is_over() {
            state.expire(shared.clock.now());
            self.staff(&mut state);
            if !state.waiting.is_empty() {
                shared.wake.notify_all();
            }
            let waited = shared.foreman.wait_timeout(state, shared.limits.tick);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next operation for a thread; none when it is one too many.
    fn next(&self) -> Option<(u64, Op, Moment)> {
        let mut state = self.lock();
        loop {
            if state.has_too_many(self.limits.share) {
                return None;
            }
            if let Some(call) = state.begin() {
                return Some(call);
            }
            if state.closing {
                return None;
            }
            state.idle += 1;
            state = self
                .wake
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }
}

#[cfg(test)]
mod tests;
