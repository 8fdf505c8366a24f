//! The server of one cluster: its volumes, each opened on first use and kept until the end, so that
//! the death of the last client is no power cut of the bricks.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::call::ClientId;
use crate::command::{Command, Stop};
use crate::errno::Errno;

use super::connection;
use super::folder;
use super::hosted::Hosted;
use super::wire::{Ask, Order, SOCKET, Told};

/// Beside the socket: whoever has it locked is the server.
const LOCK: &str = "socket.lock";

/// Out of file descriptors, or the like: it passes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A server that listens.
pub struct Server {
    cluster: Arc<Cluster>,
    listener: UnixListener,
    _lock: File,
}

/// How the daemon is that hands out volume descriptions: glusterd. Clients that have theirs do not
/// need it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Daemon {
    /// It answers.
    #[default]
    Up,
    /// Nobody listens: `glfs_init` fails (ENOTCONN).
    Dead,
    /// It takes connections and says nothing: `glfs_init` waits.
    Hung,
}

/// What it serves.
pub(super) struct Cluster {
    folder: PathBuf,
    daemon: Mutex<Daemon>,
    daemon_changed: Condvar,
    open: Mutex<BTreeMap<String, Arc<Served>>>,
}

/// A volume that is open.
pub(super) struct Served {
    pub(super) hosted: Hosted,
    stopped: AtomicBool,
    /// The connection of each client, to hang up.
    clients: Mutex<BTreeMap<ClientId, UnixStream>>,
}

impl Server {
    /// Listens in the cluster's folder. From now on whoever mounts one of its volumes comes here.
    pub fn listen(cluster: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true);
        let lock = lock.open(cluster.join(LOCK))?;
        if lock.try_lock().is_err() {
            let taken = "another server has this cluster";
            return Err(io::Error::new(io::ErrorKind::AddrInUse, taken));
        }
        let socket = cluster.join(SOCKET);
        // One that was left behind by a server that was killed.
        match fs::remove_file(&socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(Self {
            cluster: Arc::new(Cluster {
                folder: cluster.to_owned(),
                daemon: Mutex::default(),
                daemon_changed: Condvar::new(),
                open: Mutex::default(),
            }),
            listener: UnixListener::bind(socket)?,
            _lock: lock,
        })
    }

    /// Serves on threads of its own.
    pub fn start(&self) -> io::Result<()> {
        let (cluster, listener) = (Arc::clone(&self.cluster), self.listener.try_clone()?);
        let accept = move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else {
                    thread::sleep(ACCEPT_PAUSE);
                    continue;
                };
                let cluster = Arc::clone(&cluster);
                let thread = thread::Builder::new().name("client".to_owned());
                // Without a thread it is hung up on.
                let _ = thread.spawn(move || connection::serve(&cluster, stream));
            }
        };
        let thread = thread::Builder::new().name("accept".to_owned());
        thread.spawn(accept).map(drop)
    }

    /// What becomes of the daemon.
    pub fn set_daemon(&self, daemon: Daemon) {
        self.cluster.set_daemon(daemon);
    }

    /// The end in order: nobody gets in, and everything the bricks have is durable.
    pub fn stop(self) -> Result<(), Errno> {
        // Gone already is as good.
        let _ = fs::remove_file(self.cluster.folder.join(SOCKET));
        let open = self.cluster.open();
        let settled = open.values().map(|served| served.hosted.settle_and_stop());
        // Every volume, whatever became of the one before.
        let settled: Vec<_> = settled.collect();
        for served in open.values() {
            served.hang_up(None);
        }
        // The lock on the map stays: nothing is opened any more.
        std::mem::forget(open);
        settled.into_iter().collect()
    }
}

impl Cluster {
    fn open(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Served>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_daemon(&self, daemon: Daemon) {
        *self.daemon.lock().unwrap_or_else(PoisonError::into_inner) = daemon;
        self.daemon_changed.notify_all();
    }

    /// A client asks for its volume's description; a daemon that hangs keeps it waiting.
    pub(super) fn ask_daemon(&self) -> Result<(), Errno> {
        let daemon = self.daemon.lock().unwrap_or_else(PoisonError::into_inner);
        let hangs = |daemon: &mut Daemon| *daemon == Daemon::Hung;
        let daemon = self.daemon_changed.wait_while(daemon, hangs);
        match *daemon.unwrap_or_else(PoisonError::into_inner) {
            Daemon::Dead => Err(Errno::ENOTCONN),
            Daemon::Up | Daemon::Hung => Ok(()),
        }
    }

    /// The volume of that name, opened if need be.
    pub(super) fn volume(&self, name: &str) -> Result<Arc<Served>, Errno> {
        let mut open = self.open();
        if let Some(served) = open.get(name) {
            return Ok(Arc::clone(served));
        }
        let served = Arc::new(Served {
            hosted: Hosted::open(&folder::find(&self.folder, name)?)?,
            stopped: AtomicBool::new(false),
            clients: Mutex::default(),
        });
        open.insert(name.to_owned(), Arc::clone(&served));
        Ok(served)
    }

    /// Does what is ordered.
    pub(super) fn obey(&self, order: &Order) -> Told {
        if let Ask::Daemon(daemon) = order.ask {
            self.set_daemon(daemon);
            return Ok(String::new());
        }
        let served = self.volume(&order.volume);
        let served = served.map_err(|errno| match errno {
            Errno::ENOENT => format!("there is no volume {}", order.volume),
            _ => format!("volume {}: {errno}", order.volume),
        })?;
        match &order.ask {
            Ask::Command(line) => served.command(&Command::parse(line)?),
            Ask::Stop => {
                served.stopped.store(true, Ordering::SeqCst);
                served.every_brick(Command::BrickKill)
            }
            Ask::Start => {
                let told = served.every_brick(Command::BrickStart)?;
                served.stopped.store(false, Ordering::SeqCst);
                Ok(told)
            }
            Ask::Daemon(_) => Ok(String::new()),
            Ask::IsStarted => Ok(match served.is_stopped() {
                true => "stopped".to_owned(),
                false => "started".to_owned(),
            }),
        }
    }
}

impl Served {
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    fn command(&self, command: &Command) -> Told {
        let told = self.hosted.command(command)?;
        match command {
            Command::PowerCut(Stop::All) => self.hang_up(None),
            Command::PowerCut(Stop::Client(client)) => self.hang_up(Some(ClientId(*client))),
            _ => {}
        }
        Ok(told)
    }

    fn every_brick(&self, command: fn(usize) -> Command) -> Told {
        let bricks = self.hosted.bricks().map_err(|errno| errno.to_string())?;
        let told = (0..bricks as usize).map(|brick| self.hosted.command(&command(brick)));
        let told: Vec<String> = told.collect::<Result<_, _>>()?;
        Ok(told.concat())
    }

    fn clients(&self) -> MutexGuard<'_, BTreeMap<ClientId, UnixStream>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client's process that died cannot be asked anything; one that lives although its power
    /// failed must notice, and so everybody's connection ends here.
    fn hang_up(&self, client: Option<ClientId>) {
        for (id, stream) in &*self.clients() {
            if client.is_none_or(|wanted| wanted == *id) {
                // It fails only where the client was quicker.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }

    pub(super) fn enter(&self, client: ClientId, stream: UnixStream) {
        self.clients().insert(client, stream);
    }

    pub(super) fn leave(&self, client: ClientId) {
        self.clients().remove(&client);
    }
}
