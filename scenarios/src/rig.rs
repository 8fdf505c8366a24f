//! A `glintd` of one scenario's own, with its storage in the scenario's hands: killed, stopped,
//! started again at the same address, cut off from storage that fails by plan.
//!
//! Knows nothing of what a scenario makes of it. On the fake Gluster `kill` is a power cut.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use crate::dut::{Backing, DutError, LUN_BYTES, Store};
use crate::process::Process;

/// A plan is looked at every few milliseconds; after this it holds for every call that begins.
const PLAN_NOTICED: Duration = Duration::from_millis(20);

/// How long initiators get to log out when the device is stopped.
const GRACE: &str = "1s";

/// From SIGTERM to the end: the grace and a flush.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// What devices of a scenario's own are made from.
#[derive(Clone, Debug)]
pub struct Workshop {
    /// The program.
    pub(crate) program: PathBuf,
    /// What the LUNs are kept in.
    pub(crate) store: Store,
    /// The shared object of the fake Gluster.
    pub(crate) fake: Option<PathBuf>,
    /// What every fake volume is like, one `key = value` a line.
    pub(crate) volume: String,
    /// Where logs go, one file a scenario.
    pub(crate) logs: PathBuf,
}

/// What a scenario wants of its device.
#[derive(Clone, Debug)]
pub struct Setup {
    write_back: bool,
    luns: u16,
    volume: String,
    node: String,
    deadline: Option<Duration>,
}

impl Setup {
    /// One LUN without a volatile cache (WCE=0).
    pub fn write_through() -> Self {
        Self {
            write_back: false,
            luns: 1,
            volume: String::new(),
            node: String::new(),
            deadline: None,
        }
    }

    /// One LUN with a volatile cache (WCE=1).
    pub fn write_back() -> Self {
        Self {
            write_back: true,
            ..Self::write_through()
        }
    }

    /// A power cut takes everything that was not synced, where by chance some of it would survive.
    pub fn losing_all(self) -> Self {
        self.volume("lost = 100\ntorn = 0\n")
    }

    /// The fake volume is like this, one `key = value` a line.
    pub fn volume(mut self, settings: &str) -> Self {
        self.volume += settings;
        self
    }

    /// These keys of glintd's own configuration besides, one a line.
    pub fn node(mut self, keys: &str) -> Self {
        self.node += keys;
        self
    }

    /// That many LUNs, from 0 on, all on one volume.
    pub fn luns(mut self, luns: u16) -> Self {
        self.luns = luns;
        self
    }

    /// Storage is waited for no longer than this.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }
}

/// A device. Its process is killed when nobody has it any more.
#[derive(Clone, Debug)]
pub struct Rig(Arc<Made>);

#[derive(Debug)]
struct Made {
    workshop: Workshop,
    id: &'static str,
    target: String,
    setup: Setup,
    backing: Backing,
    folder: TempDir,
    portal: SocketAddr,
    /// None while it is stopped.
    process: Mutex<Option<Process>>,
}

impl Workshop {
    /// Makes a device with one target of that name, and starts it.
    pub(crate) async fn make(
        self,
        id: &'static str,
        target: String,
        setup: Setup,
    ) -> Result<Rig, DutError> {
        blocking(move || {
            let settings = format!("{}{}", setup.volume, self.volume);
            let backing = Backing::of(&self.store, self.fake.as_deref(), &settings)?;
            let folder = tempfile::tempdir().map_err(DutError::io("make a folder for glintd"))?;
            let mut made = Made {
                workshop: self,
                id,
                target,
                setup,
                backing,
                folder,
                portal: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                process: Mutex::default(),
            };
            // The log is that of this run; most often there is no other.
            let _ = fs::remove_file(made.log());
            let (process, portal) = made.launch()?;
            made.portal = portal;
            *made.process() = Some(process);
            Ok(Rig(Arc::new(made)))
        })
        .await
    }
}

impl Rig {
    /// Where it listens, through all its lives.
    pub fn portal(&self) -> SocketAddr {
        self.0.portal
    }

    /// SIGKILL, and waits until it is gone: on a fake volume a power cut.
    pub async fn kill(&self) -> Result<(), DutError> {
        let made = Arc::clone(&self.0);
        let killed = blocking(move || match made.process().take() {
            Some(process) => process.kill(),
            None => Ok(()),
        });
        killed.await.map_err(DutError::io("kill glintd"))
    }

    /// SIGTERM, and waits until it ended in time and without complaint.
    pub async fn stop(&self) -> Result<(), String> {
        let made = Arc::clone(&self.0);
        blocking(move || match made.process().take() {
            Some(process) => process.end_within(STOP_LIMIT),
            None => Ok(()),
        })
        .await
    }

    /// Starts it again, at the same address on the same storage.
    pub async fn start(&self) -> Result<(), DutError> {
        let made = Arc::clone(&self.0);
        blocking(move || {
            let (process, _) = made.launch()?;
            *made.process() = Some(process);
            Ok(())
        })
        .await
    }

    /// What storage does from now on, one rule a line (`gluster-mock`'s plan); an empty plan lets
    /// everything that hangs go on.
    ///
    /// # Panics
    /// In a scenario that does not declare [`crate::scenario::Need::Faults`].
    pub async fn plan(&self, rules: &str) -> Result<(), DutError> {
        let volume = self.0.backing.fake();
        let volume = volume.expect("the scenario declares Need::Faults");
        volume.plan(rules).map_err(DutError::io("plan faults"))?;
        tokio::time::sleep(PLAN_NOTICED).await;
        Ok(())
    }

    /// The image of a LUN, as plans name it.
    pub fn image(&self, lun: u16) -> String {
        format!("/{}.img", self.0.name(lun))
    }

    /// How it died, if nobody killed it.
    pub(crate) fn death(&self) -> Option<String> {
        let process = self.0.process();
        let process = process.as_ref()?;
        let death = process.death()?;
        Some(format!("{death}\n{}", process.log_end()))
    }
}

impl Made {
    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> PathBuf {
        self.workshop.logs.join(format!("{}.log", self.id))
    }

    fn name(&self, lun: u16) -> String {
        format!("rig.{}.{lun}", self.id)
    }

    fn launch(&self) -> Result<(Process, SocketAddr), DutError> {
        let config = self.folder.path().join("glint.toml");
        fs::write(&config, self.configuration())
            .map_err(DutError::io("write the configuration of glintd"))?;
        let mut command = Command::new(&self.workshop.program);
        command.arg("serve").arg("--config").arg(&config);
        self.backing.lend(&mut command);
        let (process, portals) = Process::start("glintd", command, &self.log())?;
        let portal = process.await_portal(&portals)?;
        Ok((process, portal))
    }

    fn configuration(&self) -> String {
        let (portal, target) = (self.portal, &self.target);
        let cache = match self.setup.write_back {
            true => "write-back",
            false => "write-through",
        };
        let mut text = format!("[node]\nlisten = [\"{portal}\"]\nshutdown_grace = \"{GRACE}\"\n");
        text += &self.setup.node;
        let _ = write!(text, "\n[[target]]\nname = \"{target}\"\n");
        for lun in 0..self.setup.luns {
            let store = self.backing.lun(&self.name(lun), LUN_BYTES);
            // Writing to a String does not fail.
            let _ = write!(
                text,
                "\n[[target.lun]]\nlun = {lun}\nstore = \"{store}\"\ncache = \"{cache}\"\n"
            );
            if let Some(deadline) = self.setup.deadline {
                let _ = writeln!(text, "storage_timeout = \"{}ms\"", deadline.as_millis());
            }
        }
        text
    }
}

/// Runs what waits for processes where that holds nobody up.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(why) => std::panic::resume_unwind(why.into_panic()),
    }
}
