//! What was sent and what was answered, in the order this program saw it. Judges nothing.
//!
//! Every entry has the moment before it was sent and the moment after it was answered; the truth
//! lies between them, so an order that these moments give is an order the target must keep.

/// A moment: how many things had happened before.
pub(super) type Moment = u64;

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Not answered: it may land whenever the target lives.
    Open,
    /// Answered GOOD.
    Good,
    /// Refused before anything was done: it lands never.
    Refused,
    /// Storage failed: it may have landed, but lands no more once that was answered. What others
    /// wrote may be lost with it.
    Failed,
    /// Aborted: whether storage failed, nobody will know.
    Aborted,
    /// BUSY: it may have landed as well, but took nothing with it.
    GivenUp,
}

/// A write.
#[derive(Clone, Debug)]
pub(super) struct Write {
    /// Who sent it.
    pub(super) session: u16,
    /// First sector.
    pub(super) first: u64,
    /// Sectors.
    pub(super) count: u64,
    /// FUA.
    pub(super) fua: bool,
    /// When it was sent.
    pub(super) sent: Moment,
    /// When it was answered.
    pub(super) ended: Moment,
    /// With what.
    pub(super) fate: Fate,
}

/// How a SYNCHRONIZE CACHE ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Synced {
    /// Not answered, or aborted.
    Open,
    /// GOOD.
    Good,
    /// CHECK CONDITION because storage failed: writes may be lost, and it must stay so.
    Broken,
    /// BUSY and the like: nothing was promised.
    NotDone,
}

/// A SYNCHRONIZE CACHE.
#[derive(Clone, Debug)]
pub(super) struct Sync {
    /// Who sent it.
    pub(super) session: u16,
    /// First sector.
    pub(super) first: u64,
    /// Sectors; `u64::MAX` for all that follow.
    pub(super) count: u64,
    /// When it was sent.
    pub(super) sent: Moment,
    /// When it was answered.
    pub(super) ended: Moment,
    /// With what.
    pub(super) result: Synced,
}

/// A read that was answered GOOD.
#[derive(Clone, Debug)]
pub(super) struct Read {
    /// Who sent it.
    pub(super) session: u16,
    /// First sector.
    pub(super) first: u64,
    /// When it was sent.
    pub(super) sent: Moment,
    /// When it was answered.
    pub(super) ended: Moment,
    /// What came, by sector.
    pub(super) held: Vec<super::Held>,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct History {
    now: Moment,
    /// Writes by number.
    pub(super) writes: Vec<Write>,
    /// Flushes by number.
    pub(super) syncs: Vec<Sync>,
    /// Reads as they were answered.
    pub(super) reads: Vec<Read>,
    /// Commands that were answered.
    pub(super) answered: u64,
    /// Writes among them that were answered BUSY.
    pub(super) busy: u64,
}

impl History {
    /// One thing more has happened; this is when.
    pub(super) fn tick(&mut self) -> Moment {
        self.now += 1;
        self.now
    }

    /// A write is about to be sent.
    pub(super) fn write(&mut self, session: u16, (first, count): (u64, u64), fua: bool) -> u32 {
        let sent = self.tick();
        self.writes.push(Write {
            session,
            first,
            count,
            fua,
            sent,
            ended: Moment::MAX,
            fate: Fate::Open,
        });
        self.writes.len() as u32 - 1
    }

    /// A write was answered.
    pub(super) fn written(&mut self, write: u32, fate: Fate) {
        let ended = self.tick();
        self.answered += 1;
        let write = &mut self.writes[write as usize];
        (write.ended, write.fate) = (ended, fate);
    }

    /// A flush is about to be sent.
    pub(super) fn sync(&mut self, session: u16, (first, count): (u64, u64)) -> u32 {
        let sent = self.tick();
        self.syncs.push(Sync {
            session,
            first,
            count,
            sent,
            ended: Moment::MAX,
            result: Synced::Open,
        });
        self.syncs.len() as u32 - 1
    }

    /// A flush was answered.
    pub(super) fn synced(&mut self, sync: u32, result: Synced) {
        let ended = self.tick();
        self.answered += 1;
        let sync = &mut self.syncs[sync as usize];
        (sync.ended, sync.result) = (ended, result);
    }

    /// Commands that were sent and not answered.
    pub(super) fn open(&self) -> usize {
        let writes = self.writes.iter().filter(|write| write.fate == Fate::Open);
        let syncs = self.syncs.iter().filter(|sync| sync.result == Synced::Open);
        writes.count() + syncs.count()
    }
}
