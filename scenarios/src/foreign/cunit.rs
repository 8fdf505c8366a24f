//! Reads what `iscsi-test-cu` prints. CUnit knows passed and failed only: a test that gives up with
//! `[SKIPPED]` counts as passed there, and one that never ran leaves no trace. Here neither is a
//! pass.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use super::program::Finished;

/// How one test of the suite ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It ran and nothing was wrong.
    Pass,
    /// Assertions failed; which, with what the tool expected.
    Fail(String),
    /// The tool gave up, for this reason.
    Skip(String),
    /// It ran past its time.
    Hang,
    /// The tool itself broke down, or did not get as far as a test.
    Broken(String),
}

/// The verdict on `test`, run with `-v -V` alone or after the tests before it in its family. Then
/// it passes only if those did.
pub fn verdict(finished: &Finished, test: &str) -> Verdict {
    let Some(status) = finished.status else {
        return Verdict::Hang;
    };
    judge(&finished.output, test, status)
}

fn judge(output: &str, test: &str, status: ExitStatus) -> Verdict {
    if let Some(signal) = status.signal() {
        return Verdict::Broken(format!("the tool died of signal {signal}"));
    }
    // Before the suite begins the tool looks around; what it misses there is no verdict.
    let body = output.find("\nSuite: ").map_or("", |at| &output[at..]);
    let Some([ran, passed, failed]) = tests_row(body) else {
        let last = output
            .lines()
            .rev()
            .find(|line| !line.trim().is_empty())
            .unwrap_or_default();
        return Verdict::Broken(format!("no test ran ({status}): {}", last.trim()));
    };
    let own = body
        .find(&format!("Test: {test} "))
        .map_or("", |at| &body[at..]);
    match (ran, passed, failed) {
        (1.., _, 1..) => Verdict::Fail(complaints(body)),
        (1.., ..) if own.is_empty() => Verdict::Broken(format!("{test} did not run")),
        (1.., _, 0) if ran == passed && status.success() => {
            match marked(until_verdict(own), "[SKIPPED]").next() {
                Some(reason) => Verdict::Skip(reason.to_owned()),
                None => Verdict::Pass,
            }
        }
        _ => Verdict::Broken(format!(
            "{ran} ran, {passed} passed, {failed} failed, {status}"
        )),
    }
}

/// The row `tests  total ran passed failed inactive` of the summary.
fn tests_row(body: &str) -> Option<[u32; 3]> {
    let (_, summary) = body.split_once("Run Summary:")?;
    let row = summary
        .lines()
        .find_map(|line| line.trim().strip_prefix("tests "))?;
    let counts: Vec<u32> = row
        .split_whitespace()
        .map_while(|word| word.parse().ok())
        .collect();
    match counts[..] {
        [_total, ran, passed, failed, ..] => Some([ran, passed, failed]),
        _ => None,
    }
}

/// What the tool said went wrong: its own lines, then the failed assertions.
fn complaints(body: &str) -> String {
    let is_assertion = |line: &&str| line.contains(" - CU_") || line.contains("CU_FAIL");
    let said = marked(until_verdict(body), "[FAILED]");
    said.chain(body.lines().map(str::trim).filter(is_assertion))
        .collect::<Vec<_>>()
        .join("\n")
}

/// What the test itself said. After CUnit's `passed` or `FAILED`, on a line of its own or right
/// after the dots, the tool cleans up, and what it misses then is no verdict either.
fn until_verdict(body: &str) -> &str {
    let ends = ["\npassed", "\nFAILED", "...passed", "...FAILED"];
    let end = ends.iter().filter_map(|verdict| body.find(verdict)).min();
    &body[..end.unwrap_or(body.len())]
}

fn marked<'a>(body: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
    body.lines()
        .filter_map(move |line| line.split_once(mark))
        .map(|(_, text)| text.trim())
}

#[cfg(test)]
mod tests;
