//! Calls on paths and handles: open to close, attributes, removal.

use std::ffi::{c_char, c_int};
use std::sync::Mutex;

use glfs_sys::types::{Glfs, GlfsFd};

use crate::call::{Answer, Attributes, Call, Place, Reply};
use crate::errno::Errno;

use super::boundary::{guard, path, stat, store, unsigned};
use super::lock;
use super::mount::{self, Held, Live, OpenFile};

/// Hands a handle out.
pub(super) fn give(fs: *mut Glfs, live: Live, held: Held) -> *mut GlfsFd {
    mount::add_file(OpenFile {
        mount: fs.addr(),
        live,
        held,
        position: Mutex::new(0),
        owner: Mutex::default(),
    })
}

/// Hands the handle out that was earned.
fn give_handle(fs: *mut Glfs, live: Live, call: Call) -> Result<*mut GlfsFd, Errno> {
    match live.call(call)? {
        Reply::Handle(handle) => Ok(give(fs, live, Held::File(handle))),
        _ => Err(Errno::EIO),
    }
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_open(
    fs: *mut Glfs,
    name: *const c_char,
    flags: c_int,
) -> *mut GlfsFd {
    guard(|| {
        let (live, path) = (mount::mount(fs)?.live()?, path(name)?);
        give_handle(fs, live, Call::Open { path, flags })
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_creat(
    fs: *mut Glfs,
    name: *const c_char,
    flags: c_int,
    mode: u32,
) -> *mut GlfsFd {
    guard(|| {
        let (live, path) = (mount::mount(fs)?.live()?, path(name)?);
        give_handle(fs, live, Call::Create { path, flags, mode })
    })
}

/// Another handle of the same file. The owner of locks does not come with it.
#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_dup(fd: *mut GlfsFd) -> *mut GlfsFd {
    guard(|| {
        let file = mount::file(fd)?;
        let handle = file.handle()?;
        let fs = std::ptr::without_provenance_mut(file.mount);
        give_handle(fs, file.live.clone(), Call::Duplicate { handle })
    })
}

/// Closes; the handle is gone even where the answer is a failure.
#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_close(fd: *mut GlfsFd) -> c_int {
    guard(|| {
        let file = mount::remove_file(fd)?;
        lock::apply_owner(&file)?;
        let handle = file.handle()?;
        file.live.call(Call::Close { handle })?;
        Ok(0)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_from_glfd(fd: *mut GlfsFd) -> *mut Glfs {
    guard(|| Ok(std::ptr::without_provenance_mut(mount::file(fd)?.mount)))
}

fn look(fs: *mut Glfs, name: *const c_char) -> Result<Attributes, Errno> {
    mount::mount(fs)?.live()?.stat(Place::Path(path(name)?))
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_stat(
    fs: *mut Glfs,
    name: *const c_char,
    into: *mut libc::stat,
) -> c_int {
    guard(|| {
        store(into, stat(&look(fs, name)?));
        Ok(0)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_lstat(
    fs: *mut Glfs,
    name: *const c_char,
    into: *mut libc::stat,
) -> c_int {
    glfs_stat(fs, name, into)
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_access(fs: *mut Glfs, name: *const c_char, _mode: c_int) -> c_int {
    guard(|| look(fs, name).map(|_| 0))
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_fstat(fd: *mut GlfsFd, into: *mut libc::stat) -> c_int {
    guard(|| {
        let file = mount::file(fd)?;
        store(into, stat(&file.live.stat(file.place())?));
        Ok(0)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_statvfs(
    fs: *mut Glfs,
    name: *const c_char,
    into: *mut libc::statvfs,
) -> c_int {
    guard(|| {
        let Reply::Space(space) = on_path(fs, name, |path| Call::Space { path })? else {
            return Err(Errno::EIO);
        };
        // SAFETY: plain numbers, for all of which zero is a value.
        let mut answer: libc::statvfs = unsafe { std::mem::zeroed() };
        answer.f_bsize = 4096;
        answer.f_frsize = 4096;
        answer.f_blocks = space.total / 4096;
        answer.f_bfree = space.free / 4096;
        answer.f_bavail = space.free / 4096;
        answer.f_files = 1 << 20;
        answer.f_ffree = 1 << 19;
        answer.f_favail = 1 << 19;
        answer.f_namemax = 255;
        store(into, answer);
        Ok(0)
    })
}

/// A call on a path.
fn on_path(fs: *mut Glfs, name: *const c_char, call: impl FnOnce(String) -> Call) -> Answer {
    let (live, name) = (mount::mount(fs)?.live()?, path(name)?);
    live.call(call(name))
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_truncate(fs: *mut Glfs, name: *const c_char, length: i64) -> c_int {
    guard(|| {
        let size = unsigned(length)?;
        let truncate = |path| Call::Truncate {
            place: Place::Path(path),
            size,
        };
        on_path(fs, name, truncate).map(|_| 0)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_unlink(fs: *mut Glfs, name: *const c_char) -> c_int {
    guard(|| on_path(fs, name, |path| Call::Unlink { path }).map(|_| 0))
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_rmdir(fs: *mut Glfs, name: *const c_char) -> c_int {
    guard(|| on_path(fs, name, |path| Call::Rmdir { path }).map(|_| 0))
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_mkdir(fs: *mut Glfs, name: *const c_char, mode: u32) -> c_int {
    guard(|| on_path(fs, name, |path| Call::Mkdir { path, mode }).map(|_| 0))
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_rename(
    fs: *mut Glfs,
    from: *const c_char,
    to: *const c_char,
) -> c_int {
    guard(|| {
        let to = path(to)?;
        on_path(fs, from, |from| Call::Rename { from, to }).map(|_| 0)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_link(fs: *mut Glfs, from: *const c_char, to: *const c_char) -> c_int {
    guard(|| {
        let to = path(to)?;
        on_path(fs, from, |from| Call::Link { from, to }).map(|_| 0)
    })
}
