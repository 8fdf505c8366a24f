//! Tickets in flight, counted by generation, so that "aborted" is said only when an aborted write
//! can no longer land. Knows neither commands nor ranges.
//!
//! Invariant: `older` holds only generations that still have tickets, oldest first, and a waiter
//! is present only while a generation before its own is in `older`.

use std::collections::VecDeque;

use planted::{Bug, has};

/// The age of a task. Whatever aborts all tasks makes every earlier generation stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(u64);

/// Someone who waits for aborted tickets to end. The number is the caller's; two waiters may not
/// share it at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Waiter(pub u64);

/// Whether an abort is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// No older ticket is in flight: answer now.
    Now,
    /// The waiter comes out of a later `end`.
    Later,
}

/// What the end of a ticket means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// The task was aborted meanwhile: nobody is to be answered.
    pub stale: bool,
    /// Those who waited for this ticket and for no other any more.
    pub drained: Vec<Waiter>,
}

/// The counters of one unit.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    generation: u64,
    tickets: u64,
    older: VecDeque<(u64, u64)>,
    waiters: Vec<(u64, Waiter)>,
}

impl Flight {
    pub(crate) fn generation(&self) -> Generation {
        Generation(self.generation)
    }

    pub(crate) fn begin(&mut self, task: Generation) -> bool {
        let current = task.0 == self.generation;
        if current {
            self.tickets += 1;
        }
        current
    }

    pub(crate) fn end(&mut self, task: Generation) -> Ended {
        if task.0 == self.generation {
            self.tickets = self.tickets.checked_sub(1).expect("a ticket ends once");
            return Ended::default();
        }
        let at = self
            .older
            .iter()
            .position(|(generation, _)| *generation == task.0);
        let at = at.expect("a ticket that ends has begun");
        self.older[at].1 -= 1;
        if self.older[at].1 == 0 {
            self.older.remove(at);
        }
        Ended {
            stale: true,
            drained: self.drain(),
        }
    }

    pub(crate) fn abort_all(&mut self, waiter: Waiter) -> Drained {
        if self.tickets > 0 {
            self.older.push_back((self.generation, self.tickets));
            self.tickets = 0;
        }
        self.generation += 1;
        if self.older.is_empty() || has(Bug::ResetBeforeDrained) {
            return Drained::Now;
        }
        self.waiters.push((self.generation, waiter));
        Drained::Later
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.tickets == 0 && self.older.is_empty() && self.waiters.is_empty()
    }

    pub(crate) fn cancel_wait(&mut self, waiter: Waiter) {
        self.waiters.retain(|(_, waiting)| *waiting != waiter);
    }

    /// Takes out the waiters before whose generation nothing is left, in the order they came.
    fn drain(&mut self) -> Vec<Waiter> {
        let oldest = self
            .older
            .front()
            .filter(|_| !has(Bug::ResetAwaitsOne))
            .map_or(u64::MAX, |(generation, _)| *generation);
        // Generations only grow, so the waiters are sorted.
        let done = self
            .waiters
            .partition_point(|(generation, _)| *generation <= oldest);
        self.waiters
            .drain(..done)
            .map(|(_, waiter)| waiter)
            .collect()
    }
}

#[cfg(test)]
mod tests;
