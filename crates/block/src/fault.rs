//! The closed set of ways storage fails. `scsi` turns each into a status or sense, in one match.

/// Why an operation did not happen, or may not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Fault {
    /// The medium could not deliver these bytes (EIO on a read).
    #[error("read error")]
    ReadFailed,
    /// The medium could not take these bytes (EIO on a write).
    #[error("write error")]
    WriteFailed,
    /// What was written before may not be durable (a failed fsync). Sticks: see `Op::Flush`.
    #[error("flush failed: earlier writes may be lost")]
    FlushFailed,
    /// No space left for a thin image (ENOSPC, EDQUOT).
    #[error("no space left on the volume")]
    NoSpace,
    /// The image may not be written (EROFS, EACCES).
    #[error("the image is write-protected")]
    ReadOnly,
    /// Storage is away for now (quorum lost, reconnecting); the initiator may try again.
    #[error("storage is not reachable for now")]
    Unreachable,
    /// The operation passed its deadline and may still land: the first of two answers, see
    /// [`Completion`](crate::Completion).
    #[error("storage did not answer in time")]
    TimedOut,
    /// The image is gone for good (removed, stale handle that does not reopen).
    #[error("the image is gone")]
    Gone,
    /// The operation was outside the image; our own mistake.
    #[error("beyond the end of the image")]
    OutOfRange,
    /// The image cannot do that, as its capabilities said; our own mistake.
    #[error("not supported by this image")]
    Unsupported,
}
