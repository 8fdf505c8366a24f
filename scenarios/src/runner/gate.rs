//! `scenarios gate`, in the planted build only: each bug is looked for in worlds, and the report says
//! what each was seen by. `scenarios prove --simulate` builds it and runs it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use ::planted::Bug;
use indicatif::{ProgressBar, ProgressStyle};

use super::Folder;
use super::cli::{CONFORMS, FAILURES, say};
use super::simulate::one_line;
use crate::worlds::gate::{self, Seen};

/// A minimal plan of so many events is one that somebody reads.
const SHORT: usize = 20;

/// Room for what was seen.
const ROOM: usize = 90;

#[derive(Debug, clap::Args)]
pub(super) struct GateArguments {
    /// Worlds a bug may take to be seen.
    #[arg(long, value_name = "N")]
    seeds: u64,
    /// Seed of the first world.
    #[arg(long, value_name = "S")]
    from: u64,
    /// How many bugs to look for at the same time.
    #[arg(long, value_name = "N")]
    jobs: usize,
    /// Worlds without a bug, in which nothing may be wrong.
    #[arg(long, value_name = "N")]
    honest: u64,
    /// Only this one.
    #[arg(long, value_name = "NAME", value_parser = bug)]
    bug: Option<Bug>,
}

fn bug(word: &str) -> Result<Bug, String> {
    Bug::find(word).ok_or_else(|| "no such bug".to_owned())
}

/// What one search came to.
enum Found {
    Honest(Option<(u64, crate::worlds::Complaint)>),
    Bug(Bug, Option<Box<Seen>>),
}

pub(super) fn gate(arguments: &GateArguments) -> u8 {
    let bugs: Vec<Bug> = match arguments.bug {
        Some(only) => vec![only],
        None => gate::bugs(arguments.seeds).collect(),
    };
    let began = Instant::now();
    let save = Folder::here().worlds();
    let found = search(&bugs, arguments, &save);
    let seconds = began.elapsed().as_secs_f64();
    let mut text = summary(&found, seconds);
    let left_out = gate::left_out(arguments.seeds);
    if arguments.bug.is_none() && !left_out.is_empty() {
        let names: Vec<&str> = left_out.iter().map(|bug| bug.name()).collect();
        let worlds = arguments.seeds;
        let list = names.join(", ");
        let _ = writeln!(text, "not looked for in {worlds} worlds: {list}");
    }
    say(&text);
    match found.iter().all(Found::is_well) {
        true => CONFORMS,
        false => FAILURES,
    }
}

/// Looks for every bug and for none, so many at a time; each is told of as it ends.
fn search(bugs: &[Bug], arguments: &GateArguments, save: &Path) -> Vec<Found> {
    let GateArguments {
        from, seeds, jobs, ..
    } = *arguments;
    let bar = ProgressBar::new(bugs.len() as u64 + 1);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed}");
    bar.set_style(style.expect("a template"));
    let next = AtomicUsize::new(0);
    let all = Mutex::new(BTreeMap::new());
    let work = || {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let found = match place.checked_sub(1) {
                None => Found::Honest(gate::look_for_none(from, arguments.honest)),
                Some(place) => match bugs.get(place) {
                    Some(&bug) => Found::Bug(bug, gate::look_for(bug, from, seeds).map(Box::new)),
                    None => return,
                },
            };
            let row = found.row(arguments) + &found.keep(save);
            bar.suspend(|| say(&row));
            bar.inc(1);
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(place, found);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(work);
        }
    });
    bar.finish_and_clear();
    let all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    all.into_values().collect()
}

impl Found {
    fn is_well(&self) -> bool {
        match self {
            Self::Honest(wrong) => wrong.is_none(),
            Self::Bug(_, seen) => seen.is_some(),
        }
    }

    fn row(&self, arguments: &GateArguments) -> String {
        match self {
            Self::Honest(None) => {
                let worlds = arguments.honest;
                format!("    (no bug)                   passes {worlds} worlds\n")
            }
            Self::Honest(Some((seed, complaint))) => {
                let what = one_line(&complaint.what, ROOM);
                format!("    (no bug)                   FAILS seed {seed}: {what}\n")
            }
            Self::Bug(bug, None) => {
                let (number, name, what) = (bug.number(), bug.name(), bug.what());
                let worlds = arguments.seeds;
                format!("{number:>3} {name:<26} NOT SEEN in {worlds} worlds: {what}\n")
            }
            Self::Bug(bug, Some(seen)) => {
                let (number, name) = (bug.number(), bug.name());
                let worlds = seen.seed.wrapping_sub(arguments.from) + 1;
                let (before, after) = (seen.events, seen.small.events.len());
                let seconds = seen.took.as_secs_f64();
                let oracle = format!("{:?}", seen.complaint.oracle);
                let what = one_line(&seen.complaint.what, ROOM);
                format!(
                    "{number:>3} {name:<26} world {worlds:>6} {seconds:>7.1} s, {before:>3} events made \
                     {after:>3}: {oracle}: {what}\n"
                )
            }
        }
    }

    /// Saves the minimal plan, for `simulate --replay` of the planted build; why it could not.
    fn keep(&self, save: &Path) -> String {
        let Self::Bug(bug, Some(seen)) = self else {
            return String::new();
        };
        let file = save.join(format!("bug-{}.txt", bug.name()));
        let made = fs::create_dir_all(save);
        match made.and_then(|()| fs::write(&file, seen.small.to_string())) {
            Ok(()) => String::new(),
            Err(why) => format!("    cannot write {}: {why}\n", file.display()),
        }
    }

    fn of_bug(&self) -> Option<Option<&Seen>> {
        match self {
            Self::Honest(_) => None,
            Self::Bug(_, seen) => Some(seen.as_deref()),
        }
    }
}

/// How many were seen, how soon, and how short their plans are.
fn summary(found: &[Found], seconds: f64) -> String {
    let bugs: Vec<Option<&Seen>> = found.iter().filter_map(Found::of_bug).collect();
    let seen: Vec<&Seen> = bugs.iter().copied().flatten().collect();
    let short = seen.iter().filter(|seen| seen.small.events.len() <= SHORT);
    let mut text = String::new();
    let (all, count, short) = (bugs.len(), seen.len(), short.count());
    // Writing to a String does not fail.
    let _ = writeln!(text, "\n{count} of {all} bugs seen, {seconds:.0} s");
    let mut seeds: Vec<u64> = seen.iter().map(|seen| seen.seed).collect();
    seeds.sort_unstable();
    if let (Some(median), Some(last)) = (seeds.get(seeds.len() / 2), seeds.last()) {
        let _ = writeln!(text, "seed that shows a bug: median {median}, last {last}");
    }
    let _ = writeln!(
        text,
        "minimal plans of at most {SHORT} events: {short} of {count}"
    );
    text
}
