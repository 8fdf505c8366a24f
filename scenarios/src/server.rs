//! Targets as processes on loopback: `glintd`, and tgtd as the peer whose faults are known.
//!
//! Started here, ended here, by pid. Readiness is what the program says, never a guess.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The name of every target started with `--lun`.
pub const TARGET: &str = "iqn.2026-11.example.glint:disk";

/// From start to readiness.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Between two looks at a process that is to end.
const POLL: Duration = Duration::from_millis(5);

/// A running target process; dropped, it is killed.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub portal: SocketAddr,
    /// The unit to use.
    pub lun: u16,
    folder: TempDir,
}

impl Server {
    /// `glintd` with these arguments, on `listen` (port 0: any).
    pub fn glintd(program: &Path, listen: SocketAddr, arguments: &[&str]) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut child = Command::new(program)
            .args(["serve", "--listen", &listen.to_string(), "--target-name", TARGET])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(folder.path().join("log"))?)
            .spawn()?;
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut server = Self { child, portal: listen, lun: 0, folder };
        server.portal = await_portal(stdout)
            .ok_or_else(|| io::Error::other(format!("glintd is not ready: {}", server.log())))?;
        Ok(server)
    }

    /// tgtd with one unit of its `null` store, or of a 64 MiB file.
    pub fn tgtd(backing: TgtStore) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let portal = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let socket = folder.path().join("tgtd");
        let log = File::create(folder.path().join("log"))?;
        let child = Command::new(sbin("tgtd"))
            .args(["-f", "--iscsi", &format!("portal={portal}")])
            .env("TGT_IPC_SOCKET", &socket)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let server = Self { child, portal, lun: 1, folder };
        let target = ["--mode", "target", "--tid", "1"];
        let new = [&target[..], &["--op", "new", "-T", TARGET]].concat();
        let deadline = Instant::now() + START_LIMIT;
        while let Err(error) = tgtadm(&socket, &new) {
            if Instant::now() > deadline {
                return Err(error);
            }
            thread::sleep(POLL);
        }
        let image = server.folder.path().join("lun.img");
        let store = match backing {
            TgtStore::Null => vec!["--bstype", "null", "--backing-store", "/dev/zero"],
            TgtStore::File => {
                File::create(&image)?.set_len(64 << 20)?;
                vec!["--backing-store", image.to_str().unwrap_or_default()]
            }
        };
        let unit = ["--mode", "logicalunit", "--tid", "1", "--lun", "1", "--op", "new"];
        tgtadm(&socket, &[&unit[..], &store].concat())?;
        tgtadm(&socket, &[&target[..], &["--op", "bind", "-I", "ALL"]].concat())?;
        Ok(server)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Memory it holds, in bytes (`VmRSS`).
    pub fn resident_bytes(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
        kib.map(|kib| kib << 10).ok_or_else(|| io::Error::other("no VmRSS"))
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(|_| ())
    }

    /// SIGTERM; how it ended, or `None` when `limit` passed.
    pub fn terminate(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            thread::sleep(POLL);
        }
        Ok(None)
    }

    /// What it said on standard error.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What tgtd keeps its blocks in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TgtStore {
    /// Nowhere: its cost is the protocol's.
    Null,
    /// A file.
    File,
}

/// Where tgtd is, if it is installed.
pub fn tgtd_path() -> Option<PathBuf> {
    let path = sbin("tgtd");
    path.exists().then_some(path)
}

fn sbin(program: &str) -> PathBuf {
    Path::new("/usr/sbin").join(program)
}

/// The address after `listening on`; the rest is read to the end, so that it can always write.
fn await_portal(stdout: impl io::Read + Send + 'static) -> Option<SocketAddr> {
    let (ready, readiness) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let portal = line.trim().strip_prefix("listening on ").map(str::parse);
            if let Some(Ok(portal)) = portal {
                let _ = ready.send(portal);
            }
        }
    });
    readiness.recv_timeout(START_LIMIT).ok()
}

fn tgtadm(socket: &Path, arguments: &[&str]) -> io::Result<()> {
    let output = Command::new(sbin("tgtadm"))
        .args(["--lld", "iscsi"])
        .args(arguments)
        .env("TGT_IPC_SOCKET", socket)
        .output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned())),
    }
}
