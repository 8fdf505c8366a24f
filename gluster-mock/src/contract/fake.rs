//! The fake as a ground: its own server of a folder of volumes, in this process; clients come to it
//! through the shared object like anybody else.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::ground::{Ground, GroundError, Kind, SHARD_BYTES, Volume, Wish};
use crate::serve::{Ask, Daemon, Order, Server, ask, create};

/// The version whose words the cases take for right on the fake.
const IMITATED: &str = "10.3";

/// A cluster that is served as long as this lives.
pub struct Fake {
    folder: PathBuf,
    made: AtomicUsize,
    server: Server,
}

impl Fake {
    /// Volumes are made in that folder.
    pub fn new(folder: &Path) -> Result<Self, GroundError> {
        let failed = |why| GroundError::Failed(format!("{}: {why}", folder.display()));
        let server = Server::listen(folder).map_err(failed)?;
        server.start().map_err(failed)?;
        Ok(Self {
            folder: folder.to_owned(),
            made: AtomicUsize::new(0),
            server,
        })
    }
}

impl Ground for Fake {
    fn version(&self) -> &str {
        IMITATED
    }

    fn volume(&self, wish: &Wish) -> Result<Box<dyn Volume>, GroundError> {
        let mut settings = vec!["write-behind=off".to_owned(), "ping-timeout=5".to_owned()];
        let mut set = |key: &str, value: &str| settings.push(format!("{key}={value}"));
        match wish.kind {
            Kind::Plain | Kind::Replica3 => {}
            Kind::Sharded => set("shard", &SHARD_BYTES.to_string()),
            Kind::Arbiter => set("type", "arbiter"),
            Kind::Disperse => set("type", "disperse"),
        }
        set("bricks", &wish.kind.bricks().to_string());
        if let Some(bytes) = wish.room {
            set("capacity", &bytes.to_string());
        }
        for (key, value) in wish.options {
            match *key {
                "performance.write-behind" => set("write-behind", value),
                "network.ping-timeout" => set("ping-timeout", value),
                "network.frame-timeout" => set("frame-timeout", value),
                "locks.mandatory-locking" => set("mandatory-locking", value),
                "features.enforce-mandatory-lock" => set("enforce-mandatory-lock", value),
                "cluster.post-op-delay-secs" => set("post-op-delay", &format!("{value}s")),
                _ => return Err(GroundError::NotYet(key)),
            }
        }
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let name = format!("c{number}");
        create(&self.folder, &name, &settings).map_err(GroundError::Failed)?;
        Ok(Box::new(FakeVolume {
            cluster: self.folder.to_string_lossy().into_owned(),
            name,
            bricks: wish.kind.bricks(),
            room: wish.room,
            sharded: wish.kind == Kind::Sharded,
        }))
    }

    fn kill_server(&self) -> Result<(), GroundError> {
        self.server.set_daemon(Daemon::Dead);
        Ok(())
    }

    fn start_server(&self) -> Result<(), GroundError> {
        self.server.set_daemon(Daemon::Up);
        Ok(())
    }

    fn hang_server(&self) -> Result<(), GroundError> {
        self.server.set_daemon(Daemon::Hung);
        Ok(())
    }

    fn resume_server(&self) -> Result<(), GroundError> {
        self.start_server()
    }
}

struct FakeVolume {
    cluster: String,
    name: String,
    bricks: usize,
    room: Option<u64>,
    sharded: bool,
}

impl FakeVolume {
    fn order(&self, ask_for: Ask) -> Result<String, GroundError> {
        let order = Order {
            volume: self.name.clone(),
            ask: ask_for,
        };
        ask(Path::new(&self.cluster), order).map_err(GroundError::Failed)
    }

    fn command(&self, line: &str) -> Result<(), GroundError> {
        self.order(Ask::Command(line.to_owned())).map(drop)
    }
}

impl Volume for FakeVolume {
    fn server(&self) -> (&str, u16) {
        (&self.cluster, 0)
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn kill_brick(&self, brick: usize) -> Result<(), GroundError> {
        self.command(&format!("brick kill {brick}"))
    }

    fn start_bricks(&self) -> Result<(), GroundError> {
        self.order(Ask::Start).map(drop)
    }

    fn hang_brick(&self, brick: usize) -> Result<(), GroundError> {
        self.command(&format!("brick hang {brick}"))
    }

    fn resume_brick(&self, brick: usize) -> Result<(), GroundError> {
        self.command(&format!("brick resume {brick}"))
    }

    fn set(&self, key: &str, value: &str) -> Result<(), GroundError> {
        match key {
            "performance.io-cache"
            | "performance.quick-read"
            | "performance.read-ahead"
            | "performance.write-behind-window-size" => self.command(&format!("set {key} {value}")),
            "storage.reserve" if self.room.is_some() => {
                (0..self.bricks).try_for_each(|brick| self.command(&format!("fill {brick}")))
            }
            _ => Err(GroundError::NotYet("a change of this option while in use")),
        }
    }

    fn stop(&self) -> Result<(), GroundError> {
        self.order(Ask::Stop).map(drop)
    }

    fn brick_file(&self, brick: usize, path: &str) -> Result<Vec<u8>, GroundError> {
        // A brick's file is read through its kernel's cache; here that is written back before.
        self.command("settle")?;
        let place = Path::new(&self.cluster).join(&self.name).join("bricks");
        let place = place
            .join(brick.to_string())
            .join(path.trim_start_matches('/'));
        let held = fs::read(&place);
        let mut held =
            held.map_err(|why| GroundError::Failed(format!("{}: {why}", place.display())))?;
        if self.sharded {
            // Here one file has all shards; by that name is only what was written of the first.
            held.truncate(SHARD_BYTES as usize);
            let end = held
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(0, |last| last + 1);
            held.truncate(end.next_multiple_of(512).min(held.len()));
        }
        Ok(held)
    }

    fn discard(&self) {}
}
