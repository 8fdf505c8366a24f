//! What all trials share: the cluster, the volume that nobody hurts, and the glintd of the
//! catalogue.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use libtest_mimic::{Completion, Failed, Trial};
use scenarios::binaries;
use scenarios::catalogue;
use scenarios::cluster::{Cluster, Volume, preflight};
use scenarios::dut::{ProcessDut, Store};
use scenarios::foreign::tools::{Tool, missing};
use scenarios::runner::{Device, Played, play};
use scenarios::scenario::Scenario;
use scenarios::server::{Server, TARGET};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Longer than a scenario takes in memory: every write is on three bricks before it is answered.
const SCENARIO_LIMIT: Duration = Duration::from_secs(60);

/// From SIGTERM to exit: the volume is told goodbye.
const STOP_LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Room {
    pub(crate) runtime: Runtime,
    missing: Option<String>,
    cluster: OnceLock<Result<Arc<Cluster>, String>>,
    calm: OnceLock<Result<Volume, String>>,
    device: OnceLock<Result<Arc<Device>, String>>,
    /// Holds the log of the catalogue's glintd.
    folder: TempDir,
}

impl Room {
    pub(crate) fn new() -> Self {
        let missing = preflight::missing();
        Self {
            runtime: Runtime::new().expect("a runtime can be had"),
            missing: (!missing.is_empty()).then(|| missing.join("; ")),
            cluster: OnceLock::new(),
            calm: OnceLock::new(),
            device: OnceLock::new(),
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
        }
    }

    /// A trial that runs where there can be a cluster, and all of `tools`.
    pub(crate) fn trial(
        self: &Arc<Self>,
        name: impl Into<String>,
        tools: &[Tool],
        body: impl FnOnce(&Self) -> Result<(), Failed> + Send + 'static,
    ) -> Trial {
        self.ignorable_trial(name, tools, |room| {
            body(room).map(|()| Completion::Completed)
        })
    }

    /// The same, which may find that it cannot be had here.
    pub(crate) fn ignorable_trial(
        self: &Arc<Self>,
        name: impl Into<String>,
        tools: &[Tool],
        body: impl FnOnce(&Self) -> Result<Completion, Failed> + Send + 'static,
    ) -> Trial {
        let room = Arc::clone(self);
        match self.missing.clone().or_else(|| missing(tools)) {
            None => Trial::ignorable_test(name, move || body(&room)),
            Some(reason) if std::env::var_os("CI").is_some_and(|value| value == "true") => {
                Trial::test(name, move || Err(Failed::from(reason)))
            }
            Some(reason) => Trial::test(name, || Ok(()))
                .with_kind(reason)
                .with_ignored_flag(true),
        }
    }

    /// The one container.
    pub(crate) fn cluster(&self) -> Result<&Arc<Cluster>, Failed> {
        let start = || {
            let begun = Instant::now();
            let cluster = Cluster::start().map_err(|why| why.to_string())?;
            eprintln!("the cluster took {:.1?} to start", begun.elapsed());
            Ok(Arc::new(cluster))
        };
        let cluster = self.cluster.get_or_init(start).as_ref();
        Ok(cluster.map_err(Clone::clone)?)
    }

    /// A volume of the trial's own, to be hurt.
    pub(crate) fn own_volume(&self, name: &str) -> Result<Volume, Failed> {
        Ok(self.cluster()?.volume(name)?)
    }

    /// The volume that nobody hurts.
    pub(crate) fn calm_volume(&self) -> Result<&Volume, Failed> {
        let cluster = self.cluster()?;
        let make = || cluster.volume("calm").map_err(|why| why.to_string());
        Ok(self.calm.get_or_init(make).as_ref().map_err(Clone::clone)?)
    }

    /// Plays a scenario of the catalogue on the volume that nobody hurts.
    pub(crate) fn play(&self, scenario: Scenario) -> Result<Played, Failed> {
        let place = self.calm_volume()?.place();
        let start = || {
            let log = self.folder.path().join("log");
            let dut = ProcessDut::on(Store::Gluster(place), log);
            let _within = self.runtime.enter();
            let begun = Instant::now();
            let device = Device::start(Box::new(dut), &catalogue::all());
            eprintln!("glintd took {:.1?} to open its images", begun.elapsed());
            device.map(Arc::new).map_err(|why| why.to_string())
        };
        let device = self.device.get_or_init(start).as_ref()?;
        Ok(self
            .runtime
            .block_on(play(device, scenario, SCENARIO_LIMIT)))
    }

    /// Ends the catalogue's glintd, if it was started.
    pub(crate) fn end(&self) -> Result<(), String> {
        match self.device.get() {
            Some(Ok(device)) => device.end(),
            _ => Ok(()),
        }
    }
}

/// A glintd with this one unit, which tells what libgfapi told it.
pub(crate) fn serve(store: &str) -> Result<Server, Failed> {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let arguments = ["--lun", store, "--log", "info,target::gluster=debug"];
    Ok(Server::glintd(&binaries::glintd()?, anywhere, &arguments)?)
}

/// The URL of its unit, as libiscsi's programs and qemu want it.
pub(crate) fn url(server: &Server) -> String {
    format!("iscsi://{}/{TARGET}/{}", server.portal, server.lun)
}

/// Whatever a trial did, glintd has to end in time and without complaint.
pub(crate) fn stop(server: &Server) -> Result<(), Failed> {
    server
        .terminate(STOP_LIMIT)
        .map_err(|why| format!("{why}\n{}", server.log()).into())
}
