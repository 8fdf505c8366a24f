//! Calls on paths and handles: open to close, attributes, removal.

use std::ffi::{c_char, c_int, c_void};
use std::sync::{Arc, Mutex};

use glfs_sys::types::{Glfs, GlfsFd};

use crate::call::{Attributes, Handle, Moment, OpKind};
use crate::errno::Errno;
use crate::plan::{Outcome, Verdict};
use crate::volume::Volume;

use super::boundary::{guard, path, stat, store, unsigned};
use super::mount::{self, Live, OpenFile};

/// Hands a handle out.
pub(super) fn give(fs: *mut Glfs, live: Live, path: String, handle: Handle) -> *mut GlfsFd {
    mount::add_file(OpenFile {
        mount: fs.addr(),
        live,
        path,
        handle,
        position: Mutex::new(0),
        listing: Mutex::default(),
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_open(
    fs: *mut Glfs,
    name: *const c_char,
    flags: c_int,
) -> *mut GlfsFd {
    guard(|| {
        let (live, name) = (mount::mount(fs)?.live()?, path(name)?);
        let handle = live
            .shared
            .perform(OpKind::Open, &name, |volume, now, verdict| {
                volume.open_file(now, verdict, live.client, &name, flags)
            })?;
        Ok(give(fs, live, name, handle))
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
        let (live, name) = (mount::mount(fs)?.live()?, path(name)?);
        let handle = live
            .shared
            .perform(OpKind::Creat, &name, |volume, now, verdict| {
                volume.create_file(now, verdict, live.client, &name, (flags, mode))
            })?;
        Ok(give(fs, live, name, handle))
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_dup(fd: *mut GlfsFd) -> *mut GlfsFd {
    guard(|| {
        let file = mount::file(fd)?;
        let handle = file.live.shared.model()?.duplicate(file.handle)?;
        let fs = std::ptr::without_provenance_mut(file.mount);
        Ok(give(fs, file.live.clone(), file.path.clone(), handle))
    })
}

/// Closes; the handle is gone even where the answer is a failure.
#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_close(fd: *mut GlfsFd) -> c_int {
    guard(|| {
        let file = mount::remove_file(fd)?;
        file.live
            .shared
            .perform(OpKind::Close, &file.path, |volume, now, verdict| {
                volume.close(now, verdict, file.handle)
            })?;
        Ok(0)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_from_glfd(fd: *mut GlfsFd) -> *mut Glfs {
    guard(|| Ok(std::ptr::without_provenance_mut(mount::file(fd)?.mount)))
}

/// A call on a path that the plan can hinder.
fn on_path<T>(
    fs: *mut Glfs,
    name: *const c_char,
    kind: OpKind,
    call: impl FnOnce(&mut Volume, &Live, &str, (Moment, &Verdict)) -> Result<T, Errno>,
) -> Result<T, Errno> {
    let (live, name) = (mount::mount(fs)?.live()?, path(name)?);
    let shared = Arc::clone(&live.shared);
    shared.perform(kind, &name, |volume, now, verdict| {
        call(volume, &live, &name, (now, verdict))
    })
}

/// For calls that only look: what the plan has for them.
pub(super) fn passed(verdict: &Verdict) -> Result<(), Errno> {
    match verdict.outcome {
        Outcome::Fail(errno) | Outcome::Lose(errno) => Err(errno),
        Outcome::Proceed | Outcome::Short(_) | Outcome::Cut => Ok(()),
    }
}

fn look(fs: *mut Glfs, name: *const c_char) -> Result<Attributes, Errno> {
    on_path(fs, name, OpKind::Stat, |volume, _, name, (_, verdict)| {
        passed(verdict).and_then(|()| volume.stat(name))
    })
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
        let found = file
            .live
            .shared
            .perform(OpKind::Stat, &file.path, |volume, _, verdict| {
                passed(verdict).and_then(|()| volume.stat_handle(file.handle))
            })?;
        store(into, stat(&found));
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
        let space = on_path(
            fs,
            name,
            OpKind::Statvfs,
            |volume, _, name, (_, verdict)| {
                passed(verdict)?;
                volume.find(name)?;
                volume.space()
            },
        )?;
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

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_truncate(fs: *mut Glfs, name: *const c_char, length: i64) -> c_int {
    guard(|| {
        let size = unsigned(length)?;
        on_path(
            fs,
            name,
            OpKind::Truncate,
            |volume, live, name, (now, verdict)| {
                let calm = Verdict::default();
                let handle = volume.open_file(now, &calm, live.client, name, libc::O_RDWR)?;
                let result = volume.truncate(now, verdict, handle, size);
                volume.close(now, &calm, handle).and(result)
            },
        )?;
        Ok(0)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_unlink(fs: *mut Glfs, name: *const c_char) -> c_int {
    guard(|| {
        on_path(
            fs,
            name,
            OpKind::Unlink,
            |volume, live, name, (now, verdict)| {
                volume.remove(now, verdict, live.client, name, false)
            },
        )?;
        Ok(0)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_rmdir(fs: *mut Glfs, name: *const c_char) -> c_int {
    guard(|| {
        on_path(
            fs,
            name,
            OpKind::Rmdir,
            |volume, live, name, (now, verdict)| {
                volume.remove(now, verdict, live.client, name, true)
            },
        )?;
        Ok(0)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_mkdir(fs: *mut Glfs, name: *const c_char, mode: u32) -> c_int {
    guard(|| {
        on_path(
            fs,
            name,
            OpKind::Mkdir,
            |volume, live, name, (now, verdict)| {
                volume.make_directory(now, verdict, live.client, name, mode)
            },
        )?;
        Ok(0)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_rename(
    fs: *mut Glfs,
    from: *const c_char,
    to: *const c_char,
) -> c_int {
    guard(|| {
        let to = path(to)?;
        on_path(
            fs,
            from,
            OpKind::Rename,
            |volume, live, from, (now, verdict)| {
                volume.rename(now, verdict, live.client, from, &to)
            },
        )?;
        Ok(0)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_link(fs: *mut Glfs, from: *const c_char, to: *const c_char) -> c_int {
    guard(|| {
        let to = path(to)?;
        on_path(
            fs,
            from,
            OpKind::Link,
            |volume, live, from, (now, verdict)| volume.link(now, verdict, live.client, from, &to),
        )?;
        Ok(0)
    })
}

/// Not in this model yet: refused, because a lock that guards nothing is worse than none.
#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_posix_lock(
    _fd: *mut GlfsFd,
    _cmd: c_int,
    _lock: *mut libc::flock,
) -> c_int {
    guard(|| Err(Errno::EOPNOTSUPP))
}

/// Not in this model yet, as [`glfs_posix_lock`].
#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_file_lock(
    _fd: *mut GlfsFd,
    _cmd: c_int,
    _lock: *mut libc::flock,
    _mode: c_int,
) -> c_int {
    guard(|| Err(Errno::EOPNOTSUPP))
}

/// Not in this model yet, as [`glfs_posix_lock`].
#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_fd_set_lkowner(
    _fd: *mut GlfsFd,
    _owner: *mut c_void,
    _len: c_int,
) -> c_int {
    guard(|| Err(Errno::EOPNOTSUPP))
}
