//! The served cluster as processes see it: clients of the C ABI, and the command line. Ignored where
//! Gluster's headers are missing; under `CI=true` that fails instead.

mod programs;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Arguments;
use tempfile::TempDir;

use programs::{HEADERS, Served, control, library, trial};

const ENOTCONN: i64 = -107;
const EAGAIN: i64 = -11;
const EBUSY: i64 = -16;
const EIO: i64 = -5;

fn main() -> ExitCode {
    let client = |name: &str, body: fn()| trial(name, &[&HEADERS], body);
    let trials = vec![
        client("what_one_writes_the_other_reads", what_one_writes),
        client("a_hung_brick_stalls_for_ping_timeout", a_hung_brick),
        client("a_dead_brick_stalls_nobody", a_dead_brick),
        client("calls_in_flight_are_not_counted", many_in_flight),
        client("a_client_that_dies_takes_its_cache_along", a_client_dies),
        client("a_lock_is_free_when_its_client_dies", a_lock_is_free),
        client("an_owner_sticks_to_its_thread", an_owner_sticks),
        client("a_server_that_dies_is_a_power_cut", a_server_dies),
        client("a_server_that_ends_loses_nothing", a_server_ends),
        client("a_power_cut_from_outside_ends_mounts", a_power_cut),
        client("garbage_ends_its_own_connection", garbage),
        client("a_stopped_volume_is_not_mounted", a_stopped_volume),
        trial("the_command_line_says_what_is_wrong", &[], what_is_wrong),
        trial("one_server_a_cluster", &[], one_server),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A cluster that is served, and clients to come.
struct Stage {
    folder: TempDir,
    library: PathBuf,
    program: PathBuf,
    served: Served,
}

impl Stage {
    fn new(settings: &str) -> Self {
        let (folder, library) = library();
        let volume = folder.path().join("cluster/vol");
        fs::create_dir_all(&volume).expect("a volume");
        fs::write(volume.join("settings"), settings).expect("settings");
        let program = programs::compiled("agent", folder.path(), &library);
        let served = Served::start(&folder.path().join("cluster"));
        Self {
            folder,
            library,
            program,
            served,
        }
    }

    fn cluster(&self) -> PathBuf {
        self.folder.path().join("cluster")
    }

    fn durable(&self, path: &str) -> Vec<u8> {
        fs::read(self.cluster().join("vol/bricks/0").join(path)).expect("the brick's file")
    }

    /// What the command line answers.
    #[track_caller]
    fn order(&self, words: &str) -> String {
        let (code, told) = control(&self.cluster(), words);
        assert_eq!(code, 0, "{words}: {told}");
        told
    }

    /// A client that has mounted the volume, as glintd does, and opened the file.
    fn client(&self) -> Client {
        self.client_with("true")
    }

    fn client_with(&self, pass_through: &str) -> Client {
        let mut client = Client::start(self);
        assert_eq!(client.say(&format!("mount vol {pass_through}")), 0);
        assert_eq!(client.say("file /disk.img"), 0);
        client
    }
}

/// A process with one mount. Dropped, it is killed.
struct Client {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Client {
    fn start(stage: &Stage) -> Self {
        let mut child = Command::new(&stage.program)
            .env("LD_LIBRARY_PATH", &stage.library)
            .env("GLUSTER_MOCK_DIR", stage.cluster())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        Self {
            to: child.stdin.take().expect("piped"),
            from: BufReader::new(child.stdout.take().expect("piped")),
            child,
        }
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.to, "{line}").expect("it listens");
    }

    /// The result of what it was told, and how long it took.
    fn hear(&mut self) -> (i64, Duration) {
        let mut line = String::new();
        self.from.read_line(&mut line).expect("it answers");
        let mut words = line.split_whitespace();
        let mut number = || words.next()?.parse::<i64>().ok();
        let numbers = number().zip(number());
        let (result, ms) = numbers.unwrap_or_else(|| panic!("not an answer: {line:?}"));
        (result, Duration::from_millis(ms as u64))
    }

    fn timed(&mut self, line: &str) -> (i64, Duration) {
        self.tell(line);
        self.hear()
    }

    fn say(&mut self, line: &str) -> i64 {
        self.timed(line).0
    }

    fn kill(&mut self) {
        self.child.kill().expect("SIGKILL");
        self.child.wait().expect("it is gone");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn between(took: Duration, low: u64, high: u64) {
    let [low, high] = [low, high].map(Duration::from_millis);
    assert!(
        (low..=high).contains(&took),
        "{took:?} is not in {low:?}..={high:?}"
    );
}

/// Until the server has noticed what happened to a client.
#[track_caller]
fn await_status(stage: &Stage, fits: impl Fn(&str) -> bool) {
    let start = Instant::now();
    loop {
        let status = stage.order("status");
        if fits(&status) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(5), "{status}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn clients(status: &str) -> usize {
    let lines = status.lines();
    lines.filter(|line| line.starts_with("client ")).count()
}

fn what_one_writes() {
    let stage = Stage::new("replica = 3\n");
    let (mut a, mut b) = (stage.client(), stage.client());
    assert_eq!(clients(&stage.order("status")), 2);
    assert_eq!(a.say("write 0 8192 a"), 8192);
    assert_eq!(a.say("sync"), 0);
    assert_eq!(b.say("read 0 8192"), i64::from(b'a'));
    assert_eq!(b.say("write 4096 4096 b"), 4096);
    assert_eq!(a.say("read 4096 4096"), i64::from(b'b'));
    assert_eq!(a.say("read 0 4096"), i64::from(b'a'));
    assert_eq!((a.say("leave"), b.say("leave")), (0, 0));
    assert_eq!(clients(&stage.order("status")), 0);
    // The bricks live on: what was not synced is still in their caches, and nowhere else.
    let mut c = stage.client();
    assert_eq!(c.say("read 4096 4096"), i64::from(b'b'));
}

fn a_hung_brick() {
    let stage = Stage::new("replica = 3\nping-timeout = 1\n");
    let mut a = stage.client();
    assert_eq!(a.say("write 0 4096 a"), 4096);
    stage.order("brick hang 1");
    a.tell("write 0 4096 b");
    let mut b = Client::start(&stage);
    let (wrote, took) = a.hear();
    assert_eq!(wrote, 4096);
    between(took, 300, 2300);
    let (wrote, took) = a.timed("write 0 4096 c");
    assert_eq!(wrote, 4096);
    between(took, 0, 250);
    stage.order("brick resume 1");
    assert_eq!(b.say("mount vol true"), 0);
    assert_eq!(b.say("file /disk.img"), 0);
    assert_eq!(b.say("read 0 4096"), i64::from(b'c'));
}

fn a_dead_brick() {
    let stage = Stage::new("replica = 3\nping-timeout = 10\n");
    let (mut a, mut b) = (stage.client(), stage.client());
    assert_eq!(a.say("write 0 4096 a"), 4096);
    stage.order("brick slow 2 300ms");
    a.tell("write 0 4096 b");
    thread::sleep(Duration::from_millis(50));
    stage.order("brick kill 2");
    let (wrote, took) = a.hear();
    assert_eq!(wrote, 4096);
    between(took, 0, 290);
    assert!(stage.order("status").contains("brick 2 down"));
    // Without a majority nothing is written.
    stage.order("brick kill 1");
    assert_eq!(a.say("write 0 4096 c"), ENOTCONN);
    assert_eq!(b.say("read 0 4096"), ENOTCONN);
}

/// A thousand calls wait side by side, whatever threads there are.
fn many_in_flight() {
    let stage = Stage::new("replica = 3\n");
    let mut a = stage.client();
    assert_eq!(a.say("write 0 4096 a"), 4096);
    stage.order("brick slow 0 300ms");
    let (failed, took) = a.timed("burst 1000 b");
    assert_eq!(failed, 0);
    between(took, 300, 2500);
}

fn a_client_dies() {
    let stage = Stage::new("replica = 3\n");
    let (mut a, mut b) = (stage.client_with("false"), stage.client());
    assert_eq!(a.say("write 0 4096 a"), 4096);
    assert_eq!(b.say("read 0 4096"), 0, "behind, in the cache of A");
    a.kill();
    await_status(&stage, |status| clients(status) == 1);
    assert_eq!(b.say("read 0 4096"), 0, "gone with A");
    let mut c = stage.client_with("false");
    assert_eq!(c.say("write 0 4096 c"), 4096);
    assert_eq!(c.say("sync"), 0);
    c.kill();
    await_status(&stage, |status| clients(status) == 1);
    assert_eq!(b.say("read 0 4096"), i64::from(b'c'));
}

fn a_lock_is_free() {
    let stage = Stage::new("replica = 3\n");
    let (mut a, mut b) = (stage.client(), stage.client());
    let unlocked = i64::from(libc::F_UNLCK);
    assert_eq!(b.say("who"), unlocked);
    assert_eq!(a.say("lock"), 0);
    assert_eq!(b.say("who"), i64::from(libc::F_WRLCK));
    assert_eq!(b.say("lock"), EAGAIN);
    b.tell("wait");
    await_status(&stage, |status| status.contains("in flight 1"));
    a.kill();
    assert_eq!(b.hear().0, 0);
    assert_eq!(b.say("who"), unlocked, "ours is not in our way");
}

fn an_owner_sticks() {
    let settings = "replica = 3\nmandatory-locking = forced\nenforce-mandatory-lock = on\n";
    let stage = Stage::new(settings);
    let mut a = stage.client();
    assert_eq!(a.say("enforce"), 0);
    // In the name of the client, any thread may write.
    assert_eq!(a.say("lock"), 0);
    assert_eq!((a.say("write 0 512 a"), a.say("thread")), (512, 512));
    let mut b = stage.client();
    assert_eq!(b.say("owner glint"), 0);
    assert_eq!(b.say("lock"), 0, "in spite of A");
    assert_eq!(b.say("write 0 512 b"), 512);
    assert_eq!(b.say("thread"), EBUSY);
    assert_eq!(
        (a.say("write 0 512 a"), a.say("read 0 512")),
        (EBUSY, EAGAIN)
    );
    assert_eq!(b.say("read 0 512"), i64::from(b'b'));
}

fn a_server_dies() {
    let mut stage = Stage::new("lost = 100\ntorn = 0\nreplica = 3\n");
    let (mut a, mut b) = (stage.client(), stage.client());
    assert_eq!(a.say("write 0 4096 a"), 4096);
    assert_eq!(a.say("sync"), 0);
    assert_eq!(a.say("write 0 4096 b"), 4096);
    stage.order("plan write * hang");
    a.tell("write 0 4096 c");
    await_status(&stage, |status| status.contains("in flight 1"));
    stage.served.kill();
    assert_eq!(a.hear().0, ENOTCONN, "what was in flight");
    for line in ["write 0 4096 d", "sync", "read 0 4096"] {
        let (result, took) = b.timed(line);
        assert_eq!(result, ENOTCONN, "{line}");
        between(took, 0, 100);
    }
    assert!(
        stage.durable("disk.img") == [b'a'; 4096],
        "what was synced and no more"
    );
    stage.served = Served::start(&stage.cluster());
    assert_eq!(b.say("read 0 4096"), ENOTCONN, "a mount does not come back");
    assert_eq!(stage.client().say("read 0 4096"), i64::from(b'a'));
}

fn a_server_ends() {
    let mut stage = Stage::new("lost = 100\ntorn = 0\nreplica = 3\n");
    let mut a = stage.client();
    assert_eq!(a.say("write 0 4096 a"), 4096);
    assert!(stage.durable("disk.img").is_empty());
    assert_eq!(stage.served.terminate(), Some(0));
    assert!(stage.durable("disk.img") == [b'a'; 4096]);
    assert!(!stage.cluster().join("socket").exists());
    assert_eq!(a.say("write 0 4096 b"), ENOTCONN);
    // Without a server the volume is the client's own.
    assert_eq!(stage.client().say("read 0 4096"), i64::from(b'a'));
}

fn a_power_cut() {
    let stage = Stage::new("lost = 100\ntorn = 0\nreplica = 3\n");
    let (mut a, mut b) = (stage.client(), stage.client());
    assert_eq!(a.say("write 0 4096 a"), 4096);
    assert_eq!(a.say("sync"), 0);
    assert_eq!(a.say("write 0 4096 b"), 4096);
    stage.order("power-cut client 1");
    assert_eq!(a.say("read 0 4096"), ENOTCONN);
    assert_eq!(b.say("read 0 4096"), i64::from(b'b'), "the bricks have it");
    stage.order("power-cut");
    assert_eq!(b.say("read 0 4096"), ENOTCONN);
    assert_eq!(stage.client().say("read 0 4096"), i64::from(b'a'));
}

fn garbage() {
    let stage = Stage::new("replica = 3\n");
    let mut a = stage.client();
    let http = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let huge = [0xff; 4096];
    // A hello of ours, then nonsense: a mount, as a frame of two bytes of no meaning after it.
    let hello = [
        0, 0, 0, 6, 1, 0, 3, b'v', b'o', b'l', 0, 0, 0, 2, 0x80, 0x80,
    ];
    let other_version = [0, 0, 0, 6, 9, 0, 3, b'v', b'o', b'l'];
    for bytes in [&http[..], &huge, &hello, &other_version, &[0, 0, 0, 0]] {
        let mut stream = UnixStream::connect(stage.cluster().join("socket")).expect("it listens");
        let limit = Some(Duration::from_secs(5));
        stream.set_read_timeout(limit).expect("a limit");
        stream.write_all(bytes).expect("it hears");
        // Hung up on, with or without what was not read: no answer in any case.
        let mut told = Vec::new();
        let end = stream.read_to_end(&mut told);
        let reset = end
            .as_ref()
            .is_err_and(|why| why.kind() == std::io::ErrorKind::ConnectionReset);
        assert!(
            (end.is_ok() || reset) && told.is_empty(),
            "{bytes:?}: {end:?} {told:?}"
        );
        assert_eq!(a.say("write 0 4096 a"), 4096);
    }
    assert_eq!(clients(&stage.order("status")), 1);
    // The same hello with a question that makes sense is answered: number 7, refused.
    let mut stream = UnixStream::connect(stage.cluster().join("socket")).expect("it listens");
    let question = [&hello[..10], &[0, 0, 0, 2, 7, 1]].concat();
    stream.write_all(&question).expect("it hears");
    let mut answer = [0; 6];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(answer[4..], [7, 1]);
}

fn a_stopped_volume() {
    let stage = Stage::new("replica = 3\n");
    let mut a = stage.client();
    assert_eq!(a.say("write 0 4096 a"), 4096);
    assert_eq!(stage.order("volume list"), "vol started\n");
    stage.order("volume stop vol");
    assert_eq!(stage.order("volume list"), "vol stopped\n");
    assert_eq!(a.say("write 0 4096 b"), ENOTCONN);
    let mut b = Client::start(&stage);
    assert_eq!(b.say("mount vol true"), EIO);
    stage.order("volume start vol");
    stage.order("glusterd dead");
    assert_eq!(b.say("mount vol true"), ENOTCONN);
    stage.order("glusterd up");
    assert_eq!(b.say("mount vol true"), 0);
    assert_eq!(b.say("file /disk.img"), 0);
    assert_eq!(b.say("read 0 4096"), i64::from(b'a'));
    stage.order("volume create fresh replica=2 seed=3");
    assert_eq!(stage.order("volume list"), "fresh started\nvol started\n");
    let mut c = Client::start(&stage);
    assert_eq!(c.say("mount fresh true"), 0);
    let (code, told) = control(&stage.cluster(), "status");
    assert!(code == 2 && told.contains("fresh, vol"), "{told}");
    assert!(
        stage
            .order("--volume fresh status")
            .contains("client 1 bricks 0,1")
    );
}

fn what_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let expect = |words: &str, code: i32, part: &str| {
        let (got, told) = control(folder.path(), words);
        assert!(got == code && told.contains(part), "{words}: {got} {told}");
    };
    expect("brick kill 1", 1, "no volume");
    expect("volume create vol replica=3", 0, "");
    expect("volume create vol replica=3", 1, "already");
    expect("volume create b colour=red", 1, "colour=red");
    expect("volume create a/b", 1, "name");
    expect("volume list", 0, "vol not served");
    expect("brick kill 1", 1, "no server");
    expect("brick kill one", 2, "brick kill|start|hang|resume N");
    expect("", 2, "Usage");
    let _served = Served::start(folder.path());
    expect("brick kill 7", 1, "there are 0 to 2");
    expect("power-cut client 4", 1, "no client 4");
    expect("--volume other status", 1, "no volume other");
    expect("plan write * errno=EWHAT", 1, "line 1");
    expect("plan write * errno=EIO; read * hang", 0, "");
    expect("status", 0, "brick 2 up");
    expect("marks", 0, "");
}

fn one_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut served = Served::start(folder.path());
    let (code, told) = control(folder.path(), "serve");
    assert!(code == 1 && told.contains("another server"), "{told}");
    served.kill();
    assert!(folder.path().join("socket").exists(), "left behind");
    let mut served = Served::start(folder.path());
    assert_eq!(served.terminate(), Some(0));
    let nowhere = Path::new("/nowhere");
    assert_eq!(control(nowhere, "serve").0, 1);
}
