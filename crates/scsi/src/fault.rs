//! The one table from storage's failures to what the initiator is told.

use block::Fault;

use crate::{Sense, Status};

/// How a command ends that storage could not carry out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// CHECK CONDITION with this sense.
    Check(Sense),
    /// This status, without sense.
    Status(Status),
}

/// What `fault` means for a command; `is_write` tells whether it was to change the medium (a WRITE
/// or a SYNCHRONIZE CACHE) or to read it.
///
/// MEDIUM ERROR is kept for the medium and DATA PROTECT for blocks that may not be written, because
/// initiators give up on both; whatever may pass is BUSY, which they requeue.
pub fn map(fault: Fault, is_write: bool) -> Answer {
    let medium = if is_write {
        Sense::WRITE_ERROR
    } else {
        Sense::UNRECOVERED_READ_ERROR
    };
    Answer::Check(match fault {
        Fault::ReadFailed | Fault::WriteFailed => medium,
        // Blocks answered GOOD before may be lost: an error in writing them, whoever asks.
        Fault::FlushFailed => Sense::WRITE_ERROR,
        Fault::NoSpace if is_write => Sense::SPACE_ALLOCATION_FAILED,
        Fault::ReadOnly if is_write => Sense::WRITE_PROTECTED,
        // A read needs neither space nor permission to write.
        Fault::NoSpace | Fault::ReadOnly => Sense::UNRECOVERED_READ_ERROR,
        Fault::Unreachable | Fault::TimedOut => return Answer::Status(Status::BUSY),
        Fault::Gone => Sense::INTERNAL_TARGET_FAILURE,
        Fault::OutOfRange => Sense::LBA_OUT_OF_RANGE,
        Fault::Unsupported => Sense::INVALID_COMMAND_OPERATION_CODE,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// key/asc/ascq or a status, as T10 and SAM-5 number them.
    fn code(fault: Fault, is_write: bool) -> (u8, u8, u8) {
        match map(fault, is_write) {
            Answer::Check(sense) => (sense.key.0, sense.asc, sense.ascq),
            Answer::Status(status) => (0, 0, status.0),
        }
    }

    #[test]
    fn every_fault_has_its_code() {
        for (fault, read, write) in [
            (Fault::ReadFailed, (0x3, 0x11, 0x00), (0x3, 0x0c, 0x00)),
            (Fault::WriteFailed, (0x3, 0x11, 0x00), (0x3, 0x0c, 0x00)),
            (Fault::FlushFailed, (0x3, 0x0c, 0x00), (0x3, 0x0c, 0x00)),
            (Fault::NoSpace, (0x3, 0x11, 0x00), (0x7, 0x27, 0x07)),
            (Fault::ReadOnly, (0x3, 0x11, 0x00), (0x7, 0x27, 0x00)),
            (Fault::Unreachable, (0, 0, 0x08), (0, 0, 0x08)),
            (Fault::TimedOut, (0, 0, 0x08), (0, 0, 0x08)),
            (Fault::Gone, (0x4, 0x44, 0x00), (0x4, 0x44, 0x00)),
            (Fault::OutOfRange, (0x5, 0x21, 0x00), (0x5, 0x21, 0x00)),
            (Fault::Unsupported, (0x5, 0x20, 0x00), (0x5, 0x20, 0x00)),
        ] {
            assert_eq!(code(fault, false), read, "{fault:?} on a read");
            assert_eq!(code(fault, true), write, "{fault:?} on a write");
        }
    }
}
