//! Test runs, counted: `cargo test`, `cargo scenarios`, the witnesses alone, and real Gluster.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::step::{Outcome, Step, cargo, line_of, verdict_of};
use crate::workspace_root;

/// The command the README names.
pub const TESTS: Step = Step {
    name: "test",
    run: || counted("test"),
};

/// The conformance catalogue against our own target.
pub const SCENARIOS: Step = Step {
    name: "scenarios",
    run: || counted("scenarios"),
};

/// The power cut, and that it sees planted bugs.
pub const PROOFS: Step = Step {
    name: "prove",
    run: || counted("run --quiet -p scenarios -- prove"),
};

/// Worlds from many seeds, in release.
pub const WORLDS: Step = Step {
    name: "worlds",
    run: || simulate("--seeds 20000"),
};

/// A seed decides everything that happens in a world.
pub const WORLDS_TWICE: Step = Step {
    name: "worlds-twice",
    run: || simulate("--twice --seeds 1000"),
};

/// That worlds see bugs: those that a few thousand of them show.
pub const GATE: Step = Step {
    name: "worlds-gate",
    run: || counted("run --quiet -p scenarios -- prove --simulate --seeds 5000"),
};

/// The foreign judges alone.
pub const WITNESSES: Step = Step {
    name: "witness",
    run: || counted("test -p scenarios --test witness"),
};

/// `glintd` on real Gluster, in a container; a suite of its own, not part of `cargo test`.
pub const CLUSTER: Step = Step {
    name: "cluster",
    run: || counted("test -p scenarios --features clusters --test cluster"),
};

/// The store alone, without iSCSI, on a real volume that is lent to its suite.
pub const CLUSTER_STORE: Step = Step {
    name: "cluster-store",
    run: || {
        let suite = "test -p scenarios --features clusters --test store";
        let lend = "run -p scenarios --features clusters -- cluster cargo";
        counted(&format!("{lend} {suite}"))
    },
};

/// What libgfapi does, case by case, on real Gluster of every release.
pub const CONTRACT: Step = Step {
    name: "contract",
    run: || {
        let build = "build --quiet -p gluster-mock --bin gluster-contract";
        match verdict_of(&mut words(build)) {
            Outcome::Passed => {}
            other => return other,
        }
        let program = workspace_root().join("build/debug/gluster-contract");
        let play = "run --quiet -p scenarios --features clusters -- contract";
        count(words(play).arg(program))
    },
};

/// The model of the fake in release: how fast it is, and that a seed decides there what it decides
/// in `cargo test`.
pub const MODEL: Step = Step {
    name: "model",
    run: || verdict_of(&mut words("bench -p gluster-mock --bench model")),
};

/// How many tests ended how.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Did what they should.
    pub passed: u64,
    /// Did not.
    pub failed: u64,
    /// Could not be tried.
    pub skipped: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

impl Tally {
    /// Adds a runner's closing line, if this is one: `test result: ok. 3 passed; 0 failed; …` of
    /// libtest and its kin, `46 passed, 0 failed, 0 skipped` of the scenarios.
    fn read(&mut self, line: &str) {
        let line = line.trim();
        let counts = match line.strip_prefix("test result: ") {
            Some(rest) => rest.split_once(". ").map_or(rest, |(_, counts)| counts),
            None if line.starts_with(|first: char| first.is_ascii_digit()) => line,
            None => return,
        };
        let counts: Vec<(u64, &str)> = counts
            .split([';', ','])
            .map_while(|part| part.trim().split_once(' '))
            .map_while(|(count, what)| Some((count.parse().ok()?, what)))
            .collect();
        if !matches!(counts[..], [(_, "passed"), (_, "failed"), ..]) {
            return;
        }
        for (count, what) in counts {
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" | "skipped" => self.skipped += count,
                _ => {}
            }
        }
    }
}

fn simulate(options: &str) -> Outcome {
    counted(&format!(
        "run --release --quiet -p scenarios -- simulate {options}"
    ))
}

/// cargo with these words, which have no spaces in them.
fn words(line: &str) -> Command {
    cargo(&line.split(' ').collect::<Vec<_>>())
}

fn counted(line: &str) -> Outcome {
    count(&mut words(line))
}

/// Runs a command, passes its output on and adds up the closing lines in it.
fn count(command: &mut Command) -> Outcome {
    let line = line_of(command);
    let mut tally = Tally::default();
    let complaint = match command.stdout(Stdio::piped()).spawn() {
        Err(error) => Some(format!("`{line}` does not start: {error}")),
        Ok(mut child) => {
            let stdout = child.stdout.take().expect("stdout is piped");
            for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                println!("{line}");
                tally.read(&line);
            }
            match child.wait() {
                Ok(status) if status.success() => None,
                Ok(status) => Some(format!("`{line}`: {status}")),
                Err(error) => Some(format!("`{line}` was lost: {error}")),
            }
        }
    };
    let complaint = complaint
        .or_else(|| (tally.passed == 0).then(|| format!("`{line}` ran no test that passed")));
    Outcome::Counted { tally, complaint }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(text: &str) -> Tally {
        let mut tally = Tally::default();
        text.lines().for_each(|line| tally.read(line));
        tally
    }

    #[test]
    fn closing_lines_of_both_kinds_are_added_up() {
        let text = "running 2 tests\n\
            test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished\n\
            test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 4 filtered out\n\
            46 passed, 1 failed, 5 skipped\n";
        assert_eq!(
            tally(text),
            Tally {
                passed: 61,
                failed: 3,
                skipped: 6
            }
        );
    }

    #[test]
    fn other_lines_count_nothing() {
        let text = "7 passed the post\n12 files, 3 passed, 1 failed\ntest a ... ok\n3 passed\n";
        assert_eq!(tally(text), Tally::default());
    }

    #[test]
    fn a_run_without_a_single_passed_test_is_not_a_pass() {
        let Outcome::Counted { complaint, .. } = count(&mut Command::new("true")) else {
            panic!("a test run is counted");
        };
        assert!(complaint.is_some());
    }

    #[test]
    fn the_exit_status_decides_whatever_the_counts_say() {
        let mut liar = Command::new("sh");
        liar.args(["-c", "echo '5 passed, 0 failed, 0 skipped'; exit 3"]);
        let Outcome::Counted { tally, complaint } = count(&mut liar) else {
            panic!("a test run is counted");
        };
        assert_eq!(tally.passed, 5);
        assert!(complaint.is_some());
    }
}
