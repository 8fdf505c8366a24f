//! libiscsi's own conformance suite, `iscsi-test-cu` 1.19: its families, what is known of single
//! tests, and one test run in a process of its own.

use std::process::Command;
use std::time::Duration;

use super::cunit::{self, Verdict};
use super::{Failure, program};

/// Longer than any of these tests takes against a target that answers.
const LIMIT: Duration = Duration::from_secs(30);

/// The families and their tests. The witness `testcu::the_list_is_the_tools_own` compares.
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
pub const EXPECTED_SKIPS: [(&str, &str, &str); 4] = [
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
/// the witness `testcu::control_tgtd` shows not to be ours.
pub const NEED_COMPANY: [(&str, &str); 1] = [(
    // 1.19 looks at a static variable before it sends the request that sets it; the test before
    // this one leaves it set. The witness `libiscsi::lun_reset_overtakes_a_write` tests what it means to.
    "iSCSITMF.LUNResetSimpleAsync",
    "test_async_lu_reset_simple.c:157  - CU_ASSERT_EQUAL(reconnect_succeeded,1)",
)];

/// All tests, as `Family.Test`.
pub fn names() -> impl Iterator<Item = String> {
    FAMILIES
        .iter()
        .flat_map(|(family, tests)| tests.iter().map(move |test| format!("{family}.{test}")))
}

/// Whether the tool is to skip a test. What it skips is no pass, and is asserted to be skipped.
pub fn is_skipped(test: &str) -> bool {
    EXPECTED_SKIPS.iter().any(|(name, ..)| *name == test)
}

/// Runs a test against the unit at `url`, whose blocks it may overwrite. An expected skip is told,
/// with the tool's reason and ours.
pub fn conforms(url: &str, test: &str) -> Result<Option<String>, Failure> {
    let (family, _) = test.split_once('.').unwrap_or((test, ""));
    let verdict = match NEED_COMPANY.iter().any(|(name, _)| *name == test) {
        true => run(url, family, test)?,
        false => run(url, test, test)?,
    };
    let skip = EXPECTED_SKIPS.iter().find(|(name, ..)| *name == test);
    match (&verdict, skip) {
        (Verdict::Pass, None) => Ok(None),
        (Verdict::Skip(reason), Some((_, said, why))) if reason.contains(said) => {
            Ok(Some(format!("skipped as expected: {reason} ({why})")))
        }
        (Verdict::Pass, Some(_)) => Err("passes now: take it off the list".into()),
        _ => Err(format!("{verdict:?}").into()),
    }
}

/// Runs `what`, a test or its family, and gives the verdict on `test`.
pub fn run(url: &str, what: &str, test: &str) -> Result<Verdict, Failure> {
    let mut command = Command::new("iscsi-test-cu");
    // -V: without it the tool does not always say that it skips.
    command.args(["--dataloss", "-v", "-V", &format!("--test=ALL.{what}"), url]);
    let finished = program::run(&mut command, LIMIT)?;
    let name = test.rsplit('.').next().unwrap_or(test);
    Ok(cunit::verdict(&finished, name))
}

/// The tool's own tests of our families, sorted.
pub fn listed() -> Result<Vec<String>, Failure> {
    let listed = program::succeed(Command::new("iscsi-test-cu").arg("--list"), LIMIT)?;
    let is_ours = |name: &&str| {
        FAMILIES
            .iter()
            .any(|(family, _)| name.split('.').next() == Some(family))
    };
    let mut theirs: Vec<String> = listed
        .lines()
        .filter_map(|line| line.trim().strip_prefix("ALL."))
        .filter(|name| name.contains('.'))
        .filter(is_ours)
        .map(str::to_owned)
        .collect();
    theirs.sort_unstable();
    Ok(theirs)
}
