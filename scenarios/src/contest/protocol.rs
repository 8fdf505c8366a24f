//! What protocol costs, ours against tgt's, and both against a bare TCP echo. No storage is
//! touched: `mem:` on our side, tgt's null store on the other.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use initiator_sim::LoginOptions;
use initiator_sim::bench::{self, Access, EchoPlan, Plan};
use iscsi::Lun;

use super::{ContestError, Standing};
use crate::server::{Server, TARGET, TgtStore};
use crate::tgtd::tgtd_path;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Contest {
    /// Our daemon.
    pub glintd: PathBuf,
    /// The load generator's own binary, which is the echo server too.
    pub initiator: PathBuf,
    /// Rounds; each measures every contestant once.
    pub rounds: u32,
    /// Seconds of each measurement.
    pub seconds: f64,
    /// Commands in flight.
    pub depth: u16,
    /// Bytes per command.
    pub block_bytes: u32,
    /// Reads among the commands, 0 to 100.
    pub read_percent: u8,
}

/// Measures everything that is installed; the echo comes last.
pub async fn run(contest: &Contest) -> Result<Vec<Standing>, ContestError> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut servers = vec![(
        "glintd mem:",
        Server::glintd(&contest.glintd, any, &["--lun", "mem:1GiB"])?,
    )];
    if tgtd_path().is_some() {
        servers.push(("tgt null", Server::tgtd(TgtStore::Null)?));
    }
    let names = servers.iter().map(|(name, _)| *name).chain(["TCP echo"]);
    let mut standings: Vec<Standing> = names.map(Standing::new).collect();
    for (name, server) in &servers {
        // What was never written costs nothing to read: fill it first.
        let mut fill = contest.plan(server);
        (fill.read_percent, fill.access) = (0, Access::Sequential);
        (fill.block_bytes, fill.warm_up) = (64 << 10, Duration::ZERO);
        bench::run(&fill)
            .await
            .map_err(|error| ContestError::Bench(name, error))?;
    }
    for round in 0..contest.rounds {
        for place in super::turns(servers.len(), round) {
            let (name, server) = &servers[place];
            let report = bench::run(&contest.plan(server))
                .await
                .map_err(|error| ContestError::Bench(name, error))?;
            standings[place].rounds.push(report);
        }
        let echo = contest.echo();
        let report = tokio::task::spawn_blocking(move || bench::echo(&echo))
            .await
            .map_err(|error| ContestError::Echo(io::Error::other(error)))?
            .map_err(|error| ContestError::Bench("TCP echo", error))?;
        if let Some(standing) = standings.last_mut() {
            standing.rounds.push(report);
        }
    }
    Ok(standings)
}

impl Contest {
    fn plan(&self, server: &Server) -> Plan {
        let lun = Lun::from_number(server.lun);
        let mut plan = Plan::new(server.portal, LoginOptions::new(TARGET), lun);
        plan.depth = self.depth;
        plan.block_bytes = self.block_bytes;
        plan.read_percent = self.read_percent;
        plan.warm_up = Duration::from_millis(500);
        plan.duration = Duration::from_secs_f64(self.seconds);
        plan.region_bytes = Some(32 << 20);
        plan.server_pid = Some(server.pid());
        plan
    }

    fn echo(&self) -> EchoPlan {
        EchoPlan {
            program: self.initiator.clone(),
            depth: self.depth,
            warm_up: Duration::from_millis(500),
            duration: Duration::from_secs_f64(self.seconds),
        }
    }
}
