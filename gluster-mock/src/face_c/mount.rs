//! Mounts and handles of this process, by number.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use glfs_sys::types::{Glfs, GlfsFd};

use crate::call::{Answer, Attributes, Call, ClientId, Handle, Place, Reply};
use crate::errno::Errno;

use super::directory::Listing;
use super::door::Door;

/// A `glfs_t`.
pub(super) struct Mount {
    pub(super) volume: String,
    pub(super) setup: Mutex<Setup>,
    pub(super) live: Mutex<Option<Live>>,
}

/// What is said before `glfs_init`.
#[derive(Default)]
pub(super) struct Setup {
    pub(super) servers: Vec<(String, c_int)>,
    pub(super) options: Vec<[String; 3]>,
}

/// What `glfs_init` made.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) door: Arc<dyn Door>,
    pub(super) client: ClientId,
    /// Whether answers are believed to say what became of the file: not where a cache or one shard
    /// of many gives them.
    pub(super) tells_stat: bool,
}

impl Mount {
    pub(super) fn live(&self) -> Result<Live, Errno> {
        let live = self.live.lock().map_err(|_| Errno::EIO)?;
        live.clone().ok_or(Errno::EINVAL)
    }
}

impl Live {
    pub(super) fn call(&self, call: Call) -> Answer {
        self.door.call(self.client, call)
    }

    pub(super) fn stat(&self, place: Place) -> Result<Attributes, Errno> {
        match self.call(Call::Stat { place })? {
            Reply::Attributes(found) => Ok(found),
            _ => Err(Errno::EIO),
        }
    }
}

/// A `glfs_fd_t`.
pub(super) struct OpenFile {
    pub(super) mount: usize,
    pub(super) live: Live,
    pub(super) held: Held,
    /// Where `glfs_read` and `glfs_write` go on.
    pub(super) position: Mutex<u64>,
    /// What `glfs_fd_set_lkowner` said.
    pub(super) owner: Mutex<Option<Vec<u8>>>,
}

/// What is open.
pub(super) enum Held {
    File(Handle),
    Directory {
        path: String,
        listing: Mutex<Listing>,
    },
}

impl OpenFile {
    /// What calls on bytes need.
    pub(super) fn handle(&self) -> Result<Handle, Errno> {
        match self.held {
            Held::File(handle) => Ok(handle),
            Held::Directory { .. } => Err(Errno::EISDIR),
        }
    }

    pub(super) fn place(&self) -> Place {
        match &self.held {
            Held::File(handle) => Place::Handle(*handle),
            Held::Directory { path, .. } => Place::Path(path.clone()),
        }
    }
}

/// Things by number. Numbers are never used twice.
struct Numbered<T>(Mutex<BTreeMap<usize, Arc<T>>>);

static MOUNTS: Numbered<Mount> = Numbered(Mutex::new(BTreeMap::new()));
static FILES: Numbered<OpenFile> = Numbered(Mutex::new(BTreeMap::new()));

impl<T> Numbered<T> {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, Arc<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, thing: T) -> usize {
        static NEXT: AtomicU64 = AtomicU64::new(0x1000);
        let number = NEXT.fetch_add(0x10, Ordering::Relaxed) as usize;
        self.lock().insert(number, Arc::new(thing));
        number
    }
}

pub(super) fn add_mount(mount: Mount) -> *mut Glfs {
    std::ptr::without_provenance_mut(MOUNTS.add(mount))
}

pub(super) fn mount(fs: *mut Glfs) -> Result<Arc<Mount>, Errno> {
    MOUNTS.lock().get(&fs.addr()).cloned().ok_or(Errno::EINVAL)
}

/// The mount goes, and its handles with it.
pub(super) fn remove_mount(fs: *mut Glfs) -> Result<Arc<Mount>, Errno> {
    let mount = MOUNTS.lock().remove(&fs.addr()).ok_or(Errno::EINVAL)?;
    FILES.lock().retain(|_, file| file.mount != fs.addr());
    Ok(mount)
}

pub(super) fn add_file(file: OpenFile) -> *mut GlfsFd {
    std::ptr::without_provenance_mut(FILES.add(file))
}

pub(super) fn file(fd: *mut GlfsFd) -> Result<Arc<OpenFile>, Errno> {
    FILES.lock().get(&fd.addr()).cloned().ok_or(Errno::EBADF)
}

pub(super) fn remove_file(fd: *mut GlfsFd) -> Result<Arc<OpenFile>, Errno> {
    FILES.lock().remove(&fd.addr()).ok_or(Errno::EBADF)
}
