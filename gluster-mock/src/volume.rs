//! A volume: one namespace, one replica set of bricks, its clients, its plan of faults.
//!
//! A call has two halves, so that delays stay outside: [`Volume::begin`] asks the plan what becomes
//! of it, and after the delay that it names the call itself is made with that verdict. Between the
//! halves the volume is free for others; a write that hangs lands when it is carried out.

use std::collections::BTreeMap;

use crate::brick::{Brick, Desk};
use crate::call::{ClientId, Handle, Ino, Moment, OpKind, Space};
use crate::chance::Chance;
use crate::client::Client;
use crate::errno::Errno;
use crate::medium::{Entry, Medium};
use crate::plan::{Outcome, Plan, Verdict};
use crate::settings::Settings;
use crate::trace::{Event, Trace};

/// The model.
pub struct Volume {
    pub(crate) settings: Settings,
    pub(crate) chance: Chance,
    /// What files are numbered by; apart, so that faults do not depend on how many there are.
    pub(crate) gfids: Chance,
    /// What was decided so far.
    pub trace: Trace,
    plan: Plan,
    pub(crate) bricks: Vec<Brick>,
    pub(crate) names: BTreeMap<String, Ino>,
    pub(crate) nodes: BTreeMap<Ino, Node>,
    pub(crate) clients: BTreeMap<ClientId, Client>,
    pub(crate) next_ino: u64,
    next_client: u32,
    powered: bool,
}

/// A file or directory.
pub(crate) struct Node {
    pub(crate) entry: Entry,
    /// Handles open on it, by client.
    pub(crate) opened: BTreeMap<ClientId, u32>,
    /// Whether a path leads to it.
    pub(crate) named: bool,
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
            plan: Plan::default(),
            bricks: bricks
                .map(|(index, medium)| Brick::new(index as u32, medium))
                .collect(),
            names: BTreeMap::new(),
            nodes: BTreeMap::new(),
            clients: BTreeMap::new(),
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
                opened: BTreeMap::new(),
                named: true,
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
    pub fn set_plan(&mut self, plan: Plan) {
        self.plan = plan.resume(&self.plan);
    }

    /// First half of a call: what the plan makes of it.
    pub fn begin(&mut self, now: Moment, kind: OpKind, path: &str) -> Verdict {
        let verdict = self.plan.judge(kind, path, &mut self.chance);
        let rule = verdict.rule;
        self.trace.push(Event::Begin { now, kind, rule });
        verdict
    }

    /// Whether a call with this verdict still hangs.
    pub fn hangs(&self, verdict: &Verdict) -> bool {
        verdict
            .hang
            .as_deref()
            .is_some_and(|rule| self.plan.holds(rule))
    }

    /// A new client, as `glfs_init` makes it. Without a quorum of bricks there is none (EIO).
    pub fn attach(&mut self, now: Moment, verdict: &Verdict) -> Result<ClientId, Errno> {
        let id = ClientId(self.next_client);
        let result = self.admit(verdict).and_then(|_| match self.has_quorum() {
            true => Ok(()),
            false => Err(Errno::EIO),
        });
        self.answer(now, OpKind::Init, id, Ino(0), (0, 0), &result.map(|()| 0));
        result?;
        self.next_client += 1;
        self.clients.insert(id, Client::default());
        Ok(id)
    }

    /// An option of one client's graph; unknown ones are taken without a word, as Gluster does.
    pub fn set_option(&mut self, client: ClientId, xlator: &str, key: &str, value: &str) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.set_option(xlator, key, value);
        }
    }

    /// The client goes in order: what it cached is passed on.
    pub fn detach(&mut self, now: Moment, client: ClientId) -> Result<(), Errno> {
        let files = self
            .clients
            .get(&client)
            .map(Client::files)
            .unwrap_or_default();
        let mut result = Ok(());
        for file in files {
            self.pass_on(client, file);
            let error = self
                .clients
                .get_mut(&client)
                .and_then(|c| c.take(file).error);
            result = result.and(error.map_or(Ok(()), Err));
        }
        self.clients.remove(&client);
        self.drop_handles(client);
        self.answer(
            now,
            OpKind::Fini,
            client,
            Ino(0),
            (0, 0),
            &result.map(|()| 0),
        );
        result
    }

    /// The client dies: what it cached is gone, its handles are bad.
    pub fn kill_client(&mut self, client: ClientId) {
        let Some(mut dead) = self.clients.remove(&client) else {
            return;
        };
        for file in dead.files() {
            let writes = dead.take(file).writes.len() as u64;
            self.trace.push(Event::Forgotten {
                client,
                file,
                writes,
            });
        }
        self.drop_handles(client);
    }

    /// A client's handles are gone; so are files that only they kept.
    fn drop_handles(&mut self, client: ClientId) {
        for node in self.nodes.values_mut() {
            node.opened.remove(&client);
        }
        let kept = |node: &Node| node.named || !node.opened.is_empty();
        let nameless = self.nodes.iter().filter(|(_, node)| !kept(node));
        let nameless: Vec<Ino> = nameless.map(|(&file, _)| file).collect();
        nameless.into_iter().for_each(|file| self.forget(file));
    }

    /// Power fails everywhere: clients and caches are gone, stable storage is what is left.
    pub fn power_cut(&mut self) -> Result<(), Errno> {
        let clients: Vec<ClientId> = self.clients.keys().copied().collect();
        clients
            .into_iter()
            .for_each(|client| self.kill_client(client));
        (0..self.bricks.len()).try_for_each(|brick| self.cut_brick(brick))?;
        Ok(())
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

    /// The power of one brick fails and comes back: its un-synced pages are gone.
    pub fn cut_brick(&mut self, brick: usize) -> Result<(), Errno> {
        let (bricks, mut desk) = self.desk();
        bricks
            .get_mut(brick)
            .ok_or(Errno::EINVAL)?
            .power_cut(&mut desk)
    }

    /// A brick process goes down or comes back. One that comes back is healed from the others
    /// before it serves; its page cache is the kernel's and was never gone.
    pub fn set_brick(&mut self, brick: usize, up: bool) -> Result<(), Errno> {
        self.bricks.get_mut(brick).ok_or(Errno::EINVAL)?.up = up;
        self.trace.push(Event::Brick {
            brick: brick as u32,
            up,
        });
        if up { self.heal(brick) } else { Ok(()) }
    }

    fn heal(&mut self, brick: usize) -> Result<(), Errno> {
        let source = (0..self.bricks.len()).find(|&other| {
            other != brick && self.bricks[other].up && self.bricks[other].stale.is_empty()
        });
        let Some(source) = source else {
            return Ok(());
        };
        let stale: Vec<Ino> = self.bricks[brick].stale.iter().copied().collect();
        for file in stale {
            let (bricks, mut desk) = self.desk();
            let [bad, good] = bricks
                .get_disjoint_mut([brick, source])
                .map_err(|_| Errno::EINVAL)?;
            bad.heal(file, good, &mut desk)?;
        }
        Ok(())
    }

    /// More than half of the bricks, or half with the first, as quorum-type `auto` counts.
    pub fn has_quorum(&self) -> bool {
        let up = self.bricks.iter().filter(|brick| brick.up).count();
        let first = self.bricks.first().is_some_and(|brick| brick.up);
        up * 2 > self.bricks.len() || (up * 2 == self.bricks.len() && first)
    }

    /// The bricks that are up, each of which has every file, in Gluster's words.
    pub(crate) fn path_info(&self, file: Ino) -> String {
        let up = self.bricks.iter().enumerate().filter(|(_, brick)| brick.up);
        let places = up.map(|(index, _)| format!("<POSIX(/bricks/{index}):fake:/{}>", file.0));
        let places: Vec<_> = places.collect();
        format!("(<REPLICATE:vol-replicate-0> {})", places.join(" "))
    }

    /// Room on the fullest brick.
    pub fn space(&self) -> Result<Space, Errno> {
        self.check_quorum()?;
        let total = self.settings.capacity.unwrap_or(UNBOUNDED);
        let used = self.bricks.iter().map(Brick::used_bytes).max().unwrap_or(0);
        Ok(Space {
            total,
            free: total.saturating_sub(used),
        })
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
        };
        (&mut self.bricks, desk)
    }

    pub(crate) fn check_quorum(&self) -> Result<(), Errno> {
        if self.has_quorum() {
            Ok(())
        } else {
            Err(Errno::ENOTCONN)
        }
    }

    /// What every call meets first: darkness and the plan. The bound is that of a short transfer.
    pub(crate) fn admit(&mut self, verdict: &Verdict) -> Result<u64, Errno> {
        if !self.powered {
            return Err(Errno::ENOTCONN);
        }
        match verdict.outcome {
            Outcome::Proceed => Ok(u64::MAX),
            Outcome::Short(bytes) => Ok(bytes),
            Outcome::Fail(errno) | Outcome::Lose(errno) => Err(errno),
            Outcome::Cut => {
                self.power_cut()?;
                self.powered = false;
                Err(Errno::ENOTCONN)
            }
        }
    }

    pub(crate) fn check_handle(&self, handle: Handle) -> Result<(), Errno> {
        let alive = self.clients.contains_key(&handle.client);
        if alive && self.nodes.contains_key(&handle.file) {
            Ok(())
        } else {
            Err(Errno::EBADF)
        }
    }

    pub(crate) fn answer(
        &mut self,
        now: Moment,
        kind: OpKind,
        client: ClientId,
        file: Ino,
        (at, len): (u64, u64),
        result: &Result<u64, Errno>,
    ) {
        self.trace.push(Event::Answer {
            now,
            kind,
            client,
            file,
            at,
            len,
            result: *result,
        });
    }
}

/// The seed of gfids, apart from that of faults.
const GFIDS: u64 = 0x6766_6964_6766_6964;

/// What a volume without a bound claims to hold: 1 TiB.
const UNBOUNDED: u64 = 1 << 40;
