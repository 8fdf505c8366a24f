//! Syncing one file for many writers: one sync at a time, shared by all who wait, and a failure
//! that is never forgotten.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use block::Fault;

/// The syncs of one file.
#[derive(Debug, Default)]
pub(super) struct Durability {
    /// Syncs that have begun.
    begun: AtomicU64,
    failed: AtomicBool,
    syncing: Mutex<()>,
}

impl Durability {
    /// Makes durable what was written to `file` before the call.
    ///
    /// After a failure the kernel may have dropped the pages and reports success from then on, so
    /// the first failure is every later answer too.
    pub(super) fn sync(&self, file: &File) -> Result<(), Fault> {
        self.sync_with(|| file.sync_data())
    }

    fn sync_with(&self, sync: impl FnOnce() -> io::Result<()>) -> Result<(), Fault> {
        let begun_before = self.begun.load(Ordering::SeqCst);
        let _one_at_a_time = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        // Someone else's sync that began after this call covers it, and is over: we have the lock.
        let covered = self.begun.load(Ordering::SeqCst) > begun_before;
        if !covered && !self.failed.load(Ordering::SeqCst) {
            self.begun.fetch_add(1, Ordering::SeqCst);
            if let Err(why) = sync() {
                self.failed.store(true, Ordering::SeqCst);
                tracing::error!(
                    "flush failed, writes may be lost: {why}; flushes of this image fail from now on"
                );
            }
        }
        match self.failed.load(Ordering::SeqCst) {
            true => Err(Fault::FlushFailed),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_sticks() {
        let durability = Durability::default();
        assert_eq!(durability.sync_with(|| Ok(())), Ok(()));
        let eio = || Err(io::Error::from_raw_os_error(5));
        assert_eq!(durability.sync_with(eio), Err(Fault::FlushFailed));
        assert_eq!(durability.sync_with(|| Ok(())), Err(Fault::FlushFailed));
    }

    #[test]
    fn waiters_share_a_sync_that_began_after_they_came() {
        let durability = Durability::default();
        let syncs = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    let sync = || {
                        syncs.fetch_add(1, Ordering::SeqCst);
                        std::thread::sleep(std::time::Duration::from_millis(20));
                        Ok(())
                    };
                    assert_eq!(durability.sync_with(sync), Ok(()));
                });
            }
        });
        let syncs = syncs.load(Ordering::SeqCst);
        assert!((1..16).contains(&syncs), "{syncs} syncs for 16 callers");
    }
}
