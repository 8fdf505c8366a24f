//! A step, how it ended, and the table at the end. A skip is never a pass.

use std::ffi::OsString;
use std::fmt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::suite::Tally;
use crate::workspace_root;

/// One thing to do.
#[derive(Clone, Copy)]
pub struct Step {
    /// What the table calls it.
    pub name: &'static str,
    /// Doing it.
    pub run: fn() -> Outcome,
}

/// How a step ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it should.
    Passed,
    /// It did not, for this reason.
    Failed(String),
    /// It could not be tried here, for this reason.
    Skipped(String),
    /// It ran tests of its own; `complaint` is there when it failed.
    Counted {
        /// What its tests said.
        tally: Tally,
        /// Why the step as a whole failed.
        complaint: Option<String>,
    },
}

/// All steps run so far.
#[derive(Default)]
pub struct Report {
    rows: Vec<(&'static str, Outcome, Duration)>,
}

impl Report {
    /// Runs a step and remembers how it ended.
    pub fn run(&mut self, step: Step) {
        println!("\n=== {}", step.name);
        let started = Instant::now();
        let outcome = (step.run)();
        self.record(step.name, outcome, started.elapsed());
    }

    /// Whether nothing failed.
    pub fn is_clean(&self) -> bool {
        self.total().failed == 0
    }

    fn record(&mut self, name: &'static str, outcome: Outcome, took: Duration) {
        self.rows.push((name, outcome, took));
    }

    /// Every test counted, and every step that is not itself a test run as one more.
    fn total(&self) -> Tally {
        let mut total = Tally::default();
        for (_, outcome, _) in &self.rows {
            match outcome {
                Outcome::Passed => total.passed += 1,
                Outcome::Failed(_) => total.failed += 1,
                Outcome::Skipped(_) => total.skipped += 1,
                Outcome::Counted { tally, complaint } => {
                    total.passed += tally.passed;
                    total.skipped += tally.skipped;
                    // A run that failed without a failed test (it did not build) still failed.
                    let silent = complaint.is_some() && tally.failed == 0;
                    total.failed += tally.failed + u64::from(silent);
                }
            }
        }
        total
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, outcome, took) in &self.rows {
            writeln!(out, "{name:<14} {:>6.1} s  {outcome}", took.as_secs_f64())?;
        }
        write!(out, "\n{}", self.total())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => write!(out, "passed"),
            Self::Failed(reason) => write!(out, "FAILED: {reason}"),
            Self::Skipped(reason) => write!(out, "skipped: {reason}"),
            Self::Counted {
                tally,
                complaint: None,
            } => write!(out, "passed: {tally}"),
            Self::Counted {
                tally,
                complaint: Some(reason),
            } => {
                write!(out, "FAILED: {reason}; {tally}")
            }
        }
    }
}

/// A cargo command in the workspace; the very cargo that runs us, if one does.
pub fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command
        .current_dir(workspace_root())
        .args(arguments)
        .stdin(Stdio::null());
    command
}

/// Runs a command whose exit status is the verdict; its output goes to ours.
pub fn verdict_of(command: &mut Command) -> Outcome {
    let line = line_of(command);
    match command.status() {
        Ok(status) if status.success() => Outcome::Passed,
        Ok(status) => Outcome::Failed(format!("`{line}`: {status}")),
        Err(error) => Outcome::Failed(format!("`{line}` does not start: {error}")),
    }
}

/// The command as one would type it.
pub fn line_of(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcomes: Vec<Outcome>) -> Report {
        let mut report = Report::default();
        for outcome in outcomes {
            report.record("step", outcome, Duration::ZERO);
        }
        report
    }

    fn counted(passed: u64, failed: u64, skipped: u64, complaint: Option<&str>) -> Outcome {
        let tally = Tally {
            passed,
            failed,
            skipped,
        };
        Outcome::Counted {
            tally,
            complaint: complaint.map(str::to_owned),
        }
    }

    #[test]
    fn the_closing_line_sums_tests_and_steps() {
        let report = report(vec![
            Outcome::Passed,
            Outcome::Skipped("no such tool".into()),
            counted(40, 0, 3, None),
        ]);
        assert!(report.is_clean());
        assert!(
            report
                .to_string()
                .ends_with("\n41 passed, 0 failed, 4 skipped"),
            "{report}"
        );
    }

    #[test]
    fn a_run_that_fails_without_a_failed_test_is_a_failure() {
        assert!(!report(vec![counted(0, 0, 0, Some("does not build"))]).is_clean());
        assert!(!report(vec![counted(3, 2, 0, Some("exit 101"))]).is_clean());
        assert!(!report(vec![Outcome::Failed("no".into())]).is_clean());
        assert_eq!(
            report(vec![counted(3, 2, 0, Some("exit 101"))])
                .total()
                .failed,
            2
        );
    }

    #[test]
    fn a_command_that_fails_or_is_missing_is_a_failure() {
        assert_eq!(verdict_of(&mut Command::new("true")), Outcome::Passed);
        assert!(matches!(
            verdict_of(&mut Command::new("false")),
            Outcome::Failed(_)
        ));
        assert!(matches!(
            verdict_of(&mut Command::new("no-such-command")),
            Outcome::Failed(_)
        ));
    }
}
