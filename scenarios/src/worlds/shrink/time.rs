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

/// What a time that stays long is cut to: whole seconds, milliseconds, microseconds.
const UNITS: [u64; 3] = [1_000_000_000, 1_000_000, 1_000];

impl<F: FnMut(&Plan) -> Option<Complaint>> Search<F> {
    pub(super) fn compact(&mut self) -> bool {
        let mut changed = ROUND
            .iter()
            .any(|&gap| self.edit(|plan| close_up(plan, gap)));
        let calm = self.best.setting.calm;
        changed |= self.shorten(nanos(calm), |plan, nanos| {
            plan.setting.calm = Duration::from_nanos(nanos);
        });
        for index in 0..self.best.events.len() {
            let gap = self.best.events[index].at.0 - before(&self.best, index);
            changed |= self.shorten(gap, |plan, gap| pull(plan, index, gap));
            let Some(&mut lasts) = time(&mut self.best.events[index].what) else {
                continue;
            };
            changed |= self.shorten(nanos(lasts), |plan, nanos| {
                if let Some(time) = time(&mut plan.events[index].what) {
                    *time = Duration::from_nanos(nanos);
                }
            });
        }
        changed
    }

    /// The shortest round time with which the plan still fails.
    fn shorten(&mut self, now: u64, set: impl Fn(&mut Plan, u64)) -> bool {
        let cut = UNITS.iter().map(|unit| now - now % unit);
        let shorter = ROUND.into_iter().chain(cut).filter(|&nanos| nanos < now);
        shorter
            .into_iter()
            .any(|nanos| self.edit(|plan| set(plan, nanos)))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// When the event before this one happens.
fn before(plan: &Plan, index: usize) -> u64 {
    index
        .checked_sub(1)
        .map_or(0, |before| plan.events[before].at.0)
}

/// No two events further from each other than `gap`.
fn close_up(plan: &mut Plan, gap: u64) {
    for index in 0..plan.events.len() {
        pull(plan, index, gap);
    }
}

/// Moves an event and all after it so that it comes at most `gap` after the one before it.
fn pull(plan: &mut Plan, index: usize, gap: u64) {
    let too_long = (plan.events[index].at.0 - before(plan, index)).saturating_sub(gap);
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
