//! Everything that can happen to an entity.

use std::sync::Arc;
use std::time::Duration;

use block::{Buffer, Completion};
use iscsi::frame::Framer;
use iscsi::keys::Params;
use iscsi::{Cid, IscsiName, Isid, Serial, Tsih};

use crate::UnitId;
use crate::config::NodeConfig;
use crate::limits::SESSION_RECEIVE_BYTES;

/// A point in time, in nanoseconds since the caller's own beginning. Never moves back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// The moment `wait` later.
    pub fn plus(self, wait: Duration) -> Self {
        let nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

/// A TCP connection, unique for as long as the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// A session, unique for as long as the process lives; also the nexus its units know it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Something that happened to a login or a session.
#[derive(Debug)]
pub enum Input<M> {
    /// `bytes` bytes were put into the entity's `space`.
    Received {
        /// On which connection.
        conn: ConnId,
        /// How many.
        bytes: usize,
    },
    /// The connection is gone: FIN, RST, or our own close finished.
    Lost {
        /// Which connection.
        conn: ConnId,
    },
    /// Storage answered a ticket.
    Completed(Completion),
    /// Sent payloads gave their memory back: commands that wait for some may go on.
    Room,
    /// The moment asked for with [`crate::Action::WakeAt`] has come.
    Due,
    /// Another entity, or the operator, has something to say.
    Message(M),
}

/// What the node is told.
#[derive(Debug)]
pub enum ToNode {
    /// A login has negotiated everything and asks for a session.
    Admit(Box<Admission>),
    /// A login ended without a session (its peer left, or it was refused).
    LoginGone(ConnId),
    /// A session is there and hears what it is told.
    SessionStarted(SessionId),
    /// A session has no connection and no ticket left.
    SessionEnded(SessionId),
    /// The operator decided anew. Sessions that lose their target or are no longer let in have
    /// `grace` to log out; the others go on with what their target has now.
    Configure {
        /// What holds from now on.
        config: Arc<NodeConfig>,
        /// As in [`ToSession::Shutdown`].
        grace: Duration,
    },
    /// A session goes on with a configuration, or let go of a unit that this one does not give it.
    Holds {
        /// Which session.
        session: SessionId,
        /// The configuration's version.
        version: u64,
        /// Units that are taken away from it, and on which it still has tickets in flight.
        leaving: Vec<UnitId>,
    },
}

/// Who asks for a session, and which.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The connection the login runs on.
    pub conn: ConnId,
    /// Who.
    pub initiator: IscsiName,
    /// The initiator's part of the session's name.
    pub isid: Isid,
    /// Zero for a new session, else the session to join.
    pub tsih: Tsih,
    /// The connection's name within the session.
    pub cid: Cid,
    /// The target, or `None` for a discovery session.
    pub target: Option<IscsiName>,
    /// It offered keys that only a leading login may negotiate (RFC 7143 13), which no session
    /// takes from one that joins.
    pub renegotiates: bool,
    /// What it was judged by.
    pub config: Arc<NodeConfig>,
}

/// What a login is told.
#[derive(Debug)]
pub enum ToLogin {
    /// A new session is its own.
    Admitted {
        /// The session's identity here.
        session: SessionId,
        /// And on the wire.
        tsih: Tsih,
        /// What the session starts with.
        config: Arc<NodeConfig>,
    },
    /// It may hand its connection over to a session that exists.
    Join {
        /// Which one.
        session: SessionId,
        /// Its name on the wire.
        tsih: Tsih,
        /// The session's next command, which the login's final response must tell.
        exp_cmd_sn: Serial,
        /// The last command its window takes.
        max_cmd_sn: Serial,
    },
    /// No session.
    Refused(iscsi::LoginStatus),
}

/// What a session is told.
#[derive(Debug)]
pub enum ToSession {
    /// End now: another login took its place (RFC 7143 6.3.5), or the target goes away.
    Terminate,
    /// A login wants to bring a connection (RFC 7143 6.3.4).
    MayJoin {
        /// The login's connection.
        conn: ConnId,
        /// Its connection id.
        cid: Cid,
    },
    /// The connection promised by [`ToLogin::Join`].
    Join(Box<Handover>),
    /// Another nexus reset the unit or cleared its task set: tasks of older generations are dead.
    TasksCleared {
        /// Which unit.
        unit: UnitId,
    },
    /// The last ticket older than a reset or clear of this session's has ended.
    Drained(scsi::Waiter),
    /// What the operator decided anew: the target may have got or lost units.
    Configure(Arc<NodeConfig>),
    /// It is to end: ask the initiator to log out, wait for it at most `grace`, end.
    Shutdown {
        /// How long to wait for the logout.
        grace: Duration,
        /// Why, for people.
        why: &'static str,
    },
}

/// A connection that has finished its login, on its way to a session: one value with everything
/// that must not be lost between the two.
#[derive(Debug)]
pub struct Handover {
    /// The connection.
    pub conn: ConnId,
    /// Its name within the session.
    pub cid: Cid,
    /// The session's identity.
    pub session: SessionId,
    /// The session's name on the wire.
    pub tsih: Tsih,
    /// Who.
    pub initiator: IscsiName,
    /// The initiator's part of the session's name.
    pub isid: Isid,
    /// The target, or `None` for discovery.
    pub target: Option<IscsiName>,
    /// What was negotiated.
    pub params: Params,
    /// The next command expected.
    pub exp_cmd_sn: Serial,
    /// The last command the initiator was told it may send.
    pub max_cmd_sn: Serial,
    /// The next status to be sent.
    pub stat_sn: Serial,
    /// Framing state, with bytes received and not yet parsed.
    pub framer: Framer<Buffer>,
    /// The local address the initiator connected to, for SendTargets behind a wildcard portal.
    pub local: std::net::SocketAddr,
    /// What a new session starts with.
    pub config: Arc<NodeConfig>,
}

impl Handover {
    /// Gives the framer what full feature phase needs: digests, segment limit, a larger buffer.
    pub(crate) fn enter_full_feature(&mut self) {
        self.framer.set_digests(self.params.digests);
        self.framer
            .set_max_data_segment(self.params.own_max_recv_data_segment);
        self.framer.reserve(SESSION_RECEIVE_BYTES);
    }
}
