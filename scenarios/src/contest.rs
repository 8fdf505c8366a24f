//! `scenarios bench`: what protocol costs, ours against tgt's, and both against a bare TCP echo.
//!
//! Everything runs in one go and by turns, so that what the machine does besides hits all alike;
//! only ratios within one run mean anything. No storage is touched: `mem:` on our side, tgt's null
//! store on the other.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use initiator_sim::LoginOptions;
use initiator_sim::bench::{self, Access, BenchError, EchoPlan, Plan, Report};
use iscsi::Lun;

use crate::dut::DutError;
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

/// One contestant's rounds.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its name.
    pub name: &'static str,
    /// One report a round.
    pub rounds: Vec<Report>,
}

impl Standing {
    /// The median of what `value` picks from each round.
    pub fn median(&self, value: impl Fn(&Report) -> f64) -> f64 {
        let mut all: Vec<f64> = self.rounds.iter().map(value).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// Server CPU microseconds per command, median.
    pub fn cpu_us(&self) -> f64 {
        self.median(|report| report.server_cpu_us.unwrap_or(f64::NAN))
    }
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum ContestError {
    /// A contestant does not start.
    #[error(transparent)]
    Start(#[from] DutError),
    /// The echo could not be run.
    #[error("TCP echo: {0}")]
    Echo(io::Error),
    /// A measurement failed.
    #[error("{0}: {1}")]
    Bench(&'static str, BenchError),
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
    let mut standings: Vec<Standing> = servers
        .iter()
        .map(|(name, _)| Standing {
            name,
            rounds: Vec::new(),
        })
        .chain([Standing {
            name: "TCP echo",
            rounds: Vec::new(),
        }])
        .collect();
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
        // Who goes first changes, so that nobody always follows the same neighbour.
        for turn in 0..servers.len() {
            let place = (turn + round as usize) % servers.len();
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

/// The result as a table, with the ratio of the first contestant to each other one.
pub fn table(standings: &[Standing]) -> String {
    let mut text = format!(
        "{:<12} {:>10} {:>9} {:>9} {:>9} {:>14} {:>14}\n",
        "medians", "IOPS", "p50 µs", "p99 µs", "p99.9 µs", "server µs/IO", "client µs/IO"
    );
    for standing in standings {
        text += &format!(
            "{:<12} {:>10.0} {:>9.0} {:>9.0} {:>9.0} {:>14.2} {:>14.2}\n",
            standing.name,
            standing.median(|report| report.iops),
            standing.median(|report| report.p50_us),
            standing.median(|report| report.p99_us),
            standing.median(|report| report.p999_us),
            standing.cpu_us(),
            standing.median(|report| report.own_cpu_us),
        );
    }
    if let Some((ours, others)) = standings.split_first() {
        for other in others {
            let paired = ours.rounds.iter().zip(&other.rounds);
            let ratio = |value: fn(&Report) -> f64| {
                let mut all: Vec<f64> = paired
                    .clone()
                    .map(|(ours, other)| value(ours) / value(other))
                    .collect();
                all.sort_by(f64::total_cmp);
                all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
            };
            text += &format!(
                "{} / {}: CPU per I/O × {:.2}, IOPS × {:.2} (median of {} pairs)\n",
                ours.name,
                other.name,
                ratio(|report| report.server_cpu_us.unwrap_or(f64::NAN)),
                ratio(|report| report.iops),
                ours.rounds.len(),
            );
        }
    }
    text
}
