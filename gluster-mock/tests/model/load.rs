//! A mixed load with every kind of trouble in it, from a seed; what the model decided, as one
//! number. The same file is part of the benchmark, so that the number is compared in debug and in
//! release builds.

use std::time::Duration;

use gluster_mock::call::{ClientId, LockCall, LockType, LockVerb, Place, XattrMode};
use gluster_mock::chance::Chance;
use gluster_mock::medium::{Medium, Memory};
use gluster_mock::{Call, Command, Moment, Reply, Settings, Submitted, SyncKind, Volume};

/// What comes of seed 1, in every build.
pub(crate) const SEED_1: &str = "6b5f07144316a5b8";

const SETTINGS: &str = "replica = 3\ncapacity = 1048576\nping-timeout = 1\n\
                        mandatory-locking = forced\nenforce-mandatory-lock = on";

/// Kinds of trouble; `C` stands for a client, `B` for a brick.
const TROUBLE: [&str; 16] = [
    "brick kill B",
    "brick start B",
    "brick hang B",
    "brick resume B",
    "brick slow B 5ms",
    "brick slow B 0ms",
    "brick error B EIO",
    "brick error B none",
    "partition C B answers",
    "mend C B",
    "graph-switch",
    "power-cut brick B",
    "client freeze C",
    "client thaw C",
    "plan write * chance=5 errno=EIO; fsync * every=7 lose; read * every=11 short=100",
    "plan write * latency=3ms",
];

/// Plays it and gives the hash and the number of events.
pub(crate) fn play(seed: u64) -> (String, u64) {
    let (volume, _) = play_with(seed, seed, &[]);
    (hash(&volume), volume.trace.count())
}

/// The hash of a run.
pub(crate) fn hash(volume: &Volume) -> String {
    format!("{:016x}", volume.trace.hash())
}

/// Plays the load of one seed on a volume of another, with decisions taken from an earlier run; gives
/// the decisions of this one.
pub(crate) fn play_with(seed: u64, volume_seed: u64, decisions: &[u64]) -> (Volume, Vec<u64>) {
    let settings = Settings::parse(&format!("seed = {volume_seed}\n{SETTINGS}")).expect("settings");
    let media = (0..3).map(|_| Box::new(Memory::default()) as Box<dyn Medium>);
    let mut volume = Volume::open(settings, media.collect()).expect("a volume");
    volume.chance.keep();
    for (number, decision) in (0..).zip(decisions) {
        volume.chance.fix(number, *decision);
    }
    let mut now = Moment(0);
    let through = ["*-write-behind", "pass-through", "true"].map(str::to_owned);
    let mut clients = Vec::new();
    for options in [vec![through.clone()], vec![through], Vec::new()] {
        let Some(Reply::Client(client)) =
            ask(&mut volume, now, ClientId(0), Call::Init { options })
        else {
            panic!("no client");
        };
        let create = Call::Create {
            path: "/disk".to_owned(),
            flags: 2,
            mode: 0o600,
        };
        let Some(Reply::Handle(handle)) = ask(&mut volume, now, client, create) else {
            panic!("no handle");
        };
        clients.push((client, handle));
    }
    let mut chance = Chance::new(seed);
    for _ in 0..5000 {
        now = now.after(Duration::from_micros(chance.below(20_000)));
        if chance.below(20) == 0 {
            let (client, _) = clients[chance.below(3) as usize];
            let line = TROUBLE[chance.below(16) as usize]
                .replace('B', &chance.below(3).to_string())
                .replace('C', &client.0.to_string());
            // What is refused is refused by the seed, too.
            let _said = Command::parse(&line).map(|command| volume.command(now, &command));
        }
        let (client, handle) = clients[chance.below(3) as usize];
        let at = chance.below(512) * 4096;
        let call = match chance.below(16) {
            0..=5 => Call::Write {
                handle,
                at: at + chance.below(2) * 512,
                flags: [0, 0o10000][chance.below(2) as usize],
                bytes: vec![at as u8; 512 << chance.below(5)].into(),
                owner: None,
            },
            6..=10 => Call::Read {
                handle,
                at,
                len: 4096,
            },
            11 => Call::Discard {
                handle,
                range: at..at + 8192,
            },
            12 => Call::SetXattr {
                place: Place::Handle(handle),
                name: "trusted.glusterfs.enforce-mandatory-lock".to_owned(),
                value: b"set".to_vec(),
                mode: XattrMode::Any,
            },
            13 => Call::Lock {
                handle,
                lock: LockCall {
                    verb: LockVerb::Set,
                    kind: LockType::Write,
                    range: 0..u64::MAX,
                    mandatory: true,
                    owner: None,
                },
            },
            _ => Call::Sync {
                handle,
                kind: SyncKind::Data,
            },
        };
        let _outcome = volume.submit(now, client, call);
        let _told = volume.answers();
    }
    let decisions = volume.chance.kept().to_vec();
    (volume, decisions)
}

fn ask(volume: &mut Volume, now: Moment, client: ClientId, call: Call) -> Option<Reply> {
    match volume.submit(now, client, call) {
        Submitted::Answered(answer) => answer.ok(),
        Submitted::Pending(_) => None,
    }
}
