//! SIGHUP to the program: a new configuration under sessions that work.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::program::{Running, signal, start};
use crate::wire::{TARGET, Wire};

const OTHER: &str = "iqn.2026-01.com.example:other";
const GOOD: (u8, [u8; 3]) = (0, [0; 3]);
const BUSY: (u8, [u8; 3]) = (8, [0; 3]);
const POWER_ON: (u8, [u8; 3]) = (2, [6, 0x29, 0]);
const LUNS_CHANGED: (u8, [u8; 3]) = (2, [6, 0x3f, 0x0e]);
const NO_SUCH_LUN: (u8, [u8; 3]) = (2, [5, 0x25, 0]);

/// How a re-read ends, in the log.
const APPLIED: &str = "configuration re-read: ";
const REFUSED: &str = "configuration not re-read, nothing changes: ";

/// A program with its configuration file, in a folder for images.
struct Daemon {
    child: Running,
    portal: SocketAddr,
    log: Arc<Log>,
    folder: TempDir,
}

/// What the program logged.
#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

impl Log {
    /// The next line from `from` on that has one of `texts` in it, and where it was.
    fn wait_for(&self, from: usize, texts: &[&str]) -> (usize, String) {
        let lines = self.lines.lock().expect("not poisoned");
        let found = |lines: &Vec<String>| {
            let mut rest = lines.iter().enumerate().skip(from);
            rest.find(|(_, line)| texts.iter().any(|text| line.contains(text)))
                .map(|(at, line)| (at, line.clone()))
        };
        let wait = Duration::from_secs(40);
        let (lines, _) = self
            .more
            .wait_timeout_while(lines, wait, |lines| found(lines).is_none())
            .expect("not poisoned");
        found(&lines).unwrap_or_else(|| panic!("none of {texts:?} in {lines:#?}"))
    }

    fn len(&self) -> usize {
        self.lines.lock().expect("not poisoned").len()
    }
}

/// `[node]` of every configuration here.
const NODE: &str = "[node]\nlisten = [\"127.0.0.1:0\"]\nshutdown_grace = \"1s\"\n";

impl Daemon {
    fn serve(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("glint.toml");
        std::fs::write(&file, expand(&folder, config)).expect("written");
        let (mut child, portal) = start(&["serve", "--config", &file.display().to_string()]);
        let log = Arc::new(Log::default());
        let (own, err) = (Arc::clone(&log), child.0.stderr.take().expect("piped"));
        std::thread::spawn(move || {
            for line in BufReader::new(err).lines().map_while(Result::ok) {
                own.lines.lock().expect("not poisoned").push(line);
                own.more.notify_all();
            }
        });
        Self {
            child,
            portal,
            log,
            folder,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// As a whole: it may be read at any moment.
    fn write(&self, config: &str) {
        let new = self.path("glint.toml.new");
        std::fs::write(&new, expand(&self.folder, config)).expect("written");
        std::fs::rename(new, self.path("glint.toml")).expect("renamed");
    }

    /// Has a new configuration re-read; what the log says came of it.
    fn reload(&self, config: &str) -> String {
        let from = self.log.len();
        self.write(config);
        signal(&self.child, Signal::HUP);
        self.log.wait_for(from, &[APPLIED, REFUSED]).1
    }

    fn reload_applied(&self, config: &str) {
        let line = self.reload(config);
        assert!(line.contains(APPLIED), "{line}");
    }

    fn stop(mut self) {
        signal(&self.child, Signal::TERM);
        assert_eq!(self.child.0.wait().expect("it ends").code(), Some(0));
    }
}

/// `$` in a configuration is the folder.
fn expand(folder: &TempDir, config: &str) -> String {
    let body = config.replace('$', &folder.path().display().to_string());
    match body.contains("[node]") {
        true => body,
        false => NODE.to_owned() + &body,
    }
}

fn target(name: &str, luns: &[&str]) -> String {
    let mut text = format!("[[target]]\nname = \"{name}\"\n");
    for lun in luns {
        text += &format!("[[target.lun]]\n{lun}\n");
    }
    text
}

const DISK0: &str = "lun = 0\nstore = \"file:$/a.img?size=8MiB\"";
const DISK1: &str = "lun = 1\nstore = \"file:$/b.img?size=8MiB\"";
const DISK2: &str = "lun = 2\nstore = \"mem:8MiB\"";

/// Writes and reads back, block by block, until told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Seen>,
}

/// What a load met that was not GOOD.
#[derive(Debug, Default)]
struct Seen {
    commands: u64,
    attentions: u64,
    busy: u64,
    /// What ended it, if that was not its time.
    end: Option<(u8, [u8; 3])>,
    /// The last byte every block was written with, and whether the write was answered.
    last: u8,
}

impl Load {
    /// On a session of its own.
    fn start(daemon: &Daemon, isid: u8, lun: u16) -> Self {
        let mut wire = Wire::connect(daemon.portal);
        assert_eq!(wire.try_login(isid).bhs.0[36], 0, "logged in");
        wire.lun = lun;
        wire.settle();
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let task = std::thread::spawn(move || work(&mut wire, &told));
        Self { stop, task }
    }

    fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.task.join().expect("every read gave what was written")
    }
}

const BLOCKS: u32 = 16;

fn work(wire: &mut Wire, stop: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    while !stop.load(Ordering::Relaxed) {
        let fill = seen.last.wrapping_add(1);
        for block in 0..BLOCKS {
            loop {
                seen.commands += 1;
                match wire.try_write(block, &[fill; 512]) {
                    GOOD => break,
                    BUSY => seen.busy += 1,
                    LUNS_CHANGED | POWER_ON => seen.attentions += 1,
                    other => {
                        seen.end = Some(other);
                        return seen;
                    }
                }
            }
        }
        seen.last = fill;
        // A unit attention may come before any command, and a read says so by its status.
        while wire.try_unit() != GOOD {
            seen.attentions += 1;
        }
    }
    let all = wire.read(0, BLOCKS as usize * 512);
    assert!(all.iter().all(|byte| *byte == seen.last), "other data");
    seen
}

#[test]
fn what_is_wrong_changes_nothing() {
    let daemon = Daemon::serve(&target(TARGET, &[DISK0]));
    let mut wire = Wire::login(daemon.portal);
    wire.settle();
    let from = daemon.log.len();
    let line = daemon.reload(&target(TARGET, &[DISK0, "lun = 1\nstore = \"mem:1GB\""]));
    assert!(
        line.contains("glint.toml:11:9: target[0].lun[1].store: "),
        "{line}"
    );
    daemon.log.wait_for(from, &["allowed: "]);
    let missing = target(TARGET, &[DISK2, "lun = 1\nstore = \"file:$/missing.img\""]);
    let line = daemon.reload(&missing);
    assert!(
        line.contains("LUN 1 of") && line.contains("does not exist"),
        "{line}"
    );
    let line = daemon.reload(&target(
        TARGET,
        &["lun = 0\nstore = \"file:$/a.img?size=9MiB\""],
    ));
    assert!(line.contains("has 8388608 bytes"), "{line}");
    std::fs::remove_file(daemon.path("glint.toml")).expect("removed");
    let from = daemon.log.len();
    signal(&daemon.child, Signal::HUP);
    daemon.log.wait_for(from, &["glint.toml: No such file"]);
    assert_eq!(wire.try_unit(), GOOD, "not even a unit attention");
    assert_eq!(wire.luns(), [0]);
    daemon.reload_applied(&target(TARGET, &[DISK0, DISK1]));
    assert_eq!(wire.try_unit(), LUNS_CHANGED);
    daemon.stop();
}

#[test]
fn a_new_lun_appears_under_load() {
    let daemon = Daemon::serve(&target(TARGET, &[DISK0]));
    let load = Load::start(&daemon, 2, 0);
    let mut wire = Wire::login(daemon.portal);
    wire.settle();
    let line = daemon.reload(&target(TARGET, &[DISK0, DISK1]));
    assert!(line.contains("+1 LUN, -0 LUNs, 0 changed"), "{line}");
    assert_eq!(wire.try_unit(), LUNS_CHANGED);
    assert_eq!(wire.try_unit(), GOOD, "told once");
    assert_eq!(wire.luns(), [0, 1]);
    wire.lun = 1;
    assert_eq!(wire.try_unit(), POWER_ON);
    assert_eq!(wire.write(0, &[7; 512]), 0);
    let mut later = Wire::connect(daemon.portal);
    later.try_login(3);
    later.lun = 1;
    later.settle();
    assert_eq!(later.read(0, 512), [7; 512]);
    let seen = load.stop();
    assert_eq!(
        (seen.end, seen.busy, seen.attentions),
        (None, 0, 1),
        "{seen:?}"
    );
    daemon.stop();
}

#[test]
fn a_removed_lun_is_finished_and_closed() {
    let daemon = Daemon::serve(&target(TARGET, &[DISK0, DISK1]));
    let (stays, goes) = (Load::start(&daemon, 2, 0), Load::start(&daemon, 3, 1));
    std::thread::sleep(Duration::from_millis(300));
    let image = std::fs::File::open(daemon.path("b.img")).expect("the image");
    assert!(image.try_lock().is_err(), "it is served");
    let line = daemon.reload(&target(TARGET, &[DISK0]));
    assert!(line.contains("+0 LUNs, -1 LUN, 0 changed"), "{line}");
    image.try_lock().expect("closed when that is said");
    let bytes = std::fs::read(daemon.path("b.img")).expect("read");
    let seen = goes.stop();
    assert_eq!(seen.end, Some(NO_SUCH_LUN), "{seen:?}");
    // Every write that was answered is there, and of the one round more that was begun, no hole.
    let next = seen.last.wrapping_add(1);
    let written = bytes[..BLOCKS as usize * 512].iter();
    let begun = written.clone().take_while(|byte| **byte == next).count();
    assert!(
        written.skip(begun).all(|byte| *byte == seen.last),
        "a write that was answered is lost"
    );
    let seen = stays.stop();
    assert_eq!(
        (seen.end, seen.busy, seen.attentions),
        (None, 0, 1),
        "{seen:?}"
    );
    daemon.stop();
}

#[test]
fn a_lun_that_is_served_differently_comes_back_under_load() {
    let daemon = Daemon::serve(&target(TARGET, &[DISK0, DISK1]));
    let (stays, turns) = (Load::start(&daemon, 2, 0), Load::start(&daemon, 3, 1));
    for cache in ["write-back", "write-through", "write-back"] {
        std::thread::sleep(Duration::from_millis(100));
        let other = format!("{DISK1}\ncache = \"{cache}\"");
        let line = daemon.reload(&target(TARGET, &[DISK0, &other]));
        assert!(line.contains("+0 LUNs, -0 LUNs, 1 changed"), "{line}");
        daemon.log.wait_for(0, &[&format!("b.img (8MiB, {cache}")]);
    }
    std::thread::sleep(Duration::from_millis(100));
    let (stays, turns) = (stays.stop(), turns.stop());
    assert_eq!((stays.end, stays.busy), (None, 0), "{stays:?}");
    assert_eq!(
        turns.end, None,
        "BUSY and attentions, nothing worse: {turns:?}"
    );
    assert!(turns.attentions >= 3, "{turns:?}");
    daemon.stop();
}

/// Two disks change places: each image is closed before it is opened again.
#[test]
fn images_move_between_luns() {
    let daemon = Daemon::serve(&target(TARGET, &[DISK0, DISK1]));
    let mut wire = Wire::login(daemon.portal);
    for (lun, fill) in [(0, 1), (1, 2)] {
        wire.lun = lun;
        wire.settle();
        assert_eq!(wire.write(0, &[fill; 512]), 0);
    }
    let swapped = [
        DISK0.replace("a.img", "b.img"),
        DISK1.replace("b.img", "a.img"),
    ];
    daemon.reload_applied(&target(TARGET, &[&swapped[0], &swapped[1]]));
    for (lun, fill) in [(0, 2), (1, 1)] {
        wire.lun = lun;
        assert_eq!(wire.try_unit(), POWER_ON);
        wire.settle();
        assert_eq!(wire.read(0, 512), [fill; 512]);
    }
    daemon.stop();
}

/// Somebody else reads it too, so it cannot be had for writing; that shows only once it is closed.
#[test]
fn an_image_that_cannot_be_opened_anew_is_served_as_before() {
    let disk = "lun = 1\nstore = \"file:$/b.img\"\nread_only = true";
    let daemon = Daemon::serve(&target(TARGET, &[DISK0, DISK1]));
    daemon.reload_applied(&target(TARGET, &[DISK0, disk]));
    let image = std::fs::File::open(daemon.path("b.img")).expect("the image");
    image
        .try_lock_shared()
        .expect("it is served for reading only");
    let mut wire = Wire::login(daemon.portal);
    wire.lun = 1;
    wire.settle();
    let line = daemon.reload(&target(TARGET, &[DISK0, DISK1, DISK2]));
    assert!(line.contains(REFUSED) && line.contains("in use"), "{line}");
    wire.settle();
    assert_eq!(wire.read(0, 512), [0; 512]);
    assert_eq!(wire.luns(), [0, 1], "nothing else was taken over");
    drop(image);
    daemon.reload_applied(&target(TARGET, &[DISK0, DISK1, DISK2]));
    wire.settle();
    assert_eq!(wire.write(0, &[1; 512]), 0);
    daemon.stop();
}

#[test]
fn a_removed_target_lets_its_sessions_go() {
    let both = target(TARGET, &[DISK0]) + &target(OTHER, &[DISK1]);
    let daemon = Daemon::serve(&both);
    let load = Load::start(&daemon, 2, 0);
    let mut other = Wire::connect_as(daemon.portal, "host", OTHER);
    assert_eq!(other.try_login(1).bhs.0[36], 0);
    let mut deaf = Wire::connect_as(daemon.portal, "deaf", OTHER);
    assert_eq!(deaf.try_login(1).bhs.0[36], 0);
    let polite = std::thread::spawn(move || {
        let told = other.receive().expect("an asynchronous message");
        assert_eq!(told.bhs.opcode(), iscsi::Opcode::ASYNC_MESSAGE);
        assert_eq!(told.bhs.0[36], iscsi::AsyncEvent::LOGOUT_REQUEST.0);
        other.logout();
    });
    let began = Instant::now();
    let line = daemon.reload(&target(TARGET, &[DISK0]));
    assert!(
        line.contains("-1 LUN, 0 changed; targets: +0, -1"),
        "{line}"
    );
    assert!(
        began.elapsed() >= Duration::from_millis(900),
        "the deaf one got its grace"
    );
    polite.join().expect("the polite one logged out");
    deaf.receive().expect("the deaf one was asked too");
    assert!(deaf.is_closed());
    let image = std::fs::File::open(daemon.path("b.img")).expect("the image");
    image.try_lock().expect("closed");
    drop(image);
    let mut again = Wire::connect_as(daemon.portal, "host", OTHER);
    assert_eq!(again.try_login(1).bhs.0[36..38], [2, 3], "no such target");
    let seen = load.stop();
    assert_eq!(
        (seen.end, seen.busy, seen.attentions),
        (None, 0, 0),
        "{seen:?}"
    );
    daemon.reload_applied(&both);
    let mut again = Wire::connect_as(daemon.portal, "host", OTHER);
    assert_eq!(again.try_login(1).bhs.0[36], 0, "it is back");
    daemon.stop();
}

#[test]
fn who_is_no_longer_let_in_has_to_go() {
    let daemon = Daemon::serve(&target(TARGET, &[DISK0]));
    let mut friend = Wire::connect_as(daemon.portal, "friend", TARGET);
    let mut foe = Wire::connect_as(daemon.portal, "foe", TARGET);
    for wire in [&mut friend, &mut foe] {
        assert_eq!(wire.try_login(1).bhs.0[36], 0);
        wire.settle();
    }
    let only = "initiators = [\"iqn.2026-01.com.example:friend\"]";
    let closed =
        target(TARGET, &[DISK0]).replace("[[target.lun]]", &format!("{only}\n[[target.lun]]"));
    let line = daemon.reload(&closed);
    assert!(line.contains("1 with other access"), "{line}");
    assert_eq!(
        foe.receive().expect("a request").bhs.opcode(),
        iscsi::Opcode::ASYNC_MESSAGE
    );
    assert!(foe.is_closed(), "it did not log out");
    let mut again = Wire::connect_as(daemon.portal, "foe", TARGET);
    assert_eq!(again.try_login(1).bhs.0[36..38], [2, 2], "not on the list");
    assert_eq!(friend.try_unit(), GOOD);
    // A secret is asked of new logins only.
    let chap = "chap = { user = \"joe\", secret = \"correct-horse\" }";
    daemon.reload_applied(&closed.replace("initiators", &format!("{chap}\ninitiators")));
    assert_eq!(friend.try_unit(), GOOD);
    let mut again = Wire::connect_as(daemon.portal, "friend", TARGET);
    assert_eq!(
        again.try_login(2).bhs.0[36..38],
        [2, 1],
        "nothing was proved"
    );
    daemon.stop();
}

/// The disks that stay see neither an error nor BUSY, whatever happens around them.
#[test]
fn twenty_reloads_under_load() {
    let daemon = Daemon::serve(&target(TARGET, &[DISK0, DISK1]));
    let mut wire = Wire::connect_as(daemon.portal, "onlooker", TARGET);
    assert_eq!(wire.try_login(1).bhs.0[36], 0);
    wire.settle();
    let loads = [Load::start(&daemon, 2, 0), Load::start(&daemon, 3, 1)];
    let more = target(TARGET, &[DISK0, DISK1, DISK2])
        + &target(OTHER, &["lun = 0\nstore = \"file:$/c.img?size=1MiB\""]);
    let fewer = target(TARGET, &[DISK0, DISK1]);
    for round in 0..20 {
        std::thread::sleep(Duration::from_millis(50));
        daemon.reload_applied(if round % 2 == 0 { &more } else { &fewer });
        assert_eq!(wire.try_unit(), LUNS_CHANGED, "round {round}");
        assert_eq!(wire.luns().len(), if round % 2 == 0 { 3 } else { 2 });
    }
    for load in loads {
        let seen = load.stop();
        assert_eq!((seen.end, seen.busy), (None, 0), "{seen:?}");
        assert!(seen.attentions <= 20 && seen.commands > 100, "{seen:?}");
    }
    daemon.stop();
}

/// What needs a restart is named, and the rest holds.
#[test]
fn what_cannot_change_is_named() {
    let daemon = Daemon::serve(&target(TARGET, &[DISK0]));
    let node = "[node]\nlisten = [\"127.0.0.1:1\"]\nworkers = 7\nsessions_max = 1\n";
    let from = daemon.log.len();
    daemon.reload_applied(&(node.to_owned() + &target(TARGET, &[DISK0])));
    daemon
        .log
        .wait_for(from, &["restart needed for: node.listen, node.workers"]);
    let mut first = Wire::login(daemon.portal);
    first.settle();
    let mut second = Wire::connect(daemon.portal);
    assert_eq!(
        second.try_login(2).bhs.0[36..38],
        [3, 2],
        "sessions_max holds"
    );
    daemon.stop();
}

#[test]
fn a_trial_ignores_sighup() {
    let (child, portal) = start(&[
        "serve",
        "--lun",
        "mem:1MiB",
        "--listen",
        "127.0.0.1:0",
        "--target-name",
        TARGET,
    ]);
    let mut child = child;
    let mut wire = Wire::login(portal);
    wire.settle();
    signal(&child, Signal::HUP);
    let mut err = BufReader::new(child.0.stderr.take().expect("piped"));
    let mut log = String::new();
    while !log.contains("SIGHUP ignored: a trial has no configuration file to re-read") {
        assert_ne!(err.read_line(&mut log).expect("a line"), 0, "{log}");
    }
    assert_eq!(wire.try_unit(), GOOD);
    signal(&child, Signal::TERM);
    assert_eq!(child.0.wait().expect("it ends").code(), Some(0));
}

/// Opening a pipe for reading waits until somebody writes.
#[test]
fn storage_that_hangs_holds_up_neither_sessions_nor_the_end() {
    let mut daemon = Daemon::serve(&target(TARGET, &[DISK0]));
    let pipe = daemon.path("pipe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).expect("a pipe");
    let mut wire = Wire::login(daemon.portal);
    wire.settle();
    daemon.write(&target(
        TARGET,
        &[DISK0, "lun = 1\nstore = \"file:$/pipe\"\nread_only = true"],
    ));
    for _ in 0..3 {
        signal(&daemon.child, Signal::HUP);
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(wire.try_unit(), GOOD, "it goes on, unchanged");
    }
    let began = Instant::now();
    signal(&daemon.child, Signal::TERM);
    wire.receive().expect("asked to log out");
    signal(&daemon.child, Signal::HUP);
    assert_eq!(daemon.child.0.wait().expect("it ends").code(), Some(0));
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
}

/// However many come while one is under way, the file is read once more after the last.
#[test]
fn signals_in_a_row() {
    let daemon = Daemon::serve(&target(TARGET, &[DISK0]));
    let mut wire = Wire::login(daemon.portal);
    wire.settle();
    daemon.write(&target(TARGET, &[DISK0, DISK1]));
    for _ in 0..20 {
        signal(&daemon.child, Signal::HUP);
    }
    daemon.reload_applied(&target(TARGET, &[DISK0, DISK1, DISK2]));
    let began = Instant::now();
    while wire.luns() != [0, 1, 2] {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "the last one was not heard"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    daemon.stop();
}
