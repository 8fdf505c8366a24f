//! Real Gluster, from inside its own machine: this process must be root beside glusterd, as it is in
//! a container with SYS_ADMIN. Volumes are not deleted: the container is.

use std::ffi::CString;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, mount};
use rustix::process::{Pid, Signal, kill_process};

use super::ground::{Ground, GroundError, Kind, SHARD_BYTES, Volume, Wish};

/// Where bricks lie: a file system that takes O_DIRECT and trusted.* attributes.
const DATA: &str = "/data";
/// Where glusterd listens.
const PORT: u16 = 24007;
/// Where glusterd leaves its process id.
const PID_FILE: &str = "/var/run/glusterd.pid";
/// From a command to what it is to bring about.
const LIMIT: Duration = Duration::from_secs(60);
/// Between two looks.
const POLL: Duration = Duration::from_millis(100);

/// What every volume has: what we recommend for block storage, without anything that caches at the
/// client, and a short wait for bricks that are silent.
const OPTIONS: [(&str, &str); 13] = [
    ("performance.write-behind", "off"),
    ("performance.flush-behind", "off"),
    ("performance.quick-read", "off"),
    ("performance.read-ahead", "off"),
    ("performance.io-cache", "off"),
    ("performance.stat-prefetch", "off"),
    ("performance.open-behind", "off"),
    ("performance.readdir-ahead", "off"),
    ("performance.strict-o-direct", "on"),
    ("network.remote-dio", "disable"),
    ("network.ping-timeout", "5"),
    ("client.event-threads", "1"),
    ("server.event-threads", "1"),
];

/// What volumes of copies have beside.
const COPIES: [(&str, &str); 3] = [
    ("cluster.eager-lock", "enable"),
    ("cluster.quorum-type", "auto"),
    ("cluster.choose-local", "off"),
];

/// glusterd and its command.
struct Daemon {
    version: String,
    host: String,
    /// One command at a time: glusterd 11.1 was seen to answer none any more after many at once.
    command: Mutex<()>,
}

/// The machine this process runs on.
pub struct Real {
    daemon: Arc<Daemon>,
    made: AtomicUsize,
}

impl Real {
    /// Starts glusterd unless it is there.
    pub fn new() -> Result<Self, GroundError> {
        let said = run("glusterfs", &["--version"])?;
        let version = said.split_whitespace().nth(1).unwrap_or_default();
        let host = run("hostname", &["-i"])?;
        let host = host.split_whitespace().next().unwrap_or_default();
        let daemon = Daemon {
            version: version.to_owned(),
            host: host.to_owned(),
            command: Mutex::new(()),
        };
        daemon.start()?;
        Ok(Self {
            daemon: Arc::new(daemon),
            made: AtomicUsize::new(0),
        })
    }
}

impl Daemon {
    fn start(&self) -> Result<(), GroundError> {
        if TcpStream::connect((self.host.as_str(), PORT)).is_err() {
            run("glusterd", &["-p", PID_FILE])?;
        }
        until("glusterd answers", || {
            self.gluster(&["volume", "list"])
                .map(|_| true)
                .or(Ok(false))
        })
    }

    fn signal(&self, signal: Signal) -> Result<(), GroundError> {
        send(signal, PID_FILE).map(drop)
    }

    /// `gluster` with these words; asked again while glusterd is busy with something of its own.
    fn gluster(&self, words: &[&str]) -> Result<String, GroundError> {
        let _one = self.command.lock().unwrap_or_else(PoisonError::into_inner);
        let words = [&["--mode=script"], words].concat();
        let deadline = Instant::now() + LIMIT;
        loop {
            match run("gluster", &words) {
                Err(GroundError::Failed(why)) if is_busy(&why) && Instant::now() < deadline => {
                    thread::sleep(POLL);
                }
                other => return other,
            }
        }
    }
}

impl Ground for Real {
    fn version(&self) -> &str {
        &self.daemon.version
    }

    fn volume(&self, wish: &Wish) -> Result<Box<dyn Volume>, GroundError> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let volume = RealVolume {
            daemon: Arc::clone(&self.daemon),
            name: format!("c{}-{number}", std::process::id()),
            bricks: wish.kind.bricks(),
        };
        volume.create(wish)?;
        Ok(Box::new(volume))
    }

    fn kill_server(&self) -> Result<(), GroundError> {
        self.daemon.signal(Signal::KILL)?;
        let away = || Ok(TcpStream::connect((self.daemon.host.as_str(), PORT)).is_err());
        until("glusterd is away", away)
    }

    fn start_server(&self) -> Result<(), GroundError> {
        self.daemon.start()
    }

    fn hang_server(&self) -> Result<(), GroundError> {
        self.daemon.signal(Signal::STOP)
    }

    fn resume_server(&self) -> Result<(), GroundError> {
        self.daemon.signal(Signal::CONT)
    }
}

struct RealVolume {
    daemon: Arc<Daemon>,
    name: String,
    bricks: usize,
}

impl RealVolume {
    fn create(&self, wish: &Wish) -> Result<(), GroundError> {
        for brick in 0..self.bricks {
            let folder = self.folder(brick);
            fs::create_dir_all(&folder)
                .map_err(|why| GroundError::Failed(format!("{}: {why}", folder.display())))?;
            if let Some(bytes) = wish.room {
                let size = CString::new(format!("size={bytes}")).ok();
                mount(
                    "brick",
                    &folder,
                    "tmpfs",
                    MountFlags::empty(),
                    size.as_deref(),
                )
                .map_err(|why| GroundError::Failed(format!("mount a tmpfs: {why}")))?;
            }
        }
        let shape: &[&str] = match wish.kind {
            Kind::Plain => &[],
            Kind::Replica3 | Kind::Sharded => &["replica", "3"],
            Kind::Arbiter => &["replica", "2", "arbiter", "1"],
            Kind::Disperse => &["disperse", "3", "redundancy", "1"],
        };
        let bricks: Vec<String> = (0..self.bricks)
            .map(|brick| format!("{}:{}", self.daemon.host, self.folder(brick).display()))
            .collect();
        let bricks = bricks.iter().map(String::as_str);
        let mut words = vec!["volume", "create", &self.name];
        words.extend(shape);
        words.extend(bricks);
        words.push("force");
        self.daemon.gluster(&words)?;
        let shard = SHARD_BYTES.to_string();
        let sharding = [
            ("features.shard", "on"),
            ("features.shard-block-size", shard.as_str()),
        ];
        let copies = matches!(wish.kind, Kind::Replica3 | Kind::Sharded | Kind::Arbiter);
        let options = OPTIONS
            .into_iter()
            .chain(COPIES.into_iter().filter(|_| copies))
            .chain(sharding.into_iter().filter(|_| wish.kind == Kind::Sharded))
            .chain(wish.options.iter().copied());
        let mut words = vec!["volume", "set", &self.name];
        for (key, value) in options {
            // One that is named twice in one command is refused.
            if let Some(at) = words.iter().position(|word| *word == key) {
                words[at + 1] = value;
            } else {
                words.extend([key, value]);
            }
        }
        self.daemon.gluster(&words)?;
        self.start_bricks()
    }

    fn folder(&self, brick: usize) -> PathBuf {
        let letter = char::from(b'a' + u8::try_from(brick).unwrap_or(0));
        Path::new(DATA).join(&self.name).join(letter.to_string())
    }

    /// Where glusterd keeps the process id of a brick.
    fn pid_file(&self, brick: usize) -> String {
        let folder = self.folder(brick).to_string_lossy().replace('/', "-");
        format!(
            "/var/run/gluster/vols/{}/{}{folder}.pid",
            self.name, self.daemon.host
        )
    }

    fn signal(&self, brick: usize, signal: Signal) -> Result<(), GroundError> {
        send(signal, &self.pid_file(brick)).map(drop)
    }
}

impl Volume for RealVolume {
    fn server(&self) -> (&str, u16) {
        (&self.daemon.host, PORT)
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn kill_brick(&self, brick: usize) -> Result<(), GroundError> {
        self.signal(brick, Signal::KILL)
    }

    fn start_bricks(&self) -> Result<(), GroundError> {
        self.daemon
            .gluster(&["volume", "start", &self.name, "force"])
            .map(drop)
    }

    fn hang_brick(&self, brick: usize) -> Result<(), GroundError> {
        let pid = send(Signal::STOP, &self.pid_file(brick))?;
        // Its threads stop one by one.
        let is_stopped = |task: fs::DirEntry| {
            let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.rsplit(") ")
                .next()
                .is_some_and(|rest| rest.starts_with('T'))
        };
        until("the brick stands still", || {
            let tasks = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero()));
            Ok(tasks.is_ok_and(|tasks| tasks.flatten().all(is_stopped)))
        })
    }

    fn resume_brick(&self, brick: usize) -> Result<(), GroundError> {
        self.signal(brick, Signal::CONT)
    }

    fn set(&self, key: &str, value: &str) -> Result<(), GroundError> {
        self.daemon
            .gluster(&["volume", "set", &self.name, key, value])
            .map(drop)
    }

    fn stop(&self) -> Result<(), GroundError> {
        self.daemon
            .gluster(&["volume", "stop", &self.name, "force"])
            .map(drop)
    }

    fn brick_file(&self, brick: usize, path: &str) -> Result<Vec<u8>, GroundError> {
        let place = self.folder(brick).join(path.trim_start_matches('/'));
        fs::read(&place).map_err(|why| GroundError::Failed(format!("{}: {why}", place.display())))
    }

    fn discard(&self) {
        // A brick that a case has killed or hung is as good as gone.
        for brick in 0..self.bricks {
            self.signal(brick, Signal::KILL).ok();
        }
    }
}

/// glusterd is at something else, or was at it for too long.
fn is_busy(said: &str) -> bool {
    said.contains("nother transaction") || said.contains("Request timed out")
}

/// Sends a signal to the process whose id is in that file.
fn send(signal: Signal, file: &str) -> Result<Pid, GroundError> {
    let failed = |why: String| GroundError::Failed(format!("{file}: {why}"));
    let text = fs::read_to_string(file).map_err(|why| failed(why.to_string()))?;
    let pid = text.trim().parse().ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| failed(format!("not a process: {text:?}")))?;
    kill_process(pid, signal).map_err(|why| failed(why.to_string()))?;
    Ok(pid)
}

fn run(program: &str, words: &[&str]) -> Result<String, GroundError> {
    let output = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .output()
        .map_err(|why| GroundError::Failed(format!("{program}: {why}")))?;
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        Ok(said)
    } else {
        let line = [&[program], words].concat().join(" ");
        Err(GroundError::Failed(format!("{line}: {}", said.trim())))
    }
}

fn until(
    what: &str,
    mut look: impl FnMut() -> Result<bool, GroundError>,
) -> Result<(), GroundError> {
    let deadline = Instant::now() + LIMIT;
    while !look()? {
        if Instant::now() > deadline {
            return Err(GroundError::Failed(format!("{what}: not within {LIMIT:?}")));
        }
        thread::sleep(POLL);
    }
    Ok(())
}
