//! What libgfapi said, as a fault: the one table.

use std::io;

use block::Fault;
use rustix::io::Errno;

/// Whether the handle went bad, and not the file: the volume's graph was switched and the file not
/// found in the new one at the time (EBADFD), its lock was lost (EBADF), or the bricks have it no
/// longer under that handle (ESTALE).
pub fn handle_is_bad(why: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(why),
        Some(Errno::BADF | Errno::BADFD | Errno::STALE)
    )
}

/// Whether so many bricks were away that some may have lost power, and with it what sat in their
/// caches.
pub fn bricks_were_away(why: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(why),
        Some(Errno::NOTCONN | Errno::SHUTDOWN | Errno::CONNRESET | Errno::TIMEDOUT)
    )
}

/// The fault of a failed read or write.
pub fn fault(why: &io::Error, write: bool) -> Fault {
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
        // A brick hung for longer than network.frame-timeout. By then nobody waits any more.
        Errno::TIMEDOUT => Fault::Unreachable,
        // The file is no longer ours: locked by another client (EBUSY for a write, EAGAIN for a
        // read). Trying again could write over what another node wrote.
        Errno::BUSY | Errno::AGAIN => Fault::Gone,
        // The handle is bad; a new one of the same file was not to be had, see `standing`.
        Errno::BADF | Errno::BADFD | Errno::STALE | Errno::NOENT => Fault::Gone,
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
            (Errno::TIMEDOUT, true, Fault::Unreachable),
            (Errno::BUSY, true, Fault::Gone),
            (Errno::AGAIN, false, Fault::Gone),
            (Errno::BADF, true, Fault::Gone),
            (Errno::BADFD, true, Fault::Gone),
            (Errno::STALE, false, Fault::Gone),
        ];
        for (errno, write, expected) in cases {
            assert_eq!(fault(&errno.into(), write), expected, "{errno:?}");
        }
        assert!(handle_is_bad(&Errno::BADFD.into()));
        assert!(!handle_is_bad(&Errno::NOTCONN.into()));
        let short = io::ErrorKind::UnexpectedEof.into();
        assert_eq!(fault(&short, false), Fault::ReadFailed);
    }
}
