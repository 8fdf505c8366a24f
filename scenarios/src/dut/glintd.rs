//! Our target as a process: the unmodified `glintd` with a configuration made for the scenarios.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::{Dut, DutError, LUN_BYTES, Running, chap_target, closed_target, ground, names};
use crate::binaries;
use crate::context::{ChapTarget, ClosedTarget, Ground};
use crate::process::Process;
use crate::scenario::{Need, Scenario};

/// What the LUNs are kept in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Store {
    /// Memory.
    #[default]
    Mem,
    /// Files in a folder that goes away with the device.
    File,
}

/// `glintd` on loopback. Every scenario has targets and a LUN of its own, so that one process
/// serves all of them at the same time.
#[derive(Debug)]
pub struct ProcessDut {
    /// The program; built when not given.
    pub program: Option<PathBuf>,
    /// What the LUNs are kept in.
    pub store: Store,
    /// Its log is appended here.
    pub log: PathBuf,
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
        let folder = tempfile::tempdir().map_err(DutError::io("make a folder for glintd"))?;
        let config = folder.path().join("glint.toml");
        fs::write(&config, configuration(scenarios, self.store, &folder))
            .map_err(DutError::io("write the configuration of glintd"))?;
        let mut command = Command::new(&program);
        command.arg("serve").arg("--config").arg(&config);
        let (process, portals) = Process::start("glintd", command, &self.log)?;
        let portal = process.await_portal(&portals)?;
        Ok(Box::new(Glintd {
            process,
            portal,
            capabilities: capabilities(),
            _folder: folder,
        }))
    }
}

#[derive(Debug)]
struct Glintd {
    process: Process,
    portal: SocketAddr,
    capabilities: BTreeSet<Need>,
    /// Holds the configuration and the files of the LUNs.
    _folder: TempDir,
}

/// All there is.
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
        ground(self.portal, scenario, 0)
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
pub(super) fn configuration(scenarios: &[Scenario], store: Store, folder: &TempDir) -> String {
    let mut text = String::from("[node]\nlisten = [\"127.0.0.1:0\"]\n");
    let mut files = 0;
    let mut lun = || match store {
        Store::Mem => format!("mem:{LUN_BYTES}"),
        Store::File => {
            files += 1;
            let path = folder.path().join(format!("{files}.img"));
            format!("file:{}?size={LUN_BYTES}", path.display())
        }
    };
    let mut target = |name: &str, who: &str| {
        // Writing to a String does not fail.
        let _ = write!(
            text,
            "\n[[target]]\nname = \"{name}\"\n{who}[[target.lun]]\nlun = 0\nstore = \"{}\"\n",
            lun(),
        );
    };
    for scenario in scenarios {
        target(&names(scenario).0, "");
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
            target(&name, &(chap + &mutual));
        }
        if let Some(ClosedTarget { name, admitted }) = closed_target(scenario) {
            target(&name, &format!("initiators = [\"{admitted}\"]\n"));
        }
    }
    text
}
