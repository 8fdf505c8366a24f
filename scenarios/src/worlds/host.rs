//! One target process: the engine's node, logins and sessions, its units and their images; what
//! `target::driver` does with tokio, in virtual time.
//!
//! Whatever the shell leaves open is drawn here: how bytes are cut, in which order mailboxes,
//! answers of storage and connections are heard. Between two entities letters stay in order.
//! Invariant: nothing of a life is heard in the next one.

mod login;
mod session;
mod socket;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use block::{BlockSize, Caps, Thin};
use engine::{
    Action, Actions, ConnId, Handover, InitiatorAccess, Node, NodeConfig, SessionId, TargetConfig,
    ToLogin, ToNode, ToSession, UnitId, Units,
};
use gluster_mock::call::ClientId;
use gluster_mock::chance::Chance;
use gluster_mock::{Answer, Call, Reply, Submitted};
use iscsi::{IscsiName, Tpgt};
use scsi::{Identity, Unit};

use super::agenda::{Due, Errand, Life};
use super::around::{Around, Stream};
use super::history::{Image, Reopened};
use super::plan::{Moment, SECTOR, TargetSetting};
use super::store::{self, Store};
use super::wire::up_to;

use login::LoginHost;
use session::SessionHost;
use socket::Socket;

/// How long a target waits before it tries again to open what it serves.
const BOOT_PAUSE: Duration = Duration::from_millis(500);

/// A message within a target.
#[derive(Debug)]
pub(super) struct Mail {
    to: Entity,
    letter: Letter,
}

/// Who has a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Entity {
    Node,
    Login(ConnId),
    Session(SessionId),
}

#[derive(Debug)]
enum Letter {
    Node(ToNode),
    Login(ToLogin),
    Session(ToSession),
    /// A connection that logged in elsewhere.
    Arrived(Box<Handover>, Box<Socket>),
}

/// A target process, up or down.
pub(super) struct Host {
    number: u8,
    setting: TargetSetting,
    /// The first of its images.
    first_image: Image,
    life: u32,
    config: Arc<NodeConfig>,
    boot: Option<Boot>,
    running: Option<Running>,
}

/// How far a start is.
#[derive(Debug)]
struct Boot {
    client: Option<ClientId>,
    handles: Vec<gluster_mock::call::Handle>,
    waits_for: Option<gluster_mock::Ticket>,
}

/// A target that is up.
struct Running {
    life: Life,
    client: ClientId,
    config: Arc<NodeConfig>,
    node: Node,
    logins: BTreeMap<ConnId, Box<LoginHost>>,
    sessions: BTreeMap<SessionId, Box<SessionHost>>,
    units: UnitTable,
    stores: Vec<Store>,
    post: Post,
    actions: Actions,
    /// Storage answered an operation at once.
    refused: bool,
}

/// The units of one target. All of them are held by everybody.
struct UnitTable(Vec<Unit>);

impl Units for UnitTable {
    fn with<R>(&mut self, unit: UnitId, look: impl FnOnce(&mut Unit) -> R) -> Option<R> {
        self.0.get_mut(unit.0 as usize).map(look)
    }

    fn hold(&mut self, _: UnitId) {}

    fn let_go(&mut self, _: UnitId) {}
}

/// What carries letters: late, in any order, but in order between two.
struct Post {
    life: Life,
    chance: Chance,
    last: BTreeMap<(Entity, Entity), Moment>,
}

impl Post {
    fn send(&mut self, around: &mut Around, (from, to): (Entity, Entity), letter: Letter) {
        let delay = up_to(&mut self.chance, around.wire.mail);
        let last = self.last.entry((from, to)).or_default();
        let at = around.now.plus(delay).max(*last);
        *last = at;
        let mail = Box::new(Mail { to, letter });
        let due = Due::Errand(self.life, Errand::Mail(mail));
        around.agenda.enter(at, due);
    }

    /// Carries out an action that is the same whoever wants it, or gives it back.
    fn route(&mut self, around: &mut Around, from: Entity, action: Action) -> Option<Action> {
        let (to, letter) = match action {
            Action::ToNode(message) => (Entity::Node, Letter::Node(message)),
            Action::ToLogin(conn, message) => (Entity::Login(conn), Letter::Login(message)),
            Action::ToSession(id, message) => (Entity::Session(id), Letter::Session(message)),
            other => return Some(other),
        };
        self.send(around, (from, to), letter);
        None
    }
}

/// The name of a target, and that of the one beside it which hostile peers may use.
pub(super) fn target_name(host: u8, hostile: bool) -> String {
    match hostile {
        false => format!("iqn.2026-11.org.glint:world{host}"),
        true => format!("iqn.2026-11.org.glint:pit{host}"),
    }
}

/// The name of an honest host's initiator.
pub(super) fn initiator_name(host: u8) -> String {
    format!("iqn.2026-11.org.glint:host{host}")
}

/// The path of an image on the volume; the unit after the honest ones is for hostile peers.
pub(super) fn image_path(host: u8, unit: usize) -> String {
    format!("/t{host}u{unit}.img")
}

impl Host {
    pub(super) fn new(
        number: u8,
        setting: TargetSetting,
        first_image: Image,
        names: Vec<u8>,
    ) -> Self {
        Self {
            number,
            setting,
            first_image,
            life: 0,
            config: Arc::new(config(number, &setting, names)),
            boot: None,
            running: None,
        }
    }

    /// Units, the one for hostile peers included.
    pub(super) fn units(&self) -> usize {
        usize::from(self.setting.luns) + 1
    }

    pub(super) fn life(&self) -> u32 {
        self.life
    }

    pub(super) fn is_up(&self) -> bool {
        self.running.is_some()
    }

    /// The client it is to the volume, while it is up.
    pub(super) fn client(&self) -> Option<ClientId> {
        self.running.as_ref().map(|running| running.client)
    }

    /// Starts, or goes on starting.
    pub(super) fn start(&mut self, around: &mut Around) {
        if self.running.is_some() {
            return;
        }
        let boot = self.boot.get_or_insert_with(|| Boot {
            client: None,
            handles: Vec::new(),
            waits_for: None,
        });
        if boot.waits_for.is_some() {
            return;
        }
        let units = self.units();
        loop {
            let Some(boot) = &mut self.boot else { return };
            let call = match boot.client {
                None => init(),
                Some(_) if boot.handles.len() == units => {
                    return self.run(around);
                }
                Some(_) => {
                    let path = image_path(self.number, boot.handles.len());
                    store::open(&path, self.setting.write_back)
                }
            };
            let client = boot.client.unwrap_or(ClientId(0));
            let now = gluster_mock::Moment(around.now.0);
            around.volume_moved = true;
            match around.volume.submit(now, client, call) {
                Submitted::Pending(ticket) => {
                    boot.waits_for = Some(ticket);
                    return;
                }
                Submitted::Answered(answer) => {
                    if !self.booted(around, answer) {
                        return;
                    }
                }
            }
        }
    }

    /// A step of the start is answered; whether it goes on at once.
    fn booted(&mut self, around: &mut Around, answer: Answer) -> bool {
        let Some(boot) = &mut self.boot else {
            return false;
        };
        match answer {
            Ok(Reply::Client(client)) => boot.client = Some(client),
            Ok(Reply::Handle(handle)) => boot.handles.push(handle),
            Ok(_) | Err(_) => {
                let at = around.now.plus(BOOT_PAUSE);
                around.agenda.enter(at, Due::Start(self.number));
                return false;
            }
        }
        true
    }

    fn run(&mut self, around: &mut Around) {
        let Some(boot) = self.boot.take() else { return };
        let Some(client) = boot.client else { return };
        let number = self.number;
        let life = Life {
            host: number,
            number: self.life,
        };
        let mut units = Vec::new();
        let mut stores = Vec::new();
        for (unit, handle) in boot.handles.into_iter().enumerate() {
            stores.push(Store::new((life, unit), handle, &self.setting, around));
            units.push(Unit::new(identity(number, unit), caps(&self.setting)));
            if unit < usize::from(self.setting.luns) {
                let reopened = Reopened {
                    image: self.first_image + unit as Image,
                    at: around.now,
                };
                around.history.reopened.push(reopened);
            }
        }
        around
            .journal
            .note(around.now, || format!("target {number} is up"));
        self.running = Some(Running {
            life,
            client,
            config: Arc::clone(&self.config),
            node: Node::new(Arc::clone(&self.config)),
            logins: BTreeMap::new(),
            sessions: BTreeMap::new(),
            units: UnitTable(units),
            stores,
            post: Post {
                life,
                chance: around.chance(Stream::Host(life)),
                last: BTreeMap::new(),
            },
            actions: Actions::new(),
            refused: false,
        });
    }

    /// It is killed: what it sent into bricks goes on there, everything else is gone.
    pub(super) fn crash(&mut self, around: &mut Around) {
        self.life += 1;
        let client = self.client().or(self.boot.as_ref().and_then(|b| b.client));
        self.running = None;
        self.boot = None;
        let now = gluster_mock::Moment(around.now.0);
        if let Some(client) = client {
            around.volume.kill_client(now, client);
            around.volume_moved = true;
        }
        for write in around.ledger.crashed(self.number) {
            around.crash_write(write);
        }
        for wire in 0..around.wires.len() {
            if around.wires[wire].host == self.number {
                around.reset(wire);
            }
        }
    }

    /// One of the volume's answers; whether it was for this target.
    pub(super) fn answered(
        &mut self,
        around: &mut Around,
        ticket: gluster_mock::Ticket,
        answer: &Answer,
    ) -> bool {
        if let Some(boot) = &mut self.boot
            && boot.waits_for == Some(ticket)
        {
            boot.waits_for = None;
            if self.booted(around, answer.clone()) {
                self.start(around);
            }
            return true;
        }
        let Some(running) = &mut self.running else {
            return false;
        };
        let mut stores = running.stores.iter_mut();
        let known = stores.any(|store| store.answered(around, ticket, answer));
        if known {
            running.collect(around);
        }
        known
    }

    /// Something that was entered for this target is due; nothing of an earlier life is.
    pub(super) fn run_errand(&mut self, around: &mut Around, life: Life, errand: Errand) {
        let Some(running) = &mut self.running else {
            return;
        };
        if life.number != self.life {
            return;
        }
        match errand {
            Errand::Mail(mail) => running.hear(around, *mail),
            Errand::LoginClock(conn) => running.login_clock(around, conn),
            Errand::SessionClock(session) => running.session_clock(around, session),
            Errand::Completions(session) => running.completions(around, session),
            Errand::Hand(unit) => {
                running.stores[unit].hand(around);
                running.collect(around);
            }
            Errand::Return(unit, number) => {
                running.stores[unit].come_back(around, number);
                running.collect(around);
            }
            Errand::Tick(unit) => {
                running.stores[unit].tick(around);
                running.collect(around);
            }
        }
    }

    /// A connection is there; while nobody listens it is not heard.
    pub(super) fn accept(&mut self, around: &mut Around, wire: usize) {
        if let Some(running) = &mut self.running {
            running.accept(around, wire);
        }
    }

    /// Bytes, an end, or room at this end of a connection.
    pub(super) fn arrive(&mut self, around: &mut Around, wire: usize) {
        if let Some(running) = &mut self.running
            && around.wires[wire].life == running.life.number
        {
            running.arrive(around, ConnId(wire as u64));
        }
    }

    /// The operator asks everybody to log out.
    pub(super) fn shutdown(&mut self, around: &mut Around, grace: Duration) {
        let Some(running) = &mut self.running else {
            return;
        };
        let why = "the world's operator says so";
        let ids: Vec<SessionId> = running.sessions.keys().copied().collect();
        for id in ids {
            let letter = Letter::Session(ToSession::Shutdown { grace, why });
            let from_to = (Entity::Node, Entity::Session(id));
            running.post.send(around, from_to, letter);
        }
    }

    /// Whether it is up and nobody is there any more.
    pub(super) fn is_quiet(&self) -> bool {
        let Some(running) = &self.running else {
            return false;
        };
        running.logins.is_empty()
            && running.sessions.is_empty()
            && running.node.session_ids().next().is_none()
            && running.stores.iter().all(Store::is_idle)
            && running.units.0.iter().all(Unit::is_idle)
    }

    /// What is left over when everybody has gone, in words.
    pub(super) fn leftovers(&self) -> Vec<String> {
        let mut left = Vec::new();
        let Some(running) = &self.running else {
            return vec![format!("target {} is down", self.number)];
        };
        let number = self.number;
        for conn in running.logins.keys() {
            left.push(format!("target {number}: login on connection {}", conn.0));
        }
        for (id, session) in &running.sessions {
            left.push(format!(
                "target {number}: session {} with {} bytes of memory out",
                id.0,
                session.memory_out()
            ));
        }
        let known: Vec<_> = running.node.session_ids().collect();
        if !known.is_empty() {
            left.push(format!("target {number}: the node knows {known:?}"));
        }
        for (unit, store) in running.stores.iter().enumerate() {
            if !store.is_idle() {
                left.push(format!("target {number}: storage of unit {unit} is busy"));
            }
        }
        for (unit, table) in running.units.0.iter().enumerate() {
            let nexuses = table.nexuses().count();
            if nexuses > 0 {
                left.push(format!(
                    "target {number}: unit {unit} has {nexuses} nexuses"
                ));
            }
            if !table.is_idle() {
                left.push(format!("target {number}: unit {unit} counts tickets"));
            }
        }
        left
    }
}

impl Running {
    fn hear(&mut self, around: &mut Around, mail: Mail) {
        match (mail.to, mail.letter) {
            (Entity::Node, Letter::Node(message)) => {
                self.node.handle(around.now, message, &mut self.actions);
                while let Some(action) = self.actions.pop() {
                    // What remains are events and news of the configuration, which stays.
                    self.post.route(around, Entity::Node, action);
                }
            }
            (Entity::Login(conn), Letter::Login(message)) => self.tell_login(around, conn, message),
            (Entity::Session(id), Letter::Session(message)) => {
                self.tell_session(around, id, message);
            }
            (Entity::Session(id), Letter::Arrived(handover, socket)) => {
                self.welcome(around, id, handover, *socket);
            }
            _ => {}
        }
    }

    fn arrive(&mut self, around: &mut Around, conn: ConnId) {
        if self.logins.contains_key(&conn) {
            return self.login_arrive(around, conn);
        }
        let mut sessions = self.sessions.iter();
        let owner = sessions.find(|(_, session)| session.has(conn));
        if let Some((&id, _)) = owner {
            self.session_arrive(around, id, conn);
        }
    }

    /// Answers that storage left for sessions are on their way to them.
    fn collect(&mut self, around: &mut Around) {
        for (id, session) in &mut self.sessions {
            if session.take_answers() {
                let delay = up_to(&mut self.post.chance, around.wire.mail);
                let due = Due::Errand(self.life, Errand::Completions(*id));
                around.agenda.enter(around.now.plus(delay), due);
            }
        }
    }
}

/// As glintd mounts a volume: past write-behind, without a post-op delay.
fn init() -> Call {
    let options = [
        ["*-write-behind", "pass-through", "true"],
        ["*-replicate-*", "post-op-delay-secs", "0"],
    ];
    Call::Init {
        options: options.map(|option| option.map(str::to_owned)).to_vec(),
    }
}

fn config(host: u8, setting: &TargetSetting, names: Vec<u8>) -> NodeConfig {
    let name = |text: String| IscsiName::parse(&text).expect("a name of ours is a name");
    let target = |hostile: bool, luns: Vec<(u16, UnitId)>, access| TargetConfig {
        name: name(target_name(host, hostile)),
        alias: None,
        tpgt: Tpgt(1),
        luns,
        away: Vec::new(),
        access,
        chap: Vec::new(),
        mutual: None,
    };
    let honest = names.into_iter().map(|host| name(initiator_name(host)));
    let luns = (0..setting.luns).map(|lun| (u16::from(lun), UnitId(u32::from(lun))));
    let pit = vec![(0, UnitId(u32::from(setting.luns)))];
    let mut config = NodeConfig {
        targets: vec![
            target(
                false,
                luns.collect(),
                InitiatorAccess::Only(honest.collect()),
            ),
            target(true, pit, InitiatorAccess::Anyone),
        ],
        queue_depth: setting.queue_depth,
        session_memory_bytes: setting.session_memory,
        ping_interval: setting.ping_interval,
        ..NodeConfig::default()
    };
    config.offer.time2retain = 20;
    config
}

fn identity(host: u8, unit: usize) -> Identity {
    let mut naa = [0; 16];
    naa[0] = 0x60;
    (naa[14], naa[15]) = (host, unit as u8);
    Identity {
        vendor: *b"GLINT   ",
        product: *b"world           ",
        revision: *b"0001",
        serial: format!("world{host}{unit}"),
        naa,
    }
}

fn caps(setting: &TargetSetting) -> Caps {
    Caps {
        bytes: u64::from(setting.sectors) * SECTOR as u64,
        block_size: BlockSize::B512,
        physical_bytes: 4096,
        read_only: false,
        volatile_cache: setting.write_back,
        thin: Thin::default(),
    }
}
