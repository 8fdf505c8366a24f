//! What is written is read, what is wrong is said where and how.

use std::time::Duration;

use engine::Moment;
use gluster_mock::Kind;
use iscsi::TmfFunction;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::fields::Value;
use crate::worlds::plan::{
    Deviant, Event, Extent, Fault, InitiatorSetting, Plan, Setting, Step, TargetSetting,
    VolumeSetting, Way, What, WireSetting,
};

const SMALL: &str = "\
# glint world 1
chance 12345
target luns=2 sectors=256 write-back=yes depth=32 memory=262144 share=8 timeout=20s ping=15s
initiator target=0 host=0 immediate=yes initial-r2t=no first-burst=65536 max-burst=262144 max-recv=8192 r2ts=4 header-digest=yes data-digest=no rejoins=no retain=20
deviant target=0 seed=77 connections=3
volume kind=replica bricks=3 shard=0 capacity=none ping-timeout=10 heal-delay=1s post-op-delay=0s lost=50 torn=25 latency=500us
wire latency=200us chops=yes buffer=65536 mail=50us
calm 3s
at 1.25ms       #3   initiator 0: write lun=0 at=8 sectors=8 fua
at 2.1ms        #4   cluster: brick kill 1
at 2.1ms        #5   cluster: partition C0 2 answers
at 3ms          #9   initiator 0: abort-task lun=0 back=0
at 3.000000001s #12  crash target=0 for=2s
";

fn times() -> impl Strategy<Value = Duration> {
    let round = (
        0_u64..1000,
        select(vec![1, 1_000, 1_000_000, 1_000_000_000]),
    );
    let nanos = prop_oneof![any::<u64>(), round.prop_map(|(count, unit)| count * unit)];
    nanos.prop_map(Duration::from_nanos)
}

fn target() -> impl Strategy<Value = TargetSetting> {
    let numbers = any::<(u8, u32, bool, u32, usize, u8)>();
    (numbers, times(), times()).prop_map(|(numbers, storage_timeout, ping_interval)| {
        let (luns, sectors, write_back, queue_depth, session_memory, share) = numbers;
        TargetSetting {
            luns,
            sectors,
            write_back,
            queue_depth,
            session_memory,
            share,
            storage_timeout,
            ping_interval,
        }
    })
}

fn initiator(targets: u8) -> impl Strategy<Value = InitiatorSetting> {
    let numbers = any::<(u8, u32, u32, u32, u8, u16)>();
    let bits = any::<[bool; 5]>();
    (0..targets, numbers, bits).prop_map(|(target, numbers, bits)| {
        let (host, first_burst, max_burst, max_recv, r2ts, time2retain) = numbers;
        let [
            immediate_data,
            initial_r2t,
            header_digest,
            data_digest,
            rejoins,
        ] = bits;
        InitiatorSetting {
            target,
            host,
            immediate_data,
            initial_r2t,
            first_burst,
            max_burst,
            max_recv,
            r2ts,
            header_digest,
            data_digest,
            rejoins,
            time2retain,
        }
    })
}

fn volume() -> impl Strategy<Value = VolumeSetting> {
    let kinds = [
        Kind::Replica,
        Kind::Arbiter,
        Kind::Disperse,
        Kind::Distribute,
    ];
    let numbers = any::<(u8, u64, Option<u64>, u8, u8, u8)>();
    let kind = select(kinds.to_vec());
    (kind, numbers, times(), times(), times()).prop_map(
        |(kind, numbers, heal, post_op, latency)| {
            let (bricks, shard, capacity, ping_timeout, lost_percent, torn_percent) = numbers;
            VolumeSetting {
                kind,
                bricks,
                shard,
                capacity,
                ping_timeout,
                heal_delay: heal,
                post_op_delay: post_op,
                lost_percent,
                torn_percent,
                latency,
            }
        },
    )
}

fn wire() -> impl Strategy<Value = WireSetting> {
    (times(), any::<(bool, usize)>(), times()).prop_map(|(latency, (chops, buffer), mail)| {
        WireSetting {
            latency,
            chops,
            buffer,
            mail,
        }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let place = any::<(u8, u32, u16)>();
    let place = place.prop_map(|(lun, at, sectors)| Extent { lun, at, sectors });
    let transfer = (place, any::<(bool, bool)>());
    prop_oneof![
        transfer
            .clone()
            .prop_map(|(place, (long, fua))| Step::Read { place, long, fua }),
        transfer
            .clone()
            .prop_map(|(place, (long, fua))| Step::Write { place, long, fua }),
        transfer.prop_map(|(place, (immediate, _))| Step::Sync { place, immediate }),
        any::<u8>().prop_map(|lun| Step::Ready { lun }),
        any::<u16>().prop_map(|bytes| Step::Nop { bytes }),
        any::<(u8, u8, u8)>().prop_map(|(code, lun, back)| Step::Manage {
            function: TmfFunction(code % 12),
            lun,
            back
        }),
        Just(Step::Text),
        Just(Step::Logout),
        Just(Step::Reinstate),
        Just(Step::Rejoin),
        Just(Step::Vanish),
    ]
}

fn fault(targets: u8, initiators: u8) -> impl Strategy<Value = Fault> {
    let words = [
        "brick kill 1",
        "brick slow 0 5ms",
        "partition C0 2 calls",
        "client freeze C0",
        "plan write * nth=3 errno=EIO; fsync * nth=1 lose",
        "power-cut brick 1",
        "settle",
    ];
    prop_oneof![
        select(words.to_vec()).prop_map(|words| Fault::Cluster(words.to_owned())),
        (0..initiators).prop_map(|initiator| Fault::Cut { initiator }),
        (0..initiators).prop_map(|initiator| Fault::HalfClose { initiator }),
        (0..initiators, any::<bool>(), times()).prop_map(|(initiator, is_in, time)| {
            let way = if is_in { Way::In } else { Way::Out };
            Fault::Stall {
                initiator,
                way,
                time,
            }
        }),
        (0..targets, times()).prop_map(|(target, time)| Fault::Crash { target, time }),
        times().prop_map(|time| Fault::Blackout { time }),
        (0..targets, times()).prop_map(|(target, time)| Fault::Shutdown { target, time }),
    ]
}

fn events(targets: u8, initiators: u8) -> impl Strategy<Value = Vec<Event>> {
    let what = prop_oneof![
        (0..initiators, step()).prop_map(|(who, step)| What::Step(who, step)),
        fault(targets, initiators).prop_map(What::Fault),
    ];
    vec((any::<u64>(), what), 0..12).prop_map(|mut events| {
        events.sort_by_key(|(at, _)| *at);
        let numbered = (0_u16..).zip(events);
        let event = |(number, (at, what)): (u16, _)| Event {
            number: 7 * number,
            at: Moment(at),
            what,
        };
        numbered.map(event).collect()
    })
}

pub(in crate::worlds) fn plan() -> impl Strategy<Value = Plan> {
    (1_u8..4, 1_u8..5).prop_flat_map(|(targets, initiators)| {
        let deviant = (0..targets, any::<(u64, u8)>());
        let deviant = deviant.prop_map(|(target, (seed, connections))| Deviant {
            target,
            seed,
            connections,
        });
        let parties = (
            vec(target(), usize::from(targets)),
            vec(initiator(targets), usize::from(initiators)),
            vec(deviant, 0..3),
        );
        let rest = (volume(), wire(), times(), events(targets, initiators));
        (any::<u64>(), parties, rest).prop_map(|(chance, parties, rest)| {
            let (targets, initiators, deviants) = parties;
            let (volume, wire, calm, events) = rest;
            Plan {
                chance,
                setting: Setting {
                    targets,
                    initiators,
                    deviants,
                    volume,
                    wire,
                    calm,
                },
                events,
            }
        })
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(plan in plan()) {
        let text = plan.to_string();
        prop_assert_eq!(Plan::parse(&text), Ok(plan), "{}", text);
    }

    #[test]
    fn times_are_exact(time in times()) {
        prop_assert_eq!(Duration::read(&time.show()), Some(time));
    }

    #[test]
    fn no_text_makes_the_reader_panic(line in ".{0,80}", at in 0_usize..11) {
        let mut lines: Vec<&str> = SMALL.lines().collect();
        lines.insert(at, &line);
        let _ = Plan::parse(&lines.join("\n"));
    }
}

#[test]
fn a_plan_reads_as_one_line_for_each_thing() {
    let plan = Plan::parse(SMALL).unwrap();
    assert_eq!(plan.to_string(), SMALL);
    assert_eq!(plan.events[4].at, Moment(3_000_000_001));
    assert_eq!(plan.setting.volume.latency, Duration::from_micros(500));
}

#[test]
fn comments_blank_lines_and_spaces_are_free() {
    let text = SMALL.replace("chance", "# expects: nothing\n\n  chance");
    let text = text.replace(" lun=0 at=8", "   lun=0   at=8");
    assert_eq!(Plan::parse(&text), Plan::parse(SMALL));
}

#[test]
fn times_are_short() {
    let shown = |nanos: u64| Duration::from_nanos(nanos).show();
    let texts = [
        (0, "0s"),
        (1, "1ns"),
        (999, "999ns"),
        (1_000, "1us"),
        (1_250_000, "1.25ms"),
        (1_000_001, "1.000001ms"),
        (20_000_000_000, "20s"),
        (1_500_000_000, "1.5s"),
    ];
    for (nanos, text) in texts {
        assert_eq!(shown(nanos), text);
    }
    let wrong = [
        "",
        "s",
        "1",
        "1m",
        ".5s",
        "1.s",
        "-1s",
        "1.5ns",
        "+1s",
        "99999999999s",
    ];
    for text in wrong {
        assert_eq!(Duration::read(text), None, "{text}");
    }
}

/// Each line of the small plan spoilt, and what is said about it.
#[test]
fn errors_name_the_line_the_key_and_what_is_allowed() {
    let spoilt = [
        (
            "# glint world 1",
            "# glint world 9",
            "line 1: allowed: # glint world 1",
        ),
        (
            "chance 12345",
            "chance many",
            "line 2: chance: `many`: allowed: a number from 0 to",
        ),
        (
            "chance 12345",
            "",
            "a line that begins with `chance` is missing",
        ),
        (
            "chance 12345",
            "chance 1\nchance 2",
            "line 3: chance: allowed: once",
        ),
        (
            "luns=2",
            "luns=300",
            "line 3: target: luns: `300`: allowed: a number from 0 to 255",
        ),
        (
            "luns=2 ",
            "",
            "line 3: target: luns= is missing: allowed: a number",
        ),
        (
            "ping=15s",
            "ping=15s pong=1",
            "line 3: target: `pong=1`: allowed: luns, sectors, ",
        ),
        (
            "ping=15s",
            "ping=15",
            "line 3: target: ping: `15`: allowed: a time such as",
        ),
        (
            "write-back=yes",
            "write-back=on",
            "line 3: target: write-back: `on`: allowed: yes, no",
        ),
        (
            "initiator target=0",
            "initiator target=1",
            "initiator 0: target=1: allowed: 0 to 0",
        ),
        (
            "deviant target=0",
            "deviant target=7",
            "deviant 0: target=7: allowed: 0 to 0",
        ),
        (
            "kind=replica",
            "kind=mirror",
            "kind: `mirror`: allowed: replica, arbiter, disperse",
        ),
        (
            "capacity=none",
            "capacity=all",
            "capacity: `all`: allowed: none, a number from 0 to",
        ),
        (
            "wire",
            "wires",
            "line 7: `wires`: allowed: chance, target, initiator",
        ),
        ("#3 ", "3 ", "line 9: `3`: allowed: the event's number"),
        (
            "initiator 0: write",
            "initiator 0: scribble",
            "line 9: `scribble`: allowed: read, write",
        ),
        (
            "initiator 0: write",
            "initiator 5: write",
            "line 9: initiator 5: allowed: 0 to 0",
        ),
        (
            "initiator 0: write",
            "initiator 0 write",
            "line 9: initiator: allowed: initiator N: STEP",
        ),
        (
            "sectors=8 fua",
            "sectors=8 dpo",
            "line 9: write: `dpo`: allowed: lun, at, sectors, long",
        ),
        (
            "brick kill 1",
            "brick paint 1",
            "line 10: cluster: not a command: brick paint 1",
        ),
        (
            "brick kill 1",
            "plan all bad",
            "line 10: cluster: plan: line 1: not a rule: all bad",
        ),
        (
            "partition C0",
            "partition C4",
            "line 11: C, the client of target 4: allowed: 0 to 0",
        ),
        (
            "at 2.1ms        #4",
            "at 1ms #4",
            "line 10: at: allowed: not before the event above",
        ),
        ("#9", "#4", "line 12: #4: allowed: a number of its own"),
        (
            "crash target=0",
            "explode target=0",
            "line 13: `explode`: allowed: initiator N:, cluster",
        ),
        (
            "crash target=0",
            "crash target=1",
            "line 13: target 1: allowed: 0 to 0",
        ),
        (
            "for=2s",
            "for=2s for=3s",
            "line 13: crash: `for=3s`: allowed: target, for, each once",
        ),
    ];
    for (from, to, said) in spoilt {
        assert!(SMALL.contains(from), "{from}");
        let error = Plan::parse(&SMALL.replacen(from, to, 1)).unwrap_err();
        assert!(error.contains(said), "{to}: {error}");
    }
}
