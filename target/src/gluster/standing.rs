//! The file of an image as it is open now, and whether a handle opened anew is still that file: the
//! seam at which an image is ours or no longer.
//!
//! Knows no operations. Invariant: once another file has been found in its place, nothing is served
//! any more; a handle is closed when the last call on it is back.

use std::ffi::CString;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use block::Fault;

use super::calls::{Access, Found, Fs, GlusterFile};
use super::errno::fault;

pub(super) struct Standing {
    volume: Arc<Fs>,
    path: CString,
    access: Access,
    /// What it was when it was first opened.
    known: Found,
    current: RwLock<Arc<GlusterFile>>,
    /// One at a time opens it anew.
    reopening: Mutex<()>,
    /// It could not be opened anew, so far.
    away: AtomicBool,
    /// Another file has its name.
    lost: AtomicBool,
}

impl Standing {
    pub(super) fn new(
        volume: Arc<Fs>,
        path: CString,
        access: Access,
        known: Found,
        file: GlusterFile,
    ) -> Self {
        Self {
            volume,
            path,
            access,
            known,
            current: RwLock::new(Arc::new(file)),
            reopening: Mutex::default(),
            away: AtomicBool::new(false),
            lost: AtomicBool::new(false),
        }
    }

    /// The file, as long as it is ours.
    pub(super) fn current(&self) -> Result<Arc<GlusterFile>, Fault> {
        match self.lost.load(Ordering::SeqCst) {
            true => Err(Fault::Gone),
            false => Ok(self.open_now()),
        }
    }

    fn open_now(&self) -> Arc<GlusterFile> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Opens the file anew, unless that was done since `broken` was current. The fault is what
    /// operations end with where it cannot be done.
    pub(super) fn reopen(&self, broken: &Arc<GlusterFile>) -> Result<(), Fault> {
        let _one_at_a_time = self
            .reopening
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if self.lost.load(Ordering::SeqCst) {
            return Err(Fault::Gone);
        }
        if !Arc::ptr_eq(broken, &self.open_now()) {
            return Ok(());
        }
        let path = self.path.to_string_lossy();
        let file = match self.open_checked() {
            Ok(Some(file)) => Arc::new(file),
            Ok(None) => {
                self.lost.store(true, Ordering::SeqCst);
                tracing::error!("{path}: another file has its name; nothing of it is served");
                return Err(Fault::Gone);
            }
            Err(why) => {
                // Every operation tries; one line is enough until one succeeds.
                if !self.away.swap(true, Ordering::SeqCst) {
                    tracing::error!("{path}: its handle went bad, and no new one: {why}");
                }
                return Err(fault(&why, self.access.write));
            }
        };
        self.away.store(false, Ordering::SeqCst);
        tracing::warn!("{path}: its handle went bad; it was opened anew");
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *current, file);
        drop(current);
        // Closing it waits for bricks, which nobody else must.
        drop(old);
        Ok(())
    }

    /// The file of that name, if it is the one we know. Who owns it is asked here as well, once
    /// images have owners.
    fn open_checked(&self) -> io::Result<Option<GlusterFile>> {
        let file = GlusterFile::open(&self.volume, &self.path, self.access)?;
        let found = file.look()?;
        Ok(is_same(&self.known, &found).then_some(file))
    }
}

/// A file's number is never given again, so another one, made or moved there meanwhile, has its
/// own. One of another size was changed by somebody else.
fn is_same(known: &Found, found: &Found) -> bool {
    (found.kind, found.number, found.bytes) == (known.kind, known.number, known.bytes)
}

#[cfg(test)]
mod tests {
    use super::super::calls::Kind;
    use super::*;

    #[test]
    fn a_file_is_known_by_number_and_size() {
        let known = Found {
            kind: Kind::File,
            number: 7,
            bytes: 8192,
            allocated: 0,
        };
        let written = Found {
            allocated: 4096,
            ..known
        };
        assert!(is_same(&known, &written));
        assert!(!is_same(&known, &Found { number: 8, ..known }));
        assert!(!is_same(
            &known,
            &Found {
                bytes: 4096,
                ..known
            }
        ));
        let folder = Found {
            kind: Kind::Folder,
            ..known
        };
        assert!(!is_same(&known, &folder));
    }
}
