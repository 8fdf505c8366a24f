//! Bugs planted on purpose, to prove that the proofs see them: the places where storage asks for
//! them. They are in one extra build only (`--cfg glint_planted`, docs/decisions/008), one at a
//! time, chosen by name at run time.
//! Refuses to know how they are found.
//! Invariant: in every other build all of this does nothing and nothing is left of it.

use std::io;
use std::sync::Arc;

use block::Op;

use chosen::has;

#[cfg(glint_planted)]
mod chosen;

/// In every build but one: nothing is.
#[cfg(not(glint_planted))]
mod chosen {
    pub(super) const fn has(_: super::Bug) -> bool {
        false
    }

    pub(super) const fn wrote_nothing<T>(_: &block::Op, _: &std::sync::Arc<T>) -> bool {
        false
    }
}

#[cfg(all(glint_planted, not(debug_assertions)))]
compile_error!("--cfg glint_planted plants bugs: no release is built with it");

/// What can be wrong with the planted build.
#[cfg_attr(glint_planted, derive(Debug))]
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    /// A flush is answered without `fdatasync`.
    FlushNotDone,
    /// FUA is dropped on its way to storage.
    FuaDropped,
    /// The error of an `fdatasync` is swallowed.
    SyncErrorSwallowed,
    /// A flush is skipped for a session that has written nothing itself.
    OthersNotFlushed,
    /// With WCE=0, writes lack O_DSYNC.
    ThroughNotDurable,
    /// Blocks are used again while an overdue write can still change them.
    LimboReused,
}

/// The `fdatasync` of a flush.
pub(crate) fn sync(sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    if has(Bug::FlushNotDone) {
        return Ok(());
    }
    let synced = sync();
    if has(Bug::SyncErrorSwallowed) {
        return Ok(());
    }
    synced
}

/// Whether a write that was to be durable is not.
pub(crate) fn drops_durable(volatile_cache: bool) -> bool {
    has(match volatile_cache {
        true => Bug::FuaDropped,
        false => Bug::ThroughNotDurable,
    })
}

/// Whether the flush of a session is skipped; takes note of its writes.
pub(crate) fn skips_flush<T>(op: &Op, session: &Arc<T>) -> bool {
    has(Bug::OthersNotFlushed) && chosen::wrote_nothing(op, session)
}

/// Whether the blocks of overdue writes are used again.
pub(crate) fn reuses_limbo() -> bool {
    has(Bug::LimboReused)
}
