//! What the tests of programs share: the library as programs find it, the server, the command line.
#![allow(dead_code)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use gluster_mock::versioned;
use libtest_mimic::Trial;
use tempfile::TempDir;

/// What cargo built beside this test.
pub(crate) fn built(name: &str) -> PathBuf {
    let here = std::env::current_exe().expect("this test has a path");
    let built = here.with_file_name(name);
    assert!(
        built.exists(),
        "{} is built with the tests",
        built.display()
    );
    built
}

/// A folder with the library with versions in it, which is where the second path points.
pub(crate) fn library() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let library = folder.path().join("lib");
    versioned::link(&built("libgluster_mock.a"), &library).expect("cc links the library");
    (folder, library)
}

/// A C program of ours.
pub(crate) fn compiled(name: &str, folder: &Path, library: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/c/{name}.c"));
    let program = folder.join(name);
    let compiled = Command::new("cc")
        .args(["-Wall", "-Werror", "-D_FILE_OFFSET_BITS=64", "-o"])
        .args([&program, &source])
        .arg(library.join("libgfapi.so.0"))
        .output()
        .expect("cc starts");
    let told = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "{told}");
    program
}

/// The program under test on that cluster.
fn gluster_mock(cluster: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gluster-mock"));
    command.arg("--cluster").arg(cluster);
    command
}

/// What the command line answers to these words, and its exit code.
pub(crate) fn control(cluster: &Path, words: &str) -> (i32, String) {
    let output = gluster_mock(cluster)
        .args(words.split_whitespace())
        .output()
        .expect("it starts");
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    (output.status.code().unwrap_or(-1), told)
}

/// A server. Dropped, it is killed.
pub(crate) struct Served(Child);

impl Served {
    pub(crate) fn start(cluster: &Path) -> Self {
        fs::create_dir_all(cluster).expect("a folder");
        let mut child = gluster_mock(cluster)
            .arg("serve")
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let out = child.stdout.take().expect("piped");
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).expect("a line");
        assert!(line.starts_with("serving "), "{line:?}");
        Self(child)
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.0.kill().expect("SIGKILL");
        self.0.wait().expect("it is gone");
    }

    /// SIGTERM, and waits for its exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("SIGTERM");
        self.0.wait().expect("it ends").code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a trial needs, and the Debian package it comes from.
pub(crate) struct Need {
    pub(crate) present: fn() -> bool,
    pub(crate) package: &'static str,
}

pub(crate) const HEADERS: Need = Need {
    present: || Path::new("/usr/include/glusterfs/api/glfs.h").exists(),
    package: "libglusterfs-dev",
};

/// A trial. One whose program is missing is listed as ignored, with the package to install as its
/// kind; under `CI=true` it fails instead.
pub(crate) fn trial(name: &str, needs: &[&Need], body: fn()) -> Trial {
    let missing = needs.iter().find(|need| !(need.present)());
    let Some(Need { package, .. }) = missing else {
        return Trial::test(name, move || {
            body();
            Ok(())
        });
    };
    let reason = format!("needs package {package}");
    let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    let failure = reason.clone();
    Trial::test(name, move || Err(failure.into()))
        .with_kind(reason)
        .with_ignored_flag(!in_ci)
}
