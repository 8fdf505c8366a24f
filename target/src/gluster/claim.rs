//! That an image is served, as others can see it: a shared lock on its record for as long as the
//! image is open here.
//!
//! It keeps nobody from anything; it is for people who are about to do something foolish.
//! Invariant: it is on the record and never on the image, where a volume that enforces locks would
//! turn it against the image's own writes.

use std::sync::Arc;

use super::calls::{Access, Fs, GlusterFile, Lock};
use super::record;

/// Held as long as the image is served. A brick that restarts forgets it.
pub(super) struct Claim {
    _record: GlusterFile,
}

/// Says that the image is served from here, where it has a record to say it on, and warns of
/// others who say so.
pub(super) fn claim(fs: &Arc<Fs>, place: &super::Place, number: u64) -> Option<Claim> {
    let file = open(fs, number, false)?;
    match file.lock_of_others() {
        Ok(false) => {}
        Ok(true) => tracing::warn!(
            "{place}: another glintd serves this image; two that write to it destroy what is on it"
        ),
        Err(why) => tracing::debug!("{place}: who else serves it is not known: {why}"),
    }
    match file.lock(Lock::Shared) {
        Ok(_) => Some(Claim { _record: file }),
        Err(why) => {
            tracing::debug!("{place}: others are not told that it is served: {why}");
            None
        }
    }
}

/// Whether somebody is known to serve the image: `false` where nobody can tell.
pub(super) fn is_claimed(fs: &Arc<Fs>, number: u64) -> bool {
    open(fs, number, true)
        .and_then(|file| file.lock(Lock::Exclusive).ok())
        .is_some_and(|had| !had)
}

fn open(fs: &Arc<Fs>, number: u64, write: bool) -> Option<GlusterFile> {
    let access = Access {
        write,
        direct: false,
        sync: false,
    };
    GlusterFile::open(fs, &record::path(number), access).ok()
}
