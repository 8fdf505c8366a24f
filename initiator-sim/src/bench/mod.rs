//! The load generator: what a target costs per I/O, measured from the other end.
//!
//! Its own cost must not be the ceiling, so this is not the verbs of [`crate::Session`]: one
//! thread per session, one large read per turn, every PDU in it parsed, every new command of the
//! turn in one vectored write; no task, no allocation and no lock per I/O.

mod cost;
mod echo;
mod flow;
mod pick;
mod report;
mod stamp;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use iscsi::Lun;

pub use cost::{CpuClock, CpuError};
pub use echo::{EchoPlan, echo, echo_server};
pub use report::Report;

use crate::machine::LoginOptions;
use crate::session::{LoginError, Session, SessionError};
use flow::{Flow, FlowError};

/// Where on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anywhere, block-aligned.
    Random,
    /// One block after the other, each session in its own part.
    Sequential,
}

/// A measurement to make.
#[derive(Clone)]
pub struct Plan {
    /// The portal.
    pub addr: SocketAddr,
    /// How each session logs in; the qualifier of the ISID is counted up.
    pub options: LoginOptions,
    /// Logical unit.
    pub lun: Lun,
    /// Sessions, each with its own connection and thread.
    pub sessions: u16,
    /// Commands in flight per session.
    pub depth: u16,
    /// Bytes per command; whole blocks.
    pub block_bytes: u32,
    /// Order of the addresses.
    pub access: Access,
    /// Reads among the commands, 0 to 100.
    pub read_percent: u8,
    /// Time before anything is counted.
    pub warm_up: Duration,
    /// Time that is counted.
    pub duration: Duration,
    /// Stamp what is written and compare what is read.
    pub verify: bool,
    /// Force Unit Access on every command.
    pub fua: bool,
    /// Use only the first bytes of the disk.
    pub region_bytes: Option<u64>,
    /// Seed of the addresses and of the mix.
    pub seed: u64,
    /// The process whose CPU time is to be reported.
    pub server_pid: Option<u32>,
}

impl Plan {
    /// 4 KiB random reads, queue depth 32, one session, five seconds.
    pub fn new(addr: SocketAddr, options: LoginOptions, lun: Lun) -> Self {
        Self {
            addr,
            options,
            lun,
            sessions: 1,
            depth: 32,
            block_bytes: 4096,
            access: Access::Random,
            read_percent: 100,
            warm_up: Duration::from_secs(1),
            duration: Duration::from_secs(5),
            verify: false,
            fua: false,
            region_bytes: None,
            seed: 1,
            server_pid: None,
        }
    }
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// No session.
    #[error("login: {0}")]
    Login(#[from] Box<LoginError>),
    /// The disk could not be asked for its size.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A session failed under load.
    #[error(transparent)]
    Flow(#[from] FlowError),
    /// CPU time cannot be read.
    #[error(transparent)]
    Cpu(#[from] CpuError),
    /// The operating system says no.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The plan does not fit the disk.
    #[error("{0}")]
    Plan(&'static str),
}

/// What the sessions are to do now; set by the one who keeps the time.
pub(crate) struct Gate(AtomicU8);

/// Steps of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Step {
    /// Load, nothing counted.
    WarmUp = 0,
    /// Load, counted.
    Measure = 1,
    /// No new commands.
    Stop = 2,
}

impl Gate {
    fn new() -> Self {
        Self(AtomicU8::new(Step::WarmUp as u8))
    }

    fn set(&self, step: Step) {
        self.0.store(step as u8, Ordering::Release);
    }

    fn step(&self) -> Step {
        match self.0.load(Ordering::Acquire) {
            0 => Step::WarmUp,
            1 => Step::Measure,
            _ => Step::Stop,
        }
    }
}

/// What one session counted while it was measured.
pub(crate) struct Tally {
    pub reads: u64,
    pub writes: u64,
    /// Commands that ended with another status than GOOD and were issued again.
    pub retries: u64,
    /// Blocks that did not hold what was written.
    pub mismatches: u64,
    /// Nanoseconds per command.
    pub latency: Histogram<u64>,
}

impl Tally {
    fn new() -> Self {
        let latency = Histogram::new_with_bounds(1, 60_000_000_000, 3)
            .expect("1 ns to a minute with three digits is a valid range");
        Self {
            reads: 0,
            writes: 0,
            retries: 0,
            mismatches: 0,
            latency,
        }
    }

    fn add(&mut self, other: &Self) {
        self.reads += other.reads;
        self.writes += other.writes;
        self.retries += other.retries;
        self.mismatches += other.mismatches;
        self.latency
            .add(&other.latency)
            .expect("all tallies have the same bounds");
    }
}

/// Make the measurement.
pub async fn run(plan: &Plan) -> Result<Report, BenchError> {
    let flows = open(plan).await?;
    let plan = plan.clone();
    tokio::task::spawn_blocking(move || measure(&plan, flows))
        .await
        .map_err(std::io::Error::other)?
}

/// Log all sessions in, and give each its part of the disk.
async fn open(plan: &Plan) -> Result<Vec<Flow>, BenchError> {
    if plan.sessions == 0 || plan.depth == 0 {
        return Err(BenchError::Plan(
            "there must be at least one session and one command",
        ));
    }
    let mut flows = Vec::new();
    for number in 0..plan.sessions {
        let options = plan.options.clone().qualifier(number);
        let mut session = Session::login(plan.addr, &options)
            .await
            .map_err(Box::new)?;
        session.clear_attention(plan.lun).await?;
        let capacity = session.read_capacity(plan.lun).await?;
        let parts = session.into_parts()?;
        flows.push(Flow::new(plan, number, capacity, parts)?);
    }
    Ok(flows)
}

fn measure(plan: &Plan, flows: Vec<Flow>) -> Result<Report, BenchError> {
    let gate = Gate::new();
    let own = CpuClock::own();
    let server = plan.server_pid.map(CpuClock::of);
    let server_now = || server.as_ref().map(CpuClock::now).transpose();
    std::thread::scope(|scope| {
        let threads: Vec<_> = flows
            .into_iter()
            .map(|flow| {
                let gate = &gate;
                scope.spawn(move || flow.run(gate))
            })
            .collect();
        let pause = |time: Duration| {
            let end = Instant::now() + time;
            // A session that failed ends the measurement at once.
            while Instant::now() < end && !threads.iter().any(|thread| thread.is_finished()) {
                let left = end.saturating_duration_since(Instant::now());
                std::thread::sleep(left.min(Duration::from_millis(50)));
            }
        };
        pause(plan.warm_up);
        let before = (own.now()?, server_now()?);
        let began = Instant::now();
        gate.set(Step::Measure);
        pause(plan.duration);
        gate.set(Step::Stop);
        let elapsed = began.elapsed();
        let after = (own.now()?, server_now()?);
        let mut tally = Tally::new();
        for thread in threads {
            tally.add(&thread.join().expect("a flow does not panic")?);
        }
        let server_cpu = before
            .1
            .zip(after.1)
            .map(|(before, after)| after.saturating_sub(before));
        Ok(Report::new(
            plan,
            &tally,
            elapsed,
            after.0.saturating_sub(before.0),
            server_cpu,
        ))
    })
}
