//! `scenarios bench`: ours against others, in one run.
//!
//! Everything runs in one go and by turns, so that what the machine does besides hits all alike;
//! only ratios within one run mean anything.

pub mod gateway;
pub mod protocol;

use std::io;

use initiator_sim::bench::{BenchError, Report};

use crate::dut::DutError;

/// One contestant's rounds.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its name.
    pub name: &'static str,
    /// One report a round.
    pub rounds: Vec<Report>,
}

impl Standing {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            rounds: Vec::new(),
        }
    }

    /// The median of what `value` picks from each round.
    pub fn median(&self, value: impl Fn(&Report) -> f64) -> f64 {
        median(self.rounds.iter().map(value))
    }

    /// The median of the ratios of what `value` picks from this and the other's rounds, pair by
    /// pair.
    pub fn ratio(&self, other: &Self, value: impl Fn(&Report) -> f64) -> f64 {
        let pairs = self.rounds.iter().zip(&other.rounds);
        median(pairs.map(|(ours, theirs)| value(ours) / value(theirs)))
    }

    /// Server CPU microseconds per command, median.
    pub fn cpu_us(&self) -> f64 {
        self.median(server_cpu_us)
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
            text += &format!(
                "{} / {}: CPU per I/O × {:.2}, IOPS × {:.2} (median of {} pairs)\n",
                ours.name,
                other.name,
                ours.ratio(other, server_cpu_us),
                ours.ratio(other, |report| report.iops),
                ours.rounds.len(),
            );
        }
    }
    text
}

/// Who is measured when in a round: who goes first changes, so that nobody always follows the same
/// neighbour.
fn turns(contestants: usize, round: u32) -> impl Iterator<Item = usize> {
    (0..contestants).map(move |turn| (turn + round as usize) % contestants)
}

fn server_cpu_us(report: &Report) -> f64 {
    report.server_cpu_us.unwrap_or(f64::NAN)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = values.collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}
