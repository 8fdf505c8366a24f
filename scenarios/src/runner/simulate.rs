//! `scenarios simulate`: worlds by the thousand, and the failures among them made small.
#![allow(clippy::print_stderr)] // a program talks to its caller

mod findings;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use super::Folder;
use super::cli::{CONFORMS, ENVIRONMENT, FAILURES, USAGE, say};
use crate::worlds::campaign::{self, Campaign, Progress, Summary};
use crate::worlds::{Complaint, Plan};
use findings::keep_recording;
#[cfg(glint_planted)]
pub(super) use table::one_line;

/// Worlds that are played where nothing else is said.
const SEEDS: u64 = 20_000;

/// Failures that are told of at once; the rest is counted.
const TOLD_MAX: u64 = 20;

#[derive(Debug, clap::Args)]
pub(super) struct SimulateArguments {
    /// How many worlds to play [default: 20000; with --minutes as many as there is time for].
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// Seed of the first world; each has the next.
    #[arg(long, value_name = "S", default_value_t = 1)]
    from: u64,
    /// No world is begun later than that.
    #[arg(long, value_name = "M", conflicts_with = "twice")]
    minutes: Option<f64>,
    /// How many worlds to play at the same time.
    #[arg(long, value_name = "N", default_value_t = jobs())]
    jobs: usize,
    /// Play each world twice, in another order and by another number of workers, and compare.
    #[arg(long)]
    twice: bool,
    /// A coverage mark that no world came by is a failure.
    #[arg(long, conflicts_with = "twice")]
    marks: bool,
    /// Play the plan in this file, tell what happened, and write a capture beside it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeds", "from", "minutes", "twice", "marks"])]
    replay: Option<PathBuf>,
    /// Where plans and captures of failures go, if not to build/worlds.
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    /// Show failures as they are, instead of making them small first.
    #[arg(long)]
    no_shrink: bool,
    /// Print the plan of this seed, and play nothing.
    #[arg(long, value_name = "SEED", conflicts_with_all = ["replay", "seeds", "from", "minutes", "twice", "marks"])]
    show: Option<u64>,
}

/// A world keeps a core busy.
fn jobs() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

pub(super) fn simulate(arguments: &SimulateArguments) -> u8 {
    if let Some(seed) = arguments.show {
        return show(seed);
    }
    if let Some(path) = &arguments.replay {
        return replay(path);
    }
    if arguments.twice {
        return twice(arguments);
    }
    play(arguments)
}

fn show(seed: u64) -> u8 {
    match campaign::plan(seed) {
        Ok(plan) => {
            say(&plan.to_string());
            CONFORMS
        }
        Err(why) => {
            eprintln!("seed {seed}: no plan: {why}");
            FAILURES
        }
    }
}

fn replay(path: &Path) -> u8 {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            return ENVIRONMENT;
        }
    };
    let plan = match Plan::parse(&text) {
        Ok(plan) => plan,
        Err(why) => {
            eprintln!("{}: {why}", path.display());
            return USAGE;
        }
    };
    let played = campaign::played(&plan, true);
    say(&findings::told(&plan, &played));
    let capture = path.with_extension("pcapng");
    match keep_recording(&capture, &played) {
        Ok(Some(line)) => say(&line),
        Ok(None) => {}
        Err(why) => {
            eprintln!("{why}");
            return ENVIRONMENT;
        }
    }
    let failed = u64::from(!played.complaints.is_empty());
    close(1 - failed, failed)
}

fn play(arguments: &SimulateArguments) -> u8 {
    let seeds = match (arguments.seeds, arguments.minutes) {
        (Some(seeds), _) => seeds,
        (None, Some(_)) => u64::MAX,
        (None, None) => SEEDS,
    };
    let campaign = Campaign {
        from: arguments.from,
        seeds,
        minutes: arguments.minutes,
        jobs: arguments.jobs,
    };
    let bar = bar(
        seeds,
        arguments.seeds.is_none() && arguments.minutes.is_some(),
    );
    let summary = run(&campaign, &bar);
    bar.finish_and_clear();
    let save = arguments
        .save
        .clone()
        .unwrap_or_else(|| Folder::here().worlds());
    for (seed, complaint) in findings::worth_showing(&summary.failed) {
        say(&findings::examine(
            *seed,
            complaint,
            &save,
            !arguments.no_shrink,
        ));
    }
    say(&table::summary(&summary, arguments.jobs, arguments.marks));
    let failed = summary.failed.len() as u64;
    let unreached = if arguments.marks {
        table::unreached(&summary.marks).len() as u64
    } else {
        0
    };
    close(summary.played - failed, failed + unreached)
}

/// Plays behind a progress bar; failures are told of at once.
fn run(campaign: &Campaign, bar: &ProgressBar) -> Summary {
    let failures = AtomicU64::new(0);
    let progress: Progress<'_> = &|seed, played| {
        bar.inc(1);
        let Some(first) = played.complaints.first() else {
            return;
        };
        let count = failures.fetch_add(1, Ordering::Relaxed) + 1;
        bar.set_message(format!("{count} failed"));
        if count <= TOLD_MAX {
            bar.suspend(|| say(&failure(seed, first)));
        }
        if count == TOLD_MAX {
            bar.suspend(|| say("… further failures are counted\n"));
        }
    };
    campaign.run(&campaign::drawn, progress)
}

/// One line that says what is wrong and plays it again.
fn failure(seed: u64, complaint: &Complaint) -> String {
    let what = table::one_line(&complaint.what, 100);
    let again = again(seed);
    format!("FAIL {:?}: {what}: {again}\n", complaint.oracle)
}

fn again(seed: u64) -> String {
    format!("cargo run --release -p scenarios -- simulate --from {seed} --seeds 1")
}

fn twice(arguments: &SimulateArguments) -> u8 {
    let seeds = arguments.seeds.unwrap_or(SEEDS);
    let bar = bar(seeds.saturating_mul(2), false);
    let SimulateArguments { from, jobs, .. } = *arguments;
    let progress: Progress<'_> = &|_, _| bar.inc(1);
    let verified = campaign::verify(from, seeds, jobs, &campaign::drawn, progress);
    bar.finish_and_clear();
    say(&table::verified(&verified));
    close(seeds - verified.different, verified.different)
}

fn bar(count: u64, endless: bool) -> ProgressBar {
    let (bar, template) = match endless {
        true => (
            ProgressBar::no_length(),
            "{pos} worlds {per_sec} {elapsed} {msg}",
        ),
        false => (
            ProgressBar::new(count),
            "{bar:30} {pos}/{len} {per_sec} {elapsed} {msg}",
        ),
    };
    bar.with_style(ProgressStyle::with_template(template).expect("a template"))
}

fn close(passed: u64, failed: u64) -> u8 {
    say(&format!("\n{passed} passed, {failed} failed, 0 skipped\n"));
    match failed {
        0 => CONFORMS,
        _ => FAILURES,
    }
}

#[cfg(test)]
mod tests;
