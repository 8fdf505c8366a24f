//! What the initiators of a world asked for and what they were told: all an oracle judges by.
//!
//! Everything is by image: units of different targets are different images, a unit keeps its image
//! when its target is killed and started again. Moments are those at which the initiator sent the
//! first byte or had the last one.

use super::plan::Moment;

/// An image, numbered through all targets.
pub type Image = u8;

/// The number of a write in [`History::writes`].
pub type WriteId = u32;

/// What a sector was found to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// Zeros: what it held when the world began.
    Nothing,
    /// The stamp of that write, for that sector.
    Write(WriteId),
    /// Anything else: parts of several writes, a stamp of another place, or what nobody wrote.
    Garbage,
}

/// How a command ended, as far as the oracle is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Not yet, or nobody will ever know: the connection is gone.
    Open,
    /// GOOD.
    Good,
    /// Refused before it could do anything (unit attention, TASK SET FULL, a check of the CDB).
    Refused,
    /// Another status: it may have been carried out in part or as a whole.
    Failed,
    /// Taken away by a task management function that was answered "complete".
    Aborted,
}

/// A write.
#[derive(Clone, Debug)]
pub struct Write {
    /// Whose, for people.
    pub initiator: u8,
    /// The event it was sent for, for people.
    pub event: u16,
    /// Where.
    pub image: Image,
    /// The first sector.
    pub at: u32,
    /// How many.
    pub sectors: u32,
    /// GOOD means durable: FUA, or a unit without a volatile cache.
    pub durable: bool,
    /// When it was sent.
    pub sent: Moment,
    /// How it ended.
    pub fate: Fate,
    /// When it ended for its initiator: the answer; of an aborted one the answer of the function; of
    /// one whose connection went away the moment its initiator was logged in again under the same
    /// name, because until then the target has to end it. [`NEVER`] while none of that is so.
    pub ended: Moment,
    /// From when on it cannot begin to be seen any more. As `ended`, or later where no target can
    /// promise that: it failed while bricks disagreed (a heal may complete it), or its target was
    /// killed with it under way (a brick may have it in its queue).
    pub settled: Moment,
}

/// A read answered GOOD.
#[derive(Clone, Debug)]
pub struct Read {
    /// Whose, for people.
    pub initiator: u8,
    /// The event it was sent for, for people.
    pub event: u16,
    /// Where.
    pub image: Image,
    /// The first sector.
    pub at: u32,
    /// When it was sent.
    pub sent: Moment,
    /// When it was answered.
    pub ended: Moment,
    /// What each sector held.
    pub held: Vec<Held>,
}

/// A SYNCHRONIZE CACHE without IMMED that was answered.
#[derive(Clone, Debug)]
pub struct Sync {
    /// Whose, for people.
    pub initiator: u8,
    /// The event it was sent for, for people.
    pub event: u16,
    /// Where.
    pub image: Image,
    /// The first sector.
    pub at: u32,
    /// How many.
    pub sectors: u32,
    /// When it was sent.
    pub sent: Moment,
    /// How it ended: GOOD, refused or failed.
    pub fate: Fate,
    /// When it was answered.
    pub ended: Moment,
    /// It failed because a flush failed (sense 3/0C): what was not durable may be lost, and until
    /// the image is opened anew no flush can be GOOD.
    pub broken: bool,
}

/// Storage lost, or may have lost, what was not durable: the power failed, or a flush failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Of which image; `None`: of all.
    pub image: Option<Image>,
    /// From when on: the power cut, or the moment the flush that failed was sent.
    pub from: Moment,
    /// Until when on what was there before can be lost: the power cut, or the moment the flush was
    /// answered.
    pub until: Moment,
    /// A flush that was sent before and answered after it says nothing about it: it may have reached
    /// bricks that were back by then.
    pub unnoticed: bool,
}

/// An image was closed, by a crash or otherwise, and opened again: flushes may be GOOD again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reopened {
    /// Which.
    pub image: Image,
    /// When.
    pub at: Moment,
}

/// All of it. Lists are in the order in which things were sent; losses by moment.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Writes that were sent, retries included.
    pub writes: Vec<Write>,
    /// Reads that were answered GOOD.
    pub reads: Vec<Read>,
    /// Flushes that were answered.
    pub syncs: Vec<Sync>,
    /// When storage may have lost something.
    pub losses: Vec<Loss>,
    /// When flushes may be GOOD again.
    pub reopened: Vec<Reopened>,
}

/// The moment that does not come.
pub const NEVER: Moment = engine::Moment(u64::MAX);
