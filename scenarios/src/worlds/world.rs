//! Plays a plan: one thread, one list of what is due, until everybody is gone.
//!
//! Two phases: first the plan's events, in which nothing wrong may be answered; then everything is
//! mended, and everybody has to finish within [`PATIENCE`].

use std::time::Duration;

use gluster_mock::call::Place as FilePlace;
use gluster_mock::medium::{Medium, Memory};
use gluster_mock::{Call, Command, Reply, Settings, Submitted, Volume};

use super::agenda::Due;
use super::around::Around;
use super::deviant::Deviant;
use super::history::Image;
use super::host::{self, Host};
use super::journal::Journal;
use super::marks::Mark;
use super::oracle;
use super::peer::Peer;
use super::plan::{Fault, Moment, Plan, SECTOR, VolumeSetting, Way, What};
use super::wire::Caller;
use super::{Complaint, Oracle, Played, campaign};

/// How long everybody has after everything was mended: a command is aborted after 30 s, a function
/// given up after 15 s, a session after 30 s more, and BUSY is retried for a minute.
const PATIENCE: Duration = Duration::from_secs(300);

/// Between the end of the power and its return, where a plan of faults cut it.
const DARK: Duration = Duration::from_secs(1);

struct World<'a> {
    plan: &'a Plan,
    around: Around,
    hosts: Vec<Host>,
    peers: Vec<Peer>,
    deviants: Vec<Deviant>,
    troubled: bool,
    verifying: bool,
}

/// Plays it.
pub(super) fn play(plan: &Plan, record: bool) -> Played {
    let mut world = World::new(plan, record);
    if !record {
        world.run();
        return world.finish();
    }
    // A panic does not take the recording with it.
    match campaign::caught(|| world.run()) {
        Ok(()) => world.finish(),
        Err(what) => {
            let (recording, notes) = world.around.journal.into_parts();
            Played {
                recording,
                notes,
                ..campaign::broken(what)
            }
        }
    }
}

impl<'a> World<'a> {
    fn new(plan: &'a Plan, record: bool) -> Self {
        let setting = &plan.setting;
        let volume = volume(plan);
        let around = Around::new(plan.chance, setting.wire, volume, Journal::new(record));
        let mut hosts = Vec::new();
        let mut first_image: Image = 0;
        for (number, target) in (0..).zip(&setting.targets) {
            let own = setting.initiators.iter();
            let own = own.filter(|initiator| initiator.target == number);
            let mut names: Vec<u8> = own.map(|initiator| initiator.host).collect();
            names.dedup();
            hosts.push(Host::new(number, *target, first_image, names));
            first_image += target.luns;
        }
        let image_of = |target: u8| {
            let before = setting.targets.iter().take(usize::from(target));
            before.map(|target| target.luns).sum()
        };
        let peers = (0..).zip(&setting.initiators);
        let peers = peers.map(|(number, initiator)| {
            let target = setting.targets[usize::from(initiator.target)];
            Peer::new(
                number,
                *initiator,
                target,
                image_of(initiator.target),
                &around,
            )
        });
        let peers = peers.collect();
        let deviants = setting.deviants.iter().map(|each| Deviant::new(*each));
        Self {
            plan,
            deviants: deviants.collect(),
            around,
            hosts,
            peers,
            troubled: false,
            verifying: false,
        }
    }

    fn run(&mut self) {
        self.make_images();
        for number in 0..self.hosts.len() {
            self.hosts[number].start(&mut self.around);
        }
        for (place, event) in self.plan.events.iter().enumerate() {
            self.around.agenda.enter(event.at, Due::Event(place));
        }
        for number in 0..self.deviants.len() {
            let due = Due::Deviant(number as u8);
            self.around.agenda.enter(Moment::default(), due);
        }
        let last = self.plan.events.last().map_or(Moment::default(), |e| e.at);
        let heal = last.plus(self.plan.setting.calm);
        self.around.agenda.enter(heal, Due::Heal);
        self.around.agenda.enter(heal.plus(PATIENCE), Due::End);
        while !self.is_over() {
            if !self.step() {
                return;
            }
        }
    }

    /// The next thing happens; false where that is the end.
    fn step(&mut self) -> bool {
        let calls = self.around.volume.next_due().map(|at| engine::Moment(at.0));
        let next = self.around.agenda.next();
        match (calls, next) {
            (Some(at), next) if next.is_none_or(|next| at <= next) => {
                self.around.now = self.around.now.max(at);
                let now = gluster_mock::Moment(self.around.now.0);
                self.around.volume.advance(now);
                self.around.volume_moved = true;
            }
            _ => {
                let Some((at, due)) = self.around.agenda.pop() else {
                    return false;
                };
                self.around.now = self.around.now.max(at);
                if matches!(due, Due::End) {
                    return false;
                }
                self.happen(due);
            }
        }
        self.settle();
        true
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Event(place) => self.event(place),
            Due::Arrive(wire, way) => self.arrive(wire, way),
            Due::Room(wire, Way::In) => self.arrive(wire, Way::Out),
            Due::Room(wire, Way::Out) => self.arrive(wire, Way::In),
            Due::Errand(life, errand) => {
                self.hosts[usize::from(life.host)].run_errand(&mut self.around, life, errand);
            }
            Due::Start(host) => self.hosts[usize::from(host)].start(&mut self.around),
            Due::Peer(peer) => self.pump(usize::from(peer)),
            Due::Deviant(number) => self.deviate(usize::from(number)),
            Due::Heal => self.heal(),
            Due::End => {}
        }
    }

    /// What follows at once: answers of the volume, new connections, the end of the plan.
    fn settle(&mut self) {
        while std::mem::take(&mut self.around.volume_moved) {
            for (ticket, answer) in self.around.volume.answers() {
                let around = &mut self.around;
                let mut hosts = self.hosts.iter_mut();
                hosts.any(|host| host.answered(around, ticket, &answer));
            }
            if self.around.volume.is_dark() {
                self.around.volume.power_on();
                self.black_out(DARK);
            }
        }
        self.around.note_losses();
        for wire in std::mem::take(&mut self.around.new_wires) {
            let host = usize::from(self.around.wires[wire].host);
            self.hosts[host].accept(&mut self.around, wire);
        }
        if self.around.healed && !self.verifying && self.peers.iter().all(Peer::is_quiet) {
            self.verify();
        }
    }

    fn verify(&mut self) {
        self.verifying = true;
        for number in 0..self.peers.len() {
            let host = self.peers[number].target();
            let first = self.peers.iter().position(|peer| peer.target() == host);
            self.peers[number].verify(first == Some(number));
            self.pump(number);
        }
    }

    fn is_over(&self) -> bool {
        self.verifying
            && self.peers.iter().all(Peer::is_gone)
            && self.deviants.iter().all(Deviant::is_gone)
            && self.hosts.iter().all(Host::is_quiet)
    }

    fn event(&mut self, place: usize) {
        let event = &self.plan.events[place];
        self.around.journal.mix(u64::from(event.number) << 32);
        match &event.what {
            What::Step(peer, step) => {
                let number = usize::from(*peer);
                let Some(peer) = self.peers.get_mut(number) else {
                    return;
                };
                peer.wants(event.number, *step);
                self.pump(number);
            }
            What::Fault(fault) => self.fault(fault),
        }
    }

    fn pump(&mut self, number: usize) {
        let host = usize::from(self.peers[number].target());
        let host = self.hosts.get(host).filter(|host| host.is_up());
        let life = host.map(Host::life);
        self.peers[number].pump(&mut self.around, life);
    }

    fn arrive(&mut self, wire: usize, way: Way) {
        let Some(line) = self.around.wires.get(wire) else {
            return;
        };
        let (caller, host) = (line.caller, usize::from(line.host));
        match (way, caller) {
            (Way::In, _) => self.hosts[host].arrive(&mut self.around, wire),
            (Way::Out, Caller::Peer(peer)) => {
                let number = usize::from(peer);
                self.peers[number].arrive(&mut self.around, wire);
                self.pump(number);
            }
            (Way::Out, Caller::Deviant(number)) => {
                self.deviants[usize::from(number)].arrive(&mut self.around, wire);
            }
        }
    }

    fn deviate(&mut self, number: usize) {
        let host = usize::from(self.deviants[number].host());
        let host = self.hosts.get(host).filter(|host| host.is_up());
        let life = host.map(Host::life);
        let healed = self.around.healed;
        self.deviants[number].go_on(&mut self.around, number as u8, life, healed);
    }

    fn fault(&mut self, fault: &Fault) {
        let took_effect = match fault {
            Fault::Cluster(words) => self.cluster(words),
            Fault::Cut { initiator } => self.on_wire(*initiator, Mark::Cut, Around::reset),
            Fault::HalfClose { initiator } => {
                self.on_wire(*initiator, Mark::HalfClosed, Around::half_close)
            }
            Fault::Stall {
                initiator,
                way,
                time,
            } => self.on_wire(*initiator, Mark::Stalled, |around, wire| {
                around.stall(wire, *way, *time);
            }),
            Fault::Crash { target, time } => {
                self.around.marks.hit(Mark::Crashed);
                self.crash(*target, *time);
                true
            }
            Fault::Blackout { time } => {
                self.around.marks.hit(Mark::BlackedOut);
                self.black_out(*time);
                self.around
                    .volume
                    .power_cut()
                    .expect("memory is cut without an error");
                self.around.volume_moved = true;
                true
            }
            Fault::Shutdown { target, time } => {
                self.around.marks.hit(Mark::ShutDown);
                self.hosts[usize::from(*target)].shutdown(&mut self.around, *time);
                true
            }
        };
        self.troubled |= took_effect;
    }

    /// Does something to an initiator's connection; whether there is one.
    fn on_wire(
        &mut self,
        initiator: u8,
        mark: Mark,
        does: impl FnOnce(&mut Around, usize),
    ) -> bool {
        let peer = self.peers.get(usize::from(initiator));
        let Some(wire) = peer.and_then(Peer::wire) else {
            return false;
        };
        self.around.marks.hit(mark);
        does(&mut self.around, wire);
        true
    }

    fn crash(&mut self, target: u8, time: Duration) {
        self.hosts[usize::from(target)].crash(&mut self.around);
        let at = self.around.now.plus(time);
        self.around.agenda.enter(at, Due::Start(target));
    }

    /// Every target is gone with the power, and comes back with it.
    fn black_out(&mut self, time: Duration) {
        for number in 0..self.hosts.len() {
            self.crash(number as u8, time);
        }
        self.around.shaky = true;
    }

    /// A word for the cluster; what cannot be done there is not done. Whether it was.
    fn cluster(&mut self, words: &str) -> bool {
        let mut text = words.to_owned();
        for (number, host) in self.hosts.iter().enumerate() {
            let name = format!("C{number}");
            if text.contains(&name) {
                let Some(client) = host.client() else {
                    return false;
                };
                text = text.replace(&name, &client.0.to_string());
            }
        }
        let Ok(command) = Command::parse(&text) else {
            return false;
        };
        let slow = matches!(command, Command::BrickSlow(..) | Command::GraphSwitch(_));
        let now = gluster_mock::Moment(self.around.now.0);
        let done = self.around.volume.command(now, &command).is_ok();
        if done {
            self.around.shaky |= !slow;
            self.around.marks.hit(Mark::ClusterFault);
        }
        self.around.volume_moved = true;
        done
    }

    /// Everything is mended.
    fn heal(&mut self) {
        self.around
            .journal
            .note(self.around.now, || "everything is mended".to_owned());
        self.around.healed = true;
        let now = gluster_mock::Moment(self.around.now.0);
        let VolumeSetting {
            bricks, latency, ..
        } = self.plan.setting.volume;
        let clients: Vec<u32> = self
            .hosts
            .iter()
            .filter_map(|host| host.client().map(|client| client.0))
            .collect();
        let mut commands = vec![Command::Plan(String::new())];
        for brick in 0..usize::from(bricks) {
            commands.push(Command::BrickError(brick, None));
            commands.push(Command::BrickSlow(brick, latency));
            commands.push(Command::Drain(brick));
            commands.push(Command::BrickStart(brick));
            commands.push(Command::BrickResume(brick));
            let mends = clients.iter().map(|client| Command::Mend(*client, brick));
            commands.extend(mends);
        }
        commands.extend(clients.iter().map(|client| Command::Thaw(*client)));
        for command in commands {
            // A brick that is up is not started again.
            let _said = self.around.volume.command(now, &command);
        }
        self.around.volume_moved = true;
        self.around.release_all();
        for number in 0..self.hosts.len() {
            self.hosts[number].start(&mut self.around);
        }
        for number in 0..self.peers.len() {
            self.pump(number);
        }
        for number in 0..self.deviants.len() {
            self.deviate(number);
        }
    }

    /// What is left, what the oracles say, what it came to.
    fn finish(mut self) -> Played {
        if !self.is_over() {
            self.complain_of_the_living();
        } else if self.around.ledger.len() > 0 {
            let what = format!("{} tickets were never answered", self.around.ledger.len());
            self.around.complain(Oracle::Leak, what);
        }
        let mut around = self.around;
        around.journal.mix(around.volume.trace.hash());
        around.journal.mix(around.now.0);
        around.history.reads.sort_by_key(|read| read.sent);
        around.history.syncs.sort_by_key(|sync| sync.sent);
        let judged: Vec<Complaint> = oracle::judge(&around.history);
        around.complaints.extend(judged);
        around.marks.add_volume(&around.volume.marks);
        let hash = around.journal.hash();
        let (recording, notes) = around.journal.into_parts();
        Played {
            complaints: around.complaints,
            hash,
            marks: around.marks,
            commands: around.commands,
            transfers: around.transfers,
            sessions: around.sessions,
            troubled: self.troubled,
            bytes: around.bytes,
            lasted: around.now.0,
            recording,
            notes,
        }
    }

    fn complain_of_the_living(&mut self) {
        let now = gluster_mock::Moment(self.around.now.0);
        let status = self.around.volume.command(now, &Command::Status);
        self.around
            .journal
            .note(self.around.now, || status.unwrap_or_default());
        let waiting = self.peers.iter().filter(|peer| !peer.is_gone());
        let waiting: Vec<String> = waiting.map(Peer::waits_for).collect();
        let left: Vec<String> = self.hosts.iter().flat_map(Host::leftovers).collect();
        let (oracle, mut what) = match waiting.is_empty() {
            false => (Oracle::Live, waiting.join("; ")),
            true => (Oracle::Leak, String::new()),
        };
        if !left.is_empty() {
            what = format!("{what} [{}]", left.join("; "));
        }
        let seconds = PATIENCE.as_secs();
        let what = format!("{seconds} s after everything was mended: {what}");
        self.around.complain(oracle, what);
    }

    /// The images' files, full of zeros.
    fn make_images(&mut self) {
        let now = gluster_mock::Moment(0);
        let volume = &mut self.around.volume;
        let nobody = gluster_mock::call::ClientId(0);
        let options = vec![["*-write-behind", "pass-through", "true"].map(str::to_owned)];
        let Submitted::Answered(Ok(Reply::Client(client))) =
            volume.submit(now, nobody, Call::Init { options })
        else {
            unreachable!("a new volume is there");
        };
        for (number, target) in (0..).zip(&self.plan.setting.targets) {
            for unit in 0..self.hosts[usize::from(number)].units() {
                let create = Call::Create {
                    path: host::image_path(number, unit),
                    flags: 2,
                    mode: 0o600,
                };
                let made = volume.submit(now, client, create);
                if let Submitted::Answered(Ok(Reply::Handle(handle))) = made {
                    let truncate = Call::Truncate {
                        place: FilePlace::Handle(handle),
                        size: u64::from(target.sectors) * SECTOR as u64,
                    };
                    volume.submit(now, client, truncate);
                }
            }
        }
        volume.submit(now, client, Call::Fini);
        let latency = self.plan.setting.volume.latency;
        for brick in 0..usize::from(self.plan.setting.volume.bricks) {
            if !latency.is_zero() {
                let slow = Command::BrickSlow(brick, latency);
                volume.command(now, &slow).ok();
            }
        }
    }
}

fn volume(plan: &Plan) -> Volume {
    let setting = &plan.setting.volume;
    let settings = Settings {
        seed: plan.chance ^ 0x766f_6c75_6d65,
        bricks: u32::from(setting.bricks),
        kind: setting.kind,
        capacity: setting.capacity,
        shard: setting.shard,
        ping_timeout: u64::from(setting.ping_timeout),
        heal_delay: setting.heal_delay,
        post_op_delay: setting.post_op_delay,
        lost_percent: setting.lost_percent,
        torn_percent: setting.torn_percent,
        ..Settings::default()
    };
    let media = (0..setting.bricks).map(|_| Box::new(Memory::default()) as Box<dyn Medium>);
    Volume::open(settings, media.collect()).expect("memory opens")
}
