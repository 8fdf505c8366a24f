//! A failing plan made small: fewer events, fewer parties, a plainer setting, rounder times, as long
//! as the same oracle complains.
//!
//! Invariants: every plan that is tried is valid; events keep their numbers, initiators and targets
//! are numbered anew when one is left out.
//!
//! What is left out may change chance elsewhere (who waits how long), so that a smaller plan fails
//! only with other luck. Once nothing can be left out as it is, each candidate is tried with a few
//! other values of chance as well.

mod parties;
mod setting;
#[cfg(test)]
mod tests;
mod time;

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Complaint, Oracle, Plan};

/// Values of chance a candidate is tried with besides its own.
const OTHER_CHANCES: u32 = 4;

/// Up to so many events, leaving out two at a time is tried: a brick that is killed and started, a
/// write and the abort that is about it.
const PAIRS_MAX: usize = 40;

/// What is left of a plan.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The smallest plan found.
    pub plan: Plan,
    /// What is wrong with it.
    pub complaint: Complaint,
    /// How many plans were tried.
    pub tries: u32,
}

/// Makes `plan` small. `fails` plays a plan and says what is wrong with it, if anything; it should
/// look for a complaint of the oracle that this is about. At most `budget` plans are tried. `None`:
/// `plan` does not fail.
pub fn shrink(
    plan: &Plan,
    fails: impl FnMut(&Plan) -> Option<Complaint>,
    budget: u32,
) -> Option<Shrunk> {
    let mut fails = fails;
    let complaint = fails(plan)?;
    let mut search = Search {
        fails,
        chance: plan.chance,
        best: plan.clone(),
        complaint,
        tries: 1,
        budget,
        chances: 0,
        seen: BTreeSet::from([fingerprint(plan)]),
    };
    for chances in [0, OTHER_CHANCES] {
        search.chances = chances;
        while search.pass() {}
    }
    Some(Shrunk {
        plan: search.best,
        complaint: search.complaint,
        tries: search.tries,
    })
}

/// Whether two complaints are about the same failure: of the same oracle, panics in the same place,
/// the same rule of the protocol.
pub fn is_same(one: &Complaint, other: &Complaint) -> bool {
    one.oracle == other.oracle && about(one) == about(other)
}

fn about(complaint: &Complaint) -> Option<&str> {
    let what = complaint.what.as_str();
    match complaint.oracle {
        Oracle::Panic => what.rsplit_once(" at ").map(|(_, place)| place),
        Oracle::Protocol => what.split_once("; seen").map(|(rule, _)| rule),
        _ => None,
    }
}

/// The search for a smaller plan.
struct Search<F> {
    fails: F,
    /// What other values of chance are made from.
    chance: u64,
    best: Plan,
    complaint: Complaint,
    tries: u32,
    budget: u32,
    /// How many other values of chance a candidate is tried with.
    chances: u32,
    /// Plans that were tried.
    seen: BTreeSet<u64>,
}

impl<F: FnMut(&Plan) -> Option<Complaint>> Search<F> {
    /// Tries everything once. Says whether anything became smaller.
    fn pass(&mut self) -> bool {
        // Parties first where that is cheap: what they do goes with them.
        let mut changed = self.drop_parties();
        changed |= self.drop_events();
        changed |= self.drop_pairs();
        changed |= self.simplify();
        changed | self.compact()
    }

    /// Leaves out events: half of them, a quarter, down to one by one. From the end, because what
    /// comes late changes least.
    fn drop_events(&mut self) -> bool {
        let mut changed = false;
        let mut size = self.best.events.len();
        while size > 0 {
            let mut end = self.best.events.len();
            while end > 0 {
                let start = end.saturating_sub(size);
                changed |= self.edit(|plan| drop(plan.events.drain(start..end)));
                end = start;
            }
            size /= 2;
        }
        changed
    }

    fn drop_pairs(&mut self) -> bool {
        let mut changed = false;
        let mut late = self.best.events.len();
        while late > 1 && late <= PAIRS_MAX {
            late -= 1;
            for early in (0..late).rev() {
                let both = |plan: &mut Plan| {
                    plan.events.remove(late);
                    plan.events.remove(early);
                };
                if self.edit(both) {
                    changed = true;
                    late = late.saturating_sub(1);
                    break;
                }
            }
        }
        changed
    }

    /// Changes the best plan, and keeps the change if the plan still fails.
    fn edit(&mut self, change: impl FnOnce(&mut Plan)) -> bool {
        let mut candidate = self.best.clone();
        change(&mut candidate);
        candidate != self.best && self.accept(candidate)
    }

    /// Takes a candidate for the best plan if it fails, with its own luck or another.
    fn accept(&mut self, candidate: Plan) -> bool {
        if self.fails(&candidate) {
            return true;
        }
        (0..self.chances).any(|_| {
            let chance = mix(self.chance, u64::from(self.tries));
            self.fails(&Plan {
                chance,
                ..candidate.clone()
            })
        })
    }

    fn fails(&mut self, candidate: &Plan) -> bool {
        if self.tries >= self.budget || !self.seen.insert(fingerprint(candidate)) {
            return false;
        }
        self.tries += 1;
        let complaint = (self.fails)(candidate);
        let Some(complaint) = complaint.filter(|found| is_same(found, &self.complaint)) else {
            return false;
        };
        self.best = candidate.clone();
        self.complaint = complaint;
        true
    }
}

fn fingerprint(plan: &Plan) -> u64 {
    // Always with the same keys.
    let mut hasher = DefaultHasher::new();
    plan.to_string().hash(&mut hasher);
    hasher.finish()
}

/// Two numbers made one that looks like neither (the finalizer of SplitMix64).
pub(super) fn mix(one: u64, other: u64) -> u64 {
    let mut mixed = one ^ other.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
