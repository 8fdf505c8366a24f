//! What a campaign came to, as a table.

use std::fmt::Write as _;
use std::time::Duration;

use crate::report;
use crate::worlds::Marks;
use crate::worlds::campaign::{Summary, Verified};

pub(super) use report::visible;

/// From so many worlds on, marks that were not reached are listed.
const LISTED_FROM: u64 = 1_000;

/// A column of names and one of values.
struct Table(String);

impl Table {
    fn new() -> Self {
        Self("\n".to_owned())
    }

    fn row(&mut self, name: &str, value: impl std::fmt::Display) {
        // Writing to a String does not fail, here and below.
        let _ = writeln!(self.0, "{name:<28} {value:>18}");
    }
}

/// `list`: marks that were not reached are listed however few worlds there were.
pub(super) fn summary(summary: &Summary, jobs: usize, list: bool) -> String {
    let mut table = Table::new();
    let played = summary.played;
    table.row("worlds", played);
    table.row("failed", summary.failed.len());
    table.row("seconds", format!("{:.1}", summary.elapsed.as_secs_f64()));
    let cores = std::thread::available_parallelism().map_or(jobs, |cores| jobs.min(cores.get()));
    let rate = per_second(played, summary.elapsed) / cores.max(1) as f64;
    table.row("worlds per second and core", format!("{rate:.0}"));
    let rate = per_second(played, summary.processor);
    table.row("worlds per second of processor", format!("{rate:.0}"));
    table.row("sessions", mean(summary.sessions, played));
    table.row("commands", mean(summary.commands, played));
    let kibibytes = format!("{} KiB", mean(summary.bytes / 1024, summary.transfers));
    table.row("payload of a data command", kibibytes);
    let percent = 100.0 * summary.troubled as f64 / played.max(1) as f64;
    table.row("with a fault", format!("{percent:.0} %"));
    table.row("hash", format!("{:016x}", summary.hash));
    let (all, unreached) = (summary.marks.all().len(), unreached(&summary.marks));
    let reached = all - unreached.len();
    table.row("marks", format!("{reached} of {all}"));
    let mut text = table.0;
    // A few worlds do not come by much, and that is nobody's fault.
    if list || played >= LISTED_FROM {
        for (name, meaning) in unreached {
            let _ = writeln!(text, "  not reached: {name:<32} {meaning}");
        }
    }
    text
}

pub(super) fn verified(verified: &Verified) -> String {
    let mut table = Table::new();
    table.row("worlds played twice", verified.seeds);
    table.row("seconds", format!("{:.1}", verified.elapsed.as_secs_f64()));
    table.row("hash", format!("{:016x}", verified.hash));
    table.row("different", verified.different);
    let mut text = table.0;
    if let Some((seed, [first, second])) = verified.differing {
        let _ = writeln!(
            text,
            "the first is seed {seed}: {first:016x}, the second time {second:016x}"
        );
    }
    text
}

/// Marks that nobody came by: their names and what they mean.
pub(super) fn unreached(marks: &Marks) -> Vec<(String, &'static str)> {
    let all = marks.all().into_iter();
    all.filter(|(_, _, count)| *count == 0)
        .map(|(name, meaning, _)| (name, meaning))
        .collect()
}

/// The first line, shortened, with nothing in it that moves a cursor.
pub(in crate::runner) fn one_line(text: &str, room: usize) -> String {
    let line = visible(text.lines().next().unwrap_or_default()).replace('\t', " ");
    match line.chars().count() > room {
        true => line.chars().take(room - 1).chain(['…']).collect(),
        false => line,
    }
}

fn mean(sum: u64, count: u64) -> String {
    format!("{:.1}", sum as f64 / count.max(1) as f64)
}

fn per_second(count: u64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64().max(1e-9)
}
