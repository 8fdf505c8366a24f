//! Makes the time between events, and that of faults, short and round.

use std::time::Duration;

use engine::Moment;

use super::Search;
use crate::worlds::Complaint;
use crate::worlds::plan::{Fault, Plan, What};

/// Nanoseconds that are easy to read, the shortest first.
const ROUND: [u64; 9] = [
    0,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
    10_000_000_000,
];

impl<F: FnMut(&Plan) -> Option<Complaint>> Search<F> {
    pub(super) fn compact(&mut self) -> bool {
        let mut changed = ROUND
            .iter()
            .any(|&gap| self.edit(|plan| close_up(plan, gap)));
        changed |= self.first_that_fails(|plan, nanos| {
            let calm = &mut plan.setting.calm;
            *calm = (*calm).min(Duration::from_nanos(nanos));
        });
        for index in 0..self.best.events.len() {
            changed |= self.first_that_fails(|plan, gap| pull(plan, index, gap));
            changed |= self.first_that_fails(|plan, nanos| {
                if let Some(time) = time(&mut plan.events[index].what) {
                    *time = (*time).min(Duration::from_nanos(nanos));
                }
            });
        }
        changed
    }

    /// The shortest round time with which the plan still fails.
    fn first_that_fails(&mut self, shorten: impl Fn(&mut Plan, u64)) -> bool {
        ROUND
            .iter()
            .any(|&nanos| self.edit(|plan| shorten(plan, nanos)))
    }
}

/// No two events further from each other than `gap`.
fn close_up(plan: &mut Plan, gap: u64) {
    for index in 0..plan.events.len() {
        pull(plan, index, gap);
    }
}

/// Moves an event and all after it so that it comes at most `gap` after the one before it.
fn pull(plan: &mut Plan, index: usize, gap: u64) {
    let before = index
        .checked_sub(1)
        .map_or(0, |before| plan.events[before].at.0);
    let too_long = (plan.events[index].at.0 - before).saturating_sub(gap);
    for event in &mut plan.events[index..] {
        event.at = Moment(event.at.0 - too_long);
    }
}

/// How long a fault lasts.
fn time(what: &mut What) -> Option<&mut Duration> {
    match what {
        What::Fault(
            Fault::Stall { time, .. }
            | Fault::Crash { time, .. }
            | Fault::Blackout { time }
            | Fault::Shutdown { time, .. },
        ) => Some(time),
        What::Fault(Fault::Cluster(_) | Fault::Cut { .. } | Fault::HalfClose { .. })
        | What::Step(..) => None,
    }
}
