//! What the sessions of a round do, drawn from its seed. Knows nothing of what comes of it.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::stamp::SECTOR;

/// Sectors of the image: 4 MiB.
pub(super) const SECTORS: u64 = (4 << 20) / SECTOR as u64;

/// Sectors most commands are about, so that they meet.
const HOT: u64 = 512;

/// The largest write: 256 KiB.
const LARGEST: u64 = (256 << 10) / SECTOR as u64;

/// One thing to do. Ranges are first sector and number of sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// WRITE.
    Write {
        /// Where.
        range: (u64, u64),
        /// With FUA.
        fua: bool,
        /// WRITE(16), not (10).
        long: bool,
    },
    /// READ.
    Read {
        /// Where.
        range: (u64, u64),
    },
    /// SYNCHRONIZE CACHE.
    Sync {
        /// What of; nothing stands for everything.
        range: Option<(u64, u64)>,
        /// SYNCHRONIZE CACHE(16), not (10).
        long: bool,
    },
    /// ABORT TASK, of one of its own commands.
    Abort,
    /// LOGICAL UNIT RESET.
    Reset,
}

/// What a session is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Does everything.
    Writer,
    /// Writes nothing: it reads and flushes what others wrote.
    Keeper,
}

/// Of 1000 commands, how many are what.
#[derive(Debug)]
struct Mix {
    fua: u32,
    sync: u32,
    /// Of the keeper's commands.
    keeper_sync: u32,
    /// Aborts and resets: they would take away the writes that hang before those are overdue.
    manage: bool,
}

impl Mix {
    /// Bricks make a whole file durable with one durable write, which hides what flushes fail to
    /// do, and flushes hide what FUA fails to do. So a round has mostly the one or the other, and
    /// five in a row have enough of both.
    fn of(seed: u64) -> Self {
        match seed % 5 {
            2 | 3 => Self {
                fua: 200,
                sync: 4,
                keeper_sync: 10,
                manage: seed % 5 != 2,
            },
            _ => Self {
                fua: 0,
                sync: 6,
                keeper_sync: 300,
                manage: true,
            },
        }
    }
}

/// One session's share.
#[derive(Debug)]
pub(super) struct Load {
    dice: StdRng,
    role: Role,
    mix: Mix,
    /// Sectors in a logical block.
    block: u64,
    /// A write that was given up, to be tried again, as initiators do.
    again: Option<(u64, u64)>,
}

impl Load {
    /// The share of the session of that number.
    pub(super) fn new(seed: u64, session: u16, role: Role, block: u64) -> Self {
        let dice = StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9) ^ u64::from(session));
        Self {
            dice,
            role,
            mix: Mix::of(seed),
            block,
            again: None,
        }
    }

    /// A write there was given up.
    pub(super) fn give_up(&mut self, range: (u64, u64)) {
        self.again = Some(range);
    }

    /// The next thing to do.
    pub(super) fn draw(&mut self) -> Act {
        let long = self.dice.random_bool(0.3);
        let roll = self.dice.random_range(0..1000);
        if self.role == Role::Keeper {
            return match roll < self.mix.keeper_sync {
                true => self.sync(long),
                false => Act::Read {
                    range: self.range(),
                },
            };
        }
        let Mix {
            fua, sync, manage, ..
        } = self.mix;
        match roll {
            0..2 if manage => Act::Reset,
            2..10 if manage => Act::Abort,
            0..230 => Act::Read {
                range: self.range(),
            },
            _ if roll < 230 + fua => self.write(true, long),
            _ if roll < 230 + fua + sync => self.sync(long),
            _ => self.write(false, long),
        }
    }

    fn write(&mut self, fua: bool, long: bool) -> Act {
        let again = self.again.take_if(|_| self.dice.random_bool(0.5));
        let range = again.unwrap_or_else(|| self.range());
        Act::Write { range, fua, long }
    }

    fn sync(&mut self, long: bool) -> Act {
        let range = self.dice.random_bool(0.3).then(|| self.range());
        Act::Sync { range, long }
    }

    /// Whole blocks; more often few than many, and mostly where others are as well.
    fn range(&mut self) -> (u64, u64) {
        let count = match self.dice.random_range(0..100) {
            0..60 => self.dice.random_range(1..8),
            60..88 => self.dice.random_range(8..65),
            88..98 => self.dice.random_range(65..257),
            _ => LARGEST,
        };
        let count = count.div_ceil(self.block) * self.block;
        let within = if self.dice.random_bool(0.7) {
            HOT
        } else {
            SECTORS
        };
        let last = within.saturating_sub(count) / self.block;
        (self.dice.random_range(0..=last) * self.block, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_draws_the_same_whole_blocks_within_the_image() {
        let draw = |seed| {
            let mut load = Load::new(seed, 1, Role::Writer, 8);
            (0..2000).map(|_| load.draw()).collect::<Vec<_>>()
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
        let ranges = draw(3).into_iter().filter_map(|act| match act {
            Act::Write { range, .. } | Act::Read { range } => Some(range),
            Act::Sync { range, .. } => range,
            Act::Abort | Act::Reset => None,
        });
        for (first, count) in ranges {
            assert!(first % 8 == 0 && count % 8 == 0 && count > 0);
            assert!(first + count <= SECTORS && count <= LARGEST);
        }
        let kinds: std::collections::BTreeSet<_> = draw(3)
            .iter()
            .map(std::mem::discriminant)
            .map(|kind| format!("{kind:?}"))
            .collect();
        assert_eq!(kinds.len(), 5, "everything is drawn");
    }
}
