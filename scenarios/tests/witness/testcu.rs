//! libiscsi's own conformance suite, `iscsi-test-cu` 1.19: each test in a process of its own, on a
//! fresh unit of a fresh target.

use std::process::Command;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};

use crate::cunit::{self, Verdict};
use crate::process;
use crate::server::Server;
use crate::tools::{ISCSI_TEST_CU, TGTD, trial};

/// Longer than any of these tests takes against a target that answers.
const LIMIT: Duration = Duration::from_secs(30);

/// The families and their tests. `testcu::the_list_is_the_tools_own` compares.
const FAMILIES: [(&str, &[&str]); 12] = [
    ("TestUnitReady", &["Simple"]),
    (
        "Inquiry",
        &[
            "Standard",
            "AllocLength",
            "EVPD",
            "BlockLimits",
            "MandatoryVPDSBC",
            "SupportedVPD",
            "VersionDescriptors",
        ],
    ),
    ("Mandatory", &["MandatorySBC"]),
    ("ReadCapacity10", &["Simple"]),
    (
        "Read10",
        &[
            "Simple",
            "BeyondEol",
            "ZeroBlocks",
            "ReadProtect",
            "DpoFua",
            "Async",
        ],
    ),
    (
        "Read16",
        &["Simple", "BeyondEol", "ZeroBlocks", "ReadProtect", "DpoFua"],
    ),
    (
        "Write10",
        &[
            "Simple",
            "BeyondEol",
            "ZeroBlocks",
            "WriteProtect",
            "DpoFua",
            "Async",
        ],
    ),
    (
        "Write16",
        &[
            "Simple",
            "BeyondEol",
            "ZeroBlocks",
            "WriteProtect",
            "DpoFua",
        ],
    ),
    ("iSCSIcmdsn", &["iSCSICmdSnTooHigh", "iSCSICmdSnTooLow"]),
    ("iSCSIdatasn", &["iSCSIDataSnInvalid"]),
    (
        "iSCSIResiduals",
        &[
            "Read10Invalid",
            "Read10Residuals",
            "Read12Residuals",
            "Read16Residuals",
            "Write10Residuals",
            "Write12Residuals",
            "Write16Residuals",
            "WriteVerify10Residuals",
            "WriteVerify12Residuals",
            "WriteVerify16Residuals",
        ],
    ),
    ("iSCSITMF", &["AbortTaskSimpleAsync", "LUNResetSimpleAsync"]),
];

/// Tests the tool gives up on, what it says, and why that is right. A test that skips and is not
/// listed fails, and so does one that is listed and does not skip.
const EXPECTED_SKIPS: [(&str, &str, &str); 4] = [
    (
        "Inquiry.BlockLimits",
        "fully provisioned",
        "it judges the limits of thin units only",
    ),
    (
        "iSCSIResiduals.WriteVerify10Residuals",
        "not implemented",
        "WRITE AND VERIFY is optional",
    ),
    (
        "iSCSIResiduals.WriteVerify12Residuals",
        "not implemented",
        "WRITE AND VERIFY is optional",
    ),
    (
        "iSCSIResiduals.WriteVerify16Residuals",
        "not implemented",
        "WRITE AND VERIFY is optional",
    ),
];

/// Tests that cannot pass in a process of their own, against any target, by the tool's own fault:
/// run with their family instead. With the assertion that fails when they are alone, which
/// `testcu::control_tgtd` shows not to be ours.
const NEED_COMPANY: [(&str, &str); 1] = [(
    // 1.19 looks at a static variable before it sends the request that sets it; the test before
    // this one leaves it set. `libiscsi::lun_reset_overtakes_a_write` tests what it means to.
    "iSCSITMF.LUNResetSimpleAsync",
    "test_async_lu_reset_simple.c:157  - CU_ASSERT_EQUAL(reconnect_succeeded,1)",
)];

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial(
            "testcu::the_list_is_the_tools_own",
            &[ISCSI_TEST_CU],
            the_list_is_the_tools_own,
        ),
        trial("testcu::control_tgtd", &[ISCSI_TEST_CU, TGTD], control),
    ];
    for test in names() {
        // What the tool skips is asserted to be skipped, and is no pass.
        let skips = EXPECTED_SKIPS.iter().any(|(name, ..)| *name == test);
        let name = format!("testcu::{test}{}", if skips { "::is_skipped" } else { "" });
        trials.push(trial(name, &[ISCSI_TEST_CU], move || conforms(&test)));
    }
    trials
}

fn names() -> impl Iterator<Item = String> {
    FAMILIES
        .iter()
        .flat_map(|(family, tests)| tests.iter().map(move |test| format!("{family}.{test}")))
}

fn conforms(test: &str) -> Result<(), Failed> {
    let server = Server::start()?;
    let (family, _) = test.split_once('.').unwrap_or((test, ""));
    let verdict = match NEED_COMPANY.iter().any(|(name, _)| *name == test) {
        true => run(&server, family, test)?,
        false => run(&server, test, test)?,
    };
    let skip = EXPECTED_SKIPS.iter().find(|(name, ..)| *name == test);
    match (&verdict, skip) {
        (Verdict::Pass, None) => {}
        (Verdict::Skip(reason), Some((_, said, why))) if reason.contains(said) => {
            eprintln!("{test}: skipped as expected: {reason} ({why})");
        }
        (Verdict::Pass, Some(_)) => return Err("passes now: take it off the list".into()),
        _ => return Err(format!("{verdict:?}\n{}", server.log()).into()),
    }
    server.stop()
}

/// Runs `what`, a test or its family, and gives the verdict on `test`.
fn run(server: &Server, what: &str, test: &str) -> Result<Verdict, Failed> {
    let mut command = Command::new("iscsi-test-cu");
    // -V: without it the tool does not always say that it skips.
    command.args([
        "--dataloss",
        "-v",
        "-V",
        &format!("--test=ALL.{what}"),
        &server.url(),
    ]);
    let finished = process::run(&mut command, LIMIT)?;
    let name = test.rsplit('.').next().unwrap_or(test);
    Ok(cunit::verdict(&finished, name))
}

/// A test the tool has and we do not run, or the other way round, is a hole.
fn the_list_is_the_tools_own() -> Result<(), Failed> {
    let listed = process::succeed(Command::new("iscsi-test-cu").arg("--list"), LIMIT)?;
    let is_ours = |name: &&str| {
        FAMILIES
            .iter()
            .any(|(family, _)| name.split('.').next() == Some(family))
    };
    let mut theirs: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.trim().strip_prefix("ALL."))
        .filter(|name| name.contains('.'))
        .filter(is_ours)
        .collect();
    theirs.sort_unstable();
    let mut ours: Vec<String> = names().collect();
    ours.sort_unstable();
    if theirs == ours {
        Ok(())
    } else {
        Err(format!("the tool lists {theirs:?}").into())
    }
}

/// tgtd passes a read, takes Data-Outs out of order, and lacks COMPARE AND WRITE: seen thus, or
/// our reading of the tool is wrong. What cannot pass alone, tgtd fails as well.
fn control() -> Result<(), Failed> {
    let server = Server::start_tgtd()?;
    let verdicts = [
        alone(&server, "Read10.Simple")?,
        alone(&server, "iSCSIdatasn.iSCSIDataSnInvalid")?,
        alone(&server, "CompareAndWrite.Simple")?,
        alone(&server, "Nobody.Knows")?,
    ];
    match &verdicts {
        [
            Verdict::Pass,
            Verdict::Fail(why),
            Verdict::Skip(reason),
            Verdict::Broken(_),
        ] if why.contains("CU_ASSERT") && reason.contains("not implemented") => {}
        other => return Err(format!("tgtd is seen as {other:?}").into()),
    }
    for (test, assertion) in NEED_COMPANY {
        match alone(&server, test)? {
            Verdict::Fail(why) if why.lines().count() == 1 && why.contains(assertion) => {}
            other => return Err(format!("{test} on tgtd: {other:?}").into()),
        }
    }
    Ok(())
}

fn alone(server: &Server, test: &str) -> Result<Verdict, Failed> {
    run(server, test, test)
}
