//! The fake as one shared object over a folder. It has no bricks of its own to kill, no locks and
//! no graph: cases about those are not passed on it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::ground::{Ground, GroundError, Kind, SHARD_BYTES, Volume, Wish};

/// The version whose words the cases take for right on the fake.
const IMITATED: &str = "10.3";

/// A folder of volumes.
pub struct Fake {
    folder: PathBuf,
    made: AtomicUsize,
}

impl Fake {
    /// Volumes are made in that folder.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            made: AtomicUsize::new(0),
        }
    }
}

impl Ground for Fake {
    fn version(&self) -> &str {
        IMITATED
    }

    fn volume(&self, wish: &Wish) -> Result<Box<dyn Volume>, GroundError> {
        let mut settings = String::new();
        let replica = match wish.kind {
            Kind::Plain => 1,
            Kind::Replica3 | Kind::Sharded => 3,
            Kind::Arbiter => return Err(GroundError::NotYet("arbiter volumes")),
            Kind::Disperse => return Err(GroundError::NotYet("disperse volumes")),
        };
        let mut set = |key: &str, value: &str| {
            let _ = writeln!(settings, "{key} = {value}");
        };
        set("replica", &replica.to_string());
        set("write-behind", "off");
        set("ping-timeout", "5");
        if wish.kind == Kind::Sharded {
            set("shard", &SHARD_BYTES.to_string());
        }
        if let Some(bytes) = wish.room {
            set("capacity", &bytes.to_string());
        }
        for (key, value) in wish.options {
            match *key {
                "performance.write-behind" => set("write-behind", value),
                _ => return Err(GroundError::NotYet(key)),
            }
        }
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let name = format!("c{number}");
        let place = self.folder.join(&name);
        let failed = |why| GroundError::Failed(format!("{}: {why}", place.display()));
        fs::create_dir_all(&place).map_err(failed)?;
        fs::write(place.join("settings"), settings).map_err(failed)?;
        Ok(Box::new(FakeVolume {
            cluster: self.folder.to_string_lossy().into_owned(),
            name,
        }))
    }

    fn kill_server(&self) -> Result<(), GroundError> {
        Err(GroundError::NotYet("a glusterd"))
    }

    fn start_server(&self) -> Result<(), GroundError> {
        Err(GroundError::NotYet("a glusterd"))
    }

    fn hang_server(&self) -> Result<(), GroundError> {
        Err(GroundError::NotYet("a glusterd"))
    }

    fn resume_server(&self) -> Result<(), GroundError> {
        Err(GroundError::NotYet("a glusterd"))
    }
}

struct FakeVolume {
    cluster: String,
    name: String,
}

impl Volume for FakeVolume {
    fn server(&self) -> (&str, u16) {
        (&self.cluster, 0)
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn kill_brick(&self, _: usize) -> Result<(), GroundError> {
        Err(GroundError::NotYet("the death of a brick"))
    }

    fn start_bricks(&self) -> Result<(), GroundError> {
        Err(GroundError::NotYet("the return of a brick"))
    }

    fn hang_brick(&self, _: usize) -> Result<(), GroundError> {
        Err(GroundError::NotYet("a brick that hangs"))
    }

    fn resume_brick(&self, _: usize) -> Result<(), GroundError> {
        Err(GroundError::NotYet("a brick that hangs"))
    }

    fn set(&self, _: &str, _: &str) -> Result<(), GroundError> {
        Err(GroundError::NotYet("a change of options while in use"))
    }

    fn stop(&self) -> Result<(), GroundError> {
        Err(GroundError::NotYet("a stop of the volume"))
    }

    fn brick_file(&self, _: usize, _: &str) -> Result<Vec<u8>, GroundError> {
        Err(GroundError::NotYet("a look at what a brick has cached"))
    }

    fn discard(&self) {}
}
