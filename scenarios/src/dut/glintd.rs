//! Our target as a process: the unmodified `glintd` with a configuration made for the scenarios.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::store::Backing;
use super::{Dut, DutError, LUN_BYTES, Running, Store, chap_target, closed_target, ground, names};
use crate::binaries;
use crate::context::{ChapTarget, ClosedTarget, Ground};
use crate::process::Process;
use crate::rig::Workshop;
use crate::scenario::{Need, Scenario};

/// `glintd` on loopback. Every scenario has targets and a LUN of its own, so that one process
/// serves all of them at the same time; those that hurt their device get one for themselves.
#[derive(Debug)]
pub struct ProcessDut {
    /// The program; built when not given.
    pub program: Option<PathBuf>,
    /// What the LUNs are kept in.
    pub store: Store,
    /// The shared object of the fake Gluster; built when not given and wanted.
    pub fake: Option<PathBuf>,
    /// What fake volumes are like beyond what a scenario asks for, one `key = value` a line.
    pub volume: String,
    /// Its log is appended here; those of devices for one scenario go to a folder beside it.
    pub log: PathBuf,
}

impl ProcessDut {
    /// One on that store, with everything built.
    pub fn on(store: Store, log: PathBuf) -> Self {
        Self {
            program: None,
            store,
            fake: None,
            volume: String::new(),
            log,
        }
    }
}

impl Dut for ProcessDut {
    fn name(&self) -> &'static str {
        "glintd"
    }

    fn start(&self, scenarios: &[Scenario]) -> Result<Box<dyn Running>, DutError> {
        let program = match &self.program {
            Some(program) => program.clone(),
            None => binaries::glintd()?,
        };
        let fake = match (&self.fake, &self.store) {
            (None, Store::Fake) => Some(binaries::fake()?),
            (fake, _) => fake.clone(),
        };
        let folder = tempfile::tempdir().map_err(DutError::io("make a folder for glintd"))?;
        let config = folder.path().join("glint.toml");
        let backing = Backing::of(&self.store, fake.as_deref(), &self.volume)?;
        fs::write(&config, configuration(scenarios, &backing))
            .map_err(DutError::io("write the configuration of glintd"))?;
        let mut command = Command::new(&program);
        command.arg("serve").arg("--config").arg(&config);
        backing.lend(&mut command);
        let (process, portals) = Process::start("glintd", command, &self.log)?;
        let portal = process.await_portal(&portals)?;
        let mut capabilities = capabilities();
        capabilities.extend(self.store.capabilities());
        let workshop = Workshop {
            program,
            store: self.store.clone(),
            fake,
            volume: self.volume.clone(),
            logs: self.log.with_extension("logs"),
        };
        Ok(Box::new(Glintd {
            process,
            portal,
            capabilities,
            workshop: (self.store != Store::Mem).then_some(workshop),
            _backing: backing,
            _folder: folder,
        }))
    }
}

#[derive(Debug)]
struct Glintd {
    process: Process,
    portal: SocketAddr,
    capabilities: BTreeSet<Need>,
    workshop: Option<Workshop>,
    /// Holds the LUNs.
    _backing: Backing,
    /// Holds the configuration.
    _folder: TempDir,
}

/// All there is, whatever the store.
pub(super) fn capabilities() -> BTreeSet<Need> {
    BTreeSet::from([
        Need::Chap,
        Need::MutualChap,
        Need::HeaderDigest,
        Need::DataDigest,
        Need::UnsolicitedData,
        Need::AccessList,
        Need::Destructive,
        Need::EightMebibytes,
    ])
}

impl Running for Glintd {
    fn capabilities(&self) -> &BTreeSet<Need> {
        &self.capabilities
    }

    fn ground(&self, scenario: &Scenario) -> Ground {
        Ground {
            workshop: self.workshop.clone(),
            ..ground(self.portal, scenario, 0)
        }
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn pid(&self) -> Option<u32> {
        Some(self.process.pid())
    }

    fn death(&self) -> Option<String> {
        let death = self.process.death()?;
        Some(format!("{death}\n{}", self.process.log_end()))
    }

    fn end(&self) -> Result<(), String> {
        self.process.end()
    }
}

/// What the unmodified program is told, in its own words.
pub(super) fn configuration(scenarios: &[Scenario], backing: &Backing) -> String {
    let mut text = String::from("[node]\nlisten = [\"127.0.0.1:0\"]\n");
    let mut target = |name: &str, who: &str, image: &str| {
        let store = backing.lun(image, LUN_BYTES);
        // Writing to a String does not fail.
        let _ = write!(
            text,
            "\n[[target]]\nname = \"{name}\"\n{who}[[target.lun]]\nlun = 0\nstore = \"{store}\"\n",
        );
    };
    for scenario in scenarios {
        let id = scenario.id;
        target(&names(scenario).0, "", id);
        if let Some(ChapTarget {
            name,
            user,
            secret,
            mutual_user,
            mutual_secret,
        }) = chap_target(scenario)
        {
            let chap = format!("chap = {{ user = \"{user}\", secret = \"{secret}\" }}\n");
            let mutual =
                format!("mutual = {{ user = \"{mutual_user}\", secret = \"{mutual_secret}\" }}\n");
            target(&name, &(chap + &mutual), &format!("chap.{id}"));
        }
        if let Some(ClosedTarget { name, admitted }) = closed_target(scenario) {
            let admitted = format!("initiators = [\"{admitted}\"]\n");
            target(&name, &admitted, &format!("closed.{id}"));
        }
    }
    text
}
