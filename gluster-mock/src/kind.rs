//! Kinds of volumes, as far as they behave differently: where a file is, how many bricks must do a
//! thing, and which may be read.

use crate::call::Ino;

/// How a volume spreads files over its bricks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Every brick has every file whole (`replica N`; one brick is a plain volume).
    #[default]
    Replica,
    /// The same, and the last brick has names and no bytes (`replica 2 arbiter 1`).
    Arbiter,
    /// Bricks have fragments, all but one of which are needed (`disperse N redundancy 1`). As
    /// behaviour: each brick here has the file whole, and a quorum answers like fragments would.
    Disperse,
    /// Each file is on one brick.
    Distribute,
}

impl Kind {
    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "replica" => Some(Self::Replica),
            "arbiter" => Some(Self::Arbiter),
            "disperse" => Some(Self::Disperse),
            "distribute" => Some(Self::Distribute),
            _ => None,
        }
    }

    /// Whether AFR is above the bricks: inode locks, slow refusals, lock heal.
    pub fn is_replicated(self, bricks: usize) -> bool {
        matches!(self, Self::Replica | Self::Arbiter) && bricks > 1
    }

    /// Bit for each brick that has the file.
    pub(crate) fn placement(self, bricks: usize, file: Ino) -> Set {
        match self {
            Self::Distribute => Set(1 << (file.0 % bricks as u64)),
            Self::Replica | Self::Arbiter | Self::Disperse => Set::all(bricks),
        }
    }

    /// Whether these are enough of the bricks that have the file. Replicas count as quorum-type
    /// `auto` does: more than half, or half with the first.
    pub(crate) fn suffices(self, bricks: usize, done: Set, placed: Set) -> bool {
        let count = done.count();
        match self {
            Self::Distribute => done.contains_all(placed),
            Self::Disperse => count + 1 >= bricks,
            Self::Replica | Self::Arbiter => {
                count * 2 > bricks || (count * 2 == bricks && done.has(0))
            }
        }
    }

    /// Whether the brick has bytes to read.
    pub(crate) fn has_bytes(self, bricks: usize, brick: usize) -> bool {
        self != Self::Arbiter || brick + 1 < bricks
    }
}

/// Some of the bricks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Set(pub(crate) u16);

impl Set {
    pub(crate) fn all(bricks: usize) -> Self {
        Self(((1_u32 << bricks) - 1) as u16)
    }

    pub(crate) fn has(self, brick: usize) -> bool {
        self.0 >> brick & 1 == 1
    }

    pub(crate) fn add(&mut self, brick: usize) {
        self.0 |= 1 << brick;
    }

    pub(crate) fn take(&mut self, brick: usize) {
        self.0 &= !(1 << brick);
    }

    pub(crate) fn count(self) -> usize {
        self.0.count_ones() as usize
    }

    fn contains_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        (0..16).filter(move |&brick| self.has(brick))
    }
}
