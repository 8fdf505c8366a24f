//! Reads what `iscsi-test-cu` prints. CUnit knows passed and failed only: a test that gives up with
//! `[SKIPPED]` counts as passed there, and one that never ran leaves no trace. Here neither is a
//! pass.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use libtest_mimic::{Failed, Trial};

use crate::process::Finished;

/// How one test of the suite ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
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
pub(crate) fn verdict(finished: &Finished, test: &str) -> Verdict {
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

/// The reader itself, on texts the real tool printed.
pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("cunit::a_skip_is_not_a_pass", || {
            let skip = Verdict::Skip("COMPAREANDWRITE is not implemented.".to_owned());
            expect(
                &text(
                    "    [SKIPPED] COMPAREANDWRITE is not implemented.\npassed",
                    1,
                    0,
                ),
                0,
                &skip,
            )
        }),
        Trial::test("cunit::what_precedes_the_suite_is_no_verdict", || {
            let before = "    [SKIPPED] REPORT_SUPPORTED_OPCODES\n    [FAILED] MODESENSE6\n";
            let output = format!("{before}{}", text("passed", 1, 0));
            expect(&output, 0, &Verdict::Pass)
        }),
        Trial::test("cunit::what_follows_the_test_is_no_verdict", || {
            let after = "passed    Send PRIN/READ_KEYS\n    [SKIPPED] PERSISTENT RESERVE IN is not";
            expect(&text(after, 1, 0), 0, &Verdict::Pass)?;
            let skip = Verdict::Skip("no such command".to_owned());
            expect(
                &text(&format!("    [SKIPPED] no such command\n{after}"), 1, 0),
                0,
                &skip,
            )
        }),
        Trial::test("cunit::another_test_is_no_verdict_on_this_one", || {
            let output = text("passed", 1, 0);
            let verdict = judge(&output, "DataSn", ExitStatus::from_raw(0));
            matches(&verdict, |verdict| matches!(verdict, Verdict::Broken(_)))
        }),
        Trial::test("cunit::a_failed_assertion_is_a_failure", || {
            let assertion = "1. test_iscsi_datasn_invalid.c:98  - CU_ASSERT_NOT_EQUAL(ret,0)";
            let said = format!("    [FAILED] no sense\nFAILED\n    {assertion}\n");
            let fail = Verdict::Fail(format!("no sense\n{assertion}"));
            expect(&text(&said, 0, 1), 1, &fail)
        }),
        Trial::test("cunit::no_test_is_not_a_pass", || {
            let nothing = "\nRun Summary:    Type  Total    Ran Passed Failed Inactive\n\
                           suites      0      0    n/a      0        0\n\
                           tests      0      0      0      0        0\n";
            let verdict = judge(nothing, TEST, ExitStatus::from_raw(0));
            matches(&verdict, |verdict| matches!(verdict, Verdict::Broken(_)))?;
            let refused = "Login Failed. \nFailed to connect to SCSI device 0\n";
            let verdict = judge(refused, TEST, ExitStatus::from_raw(255 << 8));
            matches(
                &verdict,
                |verdict| matches!(verdict, Verdict::Broken(why) if why.contains("Failed to connect")),
            )
        }),
        Trial::test(
            "cunit::a_crash_of_the_tool_is_no_verdict_on_the_target",
            || {
                let verdict = judge(&text("passed", 1, 0), TEST, ExitStatus::from_raw(11));
                matches(&verdict, |verdict| matches!(verdict, Verdict::Broken(_)))
            },
        ),
    ]
}

/// The test that [`text`] is about.
const TEST: &str = "iSCSIDataSnInvalid";

fn text(said: &str, passed: u32, failed: u32) -> String {
    format!(
        "\n\n     CUnit - A unit testing framework for C - Version 2.1-3\n\n\n\
         Suite: iSCSIdatasn\n  Test: iSCSIDataSnInvalid ...{said}\n\n\
         Run Summary:    Type  Total    Ran Passed Failed Inactive\n\
         {:14}suites      1      1    n/a      0        0\n\
         {:15}tests      1      1      {passed}      {failed}        0\n\
         {:13}asserts      4      4      0      4      n/a\n",
        "", "", ""
    )
}

fn expect(output: &str, code: i32, expected: &Verdict) -> Result<(), Failed> {
    let verdict = judge(output, TEST, ExitStatus::from_raw(code << 8));
    matches(&verdict, |verdict| verdict == expected)
}

fn matches(verdict: &Verdict, expected: impl Fn(&Verdict) -> bool) -> Result<(), Failed> {
    if expected(verdict) {
        Ok(())
    } else {
        Err(format!("read as {verdict:?}").into())
    }
}
