//! `scenarios prove`: the power cut, and that it sees bugs.
#![allow(clippy::print_stderr)] // a program talks to its caller

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::cli::{CONFORMS, ENVIRONMENT, FAILURES, say};
use crate::binaries;
use crate::dut::DutError;
use crate::powercut::{self, BUGS, Bug, Cache, Played, Summary, Try};

/// Within how many rounds a planted bug must be seen.
const SEEN_WITHIN: u32 = 5;

/// Worlds without a bug that --simulate plays.
const HONEST: u64 = 2_000;

/// Complaints of a round that are shown.
const SHOWN: usize = 3;

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("bugs").args(["planted", "simulate"]).multiple(true))]
pub(super) struct ProveArguments {
    /// Cut the power under glintd, and check that what it promised is there.
    #[arg(long)]
    power_cut: bool,
    /// Build glintd with bugs, and check that the power cut sees each of them within five rounds.
    #[arg(long)]
    planted: bool,
    /// Build worlds with bugs, and check that they see each of them.
    #[arg(long)]
    simulate: bool,
    /// Worlds of --simulate within which a bug must be seen.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    seeds: u64,
    /// Rounds of --power-cut in each mode.
    #[arg(long, value_name = "N", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seed of the first round or world; each has the next.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Only this mode.
    #[arg(long, value_enum)]
    cache: Option<Cache>,
    /// Only this planted bug.
    #[arg(long, value_name = "NAME", requires = "bugs")]
    #[arg(value_parser = names())]
    bug: Option<String>,
    /// How many rounds to play, or bugs to look for in worlds, at the same time.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// The glintd to cut the power of, instead of building one.
    #[arg(long, value_name = "PATH")]
    glintd: Option<PathBuf>,
}

fn names() -> clap::builder::PossibleValuesParser {
    ::planted::Bug::ALL.iter().map(|bug| bug.name()).into()
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

impl ProveArguments {
    /// Rounds mostly wait.
    fn rounds_at_a_time(&self) -> usize {
        self.jobs.unwrap_or_else(|| cores() * 8)
    }

    /// A world keeps a core busy.
    fn worlds_at_a_time(&self) -> usize {
        self.jobs.unwrap_or_else(cores)
    }
}

/// What was tried and how often it ended well.
#[derive(Default)]
struct Score {
    passed: u32,
    failed: u32,
}

impl Score {
    fn count(&mut self, passed: u32, failed: u32) {
        self.passed += passed;
        self.failed += failed;
    }
}

/// The power cut and that it sees bugs, unless something is asked for.
pub(super) fn prove(arguments: &ProveArguments) -> u8 {
    let both = !arguments.power_cut && !arguments.planted && !arguments.simulate;
    let mut score = Score::default();
    let result = (|| {
        if both || arguments.power_cut {
            cut_power(arguments, &mut score)?;
        }
        if both || arguments.planted {
            see_bugs(arguments, &mut score)?;
        }
        if arguments.simulate {
            see_bugs_in_worlds(arguments, &mut score)?;
        }
        Ok::<_, DutError>(())
    })();
    if let Err(why) = result {
        eprintln!("{why}");
        return ENVIRONMENT;
    }
    let Score { passed, failed } = score;
    say(&format!("\n{passed} passed, {failed} failed, 0 skipped\n"));
    match failed {
        0 => CONFORMS,
        _ => FAILURES,
    }
}

fn cut_power(arguments: &ProveArguments, score: &mut Score) -> Result<(), DutError> {
    let glintd = match &arguments.glintd {
        Some(path) => path.clone(),
        None => binaries::glintd()?,
    };
    let only: Vec<Cache> = arguments.cache.into_iter().collect();
    let caches = if only.is_empty() {
        &Cache::ALL[..]
    } else {
        &only
    };
    let rounds = powercut::rounds(arguments.seed, arguments.rounds, caches);
    let tries: Vec<Try> = rounds.into_iter().map(|round| (round, None)).collect();
    let began = Instant::now();
    let played = run(&tries, &glintd, arguments.rounds_at_a_time(), "power cut")?;
    let mut text = format!(
        "power cut, seeds {}..={}, {:.1} s\n\n{:<14} {:>6} {:>6} {:>10} {:>10} {:>9} {:>9} {:>9}\n",
        arguments.seed,
        arguments.seed.wrapping_add(u64::from(arguments.rounds) - 1),
        began.elapsed().as_secs_f64(),
        "mode",
        "rounds",
        "failed",
        "answered",
        "in flight",
        "read",
        "floors",
        "lost"
    );
    for &cache in caches {
        let summary = Summary::of(&played, cache);
        let Summary {
            rounds,
            failed,
            answered,
            in_flight,
            findings,
        } = summary;
        let _ = writeln!(
            text,
            "{cache:<14} {rounds:>6} {failed:>6} {answered:>10} {in_flight:>10} {:>9} {:>9} {:>9}",
            findings.reads, findings.floors, findings.lost
        );
        score.count(rounds - failed, failed);
        if let Some(why) = summary.proves_nothing() {
            let _ = writeln!(text, "{cache}: proves nothing: {why}");
            score.count(0, 1);
        }
    }
    text += "\nread, floors, lost: sectors read before the cut, sectors that had to hold something \
             after it,\nsectors that lost, as they may, what was answered and not flushed\n";
    say(&text);
    Ok(())
}

/// The planted build passes without a bug, and fails with each.
fn see_bugs(arguments: &ProveArguments, score: &mut Score) -> Result<(), DutError> {
    let glintd = binaries::planted_glintd()?;
    let wanted = |bug: &Bug| {
        arguments
            .bug
            .as_deref()
            .is_none_or(|name| name == bug.name())
    };
    let bugs: Vec<Bug> = BUGS.into_iter().filter(wanted).collect();
    let rounds = |caches: &[Cache]| powercut::rounds(arguments.seed, SEEN_WITHIN, caches);
    let mut tries: Vec<Try> = Vec::new();
    tries.extend(rounds(&Cache::ALL).into_iter().map(|round| (round, None)));
    for &bug in &bugs {
        let with = |round| (round, Some(bug));
        tries.extend(rounds(&[bug.cache]).into_iter().map(with));
    }
    let began = Instant::now();
    let played = run(
        &tries,
        &glintd,
        arguments.rounds_at_a_time(),
        "planted bugs",
    )?;
    let of = |bug: Option<Bug>| {
        let pairs = tries.iter().zip(&played);
        pairs
            .filter(move |((_, planted), _)| *planted == bug)
            .map(|(_, played)| played)
    };
    let took = began.elapsed().as_secs_f64();
    let mut text = format!(
        "planted bugs, seeds from {}, {took:.1} s\n\n",
        arguments.seed
    );
    let failed = of(None).filter(|each| !each.complaints.is_empty()).count();
    score.count(u32::from(failed == 0), u32::from(failed > 0));
    let all = of(None).count();
    let _ = writeln!(
        text,
        "{:<22} fails {failed} of {all}: it must fail none",
        "(no bug)"
    );
    for bug in bugs {
        let (failed, line) = verdict(bug, of(Some(bug)));
        score.count(u32::from(failed), u32::from(!failed));
        text += &line;
    }
    say(&text);
    Ok(())
}

/// The planted build of this very program looks for bugs in its worlds.
fn see_bugs_in_worlds(arguments: &ProveArguments, score: &mut Score) -> Result<(), DutError> {
    let program = binaries::planted_scenarios()?;
    let mut gate = Command::new(program);
    gate.arg("gate");
    gate.args(["--from", &arguments.seed.to_string()]);
    gate.args(["--seeds", &arguments.seeds.to_string()]);
    gate.args(["--honest", &HONEST.to_string()]);
    gate.args(["--jobs", &arguments.worlds_at_a_time().to_string()]);
    if let Some(bug) = &arguments.bug {
        gate.args(["--bug", bug]);
    }
    let ended = gate.status().map_err(DutError::io("start the gate"))?;
    let well = ended.code() == Some(CONFORMS.into());
    score.count(u32::from(well), u32::from(!well));
    Ok(())
}

/// Whether a bug was seen, and the line that says so.
fn verdict<'a>(bug: Bug, played: impl Iterator<Item = &'a Played>) -> (bool, String) {
    let (name, cache, what) = (bug.name(), bug.cache, bug.what());
    let played: Vec<&Played> = played.collect();
    let failed = played.iter().filter(|each| !each.complaints.is_empty());
    let (count, all) = (failed.clone().count(), played.len());
    let line = match failed
        .clone()
        .find_map(|each| Some((each, each.complaints.first()?)))
    {
        Some((first, why)) => format!(
            "{name:<22} fails {count} of {all}: {cache} seed {}: {why}\n",
            first.round.seed
        ),
        None => format!("{name:<22} NOT SEEN in {all} rounds: {cache}: {what}\n"),
    };
    (count > 0, line)
}

/// Plays the rounds behind a progress bar; those that fail without a bug are told of at once.
fn run(
    tries: &[Try],
    glintd: &Path,
    jobs: usize,
    what: &'static str,
) -> Result<Vec<Played>, DutError> {
    let bar = ProgressBar::new(tries.len() as u64).with_message(what);
    let style = ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} {elapsed}");
    bar.set_style(style.expect("a template"));
    let played = powercut::run(tries, glintd, jobs, &|(_, bug), played| {
        bar.inc(1);
        if bug.is_none() && !played.complaints.is_empty() {
            bar.suspend(|| say(&report(played)));
        }
    });
    bar.finish_and_clear();
    played
}

fn report(played: &Played) -> String {
    let (seed, cache) = (played.round.seed, played.round.cache);
    let count = played.complaints.len();
    let mut text = format!("FAIL {cache} seed {seed}: {count} complaints\n");
    for complaint in played.complaints.iter().take(SHOWN) {
        let _ = writeln!(text, "  {complaint}");
    }
    let again = format!("--power-cut --cache {} --rounds 1 --seed {seed}", cache);
    text + &format!("  again: cargo run -p scenarios -- prove {again}\n")
}
