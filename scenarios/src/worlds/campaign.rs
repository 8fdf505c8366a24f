//! Many worlds, side by side, and what they come to; and that a seed decides everything.
//!
//! Here are the threads and the clock that the rest of worlds does not know. What comes out does not
//! depend on how many workers there are, nor on which of them plays which seed.

mod panics;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

pub(super) use panics::{broken, caught};
pub use panics::{plan, played};

use super::shrink::mix;
use super::{Complaint, Marks, Played, draw};

/// Plays a world; may be called from several threads.
pub type Play<'a> = &'a (dyn Fn(u64) -> Played + Sync);

/// Told of every world as it ends, from several threads.
pub type Progress<'a> = &'a (dyn Fn(u64, &Played) + Sync);

/// Which worlds to play.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// The first seed.
    pub from: u64,
    /// How many.
    pub seeds: u64,
    /// No world is begun later than that.
    pub minutes: Option<f64>,
    /// How many at a time.
    pub jobs: usize,
}

/// What they came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Worlds.
    pub played: u64,
    /// Seeds of worlds with complaints, with the first complaint of each, in their order.
    pub failed: Vec<(u64, Complaint)>,
    /// A hash of all that happened in all worlds.
    pub hash: u64,
    /// Coverage marks, all worlds together.
    pub marks: Marks,
    /// Commands that initiators sent.
    pub commands: u64,
    /// Those among them that carried data.
    pub transfers: u64,
    /// Sessions that were opened.
    pub sessions: u64,
    /// Worlds in which a fault took effect.
    pub troubled: u64,
    /// Bytes of data of commands sent.
    pub bytes: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// How much of the processors that was, whoever else had some of them meanwhile.
    pub processor: Duration,
}

impl Summary {
    fn add(&mut self, seed: u64, played: &Played) {
        self.played += 1;
        if let Some(first) = played.complaints.first() {
            self.failed.push((seed, first.clone()));
        }
        self.hash = self.hash.wrapping_add(mix(seed, played.hash));
        self.marks.merge(&played.marks);
        self.commands += played.commands;
        self.transfers += played.transfers;
        self.sessions += played.sessions;
        self.troubled += u64::from(played.troubled);
        self.bytes += played.bytes;
    }

    fn merge(&mut self, other: Self) {
        self.played += other.played;
        self.failed.extend(other.failed);
        self.hash = self.hash.wrapping_add(other.hash);
        self.marks.merge(&other.marks);
        self.commands += other.commands;
        self.transfers += other.transfers;
        self.sessions += other.sessions;
        self.troubled += other.troubled;
        self.bytes += other.bytes;
    }
}

/// The world of that seed; a panic in it is a complaint.
pub fn drawn(seed: u64) -> Played {
    panics::judged(|| super::play(&draw::draw(seed), false))
}

impl Campaign {
    /// Plays them.
    pub fn run(&self, play: Play<'_>, progress: Progress<'_>) -> Summary {
        let began = Instant::now();
        let before = processor_time();
        let time = self.minutes.map(|minutes| {
            let seconds = minutes.max(0.0) * 60.0;
            Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
        });
        let next = AtomicU64::new(0);
        let all = Mutex::new(Summary::default());
        let work = || {
            let mut summary = Summary::default();
            while time.is_none_or(|time| began.elapsed() < time) {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= self.seeds {
                    break;
                }
                let seed = self.from.wrapping_add(index);
                let played = play(seed);
                summary.add(seed, &played);
                progress(seed, &played);
            }
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.merge(summary);
        };
        side_by_side(self.jobs, work);
        let mut summary = all.into_inner().unwrap_or_else(PoisonError::into_inner);
        // By distance from the first: seeds wrap around.
        let order = |(seed, _): &(u64, Complaint)| seed.wrapping_sub(self.from);
        summary.failed.sort_by_key(order);
        summary.elapsed = began.elapsed();
        summary.processor = processor_time().saturating_sub(before);
        summary
    }
}

/// What this process had of all processors so far.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// Whether seeds decide everything.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Seeds that were played twice.
    pub seeds: u64,
    /// The first that came out differently, with both hashes.
    pub differing: Option<(u64, [u64; 2])>,
    /// How many came out differently.
    pub different: u64,
    /// As in [`Summary::hash`], of the first time.
    pub hash: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// Plays each seed twice, the second time backwards and with another number of workers, and compares
/// what happened.
pub fn verify(
    from: u64,
    seeds: u64,
    jobs: usize,
    play: Play<'_>,
    progress: Progress<'_>,
) -> Verified {
    let began = Instant::now();
    let seed = |index: u64| from.wrapping_add(index);
    let first = each(seeds, jobs, |index| outcome(seed(index), play, progress));
    let backwards = |index| outcome(seed(seeds - 1 - index), play, progress);
    let mut second = each(seeds, jobs + 1, backwards);
    second.reverse();
    let both = (0..).map(seed).zip(first.iter().zip(&second));
    let differing = both.filter(|(_, (first, second))| first != second);
    let of = |(seed, (first, second)): (u64, (&(u64, _), &(u64, _)))| (seed, [first.0, second.0]);
    let hashes = (0..).map(seed).zip(&first);
    Verified {
        seeds,
        different: differing.clone().count() as u64,
        differing: differing.map(of).next(),
        hash: hashes.fold(0, |all, (seed, (hash, _))| {
            all.wrapping_add(mix(seed, *hash))
        }),
        elapsed: began.elapsed(),
    }
}

/// What two runs of a seed have to agree on: what happened, and what is thought of it.
fn outcome(seed: u64, play: Play<'_>, progress: Progress<'_>) -> (u64, Vec<Complaint>) {
    let played = play(seed);
    progress(seed, &played);
    (played.hash, played.complaints)
}

/// `work` for every number below `count`, so many at a time, in that order. The answers are in that
/// order as well.
fn each<T: Send>(count: u64, jobs: usize, work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicU64::new(0);
    let all = Mutex::new(BTreeMap::new());
    side_by_side(jobs, || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            let result = work(index);
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(index, result);
        }
    });
    let all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    all.into_values().collect()
}

fn side_by_side(jobs: usize, work: impl Fn() + Sync) {
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(&work);
        }
    });
}
