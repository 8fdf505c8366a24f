//! A target with one or a few units, as a process on loopback: for witnesses, attacks and benches.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::dut::DutError;
use crate::fake::FakeVolume;
use crate::process::Process;
use crate::tgtd::Tgtd;

/// The name of every target started here.
pub const TARGET: &str = "iqn.2026-11.example.glint:disk";

/// A running target process; dropped, it is killed.
#[derive(Debug)]
pub struct Server {
    process: Process,
    /// Where it listens.
    pub portal: SocketAddr,
    /// The unit to use.
    pub lun: u16,
    /// Holds its log and its files.
    _folder: TempDir,
}

/// What tgtd keeps its blocks in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TgtStore {
    /// Nowhere: its cost is the protocol's.
    Null,
    /// A file of 64 MiB.
    File,
}

impl Server {
    /// `glintd serve` with these arguments besides address and name. Port 0: any.
    pub fn glintd(
        program: &Path,
        listen: SocketAddr,
        arguments: &[&str],
    ) -> Result<Self, DutError> {
        Self::glintd_as(program, listen, arguments, |_| ())
    }

    /// The same on a fake volume, which it finds as it would find a real one.
    pub fn glintd_on(
        volume: &FakeVolume,
        program: &Path,
        listen: SocketAddr,
        arguments: &[&str],
    ) -> Result<Self, DutError> {
        Self::glintd_as(program, listen, arguments, |command| volume.lend(command))
    }

    /// `glintd serve` on a fake volume with a configuration file.
    pub fn glintd_with(
        volume: &FakeVolume,
        program: &Path,
        config: &Path,
    ) -> Result<Self, DutError> {
        let mut command = Command::new(program);
        command.arg("serve").arg("--config").arg(config);
        volume.lend(&mut command);
        Self::start(command)
    }

    /// The same with its environment prepared by the caller.
    pub(crate) fn glintd_as(
        program: &Path,
        listen: SocketAddr,
        arguments: &[&str],
        prepare: impl FnOnce(&mut Command),
    ) -> Result<Self, DutError> {
        let mut command = Command::new(program);
        command
            .args(["serve", "--listen", &listen.to_string()])
            .args(["--target-name", TARGET])
            .args(arguments);
        prepare(&mut command);
        Self::start(command)
    }

    fn start(command: Command) -> Result<Self, DutError> {
        let folder = tempfile::tempdir().map_err(DutError::io("make a folder for glintd"))?;
        let (process, portals) = Process::start("glintd", command, &folder.path().join("log"))?;
        Ok(Self {
            portal: process.await_portal(&portals)?,
            process,
            lun: 0,
            _folder: folder,
        })
    }

    /// tgtd with one unit.
    pub fn tgtd(store: TgtStore) -> Result<Self, DutError> {
        let tgtd = Tgtd::start(None)?;
        let image = tgtd.folder.path().join("lun.img").display().to_string();
        match store {
            TgtStore::Null => {
                Self::unit_of(tgtd, &["--bstype", "null", "--backing-store", "/dev/zero"])
            }
            TgtStore::File => {
                File::create(&image)
                    .and_then(|file| file.set_len(64 << 20))
                    .map_err(DutError::io("make a file for tgtd"))?;
                Self::unit_of(tgtd, &["--backing-store", &image])
            }
        }
    }

    /// tgtd with one unit on an image of a Gluster volume, which it opens with O_SYNC and O_DIRECT.
    pub fn tgtd_on_gluster(server: &str, volume: &str, image: &str) -> Result<Self, DutError> {
        let tgtd = Tgtd::start(None)?;
        let place = format!("{volume}@{server}:{image}");
        // Without a log file of its own it reads a pointer it never set.
        let log = tgtd.folder.path().join("gluster.log");
        let options = format!("logfile={};loglevel=3", log.display());
        let backing = ["--bstype", "glfs", "--backing-store", &place];
        Self::unit_of(tgtd, &[&backing[..], &["--bsopts", &options]].concat())
    }

    fn unit_of(tgtd: Tgtd, backing: &[&str]) -> Result<Self, DutError> {
        let target = ["--mode", "target", "--tid", "1"];
        let unit = ["--mode", "logicalunit", "--tid", "1", "--lun", "1"];
        for call in [
            [&target[..], &["--op", "new", "-T", TARGET]].concat(),
            [&unit[..], &["--op", "new"], backing].concat(),
            [&target[..], &["--op", "bind", "-I", "ALL"]].concat(),
        ] {
            tgtd.admin(&call).map_err(|why| DutError::Probe {
                what: "tgtadm".to_owned(),
                why,
            })?;
        }
        Ok(Self {
            process: tgtd.process,
            portal: tgtd.portal,
            lun: 1,
            _folder: tgtd.folder,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Memory it holds, in bytes.
    pub fn resident_bytes(&self) -> io::Result<u64> {
        self.process.resident_bytes()
    }

    /// How it ended, if it did.
    pub fn death(&self) -> Option<String> {
        self.process.death()
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&self) -> io::Result<()> {
        self.process.kill()
    }

    /// SIGTERM, which must end it within `limit` and without complaint.
    pub fn terminate(&self, limit: Duration) -> Result<(), String> {
        self.process.end_within(limit)
    }

    /// What it said on standard error.
    pub fn log(&self) -> String {
        self.process.log()
    }
}
