//! Devices under test: what a scenario is played against, ours or anybody's.
//!
//! A [`Dut`] can be started; what is started is [`Running`] and says where each scenario plays.

mod external;
mod glintd;
mod in_process;
mod probe;
mod store;
mod tgt;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;

pub use external::ExternalDut;
pub use glintd::ProcessDut;
pub use in_process::InProcessDut;
pub(crate) use store::Backing;
pub use store::Store;
pub use tgt::TgtDut;

use iscsi::Lun;

use crate::context::{ChapTarget, ClosedTarget, Ground};
use crate::scenario::{Need, Scenario};

/// Bytes of every LUN we make.
pub(crate) const LUN_BYTES: u64 = 64 << 20;
pub(crate) const BLOCK_SIZE: u32 = 512;

/// Names of targets and initiators begin with it.
const NAMING_AUTHORITY: &str = "iqn.2026-11.org.glint";

/// A device that can be started.
pub trait Dut: Send + Sync {
    /// How it is called in tables and test names.
    fn name(&self) -> &'static str;

    /// Starts it, ready to play all of `scenarios`. Blocks; call it where that is allowed, within
    /// a tokio runtime.
    fn start(&self, scenarios: &[Scenario]) -> Result<Box<dyn Running>, DutError>;
}

/// A device that was started. Dropped, it is gone.
pub trait Running: Send + Sync {
    /// What it has.
    fn capabilities(&self) -> &BTreeSet<Need>;

    /// Where `scenario` plays. It is one of those the device was started for.
    fn ground(&self, scenario: &Scenario) -> Ground;

    /// Whether all scenarios play on the same LUN, so that they must take turns.
    fn is_shared(&self) -> bool;

    /// Its process, where it is ours to watch.
    fn pid(&self) -> Option<u32>;

    /// How it died, if it died by itself.
    fn death(&self) -> Option<String>;

    /// Ends it in order; says what went wrong with that.
    fn end(&self) -> Result<(), String>;
}

/// Why a device cannot be had. None of its scenarios is to blame.
#[derive(Debug, thiserror::Error)]
pub enum DutError {
    /// Its program does not build.
    #[error(transparent)]
    Binary(#[from] crate::binaries::BinaryError),
    /// The system refuses.
    #[error("{doing}: {source}")]
    Io {
        /// What was tried.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// The program is not installed.
    #[error("{program} is not installed: {remedy}")]
    Missing {
        /// Which.
        program: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// It was started and did not come up.
    #[error("{program} did not get ready: {why}\n{log}")]
    NotReady {
        /// Which.
        program: String,
        /// What it did instead.
        why: String,
        /// The end of its log.
        log: String,
    },
    /// It is up and does not let us see what it has.
    #[error("{what}: {why}")]
    Probe {
        /// What was asked.
        what: String,
        /// What came instead.
        why: String,
    },
}

impl DutError {
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}

/// The name of the target made for a scenario, and of the initiator that plays it.
fn names(scenario: &Scenario) -> (String, String) {
    let id = scenario.id;
    (
        format!("{NAMING_AUTHORITY}:{id}"),
        format!("{NAMING_AUTHORITY}:initiator:{id}"),
    )
}

/// The target of a scenario that asks for CHAP. Secrets are 16 bytes: RFC 7143 9.2.1 wants 96 bits.
fn chap_target(scenario: &Scenario) -> Option<ChapTarget> {
    let asks = |need: &Need| matches!(need, Need::Chap | Need::MutualChap);
    scenario.needs.iter().any(asks).then(|| ChapTarget {
        name: name_of("chap", scenario),
        user: "alice".to_owned(),
        secret: "alice-knows-this".to_owned(),
        mutual_user: "the-target".to_owned(),
        mutual_secret: "target-knows-too".to_owned(),
    })
}

/// The target of a scenario that lets only one initiator in.
fn closed_target(scenario: &Scenario) -> Option<ClosedTarget> {
    scenario
        .needs
        .contains(&Need::AccessList)
        .then(|| ClosedTarget {
            name: name_of("closed", scenario),
            admitted: name_of("friend", scenario),
        })
}

fn name_of(kind: &str, scenario: &Scenario) -> String {
    format!("{NAMING_AUTHORITY}:{kind}:{}", scenario.id)
}

/// Where a scenario plays on a device that we made all of this on.
fn ground(portal: SocketAddr, scenario: &Scenario, lun: u16) -> Ground {
    let (target, initiator) = names(scenario);
    Ground {
        portal,
        target,
        initiator,
        credentials: None,
        lun: Lun::from_number(lun),
        absent_lun: Lun::from_number(7),
        blocks: LUN_BYTES / u64::from(BLOCK_SIZE),
        block_size: BLOCK_SIZE,
        chap: chap_target(scenario),
        closed: closed_target(scenario),
        workshop: None,
    }
}
