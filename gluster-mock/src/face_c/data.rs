//! Synchronous calls on bytes.

use std::ffi::{c_int, c_uint, c_void};
use std::ops::Range;

use glfs_sys::types::{GlfsFd, GlfsStat};

use crate::call::{Answer, Call, Reply, SyncKind};
use crate::errno::Errno;

use super::boundary::{
    Piece, TRANSFER_MAX, bytes, gather, glfs_stat, guard, scatter, store, unsigned, vector,
};
use super::lock;
use super::mount::{self, OpenFile};

impl OpenFile {
    pub(super) fn read_call(&self, at: u64, len: usize) -> Result<Call, Errno> {
        let handle = self.handle()?;
        Ok(Call::Read { handle, at, len })
    }

    pub(super) fn write_call(&self, at: u64, bytes: Vec<u8>, flags: c_int) -> Result<Call, Errno> {
        Ok(Call::Write {
            handle: self.handle()?,
            at,
            flags,
            bytes: bytes.into(),
            owner: lock::owner(),
        })
    }

    fn read_at(&self, at: u64, pieces: &[Piece]) -> Result<usize, Errno> {
        let call = self.read_call(at, total(pieces))?;
        read(&self.live.call(call)?, pieces)
    }

    fn write_at(&self, at: u64, bytes: Vec<u8>, flags: c_int) -> Result<usize, Errno> {
        count(&self.live.call(self.write_call(at, bytes, flags)?)?)
    }

    /// What offsets count from.
    pub(super) fn base(&self, whence: c_int) -> Result<i64, Errno> {
        match whence {
            libc::SEEK_SET => Ok(0),
            libc::SEEK_CUR => Ok(*self.position.lock().map_err(|_| Errno::EIO)? as i64),
            libc::SEEK_END => Ok(self.live.stat(self.place())?.size as i64),
            _ => Err(Errno::EINVAL),
        }
    }

    /// What a call leaves for a caller who wants to look at it: nothing, where a cache answered.
    /// It is asked for, as another call, where the real library has it from the same answer; what
    /// was before is not told, because asking could wait for another brick than the call itself.
    fn leave_stat(&self, place: *mut GlfsStat) {
        if place.is_null() {
            return;
        }
        let known = self.live.tells_stat.then(|| self.live.stat(self.place()));
        let known = known.and_then(Result::ok);
        store(
            place,
            known.map(|found| glfs_stat(&found)).unwrap_or_default(),
        );
    }

    /// A call with what it finds and leaves.
    fn between(&self, call: Call, [before, after]: [*mut GlfsStat; 2]) -> Answer {
        let reply = self.live.call(call)?;
        store(before, GlfsStat::default());
        self.leave_stat(after);
        Ok(reply)
    }
}

pub(super) fn total(pieces: &[Piece]) -> usize {
    pieces.iter().map(|piece| piece.1).sum()
}

/// What was read goes where it was wanted.
pub(super) fn read(reply: &Reply, pieces: &[Piece]) -> Result<usize, Errno> {
    match reply {
        Reply::Bytes(bytes) if bytes.len() <= total(pieces) => {
            scatter(bytes, pieces)?;
            Ok(bytes.len())
        }
        _ => Err(Errno::EIO),
    }
}

/// What counts in an answer: how many bytes were written, or nothing.
pub(super) fn count(reply: &Reply) -> Result<usize, Errno> {
    match reply {
        Reply::Count(count) => usize::try_from(*count).map_err(|_| Errno::EIO),
        Reply::Done => Ok(0),
        _ => Err(Errno::EIO),
    }
}

/// The bytes from `at` on, for `len`.
pub(super) fn range(at: i64, len: u64) -> Result<Range<u64>, Errno> {
    let at = unsigned(at)?;
    let end = at.checked_add(len).filter(|&end| end <= i64::MAX as u64);
    Ok(at..end.ok_or(Errno::EINVAL)?)
}

fn check_len(len: usize) -> Result<(), Errno> {
    if len < TRANSFER_MAX {
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
        let done = file.read_at(unsigned(offset)?, &[Piece(buffer, count)])?;
        file.leave_stat(after);
        Ok(done as isize)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_pwrite(
    fd: *mut GlfsFd,
    buffer: *const c_void,
    len: usize,
    offset: i64,
    flags: c_int,
    before: *mut GlfsStat,
    after: *mut GlfsStat,
) -> isize {
    guard(|| {
        check_len(len)?;
        let file = mount::file(fd)?;
        let bytes = bytes(buffer, len)?.to_vec();
        let call = file.write_call(unsigned(offset)?, bytes, flags)?;
        let done = count(&file.between(call, [before, after])?)?;
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
        let done = mount::file(fd)?.read_at(unsigned(offset)?, &vector(iov, count)?)?;
        Ok(done as isize)
    })
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
        let done = mount::file(fd)?.write_at(unsigned(offset)?, whole, flags)?;
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
        let done = file.read_at(*position, &[Piece(buffer, count)])?;
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
        let done = file.write_at(*position, bytes(buffer, count)?.to_vec(), flags)?;
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
        let done = file.read_at(*position, &vector(iov, count)?)?;
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
        let done = file.write_at(*position, gather(&vector(iov, count)?)?, flags)?;
        *position += done as u64;
        Ok(done as isize)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_lseek(fd: *mut GlfsFd, offset: i64, whence: c_int) -> i64 {
    guard(|| {
        let file = mount::file(fd)?;
        let to = match whence {
            libc::SEEK_DATA | libc::SEEK_HOLE => {
                let seek = Call::Seek {
                    handle: file.handle()?,
                    at: unsigned(offset)?,
                    hole: whence == libc::SEEK_HOLE,
                };
                count(&file.live.call(seek)?)? as u64
            }
            _ => unsigned(
                file.base(whence)?
                    .checked_add(offset)
                    .ok_or(Errno::EINVAL)?,
            )?,
        };
        *file.position.lock().map_err(|_| Errno::EIO)? = to;
        Ok(to as i64)
    })
}

fn sync(fd: *mut GlfsFd, before: *mut GlfsStat, after: *mut GlfsStat, kind: SyncKind) -> c_int {
    guard(|| {
        let file = mount::file(fd)?;
        let handle = file.handle()?;
        file.between(Call::Sync { handle, kind }, [before, after])?;
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
        let (place, size) = (file.place(), unsigned(length)?);
        file.between(Call::Truncate { place, size }, [before, after])?;
        Ok(0)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_discard(fd: *mut GlfsFd, offset: i64, len: usize) -> c_int {
    guard(|| {
        let (file, range) = (mount::file(fd)?, range(offset, len as u64)?);
        let handle = file.handle()?;
        file.live.call(Call::Discard { handle, range })?;
        Ok(0)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_zerofill(fd: *mut GlfsFd, offset: i64, len: i64) -> c_int {
    guard(|| {
        let (file, range) = (mount::file(fd)?, range(offset, unsigned(len)?)?);
        let handle = file.handle()?;
        file.live.call(Call::Zerofill { handle, range })?;
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
        file.live.call(Call::Fallocate {
            handle: file.handle()?,
            range: range(offset, len as u64)?,
            keep_size: keep_size != 0,
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
