//! The program: exit codes, the readiness line, signals.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::wire::{TARGET, Wire};

pub(crate) fn glintd(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_glintd"));
    command
        .args(arguments)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    glintd(arguments).output().expect("it runs")
}

fn code(arguments: &[&str]) -> Option<i32> {
    run(arguments).status.code()
}

/// A program that does not outlive its test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Starts it and waits until it listens.
pub(crate) fn start(arguments: &[&str]) -> (Running, SocketAddr) {
    let mut command = glintd(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Running(command.spawn().expect("it runs"));
    let out = child.0.stdout.take().expect("piped");
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line).expect("a line");
    let portal = line
        .trim()
        .strip_prefix("listening on ")
        .expect("the readiness line");
    (child, portal.parse().expect("an address"))
}

pub(crate) fn signal(child: &Running, signal: Signal) {
    let pid = Pid::from_child(&child.0);
    kill_process(pid, signal).expect("it lives");
}

#[test]
fn exit_codes_tell_who_must_act() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let lun = "[[target.lun]]\nlun = 0\nstore = \"mem:1MiB\"\n";
    let good = file(
        "good",
        &format!("[[target]]\nname = \"iqn.2026-01.a:b\"\n{lun}"),
    );
    let bad = file("bad", &format!("[[target]]\nname = \"disk\"\n{lun}"));
    assert_eq!(code(&["check", &good]), Some(0));
    let refused = run(&["check", &bad]);
    assert_eq!(refused.status.code(), Some(2));
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        text.starts_with(&format!("{bad}:2:8: target[0].name: ")),
        "{text}"
    );
    assert_eq!(code(&["serve", "--config", &bad]), Some(2));
    assert_eq!(code(&["check", "/nonexistent"]), Some(3));
    assert_eq!(code(&["serve"]), Some(2));
    assert_eq!(code(&["serve", "--lun", "mem:1GB"]), Some(2));
    assert_eq!(
        code(&["serve", "--lun", "mem:1MiB", "--listen", "0.0.0.0:0"]),
        Some(2)
    );
    assert_eq!(
        code(&["serve", "--lun", "mem:1MiB", "--chap", "joe:short"]),
        Some(2)
    );
    let same = [
        "--chap",
        "joe:correct-horse",
        "--mutual",
        "us:correct-horse",
    ];
    assert_eq!(
        code(&[&["serve", "--lun", "mem:1MiB"], &same[..]].concat()),
        Some(2)
    );
    assert_eq!(
        code(&["serve", "--lun", "file:/nonexistent/disk.img"]),
        Some(3)
    );
    let holder = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = holder.local_addr().expect("bound").to_string();
    assert_eq!(
        code(&["serve", "--lun", "mem:1MiB", "--listen", &taken]),
        Some(3)
    );
}

#[test]
fn a_trial_says_how_to_use_it_and_stops_when_told() {
    let (mut child, portal) = start(&["serve", "--lun", "mem:1MiB", "--listen", "127.0.0.1:0"]);
    assert_ne!(portal.port(), 0);
    let mut idle = Wire::connect(portal);
    signal(&child, Signal::TERM);
    assert_eq!(child.0.wait().expect("it ends").code(), Some(0));
    assert!(idle.is_closed());
    let mut log = String::new();
    child
        .0
        .stderr
        .take()
        .expect("piped")
        .read_to_string(&mut log)
        .expect("text");
    assert!(
        log.contains("stopped; every answered write is durable"),
        "{log}"
    );
}

#[test]
fn secrets_appear_nowhere() {
    let secret = "correct-horse-battery";
    let chap = format!("joe:{secret}");
    let arguments = [
        "serve",
        "--lun",
        "mem:1MiB",
        "--listen",
        "127.0.0.1:0",
        "--chap",
        &chap,
    ];
    let mut command = glintd(&[&arguments[..], &["--log", "trace"]].concat());
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = Running(child.expect("it runs"));
    let mut out = BufReader::new(child.0.stdout.take().expect("piped"));
    let mut text = String::new();
    while !text.contains("qemu-img info") {
        assert_ne!(out.read_line(&mut text).expect("a line"), 0, "{text}");
    }
    signal(&child, Signal::TERM);
    child
        .0
        .stderr
        .take()
        .expect("piped")
        .read_to_string(&mut text)
        .expect("text");
    child.0.wait().expect("it ends");
    assert!(text.contains("iscsi://joe%SECRET@"), "{text}");
    assert!(!text.contains(secret), "{text}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let arguments = [
        "serve",
        "--lun",
        "mem:1MiB",
        "--listen",
        "127.0.0.1:0",
        "--target-name",
    ];
    let (mut child, portal) = start(&[&arguments[..], &[TARGET]].concat());
    let mut deaf = Wire::connect(portal);
    deaf.try_login(1);
    let began = std::time::Instant::now();
    signal(&child, Signal::TERM);
    // The first one was heard when the initiator is asked to log out.
    deaf.receive().expect("an asynchronous message");
    signal(&child, Signal::INT);
    assert_eq!(child.0.wait().expect("it ends").code(), Some(1));
    assert!(
        began.elapsed() < std::time::Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
}
