//! Locks, and whose they are (fencing.md §7): an owner is said of a handle, applied by a lock call
//! or a close on it, and then sticks to the calling thread for every handle of the process. What
//! other threads write goes out in the name of the client itself.

use std::cell::RefCell;
use std::ffi::{c_int, c_void};
use std::ops::Range;

use glfs_sys::types::{GFAPI_MAX_LOCK_OWNER_LEN, GLFS_LK_ADVISORY, GLFS_LK_MANDATORY, GlfsFd};

use crate::call::{Call, LockCall, LockType, LockVerb, Reply};
use crate::errno::Errno;

use super::boundary::{bytes, guard, load, store};
use super::mount::{self, OpenFile};

thread_local! {
    static OWNER: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// In whose name this thread calls.
pub(super) fn owner() -> Option<Vec<u8>> {
    OWNER.with_borrow(Clone::clone)
}

/// From now on this thread calls in the name that was said of the handle, if one was.
pub(super) fn apply_owner(file: &OpenFile) -> Result<(), Errno> {
    if let Some(said) = &*file.owner.lock().map_err(|_| Errno::EIO)? {
        OWNER.set(Some(said.clone()));
    }
    Ok(())
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_fd_set_lkowner(
    fd: *mut GlfsFd,
    owner: *mut c_void,
    len: c_int,
) -> c_int {
    guard(|| {
        let file = mount::file(fd)?;
        if !(1..=GFAPI_MAX_LOCK_OWNER_LEN).contains(&len) {
            return Err(Errno::EINVAL);
        }
        let said = bytes(owner, len as usize)?.to_vec();
        *file.owner.lock().map_err(|_| Errno::EIO)? = Some(said);
        Ok(0)
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_posix_lock(
    fd: *mut GlfsFd,
    command: c_int,
    lock: *mut libc::flock,
) -> c_int {
    guard(|| call(fd, command, lock, false))
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_file_lock(
    fd: *mut GlfsFd,
    command: c_int,
    lock: *mut libc::flock,
    mode: u32,
) -> c_int {
    guard(|| match mode {
        GLFS_LK_ADVISORY => call(fd, command, lock, false),
        GLFS_LK_MANDATORY => call(fd, command, lock, true),
        _ => Err(Errno::EINVAL),
    })
}

fn call(
    fd: *mut GlfsFd,
    command: c_int,
    lock: *mut libc::flock,
    mandatory: bool,
) -> Result<c_int, Errno> {
    let file = mount::file(fd)?;
    let verb = match command {
        libc::F_GETLK => LockVerb::Get,
        libc::F_SETLK => LockVerb::Set,
        libc::F_SETLKW => LockVerb::SetWait,
        _ => return Err(Errno::EINVAL),
    };
    let handle = file.handle()?;
    let mut asked = load(lock)?;
    let kind = match c_int::from(asked.l_type) {
        libc::F_RDLCK => LockType::Read,
        libc::F_WRLCK => LockType::Write,
        libc::F_UNLCK => LockType::Unlock,
        _ => return Err(Errno::EINVAL),
    };
    let base = file.base(c_int::from(asked.l_whence))?;
    let range = range(base, asked.l_start, asked.l_len)?;
    apply_owner(&file)?;
    let lock_call = LockCall {
        verb,
        kind,
        range,
        mandatory,
        owner: owner(),
    };
    let reply = file.live.call(Call::Lock {
        handle,
        lock: lock_call,
    })?;
    if let (LockVerb::Get, Reply::Lock(found)) = (verb, reply) {
        fill(&mut asked, found);
        store(lock, asked);
    }
    Ok(0)
}

/// What is meant by `l_start` and `l_len`: zero is to the end, less than zero is before.
fn range(base: i64, start: i64, len: i64) -> Result<Range<u64>, Errno> {
    let start = base.checked_add(start).ok_or(Errno::EINVAL)?;
    let end = start.checked_add(len).ok_or(Errno::EINVAL)?;
    let number = |at: i64| u64::try_from(at).map_err(|_| Errno::EINVAL);
    match len {
        0 => Ok(number(start)?..u64::MAX),
        1.. => Ok(number(start)?..number(end)?),
        _ => Ok(number(end)?..number(start)?),
    }
}

/// Who is in the way, or F_UNLCK for nobody. Whose process it is, nobody knows here.
fn fill(lock: &mut libc::flock, found: Option<(LockType, Range<u64>)>) {
    let Some((kind, range)) = found else {
        lock.l_type = libc::F_UNLCK as _;
        return;
    };
    lock.l_type = match kind {
        LockType::Read => libc::F_RDLCK,
        LockType::Write => libc::F_WRLCK,
        LockType::Unlock => libc::F_UNLCK,
    } as _;
    lock.l_whence = libc::SEEK_SET as _;
    lock.l_start = range.start as i64;
    lock.l_len = match range.end {
        u64::MAX => 0,
        end => (end - range.start) as i64,
    };
    lock.l_pid = 0;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_fcntl() {
        assert_eq!(range(0, 0, 0), Ok(0..u64::MAX));
        assert_eq!(range(0, 512, 0), Ok(512..u64::MAX));
        assert_eq!(range(100, 4, 8), Ok(104..112));
        assert_eq!(range(100, 0, -8), Ok(92..100));
        for (base, start, len) in [(0, -1, 8), (0, 4, -8), (i64::MAX, 1, 0), (1, 0, i64::MAX)] {
            assert_eq!(range(base, start, len), Err(Errno::EINVAL));
        }
    }
}
