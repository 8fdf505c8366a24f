//! How the engine reaches logical units it does not own.

use scsi::Unit;

/// A logical unit of this process. LUNs are names for these, per target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitId(pub u32);

/// The units as one session has them, wherever they live: behind mutexes in production, in a plain
/// map in a world.
pub trait Units {
    /// Runs `look` on one unit, or answers `None` where the session does not hold it. The closure
    /// is short: it plans or counts, and never waits.
    fn with<R>(&mut self, unit: UnitId, look: impl FnOnce(&mut Unit) -> R) -> Option<R>;

    /// The session is going to look at this unit, until it lets go of it.
    fn hold(&mut self, unit: UnitId);

    /// The session never looks at this unit again, and has nothing in flight on it.
    fn let_go(&mut self, unit: UnitId);
}
