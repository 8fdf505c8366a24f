//! The contract suite of libgfapi on real Gluster: its program runs beside glusterd, so that the
//! client's library has the server's version.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, Write as _};
use std::path::Path;

use testcontainers::core::ExecCommand;

use super::container::launch;
use super::recipe::Suite;
use super::{ClusterError, preflight};

/// Every release the cases hold for.
pub const SUITES: [Suite; 2] = [Suite::Bookworm, Suite::Trixie];

/// Where the program is in the container.
const PROGRAM: &str = "/gluster-contract";

/// Verdicts of a run by case: `passed`, `FAILED`, `skipped`.
type Verdicts = BTreeMap<String, String>;

/// A run on one release.
pub struct Played {
    suite: Suite,
    verdicts: Verdicts,
    /// Whether all cases passed.
    pub is_clean: bool,
}

/// Runs the program in a fresh container of a release; every line of it goes to standard output.
pub fn play(program: &Path, suite: Suite, options: &[String]) -> Result<Played, ClusterError> {
    let missing = preflight::missing_for_containers(suite);
    if !missing.is_empty() {
        return Err(ClusterError::Missing(missing.join("\n")));
    }
    let program = program
        .canonicalize()
        .map_err(ClusterError::system("find the program"))?;
    let container = launch(suite, &["sleep", "infinity"], Some((&program, PROGRAM)))?;
    let words = [PROGRAM, "run", "--ground", "real"].map(str::to_owned);
    let words = words.into_iter().chain(options.iter().cloned());
    let mut running = container
        .exec(ExecCommand::new(words))
        .map_err(ClusterError::docker("run a command"))?;
    let mut verdicts = Verdicts::new();
    let mut out = std::io::stdout().lock();
    for line in running.stdout().lines() {
        let line = line.map_err(ClusterError::system("read what a command says"))?;
        // Whoever reads along may have gone; the exit code tells all the same.
        writeln!(out, "{line}").ok();
        verdicts.extend(verdict(&line));
    }
    let code = running
        .exit_code()
        .map_err(ClusterError::docker("ask how a command ended"))?;
    Ok(Played {
        suite,
        verdicts,
        is_clean: code == Some(0),
    })
}

/// `passed  open.absent  0.02 s` and its kin.
fn verdict(line: &str) -> Option<(String, String)> {
    let mut words = line.split_whitespace();
    let verdict = words
        .next()
        .filter(|word| matches!(*word, "passed" | "FAILED" | "skipped"))?;
    let case = words.next()?;
    Some((case.to_owned(), verdict.to_owned()))
}

/// One line for every case whose verdicts are not the same on all releases.
pub fn differences(runs: &[Played]) -> String {
    let mut text = String::new();
    let cases = runs.iter().flat_map(|run| run.verdicts.keys());
    let cases: std::collections::BTreeSet<&String> = cases.collect();
    for case in cases {
        let of = |run: &Played| {
            let verdict = run.verdicts.get(case).map_or("not run", String::as_str);
            format!("{} on {}", verdict, run.suite.gluster())
        };
        let verdicts: Vec<Option<&String>> =
            runs.iter().map(|run| run.verdicts.get(case)).collect();
        if verdicts.windows(2).any(|pair| pair[0] != pair[1]) {
            let said: Vec<String> = runs.iter().map(of).collect();
            let _ = writeln!(text, "{case}: {}", said.join(", "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(suite: Suite, lines: &[&str]) -> Played {
        Played {
            suite,
            verdicts: lines.iter().filter_map(|line| verdict(line)).collect(),
            is_clean: true,
        }
    }

    #[test]
    fn only_cases_that_ended_otherwise_are_told() {
        let runs = [
            played(
                Suite::Bookworm,
                &["passed  a  1 s", "FAILED  b  1 s  why", "passed  c  1 s"],
            ),
            played(
                Suite::Trixie,
                &["passed  a  2 s", "passed  b  1 s", "1 passed, 0 failed"],
            ),
        ];
        assert_eq!(
            differences(&runs),
            "b: FAILED on 10.3, passed on 11.1\nc: passed on 10.3, not run on 11.1\n"
        );
    }
}
