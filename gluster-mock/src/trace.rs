//! What the model decided, in order, and one number for all of it: two runs with the same seed and
//! the same calls have the same hash, in every build.

use crate::call::{ClientId, Ino, Moment, OpKind};
use crate::errno::Errno;

/// One decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A call began; `rule` of the plan applies to it.
    Begin {
        /// When.
        now: Moment,
        /// What kind of call.
        kind: OpKind,
        /// The line of the plan, counted from 1; 0 for none.
        rule: u32,
    },
    /// A call was answered.
    Answer {
        /// When.
        now: Moment,
        /// What kind of call.
        kind: OpKind,
        /// Whose.
        client: ClientId,
        /// On what file; 0 where none is meant.
        file: Ino,
        /// The byte offset, where there is one.
        at: u64,
        /// How many bytes were meant.
        len: u64,
        /// The result, or why there is none.
        result: Result<u64, Errno>,
    },
    /// Which sectors of an un-synced page reached stable storage early, a bit for each.
    Fate {
        /// Index of the brick.
        brick: u32,
        /// Of which file.
        file: Ino,
        /// Number of the page in the file.
        page: u64,
        /// Bit n: sector n is on stable storage.
        sectors: u8,
    },
    /// Un-synced pages became durable.
    Synced {
        /// Index of the brick.
        brick: u32,
        /// Of which file.
        file: Ino,
        /// How many.
        pages: u64,
    },
    /// Un-synced pages were dropped.
    Lost {
        /// Index of the brick.
        brick: u32,
        /// Of which file.
        file: Ino,
        /// How many.
        pages: u64,
    },
    /// A client's cached writes were dropped.
    Forgotten {
        /// Whose.
        client: ClientId,
        /// Of which file.
        file: Ino,
        /// How many.
        writes: u64,
    },
    /// A brick went down or came back.
    Brick {
        /// Index of the brick.
        brick: u32,
        /// Whether it is up now.
        up: bool,
    },
    /// A brick copied a file it had missed writes to.
    Healed {
        /// Index of the brick.
        brick: u32,
        /// Which file.
        file: Ino,
    },
}

impl Event {
    fn words(self) -> [u64; 7] {
        match self {
            Self::Begin { now, kind, rule } => [1, now.0, kind as u64, u64::from(rule), 0, 0, 0],
            Self::Answer {
                now,
                kind,
                client,
                file,
                at,
                len,
                result,
            } => {
                let result = result.unwrap_or_else(|errno| u64::MAX - u64::from(errno.0 as u32));
                let who = u64::from(client.0) << 8 | kind as u64;
                [2, now.0, who, file.0, at, len, result]
            }
            Self::Fate {
                brick,
                file,
                page,
                sectors,
            } => [3, u64::from(brick), file.0, page, u64::from(sectors), 0, 0],
            Self::Synced { brick, file, pages } => [4, u64::from(brick), file.0, pages, 0, 0, 0],
            Self::Lost { brick, file, pages } => [5, u64::from(brick), file.0, pages, 0, 0, 0],
            Self::Forgotten {
                client,
                file,
                writes,
            } => [6, u64::from(client.0), file.0, writes, 0, 0, 0],
            Self::Brick { brick, up } => [7, u64::from(brick), u64::from(up), 0, 0, 0, 0],
            Self::Healed { brick, file } => [8, u64::from(brick), file.0, 0, 0, 0, 0],
        }
    }
}

/// The record of a run.
#[derive(Clone, Debug)]
pub struct Trace {
    hash: u64,
    count: u64,
    kept: Option<Vec<Event>>,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            hash: FNV_BASIS,
            count: 0,
            kept: None,
        }
    }
}

impl Trace {
    /// From now on keeps the events themselves, for as long as the volume lives.
    pub fn keep(&mut self) {
        self.kept.get_or_insert_default();
    }

    /// Adds one decision.
    pub fn push(&mut self, event: Event) {
        for word in event.words() {
            // FNV-1a over words instead of bytes: as sensitive for our purpose, eight times faster.
            self.hash = (self.hash ^ word).wrapping_mul(FNV_PRIME);
            self.hash ^= self.hash >> 29;
        }
        self.count += 1;
        if let Some(kept) = &mut self.kept {
            kept.push(event);
        }
    }

    /// One number for all decisions so far and their order.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many decisions there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The events kept.
    pub fn events(&self) -> &[Event] {
        self.kept.as_deref().unwrap_or_default()
    }
}

const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
