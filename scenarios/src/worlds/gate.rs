//! Whether worlds see bugs: each planted one is at work in world after world until an oracle
//! complains of one that is in order without it.
//!
//! In the planted build only; docs/decisions/008. A bug is on the thread that plays, so several are
//! looked for at a time, and how many does not change what is found.

use std::time::{Duration, Instant};

use ::planted::{Bug, choose};

use super::campaign;
use super::shrink::{Shrunk, is_same, shrink};
use super::{Complaint, Plan};

/// Bugs in code that worlds do not play: the file of an image, behind libgfapi.
const ELSEWHERE: [Bug; 4] = [
    Bug::FlushNotDone,
    Bug::FuaDropped,
    Bug::SyncErrorSwallowed,
    Bug::ThroughNotDurable,
];

/// Plans that are tried to make a finding small.
const BUDGET: u32 = 4_000;

/// Bugs that worlds show one time in ten thousand; not looked for in fewer.
const SELDOM: [Bug; 6] = [
    Bug::ShakenIgnored,
    Bug::JoinerDied,
    Bug::RejectSkipsStatSn,
    Bug::LimboRead,
    Bug::ContestedIgnored,
    Bug::ReadOvertakes,
];

/// With so many worlds those are looked for as well.
pub const MANY: u64 = 100_000;

/// Bugs that no world of the first hundred thousand shows. Either a second line of defence stands behind
/// them, or what they need is not in worlds yet: bytes that are spoiled on the wire, an initiator that
/// sends ahead of its login's answer, a flush that fails for one brick's sake, storage that hangs for a
/// reset alone. They stay planted for the worlds to come.
pub const UNSEEN: [Bug; 13] = [
    Bug::FailedFlushCovers,
    Bug::LaterWritesCovered,
    Bug::DurableErrorForgotten,
    Bug::UnbornSessionKept,
    Bug::TerminateMissed,
    Bug::TmfTimerLost,
    Bug::BytesLostAtHandover,
    Bug::ParkedOutlivesConnection,
    Bug::PingAnswerUnheard,
    Bug::ReopenedWindowUntold,
    Bug::DigestErrorAccepted,
    Bug::CrossedTriedAgain,
    Bug::FlushSharedTooSoon,
];

/// The bugs that so many worlds have to see.
pub fn bugs(seeds: u64) -> impl Iterator<Item = Bug> {
    let all = Bug::ALL.iter().copied();
    all.filter(move |bug| {
        let seldom = seeds < MANY && SELDOM.contains(bug);
        !ELSEWHERE.contains(bug) && !UNSEEN.contains(bug) && !seldom
    })
}

/// Of the bugs that worlds could see, those that so many need not.
pub fn left_out(seeds: u64) -> Vec<Bug> {
    let looked_for: Vec<Bug> = bugs(seeds).collect();
    let all = Bug::ALL.iter().copied();
    let all = all.filter(|bug| !ELSEWHERE.contains(bug) && !looked_for.contains(bug));
    all.collect()
}

/// A bug that was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The first seed whose world shows it.
    pub seed: u64,
    /// What it was seen by.
    pub complaint: Complaint,
    /// How long the worlds up to that one took.
    pub took: Duration,
    /// Events of that seed's plan.
    pub events: usize,
    /// That plan made small.
    pub small: Plan,
}

/// Looks for a bug in the worlds from `from` on, at most `seeds` of them. `None`: it does no harm that
/// anybody sees.
pub fn look_for(bug: Bug, from: u64, seeds: u64) -> Option<Seen> {
    let began = Instant::now();
    let mut worlds = (0..seeds).map(|index| from.wrapping_add(index));
    let (seed, plan, complaint) = worlds.find_map(|seed| {
        choose(Some(bug));
        let plan = campaign::plan(seed).ok()?;
        let complaint = fault_of(bug, &plan)?;
        Some((seed, plan, complaint))
    })?;
    let took = began.elapsed();
    let recurs = |plan: &Plan| fault_of(bug, plan).filter(|found| is_same(found, &complaint));
    let small =
        shrink(&plan, recurs, BUDGET).map_or_else(|| plan.clone(), |Shrunk { plan, .. }| plan);
    choose(None);
    Some(Seen {
        seed,
        complaint,
        took,
        events: plan.events.len(),
        small,
    })
}

/// What is wrong with a world with that bug, and with it only.
fn fault_of(bug: Bug, plan: &Plan) -> Option<Complaint> {
    let played = |bug| {
        choose(bug);
        campaign::played(plan, false).complaints.into_iter().next()
    };
    let complaint = played(Some(bug))?;
    played(None).is_none().then_some(complaint)
}

/// The first of the worlds from `from` on in which something is wrong without any bug.
pub fn look_for_none(from: u64, seeds: u64) -> Option<(u64, Complaint)> {
    choose(None);
    let mut worlds = (0..seeds).map(|index| from.wrapping_add(index));
    worlds.find_map(|seed| {
        let complaints = campaign::drawn(seed).complaints;
        Some((seed, complaints.into_iter().next()?))
    })
}
