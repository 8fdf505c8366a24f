//! Every bound, with its reason.

/// MAXIMUM TRANSFER LENGTH: the largest READ or WRITE. Eight tickets of storage: what one command
/// may claim of the memory that all commands of a session share.
pub const TRANSFER_BYTES_MAX: u32 = 8 << 20;

/// OPTIMAL TRANSFER LENGTH: one storage ticket. Larger commands are split and gain nothing.
pub const OPTIMAL_TRANSFER_BYTES: u32 = 1 << 20;

/// Longest serial number: what fits with room to spare in the one-byte length of the T10 vendor
/// identification designator.
pub const SERIAL_CHARS_MAX: usize = 32;

/// Unit attentions queued for one nexus. There are fewer kinds than this, and no kind is queued
/// twice; see `attention`.
pub(crate) const ATTENTIONS_MAX: usize = 8;
