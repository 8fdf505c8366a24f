//! What came out, as text and as JSON.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::{Plan, Tally};

/// The result of a measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What was done, in words.
    pub load: String,
    /// Measured time in seconds.
    pub seconds: f64,
    /// Reads completed.
    pub reads: u64,
    /// Writes completed.
    pub writes: u64,
    /// Commands that ended with another status than GOOD and were issued again.
    pub retries: u64,
    /// Blocks that did not hold what was written (`verify`).
    pub mismatches: u64,
    /// Commands per second.
    pub iops: f64,
    /// 10^6 bytes per second.
    pub mb_per_second: f64,
    /// Microseconds: median.
    pub p50_us: f64,
    /// Microseconds: 99 % are faster.
    pub p99_us: f64,
    /// Microseconds: 99.9 % are faster.
    pub p999_us: f64,
    /// Microseconds: the slowest.
    pub max_us: f64,
    /// CPU microseconds per command of the server, all its threads.
    pub server_cpu_us: Option<f64>,
    /// CPU microseconds per command of the load generator itself.
    pub own_cpu_us: f64,
}

impl Report {
    pub(super) fn new(
        plan: &Plan,
        tally: &Tally,
        elapsed: Duration,
        own_cpu: Duration,
        server_cpu: Option<Duration>,
    ) -> Self {
        let load = format!(
            "{} B {:?}, {} % reads, depth {}, {} session(s)",
            plan.block_bytes, plan.access, plan.read_percent, plan.depth, plan.sessions
        );
        let counts = (tally.reads, tally.writes);
        let mut report = Self::of_counts(load, counts, plan.block_bytes, elapsed, &tally.latency);
        report.retries = tally.retries;
        report.mismatches = tally.mismatches;
        report.with_cpu(own_cpu, server_cpu)
    }

    pub(super) fn of_counts(
        load: String,
        (reads, writes): (u64, u64),
        bytes: u32,
        elapsed: Duration,
        latency: &Histogram<u64>,
    ) -> Self {
        let seconds = elapsed.as_secs_f64();
        let iops = (reads + writes) as f64 / seconds;
        let micros = |quantile: f64| latency.value_at_quantile(quantile) as f64 / 1000.0;
        Self {
            load,
            seconds,
            reads,
            writes,
            retries: 0,
            mismatches: 0,
            iops,
            mb_per_second: iops * f64::from(bytes) / 1e6,
            p50_us: micros(0.5),
            p99_us: micros(0.99),
            p999_us: micros(0.999),
            max_us: latency.max() as f64 / 1000.0,
            server_cpu_us: None,
            own_cpu_us: 0.0,
        }
    }

    pub(super) fn with_cpu(self, own: Duration, server: Option<Duration>) -> Self {
        let commands = (self.reads + self.writes).max(1) as f64;
        let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / commands;
        Self {
            own_cpu_us: each(own),
            server_cpu_us: server.map(each),
            ..self
        }
    }

    /// One JSON object on one line.
    pub fn to_json(&self) -> String {
        let server = self
            .server_cpu_us
            .map_or("null".to_owned(), |us| format!("{us:.3}"));
        format!(
            concat!(
                "{{\"load\":\"{}\",\"seconds\":{:.3},\"reads\":{},\"writes\":{},",
                "\"retries\":{},\"mismatches\":{},\"iops\":{:.1},\"mb_per_second\":{:.2},",
                "\"p50_us\":{:.1},\"p99_us\":{:.1},\"p999_us\":{:.1},\"max_us\":{:.1},",
                "\"server_cpu_us\":{},\"own_cpu_us\":{:.3}}}"
            ),
            self.load,
            self.seconds,
            self.reads,
            self.writes,
            self.retries,
            self.mismatches,
            self.iops,
            self.mb_per_second,
            self.p50_us,
            self.p99_us,
            self.p999_us,
            self.max_us,
            server,
            self.own_cpu_us,
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, {:.1} s", self.load, self.seconds)?;
        writeln!(
            f,
            "  {:>10.0} IOPS   {:>9.1} MB/s",
            self.iops, self.mb_per_second
        )?;
        writeln!(
            f,
            "  latency µs: p50 {:.0}  p99 {:.0}  p99.9 {:.0}  max {:.0}",
            self.p50_us, self.p99_us, self.p999_us, self.max_us
        )?;
        write!(f, "  CPU µs per I/O: own {:.2}", self.own_cpu_us)?;
        if let Some(server) = self.server_cpu_us {
            write!(f, "  server {server:.2}")?;
        }
        if self.retries > 0 {
            write!(f, "\n  {} commands issued again", self.retries)?;
        }
        if self.mismatches > 0 {
            write!(
                f,
                "\n  {} blocks do not hold what was written",
                self.mismatches
            )?;
        }
        Ok(())
    }
}
