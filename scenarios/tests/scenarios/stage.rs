//! One `glintd` for all trials of this process, started by the first that needs it.

use std::sync::{Arc, OnceLock};

use libtest_mimic::Failed;
use scenarios::catalogue;
use scenarios::dut::{ProcessDut, Store};
use scenarios::runner::{Device, Played, TIME_LIMIT, play};
use scenarios::scenario::Scenario;
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub(crate) struct Stage {
    runtime: Runtime,
    device: OnceLock<Result<Arc<Device>, String>>,
    /// Holds the log of `glintd`: other processes run trials at the same time.
    folder: TempDir,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self {
            runtime: Runtime::new().expect("a runtime can be had"),
            device: OnceLock::new(),
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
        }
    }

    /// Plays a scenario.
    pub(crate) fn play(&self, scenario: Scenario) -> Result<Played, Failed> {
        let device = self.device.get_or_init(|| self.start()).as_ref()?;
        Ok(self.runtime.block_on(play(device, scenario, TIME_LIMIT)))
    }

    fn start(&self) -> Result<Arc<Device>, String> {
        let dut = ProcessDut::on(Store::Fake, self.folder.path().join("log"));
        let _within = self.runtime.enter();
        match Device::start(Box::new(dut), &catalogue::all()) {
            Ok(device) => Ok(Arc::new(device)),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Ends `glintd`, if it was started.
    pub(crate) fn end(&self) -> Result<(), String> {
        match self.device.get() {
            Some(Ok(device)) => device.end(),
            _ => Ok(()),
        }
    }
}
