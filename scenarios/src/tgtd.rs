//! tgtd, from the Debian package `tgt`: a daemon of our own on loopback, and tgtadm to set it up.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::dut::DutError;
use crate::process::Process;

/// A running tgtd without targets.
#[derive(Debug)]
pub(crate) struct Tgtd {
    pub(crate) process: Process,
    pub(crate) portal: SocketAddr,
    /// Holds its socket, and the files of its units.
    pub(crate) folder: TempDir,
}

/// Where the daemon is, if it is installed.
pub(crate) fn tgtd_path() -> Option<PathBuf> {
    let path = sbin("tgtd");
    path.exists().then_some(path)
}

impl Tgtd {
    /// Starts it, and waits until it can be set up. `log`: its standard error is appended there.
    pub(crate) fn start(log: Option<&Path>) -> Result<Self, DutError> {
        let Some(program) = tgtd_path() else {
            let remedy = "install the package tgt";
            return Err(DutError::Missing {
                program: "tgtd".to_owned(),
                remedy,
            });
        };
        let folder = tempfile::tempdir().map_err(DutError::io("make a folder for tgtd"))?;
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let portal = free.map_err(DutError::io("find a free port"))?;
        let mut command = Command::new(program);
        command
            .args(["-f", "--iscsi", &format!("portal={portal}")])
            .env("TGT_IPC_SOCKET", folder.path().join("tgtd"));
        let log = log.map_or_else(|| folder.path().join("log"), Path::to_owned);
        let (process, _) = Process::start("tgtd", command, &log)?;
        let tgtd = Self {
            process,
            portal,
            folder,
        };
        // The first calls find nobody home.
        tgtd.process
            .await_ready(|| tgtd.admin(&["--mode", "target", "--op", "show"]))?;
        Ok(tgtd)
    }

    /// One call of tgtadm.
    pub(crate) fn admin(&self, arguments: &[&str]) -> Result<(), String> {
        let output = Command::new(sbin("tgtadm"))
            .args(["--lld", "iscsi"])
            .args(arguments)
            .env("TGT_IPC_SOCKET", self.folder.path().join("tgtd"))
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
