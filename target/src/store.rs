//! Where blocks live: the seam between tickets and whatever keeps the bytes.
//!
//! A store answers every ticket exactly once, either at once into the caller's list or later into
//! the session's [`Completions`]. It knows neither SCSI nor sessions.

pub mod file;
pub mod mem;
mod pending;
mod spec;

use std::sync::Arc;

use block::{Caps, Completion, Fault, Op, Ticket};

use crate::inbox::Completions;

pub(crate) use pending::completion;
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
}

/// Physical blocks of an image: one page, unless its size is no whole number of them.
fn physical_bytes(bytes: u64, settings: &Settings) -> u32 {
    const PAGE_BYTES: u32 = 4096;
    match bytes.is_multiple_of(u64::from(PAGE_BYTES)) {
        true => PAGE_BYTES,
        false => settings.block_size.bytes(),
    }
}

pub(crate) fn caps(bytes: u64, settings: &Settings) -> Caps {
    Caps {
        bytes,
        block_size: settings.block_size,
        physical_bytes: physical_bytes(bytes, settings),
        read_only: settings.read_only,
        volatile_cache: settings.volatile_cache,
    }
}

/// Whether an operation may touch the image at all.
pub(crate) fn admit(caps: &Caps, op: &Op) -> Result<(), Fault> {
    let (at, len, writes) = match op {
        Op::Read { at, buffer } => (*at, buffer.len(), false),
        Op::Write { at, buffer, .. } => (*at, buffer.len(), true),
        Op::Flush => return Ok(()),
    };
    if writes && caps.read_only {
        return Err(Fault::ReadOnly);
    }
    let end = at.checked_add(len as u64);
    let whole = |n: u64| n.is_multiple_of(u64::from(caps.block_size.bytes()));
    match end {
        Some(end) if end <= caps.bytes && whole(at) && whole(end) => Ok(()),
        _ => Err(Fault::OutOfRange),
    }
}
