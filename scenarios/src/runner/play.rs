//! One scenario, played once.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use initiator_sim::{Observer, Seen};
use tokio::time::{sleep, timeout};

use super::Device;
use crate::context::Context;
use crate::dut::Running;
use crate::monitor::{Breach, Monitor};
use crate::record::{Event, Recorder};
use crate::scenario::{Finding, Need, Scenario};
use crate::verdict::Verdict;

/// How long a device may take to be seen dead after its connections broke.
const DEATH_WAIT: Duration = Duration::from_millis(100);

/// A scenario that was played, and all that is known of it.
#[derive(Clone, Debug)]
pub struct Played {
    /// Which.
    pub scenario: Scenario,
    /// How it went.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
    /// What the monitor saw.
    pub breaches: Vec<Breach>,
    /// Everything said.
    pub events: Vec<Event>,
}

/// Plays `scenario` against `device`, at most for `limit`.
pub async fn play(device: &Arc<Device>, scenario: Scenario, limit: Duration) -> Played {
    let start = Instant::now();
    let watch = Arc::new(Watch::default());
    let verdict = match alive(device).await {
        Ok(running) => judge(&running, scenario, limit, &watch).await,
        Err(why) => Verdict::Crash(format!("the device does not start again: {why}")),
    };
    Played {
        scenario,
        verdict,
        took: start.elapsed(),
        breaches: watch.monitor.breaches(),
        events: watch.recorder.take(),
    }
}

async fn alive(device: &Arc<Device>) -> Result<Arc<dyn Running>, String> {
    let device = Arc::clone(device);
    let started = tokio::task::spawn_blocking(move || device.alive()).await;
    match started {
        Ok(running) => running.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

async fn judge(
    running: &Arc<dyn Running>,
    scenario: Scenario,
    limit: Duration,
    watch: &Arc<Watch>,
) -> Verdict {
    let lacking: Vec<Need> = scenario
        .needs
        .iter()
        .copied()
        .filter(|need| !running.capabilities().contains(need))
        .collect();
    if !lacking.is_empty() {
        let lacking: Vec<&str> = lacking.iter().map(|need| what_is_missing(*need)).collect();
        return Verdict::Skip(format!("the device has no {}", lacking.join(", no ")));
    }
    let observer: Arc<dyn Observer> = Arc::clone(watch) as _;
    let context = Context::new(scenario.id, running.ground(&scenario), observer);
    // A task of its own: a scenario that panics or never returns harms no other.
    let mut conversation = tokio::spawn((scenario.play)(context.clone()));
    let result = match timeout(limit, &mut conversation).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(Finding::fail("the scenario itself is sound", panic)),
        Err(_) => {
            conversation.abort();
            Err(Finding::Hang(format!("not over after {limit:?}")))
        }
    };
    let verdict = Verdict::of(result, &watch.monitor.breaches());
    if verdict.is_failure()
        && let Some(death) = death(running, &context).await
    {
        return Verdict::Crash(format!("{death} (the scenario saw: {})", verdict.detail()));
    }
    verdict
}

/// How the device died, if it did: its sockets close a little before the system says so.
async fn death(running: &Arc<dyn Running>, context: &Context) -> Option<String> {
    running.pid()?;
    let deadline = Instant::now() + DEATH_WAIT;
    loop {
        if let Some(death) = running.death().or_else(|| context.rig_death()) {
            return Some(death);
        }
        if Instant::now() > deadline {
            return None;
        }
        sleep(Duration::from_millis(5)).await;
    }
}

fn what_is_missing(need: Need) -> &'static str {
    match need {
        Need::Chap => "target with CHAP",
        Need::MutualChap => "target with mutual CHAP",
        Need::HeaderDigest => "header digest",
        Need::DataDigest => "data digest",
        Need::UnsolicitedData => "unsolicited data (InitialR2T=No)",
        Need::AccessList => "target with an access list",
        Need::Destructive => "LUN that may be overwritten (--destructive)",
        Need::EightMebibytes => "LUN to itself with 8 MiB (--destructive)",
        Need::Restart => "process that can be killed and started again on the same store",
        Need::PowerCut => "power to cut (--store fake)",
        Need::Faults => "faults of its storage to be had by plan (--store fake)",
    }
}

/// Both observers of a scenario.
#[derive(Default)]
struct Watch {
    monitor: Monitor,
    recorder: Recorder,
}

impl Observer for Watch {
    fn opened(
        &self,
        conn: u64,
        at: SystemTime,
        local: std::net::SocketAddr,
        peer: std::net::SocketAddr,
    ) {
        self.monitor.opened(conn, at, local, peer);
        self.recorder.opened(conn, at, local, peer);
    }

    fn pdu(&self, seen: &Seen<'_>) {
        self.monitor.pdu(seen);
        self.recorder.pdu(seen);
    }

    fn raw(&self, conn: u64, at: SystemTime, bytes: &[u8]) {
        self.monitor.raw(conn, at, bytes);
        self.recorder.raw(conn, at, bytes);
    }

    fn closed(&self, conn: u64, at: SystemTime) {
        self.monitor.closed(conn, at);
        self.recorder.closed(conn, at);
    }
}
