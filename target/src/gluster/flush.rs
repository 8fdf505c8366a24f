//! Flushing one image for many sessions: one call at a time, shared by all who wait, and a failure
//! that is never forgotten.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use block::Fault;

use crate::planted::{Bug, has};

/// The flushes of one image.
#[derive(Debug, Default)]
pub struct Flushes {
    /// Flushes that have begun; each has its number.
    begun: AtomicU64,
    /// The number of the last one that succeeded.
    succeeded: AtomicU64,
    /// Held while one is under way.
    under_way: Mutex<()>,
    failed: AtomicBool,
    /// Changes that were answered, or are about to be, while they sit in the bricks' caches.
    cached: AtomicU64,
    /// How many of those the last flush that succeeded covers.
    covered: AtomicU64,
    /// Whether plain writes may sit in the bricks' page caches, so that a flush can lose them.
    volatile: bool,
}

/// When a flush was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    begun_before: u64,
}

/// A flush under way.
#[derive(Debug)]
pub struct Begun {
    number: u64,
    /// The changes it covers.
    cached: u64,
}

impl Flushes {
    /// Of an image whose plain writes may sit in caches, or may not.
    pub fn new(volatile: bool) -> Self {
        Self {
            volatile,
            ..Self::default()
        }
    }

    /// Whether plain writes may sit in caches.
    pub fn is_volatile(&self) -> bool {
        self.volatile
    }

    /// Makes durable what was answered before the call, by `flush` or by another's that began
    /// after it.
    pub fn flush(&self, flush: impl FnOnce() -> Result<(), Fault>) -> Result<(), Fault> {
        let asked = self.ask();
        let _one_at_a_time = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match self.begin(asked)? {
            Some(begun) => self.finish(&begun, flush()),
            None => Ok(()),
        }
    }

    /// Somebody wants a flush, and waits while another's is under way.
    pub fn ask(&self) -> Asked {
        let latest = match has(Bug::FlushSharedTooSoon) {
            true => &self.succeeded,
            false => &self.begun,
        };
        Asked {
            begun_before: latest.load(Ordering::SeqCst),
        }
    }

    /// A flush begins; one at a time does. `None` where one that began after `asked` has succeeded.
    /// Refused once one has failed.
    pub fn begin(&self, asked: Asked) -> Result<Option<Begun>, Fault> {
        if self.failed.load(Ordering::SeqCst) {
            return Err(Fault::FlushFailed);
        }
        if self.succeeded.load(Ordering::SeqCst) > asked.begun_before {
            return Ok(None);
        }
        Ok(Some(Begun {
            number: self.begun.fetch_add(1, Ordering::SeqCst) + 1,
            cached: self.cached.load(Ordering::SeqCst),
        }))
    }

    /// What the call came to, and what is said of the flush.
    pub fn finish(&self, begun: &Begun, outcome: Result<(), Fault>) -> Result<(), Fault> {
        if has(Bug::FailedFlushCovers) {
            self.covered.store(begun.cached, Ordering::SeqCst);
        }
        match outcome {
            // One of the writes it covers may have met trouble meanwhile.
            Ok(()) if self.failed.load(Ordering::SeqCst) => Err(Fault::FlushFailed),
            Ok(()) => {
                self.succeeded.store(begun.number, Ordering::SeqCst);
                let covered = match has(Bug::LaterWritesCovered) {
                    true => self.cached.load(Ordering::SeqCst),
                    false => begun.cached,
                };
                self.covered.store(covered, Ordering::SeqCst);
                Ok(())
            }
            // Nothing was in a cache, so nothing is lost: the initiator may ask again.
            Err(fault @ Fault::Unreachable) if !self.owes() => Err(fault),
            Err(_) if has(Bug::FlushFailureForgotten) => Err(Fault::FlushFailed),
            Err(fault) => {
                self.fail(fault);
                Err(Fault::FlushFailed)
            }
        }
    }

    /// A change was made that sits in the bricks' caches. Said before it is answered.
    pub fn cache(&self) {
        if self.volatile {
            self.cached.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn owes(&self) -> bool {
        self.cached.load(Ordering::SeqCst) > self.covered.load(Ordering::SeqCst)
    }

    /// So many bricks were away, or the file's handle was lost, that what sat in their caches may
    /// be gone: killed bricks leave it to their kernels, but those that lost power do not, and
    /// their fsync tells nothing (Gluster has no write verifier). Nobody can tell which it was, so
    /// the next flush does not pretend.
    pub fn shaken(&self) {
        if self.owes() && !has(Bug::ShakenIgnored) {
            self.fail(Fault::Unreachable);
        }
    }

    /// What a write that was to be durable at once came to. Where others may sit in caches, its
    /// failure can be about those, and a later flush would not be told.
    pub fn durable_write(&self, outcome: Result<(), Fault>) -> Result<(), Fault> {
        let told = has(Bug::DurableErrorForgotten);
        if self.volatile && outcome == Err(Fault::WriteFailed) && !told {
            self.fail(Fault::WriteFailed);
        }
        outcome
    }

    fn fail(&self, fault: Fault) {
        if !self.failed.swap(true, Ordering::SeqCst) {
            tracing::error!(
                "flush failed, writes may be lost: {fault}; flushes of this image fail from now on"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_failure_sticks() {
        for volatile in [false, true] {
            let flushes = Flushes::new(volatile);
            assert_eq!(flushes.flush(|| Ok(())), Ok(()));
            let lost = flushes.flush(|| Err(Fault::WriteFailed));
            assert_eq!(lost, Err(Fault::FlushFailed));
            assert_eq!(flushes.flush(|| Ok(())), Err(Fault::FlushFailed));
        }
    }

    #[test]
    fn lost_quorum_sticks_only_where_writes_were_cached() {
        let away = || Err(Fault::Unreachable);
        let through = Flushes::new(false);
        assert_eq!(through.flush(away), Err(Fault::Unreachable));
        assert_eq!(through.flush(|| Ok(())), Ok(()));
        let back = Flushes::new(true);
        assert_eq!(back.flush(away), Err(Fault::Unreachable));
        back.cache();
        assert_eq!(back.flush(away), Err(Fault::FlushFailed));
        assert_eq!(back.flush(|| Ok(())), Err(Fault::FlushFailed));
    }

    #[test]
    fn bricks_that_were_away_may_have_lost_what_was_cached() {
        let back = Flushes::new(true);
        back.shaken();
        back.cache();
        assert_eq!(back.flush(|| Ok(())), Ok(()));
        back.shaken();
        assert_eq!(back.flush(|| Ok(())), Ok(()), "all of it was durable");
        back.cache();
        back.shaken();
        assert_eq!(back.flush(|| Ok(())), Err(Fault::FlushFailed));
        let through = Flushes::new(false);
        through.cache();
        through.shaken();
        assert_eq!(through.flush(|| Ok(())), Ok(()), "nothing was cached");
    }

    #[test]
    fn a_flush_covers_what_was_answered_before_it_began() {
        let back = Flushes::new(true);
        let begun = back.begin(back.ask()).expect("none has failed");
        let begun = begun.expect("none that began later has succeeded");
        back.cache();
        assert_eq!(back.finish(&begun, Ok(())), Ok(()));
        back.shaken();
        assert_eq!(back.flush(|| Ok(())), Err(Fault::FlushFailed));
    }

    #[test]
    fn a_durable_write_may_have_swallowed_the_error_of_a_cached_one() {
        let back = Flushes::new(true);
        let failed = Err(Fault::WriteFailed);
        assert_eq!(back.durable_write(failed), failed);
        assert_eq!(back.flush(|| Ok(())), Err(Fault::FlushFailed));
    }

    #[test]
    fn those_who_wait_for_a_flush_that_failed_try_themselves() {
        let flushes = Flushes::new(false);
        let calls = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let away = || {
                        calls.fetch_add(1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(20));
                        Err(Fault::Unreachable)
                    };
                    assert_eq!(flushes.flush(away), Err(Fault::Unreachable));
                });
            }
        });
        assert_eq!(calls.load(Ordering::SeqCst), 4);
    }

    #[test]
    fn those_who_wait_share_a_flush_that_began_after_they_came() {
        let flushes = Flushes::new(true);
        let calls = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    let works = || {
                        calls.fetch_add(1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(20));
                        Ok(())
                    };
                    assert_eq!(flushes.flush(works), Ok(()));
                });
            }
        });
        let calls = calls.load(Ordering::SeqCst);
        assert!((1..16).contains(&calls), "{calls} flushes for 16 callers");
    }
}
