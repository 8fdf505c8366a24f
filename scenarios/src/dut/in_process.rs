//! Our target in this process: nothing to build or to attach to, for debuggers.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use target::{Server, ServerConfig};
use tokio::runtime::Handle;

use super::glintd::{capabilities, configuration};
use super::store::Backing;
use super::{Dut, DutError, Running, Store, ground};
use crate::context::Ground;
use crate::scenario::{Need, Scenario};

/// `target::Server`, configured as `glintd` is.
#[derive(Debug)]
pub struct InProcessDut {
    /// What the LUNs are kept in; not the fake, which a process finds only when it is started with
    /// that in mind.
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
        if self.store == Store::Fake {
            return Err(not_ready(
                "in this process there is no fake Gluster".to_owned(),
            ));
        }
        let backing = Backing::of(&self.store, None, "")?;
        let text = configuration(scenarios, &backing);
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
            _backing: backing,
        }))
    }
}

struct InProcess {
    runtime: Handle,
    server: Mutex<Option<Server>>,
    portal: SocketAddr,
    capabilities: BTreeSet<Need>,
    /// Holds the LUNs.
    _backing: Backing,
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
