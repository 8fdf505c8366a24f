//! The way from a mount to its volume: in this process, or at the cluster's server.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::call::{Answer, Call, ClientId};
use crate::errno::Errno;
use crate::serve::folder;
use crate::serve::hosted::{Hosted, Then};

use super::remote::Remote;

/// The environment variable that names the cluster's folder.
pub const ROOT_VARIABLE: &str = "GLUSTER_MOCK_DIR";

/// The way to one volume.
pub(super) trait Door: Send + Sync {
    /// Hands a call in; `then` gets its answer on whatever thread, perhaps before this returns.
    fn submit(&self, client: ClientId, call: Call, then: Then);

    /// The description of the volume, under the name it was asked for by.
    fn describe(&self) -> Result<String, Errno>;

    /// A call whose answer is waited for.
    fn call(&self, client: ClientId, call: Call) -> Answer {
        let (tell, told) = sync_channel(1);
        let then = move |answer| {
            // Whoever asked is below, waiting.
            let _ = tell.send(answer);
        };
        self.submit(client, call, Box::new(then));
        told.recv().unwrap_or(Err(Errno::EIO))
    }

    /// `glfs_fini`.
    fn leave(&self, client: ClientId) -> Answer {
        self.call(client, Call::Fini)
    }
}

/// Finds the volume by one volfile server: an absolute path is the cluster's folder itself. Where
/// the cluster has a server, that has the volume.
pub(super) fn find(server: &str, volume: &str) -> Result<Arc<dyn Door>, Errno> {
    let cluster = match server.starts_with('/') {
        true => PathBuf::from(server),
        false => PathBuf::from(std::env::var_os(ROOT_VARIABLE).ok_or(Errno::ENOTCONN)?),
    };
    let folder = folder::find(&cluster, volume)?;
    if let Some(remote) = Remote::connect(&cluster, volume)? {
        return Ok(Arc::new(remote));
    }
    Embedded::open(&folder, volume)
}

/// A volume of this process, shared by its mounts.
struct Embedded {
    hosted: Hosted,
    volume: String,
}

impl Embedded {
    /// The volume in that folder, opened once a process.
    fn open(folder: &Path, volume: &str) -> Result<Arc<dyn Door>, Errno> {
        static OPEN: Mutex<BTreeMap<PathBuf, Weak<Embedded>>> = Mutex::new(BTreeMap::new());
        let folder = fs::canonicalize(folder).map_err(|error| folder::errno(&error))?;
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(door) = open.get(&folder).and_then(Weak::upgrade) {
            return Ok(door);
        }
        let door = Arc::new(Self {
            hosted: Hosted::open(&folder)?,
            volume: volume.to_owned(),
        });
        open.insert(folder, Arc::downgrade(&door));
        Ok(door)
    }
}

impl Door for Embedded {
    fn submit(&self, client: ClientId, call: Call, then: Then) {
        self.hosted.submit(client, call, then);
    }

    fn describe(&self) -> Result<String, Errno> {
        self.hosted.describe(&self.volume)
    }

    /// The bricks of a real cluster live on and write back what they have; these end with the last
    /// mount, so they do it now.
    fn leave(&self, client: ClientId) -> Answer {
        let left = self.call(client, Call::Fini);
        self.hosted.settle_if_deserted()?;
        left
    }
}
