//! What the way through a target costs on a Gluster volume: glintd and tgt's bs_glfs on the same
//! image, both making every write durable before they answer it.
//!
//! tgt opens the image with O_SYNC and O_DIRECT, glintd as it comes (write-through).

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use initiator_sim::LoginOptions;
use initiator_sim::bench::{self, Access, Plan, Report};
use iscsi::Lun;

use super::{ContestError, Standing, server_cpu_us};
use crate::server::{Server, TARGET};

/// Large enough that sequential loads do not meet themselves, small enough to be filled in seconds.
const IMAGE_BYTES: u64 = 256 << 20;

/// Two clients that write one replicated file by turns wait a second for each other: the one before
/// keeps the file's lock until nothing came for so long (`cluster.post-op-delay-secs`).
const HAND_OVER: Duration = Duration::from_secs(2);

/// What to measure.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Our daemon.
    pub glintd: PathBuf,
    /// A server of the volume.
    pub server: String,
    /// The volume; an image is made in it and stays.
    pub volume: String,
    /// Rounds; each measures every load on both.
    pub rounds: u32,
    /// Seconds of each measurement.
    pub seconds: f64,
}

/// One kind of load.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// In words.
    pub name: &'static str,
    block_bytes: u32,
    depth: u16,
    read_percent: u8,
    access: Access,
}

/// Small ones in any order, deep; large ones one after the other, shallow.
pub const LOADS: [Load; 4] = [
    Load {
        name: "4 KiB random reads, depth 32",
        block_bytes: 4 << 10,
        depth: 32,
        read_percent: 100,
        access: Access::Random,
    },
    Load {
        name: "4 KiB random writes, depth 32",
        block_bytes: 4 << 10,
        depth: 32,
        read_percent: 0,
        access: Access::Random,
    },
    Load {
        name: "1 MiB sequential reads, depth 4",
        block_bytes: 1 << 20,
        depth: 4,
        read_percent: 100,
        access: Access::Sequential,
    },
    Load {
        name: "1 MiB sequential writes, depth 4",
        block_bytes: 1 << 20,
        depth: 4,
        read_percent: 0,
        access: Access::Sequential,
    },
];

/// How both did under one load.
#[derive(Clone, Debug)]
pub struct Match {
    /// Which.
    pub load: Load,
    /// Ours.
    pub glintd: Standing,
    /// Theirs.
    pub tgt: Standing,
}

/// Measures every load on both, by turns.
pub async fn run(gateway: &Gateway) -> Result<Vec<Match>, ContestError> {
    let Gateway { server, volume, .. } = gateway;
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let image = "glint-bench.img";
    let lun = format!("gluster://{server}/{volume}/{image}?size={IMAGE_BYTES}");
    let ours = Server::glintd(&gateway.glintd, any, &["--lun", &lun])?;
    let fill = Load {
        name: "fill",
        ..LOADS[3]
    };
    let mut fill = gateway.plan(&ours, &fill);
    (fill.warm_up, fill.duration) = (Duration::ZERO, Duration::from_secs(4));
    measure("glintd", &fill).await?;
    let theirs = Server::tgtd_on_gluster(server, volume, image)?;
    let contestants = [("glintd", &ours), ("tgt bs_glfs", &theirs)];
    let mut matches = LOADS.map(|load| Match {
        load,
        glintd: Standing::new(contestants[0].0),
        tgt: Standing::new(contestants[1].0),
    });
    for round in 0..gateway.rounds {
        for each in &mut matches {
            for place in super::turns(contestants.len(), round) {
                let (name, server) = contestants[place];
                let report = measure(name, &gateway.plan(server, &each.load)).await?;
                let standings = [&mut each.glintd, &mut each.tgt];
                standings[place].rounds.push(report);
            }
        }
    }
    Ok(matches.into())
}

async fn measure(name: &'static str, plan: &Plan) -> Result<Report, ContestError> {
    let report = bench::run(plan).await;
    report.map_err(|error| ContestError::Bench(name, error))
}

impl Gateway {
    fn plan(&self, server: &Server, load: &Load) -> Plan {
        let lun = Lun::from_number(server.lun);
        let mut plan = Plan::new(server.portal, LoginOptions::new(TARGET), lun);
        plan.depth = load.depth;
        plan.block_bytes = load.block_bytes;
        plan.read_percent = load.read_percent;
        plan.access = load.access;
        plan.warm_up = HAND_OVER;
        plan.duration = Duration::from_secs_f64(self.seconds);
        plan.server_pid = Some(server.pid());
        plan
    }
}

/// The result as a table: a row for each load and target, and below each pair its ratios.
pub fn table(matches: &[Match]) -> String {
    let mut text = String::new();
    for Match { load, glintd, tgt } in matches {
        text += &format!("{} (median of {} pairs)\n", load.name, glintd.rounds.len());
        for standing in [glintd, tgt] {
            text += &format!(
                "  {:<12} {:>8.0} IOPS {:>8.1} MB/s   p50 {:>6.0} µs   p99 {:>7.0} µs   \
                 gateway CPU {:>7.1} µs/IO\n",
                standing.name,
                standing.median(|report| report.iops),
                standing.median(|report| report.mb_per_second),
                standing.median(|report| report.p50_us),
                standing.median(|report| report.p99_us),
                standing.cpu_us(),
            );
        }
        text += &format!(
            "  glintd / tgt: IOPS × {:.2}, CPU per I/O × {:.2}\n",
            glintd.ratio(tgt, |report| report.iops),
            glintd.ratio(tgt, server_cpu_us),
        );
    }
    text
}
