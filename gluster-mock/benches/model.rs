//! How fast the model is: operations per second on one core, with a fixed seed, of a volume with
//! three replicas in memory. `cargo bench -p gluster-mock` prints a line per mix and the hash of what
//! was decided, which is the same in every build.

#[path = "../tests/model/load.rs"]
#[allow(dead_code, reason = "tests use more of it")]
mod load;

use std::time::{Duration, Instant};

use gluster_mock::call::{ClientId, Handle};
use gluster_mock::chance::Chance;
use gluster_mock::medium::{Medium, Memory};
use gluster_mock::{Call, Moment, Reply, Settings, Submitted, SyncKind, Volume};

/// Operations of one measurement.
const OPERATIONS: u64 = 400_000;
/// Measurements; the best counts, the others are the machine's noise.
const ROUNDS: usize = 5;
/// Blocks that are used, of 4 KiB each.
const BLOCKS: u64 = 1024;

/// A mix: of 100 operations so many are reads, so many syncs, the rest writes; a client in trouble
/// has a brick that hangs now and then.
struct Mix {
    name: &'static str,
    bytes: usize,
    reads: u64,
    syncs: u64,
    faults: bool,
}

const MIXES: [Mix; 4] = [
    Mix {
        name: "512 B, half reads",
        bytes: 512,
        reads: 49,
        syncs: 2,
        faults: false,
    },
    Mix {
        name: "4 KiB, half reads",
        bytes: 4096,
        reads: 49,
        syncs: 2,
        faults: false,
    },
    Mix {
        name: "4 KiB, writes only",
        bytes: 4096,
        reads: 0,
        syncs: 2,
        faults: false,
    },
    Mix {
        name: "4 KiB, half reads, bricks that hang",
        bytes: 4096,
        reads: 49,
        syncs: 2,
        faults: true,
    },
];

#[allow(clippy::print_stdout, reason = "its result is what it prints")]
fn main() {
    assert_eq!(load::play(1).0, load::SEED_1, "the same in every build");
    // `cargo test --benches` asks for nothing but that it runs.
    let quick = !std::env::args().any(|argument| argument == "--bench");
    for mix in &MIXES {
        let operations = if quick { 4_000 } else { OPERATIONS };
        let runs: Vec<(Duration, u64)> = (0..ROUNDS).map(|_| run(mix, operations)).collect();
        let hashes: Vec<u64> = runs.iter().map(|(_, hash)| *hash).collect();
        assert!(
            hashes.windows(2).all(|two| two[0] == two[1]),
            "one seed, one run"
        );
        let mut times: Vec<Duration> = runs.iter().map(|(time, _)| *time).collect();
        times.sort();
        let rate = |time: Duration| operations as f64 / time.as_secs_f64() / 1e6;
        println!(
            "{:<36} {:>6.2} M operations/s (median {:>5.2})   trace {:016x}",
            mix.name,
            rate(times[0]),
            rate(times[ROUNDS / 2]),
            hashes[0],
        );
    }
}

fn run(mix: &Mix, operations: u64) -> (Duration, u64) {
    let settings = Settings::parse("seed = 7\nreplica = 3\nping-timeout = 1").expect("settings");
    let media = (0..3).map(|_| Box::new(Memory::default()) as Box<dyn Medium>);
    let mut volume = Volume::open(settings, media.collect()).expect("a volume");
    let options = vec![["*-write-behind", "pass-through", "true"].map(str::to_owned)];
    let Reply::Client(client) = ask(&mut volume, ClientId(0), Call::Init { options }) else {
        panic!("no client");
    };
    let create = Call::Create {
        path: "/disk".to_owned(),
        flags: 2,
        mode: 0o600,
    };
    let Reply::Handle(handle) = ask(&mut volume, client, create) else {
        panic!("no handle");
    };
    for block in 0..BLOCKS {
        let _filled = ask(&mut volume, client, write(handle, block * 4096, 4096));
    }
    let mut chance = Chance::new(7);
    let mut now = Moment(0);
    let start = Instant::now();
    for step in 0..operations {
        now = now.after(Duration::from_micros(100));
        if mix.faults && step % 1000 < 2 {
            let line = ["brick hang 1", "brick resume 1"][(step % 1000) as usize];
            let command = gluster_mock::Command::parse(line).expect("a command");
            let _done = volume.command(now, &command);
        }
        let at = chance.below(BLOCKS) * 4096;
        let roll = chance.below(100);
        let call = if roll < mix.reads {
            Call::Read {
                handle,
                at,
                len: mix.bytes,
            }
        } else if roll < mix.reads + mix.syncs {
            let kind = SyncKind::Data;
            Call::Sync { handle, kind }
        } else {
            write(handle, at, mix.bytes)
        };
        if let Submitted::Pending(_) = volume.submit(now, client, call) {
            assert!(mix.faults, "nothing waits here");
        }
        if mix.faults {
            let _told = volume.answers();
        }
    }
    (start.elapsed(), volume.trace.hash())
}

fn write(handle: Handle, at: u64, bytes: usize) -> Call {
    Call::Write {
        handle,
        at,
        flags: 0,
        bytes: vec![at as u8; bytes].into(),
        owner: None,
    }
}

fn ask(volume: &mut Volume, client: ClientId, call: Call) -> Reply {
    match volume.submit(Moment(0), client, call) {
        Submitted::Answered(Ok(reply)) => reply,
        other => panic!("{other:?}"),
    }
}
