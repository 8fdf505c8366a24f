//! Many rounds, side by side, and what they come to.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{Bug, Cache, Findings, Played, Round};
use crate::dut::DutError;

/// A round, and what is wrong with the planted glintd it is played against.
pub type Try = (Round, Option<Bug>);

/// Told of every round as it ends.
pub type Progress<'a> = &'a (dyn Fn(&Try, &Played) + Sync);

/// What the rounds of one mode came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rounds.
    pub rounds: u32,
    /// Rounds with complaints.
    pub failed: u32,
    /// Commands answered.
    pub answered: u64,
    /// Commands in flight at the cut.
    pub in_flight: u64,
    /// What was judged.
    pub findings: Findings,
}

impl Summary {
    /// Over the rounds of that mode.
    pub fn of(played: &[Played], cache: Cache) -> Self {
        let mut summary = Self::default();
        for each in played.iter().filter(|each| each.round.cache == cache) {
            summary.rounds += 1;
            summary.failed += u32::from(!each.complaints.is_empty());
            summary.answered += each.answered;
            summary.in_flight += each.in_flight as u64;
            summary.findings.floors += each.findings.floors;
            summary.findings.lost += each.findings.lost;
            summary.findings.reads += each.findings.reads;
        }
        summary
    }

    /// What keeps these rounds from proving anything, if something does.
    pub fn proves_nothing(&self) -> Option<&'static str> {
        match self.findings {
            Findings { floors: 0, .. } => Some("no sector had to hold anything"),
            Findings { reads: 0, .. } => Some("nothing was read before the cut"),
            _ if self.in_flight == 0 => Some("nothing was in flight at any cut"),
            _ => None,
        }
    }
}

/// Rounds in each of these modes, from that seed on.
pub fn rounds(seed: u64, count: u32, caches: &[Cache]) -> Vec<Round> {
    let seeds = (0..u64::from(count)).map(|n| seed.wrapping_add(n));
    let each = |seed| caches.iter().map(move |&cache| Round { seed, cache });
    seeds.flat_map(each).collect()
}

/// Plays them all, so many at a time. The answer is in their order.
pub fn run(
    tries: &[Try],
    glintd: &Path,
    jobs: usize,
    progress: Progress<'_>,
) -> Result<Vec<Played>, DutError> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(BTreeMap::new());
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some((round, bug)) = tries.get(index) else {
                return;
            };
            let played = round.play(glintd, *bug);
            match &played {
                Ok(played) => progress(&tries[index], played),
                // The environment does not get better.
                Err(_) => next.store(tries.len(), Ordering::Relaxed),
            }
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            results.insert(index, played);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, tries.len().max(1)) {
            scope.spawn(work);
        }
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.into_values().collect()
}
