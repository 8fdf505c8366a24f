//! The runner against a device that only pretends.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use iscsi::Lun;

use super::*;
use crate::context::Ground;
use crate::dut::{Dut, DutError, Running};
use crate::scenario::{Finding, Need};
use crate::verdict::{Tally, Verdict};

static STARTS: AtomicUsize = AtomicUsize::new(0);

/// A device that is nothing but its answers.
struct Pretence {
    mortal: bool,
}

struct Pretending {
    capabilities: BTreeSet<Need>,
    mortal: bool,
    looks: AtomicUsize,
}

impl Dut for Pretence {
    fn name(&self) -> &'static str {
        "pretence"
    }

    fn start(&self, _: &[Scenario]) -> Result<Box<dyn Running>, DutError> {
        STARTS.fetch_add(1, Ordering::SeqCst);
        let capabilities = BTreeSet::from([Need::Destructive]);
        let looks = AtomicUsize::new(0);
        Ok(Box::new(Pretending {
            capabilities,
            mortal: self.mortal,
            looks,
        }))
    }
}

impl Running for Pretending {
    fn capabilities(&self) -> &BTreeSet<Need> {
        &self.capabilities
    }

    fn ground(&self, scenario: &Scenario) -> Ground {
        Ground {
            portal: ([127, 0, 0, 1], 9).into(),
            target: scenario.id.to_owned(),
            initiator: String::new(),
            credentials: None,
            lun: Lun(0),
            absent_lun: Lun(0),
            blocks: 1,
            block_size: 512,
            chap: None,
            closed: None,
            workshop: None,
        }
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn pid(&self) -> Option<u32> {
        self.mortal.then_some(1)
    }

    /// Alive when a scenario begins, dead when it is over.
    fn death(&self) -> Option<String> {
        let looks = self.looks.fetch_add(1, Ordering::SeqCst);
        (self.mortal && looks > 0).then(|| "struck by lightning".to_owned())
    }

    fn end(&self) -> Result<(), String> {
        Ok(())
    }
}

fn device(mortal: bool) -> Arc<Device> {
    Arc::new(Device::start(Box::new(Pretence { mortal }), &[]).unwrap())
}

const GOOD: Scenario = Scenario {
    id: "good.one",
    clause: "RFC 7143 1",
    requirement: "All is well.",
    needs: &[Need::Destructive],
    play: |_| Box::pin(async { Ok(()) }),
};

async fn verdict(device: &Arc<Device>, scenario: Scenario) -> Verdict {
    play(device, scenario, Duration::from_millis(50))
        .await
        .verdict
}

#[tokio::test]
async fn what_a_scenario_finds_is_the_verdict() {
    let device = device(false);
    assert_eq!(verdict(&device, GOOD).await, Verdict::Pass);
    let weak = Scenario {
        play: |_| Box::pin(async { Err(Finding::weak("a", "b")) }),
        ..GOOD
    };
    assert_eq!(verdict(&device, weak).await.word(), "WEAK");
    let own = Scenario {
        play: |context| Box::pin(async move { Err(Finding::fail("another", context.target())) }),
        ..GOOD
    };
    assert_eq!(verdict(&device, own).await.detail(), "good.one");
}

#[tokio::test]
async fn a_scenario_that_does_not_return_hangs_and_one_that_panics_fails() {
    let device = device(false);
    let endless = Scenario {
        play: |_| Box::pin(std::future::pending()),
        ..GOOD
    };
    assert_eq!(verdict(&device, endless).await.word(), "HANG");
    let panicking = Scenario {
        play: |_| Box::pin(async { panic!("oh no") }),
        ..GOOD
    };
    assert!(verdict(&device, panicking).await.detail().contains("oh no"));
}

#[tokio::test]
async fn what_the_device_lacks_is_skipped_with_the_reason() {
    let needy = Scenario {
        needs: &[Need::Chap, Need::Destructive],
        ..GOOD
    };
    let verdict = verdict(&device(false), needy).await;
    assert_eq!(
        verdict,
        Verdict::Skip("the device has no target with CHAP".to_owned())
    );
}

#[tokio::test]
async fn a_failure_on_a_dead_device_is_a_crash_and_the_next_finds_it_alive() {
    let device = device(true);
    let before = STARTS.load(Ordering::SeqCst);
    let failing = Scenario {
        play: |_| Box::pin(async { Err(Finding::fail("a", "b")) }),
        ..GOOD
    };
    let crash = verdict(&device, failing).await;
    assert_eq!(crash.word(), "CRASH");
    assert!(crash.detail().contains("lightning"), "{crash}");
    assert_eq!(verdict(&device, GOOD).await, Verdict::Pass);
    assert!(
        STARTS.load(Ordering::SeqCst) > before,
        "it was started again"
    );
}

#[tokio::test]
async fn results_come_in_the_order_of_the_catalogue() {
    let slow = Scenario {
        id: "slow.one",
        play: |_| {
            Box::pin(async {
                tokio::time::sleep(Duration::from_millis(30)).await;
                Ok(())
            })
        },
        ..GOOD
    };
    let played = run(&device(false), &[slow, GOOD], 2, |_| {}).await;
    let ids: Vec<&str> = played.iter().map(|played| played.scenario.id).collect();
    assert_eq!(ids, ["slow.one", "good.one"]);
    let tally = Tally::of(played.iter().map(|played| &played.verdict));
    assert_eq!(tally.to_string(), "2 passed, 0 failed, 0 skipped");
}

/// Whether the frail device is dead; its start revives it.
static DEAD: AtomicBool = AtomicBool::new(false);

/// A device that one scenario kills, with whatever else is under way.
struct Frail;

impl Dut for Frail {
    fn name(&self) -> &'static str {
        "frail"
    }

    fn start(&self, _: &[Scenario]) -> Result<Box<dyn Running>, DutError> {
        DEAD.store(false, Ordering::SeqCst);
        Ok(Box::new(FrailRunning(Pretending {
            capabilities: BTreeSet::from([Need::Destructive]),
            mortal: true,
            looks: AtomicUsize::new(0),
        })))
    }
}

struct FrailRunning(Pretending);

impl Running for FrailRunning {
    fn capabilities(&self) -> &BTreeSet<Need> {
        self.0.capabilities()
    }

    fn ground(&self, scenario: &Scenario) -> Ground {
        self.0.ground(scenario)
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn pid(&self) -> Option<u32> {
        Some(1)
    }

    fn death(&self) -> Option<String> {
        DEAD.load(Ordering::SeqCst)
            .then(|| "struck down".to_owned())
    }

    fn end(&self) -> Result<(), String> {
        Ok(())
    }
}

#[tokio::test]
async fn only_who_kills_a_device_alone_is_blamed_for_its_death() {
    let killer = Scenario {
        id: "killer.one",
        play: |_| {
            Box::pin(async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                DEAD.store(true, Ordering::SeqCst);
                Err(Finding::fail("an answer", "the connection broke"))
            })
        },
        ..GOOD
    };
    let bystander = Scenario {
        id: "bystander.one",
        play: |_| {
            Box::pin(async {
                for _ in 0..20 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    if DEAD.load(Ordering::SeqCst) {
                        return Err(Finding::fail("an answer", "the connection broke"));
                    }
                }
                Ok(())
            })
        },
        ..GOOD
    };
    let device = Arc::new(Device::start(Box::new(Frail), &[]).unwrap());
    let played = run(&device, &[killer, bystander], 2, |_| {}).await;
    assert_eq!(played[0].verdict.word(), "CRASH");
    assert_eq!(played[1].verdict, Verdict::Pass);
}
