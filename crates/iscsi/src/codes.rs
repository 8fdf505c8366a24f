//! Code points of the protocol, as open newtypes: what we do not know we can still name.

/// An open code: a newtype over its wire value, constants for what the RFC names, and a
/// `Display` that says the name, or the number when it has none.
macro_rules! open_code {
    (
        $(#[$meta:meta])*
        $name:ident($raw:ty) { $( $(#[$doc:meta])* $code:ident = $value:literal, $text:literal; )* }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $raw);

        impl $name {
            $( $(#[$doc])* pub const $code: Self = Self($value); )*

            /// Every code the RFC names, in the order of its table.
            pub const NAMED: &[Self] = &[$(Self::$code),*];

            /// The name the RFC gives it, or "unknown".
            pub fn name(self) -> &'static str {
                match self {
                    $( Self::$code => $text, )*
                    _ => "unknown",
                }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                match self.name() {
                    "unknown" => write!(f, "unknown (0x{:02x})", self.0),
                    name => f.write_str(name),
                }
            }
        }
    };
}
pub(crate) use open_code;

open_code! {
    /// Status-Class and Status-Detail of a Login Response, as 0xCCDD (RFC 7143 11.13.5).
    LoginStatus(u16) {
        /// Login goes on, or is done.
        SUCCESS = 0x0000, "success";
        /// The target is elsewhere for now.
        MOVED_TEMPORARILY = 0x0101, "target moved temporarily";
        /// The target is elsewhere for good.
        MOVED_PERMANENTLY = 0x0102, "target moved permanently";
        /// Something the initiator did, without a code of its own.
        INITIATOR_ERROR = 0x0200, "initiator error";
        /// The initiator is not who it says.
        AUTHENTICATION_FAILURE = 0x0201, "authentication failure";
        /// The initiator may not use this target.
        AUTHORIZATION_FAILURE = 0x0202, "authorization failure";
        /// No such target here.
        NOT_FOUND = 0x0203, "not found";
        /// The target was taken away and will not come back here.
        TARGET_REMOVED = 0x0204, "target removed";
        /// No version in common.
        UNSUPPORTED_VERSION = 0x0205, "unsupported version";
        /// One connection more than the session may have.
        TOO_MANY_CONNECTIONS = 0x0206, "too many connections";
        /// A key that had to be sent was not.
        MISSING_PARAMETER = 0x0207, "missing parameter";
        /// The session does not span to this connection.
        CANT_INCLUDE_IN_SESSION = 0x0208, "can't include in session";
        /// Not this type of session, or not from this initiator.
        SESSION_TYPE_NOT_SUPPORTED = 0x0209, "session type not supported";
        /// No session has this TSIH.
        SESSION_DOES_NOT_EXIST = 0x020a, "session does not exist";
        /// A PDU that has no place during login.
        INVALID_DURING_LOGIN = 0x020b, "invalid request type during login";
        /// Hardware or software of the target failed.
        TARGET_ERROR = 0x0300, "target error";
        /// The target is not operational now.
        SERVICE_UNAVAILABLE = 0x0301, "service unavailable";
        /// Nothing left to serve one more session with.
        OUT_OF_RESOURCES = 0x0302, "out of resources";
    }
}

impl LoginStatus {
    /// Status-Class: 0 success, 1 redirection, 2 initiator error, 3 target error.
    pub const fn class(self) -> u8 {
        self.0.to_be_bytes()[0]
    }

    /// Status-Detail.
    pub const fn detail(self) -> u8 {
        self.0.to_be_bytes()[1]
    }
}

open_code! {
    /// Why a PDU is rejected (RFC 7143 11.17.1).
    RejectReason(u8) {
        /// Data digest error; the original PDU may be sent again.
        DATA_DIGEST = 0x02, "data digest error";
        /// SNACK refused.
        SNACK = 0x03, "SNACK reject";
        /// Not what the protocol allows here.
        PROTOCOL_ERROR = 0x04, "protocol error";
        /// A command that is not supported.
        NOT_SUPPORTED = 0x05, "command not supported";
        /// More immediate commands than the target holds.
        TOO_MANY_IMMEDIATE = 0x06, "too many immediate commands";
        /// The tag names a task in progress.
        TASK_IN_PROGRESS = 0x07, "task in progress";
        /// A Data ACK for what was not sent.
        INVALID_DATA_ACK = 0x08, "invalid data ack";
        /// A field with a value it may not have.
        INVALID_FIELD = 0x09, "invalid PDU field";
        /// Out of resources for a long operation.
        LONG_OPERATION = 0x0a, "long operation reject";
        /// A negotiation that starts over. RFC 7143 deprecates it; RFC 3720 peers still say it.
        NEGOTIATION_RESET = 0x0b, "negotiation reset";
        /// The target waits for a Logout Request and nothing else.
        WAITING_FOR_LOGOUT = 0x0c, "waiting for logout";
    }
}

open_code! {
    /// Which task management function (RFC 7143 11.5.1).
    TmfFunction(u8) {
        /// Abort the task named by the Referenced Task Tag.
        ABORT_TASK = 1, "ABORT TASK";
        /// Abort the tasks of this nexus on the logical unit.
        ABORT_TASK_SET = 2, "ABORT TASK SET";
        /// Clear the auto contingent allegiance.
        CLEAR_ACA = 3, "CLEAR ACA";
        /// Abort the tasks of all nexuses on the logical unit, as its Control mode page says.
        CLEAR_TASK_SET = 4, "CLEAR TASK SET";
        /// Reset the logical unit.
        LOGICAL_UNIT_RESET = 5, "LOGICAL UNIT RESET";
        /// Reset all logical units of the target.
        TARGET_WARM_RESET = 6, "TARGET WARM RESET";
        /// Reset all logical units and drop all sessions.
        TARGET_COLD_RESET = 7, "TARGET COLD RESET";
        /// Move a task to this connection.
        TASK_REASSIGN = 8, "TASK REASSIGN";
    }
}

open_code! {
    /// How a task management function went (RFC 7143 11.6.1).
    TmfResponse(u8) {
        /// Done.
        COMPLETE = 0, "function complete";
        /// No such task.
        TASK_DOES_NOT_EXIST = 1, "task does not exist";
        /// No such logical unit.
        LUN_DOES_NOT_EXIST = 2, "LUN does not exist";
        /// The task still belongs to its connection.
        TASK_STILL_ALLEGIANT = 3, "task still allegiant";
        /// Tasks cannot change connections here.
        REASSIGN_NOT_SUPPORTED = 4, "task allegiance reassignment not supported";
        /// Not a function this target has.
        NOT_SUPPORTED = 5, "task management function not supported";
        /// Not a function this initiator may use.
        AUTHORIZATION_FAILED = 6, "function authorization failed";
        /// Refused.
        REJECTED = 255, "function rejected";
    }
}

open_code! {
    /// Why the initiator logs out (RFC 7143 11.14.1).
    LogoutReason(u8) {
        /// Close the session with all its connections.
        CLOSE_SESSION = 0, "close the session";
        /// Close one connection.
        CLOSE_CONNECTION = 1, "close the connection";
        /// Close one connection so that its tasks can move to another.
        REMOVE_FOR_RECOVERY = 2, "remove the connection for recovery";
    }
}

open_code! {
    /// How a logout went (RFC 7143 11.15.1).
    LogoutResult(u8) {
        /// Closed.
        CLOSED = 0, "closed";
        /// No such connection.
        CID_NOT_FOUND = 1, "CID not found";
        /// Connections are not recovered here.
        RECOVERY_NOT_SUPPORTED = 2, "connection recovery is not supported";
        /// Cleanup failed.
        CLEANUP_FAILED = 3, "cleanup failed";
    }
}

open_code! {
    /// What happened, in an Asynchronous Message (RFC 7143 11.9.1).
    AsyncEvent(u8) {
        /// A SCSI asynchronous event, its sense in the data segment.
        SCSI = 0, "SCSI asynchronous event";
        /// The target asks for a logout.
        LOGOUT_REQUEST = 1, "target requests logout";
        /// The target will drop a connection.
        CONNECTION_DROP = 2, "target will drop the connection";
        /// The target will drop all connections of the session.
        SESSION_DROP = 3, "target will drop the session";
        /// The target asks for a negotiation.
        NEGOTIATE = 4, "target requests negotiation";
        /// Tasks of a logical unit are being terminated (RFC 7144 grew it into a list).
        TASK_TERMINATION = 5, "task termination";
        /// Something of the vendor's.
        VENDOR = 255, "vendor event";
    }
}

open_code! {
    /// Stage of a login, in CSG and NSG (RFC 7143 11.12.3).
    Stage(u8) {
        /// SecurityNegotiation.
        SECURITY = 0, "SecurityNegotiation";
        /// LoginOperationalNegotiation.
        OPERATIONAL = 1, "LoginOperationalNegotiation";
        /// FullFeaturePhase.
        FULL_FEATURE = 3, "FullFeaturePhase";
    }
}

open_code! {
    /// Task attribute of a SCSI Command (RFC 7143 11.3.1, SAM-5 8.6).
    TaskAttribute(u8) {
        /// None given.
        UNTAGGED = 0, "untagged";
        /// May be reordered.
        SIMPLE = 1, "simple";
        /// Not before what came before, not after what comes after.
        ORDERED = 2, "ordered";
        /// Before all that waits.
        HEAD_OF_QUEUE = 3, "head of queue";
        /// During an auto contingent allegiance.
        ACA = 4, "ACA";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_codes_keep_their_number() {
        assert_eq!(Stage(2).name(), "unknown");
        assert_eq!(Stage(2).to_string(), "unknown (0x02)");
        assert_eq!(TmfResponse(255).to_string(), "function rejected");
    }

    #[test]
    fn a_login_status_is_class_and_detail() {
        assert_eq!(LoginStatus::NOT_FOUND.class(), 2);
        assert_eq!(LoginStatus::NOT_FOUND.detail(), 3);
    }
}
