//! What a sector may hold, and whether it does. Knows nothing of targets and of what went wrong.
//!
//! - Of two writes, the second supersedes the first if it was sent after the first was answered,
//!   whatever the answer: a write that failed or was aborted lands no more. Others land in any
//!   order.
//! - A write is durable once it was answered GOOD with FUA or in write-through, or once a flush of
//!   its sector was answered GOOD that was sent after the write was answered GOOD.
//! - After the cut a sector holds no write that a durable one supersedes (the floor), and none
//!   that was never sent or was refused. All above the floor is possible: what was in flight, what
//!   was answered and not flushed, the floor itself.
//! - While the target lives, a read sees no write that is superseded by one it could have seen
//!   before: one answered GOOD, or read by somebody, before the read was sent. Storage that loses
//!   what was not flushed takes that back, down to the floor, from the command on that failed, or
//!   of which nobody knows whether it did.
//! - After a flush failed because of storage, no later one is GOOD.

use std::collections::BTreeMap;
use std::fmt;

use super::Held;
use super::history::{Fate, History, Moment, Read, Synced, Write};

/// What is wrong.
#[derive(Debug, PartialEq, Eq)]
pub struct Complaint(String);

impl Complaint {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// What the sectors went through, to show that the cut was worth judging.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Sectors with a floor.
    pub floors: u64,
    /// Sectors that lost, as they may, a write that was answered GOOD.
    pub lost: u64,
    /// Sectors that were read and judged while the target lived.
    pub reads: u64,
}

/// A history, made ready to be judged.
pub(super) struct Oracle<'a> {
    history: &'a History,
    /// Writes by sector, in the order they were sent.
    by_sector: Vec<Vec<u32>>,
    /// When each write became durable on a sector.
    durable: BTreeMap<(u64, u32), Moment>,
    /// From when on storage may have lost what was not durable.
    lossy_from: Moment,
}

impl<'a> Oracle<'a> {
    /// Over an image of so many sectors.
    pub(super) fn new(history: &'a History, sectors: u64, write_through: bool) -> Self {
        let mut by_sector = vec![Vec::new(); sectors as usize];
        let mut durable = BTreeMap::new();
        for (number, write) in (0..).zip(&history.writes) {
            for sector in write.first..write.first + write.count {
                by_sector[sector as usize].push(number);
                if let Some(when) = durable_from(history, write, sector, write_through) {
                    durable.insert((sector, number), when);
                }
            }
        }
        let syncs = history.syncs.iter().filter(|sync| loses(sync.result));
        let writes = history.writes.iter().filter(|write| takes(write.fate));
        let lossy_from = syncs.map(|sync| sync.sent);
        let lossy_from = lossy_from.chain(writes.map(|write| write.sent)).min();
        Self {
            history,
            by_sector,
            durable,
            lossy_from: lossy_from.unwrap_or(Moment::MAX),
        }
    }

    /// Judges what was read while the target lived, and what flushes answered.
    pub(super) fn judge_life(&self, findings: &mut Findings) -> Vec<Complaint> {
        let mut complaints = self.judge_syncs();
        let mut seen: BTreeMap<(u64, u32), Moment> = BTreeMap::new();
        for read in &self.history.reads {
            for (sector, held) in (read.first..).zip(&read.held) {
                findings.reads += 1;
                complaints.extend(self.judge_read(read, sector, *held, &seen));
            }
            for (sector, held) in (read.first..).zip(&read.held) {
                if let Held::Write(write) = held {
                    seen.entry((sector, *write)).or_insert(read.ended);
                }
            }
        }
        complaints
    }

    fn judge_syncs(&self) -> Vec<Complaint> {
        let syncs = &self.history.syncs;
        let broken = syncs.iter().filter(|sync| sync.result == Synced::Broken);
        let Some(broken) = broken.min_by_key(|sync| sync.ended) else {
            return Vec::new();
        };
        let lies = syncs
            .iter()
            .filter(|sync| sync.result == Synced::Good && sync.sent > broken.ended);
        let complaint = |sync: &super::history::Sync| {
            Complaint(format!(
                "a flush of session {} (sent {}) is GOOD after one of session {} failed (answered {})",
                sync.session, sync.sent, broken.session, broken.ended
            ))
        };
        lies.map(complaint).collect()
    }

    fn judge_read(
        &self,
        read: &Read,
        sector: u64,
        held: Held,
        seen: &BTreeMap<(u64, u32), Moment>,
    ) -> Option<Complaint> {
        let may_have_lost = read.ended > self.lossy_from;
        let known = |number: u32| {
            let write = self.write(number);
            let durable = self.durable.get(&(sector, number)).copied();
            let since = match may_have_lost {
                true => durable,
                false => {
                    let good = (write.fate == Fate::Good).then_some(write.ended);
                    let read = seen.get(&(sector, number)).copied();
                    good.into_iter().chain(read).min()
                }
            };
            since.is_some_and(|since| since < read.sent)
        };
        let why = self.judge(sector, held, read.ended, known)?;
        let Read { session, sent, .. } = read;
        Some(Complaint(format!(
            "a read of session {session} (sent {sent}): {why}"
        )))
    }

    /// Judges what is there after the cut, sector by sector.
    pub(super) fn judge_rest(&self, held: &[Held], findings: &mut Findings) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        for (sector, held) in (0..).zip(held) {
            let durable = |number: u32| self.durable.contains_key(&(sector, number));
            let floor = self.by_sector[sector as usize].iter().any(|n| durable(*n));
            findings.floors += u64::from(floor);
            findings.lost += u64::from(self.has_lost(sector, *held));
            if let Some(why) = self.judge(sector, *held, Moment::MAX, durable) {
                complaints.push(Complaint(format!("after the cut: {why}")));
            }
        }
        complaints
    }

    /// Whether a write answered GOOD came after what is held.
    fn has_lost(&self, sector: u64, held: Held) -> bool {
        let since = match held {
            Held::Write(number) if self.is_here(number, sector) => self.write(number).ended,
            _ => 0,
        };
        let mut writes = self.by_sector[sector as usize].iter();
        writes.any(|number| {
            let write = self.write(*number);
            write.fate == Fate::Good && write.sent > since
        })
    }

    /// What is wrong with `held`, seen by `until`, if all writes that are `known` had landed.
    fn judge(
        &self,
        sector: u64,
        held: Held,
        until: Moment,
        known: impl Fn(u32) -> bool,
    ) -> Option<String> {
        let (what, ended) = match held {
            Held::Garbage => return Some(format!("sector {sector} holds what nobody wrote")),
            Held::Nothing => ("nothing".to_owned(), 0),
            Held::Write(number) => {
                let here = self.is_here(number, sector);
                if !here || self.write(number).sent > until {
                    return Some(format!("sector {sector} holds write {number}, never sent"));
                }
                let write = self.write(number);
                if write.fate == Fate::Refused {
                    return Some(format!("sector {sector} holds write {number}, refused"));
                }
                (self.describe(number), write.ended)
            }
        };
        let mut later = self.by_sector[sector as usize].iter().rev();
        let newer = later.find(|number| self.write(**number).sent > ended && known(**number))?;
        let floor = self.describe(*newer);
        let covered = match self.durable.get(&(sector, *newer)) {
            Some(when) => format!("durable since {when}"),
            None => "not durable".to_owned(),
        };
        Some(format!(
            "sector {sector} holds {what}, which is superseded by {floor}, {covered}"
        ))
    }

    fn is_here(&self, number: u32, sector: u64) -> bool {
        let write = self.history.writes.get(number as usize);
        write.is_some_and(|write| (write.first..write.first + write.count).contains(&sector))
    }

    fn write(&self, number: u32) -> &Write {
        &self.history.writes[number as usize]
    }

    fn describe(&self, number: u32) -> String {
        let write = self.write(number);
        let fua = if write.fua { " with FUA" } else { "" };
        let ended = match write.fate {
            Fate::Open => "not answered".to_owned(),
            fate => format!("{fate:?} {}", write.ended),
        };
        let (session, sent) = (write.session, write.sent);
        format!("write {number}{fua} of session {session} (sent {sent}, {ended})")
    }
}

/// Whether storage may have failed under such a flush, and lost what was not durable.
fn loses(result: Synced) -> bool {
    matches!(result, Synced::Broken | Synced::Open)
}

/// Whether storage may have failed under such a write, and lost what was not durable.
fn takes(fate: Fate) -> bool {
    matches!(fate, Fate::Failed | Fate::Aborted | Fate::Open)
}

fn durable_from(
    history: &History,
    write: &Write,
    sector: u64,
    write_through: bool,
) -> Option<Moment> {
    if write.fate != Fate::Good {
        return None;
    }
    if write_through || write.fua {
        return Some(write.ended);
    }
    let covers = |sync: &&super::history::Sync| {
        let reaches = sync.first <= sector && sector - sync.first < sync.count;
        sync.result == Synced::Good && sync.sent > write.ended && reaches
    };
    let covering = history.syncs.iter().filter(covers);
    covering.map(|sync| sync.ended).min()
}

#[cfg(test)]
mod tests;
