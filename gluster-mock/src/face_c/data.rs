//! Synchronous calls on bytes.

use std::ffi::{c_int, c_uint, c_void};
use std::ops::Range;

use glfs_sys::types::{GlfsFd, GlfsStat};

use crate::call::{OpKind, SyncKind};
use crate::errno::Errno;

use super::boundary::{
    Piece, bytes, bytes_mut, gather, glfs_stat, guard, scatter, store, unsigned, vector,
};
use super::mount::{self, OpenFile};

/// One vector of more is refused by Gluster's synchronous calls.
const VECTOR_BYTES_MAX: usize = 1 << 30;

impl OpenFile {
    pub(super) fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, Errno> {
        self.live
            .shared
            .perform(OpKind::Read, &self.path, |volume, now, verdict| {
                volume.read(now, verdict, self.handle, at, into)
            })
    }

    pub(super) fn write_at(&self, at: u64, bytes: &[u8], flags: c_int) -> Result<usize, Errno> {
        self.live
            .shared
            .perform(OpKind::Write, &self.path, |volume, now, verdict| {
                volume.write(now, verdict, self.handle, (at, flags), bytes)
            })
    }

    pub(super) fn sync(&self, kind: SyncKind) -> Result<(), Errno> {
        self.live
            .shared
            .perform(OpKind::Sync, &self.path, |volume, now, verdict| {
                volume.sync(now, verdict, self.handle, kind)
            })
    }

    pub(super) fn truncate(&self, size: u64) -> Result<(), Errno> {
        self.live
            .shared
            .perform(OpKind::Truncate, &self.path, |volume, now, verdict| {
                volume.truncate(now, verdict, self.handle, size)
            })
    }

    pub(super) fn discard(&self, range: Range<u64>) -> Result<(), Errno> {
        self.live
            .shared
            .perform(OpKind::Discard, &self.path, |volume, now, verdict| {
                volume.discard(now, verdict, self.handle, range)
            })
    }

    pub(super) fn zerofill(&self, range: Range<u64>) -> Result<(), Errno> {
        self.live
            .shared
            .perform(OpKind::Zerofill, &self.path, |volume, now, verdict| {
                volume.zerofill(now, verdict, self.handle, range)
            })
    }

    pub(super) fn size(&self) -> Result<u64, Errno> {
        Ok(self.live.shared.model()?.stat_handle(self.handle)?.size)
    }

    /// What a call leaves for its caller to look at: nothing, where a cache answered.
    pub(super) fn glfs_stat(&self) -> GlfsStat {
        let Ok(volume) = self.live.shared.model() else {
            return GlfsStat::default();
        };
        let known = volume.settings().shard == 0 && !volume.writes_behind(self.handle.client);
        let attributes = volume.stat_handle(self.handle);
        attributes.map_or_else(|_| GlfsStat::default(), |found| glfs_stat(&found, known))
    }
}

/// The bytes from `at` on, for `len`.
pub(super) fn range(at: i64, len: u64) -> Result<Range<u64>, Errno> {
    let at = unsigned(at)?;
    let end = at.checked_add(len).filter(|&end| end <= i64::MAX as u64);
    Ok(at..end.ok_or(Errno::EINVAL)?)
}

fn check_len(len: usize) -> Result<(), Errno> {
    if len < VECTOR_BYTES_MAX {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_pread(
    fd: *mut GlfsFd,
    buffer: *mut c_void,
    count: usize,
    offset: i64,
    _flags: c_int,
    after: *mut GlfsStat,
) -> isize {
    guard(|| {
        check_len(count)?;
        let file = mount::file(fd)?;
        let done = file.read_at(unsigned(offset)?, bytes_mut(buffer, count)?)?;
        store(after, file.glfs_stat());
        Ok(done as isize)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_pwrite(
    fd: *mut GlfsFd,
    buffer: *const c_void,
    count: usize,
    offset: i64,
    flags: c_int,
    before: *mut GlfsStat,
    after: *mut GlfsStat,
) -> isize {
    guard(|| {
        check_len(count)?;
        let file = mount::file(fd)?;
        let earlier = file.glfs_stat();
        let done = file.write_at(unsigned(offset)?, bytes(buffer, count)?, flags)?;
        store(before, earlier);
        store(after, file.glfs_stat());
        Ok(done as isize)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_preadv(
    fd: *mut GlfsFd,
    iov: *const libc::iovec,
    count: c_int,
    offset: i64,
    _flags: c_int,
) -> isize {
    guard(|| {
        let done = read_vector(&*mount::file(fd)?, unsigned(offset)?, &vector(iov, count)?)?;
        Ok(done as isize)
    })
}

pub(super) fn read_vector(file: &OpenFile, at: u64, pieces: &[Piece]) -> Result<usize, Errno> {
    let mut whole = vec![0; pieces.iter().map(|piece| piece.1).sum()];
    let done = file.read_at(at, &mut whole)?;
    scatter(&whole[..done], pieces)?;
    Ok(done)
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_pwritev(
    fd: *mut GlfsFd,
    iov: *const libc::iovec,
    count: c_int,
    offset: i64,
    flags: c_int,
) -> isize {
    guard(|| {
        let whole = gather(&vector(iov, count)?)?;
        let done = mount::file(fd)?.write_at(unsigned(offset)?, &whole, flags)?;
        Ok(done as isize)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_read(
    fd: *mut GlfsFd,
    buffer: *mut c_void,
    count: usize,
    _: c_int,
) -> isize {
    guard(|| {
        let file = mount::file(fd)?;
        let mut position = file.position.lock().map_err(|_| Errno::EIO)?;
        let done = file.read_at(*position, bytes_mut(buffer, count)?)?;
        *position += done as u64;
        Ok(done as isize)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_write(
    fd: *mut GlfsFd,
    buffer: *const c_void,
    count: usize,
    flags: c_int,
) -> isize {
    guard(|| {
        let file = mount::file(fd)?;
        let mut position = file.position.lock().map_err(|_| Errno::EIO)?;
        let done = file.write_at(*position, bytes(buffer, count)?, flags)?;
        *position += done as u64;
        Ok(done as isize)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_readv(
    fd: *mut GlfsFd,
    iov: *const libc::iovec,
    count: c_int,
    _: c_int,
) -> isize {
    guard(|| {
        let file = mount::file(fd)?;
        let mut position = file.position.lock().map_err(|_| Errno::EIO)?;
        let done = read_vector(&file, *position, &vector(iov, count)?)?;
        *position += done as u64;
        Ok(done as isize)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_writev(
    fd: *mut GlfsFd,
    iov: *const libc::iovec,
    count: c_int,
    flags: c_int,
) -> isize {
    guard(|| {
        let file = mount::file(fd)?;
        let mut position = file.position.lock().map_err(|_| Errno::EIO)?;
        let done = file.write_at(*position, &gather(&vector(iov, count)?)?, flags)?;
        *position += done as u64;
        Ok(done as isize)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_lseek(fd: *mut GlfsFd, offset: i64, whence: c_int) -> i64 {
    guard(|| {
        let file = mount::file(fd)?;
        let mut position = file.position.lock().map_err(|_| Errno::EIO)?;
        let base = match whence {
            libc::SEEK_SET => 0,
            libc::SEEK_CUR => *position as i64,
            libc::SEEK_END => file.size()? as i64,
            libc::SEEK_DATA | libc::SEEK_HOLE => {
                let at = unsigned(offset)?;
                *position =
                    file.live
                        .shared
                        .perform(OpKind::Seek, &file.path, |volume, now, v| {
                            volume.seek(now, v, file.handle, at, whence == libc::SEEK_HOLE)
                        })?;
                return Ok(*position as i64);
            }
            _ => return Err(Errno::EINVAL),
        };
        *position = unsigned(base.checked_add(offset).ok_or(Errno::EINVAL)?)?;
        Ok(*position as i64)
    })
}

fn sync(fd: *mut GlfsFd, before: *mut GlfsStat, after: *mut GlfsStat, kind: SyncKind) -> c_int {
    guard(|| {
        let file = mount::file(fd)?;
        let earlier = file.glfs_stat();
        file.sync(kind)?;
        store(before, earlier);
        store(after, file.glfs_stat());
        Ok(0)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_fsync(
    fd: *mut GlfsFd,
    before: *mut GlfsStat,
    after: *mut GlfsStat,
) -> c_int {
    sync(fd, before, after, SyncKind::All)
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_fdatasync(
    fd: *mut GlfsFd,
    before: *mut GlfsStat,
    after: *mut GlfsStat,
) -> c_int {
    sync(fd, before, after, SyncKind::Data)
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_ftruncate(
    fd: *mut GlfsFd,
    length: i64,
    before: *mut GlfsStat,
    after: *mut GlfsStat,
) -> c_int {
    guard(|| {
        let file = mount::file(fd)?;
        let earlier = file.glfs_stat();
        file.truncate(unsigned(length)?)?;
        store(before, earlier);
        store(after, file.glfs_stat());
        Ok(0)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_discard(fd: *mut GlfsFd, offset: i64, len: usize) -> c_int {
    guard(|| {
        mount::file(fd)?.discard(range(offset, len as u64)?)?;
        Ok(0)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_zerofill(fd: *mut GlfsFd, offset: i64, len: i64) -> c_int {
    guard(|| {
        mount::file(fd)?.zerofill(range(offset, unsigned(len)?)?)?;
        Ok(0)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_fallocate(
    fd: *mut GlfsFd,
    keep_size: c_int,
    offset: i64,
    len: usize,
) -> c_int {
    guard(|| {
        let file = mount::file(fd)?;
        let range = range(offset, len as u64)?;
        file.live
            .shared
            .perform(OpKind::Fallocate, &file.path, |volume, now, verdict| {
                volume.fallocate(now, verdict, file.handle, range, keep_size != 0)
            })?;
        Ok(0)
    })
}

/// Refused: on a replica set the real one changes the first brick only, and nobody may rely on it.
#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_copy_file_range(
    _source: *mut GlfsFd,
    _from: *mut i64,
    _sink: *mut GlfsFd,
    _to: *mut i64,
    _len: usize,
    _flags: c_uint,
    _stat: *mut GlfsStat,
    _before: *mut GlfsStat,
    _after: *mut GlfsStat,
) -> isize {
    guard(|| Err(Errno::EOPNOTSUPP))
}
