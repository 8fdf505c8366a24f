//! Which foreign programs and libraries this machine has, and where the missing ones come from.

use std::path::Path;

/// Something foreign.
#[derive(Clone, Copy)]
pub enum Tool {
    /// A program on the path, and the package that brings it.
    Program(&'static str, &'static str),
    /// qemu's iSCSI driver: a module, of the very build of qemu-img.
    QemuIscsi,
    /// The shared library libiscsi.
    Libiscsi,
}

/// libiscsi's lister of targets.
pub const ISCSI_LS: Tool = Tool::Program("iscsi-ls", "libiscsi-bin");
/// libiscsi's INQUIRY.
pub const ISCSI_INQ: Tool = Tool::Program("iscsi-inq", "libiscsi-bin");
/// libiscsi's conformance suite.
pub const ISCSI_TEST_CU: Tool = Tool::Program("iscsi-test-cu", "libiscsi-bin");
/// The control target.
pub const TGTD: Tool = Tool::Program("tgtd", "tgt");
/// Wireshark.
pub const TSHARK: Tool = Tool::Program("tshark", "tshark");
/// Copies images.
pub const QEMU_IMG: Tool = Tool::Program("qemu-img", "qemu-utils");
/// Reads and writes patterns.
pub const QEMU_IO: Tool = Tool::Program("qemu-io", "qemu-utils");
/// Makes file systems.
pub const MKE2FS: Tool = Tool::Program("mke2fs", "e2fsprogs");
/// Checks file systems.
pub const E2FSCK: Tool = Tool::Program("e2fsck", "e2fsprogs");

/// What to do about the first of `tools` that is missing.
pub fn missing(tools: &[Tool]) -> Option<String> {
    tools.iter().find_map(Tool::missing)
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

/// qemu-img loads its drivers on demand, and says which of these for one it cannot have depends on
/// its version.
fn has_qemu_iscsi() -> bool {
    let nowhere = "iscsi://127.0.0.1:1/iqn.2026-11.example.glint:nowhere/0";
    let refusals = ["Unknown protocol", "Unable to load module"];
    let output = std::process::Command::new("qemu-img")
        .args(["info", nowhere])
        .output();
    output.is_ok_and(|output| {
        let said = String::from_utf8_lossy(&output.stderr);
        !refusals.iter().any(|refusal| said.contains(refusal))
    })
}

/// The program, found where an ordinary path does not look as well.
pub fn program(name: &str) -> String {
    let administrators = format!("/usr/sbin/{name}");
    if Path::new(&administrators).is_file() {
        administrators
    } else {
        name.to_owned()
    }
}
