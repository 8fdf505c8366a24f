//! The status a command ends with (SAM-5 5.3).

use std::fmt;

/// A SCSI status code. Open: a code we do not know can still be named and logged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(pub u8);

impl Status {
    /// The command did what it says.
    pub const GOOD: Self = Self(0x00);
    /// Sense data says what went wrong.
    pub const CHECK_CONDITION: Self = Self(0x02);
    /// The unit cannot take the command now; the initiator sends it again later.
    pub const BUSY: Self = Self(0x08);
    /// Another nexus holds a reservation in the way.
    pub const RESERVATION_CONFLICT: Self = Self(0x18);
    /// No room for one more command.
    pub const TASK_SET_FULL: Self = Self(0x28);
    /// An auto contingent allegiance is in effect.
    pub const ACA_ACTIVE: Self = Self(0x30);
    /// Another nexus aborted the command (only with TAS=1).
    pub const TASK_ABORTED: Self = Self(0x40);

    /// Its name in SAM-5, if it has one.
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::GOOD => "GOOD",
            Self::CHECK_CONDITION => "CHECK CONDITION",
            Self::BUSY => "BUSY",
            Self::RESERVATION_CONFLICT => "RESERVATION CONFLICT",
            Self::TASK_SET_FULL => "TASK SET FULL",
            Self::ACA_ACTIVE => "ACA ACTIVE",
            Self::TASK_ABORTED => "TASK ABORTED",
            _ => return None,
        })
    }
}

impl From<Status> for u8 {
    fn from(status: Status) -> Self {
        status.0
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "status {:02x}h", self.0),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
