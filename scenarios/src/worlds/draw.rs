//! A plan from a seed: which of all that can go wrong this world has (swarm), how large and how fast
//! everything is, and what is asked: some 50 commands, those tried again and the reads at the end among
//! them.

use std::time::Duration;

use gluster_mock::Kind;
use gluster_mock::chance::Chance;
use iscsi::TmfFunction;

use super::plan::{
    Deviant, Event, Extent, Fault, InitiatorSetting, Moment, Plan, Setting, Step, TargetSetting,
    VolumeSetting, Way, What, WireSetting,
};

/// SCSI commands of a plan. Another dozen comes of trying again and of reading everything at the end.
pub const COMMANDS: u32 = 40;

/// The smallest read or write, in sectors: 4 KiB.
const SECTORS_MIN: u64 = 8;

/// The plan of that seed.
pub fn draw(seed: u64) -> Plan {
    let mut dice = Dice(Chance::new(seed ^ 0x776f_726c_6473));
    let troubles = Troubles::draw(&mut dice);
    let setting = setting(&mut dice, &troubles);
    let events = events(&mut dice, &setting, &troubles);
    Plan {
        chance: seed,
        setting,
        events,
    }
}

struct Dice(Chance);

impl Dice {
    /// True that many times of a hundred.
    fn percent(&mut self, percent: u64) -> bool {
        self.0.below(100) < percent
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.0.below(of.len() as u64) as usize]
    }
}

/// What goes wrong in this world.
struct Troubles {
    kinds: Vec<Trouble>,
    /// Of a hundred events, how many.
    percent: u64,
    hostile: bool,
    /// Sessions are taken over, closed and left.
    restless: bool,
    /// Tasks are aborted.
    aborts: bool,
}

/// A family of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Connections,
    Bricks,
    Hangs,
    Links,
    Calls,
    Crashes,
    Blackouts,
    Shutdowns,
    Space,
    Power,
    Clients,
}

const TROUBLES: [Trouble; 11] = [
    Trouble::Connections,
    Trouble::Bricks,
    Trouble::Hangs,
    Trouble::Links,
    Trouble::Calls,
    Trouble::Crashes,
    Trouble::Blackouts,
    Trouble::Shutdowns,
    Trouble::Space,
    Trouble::Power,
    Trouble::Clients,
];

impl Troubles {
    fn draw(dice: &mut Dice) -> Self {
        let mut kinds = Vec::new();
        if dice.percent(70) {
            let wanted = 1 + dice.below(3);
            for _ in 0..wanted {
                let kind = dice.one(&TROUBLES);
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
        }
        Self {
            percent: dice.one(&[4, 8, 16]),
            kinds,
            hostile: dice.percent(10),
            restless: dice.percent(40),
            aborts: dice.percent(50),
        }
    }
}

fn setting(dice: &mut Dice, troubles: &Troubles) -> Setting {
    let targets: u8 = if dice.percent(25) { 2 } else { 1 };
    let write_back = dice.percent(50);
    let target = |dice: &mut Dice| TargetSetting {
        luns: dice.one(&[1, 1, 1, 2]),
        sectors: dice.one(&[48, 64, 128]),
        write_back,
        queue_depth: dice.one(&[4, 16, 64, 128]),
        session_memory: dice.one(&[16 << 10, 64 << 10, 256 << 10, 4 << 20]),
        share: dice.one(&[1, 4, 16, 32]),
        storage_timeout: Duration::from_secs(dice.one(&[2, 8, 20])),
        ping_interval: Duration::from_secs(dice.one(&[0, 5, 15])),
    };
    let targets: Vec<TargetSetting> = (0..targets).map(|_| target(dice)).collect();
    let count = dice.one(&[1, 2, 2, 2, 2, 2, 3, 3, 3, 4]);
    let paths = dice.percent(30);
    let initiators = (0..count).map(|number| {
        let host = if paths { 0 } else { number };
        initiator(dice, number % targets.len() as u8, host)
    });
    let initiators = initiators.collect();
    let deviants = match troubles.hostile {
        true => vec![Deviant {
            target: 0,
            seed: dice.below(u64::MAX),
            connections: 1 + dice.below(3) as u8,
        }],
        false => Vec::new(),
    };
    let mail = dice.one(&[0, 20, 200]);
    Setting {
        targets,
        initiators,
        deviants,
        volume: volume(dice, troubles),
        wire: WireSetting {
            latency: Duration::from_micros(dice.one(&[0, 50, 500])),
            chops: dice.percent(50),
            buffer: dice.one(&[4 << 10, 64 << 10, 1 << 20]),
            mail: Duration::from_micros(mail),
        },
        calm: Duration::from_millis(dice.one(&[1, 100, 3_000, 25_000])),
    }
}

fn initiator(dice: &mut Dice, target: u8, host: u8) -> InitiatorSetting {
    let first_burst = dice.one(&[512, 4096, 16 << 10, 64 << 10]);
    InitiatorSetting {
        target,
        host,
        immediate_data: dice.percent(70),
        initial_r2t: dice.percent(40),
        first_burst,
        max_burst: dice.one(&[4096, 16 << 10, 256 << 10]).max(first_burst),
        max_recv: dice.one(&[512, 4096, 64 << 10]),
        r2ts: dice.one(&[1, 2, 8]),
        header_digest: dice.percent(15),
        data_digest: dice.percent(15),
        rejoins: dice.percent(30),
        time2retain: dice.one(&[0, 3, 20]),
    }
}

fn volume(dice: &mut Dice, troubles: &Troubles) -> VolumeSetting {
    let (kind, bricks) = match dice.below(25) {
        0 | 1 => (Kind::Arbiter, 3),
        2 => (Kind::Disperse, 3),
        3 => (Kind::Distribute, 2),
        4 => (Kind::Replica, 1),
        _ => (Kind::Replica, 3),
    };
    let small = troubles.kinds.contains(&Trouble::Space) && dice.percent(50);
    VolumeSetting {
        kind,
        bricks,
        shard: if dice.percent(5) { 16 << 10 } else { 0 },
        capacity: small.then_some(160 << 10),
        ping_timeout: dice.one(&[1, 10, 42]),
        heal_delay: Duration::from_millis(dice.one(&[0, 10, 1000])),
        post_op_delay: Duration::ZERO,
        lost_percent: 50,
        torn_percent: 25,
        latency: Duration::from_micros(dice.one(&[0, 0, 40, 400])),
    }
}

/// Gaps between events, in microseconds: from a burst to a trickle.
const GAPS: [u64; 4] = [4, 40, 400, 10_000];

/// Pauses in which deadlines pass, in milliseconds.
const PAUSES: [u64; 5] = [300, 1_500, 6_000, 22_000, 40_000];

fn events(dice: &mut Dice, setting: &Setting, troubles: &Troubles) -> Vec<Event> {
    let gap = dice.one(&GAPS);
    let mut events: Vec<Event> = Vec::new();
    let mut at = Moment::default();
    let mut left = COMMANDS;
    let mut script = Script::default();
    while left > 0 {
        at = at.plus(Duration::from_nanos(dice.below(2_000 * gap + 1)));
        let more = script.next.is_some();
        let troubled = !troubles.kinds.is_empty() && (more || dice.percent(troubles.percent));
        let what = if troubled {
            if !more && dice.percent(25) {
                at = at.plus(Duration::from_millis(dice.one(&PAUSES)));
            }
            What::Fault(script.fault(dice, setting, troubles))
        } else {
            let peer = dice.below(setting.initiators.len() as u64) as u8;
            let step = step(dice, setting, troubles, peer);
            left -= u32::from(is_command(&step));
            What::Step(peer, step)
        };
        let number = events.len() as u16;
        events.push(Event { number, at, what });
    }
    events
}

fn is_command(step: &Step) -> bool {
    matches!(
        step,
        Step::Read { .. } | Step::Write { .. } | Step::Sync { .. } | Step::Ready { .. }
    )
}

fn step(dice: &mut Dice, setting: &Setting, troubles: &Troubles, peer: u8) -> Step {
    let target = setting.initiators[usize::from(peer)].target;
    let target = &setting.targets[usize::from(target)];
    let lun = dice.below(u64::from(target.luns)) as u8;
    if troubles.restless && dice.percent(3) {
        return dice.one(&[Step::Logout, Step::Reinstate, Step::Rejoin, Step::Vanish]);
    }
    if troubles.aborts && dice.percent(7) {
        let function = dice.one(&[
            TmfFunction::ABORT_TASK,
            TmfFunction::ABORT_TASK,
            TmfFunction::ABORT_TASK,
            TmfFunction::ABORT_TASK_SET,
            TmfFunction::CLEAR_TASK_SET,
            TmfFunction::LOGICAL_UNIT_RESET,
        ]);
        let back = dice.below(4) as u8;
        return Step::Manage {
            function,
            lun,
            back,
        };
    }
    match dice.below(100) {
        0..=41 => Step::Write {
            place: place(dice, target, lun),
            long: dice.percent(20),
            fua: dice.percent(20),
        },
        42..=83 => Step::Read {
            place: place(dice, target, lun),
            long: dice.percent(20),
            fua: dice.percent(5),
        },
        84..=93 => {
            let whole = Extent {
                lun,
                at: 0,
                sectors: 0,
            };
            Step::Sync {
                place: match dice.percent(70) {
                    true => whole,
                    false => place(dice, target, lun),
                },
                immediate: dice.percent(10),
            }
        }
        94..=96 => Step::Ready { lun },
        97..=98 => Step::Nop {
            bytes: dice.one(&[0, 8, 400]),
        },
        _ => Step::Text,
    }
}

/// Ranges overlap often: they begin in few places.
fn place(dice: &mut Dice, target: &TargetSetting, lun: u8) -> Extent {
    let sectors = match dice.below(20) {
        0..=13 => SECTORS_MIN,
        14..=17 => SECTORS_MIN + dice.below(9),
        18 => 32,
        _ => 64,
    };
    let sectors = sectors.min(u64::from(target.sectors));
    let places = (u64::from(target.sectors) - sectors) / 4 + 1;
    let at = match dice.percent(60) {
        true => 4 * dice.below(places.min(6)),
        false => 4 * dice.below(places),
    };
    Extent {
        lun,
        at: at as u32,
        sectors: sectors as u16,
    }
}

fn connection(dice: &mut Dice, initiator: u8) -> Fault {
    match dice.below(5) {
        0 | 1 => Fault::Cut { initiator },
        2 => Fault::HalfClose { initiator },
        _ => Fault::Stall {
            initiator,
            way: dice.one(&[Way::In, Way::Out]),
            time: Duration::from_millis(dice.one(&[1, 50, 2_000, 20_000])),
        },
    }
}

/// What goes wrong, so that it is sometimes put right again.
#[derive(Default)]
struct Script {
    /// What goes wrong next: two bricks lose power together.
    next: Option<Fault>,
    /// Words that undo what was done.
    undo: Vec<String>,
}

impl Script {
    fn fault(&mut self, dice: &mut Dice, setting: &Setting, troubles: &Troubles) -> Fault {
        if let Some(next) = self.next.take() {
            return next;
        }
        if !self.undo.is_empty() && dice.percent(45) {
            let place = dice.below(self.undo.len() as u64) as usize;
            return Fault::Cluster(self.undo.swap_remove(place));
        }
        let initiator = dice.below(setting.initiators.len() as u64) as u8;
        let target = dice.below(setting.targets.len() as u64) as u8;
        let brick = dice.below(u64::from(setting.volume.bricks));
        match dice.one(&troubles.kinds) {
            Trouble::Connections => connection(dice, initiator),
            Trouble::Bricks => self.brick(dice, brick),
            Trouble::Hangs => self.cluster(
                format!("brick hang {brick}"),
                format!("brick resume {brick}"),
            ),
            Trouble::Links => {
                let way = dice.one(&["calls", "answers", "both"]);
                self.cluster(
                    format!("partition C{target} {brick} {way}"),
                    format!("mend C{target} {brick}"),
                )
            }
            Trouble::Calls => self.rule(dice),
            Trouble::Crashes => Fault::Crash {
                target,
                time: Duration::from_millis(dice.one(&[1, 800, 9_000])),
            },
            Trouble::Blackouts => Fault::Blackout {
                time: Duration::from_millis(dice.one(&[1, 800, 9_000])),
            },
            Trouble::Shutdowns => Fault::Shutdown {
                target,
                time: Duration::from_secs(dice.one(&[1, 5])),
            },
            Trouble::Space => self.cluster(format!("fill {brick}"), format!("drain {brick}")),
            Trouble::Power => self.power(dice, brick, setting.volume.bricks),
            Trouble::Clients => match dice.below(3) {
                0 => Fault::Cluster(format!("graph-switch {}", dice.one(&["0ms", "30ms", "4s"]))),
                _ => self.cluster(
                    format!("client freeze C{target}"),
                    format!("client thaw C{target}"),
                ),
            },
        }
    }

    fn brick(&mut self, dice: &mut Dice, brick: u64) -> Fault {
        match dice.below(4) {
            0 => self.cluster(
                format!("brick error {brick} {}", dice.one(&["EIO", "EROFS"])),
                format!("brick error {brick} none"),
            ),
            1 => {
                let slow = dice.one(&["5ms", "700ms", "3s"]);
                self.cluster(
                    format!("brick slow {brick} {slow}"),
                    format!("brick slow {brick} 0ms"),
                )
            }
            _ => self.cluster(
                format!("brick kill {brick}"),
                format!("brick start {brick}"),
            ),
        }
    }

    fn power(&mut self, dice: &mut Dice, brick: u64, bricks: u8) -> Fault {
        if dice.percent(50) {
            let other = (brick + 1) % u64::from(bricks);
            self.undo.push(format!("brick start {other}"));
            self.next = Some(Fault::Cluster(format!("power-cut brick {other}")));
        }
        self.cluster(
            format!("power-cut brick {brick}"),
            format!("brick start {brick}"),
        )
    }

    fn cluster(&mut self, word: String, undo: String) -> Fault {
        self.undo.push(undo);
        Fault::Cluster(word)
    }

    /// A plan of faults for single calls.
    fn rule(&mut self, dice: &mut Dice) -> Fault {
        let nth = 1 + dice.below(4);
        let rule = dice.one(&[
            "write * nth=N errno=EIO",
            "write * nth=N errno=ENOSPC",
            "write * nth=N errno=EDQUOT",
            "write * nth=N errno=ENOTCONN",
            "write * nth=N errno=EBADFD",
            "write * nth=N errno=EROFS",
            "write * nth=N lose",
            "write * nth=N hang",
            "write * nth=N hang=6s",
            "write * chance=20 latency=30ms",
            "write * nth=N short=1024",
            "read * nth=N errno=EIO",
            "read * nth=N errno=ENOTCONN",
            "read * nth=N errno=EBADFD",
            "read * nth=N errno=EBUSY",
            "read * nth=N hang",
            "read * chance=20 latency=30ms",
            "read * nth=N short=1024",
            "fsync * nth=N errno=EIO",
            "fsync * nth=N errno=ENOTCONN",
            "fsync * nth=N lose",
            "fsync * nth=N hang=6s",
            "fsync * chance=50 latency=300ms",
            "write * nth=N cut",
        ]);
        let rule = rule.replace("=N", &format!("={nth}"));
        self.cluster(format!("plan {rule}"), "plan".to_owned())
    }
}
