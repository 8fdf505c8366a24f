//! What the system said, as a fault: the one table.

use std::io;

use block::Fault;
use rustix::io::Errno;

/// The fault of a failed read or write.
pub(super) fn fault(why: &io::Error, write: bool) -> Fault {
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
        Errno::NOENT | Errno::STALE | Errno::NODEV | Errno::NXIO | Errno::BADF => Fault::Gone,
        Errno::AGAIN
        | Errno::INTR
        | Errno::BUSY
        | Errno::NOMEM
        | Errno::NOBUFS
        | Errno::NOTCONN
        | Errno::CONNABORTED
        | Errno::CONNREFUSED
        | Errno::CONNRESET
        | Errno::HOSTDOWN
        | Errno::HOSTUNREACH
        | Errno::NETDOWN
        | Errno::NETUNREACH
        | Errno::SHUTDOWN
        | Errno::TIMEDOUT => Fault::Unreachable,
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
            (Errno::NOSPC, true, Fault::NoSpace),
            (Errno::DQUOT, true, Fault::NoSpace),
            (Errno::ROFS, true, Fault::ReadOnly),
            (Errno::STALE, false, Fault::Gone),
            (Errno::NOTCONN, true, Fault::Unreachable),
            (Errno::TIMEDOUT, true, Fault::Unreachable),
        ];
        for (errno, write, expected) in cases {
            assert_eq!(fault(&errno.into(), write), expected, "{errno:?}");
        }
        assert_eq!(
            fault(&io::ErrorKind::UnexpectedEof.into(), false),
            Fault::ReadFailed
        );
    }
}
