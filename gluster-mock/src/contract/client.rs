//! libgfapi in safe Rust, as thin as it gets: one method a call, and who is asked stays who is
//! asked. Nothing is closed or finished unless a case does it: `glfs_fini` takes ten seconds.
#![allow(unsafe_code)]

use std::ffi::{CString, c_char, c_int, c_void};
use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};

use glfs_sys::Api;
use glfs_sys::types::{Dirent, Flock, Glfs, GlfsFd, GlfsStat, IoVec, LockMode, Stat, StatVfs};

use crate::errno::Errno;

/// Permissions of what is made here.
const MODE: u32 = 0o600;

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The function.
    pub call: &'static str,
    /// What it left in `errno`.
    pub errno: Errno,
}

/// What a call gave.
pub type Answer<T> = Result<T, Refusal>;

/// The reason of the call that failed just now.
fn refusal(call: &'static str) -> Refusal {
    let errno = io::Error::last_os_error().raw_os_error().unwrap_or(0);
    Refusal {
        call,
        errno: Errno(errno),
    }
}

fn done(call: &'static str, result: c_int) -> Answer<()> {
    match result {
        0.. => Ok(()),
        _ => Err(refusal(call)),
    }
}

fn counted(call: &'static str, result: isize) -> Answer<usize> {
    usize::try_from(result).map_err(|_| refusal(call))
}

fn text(of: &str) -> CString {
    CString::new(of).expect("names of cases have no zero in them")
}

/// A volume: a `glfs_t`.
pub(super) struct Mount {
    api: &'static Api,
    raw: NonNull<Glfs>,
}

// SAFETY: libgfapi locks a glfs_t by itself; any thread may use it, several at a time.
unsafe impl Send for Mount {}
// SAFETY: as above.
unsafe impl Sync for Mount {}

/// Whom a client asks, and for what.
#[derive(Clone, Debug)]
pub(super) struct Address<'a> {
    /// Servers in the order they are tried; an absolute path is a fake cluster's folder.
    pub(super) servers: &'a [(&'a str, u16)],
    /// The volume.
    pub(super) volume: &'a str,
    /// Options of this client only: translator, key, value.
    pub(super) options: &'a [(&'a str, &'a str, &'a str)],
}

impl Mount {
    /// A volume, connected.
    pub(super) fn connect(api: &'static Api, address: &Address<'_>) -> Answer<Self> {
        let name = text(address.volume);
        // SAFETY: the name is a C string, which is copied.
        let raw = unsafe { (api.glfs_new)(name.as_ptr()) };
        let raw = NonNull::new(raw).ok_or_else(|| refusal("glfs_new"))?;
        let mount = Self { api, raw };
        for (host, port) in address.servers {
            mount.add_server(host, *port)?;
        }
        for (xlator, key, value) in address.options {
            mount.set_option(xlator, key, value)?;
        }
        // SAFETY: the glfs_t is ours, lives, and was not connected before.
        done("glfs_init", unsafe { (api.glfs_init)(mount.raw.as_ptr()) })?;
        Ok(mount)
    }

    fn add_server(&self, host: &str, port: u16) -> Answer<()> {
        let transport = if host.starts_with('/') {
            c"unix"
        } else {
            c"tcp"
        };
        let host = text(host);
        // SAFETY: both are C strings, which are copied; the glfs_t lives.
        done("glfs_set_volfile_server", unsafe {
            (self.api.glfs_set_volfile_server)(
                self.raw.as_ptr(),
                transport.as_ptr(),
                host.as_ptr(),
                c_int::from(port),
            )
        })
    }

    fn set_option(&self, xlator: &str, key: &str, value: &str) -> Answer<()> {
        let (xlator, key, value) = (text(xlator), text(key), text(value));
        // SAFETY: all three are C strings, which are copied; the glfs_t lives.
        done("glfs_set_xlator_option", unsafe {
            (self.api.glfs_set_xlator_option)(
                self.raw.as_ptr(),
                xlator.as_ptr(),
                key.as_ptr(),
                value.as_ptr(),
            )
        })
    }

    /// `glfs_fini`; takes ten seconds.
    pub(super) fn finish(self) -> Answer<()> {
        // SAFETY: the glfs_t lives and is connected; the case that calls this uses it no more.
        done("glfs_fini", unsafe {
            (self.api.glfs_fini)(self.raw.as_ptr())
        })
    }

    /// `glfs_get_volumeid` with that much room.
    pub(super) fn volume_id(&self, room: usize) -> Answer<Vec<u8>> {
        let mut id = vec![0_u8; room];
        // SAFETY: the glfs_t lives; the library writes at most `room` bytes there.
        let got = unsafe {
            (self.api.glfs_get_volumeid)(
                self.raw.as_ptr(),
                id.as_mut_ptr().cast::<c_char>(),
                id.len(),
            )
        };
        let got = counted("glfs_get_volumeid", got as isize)?;
        id.truncate(got);
        Ok(id)
    }

    /// What `glfs_get_volfile` answers without room: less than nothing by what it lacks.
    pub(super) fn volfile_lacks(&self) -> isize {
        // SAFETY: the glfs_t lives; without room nothing is written.
        unsafe { (self.api.glfs_get_volfile)(self.raw.as_ptr(), ptr::null_mut(), 0) }
    }

    /// `glfs_get_volfile` with exactly the room it says it lacks. With more it reads as much of its
    /// own memory, past the end of the text: that ended this process on 10.3 and on 11.1.
    pub(super) fn volfile(&self) -> Answer<String> {
        let mut text = vec![0_u8; self.volfile_lacks().unsigned_abs()];
        // SAFETY: the glfs_t lives; the library writes at most `len` bytes there.
        let got = unsafe {
            (self.api.glfs_get_volfile)(
                self.raw.as_ptr(),
                text.as_mut_ptr().cast::<c_void>(),
                text.len(),
            )
        };
        // Less than nothing again when it was told a longer one meanwhile.
        counted("glfs_get_volfile", got)?;
        let end = text.iter().position(|byte| *byte == 0);
        text.truncate(end.unwrap_or(text.len()));
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// `glfs_statvfs` of the root.
    pub(super) fn statvfs(&self) -> Answer<StatVfs> {
        // SAFETY: struct statvfs is plain numbers, of which zero is one.
        let mut found: StatVfs = unsafe { std::mem::zeroed() };
        // SAFETY: the glfs_t lives; the path is a C string, and the library writes one struct.
        let result =
            unsafe { (self.api.glfs_statvfs)(self.raw.as_ptr(), c"/".as_ptr(), &raw mut found) };
        done("glfs_statvfs", result).map(|()| found)
    }

    /// `glfs_lstat`.
    pub(super) fn lstat(&self, path: &str) -> Answer<Stat> {
        let path = text(path);
        // SAFETY: struct stat is plain numbers, of which zero is one.
        let mut found: Stat = unsafe { std::mem::zeroed() };
        // SAFETY: the glfs_t lives; the path is a C string, and the library writes one struct.
        let result =
            unsafe { (self.api.glfs_lstat)(self.raw.as_ptr(), path.as_ptr(), &raw mut found) };
        done("glfs_lstat", result).map(|()| found)
    }

    /// `glfs_unlink`.
    pub(super) fn unlink(&self, path: &str) -> Answer<()> {
        let path = text(path);
        // SAFETY: the glfs_t lives; the path is a C string that is not kept.
        done("glfs_unlink", unsafe {
            (self.api.glfs_unlink)(self.raw.as_ptr(), path.as_ptr())
        })
    }

    /// `glfs_mkdir`.
    pub(super) fn mkdir(&self, path: &str) -> Answer<()> {
        let path = text(path);
        // SAFETY: the glfs_t lives; the path is a C string that is not kept.
        done("glfs_mkdir", unsafe {
            (self.api.glfs_mkdir)(self.raw.as_ptr(), path.as_ptr(), 0o700)
        })
    }

    /// `glfs_rmdir`.
    pub(super) fn rmdir(&self, path: &str) -> Answer<()> {
        let path = text(path);
        // SAFETY: the glfs_t lives; the path is a C string that is not kept.
        done("glfs_rmdir", unsafe {
            (self.api.glfs_rmdir)(self.raw.as_ptr(), path.as_ptr())
        })
    }

    /// `glfs_rename`.
    pub(super) fn rename(&self, from: &str, to: &str) -> Answer<()> {
        let (from, to) = (text(from), text(to));
        // SAFETY: the glfs_t lives; both are C strings that are not kept.
        done("glfs_rename", unsafe {
            (self.api.glfs_rename)(self.raw.as_ptr(), from.as_ptr(), to.as_ptr())
        })
    }

    /// `glfs_link`.
    pub(super) fn link(&self, from: &str, to: &str) -> Answer<()> {
        let (from, to) = (text(from), text(to));
        // SAFETY: the glfs_t lives; both are C strings that are not kept.
        done("glfs_link", unsafe {
            (self.api.glfs_link)(self.raw.as_ptr(), from.as_ptr(), to.as_ptr())
        })
    }

    /// `glfs_getxattr` with that much room: the length it tells, and what is in the room.
    pub(super) fn getxattr(&self, path: &str, name: &str, room: usize) -> Answer<(usize, Vec<u8>)> {
        let (path, name) = (text(path), text(name));
        let mut value = vec![0_u8; room];
        // SAFETY: the glfs_t lives; both names are C strings, and at most `room` bytes are written.
        let got = unsafe {
            (self.api.glfs_getxattr)(
                self.raw.as_ptr(),
                path.as_ptr(),
                name.as_ptr(),
                value.as_mut_ptr().cast::<c_void>(),
                room,
            )
        };
        let got = counted("glfs_getxattr", got)?;
        value.truncate(got);
        Ok((got, value))
    }

    /// The names of all entries of a folder, sorted, by `glfs_readdir_r`.
    pub(super) fn list(&self, path: &str) -> Answer<Vec<String>> {
        let path = text(path);
        // SAFETY: the glfs_t lives; the path is a C string that is not kept.
        let folder = unsafe { (self.api.glfs_opendir)(self.raw.as_ptr(), path.as_ptr()) };
        if folder.is_null() {
            return Err(refusal("glfs_opendir"));
        }
        let mut names = Vec::new();
        loop {
            // SAFETY: struct dirent is plain numbers, of which zero is one.
            let mut entry: Dirent = unsafe { std::mem::zeroed() };
            let mut found: *mut Dirent = ptr::null_mut();
            // SAFETY: the folder is open; the library writes one entry and one pointer.
            let result =
                unsafe { (self.api.glfs_readdir_r)(folder, &raw mut entry, &raw mut found) };
            done("glfs_readdir_r", result)?;
            if found.is_null() {
                break;
            }
            let name = entry.d_name.iter().take_while(|byte| **byte != 0);
            let name: Vec<u8> = name.map(|byte| byte.cast_unsigned()).collect();
            names.push(String::from_utf8_lossy(&name).into_owned());
        }
        // SAFETY: the folder is open and not used again.
        done("glfs_closedir", unsafe { (self.api.glfs_closedir)(folder) })?;
        names.sort();
        Ok(names)
    }

    /// `glfs_open`.
    pub(super) fn open(&self, path: &str, flags: c_int) -> Answer<Handle> {
        let path = text(path);
        // SAFETY: the glfs_t lives; the path is a C string that is not kept.
        let raw = unsafe { (self.api.glfs_open)(self.raw.as_ptr(), path.as_ptr(), flags) };
        self.handle("glfs_open", raw)
    }

    /// `glfs_creat`.
    pub(super) fn create(&self, path: &str, flags: c_int) -> Answer<Handle> {
        let path = text(path);
        // SAFETY: the glfs_t lives; the path is a C string that is not kept.
        let raw = unsafe { (self.api.glfs_creat)(self.raw.as_ptr(), path.as_ptr(), flags, MODE) };
        self.handle("glfs_creat", raw)
    }

    fn handle(&self, call: &'static str, raw: *mut GlfsFd) -> Answer<Handle> {
        let raw = NonNull::new(raw).ok_or_else(|| refusal(call))?;
        Ok(Handle {
            api: self.api,
            raw,
            closed: AtomicBool::new(false),
        })
    }
}

/// An open file: a `glfs_fd_t`.
pub(super) struct Handle {
    api: &'static Api,
    raw: NonNull<GlfsFd>,
    closed: AtomicBool,
}

// SAFETY: libgfapi counts and locks a glfs_fd_t by itself; any thread may use it, several at a time,
// as long as it is open, which `raw` sees to.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Handle {
    /// The pointer, of a handle that nobody has closed. Calls under way hold on to it themselves.
    fn raw(&self) -> *mut GlfsFd {
        assert!(!self.closed.load(Ordering::SeqCst), "used after glfs_close");
        self.raw.as_ptr()
    }

    /// `glfs_close`. Other threads may be in a call of this handle, but may not begin one.
    pub(super) fn close(&self) -> Answer<()> {
        let raw = self.raw();
        self.closed.store(true, Ordering::SeqCst);
        // SAFETY: the handle is open, and nothing begins to use it from here on.
        done("glfs_close", unsafe { (self.api.glfs_close)(raw) })
    }

    /// `glfs_dup`.
    pub(super) fn dup(&self) -> Answer<Self> {
        // SAFETY: the handle is open.
        let raw = unsafe { (self.api.glfs_dup)(self.raw()) };
        let raw = NonNull::new(raw).ok_or_else(|| refusal("glfs_dup"))?;
        Ok(Self {
            api: self.api,
            raw,
            closed: AtomicBool::new(false),
        })
    }

    /// `glfs_fstat`.
    pub(super) fn stat(&self) -> Answer<Stat> {
        // SAFETY: struct stat is plain numbers, of which zero is one.
        let mut found: Stat = unsafe { std::mem::zeroed() };
        // SAFETY: the handle is open; the library writes one struct.
        let result = unsafe { (self.api.glfs_fstat)(self.raw(), &raw mut found) };
        done("glfs_fstat", result).map(|()| found)
    }

    /// The file's size, by `glfs_fstat`.
    pub(super) fn size(&self) -> Answer<i64> {
        self.stat().map(|found| found.st_size)
    }

    /// `glfs_lseek`.
    pub(super) fn seek(&self, offset: i64, whence: c_int) -> Answer<i64> {
        // SAFETY: the handle is open.
        let result = unsafe { (self.api.glfs_lseek)(self.raw(), offset, whence) };
        match result {
            0.. => Ok(result),
            _ => Err(refusal("glfs_lseek")),
        }
    }

    /// `glfs_pread`.
    pub(super) fn pread(&self, length: usize, offset: i64) -> Answer<Vec<u8>> {
        // Poisoned, so that what the library left alone shows.
        let mut data = vec![0xEE_u8; length];
        // SAFETY: the handle is open; the library writes at most `length` bytes.
        let got = unsafe {
            (self.api.glfs_pread)(
                self.raw(),
                data.as_mut_ptr().cast::<c_void>(),
                length,
                offset,
                0,
                ptr::null_mut(),
            )
        };
        data.truncate(counted("glfs_pread", got)?);
        Ok(data)
    }

    /// `glfs_preadv` into pieces of these lengths: how much it gave, and the pieces.
    pub(super) fn preadv(&self, lengths: &[usize], offset: i64) -> Answer<(usize, Vec<Vec<u8>>)> {
        let mut pieces: Vec<Vec<u8>> = lengths.iter().map(|n| vec![0xEE_u8; *n]).collect();
        let slices: Vec<IoVec> = pieces
            .iter_mut()
            .map(|piece| IoVec {
                iov_base: piece.as_mut_ptr().cast::<c_void>(),
                iov_len: piece.len(),
            })
            .collect();
        // SAFETY: the handle is open; every slice is memory of ours that lives through the call.
        let got = unsafe {
            (self.api.glfs_preadv)(
                self.raw(),
                slices.as_ptr(),
                slices.len() as c_int,
                offset,
                0,
            )
        };
        counted("glfs_preadv", got).map(|got| (got, pieces))
    }

    /// `glfs_pwrite`.
    pub(super) fn pwrite(&self, data: &[u8], offset: i64) -> Answer<usize> {
        self.pwrite_with(data, offset, 0).map(|(count, _)| count)
    }

    /// `glfs_pwrite` with flags: how much it took, and the state it left.
    pub(super) fn pwrite_with(
        &self,
        data: &[u8],
        offset: i64,
        flags: c_int,
    ) -> Answer<(usize, GlfsStat)> {
        let (mut before, mut after) = (GlfsStat::default(), GlfsStat::default());
        // SAFETY: the handle is open; the library reads `data` and writes two structs.
        let put = unsafe {
            (self.api.glfs_pwrite)(
                self.raw(),
                data.as_ptr().cast::<c_void>(),
                data.len(),
                offset,
                flags,
                &raw mut before,
                &raw mut after,
            )
        };
        counted("glfs_pwrite", put).map(|put| (put, after))
    }

    /// `glfs_pwritev` of these pieces.
    pub(super) fn pwritev(&self, pieces: &[&[u8]], offset: i64, flags: c_int) -> Answer<usize> {
        let slices: Vec<IoVec> = pieces
            .iter()
            .map(|piece| IoVec {
                iov_base: piece.as_ptr().cast_mut().cast::<c_void>(),
                iov_len: piece.len(),
            })
            .collect();
        // SAFETY: the handle is open; the library only reads the slices, which live.
        let put = unsafe {
            (self.api.glfs_pwritev)(
                self.raw(),
                slices.as_ptr(),
                slices.len() as c_int,
                offset,
                flags,
            )
        };
        counted("glfs_pwritev", put)
    }

    /// `glfs_fsync`.
    pub(super) fn fsync(&self) -> Answer<()> {
        // SAFETY: the handle is open; null is allowed for both structs.
        done("glfs_fsync", unsafe {
            (self.api.glfs_fsync)(self.raw(), ptr::null_mut(), ptr::null_mut())
        })
    }

    /// `glfs_fdatasync`.
    pub(super) fn fdatasync(&self) -> Answer<()> {
        // SAFETY: the handle is open; null is allowed for both structs.
        done("glfs_fdatasync", unsafe {
            (self.api.glfs_fdatasync)(self.raw(), ptr::null_mut(), ptr::null_mut())
        })
    }

    /// `glfs_ftruncate`.
    pub(super) fn truncate(&self, length: i64) -> Answer<()> {
        // SAFETY: the handle is open; null is allowed for both structs.
        done("glfs_ftruncate", unsafe {
            (self.api.glfs_ftruncate)(self.raw(), length, ptr::null_mut(), ptr::null_mut())
        })
    }

    /// `glfs_discard`.
    pub(super) fn discard(&self, offset: i64, length: usize) -> Answer<()> {
        // SAFETY: the handle is open.
        done("glfs_discard", unsafe {
            (self.api.glfs_discard)(self.raw(), offset, length)
        })
    }

    /// `glfs_zerofill`.
    pub(super) fn zerofill(&self, offset: i64, length: i64) -> Answer<()> {
        // SAFETY: the handle is open.
        done("glfs_zerofill", unsafe {
            (self.api.glfs_zerofill)(self.raw(), offset, length)
        })
    }

    /// `glfs_fallocate`.
    pub(super) fn fallocate(&self, keep_size: bool, offset: i64, length: usize) -> Answer<()> {
        // SAFETY: the handle is open.
        done("glfs_fallocate", unsafe {
            (self.api.glfs_fallocate)(self.raw(), c_int::from(keep_size), offset, length)
        })
    }

    /// `glfs_fgetxattr` with that much room: the length it tells, and what is in the room.
    pub(super) fn getxattr(&self, name: &str, room: usize) -> Answer<(usize, Vec<u8>)> {
        let name = text(name);
        let mut value = vec![0_u8; room];
        // SAFETY: the handle is open; the name is a C string, and at most `room` bytes are written.
        let got = unsafe {
            (self.api.glfs_fgetxattr)(
                self.raw(),
                name.as_ptr(),
                value.as_mut_ptr().cast::<c_void>(),
                room,
            )
        };
        let got = counted("glfs_fgetxattr", got)?;
        value.truncate(got);
        Ok((got, value))
    }

    /// `glfs_fsetxattr`.
    pub(super) fn setxattr(&self, name: &str, value: &[u8], flags: c_int) -> Answer<()> {
        let name = text(name);
        // SAFETY: the handle is open; name and value are only read.
        done("glfs_fsetxattr", unsafe {
            (self.api.glfs_fsetxattr)(
                self.raw(),
                name.as_ptr(),
                value.as_ptr().cast::<c_void>(),
                value.len(),
                flags,
            )
        })
    }

    /// `glfs_fremovexattr`.
    pub(super) fn removexattr(&self, name: &str) -> Answer<()> {
        let name = text(name);
        // SAFETY: the handle is open; the name is a C string that is not kept.
        done("glfs_fremovexattr", unsafe {
            (self.api.glfs_fremovexattr)(self.raw(), name.as_ptr())
        })
    }

    /// `glfs_posix_lock`; the lock comes back as the library left it.
    pub(super) fn posix_lock(&self, command: c_int, mut lock: Flock) -> Answer<Flock> {
        // SAFETY: the handle is open; the library reads and writes one struct flock.
        let result = unsafe { (self.api.glfs_posix_lock)(self.raw(), command, &raw mut lock) };
        done("glfs_posix_lock", result).map(|()| lock)
    }

    /// `glfs_file_lock`.
    pub(super) fn file_lock(&self, command: c_int, mut lock: Flock, mode: LockMode) -> Answer<()> {
        // SAFETY: the handle is open; the library reads and writes one struct flock.
        done("glfs_file_lock", unsafe {
            (self.api.glfs_file_lock)(self.raw(), command, &raw mut lock, mode)
        })
    }

    /// `glfs_fd_set_lkowner`.
    pub(super) fn set_lock_owner(&self, owner: &mut [u8]) -> Answer<()> {
        // SAFETY: the handle is open; the library reads `length` bytes.
        done("glfs_fd_set_lkowner", unsafe {
            (self.api.glfs_fd_set_lkowner)(
                self.raw(),
                owner.as_mut_ptr().cast::<c_void>(),
                owner.len() as c_int,
            )
        })
    }
}
