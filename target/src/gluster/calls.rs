//! libgfapi in safe Rust: a volume, an open file, and what they can be asked. Every call blocks,
//! some without end.
#![allow(unsafe_code)]

mod names;

use std::ffi::{CStr, c_int, c_void};
use std::io;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use glfs_sys::Api;
use glfs_sys::types::{
    F_GETLK, F_RDLCK, F_SETLK, F_UNLCK, F_WRLCK, Flock, Glfs, GlfsFd, IoVec, O_DIRECT, O_DSYNC,
    O_EXCL, O_RDONLY, O_RDWR, Offset, S_IFDIR, S_IFMT, S_IFREG, SEEK_DATA, SEEK_HOLE, SEEK_SET,
    Stat, StatVfs,
};
use rustix::io::Errno;

use super::volfile::Nature;

/// How often a volume's description may grow while it is asked for.
const VOLFILE_TRIES: usize = 4;

/// Writes from this size on are synced by their range, smaller ones with the file they are in, where
/// one sync serves several: measured, docs/decisions/006.
const SYNCING_BYTES_MIN: usize = 64 << 10;

/// Permissions of a file we make: nobody but the owner.
const MODE: u32 = 0o600;

/// A volume: a `glfs_t`.
pub(super) struct Fs {
    api: &'static Api,
    raw: NonNull<Glfs>,
    connected: bool,
    /// What its description says; known once connected.
    pub(super) nature: Nature,
}

// SAFETY: libgfapi locks a glfs_t by itself; any thread may use it, several at a time.
unsafe impl Send for Fs {}
// SAFETY: as above.
unsafe impl Sync for Fs {}

impl Fs {
    /// A volume that is not connected yet.
    pub(super) fn new(api: &'static Api, volume: &CStr) -> io::Result<Self> {
        // SAFETY: the name is a C string, which is copied.
        let raw = unsafe { (api.glfs_new)(volume.as_ptr()) };
        let raw = NonNull::new(raw).ok_or_else(io::Error::last_os_error)?;
        Ok(Self {
            api,
            raw,
            connected: false,
            nature: Nature::default(),
        })
    }

    /// One more server to ask for the volume's description; they are tried in turn.
    pub(super) fn add_server(&mut self, host: &CStr, port: u16) -> io::Result<()> {
        // SAFETY: both are C strings, which are copied; the glfs_t is ours and lives.
        check(unsafe {
            (self.api.glfs_set_volfile_server)(
                self.raw.as_ptr(),
                c"tcp".as_ptr(),
                host.as_ptr(),
                c_int::from(port),
            )
        })
    }

    /// Sets an option of every translator whose name matches, of this client only.
    pub(super) fn set_option(&mut self, xlator: &CStr, key: &CStr, value: &CStr) -> io::Result<()> {
        // SAFETY: all three are C strings, which are copied; the glfs_t is ours and lives.
        check(unsafe {
            (self.api.glfs_set_xlator_option)(
                self.raw.as_ptr(),
                xlator.as_ptr(),
                key.as_ptr(),
                value.as_ptr(),
            )
        })
    }

    /// Connects.
    pub(super) fn connect(&mut self) -> io::Result<()> {
        // SAFETY: the glfs_t is ours, lives, and was not connected before.
        check(unsafe { (self.api.glfs_init)(self.raw.as_ptr()) })?;
        self.connected = true;
        Ok(())
    }

    /// The volume's description as this client got it: its translators and their options.
    ///
    /// Asks for exactly as much as there is: given more room, the library fills it from beyond the
    /// end of its own text (api/src/glfs-mgmt.c, `glfs_get_volfile`).
    pub(super) fn volfile(&self) -> io::Result<String> {
        // It may be told a longer one meanwhile; then it says so once more.
        for _ in 0..VOLFILE_TRIES {
            // SAFETY: the glfs_t lives and is connected; without room the library tells how much it
            // needs, as a negative number.
            let needed =
                unsafe { (self.api.glfs_get_volfile)(self.raw.as_ptr(), ptr::null_mut(), 0) };
            let mut text = vec![0_u8; needed.unsigned_abs()];
            let room = text.as_mut_ptr().cast::<c_void>();
            // SAFETY: the glfs_t lives and is connected; the library writes at most `len` bytes
            // there, of as many that it has.
            let got = unsafe { (self.api.glfs_get_volfile)(self.raw.as_ptr(), room, text.len()) };
            if got < 0 {
                continue;
            }
            let end = text.iter().position(|byte| *byte == 0);
            text.truncate(end.unwrap_or(text.len()));
            return String::from_utf8(text).map_err(io::Error::other);
        }
        Err(io::Error::other("the volume's description keeps changing"))
    }

    /// Bytes the volume holds in all, and those it has left.
    pub(super) fn room(&self) -> io::Result<(u64, u64)> {
        // SAFETY: struct statvfs is plain numbers, of which zero is one.
        let mut found: StatVfs = unsafe { std::mem::zeroed() };
        // SAFETY: the glfs_t lives and is connected; the path is a C string that is not kept, and
        // the library writes one struct statvfs.
        check(unsafe {
            (self.api.glfs_statvfs)(self.raw.as_ptr(), c"/".as_ptr(), &raw mut found)
        })?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok((bytes(found.f_blocks), bytes(found.f_bavail)))
    }

    /// Whether every brick that is to hold the file at `path` answers for it. False where that is
    /// not known.
    fn is_on_every_brick(&self, path: &CStr) -> bool {
        let mut text = vec![0_u8; 16 << 10];
        let name = c"trusted.glusterfs.pathinfo";
        let room = text.as_mut_ptr().cast::<c_void>();
        // SAFETY: the glfs_t lives and is connected; path and name are C strings that are not kept,
        // and the library writes at most `len` bytes.
        let got = unsafe {
            (self.api.glfs_getxattr)(
                self.raw.as_ptr(),
                path.as_ptr(),
                name.as_ptr(),
                room,
                text.len(),
            )
        };
        text.truncate(count(got).unwrap_or(0));
        let bricks = String::from_utf8_lossy(&text).matches("<POSIX(").count();
        self.nature.copies == Some(bricks)
    }

    fn open(&self, path: &CStr, flags: c_int) -> io::Result<NonNull<GlfsFd>> {
        // SAFETY: the glfs_t lives and is connected; the path is a C string that is not kept.
        let raw = unsafe { (self.api.glfs_open)(self.raw.as_ptr(), path.as_ptr(), flags) };
        NonNull::new(raw).ok_or_else(io::Error::last_os_error)
    }

    fn create(&self, path: &CStr) -> io::Result<NonNull<GlfsFd>> {
        // SAFETY: the glfs_t lives and is connected; the path is a C string that is not kept.
        let raw = unsafe {
            (self.api.glfs_creat)(self.raw.as_ptr(), path.as_ptr(), O_RDWR | O_EXCL, MODE)
        };
        NonNull::new(raw).ok_or_else(io::Error::last_os_error)
    }
}

impl Drop for Fs {
    /// Takes ten seconds. One that never connected is left alone: the library would wait for
    /// threads that wait for servers.
    fn drop(&mut self) {
        if !self.connected {
            return;
        }
        // SAFETY: the glfs_t is connected, and nothing uses it: every file holds on to it.
        if let Err(why) = check(unsafe { (self.api.glfs_fini)(self.raw.as_ptr()) }) {
            tracing::debug!("glfs_fini: {why}");
        }
    }
}

/// An open file: a `glfs_fd_t`, and the volume it is in.
pub(super) struct GlusterFile {
    fs: Arc<Fs>,
    raw: NonNull<GlfsFd>,
    /// The same file opened with O_DSYNC, where every brick has it open so.
    syncing: Option<NonNull<GlfsFd>>,
}

// SAFETY: libgfapi counts and locks a glfs_fd_t by itself; any thread may use it, several at a
// time, as long as nobody closes it, which only dropping it does.
unsafe impl Send for GlusterFile {}
// SAFETY: as above.
unsafe impl Sync for GlusterFile {}

/// What a name or an open file turned out to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) kind: Kind,
    /// Its number in the volume: the half of its gfid that is random. A rename keeps it, a copy
    /// gets its own, and it is not given again.
    pub(super) number: u64,
    pub(super) bytes: u64,
    /// Bytes that have room of their own.
    pub(super) allocated: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Other,
}

impl Found {
    fn from_stat(stat: &Stat) -> Self {
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        Self {
            kind: match stat.st_mode & S_IFMT {
                S_IFREG => Kind::File,
                S_IFDIR => Kind::Folder,
                _ => Kind::Other,
            },
            number: stat.st_ino,
            bytes: count(stat.st_size),
            // In 512 bytes, whatever the size of a block (stat(2)).
            allocated: count(stat.st_blocks).saturating_mul(512),
        }
    }
}

fn blank_stat() -> Stat {
    // SAFETY: struct stat is plain numbers, of which zero is one.
    unsafe { std::mem::zeroed() }
}

/// How a file is opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    pub(super) write: bool,
    /// Past the page caches of the bricks.
    pub(super) direct: bool,
    /// Large durable writes through a handle of their own, with O_DSYNC, where all bricks have it.
    pub(super) sync: bool,
}

impl GlusterFile {
    /// Opens the file at `path`.
    pub(super) fn open(fs: &Arc<Fs>, path: &CStr, access: Access) -> io::Result<Self> {
        let write = if access.write { O_RDWR } else { O_RDONLY };
        let direct = if access.direct { O_DIRECT } else { 0 };
        let raw = fs.open(path, write | direct)?;
        let mut file = Self {
            fs: Arc::clone(fs),
            raw,
            syncing: None,
        };
        if access.sync && fs.is_on_every_brick(path) {
            // Without it each write asks for itself.
            file.syncing = fs.open(path, write | direct | O_DSYNC).ok();
            if !fs.is_on_every_brick(path) {
                file.stop_syncing();
            }
        }
        Ok(file)
    }

    fn stop_syncing(&mut self) {
        if let Some(raw) = self.syncing.take() {
            self.close(raw);
        }
    }

    /// Closes one of the handles, which is not used again.
    fn close(&self, raw: NonNull<GlfsFd>) {
        // SAFETY: the handle is open and ours alone, and whoever calls this has let go of it; its
        // volume is let go of after it.
        if let Err(why) = check(unsafe { (self.fs.api.glfs_close)(raw.as_ptr()) }) {
            tracing::warn!("an image did not close in order: {why}");
        }
    }

    /// Makes the file at `path`, where there is none.
    pub(super) fn create(fs: &Arc<Fs>, path: &CStr) -> io::Result<Self> {
        let raw = fs.create(path)?;
        Ok(Self {
            fs: Arc::clone(fs),
            raw,
            syncing: None,
        })
    }

    /// What it is.
    pub(super) fn look(&self) -> io::Result<Found> {
        let mut stat = blank_stat();
        // SAFETY: the file is open, and the library writes one struct stat.
        check(unsafe { (self.fs.api.glfs_fstat)(self.raw.as_ptr(), &raw mut stat) })?;
        Ok(Found::from_stat(&stat))
    }

    /// Gives it another size.
    pub(super) fn set_size(&self, bytes: u64) -> io::Result<()> {
        let bytes = offset(bytes)?;
        let none = ptr::null_mut;
        // SAFETY: the file is open; the attributes before and after are not asked for.
        check(unsafe { (self.fs.api.glfs_ftruncate)(self.raw.as_ptr(), bytes, none(), none()) })
    }

    /// Reads at most as much as `into` holds; 0 at the end of the file.
    pub(super) fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let at = offset(at)?;
        let slice = IoVec {
            iov_base: into.as_mut_ptr().cast(),
            iov_len: into.len(),
        };
        // SAFETY: the file is open; the one slice is memory that is borrowed for writing until the
        // call returns, and the library has copied into it by then.
        count(unsafe { (self.fs.api.glfs_preadv)(self.raw.as_ptr(), &raw const slice, 1, at, 0) })
    }

    /// Writes at most all of `from`, `durable` so that it survives a power cut of the bricks.
    pub(super) fn write_at(&self, from: &[u8], at: u64, durable: bool) -> io::Result<usize> {
        let at = offset(at)?;
        let syncing = self
            .syncing
            .filter(|_| durable && from.len() >= SYNCING_BYTES_MIN);
        let (raw, flags) = match syncing {
            Some(raw) => (raw, 0),
            None => (self.raw, if durable { O_DSYNC } else { 0 }),
        };
        let slice = IoVec {
            iov_base: from.as_ptr().cast_mut().cast(),
            iov_len: from.len(),
        };
        // SAFETY: the file is open; the one slice is memory that is borrowed until the call
        // returns, and the library only reads it.
        count(unsafe { (self.fs.api.glfs_pwritev)(raw.as_ptr(), &raw const slice, 1, at, flags) })
    }

    /// Gives up the space of these bytes, which read as zeros from then on.
    pub(super) fn discard(&self, at: u64, len: u64) -> io::Result<()> {
        let (at, len) = (offset(at)?, offset(len)? as usize);
        // SAFETY: the file is open.
        check(unsafe { (self.fs.api.glfs_discard)(self.raw.as_ptr(), at, len) })
    }

    /// Lets the bricks write zeros.
    pub(super) fn zero(&self, at: u64, len: u64) -> io::Result<()> {
        let (at, len) = (offset(at)?, offset(len)?);
        // SAFETY: the file is open.
        check(unsafe { (self.fs.api.glfs_zerofill)(self.raw.as_ptr(), at, len) })
    }

    /// The next data, or the next hole, at or after `at`; `None` where there is none. Moves the
    /// file's own position, which nothing here uses.
    pub(super) fn next(&self, at: u64, hole: bool) -> io::Result<Option<u64>> {
        let at = offset(at)?;
        let whence = if hole { SEEK_HOLE } else { SEEK_DATA };
        // SAFETY: the file is open.
        let found = unsafe { (self.fs.api.glfs_lseek)(self.raw.as_ptr(), at, whence) };
        match u64::try_from(found).map_err(|_| io::Error::last_os_error()) {
            Ok(found) => Ok(Some(found)),
            Err(why) if Errno::from_io_error(&why) == Some(Errno::NXIO) => Ok(None),
            Err(why) => Err(why),
        }
    }

    /// Makes durable what was written before.
    pub(super) fn sync_data(&self) -> io::Result<()> {
        let none = ptr::null_mut;
        // SAFETY: the file is open; the attributes before and after are not asked for.
        check(unsafe { (self.fs.api.glfs_fdatasync)(self.raw.as_ptr(), none(), none()) })
    }

    /// As [`GlusterFile::sync_data`], and with the data the names the file has got since.
    pub(super) fn sync_all(&self) -> io::Result<()> {
        let none = ptr::null_mut;
        // SAFETY: the file is open; the attributes before and after are not asked for.
        check(unsafe { (self.fs.api.glfs_fsync)(self.raw.as_ptr(), none(), none()) })
    }

    /// Reserves room for that range, and grows the file to its end.
    pub(super) fn allocate(&self, at: u64, len: u64) -> io::Result<()> {
        let (at, len) = (offset(at)?, offset(len)? as usize);
        // SAFETY: the file is open; everything else is numbers.
        check(unsafe { (self.fs.api.glfs_fallocate)(self.raw.as_ptr(), 0, at, len) })
    }
}

/// Who else may have a lock at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lock {
    /// Others who share it.
    Shared,
    /// Nobody.
    Exclusive,
}

impl GlusterFile {
    /// Takes a lock on all of it, which others can ask about and which closing it, or the end of
    /// this process, gives back. `false` if somebody has one that does not go with it.
    pub(super) fn lock(&self, lock: Lock) -> io::Result<bool> {
        let kind = match lock {
            Lock::Shared => F_RDLCK,
            Lock::Exclusive => F_WRLCK,
        };
        match self.posix_lock(F_SETLK, kind) {
            Ok(_) => Ok(true),
            Err(why) => match Errno::from_io_error(&why) {
                Some(Errno::AGAIN | Errno::ACCESS) => Ok(false),
                _ => Err(why),
            },
        }
    }

    /// Whether another client has a lock on it, of whatever kind.
    pub(super) fn lock_of_others(&self) -> io::Result<bool> {
        let found = self.posix_lock(F_GETLK, F_WRLCK)?;
        Ok(c_int::from(found.l_type) != F_UNLCK)
    }

    fn posix_lock(&self, command: c_int, kind: c_int) -> io::Result<Flock> {
        // SAFETY: struct flock is plain numbers, of which zero is one; a length of zero is all of
        // the file.
        let mut lock: Flock = unsafe { std::mem::zeroed() };
        lock.l_type = kind as _;
        lock.l_whence = SEEK_SET as _;
        // SAFETY: the file is open; the library reads and writes one struct flock.
        check(unsafe { (self.fs.api.glfs_posix_lock)(self.raw.as_ptr(), command, &raw mut lock) })?;
        Ok(lock)
    }
}

impl Drop for GlusterFile {
    fn drop(&mut self) {
        self.stop_syncing();
        self.close(self.raw);
    }
}

fn offset(bytes: u64) -> io::Result<Offset> {
    Offset::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// Below zero the reason is in `errno`, which nothing has touched since.
fn check(result: c_int) -> io::Result<()> {
    match result {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn count(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
