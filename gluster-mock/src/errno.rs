//! Error numbers as Linux has them. The model answers nothing else.

use std::fmt;

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "wire", derive(serde::Serialize, serde::Deserialize))]
pub struct Errno(pub i32);

macro_rules! numbers {
    ($($name:ident = $number:literal, $meaning:literal;)*) => {
        impl Errno {
            $(#[doc = $meaning] pub const $name: Self = Self($number);)*

            /// Every number that has a name here.
            pub const NAMED: &'static [(&'static str, Errno)] =
                &[$((stringify!($name), Self::$name)),*];
        }
    };
}

numbers! {
    EPERM = 1, "Not permitted.";
    ENOENT = 2, "No such file, directory or volume.";
    EIO = 5, "The medium failed.";
    ENXIO = 6, "Nothing to seek to.";
    EBADF = 9, "Not an open handle, or one that went bad.";
    EAGAIN = 11, "Refused by a mandatory lock.";
    ENOMEM = 12, "Out of memory.";
    EACCES = 13, "Permission denied.";
    EBUSY = 16, "Another client owns the lock.";
    EEXIST = 17, "There already.";
    ENOTDIR = 20, "A path through a file.";
    EISDIR = 21, "A directory where a file was meant.";
    EINVAL = 22, "A senseless argument.";
    ENOSPC = 28, "A brick is full.";
    EROFS = 30, "The volume may not be written.";
    ERANGE = 34, "The buffer is too small for the answer.";
    ENOTEMPTY = 39, "A directory that still has entries.";
    ENODATA = 61, "No such extended attribute.";
    EBADFD = 77, "The handle did not survive a graph switch.";
    EOPNOTSUPP = 95, "This kind of volume cannot do that.";
    ENOTCONN = 107, "Bricks or quorum are away.";
    ESHUTDOWN = 108, "The transport is closed.";
    ETIMEDOUT = 110, "No answer within the frame timeout.";
    ESTALE = 116, "The file behind the handle is gone.";
    EDQUOT = 122, "The quota is used up.";
}

impl Errno {
    /// The number of that name, such as `ENOSPC`.
    pub fn named(name: &str) -> Option<Self> {
        let row = Self::NAMED.iter().find(|(known, _)| *known == name);
        row.map(|(_, errno)| *errno)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMED.iter().find(|(_, errno)| errno == self) {
            Some((name, _)) => out.write_str(name),
            None => write!(out, "errno {}", self.0),
        }
    }
}

impl std::error::Error for Errno {}
