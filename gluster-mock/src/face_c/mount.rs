//! Open volumes and handles of this process, by number.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use glfs_sys::types::{Glfs, GlfsFd};

use crate::call::{ClientId, Handle, Moment, OpKind};
use crate::errno::Errno;
use crate::plan::{Plan, Verdict};
use crate::volume::Volume;

use super::directory::Listing;
use super::folder;

/// One volume of this process, shared by its mounts.
pub(super) struct Shared {
    volume: Mutex<Volume>,
    folder: PathBuf,
    start: Instant,
    plan: Mutex<PlanFile>,
    /// Ours as long as it is open.
    _lock: File,
}

#[derive(Default)]
struct PlanFile {
    looked: Option<Instant>,
    /// Inode, length, and time of change: any of them tells of another plan.
    seen: Option<(u64, u64, i64, i64)>,
}

/// How soon a changed plan is noticed.
const PLAN_INTERVAL: Duration = Duration::from_millis(5);

impl Shared {
    /// The volume in that folder, opened once a process.
    pub(super) fn open(folder: &Path) -> Result<Arc<Self>, Errno> {
        static OPEN: Mutex<BTreeMap<PathBuf, Weak<Shared>>> = Mutex::new(BTreeMap::new());
        let folder = fs::canonicalize(folder).map_err(|error| folder::errno(&error))?;
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = open.get(&folder).and_then(Weak::upgrade) {
            return Ok(shared);
        }
        let (volume, lock) = folder::open(&folder)?;
        let shared = Arc::new(Self {
            volume: Mutex::new(volume),
            folder: folder.clone(),
            start: Instant::now(),
            plan: Mutex::default(),
            _lock: lock,
        });
        open.insert(folder, Arc::downgrade(&shared));
        Ok(shared)
    }

    /// The model, to look something up or to change what no plan can hinder.
    pub(super) fn model(&self) -> Result<MutexGuard<'_, Volume>, Errno> {
        // A panic in the model is a bug of ours; what it left is not to be trusted.
        self.volume.lock().map_err(|_| Errno::EIO)
    }

    pub(super) fn now(&self) -> Moment {
        Moment::default().after(self.start.elapsed())
    }

    /// One call: both halves, and the wait between them.
    pub(super) fn perform<T>(
        &self,
        kind: OpKind,
        path: &str,
        call: impl FnOnce(&mut Volume, Moment, &Verdict) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        self.look_at_plan();
        let verdict = self.model()?.begin(self.now(), kind, path);
        thread::sleep(verdict.delay);
        while self.model()?.hangs(&verdict) {
            thread::sleep(PLAN_INTERVAL);
            self.look_at_plan();
        }
        let mut volume = self.model()?;
        let result = call(&mut volume, self.now(), &verdict);
        if volume.is_dark() {
            lose_power();
        }
        result
    }

    fn look_at_plan(&self) {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        if plan
            .looked
            .is_some_and(|looked| looked.elapsed() < PLAN_INTERVAL)
        {
            return;
        }
        plan.looked = Some(Instant::now());
        let path = self.folder.join("plan");
        let seen = fs::metadata(&path).ok();
        let seen = seen.map(|file| (file.ino(), file.len(), file.mtime(), file.mtime_nsec()));
        if seen == plan.seen {
            return;
        }
        plan.seen = seen;
        let text = fs::read_to_string(&path).unwrap_or_default();
        match Plan::parse(&text) {
            Ok(plan) => {
                if let Ok(mut volume) = self.model() {
                    volume.set_plan(plan);
                }
            }
            Err(error) => folder::complain(&self.folder, "plan", &error),
        }
    }
}

/// The machine goes dark, and this process with it: no destructor, no flush.
fn lose_power() -> ! {
    // SAFETY: a signal to this very process, which needs nothing from us any more.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    std::process::abort()
}

/// A `glfs_t`.
pub(super) struct Mount {
    pub(super) volume: String,
    pub(super) setup: Mutex<Setup>,
    pub(super) live: Mutex<Option<Live>>,
}

/// What is said before `glfs_init`.
#[derive(Default)]
pub(super) struct Setup {
    pub(super) servers: Vec<String>,
    pub(super) options: Vec<[String; 3]>,
}

/// What `glfs_init` made.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) shared: Arc<Shared>,
    pub(super) client: ClientId,
}

impl Mount {
    pub(super) fn live(&self) -> Result<Live, Errno> {
        let live = self.live.lock().map_err(|_| Errno::EIO)?;
        live.clone().ok_or(Errno::EINVAL)
    }
}

/// A `glfs_fd_t`.
pub(super) struct OpenFile {
    pub(super) mount: usize,
    pub(super) live: Live,
    pub(super) path: String,
    pub(super) handle: Handle,
    /// Where `glfs_read` and `glfs_write` go on.
    pub(super) position: Mutex<u64>,
    /// What `glfs_opendir` found.
    pub(super) listing: Mutex<Option<Listing>>,
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
