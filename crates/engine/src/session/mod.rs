//! One session in full feature phase: an I_T nexus, its connection, its tasks.
//!
//! Knows units and storage only as tickets; other sessions only as messages. A session outlives
//! its connections until nothing it asked of storage can land any more, which is what lets
//! another take its place.
//! Invariant: every task ends exactly once, and `End` comes after the last ticket.

mod abort;
mod command;
mod configure;
mod conn;
mod control;
mod lifecycle;
mod receive;
mod reply;
mod storage;
mod text;
mod tmf;
mod window;

use std::collections::VecDeque;
use std::sync::Arc;

use block::{Pool, Slice};
use iscsi::keys::{Params, Responder};
use iscsi::{Bhs, IscsiName, Isid, Itt, Lun, Tsih, Ttt};
use planted::{Bug, has};
use scsi::{Nexus, TargetPort};

use crate::action::{Action, Actions};
use crate::config::NodeConfig;
use crate::event::Event;
use crate::input::{ConnId, Handover, Input, Moment, SessionId, ToNode, ToSession};
use crate::task::{TaskId, Tasks};
use crate::units::{UnitId, Units};

use conn::Conn;
use control::PendingLogout;
use text::TextExchange;
use tmf::PendingTmf;
use window::Window;

/// A session of the target.
#[derive(Debug)]
pub struct Session {
    id: SessionId,
    tsih: Tsih,
    config: Arc<NodeConfig>,
    initiator: IscsiName,
    isid: Isid,
    /// `None` for discovery.
    target: Option<Target>,
    params: Params,
    responder: Responder,
    local: std::net::SocketAddr,
    /// At ERL 0 one that is open, and perhaps one that is closing.
    conns: Vec<Conn>,
    window: Window<Parked>,
    tasks: Tasks,
    /// Tasks that need a buffer to go on, in order of arrival.
    hungry: VecDeque<TaskId>,
    /// Writes whose initiator was answered while data was still owed; it is swallowed.
    ghosts: VecDeque<Itt>,
    tmfs: Vec<PendingTmf>,
    next_tmf: u8,
    text: Option<TextExchange>,
    pool: Pool,
    next_ttt: u32,
    phase: Phase,
    /// A login that waits for the tasks of the connection it replaces to end.
    joining: Option<ConnId>,
    /// A logout to be answered once the tasks it ended are gone.
    logout: Option<PendingLogout>,
    /// Units that were taken away and still have tickets of ours in flight.
    leaving: Vec<UnitId>,
    /// When to close an initiator that did not log out although asked to, and why.
    grace: Option<(Moment, &'static str)>,
    woken_at: Option<Moment>,
    /// The time of the input at hand.
    now: Moment,
}

/// The target side of the nexus.
#[derive(Debug)]
struct Target {
    name: IscsiName,
    port_name: String,
    port_group: u16,
    luns: Vec<u16>,
    units: Vec<UnitId>,
    /// LUNs that answer BUSY, having no unit for the moment.
    away: Vec<u16>,
    /// What REPORT LUNS tells: all of these, ascending.
    listed: Vec<u16>,
}

/// Where the session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It has a connection.
    Open,
    /// It lost its connection and may get another one until then (Time2Retain).
    Retained(Moment),
    /// It ends as soon as nothing is in flight.
    Ending(&'static str),
    /// It has ended.
    Ended,
}

/// A PDU that came before its turn.
#[derive(Debug)]
struct Parked {
    conn: ConnId,
    bhs: Bhs,
    ahs: Vec<u8>,
    data: Vec<u8>,
    /// Its unsolicited data came meanwhile and was dropped; whether all of it.
    passed: Option<bool>,
}

impl Session {
    /// The session a login became. Bytes that came with the login are handled by the first
    /// `Input::Received`, which may say 0 bytes.
    pub fn new(
        handover: Box<Handover>,
        now: Moment,
        out: &mut Actions,
        units: &mut impl Units,
    ) -> Self {
        let config = Arc::clone(&handover.config);
        let target = handover
            .target
            .as_ref()
            .map(|name| Target::of(name, &config));
        out.event(Event::SessionStarted {
            conn: handover.conn,
            initiator: handover.initiator.clone(),
            target: handover.target.clone(),
            tsih: handover.tsih,
            local: handover.local,
        });
        out.push(Action::ToNode(ToNode::SessionStarted(handover.session)));
        let mut session = Self {
            id: handover.session,
            tsih: handover.tsih,
            initiator: handover.initiator.clone(),
            isid: handover.isid,
            target,
            params: handover.params.clone(),
            responder: Responder::new(config.kept_offer()),
            local: handover.local,
            conns: Vec::new(),
            //= RFC 7143 4.2.2.1: a window never shrinks, so it is the one the login told.
            window: Window::new(handover.exp_cmd_sn, window_told(&handover)),
            tasks: Tasks::default(),
            hungry: VecDeque::new(),
            ghosts: VecDeque::new(),
            tmfs: Vec::new(),
            next_tmf: 0,
            text: None,
            pool: Pool::new(config.session_memory_bytes),
            next_ttt: 1,
            phase: Phase::Open,
            joining: None,
            logout: None,
            leaving: Vec::new(),
            grace: None,
            woken_at: None,
            now,
            config,
        };
        session.conns.push(Conn::new(*handover, now));
        for unit in session.unit_ids() {
            session.attach(unit, units);
        }
        session.arm(out);
        session
    }

    /// The session's identity.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Who is at the other end.
    pub fn initiator(&self) -> (&IscsiName, Isid) {
        (&self.initiator, self.isid)
    }

    /// Where the next bytes received on `conn` go; `None` when it is not to be read any more.
    pub fn space(&mut self, conn: ConnId) -> Option<&mut [u8]> {
        let conn = self.conns.iter_mut().find(|c| c.id == conn && !c.closing)?;
        conn.framer.as_mut().map(|framer| framer.space())
    }

    /// A payload that was sent gives its memory back.
    pub fn reclaim(&mut self, slice: Slice) {
        self.pool.reclaim(slice);
    }

    /// Whether commands wait for memory: after giving some back, say `Input::Room`.
    pub fn wants_room(&self) -> bool {
        !self.hungry.is_empty()
    }

    /// Whether no command is in progress, not even one that only waits for its tickets.
    pub fn is_idle(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Memory of commands and of payloads not yet sent, in bytes.
    pub fn memory_out_bytes(&self) -> usize {
        self.pool.out_bytes()
    }

    /// Takes one input and says what to do about it.
    pub fn handle<U: Units>(
        &mut self,
        now: Moment,
        input: Input<ToSession>,
        units: &mut U,
        out: &mut Actions,
    ) {
        self.now = now;
        match input {
            Input::Received { conn, bytes } => self.on_received(conn, bytes, units, out),
            Input::Lost { conn } => self.on_lost(conn, units, out),
            Input::Completed(completion) => self.on_completed(completion, units, out),
            // Everything that waits for memory is fed in `settle`.
            Input::Room => {}
            Input::Due => {
                if !has(Bug::TimerLost) {
                    self.woken_at = None;
                }
                self.on_due(units, out);
            }
            Input::Message(message) => self.on_message(message, units, out),
        }
        self.settle(units, out);
    }

    fn on_message<U: Units>(&mut self, message: ToSession, units: &mut U, out: &mut Actions) {
        match message {
            ToSession::Terminate => self.end("replaced by a new login", units, out),
            ToSession::MayJoin { conn, cid } => self.on_may_join(conn, cid, out),
            ToSession::Join(handover) => self.on_join(*handover, out),
            ToSession::TasksCleared { unit } => self.on_tasks_cleared(unit, units),
            ToSession::Drained(waiter) => self.on_drained(waiter),
            ToSession::Configure(config) => self.on_configure(config, units, out),
            ToSession::Shutdown { grace, why } => self.on_shutdown(grace, why, units, out),
        }
    }

    fn nexus(&self) -> Nexus {
        Nexus(self.id.0)
    }

    fn conn(&self, conn: ConnId) -> Option<&Conn> {
        self.conns.iter().find(|c| c.id == conn)
    }

    /// The one connection that is not closing.
    fn open_conn(&self) -> Option<&Conn> {
        self.conns.iter().find(|conn| !conn.closing)
    }

    fn fresh_ttt(&mut self) -> Ttt {
        let ttt = Ttt(self.next_ttt);
        self.next_ttt = match self.next_ttt.wrapping_add(1) {
            u32::MAX => 0,
            next => next,
        };
        ttt
    }

    fn unit_of(&self, lun: Lun) -> Option<UnitId> {
        let target = self.target.as_ref()?;
        lun.number().and_then(|lun| target.unit(lun))
    }

    fn unit_ids(&self) -> Vec<UnitId> {
        self.target
            .as_ref()
            .map(|target| target.units.clone())
            .unwrap_or_default()
    }
}

impl Target {
    /// A target that was taken away since the login has no units.
    fn of(name: &IscsiName, config: &NodeConfig) -> Self {
        let target = config.target(name);
        let port_group = target.map_or(0, |target| target.tpgt.0);
        let luns = target.map_or(&[][..], |target| &target.luns);
        let away = target.map_or(&[][..], |target| &target.away);
        let mut listed: Vec<_> = luns
            .iter()
            .map(|(lun, _)| *lun)
            .chain(away.iter().copied())
            .collect();
        listed.sort_unstable();
        Self {
            name: name.clone(),
            port_name: format!("{},t,0x{port_group:04x}", name.as_str()),
            port_group,
            luns: luns.iter().map(|(lun, _)| *lun).collect(),
            units: luns.iter().map(|(_, unit)| *unit).collect(),
            away: away.to_vec(),
            listed,
        }
    }

    fn unit(&self, lun: u16) -> Option<UnitId> {
        self.luns
            .iter()
            .position(|known| *known == lun)
            .map(|place| self.units[place])
    }

    fn port(&self) -> TargetPort<'_> {
        TargetPort {
            relative_port: 1,
            port_group: self.port_group,
            luns: &self.listed,
            port_name: &self.port_name,
            device_name: self.name.as_str(),
        }
    }
}

/// The commands the initiator was told it may send before the first answer.
fn window_told(handover: &Handover) -> u32 {
    let ahead = handover.exp_cmd_sn.distance_to(handover.max_cmd_sn);
    u32::try_from(ahead + 1).unwrap_or(0)
}
