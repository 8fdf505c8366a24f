//! A world of real nodes, logins and sessions: mail, bytes, tickets and time move in an order drawn
//! from a seed. Mail is first in, first out between two entities, and otherwise unordered.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use block::{BlockSize, Caps, Completion, Fault, Op, Slice, Stead, Thin, Ticket};
use engine::{
    Action, Actions, Body, ConnId, Handover, Input, Login, Moment, Node, NodeConfig, Session,
    SessionId, ToLogin, ToNode, ToSession, UnitId, Units,
};
use iscsi::outbox::{Outbox, Payload};
use scsi::{Identity, Unit};

use crate::wire::{Heard, Wire};

/// Numbers that look random and are the same every time (xorshift64*).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((self.next() >> 32) % bound as u64) as usize
    }
}

/// Who sends and gets mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Entity {
    Operator,
    Node,
    Login(ConnId),
    Session(SessionId),
}

enum Mail {
    Node(ToNode),
    Login(ToLogin),
    Session(ToSession),
    Arrived(Box<Handover>),
}

/// The target's end of a connection, with the initiator's end on the other side of it.
struct Conn {
    wire: Wire,
    login: Option<Login>,
    wake_at: Option<Moment>,
    session: Option<SessionId>,
    outbox: Outbox<Slice>,
    closing: bool,
    /// The initiator leaves what the target sends in the socket.
    unread: bool,
}

struct Running {
    session: Session,
    wake_at: Option<Moment>,
    over: bool,
}

/// Units and their images.
pub(crate) struct Disks {
    units: BTreeMap<UnitId, Unit>,
    images: BTreeMap<UnitId, Vec<u8>>,
    holders: BTreeSet<(UnitId, SessionId)>,
    /// Whose turn it is.
    looks: SessionId,
}

impl Disks {
    /// The bytes at `at`. An image is as long as it was used; behind that it holds zeros.
    pub(crate) fn bytes(&mut self, unit: UnitId, at: usize, len: usize) -> &mut [u8] {
        assert!(at + len <= IMAGE_BYTES, "beyond the end");
        let image = self.images.get_mut(&unit).expect("an image");
        if image.len() < at + len {
            image.resize(at + len, 0);
        }
        &mut image[at..at + len]
    }
}

impl Units for Disks {
    fn with<R>(&mut self, unit: UnitId, look: impl FnOnce(&mut Unit) -> R) -> Option<R> {
        let held = self.holders.contains(&(unit, self.looks));
        self.units.get_mut(&unit).filter(|_| held).map(look)
    }

    fn hold(&mut self, unit: UnitId) {
        let first = self.holders.insert((unit, self.looks));
        assert!(first, "{unit:?} is held twice");
    }

    fn let_go(&mut self, unit: UnitId) {
        let held = self.holders.remove(&(unit, self.looks));
        assert!(held, "{unit:?} was not held");
    }
}

/// A ticket that storage has.
struct Held {
    session: SessionId,
    ticket: Ticket,
    unit: UnitId,
    op: Op,
}

pub(crate) struct World {
    /// What logins are judged by.
    config: Arc<NodeConfig>,
    /// What the operator decided last.
    pub(crate) decided: NodeConfig,
    /// Units that were taken away, by the configuration that did.
    taken: BTreeMap<UnitId, u64>,
    /// The last configuration every session goes on with.
    pub(crate) heard: u64,
    /// Those of them the node says nobody has.
    pub(crate) vacated: BTreeSet<UnitId>,
    pub(crate) dice: Dice,
    pub(crate) disks: Disks,
    /// Storage answers only when told.
    pub(crate) hold: bool,
    /// Mail to sessions stays where it is.
    pub(crate) mail_stops: bool,
    now: Moment,
    node: Node,
    sessions: BTreeMap<SessionId, Running>,
    conns: BTreeMap<ConnId, Conn>,
    /// The initiator's ends of connections that are gone.
    gone: BTreeMap<ConnId, Wire>,
    mail: BTreeMap<(Entity, Entity), VecDeque<Mail>>,
    held: VecDeque<Held>,
    /// Tickets that storage gave up waiting for.
    late: VecDeque<Held>,
}

/// What the world can do next.
enum Step {
    Deliver(Entity, Entity),
    Receive(ConnId),
    Read(ConnId),
    Complete,
}

pub(crate) const IMAGE_BYTES: usize = 4 << 20;

impl World {
    /// Units 1 to 4, of which `config` makes LUNs.
    pub(crate) fn new(seed: u64, config: NodeConfig) -> Self {
        let decided = config.clone();
        let config = Arc::new(config);
        let ids = [1, 2, 3, 4].map(UnitId);
        let disks = Disks {
            units: ids.iter().map(|id| (*id, unit(*id))).collect(),
            images: ids.iter().map(|id| (*id, Vec::new())).collect(),
            holders: BTreeSet::new(),
            looks: SessionId(0),
        };
        Self {
            node: Node::new(Arc::clone(&config)),
            config,
            decided,
            taken: BTreeMap::new(),
            heard: 0,
            vacated: BTreeSet::new(),
            dice: Dice::new(seed),
            disks,
            hold: false,
            mail_stops: false,
            now: Moment(1_000_000_000),
            sessions: BTreeMap::new(),
            conns: BTreeMap::new(),
            gone: BTreeMap::new(),
            mail: BTreeMap::new(),
            held: VecDeque::new(),
            late: VecDeque::new(),
        }
    }

    /// An initiator connects.
    pub(crate) fn connect(&mut self, conn: ConnId) {
        let mut actions = Actions::new();
        let mut entropy = [0; 64];
        entropy.fill_with(|| self.dice.next() as u8);
        let local = "192.0.2.1:3260".parse().unwrap();
        let config = Arc::clone(&self.config);
        let login = Login::new(conn, local, config, entropy, self.now, &mut actions);
        self.conns.insert(
            conn,
            Conn {
                wire: Wire::new(),
                login: Some(login),
                wake_at: None,
                session: None,
                outbox: Outbox::new(),
                closing: false,
                unread: false,
            },
        );
        self.act(Entity::Login(conn), &mut actions);
    }

    pub(crate) fn is_connected(&self, conn: ConnId) -> bool {
        self.conns.contains_key(&conn)
    }

    pub(crate) fn wire(&mut self, conn: ConnId) -> &mut Wire {
        match self.conns.get_mut(&conn) {
            Some(conn) => &mut conn.wire,
            None => self.gone.get_mut(&conn).expect("it was connected"),
        }
    }

    /// PDUs of the target nobody has looked at.
    pub(crate) fn unheard(&self) -> impl Iterator<Item = &Heard> {
        let wires = self.conns.values().map(|conn| &conn.wire);
        wires
            .chain(self.gone.values())
            .flat_map(|wire| wire.heard.iter())
    }

    pub(crate) fn set_unread(&mut self, conn: ConnId, unread: bool) {
        self.conns.get_mut(&conn).unwrap().unread = unread;
    }

    pub(crate) fn session_count(&self) -> usize {
        self.node.session_ids().count()
    }

    pub(crate) fn held_count(&self) -> usize {
        self.held.len()
    }

    /// Lets everything happen that can, in an order drawn from the seed.
    pub(crate) fn settle(&mut self) {
        let mut steps = 0;
        loop {
            let mut possible = self.possible();
            if possible.is_empty() {
                return;
            }
            steps += 1;
            assert!(steps < 200_000, "the world never comes to rest");
            let step = possible.swap_remove(self.dice.below(possible.len()));
            self.take(step);
        }
    }

    fn possible(&mut self) -> Vec<Step> {
        let mut possible: Vec<_> = self
            .mail
            .iter()
            .filter(|((_, to), queue)| {
                let stopped = self.mail_stops && matches!(to, Entity::Session(_));
                !queue.is_empty() && !stopped
            })
            .map(|((from, to), _)| Step::Deliver(*from, *to))
            .collect();
        for (id, conn) in &mut self.conns {
            if conn.closing || (!conn.outbox.is_empty() && !conn.unread) {
                possible.push(Step::Read(*id));
            }
            let space = match (&mut conn.login, conn.session) {
                (Some(login), _) => login.space().is_some(),
                (None, Some(session)) => self
                    .sessions
                    .get_mut(&session)
                    .is_some_and(|running| running.session.space(*id).is_some()),
                (None, None) => false,
            };
            if space && !conn.wire.sending.is_empty() {
                possible.push(Step::Receive(*id));
            }
        }
        if !self.hold && !self.held.is_empty() {
            possible.push(Step::Complete);
        }
        possible
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Deliver(from, to) => {
                let mail = self.mail.get_mut(&(from, to)).and_then(VecDeque::pop_front);
                self.deliver(to, mail.expect("there is mail"));
            }
            Step::Receive(conn) => self.receive(conn),
            Step::Read(conn) => self.read(conn),
            Step::Complete => {
                let place = self.dice.below(self.held.len());
                self.complete(place, Ok(()));
            }
        }
    }

    fn deliver(&mut self, to: Entity, mail: Mail) {
        let mut actions = Actions::new();
        match (to, mail) {
            (Entity::Node, Mail::Node(message)) => {
                self.node.handle(self.now, message, &mut actions);
            }
            (Entity::Login(conn), Mail::Login(message)) => {
                if let Some(login) = self.conns.get_mut(&conn).and_then(|c| c.login.as_mut()) {
                    login.handle(self.now, Input::Message(message), &mut actions);
                }
            }
            (Entity::Session(id), Mail::Session(message)) => {
                // One that has ended hears nothing any more.
                if self.sessions.get(&id).is_some_and(|running| !running.over) {
                    self.tell_session(id, Input::Message(message));
                }
                return;
            }
            (Entity::Session(id), Mail::Arrived(handover)) => return self.arrive(id, handover),
            _ => panic!("mail that is nobody's"),
        }
        self.act(to, &mut actions);
    }

    /// A connection comes to a session that exists, or did.
    fn arrive(&mut self, id: SessionId, handover: Box<Handover>) {
        let conn = handover.conn;
        let session = self.sessions.get(&id);
        if session.is_none_or(|running| running.over) {
            if let Some(refused) = self.conns.remove(&conn) {
                self.gone.insert(conn, refused.wire);
            }
            return;
        }
        if let Some(conn) = self.conns.get_mut(&conn) {
            conn.session = Some(id);
        }
        self.tell_session(id, Input::Message(ToSession::Join(handover)));
        match self.is_connected(conn) {
            true => self.tell_session(id, Input::Received { conn, bytes: 0 }),
            false => self.tell_session(id, Input::Lost { conn }),
        }
    }

    fn tell_session(&mut self, id: SessionId, input: Input<ToSession>) {
        let Some(running) = self.sessions.get_mut(&id) else {
            return;
        };
        let mut actions = Actions::new();
        self.disks.looks = id;
        running
            .session
            .handle(self.now, input, &mut self.disks, &mut actions);
        self.act(Entity::Session(id), &mut actions);
    }

    /// Some of the bytes under way arrive at the target.
    fn receive(&mut self, id: ConnId) {
        let bound = [1, 13, 48, 1000, usize::MAX, usize::MAX][self.dice.below(6)];
        let conn = self.conns.get_mut(&id).expect("connected");
        let space = match (&mut conn.login, conn.session) {
            (Some(login), _) => login.space(),
            (None, Some(session)) => self
                .sessions
                .get_mut(&session)
                .and_then(|running| running.session.space(id)),
            (None, None) => None,
        };
        let Some(space) = space else { return };
        let bytes = bound.min(space.len()).min(conn.wire.sending.len());
        for (place, byte) in conn.wire.sending.drain(..bytes).enumerate() {
            space[place] = byte;
        }
        self.tell_conn(id, bytes);
    }

    fn tell_conn(&mut self, id: ConnId, bytes: usize) {
        let conn = self.conns.get_mut(&id).expect("connected");
        let input = Input::Received { conn: id, bytes };
        if let Some(login) = &mut conn.login {
            let mut actions = Actions::new();
            login.handle(self.now, input, &mut actions);
            self.act(Entity::Login(id), &mut actions);
        } else if let Some(session) = conn.session {
            self.tell_session(session, Input::Received { conn: id, bytes });
        }
    }

    /// The initiator reads some of what was sent; a closing connection is gone after the last.
    fn read(&mut self, id: ConnId) {
        let conn = self.conns.get_mut(&id).expect("connected");
        let len = conn.outbox.len();
        let count = match self.dice.below(3) {
            0 if len > 1 => 1 + self.dice.below(len - 1),
            _ => len,
        };
        let mut slices = Vec::new();
        conn.outbox.slices(&mut slices);
        let bytes: Vec<u8> = slices
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .take(count)
            .collect();
        let mut done = Vec::new();
        conn.outbox.advance(bytes.len(), |slice| done.push(slice));
        conn.wire.hear(&bytes);
        let over = conn.closing && conn.outbox.is_empty();
        let session = conn.session;
        self.reclaim(session, done);
        if over {
            self.lose(id);
        }
    }

    fn reclaim(&mut self, session: Option<SessionId>, slices: Vec<Slice>) {
        let Some(id) = session.filter(|_| !slices.is_empty()) else {
            return;
        };
        let Some(running) = self.sessions.get_mut(&id) else {
            return;
        };
        for slice in slices {
            running.session.reclaim(slice);
        }
        if running.session.wants_room() {
            self.tell_session(id, Input::Room);
        }
    }

    /// The connection is gone, from either side.
    pub(crate) fn lose(&mut self, id: ConnId) {
        let Some(mut conn) = self.conns.remove(&id) else {
            return;
        };
        let mut done = Vec::new();
        while !conn.outbox.is_empty() {
            let len = conn.outbox.len();
            conn.outbox.advance(len, |slice| done.push(slice));
        }
        self.reclaim(conn.session, done);
        self.gone.insert(id, conn.wire);
        if let Some(mut login) = conn.login {
            let mut actions = Actions::new();
            login.handle(self.now, Input::Lost { conn: id }, &mut actions);
            self.act(Entity::Login(id), &mut actions);
        } else if let Some(session) = conn.session {
            self.tell_session(session, Input::Lost { conn: id });
        }
    }

    /// Storage answers a ticket; 0 is the oldest.
    pub(crate) fn answer(&mut self, place: usize, outcome: Result<(), Fault>) {
        assert!(place < self.held.len(), "storage has no such ticket");
        self.complete(place, outcome);
    }

    fn complete(&mut self, place: usize, outcome: Result<(), Fault>) {
        let mut held = self.held.remove(place).expect("a ticket");
        self.perform(&mut held, outcome);
        let completion = Completion::of(held.ticket, held.op, outcome);
        self.tell_session(held.session, Input::Completed(completion));
    }

    fn perform(&mut self, held: &mut Held, outcome: Result<(), Fault>) {
        match &mut held.op {
            Op::Read { at, buffer } => {
                let at = *at as usize;
                let len = buffer.len();
                assert!(len > 0 && len.is_multiple_of(512) && at.is_multiple_of(512));
                let image = self.disks.bytes(held.unit, at, len);
                buffer.bytes_mut().copy_from_slice(image);
            }
            Op::Write { at, buffer, .. } => {
                let at = *at as usize;
                assert!(!buffer.is_empty() && buffer.len().is_multiple_of(512));
                assert!(at.is_multiple_of(512));
                if outcome.is_ok() {
                    let image = self.disks.bytes(held.unit, at, buffer.len());
                    image.copy_from_slice(buffer.bytes());
                }
            }
            Op::Flush => {}
            other => panic!("no command asks for {other:?} yet"),
        }
    }

    /// The oldest ticket passes its deadline, with memory in place of its own.
    pub(crate) fn give_up(&mut self) {
        let held = self.held.pop_front().expect("a ticket");
        let stead = held.op.buffer().map(|buffer| buffer.stead());
        let completion = Completion::overdue(held.ticket, stead.map(Stead::buffer));
        let session = held.session;
        self.late.push_back(held);
        self.tell_session(session, Input::Completed(completion));
    }

    /// The oldest ticket that was given up ends after all.
    pub(crate) fn land(&mut self) {
        let mut held = self.late.pop_front().expect("one was given up");
        self.perform(&mut held, Ok(()));
        let completion = Completion::late(held.ticket, Ok(()));
        self.tell_session(held.session, Input::Completed(completion));
    }

    /// Time passes, and whoever asked is woken on the way.
    pub(crate) fn pass(&mut self, wait: Duration) {
        let end = self.now.plus(wait);
        loop {
            self.settle();
            let sessions = self.sessions.values().filter_map(|running| running.wake_at);
            let logins = self.conns.values().filter_map(|conn| conn.wake_at);
            match sessions.chain(logins).min().filter(|at| *at <= end) {
                Some(at) => {
                    self.now = self.now.max(at);
                    self.wake();
                }
                None => break,
            }
        }
        self.now = end;
    }

    fn wake(&mut self) {
        let now = self.now;
        let due = |at: &mut Option<Moment>| at.take_if(|at| *at <= now).is_some();
        let mut sessions = Vec::new();
        for (id, running) in &mut self.sessions {
            if due(&mut running.wake_at) {
                sessions.push(*id);
            }
        }
        for id in sessions {
            self.tell_session(id, Input::Due);
        }
        let mut logins = Vec::new();
        for (id, conn) in &mut self.conns {
            if due(&mut conn.wake_at) && conn.login.is_some() {
                logins.push(*id);
            }
        }
        for id in logins {
            let mut actions = Actions::new();
            if let Some(login) = self.conns.get_mut(&id).and_then(|conn| conn.login.as_mut()) {
                login.handle(now, Input::Due, &mut actions);
            }
            self.act(Entity::Login(id), &mut actions);
        }
    }

    /// The operator takes the target away.
    pub(crate) fn shut_down(&mut self, grace: Duration) {
        let sessions: Vec<_> = self.sessions.keys().copied().collect();
        for session in sessions {
            let why = "the target is going away";
            let mail = Mail::Session(ToSession::Shutdown { grace, why });
            self.post(Entity::Operator, Entity::Session(session), mail);
        }
    }

    /// The operator decided anew, in `decided`.
    pub(crate) fn configure(&mut self, grace: Duration) {
        self.decided.version += 1;
        let config = Arc::new(self.decided.clone());
        let luns = config.targets.iter().flat_map(|target| &target.luns);
        let given: BTreeSet<_> = luns.map(|(_, unit)| *unit).collect();
        for unit in self.disks.units.keys() {
            match given.contains(unit) {
                true => self.taken.remove(unit),
                false => Some(*self.taken.entry(*unit).or_insert(config.version)),
            };
        }
        self.vacated.retain(|unit| !given.contains(unit));
        let mail = Mail::Node(ToNode::Configure { config, grace });
        self.post(Entity::Operator, Entity::Node, mail);
    }

    /// The node says that nobody has a unit: it must be so.
    fn vacate(&mut self, unit: UnitId, version: u64) {
        let lost = self.held.iter().any(|held| held.unit == unit);
        assert!(!lost, "{unit:?} is vacated with a ticket in flight");
        if self.taken.get(&unit).is_some_and(|taken| version >= *taken) {
            let holders = self.disks.holders.iter().filter(|(held, _)| *held == unit);
            assert_eq!(holders.count(), 0, "{unit:?} is vacated and held");
            let nexuses = self.disks.units[&unit].nexuses().count();
            assert_eq!(nexuses, 0, "{unit:?} is vacated and has nexuses");
            assert!(self.vacated.insert(unit), "{unit:?} is vacated twice");
        }
    }

    fn post(&mut self, from: Entity, to: Entity, mail: Mail) {
        self.mail.entry((from, to)).or_default().push_back(mail);
    }

    fn act(&mut self, from: Entity, actions: &mut Actions) {
        while let Some(action) = actions.pop() {
            match action {
                Action::Send {
                    conn,
                    bhs,
                    body,
                    digests,
                } => self.send(conn, bhs, body, digests),
                Action::Submit { ticket, unit, op } => {
                    let Entity::Session(session) = from else {
                        panic!("only sessions have storage");
                    };
                    assert!(!self.vacated.contains(&unit), "a ticket on a vacated unit");
                    self.held.push_back(Held {
                        session,
                        ticket,
                        unit,
                        op,
                    });
                }
                Action::Close { conn } => {
                    if let Some(conn) = self.conns.get_mut(&conn) {
                        conn.closing = true;
                    }
                }
                Action::WakeAt(at) => self.set_wake(from, at),
                Action::ToNode(message) => self.post(from, Entity::Node, Mail::Node(message)),
                Action::ToLogin(conn, message) => {
                    self.post(from, Entity::Login(conn), Mail::Login(message));
                }
                Action::ToSession(session, message) => {
                    self.post(from, Entity::Session(session), Mail::Session(message));
                }
                Action::Adopt(config) => self.config = config,
                Action::Heard { version } => {
                    assert!(version > self.heard, "heard twice");
                    self.heard = version;
                }
                Action::Vacated { unit, version } => self.vacate(unit, version),
                Action::Become(handover) => self.become_session(handover),
                Action::HandOver(handover) => {
                    self.end_login(handover.conn);
                    let to = Entity::Session(handover.session);
                    self.post(from, to, Mail::Arrived(handover));
                }
                Action::End => match from {
                    Entity::Session(id) => self.sessions.get_mut(&id).unwrap().over = true,
                    Entity::Login(conn) => self.end_login(conn),
                    Entity::Node | Entity::Operator => panic!("they never end"),
                },
                Action::Event(_) => {}
            }
        }
    }

    fn send(&mut self, id: ConnId, bhs: iscsi::Bhs, body: Body, digests: iscsi::Digests) {
        let Some(conn) = self.conns.get_mut(&id) else {
            panic!("a PDU for a connection that is gone");
        };
        assert!(!conn.closing, "a PDU after Close");
        let payload = match &body {
            Body::Empty => Payload::None,
            Body::Inline(bytes) => Payload::Inline(bytes),
            Body::Shared(slice) => Payload::Shared(slice.clone()),
        };
        conn.outbox.push(bhs, payload, digests);
        if let Body::Shared(slice) = body {
            drop(slice);
        }
    }

    fn set_wake(&mut self, who: Entity, at: Option<Moment>) {
        match who {
            Entity::Login(conn) => {
                if let Some(conn) = self.conns.get_mut(&conn) {
                    conn.wake_at = at;
                }
            }
            Entity::Session(id) => self.sessions.get_mut(&id).unwrap().wake_at = at,
            Entity::Node | Entity::Operator => panic!("they never sleep"),
        }
    }

    fn end_login(&mut self, conn: ConnId) {
        if let Some(conn) = self.conns.get_mut(&conn) {
            conn.login = None;
            conn.wake_at = None;
        }
    }

    fn become_session(&mut self, handover: Box<Handover>) {
        let (id, conn) = (handover.session, handover.conn);
        self.end_login(conn);
        let mut actions = Actions::new();
        self.disks.looks = id;
        let session = Session::new(handover, self.now, &mut actions, &mut self.disks);
        self.sessions.insert(
            id,
            Running {
                session,
                wake_at: None,
                over: false,
            },
        );
        match self.conns.get_mut(&conn) {
            Some(conn) => conn.session = Some(id),
            None => panic!("a login finished on a connection that is gone"),
        }
        self.act(Entity::Session(id), &mut actions);
        self.tell_session(id, Input::Received { conn, bytes: 0 });
    }

    /// Everybody goes home: after that nothing may be left, whatever happened before.
    pub(crate) fn wind_up(&mut self) {
        (self.hold, self.mail_stops) = (false, false);
        let conns: Vec<_> = self.conns.keys().copied().collect();
        for conn in conns {
            self.lose(conn);
        }
        while !self.late.is_empty() {
            self.land();
        }
        self.settle();
        // Longer than any session may be retained.
        self.pass(Duration::from_secs(4000));
        for (id, running) in &self.sessions {
            let session = &running.session;
            assert!(running.over, "{id:?} never ends");
            assert!(session.is_idle(), "{id:?} has tasks left");
            assert_eq!(session.memory_out_bytes(), 0, "{id:?} lost memory");
        }
        assert_eq!(self.session_count(), 0, "the node thinks sessions are left");
        assert!(self.held.is_empty());
        assert!(self.disks.holders.is_empty(), "a unit is held for ever");
        for unit in self.disks.units.values() {
            assert_eq!(unit.nexuses().count(), 0, "a nexus is left");
        }
    }
}

fn unit(id: UnitId) -> Unit {
    let identity = Identity {
        vendor: *b"GLINT   ",
        product: *b"TEST DISK       ",
        revision: *b"0001",
        serial: format!("serial-{}", id.0),
        naa: [6; 16],
    };
    let caps = Caps {
        bytes: IMAGE_BYTES as u64,
        block_size: BlockSize::B512,
        physical_bytes: 4096,
        read_only: false,
        volatile_cache: true,
        thin: Thin::default(),
    };
    Unit::new(identity, caps)
}

/// Data whose place can be told: byte 0 of a block is `fill` plus the block's number.
pub(crate) fn pattern(fill: u8, offset: usize, len: usize) -> Vec<u8> {
    (offset..offset + len)
        .map(|at| fill.wrapping_add((at / 512) as u8))
        .collect()
}
