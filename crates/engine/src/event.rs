//! What pure code tells about itself: one schema, to which logs, metrics and tests listen.

use std::net::SocketAddr;

use iscsi::{IscsiName, Itt, LoginStatus, Lun, Malformed, RejectReason, Tsih};

use crate::input::ConnId;

/// Something worth telling the operator. None is emitted per I/O that succeeds.
#[derive(Debug)]
pub enum Event {
    /// A login did not lead to a session.
    LoginRefused {
        /// The connection.
        conn: ConnId,
        /// Who it said it was, where it said so.
        initiator: Option<IscsiName>,
        /// What was answered.
        status: LoginStatus,
        /// Why, for people.
        why: &'static str,
    },
    /// A connection was closed before or during login without an answer.
    LoginDropped {
        /// The connection.
        conn: ConnId,
        /// Why, for people.
        why: &'static str,
    },
    /// A session entered full feature phase.
    SessionStarted {
        /// The connection.
        conn: ConnId,
        /// Who.
        initiator: IscsiName,
        /// The target, or `None` for discovery.
        target: Option<IscsiName>,
        /// Its name on the wire.
        tsih: Tsih,
        /// The address that was reached.
        local: SocketAddr,
    },
    /// A session ended.
    SessionEnded {
        /// Its name on the wire.
        tsih: Tsih,
        /// Why, for people.
        why: &'static str,
    },
    /// A PDU was rejected.
    Rejected {
        /// The session.
        tsih: Tsih,
        /// The answer.
        reason: RejectReason,
        /// Why, for people.
        why: &'static str,
    },
    /// Bytes that are no iSCSI; the connection is closed.
    Malformed {
        /// The connection.
        conn: ConnId,
        /// What was wrong.
        what: Malformed,
    },
    /// The peer broke the protocol in a way that ends the connection.
    ConnectionDropped {
        /// The connection.
        conn: ConnId,
        /// Why, for people.
        why: &'static str,
    },
    /// Storage failed a command.
    StorageFault {
        /// The session.
        tsih: Tsih,
        /// The logical unit.
        lun: Lun,
        /// The command.
        itt: Itt,
        /// How.
        fault: block::Fault,
    },
    /// A task management function ended.
    TaskManagement {
        /// The session.
        tsih: Tsih,
        /// Which.
        function: iscsi::TmfFunction,
        /// The unit.
        lun: Lun,
        /// How.
        response: iscsi::TmfResponse,
    },
}
