//! Which bug is made: the thread's choice, or else the process's.

use std::cell::Cell;
use std::sync::LazyLock;

use crate::{Bug, VARIABLE};

/// The bug of this process.
static OF_PROCESS: LazyLock<Option<Bug>> = LazyLock::new(|| {
    let word = std::env::var(VARIABLE).ok()?;
    let bug = Bug::find(&word);
    Some(bug.unwrap_or_else(|| panic!("{VARIABLE}={word}: no such bug")))
});

thread_local! {
    /// What this thread chose, if it chose: a bug, or none whatever the process has.
    static OF_THREAD: Cell<Option<Option<Bug>>> = const { Cell::new(None) };
}

/// From now on this thread makes that bug and no other, or none at all.
pub fn choose(bug: Option<Bug>) {
    OF_THREAD.set(Some(bug));
}

/// The bug that is made here.
pub fn chosen() -> Option<Bug> {
    OF_THREAD.get().unwrap_or_else(|| *OF_PROCESS)
}
