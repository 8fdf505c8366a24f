//! A child process: its readiness, its log, its death.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::dut::DutError;

/// From start to readiness.
const START_LIMIT: Duration = Duration::from_secs(20);
/// From SIGTERM to the end.
const END_LIMIT: Duration = Duration::from_secs(5);
/// Between two looks at a process that is to end.
const POLL: Duration = Duration::from_millis(5);
/// How much of a log is shown.
const LOG_LINES: usize = 12;
const LOG_BYTES: u64 = 16 * 1024;

/// A child of ours. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Process {
    program: String,
    child: Mutex<Child>,
    log: PathBuf,
    /// What is in the log before this is of earlier lives.
    log_from: u64,
}

impl Process {
    /// Starts `command` with its standard error appended to `log`. Lines of standard output that
    /// `listening on ADDRESS` introduces arrive at the receiver.
    pub(crate) fn start(
        program: &str,
        mut command: Command,
        log: &Path,
    ) -> Result<(Self, Receiver<SocketAddr>), DutError> {
        let doing = || DutError::io(format!("start {program}"));
        if let Some(folder) = log.parent() {
            fs::create_dir_all(folder).map_err(doing())?;
        }
        let stderr = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .map_err(doing())?;
        let log_from = stderr.metadata().map_err(doing())?.len();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .map_err(doing())?;
        let stdout = child.stdout.take().expect("stdout is piped");
        let (told, portals) = mpsc::channel();
        // Reads to the end, so that the child can always write.
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let portal = line.trim().strip_prefix("listening on ").map(str::parse);
                if let Some(Ok(portal)) = portal {
                    // Nobody asks any more once it is ready.
                    let _ = told.send(portal);
                }
            }
        });
        let child = Mutex::new(child);
        let process = Self {
            program: program.to_owned(),
            child,
            log: log.to_owned(),
            log_from,
        };
        Ok((process, portals))
    }

    /// Waits until it says where it listens.
    pub(crate) fn await_portal(
        &self,
        portals: &Receiver<SocketAddr>,
    ) -> Result<SocketAddr, DutError> {
        portals
            .recv_timeout(START_LIMIT)
            .map_err(|error| match error {
                RecvTimeoutError::Timeout => self.not_ready(format!("silent for {START_LIMIT:?}")),
                RecvTimeoutError::Disconnected => {
                    // Its output is closed: it ends, if it has not ended.
                    self.wait(Duration::from_secs(1));
                    self.not_ready(self.death().unwrap_or_else(|| "it said nothing".to_owned()))
                }
            })
    }

    /// Tries until `ready` says so.
    pub(crate) fn await_ready<T>(
        &self,
        mut ready: impl FnMut() -> Result<T, String>,
    ) -> Result<T, DutError> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let why = match ready() {
                Ok(value) => return Ok(value),
                Err(why) => why,
            };
            if let Some(death) = self.death() {
                return Err(self.not_ready(death));
            }
            if Instant::now() > deadline {
                return Err(self.not_ready(why));
            }
            thread::sleep(POLL);
        }
    }

    fn not_ready(&self, why: String) -> DutError {
        DutError::NotReady {
            program: self.program.clone(),
            why,
            log: self.log_end(),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child().id()
    }

    /// How it ended, if it did.
    pub(crate) fn death(&self) -> Option<String> {
        let status = self.child().try_wait().ok().flatten()?;
        Some(format!("{} ended: {status}", self.program))
    }

    /// Everything it said on standard error.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last lines of its log.
    pub(crate) fn log_end(&self) -> String {
        end_of(&self.log, self.log_from).unwrap_or_default()
    }

    /// Memory it holds, in bytes (`VmRSS`).
    pub(crate) fn resident_bytes(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
        kib.map(|kib| kib << 10)
            .ok_or_else(|| io::Error::other("no VmRSS"))
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&self) -> io::Result<()> {
        let mut child = self.child();
        child.kill()?;
        child.wait().map(|_| ())
    }

    /// SIGTERM, which must end it in time and without complaint.
    pub(crate) fn end_within(&self, limit: Duration) -> Result<(), String> {
        if let Some(death) = self.death() {
            return Err(death);
        }
        let pid = rustix::process::Pid::from_child(&self.child());
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)
            .map_err(|error| format!("{}: {error}", self.program))?;
        match self.wait(limit) {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(format!("{} after SIGTERM: {status}", self.program)),
            None => Err(format!(
                "{} is still there {limit:?} after SIGTERM",
                self.program
            )),
        }
    }

    /// The same, within the ordinary time.
    pub(crate) fn end(&self) -> Result<(), String> {
        self.end_within(END_LIMIT)
    }

    fn wait(&self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child().try_wait().ok().flatten() {
                return Some(status);
            }
            if Instant::now() > deadline {
                return None;
            }
            thread::sleep(POLL);
        }
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut child = self.child();
        // Both fail only when it is gone already.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// The last lines of a file that may be long, none from before `from`.
fn end_of(path: &Path, from: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(from.max(len.saturating_sub(LOG_BYTES))))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(LOG_LINES)..].join("\n"))
}
