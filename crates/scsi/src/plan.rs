//! What is to be done about a command.

use block::Span;

use crate::{Sense, Status};

/// The unit's answer to a CDB: a reply now, or what to ask of storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// GOOD, with these bytes of Data-In, never none, already cut to the CDB's allocation length.
    Data(Vec<u8>),
    /// GOOD, nothing to transfer.
    Good,
    /// CHECK CONDITION with this sense.
    Check(Sense),
    /// Another status, without sense.
    Status(Status),
    /// Read these bytes, never zero of them.
    Read {
        /// Where in the image.
        span: Span,
    },
    /// Write these bytes, never zero of them.
    Write {
        /// Where in the image.
        span: Span,
        /// Answer only when they survive a power cut: FUA, or a unit without a volatile cache.
        durable: bool,
    },
    /// Make every write answered so far durable.
    Flush {
        /// Answer GOOD at once, and flush all the same.
        immediate: bool,
    },
}

impl Plan {
    /// `data`, cut to the CDB's ALLOCATION LENGTH. Less than asked for is not an error, nor is
    /// nothing at all (SPC-4 4.2.5.6).
    pub(crate) fn data_in(mut data: Vec<u8>, allocation_length: impl Into<u64>) -> Self {
        data.truncate(usize::try_from(allocation_length.into()).unwrap_or(usize::MAX));
        if data.is_empty() {
            Self::Good
        } else {
            Self::Data(data)
        }
    }
}

impl From<Result<Self, Sense>> for Plan {
    fn from(result: Result<Self, Sense>) -> Self {
        result.unwrap_or_else(Self::Check)
    }
}
