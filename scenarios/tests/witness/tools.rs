//! What a trial needs of this machine, and what becomes of it where that is missing.

use std::path::Path;

use libtest_mimic::{Failed, Trial};

/// Something foreign.
#[derive(Clone, Copy)]
pub(crate) enum Tool {
    /// A program on the path, and the package that brings it.
    Program(&'static str, &'static str),
    /// qemu's iSCSI driver: a module, of the very build of qemu-img.
    QemuIscsi,
    /// The shared library libiscsi.
    Libiscsi,
}

pub(crate) const ISCSI_LS: Tool = Tool::Program("iscsi-ls", "libiscsi-bin");
pub(crate) const ISCSI_INQ: Tool = Tool::Program("iscsi-inq", "libiscsi-bin");
pub(crate) const ISCSI_TEST_CU: Tool = Tool::Program("iscsi-test-cu", "libiscsi-bin");
pub(crate) const TGTD: Tool = Tool::Program("tgtd", "tgt");
pub(crate) const TSHARK: Tool = Tool::Program("tshark", "tshark");
pub(crate) const QEMU_IMG: Tool = Tool::Program("qemu-img", "qemu-utils");
pub(crate) const QEMU_IO: Tool = Tool::Program("qemu-io", "qemu-utils");
pub(crate) const MKE2FS: Tool = Tool::Program("mke2fs", "e2fsprogs");
pub(crate) const E2FSCK: Tool = Tool::Program("e2fsck", "e2fsprogs");

/// A trial that runs where all of `tools` are there. Elsewhere it is ignored, or, under `CI=true`,
/// fails: a missing judge is not a verdict.
pub(crate) fn trial(
    name: impl Into<String>,
    tools: &[Tool],
    body: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let Some(reason) = tools.iter().find_map(Tool::missing) else {
        return Trial::test(name, body);
    };
    if std::env::var_os("CI").is_some_and(|value| value == "true") {
        return Trial::test(name, move || Err(Failed::from(reason)));
    }
    Trial::test(name, body)
        .with_kind(reason)
        .with_ignored_flag(true)
}

impl Tool {
    /// What to do about it, if it is missing.
    fn missing(&self) -> Option<String> {
        match *self {
            Self::Program(program, package) => {
                (!is_on_path(program)).then(|| format!("needs {program}: package {package}"))
            }
            Self::QemuIscsi => (!has_qemu_iscsi()).then(|| {
                "needs qemu's iSCSI driver: package qemu-block-extra, same version as qemu-utils"
                    .to_owned()
            }),
            Self::Libiscsi => libiscsi_sys::Api::load()
                .err()
                .map(|_| "needs libiscsi: package libiscsi7".into()),
        }
    }
}

/// Debian puts administrators' programs where an ordinary path does not look.
fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders
        .into_iter()
        .any(|folder| folder.join(program).is_file())
}

/// qemu-img loads its drivers on demand and says "Unknown protocol" for one it cannot have.
fn has_qemu_iscsi() -> bool {
    let nowhere = "iscsi://127.0.0.1:1/iqn.2026-11.example.glint:nowhere/0";
    let output = std::process::Command::new("qemu-img")
        .args(["info", nowhere])
        .output();
    output.is_ok_and(|output| !String::from_utf8_lossy(&output.stderr).contains("Unknown protocol"))
}

/// The program, found where an ordinary path does not look as well.
pub(crate) fn program(name: &str) -> String {
    let administrators = format!("/usr/sbin/{name}");
    if Path::new(&administrators).is_file() {
        administrators
    } else {
        name.to_owned()
    }
}
