//! Operations in flight and how they end.

use crate::{BlockSize, Buffer, Extent, Fault, Space, Span};

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
    /// Give up the space of `span`, whose bytes read as zeros afterwards where
    /// [`Thin::unmapped_zero`] says so.
    Unmap {
        /// Which bytes.
        span: Span,
        /// As for a write: after a power cut the bytes are not what they were before.
        durable: bool,
    },
    /// Store zeros, whether that takes space or gives it up.
    WriteZeroes {
        /// Where.
        span: Span,
        /// As for a write.
        durable: bool,
    },
    /// Which bytes of `span` have space of their own. May tell of a part, from its beginning on.
    Extents {
        /// Which bytes to look at.
        span: Span,
        /// In order, without gaps, from the beginning of `span` on; comes back filled.
        found: Vec<Extent>,
    },
    /// How much room is left.
    Space {
        /// Comes back filled.
        found: Option<Space>,
    },
    /// Make every change answered before this operation was submitted durable, whoever sent it.
    ///
    /// A failed flush answers [`Fault::FlushFailed`], and later flushes of the image go on
    /// failing: the kernel may already have dropped the pages.
    Flush,
}

impl Op {
    /// The bytes it is about; none for those that are about the image. `None` beyond 2^64 too.
    pub fn span(&self) -> Option<Span> {
        match self {
            Self::Read { at, buffer } | Self::Write { at, buffer, .. } => Some(Span {
                at: *at,
                len: buffer.len() as u64,
            }),
            Self::Unmap { span, .. }
            | Self::WriteZeroes { span, .. }
            | Self::Extents { span, .. } => Some(*span),
            Self::Space { .. } | Self::Flush => None,
        }
    }

    /// Whether it changes the bytes of its span.
    pub fn changes(&self) -> bool {
        match self {
            Self::Write { .. } | Self::Unmap { .. } | Self::WriteZeroes { .. } => true,
            Self::Read { .. } | Self::Extents { .. } | Self::Space { .. } | Self::Flush => false,
        }
    }

    /// The memory it carries.
    pub fn buffer(&self) -> Option<&Buffer> {
        match self {
            Self::Read { buffer, .. } | Self::Write { buffer, .. } => Some(buffer),
            _ => None,
        }
    }

    /// Gives the memory back.
    pub fn into_buffer(self) -> Option<Buffer> {
        match self {
            Self::Read { buffer, .. } | Self::Write { buffer, .. } => Some(buffer),
            _ => None,
        }
    }
}

/// The answer to a ticket: one, with one exception, see [`Stage`].
#[derive(Debug)]
pub struct Completion {
    /// Which operation.
    pub ticket: Ticket,
    /// How it ended.
    pub outcome: Result<(), Fault>,
    /// The buffer of a read or write, given back with the first completion.
    pub buffer: Option<Buffer>,
    /// What was asked about the image.
    pub found: Found,
    /// Which of its answers it is.
    pub stage: Stage,
}

/// Which of a ticket's answers a completion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The only one.
    Only,
    /// The operation changes bytes, passed its deadline and may still land: the first of two, with
    /// [`Fault::TimedOut`]. The ticket goes on.
    Overdue,
    /// Of one that was overdue: nothing of it can land any more. Brings nothing along.
    Late,
}

/// What an operation found out about an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Found {
    /// It did not ask.
    #[default]
    Nothing,
    /// To [`Op::Extents`].
    Extents(Vec<Extent>),
    /// To [`Op::Space`].
    Space(Space),
}

impl Completion {
    /// The answer to `op`, with all that it carries.
    pub fn of(ticket: Ticket, op: Op, outcome: Result<(), Fault>) -> Self {
        let (buffer, found) = match op {
            Op::Read { buffer, .. } | Op::Write { buffer, .. } => (Some(buffer), Found::Nothing),
            Op::Extents { found, .. } if outcome.is_ok() => (None, Found::Extents(found)),
            Op::Space { found: Some(space) } if outcome.is_ok() => (None, Found::Space(space)),
            Op::Unmap { .. }
            | Op::WriteZeroes { .. }
            | Op::Extents { .. }
            | Op::Space { .. }
            | Op::Flush => (None, Found::Nothing),
        };
        Self {
            ticket,
            outcome,
            buffer,
            found,
            stage: Stage::Only,
        }
    }

    /// The first of two answers, while the operation goes on; `buffer` stands in for its own.
    pub fn overdue(ticket: Ticket, buffer: Option<Buffer>) -> Self {
        Self {
            ticket,
            outcome: Err(Fault::TimedOut),
            buffer,
            found: Found::Nothing,
            stage: Stage::Overdue,
        }
    }

    /// The second of two answers.
    pub fn late(ticket: Ticket, outcome: Result<(), Fault>) -> Self {
        Self {
            ticket,
            outcome,
            buffer: None,
            found: Found::Nothing,
            stage: Stage::Late,
        }
    }

    /// Whether nothing of the operation can land any more.
    pub fn ends_ticket(&self) -> bool {
        self.stage != Stage::Overdue
    }
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
    /// What it can do about space.
    pub thin: Thin,
}

/// What an image can do about the space it takes. Zeros can be stored in every image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thin {
    /// It takes [`Op::Unmap`].
    pub unmap: bool,
    /// What was unmapped reads as zeros.
    pub unmapped_zero: bool,
    /// It stores zeros without being sent them.
    pub quick_zeroes: bool,
    /// It takes [`Op::Extents`].
    pub extents: bool,
    /// It takes [`Op::Space`].
    pub space: bool,
}

impl Caps {
    /// Whether an image like this takes `op`: in bounds, whole blocks, permitted, known to it.
    pub fn admit(&self, op: &Op) -> Result<(), Fault> {
        let known = match op {
            Op::Unmap { .. } => self.thin.unmap,
            Op::Extents { .. } => self.thin.extents,
            Op::Space { .. } => self.thin.space,
            Op::Read { .. } | Op::Write { .. } | Op::WriteZeroes { .. } | Op::Flush => true,
        };
        if op.changes() && self.read_only {
            return Err(Fault::ReadOnly);
        }
        if !known {
            return Err(Fault::Unsupported);
        }
        let Some(span) = op.span() else {
            return Ok(());
        };
        let end = span.at.checked_add(span.len);
        let whole = |n: u64| n.is_multiple_of(u64::from(self.block_size.bytes()));
        match end {
            Some(end) if end <= self.bytes && whole(span.at) && whole(end) => Ok(()),
            _ => Err(Fault::OutOfRange),
        }
    }
}
