//! What libgfapi said, as a fault: the one table.

use std::io;

use block::Fault;
use rustix::io::Errno;

/// The fault of a failed read or write.
pub(super) fn fault(why: &io::Error, write: bool) -> Fault {
    tracing::debug!("libgfapi said: {why}");
    let medium = if write {
        Fault::WriteFailed
    } else {
        Fault::ReadFailed
    };
    // Without an errno it is a short transfer: bytes the image should have and does not.
    let Some(errno) = Errno::from_io_error(why) else {
        return medium;
    };
    match errno {
        Errno::NOSPC | Errno::DQUOT => Fault::NoSpace,
        Errno::ROFS | Errno::ACCESS | Errno::PERM => Fault::ReadOnly,
        // No quorum, or all of it away; the same file goes on once enough bricks are back.
        Errno::NOTCONN | Errno::SHUTDOWN | Errno::CONNRESET | Errno::NOMEM | Errno::INTR => {
            Fault::Unreachable
        }
        // A brick hung for longer than network.frame-timeout and may wake up.
        Errno::TIMEDOUT => Fault::TimedOut,
        // The file is no longer ours or no longer there: locked by another client (EBUSY for a
        // write, EAGAIN for a read), the lock lost (EBADF), or not found again after the volume
        // changed. Trying again could write over what another node wrote.
        Errno::BUSY | Errno::AGAIN | Errno::BADF | Errno::BADFD | Errno::STALE | Errno::NOENT => {
            Fault::Gone
        }
        Errno::FBIG => Fault::OutOfRange,
        _ => medium,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        let cases = [
            (Errno::IO, true, Fault::WriteFailed),
            (Errno::IO, false, Fault::ReadFailed),
            (Errno::INVAL, false, Fault::ReadFailed),
            (Errno::NOSPC, true, Fault::NoSpace),
            (Errno::DQUOT, true, Fault::NoSpace),
            (Errno::ROFS, true, Fault::ReadOnly),
            (Errno::PERM, true, Fault::ReadOnly),
            (Errno::NOTCONN, true, Fault::Unreachable),
            (Errno::NOTCONN, false, Fault::Unreachable),
            (Errno::SHUTDOWN, true, Fault::Unreachable),
            (Errno::NOMEM, true, Fault::Unreachable),
            (Errno::TIMEDOUT, true, Fault::TimedOut),
            (Errno::BUSY, true, Fault::Gone),
            (Errno::AGAIN, false, Fault::Gone),
            (Errno::BADF, true, Fault::Gone),
            (Errno::BADFD, true, Fault::Gone),
            (Errno::STALE, false, Fault::Gone),
        ];
        for (errno, write, expected) in cases {
            assert_eq!(fault(&errno.into(), write), expected, "{errno:?}");
        }
        let short = io::ErrorKind::UnexpectedEof.into();
        assert_eq!(fault(&short, false), Fault::ReadFailed);
    }
}
