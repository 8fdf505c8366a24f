//! Where storage asks for the bugs that are planted in it ([`::planted`]), where that takes more
//! than a word.
//! Invariant: in every build but the planted one all of this does nothing and nothing is left of it.

use std::io;
use std::sync::Arc;
#[cfg(glint_planted)]
use std::sync::Weak;

use block::Op;

use crate::inbox::Completions;

pub(crate) use ::planted::{Bug, has};

/// Says at the start that a process has a bug.
pub(crate) fn announce() {
    #[cfg(glint_planted)]
    if let Some(bug) = ::planted::chosen() {
        tracing::warn!("this glintd has a bug on purpose: {}", bug.name());
    }
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

/// Sessions that wrote to an image since their last flush. Held weakly, so that the place of one
/// that is gone is no other's meanwhile.
#[derive(Default)]
pub(crate) struct Writers(#[cfg(glint_planted)] Vec<Weak<Completions>>);

impl Writers {
    /// Whether the flush of a session is skipped; takes note of its writes.
    #[cfg(glint_planted)]
    pub(crate) fn skip_flush(&mut self, op: &Op, session: &Arc<Completions>) -> bool {
        if !has(Bug::OthersNotFlushed) {
            return false;
        }
        let session = Arc::downgrade(session);
        let known = self.0.iter().position(|other| other.ptr_eq(&session));
        match (op, known) {
            (Op::Write { .. }, None) => self.0.push(session),
            (Op::Flush, Some(place)) => drop(self.0.swap_remove(place)),
            (Op::Flush, None) => return true,
            _ => {}
        }
        false
    }

    /// Whether the flush of a session is skipped: never.
    #[cfg(not(glint_planted))]
    pub(crate) const fn skip_flush(&self, _: &Op, _: &Arc<Completions>) -> bool {
        false
    }
}
