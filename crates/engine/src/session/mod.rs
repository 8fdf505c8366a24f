//! One session in full feature phase: an I_T nexus, its connection, its tasks.
//!
//! Knows units and storage only as tickets; other sessions only as messages. A session outlives
//! its connections until nothing it asked of storage can land any more, which is what lets
//! another take its place.
//! Invariant: every task ends exactly once, and `End` comes after the last ticket.

mod command;
mod conn;
mod control;
mod receive;
mod reply;
mod storage;
mod text;
mod tmf;
mod window;

use std::collections::VecDeque;
use std::sync::Arc;

use block::{Buffer, Pool, Slice};
use iscsi::keys::{Params, Responder};
use iscsi::{Bhs, IscsiName, Isid, Itt, LoginStatus, Tsih, Ttt};
use scsi::{Nexus, TargetPort};

use crate::action::{Action, Actions};
use crate::config::NodeConfig;
use crate::event::Event;
use crate::input::{ConnId, Handover, Input, Moment, SessionId, ToLogin, ToNode, ToSession};
use crate::task::{TaskId, Tasks, Work};
use crate::units::{UnitId, Units};

use conn::Conn;
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
    logout: Option<(ConnId, Itt)>,
    /// When to close an initiator that did not log out although asked to.
    grace: Option<Moment>,
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
}

impl Session {
    /// The session a login became. Bytes that came with the login are handled by the first
    /// `Input::Received`, which may say 0 bytes.
    pub fn new(
        handover: Box<Handover>,
        config: Arc<NodeConfig>,
        now: Moment,
        out: &mut Actions,
        units: &mut impl Units,
    ) -> Self {
        let target = handover
            .target
            .as_ref()
            .and_then(|name| Target::of(name, &config));
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
            responder: Responder::new(config.offer.clone()),
            local: handover.local,
            conns: Vec::new(),
            window: Window::new(handover.exp_cmd_sn, config.queue_depth),
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
            grace: None,
            woken_at: None,
            now,
            config,
        };
        session.conns.push(Conn::new(*handover, now));
        for unit in session.unit_ids() {
            units.with(unit, |unit| unit.attach(session.nexus()));
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
            Input::Received { conn, bytes } => self.on_received(now, conn, bytes, units, out),
            Input::Lost { conn } => self.on_lost(now, conn, units, out),
            Input::Completed(completion) => self.on_completed(completion, units, out),
            Input::Room => self.feed(units, out),
            Input::Due => {
                self.woken_at = None;
                self.on_due(now, units, out);
            }
            Input::Message(message) => self.on_message(now, message, units, out),
        }
        self.settle(units, out);
    }

    fn on_message<U: Units>(
        &mut self,
        now: Moment,
        message: ToSession,
        units: &mut U,
        out: &mut Actions,
    ) {
        match message {
            ToSession::Terminate => self.end("replaced by a new login", units, out),
            ToSession::MayJoin { conn, cid } => self.on_may_join(conn, cid, units, out),
            ToSession::Join(handover) => self.on_join(now, *handover, out),
            ToSession::TasksCleared { unit } => self.on_tasks_cleared(unit, units, out),
            ToSession::Drained(waiter) => self.on_drained(waiter),
            ToSession::Shutdown { grace } => {
                let seconds = u16::try_from(grace.as_secs().max(1)).unwrap_or(u16::MAX);
                match self
                    .conns
                    .iter()
                    .find(|conn| !conn.closing)
                    .map(|conn| conn.id)
                {
                    Some(conn) => {
                        self.send_logout_request(conn, seconds, out);
                        self.grace = Some(now.plus(grace));
                    }
                    None => self.end("the target is going away", units, out),
                }
            }
        }
    }

    /// RFC 7143 6.3.4: a new connection takes the place of the one with its CID; whatever that one
    /// had in progress ends first. A session that lost its connection takes any.
    fn on_may_join<U: Units>(
        &mut self,
        login: ConnId,
        cid: iscsi::Cid,
        units: &mut U,
        out: &mut Actions,
    ) {
        let open = self
            .conns
            .iter()
            .find(|conn| !conn.closing)
            .map(|conn| (conn.id, conn.cid));
        let ending = matches!(self.phase, Phase::Ending(_) | Phase::Ended);
        let refused = match open {
            _ if ending || self.joining.is_some() => Some(LoginStatus::SESSION_DOES_NOT_EXIST),
            Some((_, current)) if current != cid => Some(LoginStatus::TOO_MANY_CONNECTIONS),
            _ => None,
        };
        if let Some(status) = refused {
            return out.push(Action::ToLogin(login, ToLogin::Refused(status)));
        }
        if let Some((old, _)) = open {
            self.close(old, out);
            self.abort_connection_tasks(units);
        }
        self.joining = Some(login);
    }

    fn on_join(&mut self, now: Moment, mut handover: Handover, out: &mut Actions) {
        if matches!(self.phase, Phase::Ending(_) | Phase::Ended) {
            return out.push(Action::Close {
                conn: handover.conn,
            });
        }
        self.phase = Phase::Open;
        self.local = handover.local;
        // What is negotiated per connection; the rest was fixed by the leading login.
        self.params.digests = handover.params.digests;
        handover.params.time2retain = self.params.time2retain;
        self.conns.push(Conn::new(handover, now));
    }

    fn on_lost<U: Units>(&mut self, now: Moment, conn: ConnId, units: &mut U, out: &mut Actions) {
        let Some(place) = self.conns.iter().position(|c| c.id == conn) else {
            return;
        };
        let lost = self.conns.swap_remove(place);
        if lost.closing || !self.conns.iter().all(|conn| conn.closing) {
            return;
        }
        //= RFC 7143 7.6: below ERL 2 the tasks of a lost connection end with it.
        self.abort_connection_tasks(units);
        let retain = std::time::Duration::from_secs(self.params.time2retain.into());
        match self.target.is_some() && !retain.is_zero() && self.grace.is_none() {
            true if self.phase == Phase::Open => self.phase = Phase::Retained(now.plus(retain)),
            true => {}
            false => self.end("connection lost", units, out),
        }
    }

    /// Stops reading and sending on a connection; the shell closes it after what was queued.
    fn close(&mut self, conn: ConnId, out: &mut Actions) {
        if let Some(conn) = self.conns.iter_mut().find(|c| c.id == conn && !c.closing) {
            conn.closing = true;
            out.push(Action::Close { conn: conn.id });
        }
    }

    /// Ends a connection whose peer broke the protocol; at ERL 0 the session goes with it.
    fn drop_connection<U: Units>(
        &mut self,
        conn: ConnId,
        why: &'static str,
        units: &mut U,
        out: &mut Actions,
    ) {
        out.event(Event::ConnectionDropped { conn, why });
        self.close(conn, out);
        self.end(why, units, out);
    }

    /// The session ends once its last ticket has.
    fn end<U: Units>(&mut self, why: &'static str, units: &mut U, out: &mut Actions) {
        if matches!(self.phase, Phase::Ending(_) | Phase::Ended) {
            return;
        }
        self.phase = Phase::Ending(why);
        let open: Vec<_> = self.conns.iter().map(|conn| conn.id).collect();
        for conn in open {
            self.close(conn, out);
        }
        self.abort_connection_tasks(units);
        for tmf in std::mem::take(&mut self.tmfs) {
            self.cancel_tmf(&tmf, units);
        }
        if let Some(login) = self.joining.take() {
            let refused = ToLogin::Refused(LoginStatus::SESSION_DOES_NOT_EXIST);
            out.push(Action::ToLogin(login, refused));
        }
    }

    /// What follows from an input, once per input: answers that waited, the window, the end.
    fn settle<U: Units>(&mut self, units: &mut U, out: &mut Actions) {
        if !self.tmfs.is_empty() {
            self.finish_tmfs(out);
        }
        if self.tasks.is_empty() {
            self.settle_quiet(units, out);
        }
        if self.phase == Phase::Open && self.window.must_tell(self.tasks.windowed) {
            //= RFC 7143 11.4.11: a window that reopens with nothing to send is told by a NOP-In.
            if let Some(conn) = self
                .conns
                .iter()
                .find(|conn| !conn.closing)
                .map(|conn| conn.id)
            {
                self.send_nop_in(conn, None, Ttt::RESERVED, Vec::new(), out);
            }
        }
        self.arm(out);
    }

    /// What waits for the last task to be gone.
    fn settle_quiet<U: Units>(&mut self, units: &mut U, out: &mut Actions) {
        if let Some((conn, itt)) = self.logout.take() {
            self.send_logout_response(conn, itt, iscsi::LogoutResult::CLOSED, out);
            self.end("logged out", units, out);
        }
        if let Some(login) = self.joining.take() {
            let (session, tsih) = (self.id, self.tsih);
            out.push(Action::ToLogin(login, ToLogin::Join { session, tsih }));
        }
        if let Phase::Ending(why) = self.phase {
            self.phase = Phase::Ended;
            for unit in self.unit_ids() {
                units.with(unit, |unit| unit.detach(self.nexus()));
            }
            out.event(Event::SessionEnded {
                tsih: self.tsih,
                why,
            });
            out.push(Action::ToNode(ToNode::SessionEnded(self.id)));
            out.push(Action::WakeAt(None));
            out.push(Action::End);
        }
    }

    /// Asks to be woken for the nearest deadline. A wake-up that comes early is no harm, so a
    /// deadline that moved away is not reported.
    fn arm(&mut self, out: &mut Actions) {
        if self.phase == Phase::Ended {
            return;
        }
        if let Some(next) = self.next_deadline()
            && self.woken_at.is_none_or(|at| next < at)
        {
            self.woken_at = Some(next);
            out.push(Action::WakeAt(Some(next)));
        }
    }

    fn nexus(&self) -> Nexus {
        Nexus(self.id.0)
    }

    fn conn(&self, conn: ConnId) -> Option<&Conn> {
        self.conns.iter().find(|c| c.id == conn)
    }

    fn fresh_ttt(&mut self) -> Ttt {
        let ttt = Ttt(self.next_ttt);
        self.next_ttt = match self.next_ttt.wrapping_add(1) {
            u32::MAX => 0,
            next => next,
        };
        ttt
    }

    fn unit_ids(&self) -> Vec<UnitId> {
        self.target
            .as_ref()
            .map(|target| target.units.clone())
            .unwrap_or_default()
    }

    fn put(&mut self, buffers: impl IntoIterator<Item = Buffer>) {
        for buffer in buffers {
            self.pool.put(buffer);
        }
    }

    /// The connection is gone or going: its tasks end without an answer.
    fn abort_connection_tasks<U: Units>(&mut self, units: &mut U) {
        for id in self.tasks.ids() {
            self.abort_task(id, units);
        }
        self.hungry.clear();
        self.text = None;
        self.logout = None;
    }

    /// Ends a task without an answer. What storage has of it still has to come back.
    fn abort_task<U: Units>(&mut self, id: TaskId, _units: &mut U) {
        let Some(task) = self.tasks.get_mut(id) else {
            return;
        };
        task.aborted = true;
        let (itt, tickets) = (task.itt, task.tickets);
        let (owed, buffers): (bool, Vec<Buffer>) = match &mut task.work {
            Work::Write(write) => (!write.is_quiet(), write.drain().collect()),
            Work::Discard { .. } => (true, Vec::new()),
            Work::Read(_) | Work::Flush { .. } | Work::Ended => (false, Vec::new()),
        };
        task.work = Work::Ended;
        self.put(buffers);
        self.hungry.retain(|hungry| *hungry != id);
        if owed {
            self.remember_ghost(itt);
        }
        self.tasks.forget_name(id);
        if tickets == 0 {
            self.bury(id);
        }
    }

    /// An aborted task is gone once storage and the initiator have given back what is theirs.
    fn bury(&mut self, id: TaskId) {
        if self.owes_data(id) || self.tasks.get(id).is_none_or(|task| task.tickets > 0) {
            return;
        }
        if let Some(Work::Write(write)) = self.tasks.get_mut(id).map(|task| &mut task.work) {
            let buffers: Vec<Buffer> = write.drain().collect();
            self.put(buffers);
        }
        self.remove_task(id);
    }

    fn remember_ghost(&mut self, itt: Itt) {
        if self.ghosts.len() >= crate::limits::GHOSTS_MAX {
            self.ghosts.pop_front();
        }
        self.ghosts.push_back(itt);
    }

    fn remove_task(&mut self, id: TaskId) {
        self.tasks.remove(id);
        for tmf in &mut self.tmfs {
            tmf.tasks.retain(|waiting| *waiting != id);
        }
    }
}

impl Target {
    fn of(name: &IscsiName, config: &NodeConfig) -> Option<Self> {
        let target = config.target(name)?;
        Some(Self {
            name: name.clone(),
            port_name: format!("{},t,0x{:04x}", name.as_str(), target.tpgt.0),
            port_group: target.tpgt.0,
            luns: target.luns.iter().map(|(lun, _)| *lun).collect(),
            units: target.luns.iter().map(|(_, unit)| *unit).collect(),
        })
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
            luns: &self.luns,
            port_name: &self.port_name,
            device_name: self.name.as_str(),
        }
    }
}
