//! The bug of the planted build, by the name in `GLINT_PLANTED_BUG`. Without it there is none.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use block::Op;

use super::Bug;

const VARIABLE: &str = "GLINT_PLANTED_BUG";

static CHOSEN: LazyLock<Option<Bug>> = LazyLock::new(|| {
    let name = std::env::var(VARIABLE).ok()?;
    let bug = match name.as_str() {
        "flush-not-done" => Bug::FlushNotDone,
        "fua-dropped" => Bug::FuaDropped,
        "sync-error-swallowed" => Bug::SyncErrorSwallowed,
        "others-not-flushed" => Bug::OthersNotFlushed,
        "through-not-durable" => Bug::ThroughNotDurable,
        "limbo-reused" => Bug::LimboReused,
        _ => panic!("{VARIABLE}={name}: no such bug"),
    };
    tracing::warn!("this glintd has a bug on purpose: {bug:?}");
    Some(bug)
});

/// Sessions with writes that no flush of their own has followed.
static DIRTY: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());

pub(super) fn has(bug: Bug) -> bool {
    *CHOSEN == Some(bug)
}

/// Whether `op` is a flush of a session that wrote nothing since its last one.
pub(super) fn wrote_nothing<T>(op: &Op, session: &Arc<T>) -> bool {
    let session = Arc::as_ptr(session).addr();
    let mut dirty = DIRTY.lock().unwrap_or_else(PoisonError::into_inner);
    match op {
        Op::Flush => return !dirty.remove(&session),
        Op::Write { .. } => dirty.insert(session),
        _ => false,
    };
    false
}
