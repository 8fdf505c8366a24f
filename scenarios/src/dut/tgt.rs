//! tgtd, from the Debian package `tgt`: a control target, whose faults are known. It tells whether
//! a scenario asks for something that only we do.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use initiator_sim::LoginOptions;
use iscsi::Lun;
use tempfile::TempDir;

use super::probe::probe;
use super::process::Process;
use super::{Dut, DutError, LUN_BYTES, Running, chap_target, closed_target, ground, names};
use crate::context::{ChapTarget, Ground};
use crate::scenario::{Need, Scenario};

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
        let program = sbin("tgtd");
        if !program.exists() {
            let remedy = "install the package tgt";
            return Err(DutError::Missing {
                program: "tgtd".to_owned(),
                remedy,
            });
        }
        let folder = tempfile::tempdir().map_err(DutError::io("make a folder for tgtd"))?;
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let portal = free.map_err(DutError::io("find a free port"))?;
        let socket = folder.path().join("tgtd");
        let mut command = Command::new(program);
        command
            .args(["-f", "--iscsi", &format!("portal={portal}")])
            .env("TGT_IPC_SOCKET", &socket);
        let (process, _) = Process::start("tgtd", command, &self.log)?;
        let admin = Admin {
            socket,
            folder: folder.path().to_owned(),
        };
        let mut targets = Targets {
            admin: &admin,
            last: 0,
        };
        for (index, scenario) in scenarios.iter().enumerate() {
            let made = targets.of_scenario(scenario);
            if index == 0 {
                // The first calls find nobody home: it is still starting.
                process.await_ready(|| match &made {
                    Ok(()) => Ok(()),
                    Err(_) => targets.of_scenario(scenario),
                })?;
            } else {
                made.map_err(|why| DutError::Probe {
                    what: "tgtadm".to_owned(),
                    why,
                })?;
            }
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
            capabilities.extend(probe(portal, &options, Lun::from_number(LUN))?.negotiable);
        }
        Ok(Box::new(Tgtd {
            process,
            portal,
            capabilities,
            _folder: folder,
        }))
    }
}

#[derive(Debug)]
struct Tgtd {
    process: Process,
    portal: SocketAddr,
    capabilities: BTreeSet<Need>,
    /// Holds its socket and the files of the LUNs.
    _folder: TempDir,
}

impl Running for Tgtd {
    fn capabilities(&self) -> &BTreeSet<Need> {
        &self.capabilities
    }

    fn ground(&self, scenario: &Scenario) -> Ground {
        ground(self.portal, scenario, LUN)
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn pid(&self) -> Option<u32> {
        Some(self.process.pid())
    }

    fn death(&self) -> Option<String> {
        self.process.death()
    }

    /// tgtd answers SIGTERM only without targets; it holds nothing that matters, so it is killed.
    fn end(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Makes targets, numbered from 1.
struct Targets<'a> {
    admin: &'a Admin,
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
        self.admin
            .run(&[&target[..], &["--op", "new", "--targetname", name]].concat())?;
        self.last += 1;
        let image = self.admin.folder.join(format!("{tid}.img"));
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
        self.admin
            .run(&[&unit[..], &["--backing-store", &image]].concat())?;
        self.admin
            .run(&[&target[..], &["--op", "bind"], who].concat())
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
            let _ = self.admin.run(&new);
        }
        let bind = [&account[..], &["bind", "--tid", &tid, "--user"]].concat();
        self.admin.run(&[&bind[..], &[&chap.user]].concat())?;
        self.admin
            .run(&[&bind[..], &[&chap.mutual_user, "--outgoing"]].concat())
    }
}

/// tgtadm, talking to our tgtd.
struct Admin {
    socket: PathBuf,
    folder: PathBuf,
}

impl Admin {
    fn run(&self, arguments: &[&str]) -> Result<(), String> {
        let output = Command::new(sbin("tgtadm"))
            .args(["--lld", "iscsi"])
            .args(arguments)
            .env("TGT_IPC_SOCKET", &self.socket)
            .output()
            .map_err(|error| format!("tgtadm: {error}"))?;
        match output.status.success() {
            true => Ok(()),
            false => {
                let said = String::from_utf8_lossy(&output.stderr);
                Err(format!("tgtadm {}: {}", arguments.join(" "), said.trim()))
            }
        }
    }
}

fn sbin(program: &str) -> PathBuf {
    Path::new("/usr/sbin").join(program)
}
