//! A volume: its namespace, bricks, clients, plan of faults, and the calls in flight.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::brick::{Brick, Desk};
use crate::call::{Answer, Call, ClientId, Handle, Ino, LockCall, Moment, Reply, Space, Ticket};
use crate::chance::Chance;
use crate::client::Client;
use crate::errno::Errno;
use crate::flight::{Due, Flight};
use crate::kind::{Kind, Set};
use crate::marks::{Mark, Marks};
use crate::medium::{Entry, Medium};
use crate::plan::Plan;
use crate::settings::Settings;
use crate::trace::{Event, Trace};
use crate::turn::Turn;

/// The model. Time is an argument of whoever asks; a moment before another that was named already
/// counts as that one.
pub struct Volume {
    pub(crate) settings: Settings,
    /// What is left to chance; its rolls can be kept, and fixed for another run.
    pub chance: Chance,
    /// What files are numbered by; apart, so that faults do not depend on how many there are.
    pub(crate) gfids: Chance,
    /// What was decided so far.
    pub trace: Trace,
    /// Which places were passed.
    pub marks: Marks,
    pub(crate) plan: Plan,
    pub(crate) bricks: Vec<Brick>,
    pub(crate) names: BTreeMap<String, Ino>,
    pub(crate) nodes: BTreeMap<Ino, Node>,
    pub(crate) clients: BTreeMap<ClientId, Client>,
    pub(crate) opens: BTreeMap<u64, Opened>,
    pub(crate) flights: BTreeMap<Ticket, Flight>,
    pub(crate) due: BTreeMap<(Moment, u64), Due>,
    pub(crate) answered: Vec<(Ticket, Answer)>,
    pub(crate) next_due: u64,
    pub(crate) next_ticket: u64,
    pub(crate) next_handle: u64,
    pub(crate) next_ino: u64,
    next_client: u32,
    pub(crate) powered: bool,
}

/// A file or directory.
pub(crate) struct Node {
    pub(crate) entry: Entry,
    /// Handles open on it.
    pub(crate) opened: u32,
    /// Whether a path leads to it.
    pub(crate) named: bool,
    /// AFR's inode lock.
    pub(crate) turn: Turn,
}

/// An open handle.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) handle: Handle,
    /// Every call fails so, for good.
    pub(crate) bad: Option<Errno>,
    /// Bricks it was open on died, so that it can no longer do everything.
    pub(crate) unreachable: bool,
    /// The lock it holds, and on which bricks.
    pub(crate) lock: Option<(LockCall, Set)>,
}

impl Volume {
    /// Opens the volume that is on these media, one a brick. Names are taken from the first.
    pub fn open(settings: Settings, media: Vec<Box<dyn Medium>>) -> Result<Self, Errno> {
        let chance = Chance::new(settings.seed);
        let bricks = media.into_iter().enumerate();
        let mut volume = Self {
            gfids: Chance::new(settings.seed ^ GFIDS),
            settings,
            chance,
            trace: Trace::default(),
            marks: Marks::default(),
            plan: Plan::default(),
            bricks: bricks
                .map(|(index, medium)| Brick::new(index as u32, medium))
                .collect(),
            names: BTreeMap::new(),
            nodes: BTreeMap::new(),
            clients: BTreeMap::new(),
            opens: BTreeMap::new(),
            flights: BTreeMap::new(),
            due: BTreeMap::new(),
            answered: Vec::new(),
            next_due: 0,
            next_ticket: 1,
            next_handle: 1,
            next_ino: 1,
            next_client: 1,
            powered: true,
        };
        volume.load()?;
        Ok(volume)
    }

    fn load(&mut self) -> Result<(), Errno> {
        let mut lists = Vec::new();
        for brick in &mut self.bricks {
            lists.push(brick.medium.entries()?);
        }
        for entry in lists.first().cloned().unwrap_or_default() {
            self.next_ino = self.next_ino.max(entry.file.0 + 1);
            self.names.insert(entry.path.clone(), entry.file);
            let node = Node {
                entry,
                opened: 0,
                named: true,
                turn: Turn::default(),
            };
            self.nodes.insert(node.entry.file, node);
        }
        for file in self.nodes.keys() {
            for brick in &mut self.bricks {
                brick.load(*file)?;
            }
        }
        let files: Vec<Ino> = self.nodes.keys().copied().collect();
        files.into_iter().try_for_each(|file| self.give_gfid(file))
    }

    /// The faults from now on; counts of rules that stay go on.
    pub fn set_plan(&mut self, now: Moment, plan: Plan) {
        self.plan = plan.resume(&self.plan);
        self.release_held(now);
    }

    /// Whether these bricks are enough for a client to begin with.
    pub(crate) fn is_enough_to_mount(&self, there: Set) -> bool {
        let bricks = self.bricks.len();
        match self.settings.kind {
            Kind::Distribute => there.count() > 0,
            kind => kind.suffices(bricks, there, Set::all(bricks)),
        }
    }

    /// A new client, as `glfs_init` makes it.
    pub(crate) fn attach(&mut self, call: &Call) -> Reply {
        let id = ClientId(self.next_client);
        self.next_client += 1;
        let mut client = Client::new(self.new_links());
        if let Call::Init { options } = call {
            for [xlator, key, value] in options {
                client.set_option(xlator, key, value);
            }
        }
        self.clients.insert(id, client);
        Reply::Client(id)
    }

    /// The client goes in order: what it cached is passed on.
    pub(crate) fn detach(&mut self, client: ClientId) -> Result<(), Errno> {
        let holder = self.clients.get(&client);
        let files = holder.map(Client::files).unwrap_or_default();
        let mut result = Ok(());
        for file in files {
            self.pass_on(client, file);
            let holder = self.clients.get_mut(&client);
            let error = holder.and_then(|holder| holder.take(file).error);
            result = result.and(error.map_or(Ok(()), Err));
        }
        self.leave(client);
        result
    }

    /// The client dies: what it cached is gone, its handles are bad, its locks are dropped; what it
    /// had sent into bricks goes on there.
    pub fn kill_client(&mut self, now: Moment, client: ClientId) {
        let Some(holder) = self.clients.get_mut(&client) else {
            return;
        };
        for file in holder.files() {
            let writes = holder.take(file).writes.len() as u64;
            self.trace.push(Event::Forgotten {
                client,
                file,
                writes,
            });
        }
        self.marks.hit(Mark::ClientKilled);
        self.leave(client);
        self.drop_turns(now, client);
        for brick in 0..self.bricks.len() {
            self.recheck_locks(now, brick);
        }
    }

    /// What is left of a client that is gone.
    fn leave(&mut self, client: ClientId) {
        self.abandon(client);
        self.clients.remove(&client);
        for node in self.nodes.values_mut() {
            if node.turn.holder == Some(client) {
                node.turn.holder = None;
                node.turn.running = 0;
            }
        }
        for brick in &mut self.bricks {
            brick.locks.drop_client(client);
        }
        let own = self.opens.iter();
        let own = own.filter(|(_, opened)| opened.handle.client == client);
        let own: Vec<Handle> = own.map(|(_, opened)| opened.handle).collect();
        for handle in own {
            self.drop_handle(handle);
        }
    }

    /// Power fails everywhere: clients and caches are gone, stable storage is what is left.
    pub fn power_cut(&mut self) -> Result<(), Errno> {
        self.marks.hit(Mark::PowerCutAll);
        let clients: Vec<ClientId> = self.clients.keys().copied().collect();
        for client in clients {
            self.kill_client(Moment(0), client);
        }
        self.due.clear();
        // Clients that were about to begin.
        for (ticket, _) in std::mem::take(&mut self.flights) {
            self.answered.push((ticket, Err(Errno::ENOTCONN)));
        }
        for brick in &mut self.bricks {
            brick.restart();
        }
        (0..self.bricks.len()).try_for_each(|brick| self.lose_cache(brick))
    }

    /// Time passes and no power fails: the kernels write all their un-synced pages back.
    pub fn settle(&mut self) -> Result<(), Errno> {
        let (bricks, mut desk) = self.desk();
        let mut bricks = bricks.iter_mut();
        bricks.try_for_each(|brick| brick.write_back(&mut desk))
    }

    /// Whether nobody has it mounted.
    pub fn is_deserted(&self) -> bool {
        self.clients.is_empty()
    }

    /// Whether the plan has cut the power; then nothing is answered any more.
    pub fn is_dark(&self) -> bool {
        !self.powered
    }

    /// The power comes back after a cut by plan.
    pub fn power_on(&mut self) {
        self.powered = true;
    }

    /// The un-synced pages of a brick are gone.
    pub(crate) fn lose_cache(&mut self, brick: usize) -> Result<(), Errno> {
        let (bricks, mut desk) = self.desk();
        bricks
            .get_mut(brick)
            .ok_or(Errno::EINVAL)?
            .power_cut(&mut desk)
    }

    /// Brings a brick what it missed (self-heal), where another has it right.
    pub(crate) fn heal(&mut self, now: Moment, brick: usize) {
        if !self.bricks[brick].is_serving() {
            return;
        }
        let stale: Vec<Ino> = self.bricks[brick].stale.iter().copied().collect();
        let mut waits = false;
        for file in stale {
            // Self-heal takes the same inode lock as changes do.
            let mut flights = self.flights.values();
            if flights.any(|flight| flight.file == file && flight.is_in_turn()) {
                waits = true;
                continue;
            }
            let placed = self.settings.kind.placement(self.bricks.len(), file);
            let source = placed.iter().find(|&other| {
                other != brick
                    && self.has_bytes(other)
                    && self.bricks[other].is_serving()
                    && !self.bricks[other].stale.contains(&file)
            });
            let Some(source) = source else {
                self.marks.hit(Mark::HealSourceless);
                continue;
            };
            let bytes = self.has_bytes(brick);
            let (bricks, mut desk) = self.desk();
            let Ok([bad, good]) = bricks.get_disjoint_mut([brick, source]) else {
                continue;
            };
            let healed = match bytes {
                true => bad.heal(file, good, &mut desk),
                false => {
                    bad.is_right(file);
                    Ok(())
                }
            };
            if healed.is_ok() {
                self.marks.hit(Mark::Healed);
            }
        }
        if waits {
            self.marks.hit(Mark::HealWaited);
            self.schedule(now.after(HEAL_PAUSE), Due::Heal(brick));
        }
    }

    /// The bricks that are up, each of which has every file, in Gluster's words.
    pub(crate) fn path_info(&self, file: Ino) -> String {
        let placed = self.settings.kind.placement(self.bricks.len(), file);
        let up = placed.iter().filter(|&brick| self.bricks[brick].up);
        let places = up.map(|index| format!("<POSIX(/bricks/{index}):fake:/{}>", file.0));
        let places: Vec<_> = places.collect();
        format!("(<REPLICATE:vol-replicate-0> {})", places.join(" "))
    }

    /// Room on the fullest brick.
    pub(crate) fn space(&self) -> Space {
        let total = self.settings.capacity.unwrap_or(UNBOUNDED);
        let used = self.bricks.iter().map(Brick::used_bytes).max().unwrap_or(0);
        Space {
            total,
            free: total.saturating_sub(used),
        }
    }

    /// Whether plain writes of this client are answered out of its own cache.
    pub fn writes_behind(&self, client: ClientId) -> bool {
        let passes = self
            .clients
            .get(&client)
            .is_none_or(|client| client.pass_through);
        self.settings.write_behind && !passes
    }

    /// The settings it was opened with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn desk(&mut self) -> (&mut [Brick], Desk<'_>) {
        let desk = Desk {
            settings: &self.settings,
            chance: &mut self.chance,
            trace: &mut self.trace,
            marks: &mut self.marks,
        };
        (&mut self.bricks, desk)
    }
}

/// Self-heal that finds changes under way tries again after that.
const HEAL_PAUSE: Duration = Duration::from_millis(20);

/// The seed of gfids, apart from that of faults.
const GFIDS: u64 = 0x6766_6964_6766_6964;

/// What a volume without a bound claims to hold: 1 TiB.
const UNBOUNDED: u64 = 1 << 40;
