//! Reading directories. What `glfs_opendir` finds is what is read, whatever changes meanwhile.

use std::ffi::{c_char, c_int, c_long};
use std::sync::Mutex;

use glfs_sys::types::{Glfs, GlfsFd};

use crate::call::{Attributes, Call, Place, Reply};
use crate::errno::Errno;

use super::boundary::{guard, path, stat, store};
use super::mount::{self, Held};
use super::names::give;

/// A directory being read.
pub(super) struct Listing {
    entries: Vec<(String, Attributes)>,
    next: usize,
    /// What `glfs_readdir` hands out, until its next call.
    current: Box<libc::dirent>,
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_opendir(fs: *mut Glfs, name: *const c_char) -> *mut GlfsFd {
    guard(|| {
        let (live, name) = (mount::mount(fs)?.live()?, path(name)?);
        let call = Call::List { path: name.clone() };
        let Reply::Names(names) = live.call(call)? else {
            return Err(Errno::EIO);
        };
        let above = name.rsplit_once('/').map_or("/", |(above, _)| above);
        let above = if above.is_empty() { "/" } else { above };
        let mut entries = Vec::new();
        for (dots, of) in [(".", name.as_str()), ("..", above)] {
            entries.push((dots.to_owned(), live.stat(Place::Path(of.to_owned()))?));
        }
        entries.extend(names);
        let listing = Listing {
            entries,
            next: 0,
            current: Box::new(blank()),
        };
        let listing = Mutex::new(listing);
        Ok(give(
            fs,
            live,
            Held::Directory {
                path: name,
                listing,
            },
        ))
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_closedir(fd: *mut GlfsFd) -> c_int {
    guard(|| mount::remove_file(fd).map(|_| 0))
}

fn with_listing<T>(
    fd: *mut GlfsFd,
    call: impl FnOnce(&mut Listing) -> Result<T, Errno>,
) -> Result<T, Errno> {
    let file = mount::file(fd)?;
    let Held::Directory { listing, .. } = &file.held else {
        return Err(Errno::EBADF);
    };
    call(&mut *listing.lock().map_err(|_| Errno::EIO)?)
}

impl Listing {
    fn step(&mut self) -> Option<(libc::dirent, Attributes)> {
        let (name, attributes) = self.entries.get(self.next)?;
        self.next += 1;
        let mut entry = blank();
        entry.d_ino = attributes.number;
        entry.d_off = self.next as i64;
        entry.d_reclen = size_of::<libc::dirent>() as u16;
        entry.d_type = if attributes.directory {
            libc::DT_DIR
        } else {
            libc::DT_REG
        };
        // The last byte stays zero: names end within the field.
        let room = entry.d_name.len() - 1;
        for (place, byte) in entry.d_name[..room].iter_mut().zip(name.bytes()) {
            *place = byte as c_char;
        }
        Some((entry, *attributes))
    }
}

fn blank() -> libc::dirent {
    // SAFETY: plain numbers, for all of which zero is a value.
    unsafe { std::mem::zeroed() }
}

/// The end is null without an error: `errno` is cleared, as it is the only way to tell.
fn read_entry(fd: *mut GlfsFd, attributes: *mut libc::stat) -> *mut libc::dirent {
    guard(|| {
        with_listing(fd, |listing| {
            let Some((entry, found)) = listing.step() else {
                super::boundary::set_errno(Errno(0));
                return Ok(std::ptr::null_mut());
            };
            store(attributes, stat(&found));
            *listing.current = entry;
            Ok(&raw mut *listing.current)
        })
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_readdir(fd: *mut GlfsFd) -> *mut libc::dirent {
    read_entry(fd, std::ptr::null_mut())
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_readdirplus(
    fd: *mut GlfsFd,
    attributes: *mut libc::stat,
) -> *mut libc::dirent {
    read_entry(fd, attributes)
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_readdirplus_r(
    fd: *mut GlfsFd,
    attributes: *mut libc::stat,
    entry: *mut libc::dirent,
    result: *mut *mut libc::dirent,
) -> c_int {
    guard(|| {
        with_listing(fd, |listing| {
            store(result, std::ptr::null_mut());
            if let Some((found, told)) = listing.step() {
                store(attributes, stat(&told));
                store(entry, found);
                store(result, entry);
            }
            Ok(0)
        })
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_readdir_r(
    fd: *mut GlfsFd,
    entry: *mut libc::dirent,
    result: *mut *mut libc::dirent,
) -> c_int {
    glfs_readdirplus_r(fd, std::ptr::null_mut(), entry, result)
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_telldir(fd: *mut GlfsFd) -> c_long {
    guard(|| with_listing(fd, |listing| Ok(listing.next as c_long)))
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_seekdir(fd: *mut GlfsFd, offset: c_long) {
    let _moved: c_int = guard(|| {
        with_listing(fd, |listing| {
            listing.next = usize::try_from(offset).map_err(|_| Errno::EINVAL)?;
            Ok(0)
        })
    });
}
