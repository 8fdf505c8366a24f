//! tgtd, from the Debian package `tgt`: a control target, whose faults are known. It tells whether
//! a scenario asks for something that only we do.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;

use initiator_sim::LoginOptions;
use iscsi::Lun;

use super::probe::probe;
use super::{Dut, DutError, LUN_BYTES, Running, chap_target, closed_target, ground, names};
use crate::context::{ChapTarget, Ground};
use crate::scenario::{Need, Scenario};
use crate::tgtd::Tgtd;

/// The first logical unit: 0 is tgtd's own controller.
const LUN: u16 = 1;
const INITIATORS_ALL: [&str; 2] = ["--initiator-address", "ALL"];

/// tgtd on loopback, each scenario with targets and a file of its own.
#[derive(Debug)]
pub struct TgtDut {
    /// Its log is appended here.
    pub log: PathBuf,
}

impl Dut for TgtDut {
    fn name(&self) -> &'static str {
        "tgt"
    }

    fn start(&self, scenarios: &[Scenario]) -> Result<Box<dyn Running>, DutError> {
        let tgtd = Tgtd::start(Some(&self.log))?;
        let mut targets = Targets {
            tgtd: &tgtd,
            last: 0,
        };
        for scenario in scenarios {
            targets
                .of_scenario(scenario)
                .map_err(|why| DutError::Probe {
                    what: "tgtadm".to_owned(),
                    why,
                })?;
        }
        let mut capabilities = BTreeSet::from([
            Need::Chap,
            Need::MutualChap,
            Need::AccessList,
            Need::Destructive,
            Need::EightMebibytes,
        ]);
        if let Some(first) = scenarios.first() {
            let (target, initiator) = names(first);
            let options = LoginOptions::new(&target).initiator(&initiator);
            capabilities.extend(probe(tgtd.portal, &options, Lun::from_number(LUN))?.negotiable);
        }
        Ok(Box::new(Started { tgtd, capabilities }))
    }
}

#[derive(Debug)]
struct Started {
    tgtd: Tgtd,
    capabilities: BTreeSet<Need>,
}

impl Running for Started {
    fn capabilities(&self) -> &BTreeSet<Need> {
        &self.capabilities
    }

    fn ground(&self, scenario: &Scenario) -> Ground {
        ground(self.tgtd.portal, scenario, LUN)
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn pid(&self) -> Option<u32> {
        Some(self.tgtd.process.pid())
    }

    fn death(&self) -> Option<String> {
        self.tgtd.process.death()
    }

    /// tgtd answers SIGTERM only without targets; it holds nothing that matters, so it is killed.
    fn end(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Makes targets, numbered from 1.
struct Targets<'a> {
    tgtd: &'a Tgtd,
    last: u32,
}

impl Targets<'_> {
    fn of_scenario(&mut self, scenario: &Scenario) -> Result<(), String> {
        self.make(&names(scenario).0, &INITIATORS_ALL)?;
        if let Some(chap) = chap_target(scenario) {
            self.make(&chap.name, &INITIATORS_ALL)?;
            self.protect(&chap)?;
        }
        if let Some(closed) = closed_target(scenario) {
            self.make(&closed.name, &["--initiator-name", &closed.admitted])?;
        }
        Ok(())
    }

    fn make(&mut self, name: &str, who: &[&str]) -> Result<(), String> {
        let tid = (self.last + 1).to_string();
        let target = ["--mode", "target", "--tid", &tid];
        self.tgtd
            .admin(&[&target[..], &["--op", "new", "--targetname", name]].concat())?;
        self.last += 1;
        let image = self.tgtd.folder.path().join(format!("{tid}.img"));
        File::create(&image)
            .and_then(|file| file.set_len(LUN_BYTES))
            .map_err(|error| format!("{}: {error}", image.display()))?;
        let (lun, image) = (LUN.to_string(), image.display().to_string());
        let unit = [
            "--mode",
            "logicalunit",
            "--op",
            "new",
            "--tid",
            &tid,
            "--lun",
            &lun,
        ];
        self.tgtd
            .admin(&[&unit[..], &["--backing-store", &image]].concat())?;
        self.tgtd
            .admin(&[&target[..], &["--op", "bind"], who].concat())
    }

    /// Accounts are the daemon's, bound to targets; the first use makes them.
    fn protect(&self, chap: &ChapTarget) -> Result<(), String> {
        let tid = self.last.to_string();
        let account = ["--mode", "account", "--op"];
        let pairs = [
            (&chap.user, &chap.secret),
            (&chap.mutual_user, &chap.mutual_secret),
        ];
        for (user, secret) in pairs {
            let new = [&account[..], &["new", "--user", user, "--password", secret]].concat();
            // It exists already from the second scenario on.
            let _ = self.tgtd.admin(&new);
        }
        let bind = [&account[..], &["bind", "--tid", &tid, "--user"]].concat();
        self.tgtd.admin(&[&bind[..], &[&chap.user]].concat())?;
        self.tgtd
            .admin(&[&bind[..], &[&chap.mutual_user, "--outgoing"]].concat())
    }
}
