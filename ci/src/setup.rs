//! Installs what the foreign witnesses need, from Debian's archive. Does nothing where all of it
//! is there already.

use std::process::{Command, Stdio};

use crate::step::{Outcome, Step, verdict_of};

/// What is needed, in whatever version the release has.
const PACKAGES: [&str; 13] = [
    "libiscsi7",        // loaded by libiscsi-sys
    "libiscsi-bin",     // iscsi-ls, iscsi-inq, iscsi-test-cu
    "libiscsi-dev",     // headers, for header-check
    "libglusterfs-dev", // headers, for header-check
    "libgfapi0",        // what glintd loads for disks on Gluster
    "glusterfs-common", // the translators that libgfapi loads
    "mmdebstrap",       // makes the image of the container with real Gluster
    "fio",              // its gfapi engines, for the fake Gluster
    "tgt",              // a control target: the witnesses must see its known faults
    "tgt-glusterfs",    // the same on Gluster, real or not
    "tshark",           // dissects what the target sent
    "e2fsprogs",        // mke2fs and e2fsck, for the image that is copied
    "sg3-utils",        // decodes VPD pages
];

/// For the container with real Gluster, where there is no Docker of anybody's yet.
const DOCKER: &str = "docker.io";

/// qemu-img and its iSCSI driver. The driver is a module that only the very same build loads.
const QEMU: [&str; 2] = ["qemu-utils", "qemu-block-extra"];

/// The series both come from: bookworm's own, wherever it is on offer.
const QEMU_SERIES: &str = "1:7.2+";

/// The one step.
pub fn steps() -> Vec<Step> {
    vec![Step {
        name: "setup",
        run: setup,
    }]
}

fn setup() -> Outcome {
    if output("dpkg-query", &["--version"]).is_none() {
        let packages = [&PACKAGES[..], &QEMU[..]].concat().join(" ");
        return Outcome::Skipped(format!("not a Debian system; please install: {packages}"));
    }
    let docker = output("docker", &["--version"])
        .is_none()
        .then_some(&DOCKER);
    let missing: Vec<String> = PACKAGES
        .iter()
        .filter(|package| installed(package).is_none())
        .chain(docker)
        .map(|package| (*package).to_owned())
        .collect();
    let qemu_is_paired = is_pair(QEMU.map(installed));
    if missing.is_empty() && qemu_is_paired {
        println!("everything is installed");
        return Outcome::Passed;
    }
    match apt_get(&["update", "--quiet"]) {
        Outcome::Passed => {}
        other => return other,
    }
    let mut wanted = missing;
    if !qemu_is_paired {
        let offers = QEMU.map(|package| output("apt-cache", &["madison", package]));
        let Some(version) = common_version(&offers.map(Option::unwrap_or_default)) else {
            return Outcome::Failed(format!("no version offers both {}", QEMU.join(" and ")));
        };
        wanted.extend(QEMU.map(|package| format!("{package}={version}")));
    }
    let mut arguments = vec![
        "install",
        "--yes",
        "--no-install-recommends",
        "--allow-downgrades",
    ];
    arguments.extend(wanted.iter().map(String::as_str));
    apt_get(&arguments)
}

/// Both are installed, in one version of the wanted series.
fn is_pair(versions: [Option<String>; 2]) -> bool {
    matches!(versions, [Some(one), Some(other)] if one == other && one.starts_with(QEMU_SERIES))
}

/// The newest version that both of `apt-cache madison`'s lists offer, preferring the wanted
/// series. The lists are newest first: `package | version | where`.
fn common_version(lists: &[String; 2]) -> Option<String> {
    let versions = |list: &str| -> Vec<String> {
        let column = |line: &str| {
            line.split('|')
                .nth(1)
                .map(|version| version.trim().to_owned())
        };
        list.lines().filter_map(column).collect()
    };
    let [ours, theirs] = lists.each_ref().map(|list| versions(list));
    let mut common = ours
        .into_iter()
        .filter(|version| theirs.contains(version))
        .peekable();
    let newest = common.peek().cloned();
    common
        .find(|version| version.starts_with(QEMU_SERIES))
        .or(newest)
}

/// The installed version of a package.
fn installed(package: &str) -> Option<String> {
    let format = "--showformat=${db:Status-Status} ${Version}";
    let line = output("dpkg-query", &["--show", format, package])?;
    line.strip_prefix("installed ")
        .map(|version| version.trim().to_owned())
}

fn apt_get(arguments: &[&str]) -> Outcome {
    let root = output("id", &["-u"]).is_some_and(|id| id.trim() == "0");
    let mut command = Command::new(if root { "apt-get" } else { "sudo" });
    if !root {
        command.args([
            "--non-interactive",
            "--preserve-env=DEBIAN_FRONTEND",
            "apt-get",
        ]);
    }
    command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null());
    verdict_of(&mut command)
}

/// What a command prints, if it starts and succeeds.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKPORTS: &str = "1:10.0.2+ds-2~bpo12+1";

    fn madison(versions: &[&str]) -> String {
        let line =
            |version: &&str| format!("  qemu-utils | {version} | http://deb bookworm/main\n");
        versions.iter().map(line).collect()
    }

    #[test]
    fn the_newest_version_of_the_series_that_both_offer_is_taken() {
        let lists = [
            madison(&[BACKPORTS, "1:7.2+dfsg-7+deb12u18", "1:7.2+dfsg-7+deb12u15"]),
            madison(&[BACKPORTS, "1:7.2+dfsg-7+deb12u15"]),
        ];
        assert_eq!(
            common_version(&lists).as_deref(),
            Some("1:7.2+dfsg-7+deb12u15")
        );
    }

    #[test]
    fn elsewhere_any_common_version_will_do() {
        let lists = [madison(&["1:9.2.0", "1:9.1.0"]), madison(&["1:9.1.0"])];
        assert_eq!(common_version(&lists).as_deref(), Some("1:9.1.0"));
        assert_eq!(
            common_version(&[madison(&["1:9.2.0"]), madison(&["1:9.1.0"])]),
            None
        );
    }

    #[test]
    fn a_pair_is_two_of_one_version() {
        let version = |text: &str| Some(text.to_owned());
        assert!(is_pair([version("1:7.2+dfsg-7"), version("1:7.2+dfsg-7")]));
        assert!(!is_pair([version(BACKPORTS), version("1:7.2+dfsg-7")]));
        assert!(!is_pair([version(BACKPORTS), version(BACKPORTS)]));
        assert!(!is_pair([version("1:7.2+dfsg-7"), None]));
    }
}
