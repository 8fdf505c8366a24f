//! Where blocks live: the seam between tickets and whatever keeps the bytes.
//!
//! A store answers every ticket, either at once into the caller's list or later into the session's
//! [`Completions`]. It knows neither SCSI nor sessions.

pub mod file;
pub mod mem;
mod pending;
mod spec;
pub(crate) mod thin;

use std::sync::Arc;
use std::time::Duration;

use block::{Caps, Completion, Fault, Op, Thin, Ticket};

use crate::gluster::ImageId;
use crate::inbox::Completions;

pub use spec::{OpenError, StoreSpec};

/// An image that is open.
pub trait Store: Send + Sync {
    /// What it is.
    fn caps(&self) -> Caps;

    /// Takes every operation of `batch`, which is empty afterwards. What need not wait is answered
    /// into `done`, everything else into `reply`.
    fn submit(
        &self,
        batch: &mut Vec<(Ticket, Op)>,
        done: &mut Vec<Completion>,
        reply: &Arc<Completions>,
    );

    /// Makes durable what was answered so far. Blocks; for the way out.
    fn sync(&self) -> Result<(), Fault>;

    /// Whether nothing it was given can land any more, not even what was answered before its end
    /// because it took too long.
    fn is_at_rest(&self) -> bool {
        true
    }

    /// Who it is, where that is kept with it. `None` for what is known by its place alone.
    fn image(&self) -> Option<ImageId> {
        None
    }
}

/// How an image is to be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The logical block size.
    pub block_size: block::BlockSize,
    /// Refuse writes.
    pub read_only: bool,
    /// Plain writes may sit in a volatile cache until a flush.
    pub volatile_cache: bool,
    /// How long an operation may take, where storage may be away for a while (Gluster).
    pub storage_timeout: Duration,
}

impl Default for Settings {
    /// 512-byte blocks whose writes are durable when answered.
    fn default() -> Self {
        Self {
            block_size: block::BlockSize::B512,
            read_only: false,
            volatile_cache: false,
            storage_timeout: STORAGE_TIMEOUT,
        }
    }
}

/// Below the 30 s after which Linux aborts, above a brick's hang of twice the recommended
/// `network.ping-timeout` of 5 to 10 s.
pub(crate) const STORAGE_TIMEOUT: Duration = Duration::from_secs(20);

/// Physical blocks of an image: one page, unless its size is no whole number of them.
fn physical_bytes(bytes: u64, settings: &Settings) -> u32 {
    const PAGE_BYTES: u32 = 4096;
    match bytes.is_multiple_of(u64::from(PAGE_BYTES)) {
        true => PAGE_BYTES,
        false => settings.block_size.bytes(),
    }
}

pub(crate) fn caps(bytes: u64, settings: &Settings, thin: Thin) -> Caps {
    Caps {
        bytes,
        block_size: settings.block_size,
        physical_bytes: physical_bytes(bytes, settings),
        read_only: settings.read_only,
        volatile_cache: settings.volatile_cache,
        thin,
    }
}
