//! The targets the witnesses look at: `glintd`, and tgtd as the control whose faults are known.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use libtest_mimic::Failed;
use scenarios::binaries;
use scenarios::fake::FakeVolume;
use scenarios::server::{self, TgtStore};

pub(crate) use scenarios::server::TARGET;

/// From SIGTERM to exit, with every initiator gone.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// A running target on a loopback port of its own.
pub(crate) struct Server {
    process: server::Server,
    /// `address:port`.
    pub(crate) portal: String,
}

impl Server {
    /// A `glintd` with one unit of 64 MiB in memory.
    pub(crate) fn start() -> Result<Self, Failed> {
        Self::start_with(&["--lun", "mem:64MiB"])
    }

    /// A `glintd serve` with these arguments besides address and name.
    pub(crate) fn start_with(arguments: &[&str]) -> Result<Self, Failed> {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let process = server::Server::glintd(&binaries::glintd()?, anywhere, arguments)?;
        Ok(Self {
            portal: process.portal.to_string(),
            process,
        })
    }

    /// The same on a volume of the fake Gluster.
    pub(crate) fn start_on(volume: &FakeVolume, arguments: &[&str]) -> Result<Self, Failed> {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let program = binaries::glintd()?;
        let process = server::Server::glintd_on(volume, &program, anywhere, arguments)?;
        Ok(Self {
            portal: process.portal.to_string(),
            process,
        })
    }

    /// A tgtd with one unit of 64 MiB in a file.
    pub(crate) fn start_tgtd() -> Result<Self, Failed> {
        let process = server::Server::tgtd(TgtStore::File)?;
        Ok(Self {
            portal: process.portal.to_string(),
            process,
        })
    }

    /// The URL of the first unit, as libiscsi's programs and qemu want it.
    pub(crate) fn url(&self) -> String {
        format!("iscsi://{}/{TARGET}/{}", self.portal, self.process.lun)
    }

    /// SIGTERM, which must end a target in time and without complaint. Whatever a trial did, the
    /// target has to survive it: call this last.
    pub(crate) fn stop(self) -> Result<(), Failed> {
        self.process
            .terminate(STOP_LIMIT)
            .map_err(|why| format!("{why}\n{}", self.log()).into())
    }

    /// SIGKILL.
    pub(crate) fn kill(self) -> Result<(), Failed> {
        Ok(self.process.kill()?)
    }

    /// What the target said about itself.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }
}
