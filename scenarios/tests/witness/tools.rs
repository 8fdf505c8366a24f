//! What becomes of a trial whose tools are missing.

use libtest_mimic::{Failed, Trial};
use scenarios::foreign::tools::missing;

pub(crate) use scenarios::foreign::tools::{
    ISCSI_INQ, ISCSI_LS, ISCSI_TEST_CU, QEMU_IO, TGTD, TSHARK, Tool,
};

/// A trial that runs where all of `tools` are there. Elsewhere it is ignored, or, under `CI=true`,
/// fails: a missing judge is not a verdict.
pub(crate) fn trial(
    name: impl Into<String>,
    tools: &[Tool],
    body: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let Some(reason) = missing(tools) else {
        return Trial::test(name, body);
    };
    if std::env::var_os("CI").is_some_and(|value| value == "true") {
        return Trial::test(name, move || Err(Failed::from(reason)));
    }
    Trial::test(name, body)
        .with_kind(reason)
        .with_ignored_flag(true)
}
