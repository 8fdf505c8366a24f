//! The reader itself, on texts the real tool printed.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use super::{Verdict, judge};

#[test]
fn a_skip_is_not_a_pass() {
    let skip = Verdict::Skip("COMPAREANDWRITE is not implemented.".to_owned());
    expect(
        &text(
            "    [SKIPPED] COMPAREANDWRITE is not implemented.\npassed",
            1,
            0,
        ),
        0,
        &skip,
    );
}

#[test]
fn what_precedes_the_suite_is_no_verdict() {
    let before = "    [SKIPPED] REPORT_SUPPORTED_OPCODES\n    [FAILED] MODESENSE6\n";
    let output = format!("{before}{}", text("passed", 1, 0));
    expect(&output, 0, &Verdict::Pass);
}

#[test]
fn what_follows_the_test_is_no_verdict() {
    let after = "passed    Send PRIN/READ_KEYS\n    [SKIPPED] PERSISTENT RESERVE IN is not";
    expect(&text(after, 1, 0), 0, &Verdict::Pass);
    let skip = Verdict::Skip("no such command".to_owned());
    expect(
        &text(&format!("    [SKIPPED] no such command\n{after}"), 1, 0),
        0,
        &skip,
    );
}

#[test]
fn another_test_is_no_verdict_on_this_one() {
    let output = text("passed", 1, 0);
    let verdict = judge(&output, "DataSn", ExitStatus::from_raw(0));
    matches(&verdict, |verdict| matches!(verdict, Verdict::Broken(_)));
}

#[test]
fn a_failed_assertion_is_a_failure() {
    let assertion = "1. test_iscsi_datasn_invalid.c:98  - CU_ASSERT_NOT_EQUAL(ret,0)";
    let said = format!("    [FAILED] no sense\nFAILED\n    {assertion}\n");
    let fail = Verdict::Fail(format!("no sense\n{assertion}"));
    expect(&text(&said, 0, 1), 1, &fail);
}

#[test]
fn no_test_is_not_a_pass() {
    let nothing = "\nRun Summary:    Type  Total    Ran Passed Failed Inactive\n\
                           suites      0      0    n/a      0        0\n\
                           tests      0      0      0      0        0\n";
    let verdict = judge(nothing, TEST, ExitStatus::from_raw(0));
    matches(&verdict, |verdict| matches!(verdict, Verdict::Broken(_)));
    let refused = "Login Failed. \nFailed to connect to SCSI device 0\n";
    let verdict = judge(refused, TEST, ExitStatus::from_raw(255 << 8));
    matches(
        &verdict,
        |verdict| matches!(verdict, Verdict::Broken(why) if why.contains("Failed to connect")),
    );
}

#[test]
fn a_crash_of_the_tool_is_no_verdict_on_the_target() {
    let verdict = judge(&text("passed", 1, 0), TEST, ExitStatus::from_raw(11));
    matches(&verdict, |verdict| matches!(verdict, Verdict::Broken(_)));
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

#[track_caller]
fn expect(output: &str, code: i32, expected: &Verdict) {
    assert_eq!(
        &judge(output, TEST, ExitStatus::from_raw(code << 8)),
        expected
    );
}

#[track_caller]
fn matches(verdict: &Verdict, expected: impl Fn(&Verdict) -> bool) {
    assert!(expected(verdict), "read as {verdict:?}");
}
