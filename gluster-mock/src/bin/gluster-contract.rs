//! `gluster-contract`: the contract suite as a program, beside glusterd or over the fake.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command that reports to a terminal"
)]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use gluster_mock::contract::{
    Case, DIFFERENCES, Fake, Ground, NOT_RUN, Outcome, Real, Row, cases, run,
};

const USAGE: &str = "usage: gluster-contract list
       gluster-contract run --ground real|fake:FOLDER [--library PATH] [--filter TEXT]...
                            [--jobs N] [--json FILE]
  --ground real          on this machine, as root, where Gluster's server is installed
  --ground fake:FOLDER   volumes of the fake are made in that folder; wants --library
  --library PATH         the libgfapi to test (default: libgfapi.so.0)
  --filter TEXT          only cases whose id has TEXT in it; may be repeated
exit: 0 all passed, 1 failures, 2 usage, 3 the ground or the library is missing";

const FAILURES: u8 = 1;
const BAD_USAGE: u8 = 2;
const NO_GROUND: u8 = 3;

struct Options {
    ground: String,
    library: String,
    filters: Vec<String>,
    jobs: usize,
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    match words.next().as_deref() {
        Some("list") => {
            list();
            ExitCode::SUCCESS
        }
        Some("run") => match options(words) {
            Ok(options) => ExitCode::from(play(&options)),
            Err(why) => usage(&why),
        },
        Some("--help" | "-h") => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => usage("a command is missing"),
    }
}

fn usage(why: &str) -> ExitCode {
    eprintln!("{why}\n{USAGE}");
    ExitCode::from(BAD_USAGE)
}

fn options(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        ground: String::new(),
        library: "libgfapi.so.0".to_owned(),
        filters: Vec::new(),
        jobs: 12,
        json: None,
    };
    while let Some(word) = words.next() {
        let value = words.next().ok_or(format!("{word} wants a value"))?;
        match word.as_str() {
            "--ground" => options.ground = value,
            "--library" => options.library = value,
            "--filter" => options.filters.push(value),
            "--json" => options.json = Some(value.into()),
            "--jobs" => {
                let jobs = value.parse().ok().filter(|jobs| *jobs > 0);
                options.jobs = jobs.ok_or(format!("not a number of jobs: {value}"))?;
            }
            _ => return Err(format!("unknown option {word}")),
        }
    }
    Ok(options)
}

/// Every case, every difference, and every row that is not run.
fn list() {
    for case in cases() {
        println!("{:<32} {:?}: {}", case.id, case.wish.kind, case.clause);
    }
    println!("\ndifferences between versions:");
    for row in DIFFERENCES {
        println!(
            "{:<32} since {}: {} ({})",
            row.id, row.since, row.what, row.evidence
        );
    }
    println!("\nnot run:");
    for row in NOT_RUN {
        println!("{}: {}\n    {}", row.row, row.says, row.reason);
    }
}

fn ground(name: &str) -> Result<Arc<dyn Ground>, String> {
    match name.split_once(':') {
        None if name == "real" => match Real::new() {
            Ok(real) => Ok(Arc::new(real)),
            Err(why) => Err(format!("no Gluster here: {why:?}")),
        },
        Some(("fake", folder)) => match Fake::new(folder.as_ref()) {
            Ok(fake) => Ok(Arc::new(fake)),
            Err(why) => Err(format!("no fake here: {why:?}")),
        },
        _ => Err(format!("no such ground: {name:?}")),
    }
}

fn play(options: &Options) -> u8 {
    let api = match glfs_sys::Api::open(&options.library) {
        Ok(api) => Box::leak(Box::new(api)),
        Err(why) => {
            eprintln!("{why}");
            return NO_GROUND;
        }
    };
    let ground = match ground(&options.ground) {
        Ok(ground) => ground,
        Err(why) => {
            eprintln!("{why}");
            return NO_GROUND;
        }
    };
    let wanted = |case: &Case| {
        let filters = &options.filters;
        filters.is_empty() || filters.iter().any(|text| case.id.contains(text.as_str()))
    };
    let wanted: Vec<Case> = cases().into_iter().filter(wanted).collect();
    let rows = run(api, Arc::clone(&ground), &wanted, options.jobs, tell);
    if let Some(file) = &options.json
        && let Err(why) = std::fs::write(file, json(ground.version(), &rows))
    {
        eprintln!("{}: {why}", file.display());
        return NO_GROUND;
    }
    let count = |of: fn(&Outcome) -> bool| rows.iter().filter(|row| of(&row.outcome)).count();
    let passed = count(|outcome| matches!(outcome, Outcome::Passed));
    let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
    let skipped = count(|outcome| matches!(outcome, Outcome::Skipped(_)));
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    match (passed, failed) {
        (1.., 0) => 0,
        _ => FAILURES,
    }
}

fn tell(row: &Row) {
    let took = row.took.as_secs_f64();
    let line = match &row.outcome {
        Outcome::Passed => format!("passed  {:<32} {took:>7.2} s", row.id),
        Outcome::Failed(why) => format!("FAILED  {:<32} {took:>7.2} s  {why}", row.id),
        Outcome::Skipped(why) => format!("skipped {:<32} {took:>7.2} s  {why}", row.id),
    };
    // Whoever reads along may have gone; the exit code tells all the same.
    writeln!(std::io::stdout(), "{line}").ok();
}

/// The rows for a machine: one object, with an entry a case.
fn json(version: &str, rows: &[Row]) -> String {
    let entries: Vec<String> = rows
        .iter()
        .map(|row| {
            let (verdict, why) = match &row.outcome {
                Outcome::Passed => ("passed", ""),
                Outcome::Failed(why) => ("failed", why.as_str()),
                Outcome::Skipped(why) => ("skipped", why.as_str()),
            };
            format!(
                "  {{\"id\": {}, \"verdict\": {}, \"why\": {}, \"seconds\": {:.3}}}",
                quoted(row.id),
                quoted(verdict),
                quoted(why),
                row.took.as_secs_f64()
            )
        })
        .collect();
    format!(
        "{{\"version\": {}, \"cases\": [\n{}\n]}}\n",
        quoted(version),
        entries.join(",\n")
    )
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}
