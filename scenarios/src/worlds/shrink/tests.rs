//! Made-up failures, of which it is known what of a plan they need.

use std::time::Duration;

use engine::Moment;
use proptest::prelude::*;

use super::{Shrunk, is_same, mix, shrink};
use crate::worlds::plan::{Event, Extent, Fault, Plan, Step, What};
use crate::worlds::{Complaint, Oracle};

const BUDGET: u32 = 20_000;

/// Two targets, three initiators, a deviant and sixty events of many kinds.
fn big() -> Plan {
    let head = "\
# glint world 1
chance 4711
target luns=2 sectors=256 write-back=yes depth=4 memory=65536 share=2 timeout=3s ping=15s
target luns=2 sectors=256 write-back=no depth=4 memory=65536 share=2 timeout=3s ping=15s
initiator target=0 host=0 immediate=no initial-r2t=no first-burst=512 max-burst=1024 max-recv=512 r2ts=4 header-digest=yes data-digest=yes rejoins=yes retain=2
initiator target=1 host=1 immediate=no initial-r2t=no first-burst=512 max-burst=1024 max-recv=512 r2ts=4 header-digest=yes data-digest=yes rejoins=yes retain=2
initiator target=1 host=1 immediate=no initial-r2t=no first-burst=512 max-burst=1024 max-recv=512 r2ts=4 header-digest=yes data-digest=yes rejoins=yes retain=2
deviant target=1 seed=77 connections=3
volume kind=arbiter bricks=3 shard=4194304 capacity=1048576 ping-timeout=10 heal-delay=1s post-op-delay=1s lost=50 torn=25 latency=500us
wire latency=200us chops=yes buffer=4096 mail=50us
calm 20s
";
    let lines = [
        "initiator 0: write lun=1 at=40 sectors=8 fua",
        "initiator 1: write lun=0 at=48 sectors=16 long",
        "cluster: brick kill 1",
        "initiator 2: read lun=1 at=48 sectors=8 long fua",
        "crash target=1 for=1.234567s",
        "cluster: partition C1 2",
        "initiator 1: abort-task lun=0 back=0",
        "stall initiator=2 way=in for=7ms",
        "initiator 0: sync lun=1 at=0 sectors=0 immediate",
        "cluster: brick start 1",
    ];
    let events = (1..).zip(lines.iter().cycle().take(60));
    let events = events.map(|(number, line)| format!("at {}us #{number} {line}\n", number * 1234));
    Plan::parse(&(head.to_owned() + &events.collect::<String>())).unwrap()
}

fn complaint(oracle: Oracle) -> Option<Complaint> {
    let what = "made up".to_owned();
    Some(Complaint { oracle, what })
}

/// Fails where `wanted` happen one after the other.
fn in_order(plan: &Plan, wanted: &[fn(&What) -> bool]) -> bool {
    let mut wanted = wanted.iter().peekable();
    for event in &plan.events {
        wanted.next_if(|is_it| is_it(&event.what));
    }
    wanted.peek().is_none()
}

fn is_write(what: &What) -> bool {
    matches!(what, What::Step(_, Step::Write { .. }))
}

fn is_crash(what: &What) -> bool {
    matches!(what, What::Fault(Fault::Crash { .. }))
}

fn is_read(what: &What) -> bool {
    matches!(what, What::Step(_, Step::Read { .. }))
}

/// Whether it could have been read from a file.
fn assert_valid(plan: &Plan) {
    let text = plan.to_string();
    assert_eq!(Plan::parse(&text).as_ref(), Ok(plan), "{text}");
}

#[test]
fn two_events_in_order_are_what_is_left() {
    let fails = |plan: &Plan| {
        assert_valid(plan);
        in_order(plan, &[is_write, is_crash])
            .then(|| complaint(Oracle::Durable))
            .flatten()
    };
    let Shrunk { plan, tries, .. } = shrink(&big(), fails, BUDGET).unwrap();
    assert!(tries < 400, "{tries} tries");
    let expected = "\
# glint world 1
chance 4711
target luns=1 sectors=256 write-back=no depth=32 memory=16777216 share=8 timeout=20s ping=0s
initiator target=0 host=0 immediate=yes initial-r2t=yes first-burst=65536 max-burst=262144 max-recv=8192 r2ts=1 header-digest=no data-digest=no rejoins=no retain=20
volume kind=replica bricks=1 shard=0 capacity=none ping-timeout=10 heal-delay=0s post-op-delay=0s lost=0 torn=0 latency=0s
wire latency=0s chops=no buffer=16777216 mail=0s
calm 0s
at 0s           #1   initiator 0: write lun=0 at=0 sectors=1
at 0s           #5   crash target=0 for=0s
";
    assert_eq!(plan.to_string(), expected);
}

#[test]
fn what_the_failure_needs_stays() {
    let fails = |plan: &Plan| {
        let is_needed = plan.setting.wire.chops
            && plan.setting.volume.bricks == 3
            && plan.setting.deviants.len() == 1
            && in_order(plan, &[is_crash, is_read]);
        let wide = |event: &Event| match event.what {
            What::Step(_, Step::Read { place, .. }) => place.sectors >= 3,
            _ => false,
        };
        (is_needed && plan.events.iter().any(wide))
            .then(|| complaint(Oracle::Linearizable))
            .flatten()
    };
    let plan = shrink(&big(), fails, BUDGET).unwrap().plan;
    assert_eq!(plan.events.len(), 2);
    assert!(plan.setting.wire.chops && plan.setting.wire.latency.is_zero());
    assert_eq!(plan.setting.deviants[0].connections, 1);
    let What::Step(_, Step::Read { place, .. }) = plan.events[1].what else {
        panic!("{plan}")
    };
    // Halved as long as that is enough.
    let (lun, at, sectors) = (0, 0, 4);
    assert_eq!(place, Extent { lun, at, sectors });
}

#[test]
fn times_become_round_and_no_shorter_than_the_failure_needs() {
    let fails = |plan: &Plan| {
        let crash = plan.events.iter().find(|event| is_crash(&event.what))?;
        let What::Fault(Fault::Crash { time, .. }) = crash.what else {
            return None;
        };
        let after = crash.at.plus(Duration::from_micros(5_500));
        let mut reads = plan.events.iter().filter(|event| is_read(&event.what));
        (time >= Duration::from_millis(30) && reads.any(|read| read.at >= after))
            .then(|| complaint(Oracle::Live))
            .flatten()
    };
    let plan = shrink(&big(), fails, BUDGET).unwrap().plan;
    let at: Vec<_> = plan.events.iter().map(|event| event.at).collect();
    assert_eq!(at, [Moment(0), Moment(10_000_000)]);
    let What::Fault(Fault::Crash { time, .. }) = plan.events[0].what else {
        panic!("{plan}")
    };
    assert_eq!(time, Duration::from_millis(100));
}

/// Every plan fails with some luck only: what is left is small all the same.
#[test]
fn another_chance_helps_where_luck_is_needed() {
    let lucky = |plan: &Plan| {
        let numbers = plan.events.iter().map(|event| u64::from(event.number));
        numbers.fold(plan.chance, mix).is_multiple_of(3)
    };
    let fails = |plan: &Plan| {
        (in_order(plan, &[is_write, is_crash, is_read]) && lucky(plan))
            .then(|| complaint(Oracle::Durable))
            .flatten()
    };
    let mut plan = big();
    plan.chance = (0..100)
        .find(|&chance| {
            let chance = Plan { chance, ..big() };
            lucky(&chance)
        })
        .unwrap();
    let shrunk = shrink(&plan, fails, BUDGET).unwrap();
    assert!(shrunk.plan.events.len() <= 4, "{}", shrunk.plan);
    assert!(fails(&shrunk.plan).is_some());
}

/// Where an event takes back another, only both together can go.
#[test]
fn pairs_are_left_out_together() {
    let fails = |plan: &Plan| {
        let balance = |first: &str, second: &str| {
            let count = |words: &str| {
                let is_it = |what: &What| matches!(what, What::Fault(Fault::Cluster(said)) if said == words);
                plan.events
                    .iter()
                    .filter(|event| is_it(&event.what))
                    .count()
            };
            count(first) == count(second)
        };
        (balance("brick kill 1", "brick start 1") && in_order(plan, &[is_write]))
            .then(|| complaint(Oracle::Leak))
            .flatten()
    };
    let plan = shrink(&big(), fails, BUDGET).unwrap().plan;
    assert_eq!(plan.events.len(), 1, "{plan}");
}

#[test]
fn another_oracle_is_another_failure() {
    let fails = |plan: &Plan| match in_order(plan, &[is_write, is_crash]) {
        true => complaint(Oracle::Durable),
        false => complaint(Oracle::Live),
    };
    let shrunk = shrink(&big(), fails, BUDGET).unwrap();
    assert_eq!(shrunk.complaint.oracle, Oracle::Durable);
    assert_eq!(shrunk.plan.events.len(), 2);
    let are_same = |oracle: Oracle, one: &str, other: &str| {
        let [one, other] = [one, other].map(str::to_owned);
        let (first, second) = (
            Complaint { oracle, what: one },
            Complaint {
                oracle,
                what: other,
            },
        );
        is_same(&first, &second)
    };
    assert!(are_same(Oracle::Panic, "1 at a.rs:7", "2 at a.rs:7"));
    assert!(!are_same(Oracle::Panic, "1 at a.rs:7", "1 at b.rs:7"));
    assert!(are_same(
        Oracle::Protocol,
        "rule 1; seen: 3",
        "rule 1; seen: 4"
    ));
    assert!(!are_same(
        Oracle::Protocol,
        "rule 1; seen: 3",
        "rule 2; seen: 3"
    ));
    assert!(are_same(Oracle::Live, "1 at a.rs:7", "1 at b.rs:7"));
}

#[test]
fn the_budget_is_kept_and_what_passes_is_not_shrunk() {
    for budget in [1, 2, 50] {
        let mut count = 0;
        let fails = |_: &Plan| {
            count += 1;
            complaint(Oracle::Live)
        };
        let shrunk = shrink(&big(), fails, budget).unwrap();
        assert!(shrunk.tries <= budget);
        assert_eq!(count, shrunk.tries);
    }
    assert!(shrink(&big(), |_| None, BUDGET).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever fails: only valid plans are tried, and the result fails.
    #[test]
    fn only_valid_plans_are_tried(plan in crate::worlds::text::tests::plan(), salt: u64) {
        let fails = |plan: &Plan| {
            let numbers = plan.events.iter().map(|event| u64::from(event.number));
            numbers.fold(plan.chance ^ salt, mix).is_multiple_of(2)
                .then(|| complaint(Oracle::Live))
                .flatten()
        };
        let checked = |plan: &Plan| {
            assert_valid(plan);
            fails(plan)
        };
        if let Some(shrunk) = shrink(&plan, checked, 500) {
            prop_assert!(fails(&shrunk.plan).is_some());
        }
    }
}
