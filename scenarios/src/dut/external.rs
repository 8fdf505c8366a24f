//! Any target, by URL. It is not ours: it is neither started nor ended, and written to only when
//! the user says so.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use initiator_sim::IscsiUrl;

use super::probe::probe;
use super::{Dut, DutError, NAMING_AUTHORITY, Running};
use crate::context::{ChapTarget, Ground};
use crate::scenario::{Need, Scenario};

/// A target that runs somewhere.
#[derive(Debug)]
pub struct ExternalDut {
    /// Where.
    pub url: IscsiUrl,
    /// Its LUN may be overwritten.
    pub destructive: bool,
    /// The name to log in under.
    pub initiator: Option<String>,
}

impl Dut for ExternalDut {
    fn name(&self) -> &'static str {
        "external"
    }

    fn start(&self, _: &[Scenario]) -> Result<Box<dyn Running>, DutError> {
        let portal: SocketAddr = self
            .url
            .addr()
            .map_err(DutError::io(format!("look up {}", self.url.host)))?;
        let bad_url = |error: initiator_sim::UrlError| DutError::Probe {
            what: "the URL".to_owned(),
            why: error.to_string(),
        };
        let initiator = self
            .initiator
            .clone()
            .unwrap_or_else(|| format!("{NAMING_AUTHORITY}:initiator"));
        let options = self
            .url
            .login_options()
            .map_err(bad_url)?
            .initiator(&initiator);
        let lun = self.url.lun();
        let found = probe(portal, &options, lun)?;
        let mut capabilities = found.negotiable;
        let target = self.url.target.clone().unwrap_or_default();
        let chap = self.url.chap.as_ref().map(|(user, secret)| ChapTarget {
            name: target.clone(),
            user: user.clone(),
            secret: secret.clone(),
            mutual_user: String::new(),
            mutual_secret: String::new(),
        });
        if chap.is_some() {
            capabilities.insert(Need::Chap);
        }
        if self.destructive {
            capabilities.insert(Need::Destructive);
            if found.capacity.bytes() >= 8 << 20 {
                capabilities.insert(Need::EightMebibytes);
            }
        }
        let ground = Ground {
            portal,
            target,
            initiator,
            credentials: self.url.chap.clone(),
            lun,
            absent_lun: found.absent_lun,
            blocks: found.capacity.blocks,
            block_size: found.capacity.block_size,
            chap,
            closed: None,
            workshop: None,
        };
        Ok(Box::new(External {
            capabilities,
            ground,
        }))
    }
}

#[derive(Debug)]
struct External {
    capabilities: BTreeSet<Need>,
    ground: Ground,
}

impl Running for External {
    fn capabilities(&self) -> &BTreeSet<Need> {
        &self.capabilities
    }

    fn ground(&self, _: &Scenario) -> Ground {
        self.ground.clone()
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn pid(&self) -> Option<u32> {
        None
    }

    fn death(&self) -> Option<String> {
        None
    }

    fn end(&self) -> Result<(), String> {
        Ok(())
    }
}
