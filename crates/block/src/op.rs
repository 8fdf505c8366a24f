//! Operations in flight and how they end.

use crate::{BlockSize, Buffer, Fault};

/// One storage operation in flight. Unique for as long as the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What is asked of an image. Offsets and lengths are whole blocks.
#[derive(Debug)]
pub enum Op {
    /// Fill `buffer` from the bytes at `at`.
    Read {
        /// Byte offset in the image.
        at: u64,
        /// As long as the read; comes back filled.
        buffer: Buffer,
    },
    /// Store `buffer` at `at`.
    Write {
        /// Byte offset in the image.
        at: u64,
        /// What to store.
        buffer: Buffer,
        /// Answer only when the bytes survive a power cut (FUA, or a unit without a volatile
        /// cache).
        durable: bool,
    },
    /// Make every write answered before this operation was submitted durable, whoever sent it.
    ///
    /// A failed flush answers [`Fault::FlushFailed`], and later flushes of the image go on
    /// failing: the kernel may already have dropped the pages.
    Flush,
}

/// The single answer to a ticket.
#[derive(Debug)]
pub struct Completion {
    /// Which operation.
    pub ticket: Ticket,
    /// How it ended.
    pub outcome: Result<(), Fault>,
    /// The buffer of a read or write, given back.
    pub buffer: Option<Buffer>,
}

/// What an image is, asked once when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Size in bytes, a whole number of blocks.
    pub bytes: u64,
    /// The logical block size it is served with.
    pub block_size: BlockSize,
    /// Physical block size in bytes (a power of two, at least the logical one).
    pub physical_bytes: u32,
    /// Writes are refused.
    pub read_only: bool,
    /// Plain writes may sit in a volatile cache until a flush (WCE=1).
    pub volatile_cache: bool,
}
