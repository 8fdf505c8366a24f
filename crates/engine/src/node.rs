//! The node: which sessions exist, and who may have one.
//!
//! Knows no PDUs. A login that has proved who it is asks for a session; the node makes room for it
//! by ending the session it replaces, and answers only when nothing of that one can land any more.
//! What the operator decides anew passes through here to the sessions it concerns.
//! Invariant: at most one session per (initiator, ISID, target).

mod configure;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use iscsi::{IscsiName, Isid, LoginStatus, Tsih};
use planted::{Bug, has};

use crate::action::{Action, Actions};
use crate::config::NodeConfig;
use crate::input::{Admission, ConnId, Moment, SessionId, ToLogin, ToNode, ToSession};

use configure::Vacating;

/// The session table of one target process.
#[derive(Debug)]
pub struct Node {
    config: Arc<NodeConfig>,
    /// How long initiators get to log out when a configuration ends their session.
    grace: Duration,
    /// Units that were taken away and may still be in use.
    vacating: Vec<Vacating>,
    /// Sessions that have not said yet that they go on with the configuration.
    telling: BTreeSet<SessionId>,
    /// The last configuration all of them went on with.
    heard: u64,
    sessions: BTreeMap<SessionId, Entry>,
    next_session: u64,
    next_tsih: u16,
}

/// RFC 7143 4.4.3: what makes two sessions the same I_T nexus.
#[derive(Clone, Debug, PartialEq, Eq)]
struct NexusName {
    initiator: IscsiName,
    isid: Isid,
    target: Option<IscsiName>,
}

#[derive(Debug)]
struct Entry {
    nexus: NexusName,
    tsih: Tsih,
    /// The login it was opened for; should that leave before the session starts, it never will.
    opened_for: ConnId,
    /// The last login that asked to join, in case the session ends before it hears of it.
    joiner: Option<ConnId>,
    /// Set once it was told to end: the login that takes its place, if that is still there.
    successor: Option<Option<Box<Admission>>>,
    /// The version of the configuration it starts with.
    opened_with: u64,
    /// A later configuration ends it, and it was told so.
    dismissed: bool,
}

impl Node {
    /// A node without sessions.
    pub fn new(config: Arc<NodeConfig>) -> Self {
        Self {
            heard: config.version,
            config,
            grace: Duration::ZERO,
            vacating: Vec::new(),
            telling: BTreeSet::new(),
            sessions: BTreeMap::new(),
            next_session: 1,
            next_tsih: 1,
        }
    }

    /// The sessions that exist, those that are ending included.
    pub fn session_ids(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.sessions.keys().copied()
    }

    /// Takes one message and says what to do about it.
    pub fn handle(&mut self, _now: Moment, message: ToNode, out: &mut Actions) {
        match message {
            ToNode::Admit(admission) if admission.tsih == Tsih(0) => self.admit(admission, out),
            ToNode::Admit(admission) => self.join(&admission, out),
            ToNode::LoginGone(conn) => self.forget(conn, out),
            ToNode::SessionStarted(session) => self.started(session, out),
            ToNode::SessionEnded(session) => self.ended(session, out),
            ToNode::Configure { config, grace } => self.configure(config, grace, out),
            ToNode::Holds {
                session,
                version,
                leaving,
            } => self.holds(session, version, &leaving, out),
        }
    }

    /// RFC 7143 6.3.5: a login with TSIH 0 under a name that has a session takes its place.
    fn admit(&mut self, admission: Box<Admission>, out: &mut Actions) {
        if let Some(status) = self.objection(&admission) {
            return refuse(admission.conn, status, out);
        }
        let nexus = NexusName::of(&admission);
        let Some((&id, entry)) = self
            .sessions
            .iter_mut()
            .find(|(_, entry)| entry.nexus == nexus)
        else {
            return self.open(&admission, out);
        };
        let conn = admission.conn;
        match entry.successor.replace(Some(admission)) {
            None => {
                out.push(Action::ToSession(id, ToSession::Terminate));
                if has(Bug::SuccessorTooSoon)
                    && let Some(Some(admission)) = entry.successor.replace(None)
                {
                    self.open(&admission, out);
                }
            }
            // Two logins for one nexus: the later one wins, as it would one session later.
            Some(Some(earlier)) if earlier.conn != conn => {
                refuse(earlier.conn, LoginStatus::SERVICE_UNAVAILABLE, out);
            }
            Some(_) => {}
        }
    }

    /// RFC 7143 6.3.4: a login with a TSIH brings a connection to the session of that name.
    fn join(&mut self, admission: &Admission, out: &mut Actions) {
        if let Some(status) = self.objection(admission) {
            return refuse(admission.conn, status, out);
        }
        let nexus = NexusName::of(admission);
        let found = self.sessions.iter_mut().find(|(_, entry)| {
            entry.tsih == admission.tsih && entry.nexus == nexus && entry.successor.is_none()
        });
        match found {
            Some(_) if admission.renegotiates => {
                refuse(admission.conn, LoginStatus::INITIATOR_ERROR, out);
            }
            Some((&id, entry)) => {
                let (conn, cid) = (admission.conn, admission.cid);
                entry.joiner = Some(conn);
                out.push(Action::ToSession(id, ToSession::MayJoin { conn, cid }));
            }
            None => refuse(admission.conn, LoginStatus::SESSION_DOES_NOT_EXIST, out),
        }
    }

    /// What a session was told before it had begun, it missed.
    fn started(&mut self, session: SessionId, out: &mut Actions) {
        let Some(entry) = self.sessions.get(&session) else {
            return;
        };
        if entry.successor.is_some() && !has(Bug::TerminateMissed) {
            out.push(Action::ToSession(session, ToSession::Terminate));
        } else if entry.opened_with < self.config.version {
            self.tell_configured(session, true, out);
        }
    }

    /// The login left: its session never starts, and the one it wanted to replace ends all the
    /// same.
    fn forget(&mut self, conn: ConnId, out: &mut Actions) {
        let unborn = self
            .sessions
            .iter()
            .find(|(_, entry)| entry.opened_for == conn);
        if let Some((&session, _)) = unborn
            && !has(Bug::UnbornSessionKept)
        {
            self.ended(session, out);
        }
        for entry in self.sessions.values_mut() {
            if let Some(successor) = &mut entry.successor
                && !has(Bug::DeadLoginAdmitted)
                && successor
                    .as_ref()
                    .is_some_and(|waiting| waiting.conn == conn)
            {
                *successor = None;
            }
        }
    }

    fn ended(&mut self, session: SessionId, out: &mut Actions) {
        let Some(entry) = self.sessions.remove(&session) else {
            return;
        };
        // Most often it joined long ago, and nobody hears this.
        if let Some(joiner) = entry.joiner {
            refuse(joiner, LoginStatus::SESSION_DOES_NOT_EXIST, out);
        }
        self.left(session, out);
        if let Some(Some(waiting)) = entry.successor {
            self.open(&waiting, out);
        }
    }

    fn open(&mut self, admission: &Admission, out: &mut Actions) {
        // It may have waited for its predecessor while the operator thought again.
        if let Some(status) = self.objection(admission) {
            return refuse(admission.conn, status, out);
        }
        let Some(tsih) = self.free_tsih() else {
            return refuse(admission.conn, LoginStatus::OUT_OF_RESOURCES, out);
        };
        let session = SessionId(self.next_session);
        self.next_session += 1;
        let nexus = NexusName::of(admission);
        self.sessions.insert(
            session,
            Entry {
                nexus,
                tsih,
                opened_for: admission.conn,
                joiner: None,
                successor: None,
                opened_with: self.config.version,
                dismissed: false,
            },
        );
        let config = Arc::clone(&self.config);
        out.push(Action::ToLogin(
            admission.conn,
            ToLogin::Admitted {
                session,
                tsih,
                config,
            },
        ));
    }

    /// A TSIH no session has; `None` when the node is full. Never 0, which means "new session".
    fn free_tsih(&mut self) -> Option<Tsih> {
        if self.sessions.len() >= self.config.sessions_max.min(usize::from(u16::MAX)) {
            return None;
        }
        loop {
            let tsih = Tsih(self.next_tsih);
            self.next_tsih = self.next_tsih.checked_add(1).unwrap_or(1);
            if self.sessions.values().all(|entry| entry.tsih != tsih) {
                return Some(tsih);
            }
        }
    }
}

impl NexusName {
    fn of(admission: &Admission) -> Self {
        Self {
            initiator: admission.initiator.clone(),
            isid: admission.isid,
            target: admission.target.clone(),
        }
    }
}

fn refuse(conn: ConnId, status: LoginStatus, out: &mut Actions) {
    out.push(Action::ToLogin(conn, ToLogin::Refused(status)));
}
