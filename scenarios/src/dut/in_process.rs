//! Our target in this process: nothing to build or to attach to, for debuggers.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use target::{Server, ServerConfig};
use tempfile::TempDir;
use tokio::runtime::Handle;

use super::glintd::{capabilities, configuration};
use super::{Dut, DutError, Running, Store, ground};
use crate::context::Ground;
use crate::scenario::{Need, Scenario};

/// `target::Server`, configured as `glintd` is.
#[derive(Debug)]
pub struct InProcessDut {
    /// What the LUNs are kept in.
    pub store: Store,
}

impl Dut for InProcessDut {
    fn name(&self) -> &'static str {
        "in-process"
    }

    fn start(&self, scenarios: &[Scenario]) -> Result<Box<dyn Running>, DutError> {
        let not_ready = |why: String| DutError::NotReady {
            program: "the target".to_owned(),
            why,
            log: String::new(),
        };
        let folder = tempfile::tempdir().map_err(DutError::io("make a folder for LUNs"))?;
        let text = configuration(scenarios, self.store, &folder);
        let config = ServerConfig::parse("the configuration made for the scenarios", &text)
            .map_err(|why| not_ready(why.to_string()))?;
        let server = Server::start(config).map_err(|why| not_ready(why.to_string()))?;
        let portal = *server
            .portals()
            .first()
            .ok_or_else(|| not_ready("no portal".to_owned()))?;
        Ok(Box::new(InProcess {
            runtime: Handle::current(),
            server: Mutex::new(Some(server)),
            portal,
            capabilities: capabilities(),
            _folder: folder,
        }))
    }
}

struct InProcess {
    runtime: Handle,
    server: Mutex<Option<Server>>,
    portal: SocketAddr,
    capabilities: BTreeSet<Need>,
    /// Holds the files of the LUNs.
    _folder: TempDir,
}

impl Running for InProcess {
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
        None
    }

    fn death(&self) -> Option<String> {
        None
    }

    fn end(&self) -> Result<(), String> {
        let server = self
            .server
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(server) = server else { return Ok(()) };
        self.runtime
            .block_on(server.shutdown())
            .map_err(|images| images.join(", "))
    }
}
