//! Extended attributes, by path and by handle.

use std::ffi::{c_char, c_int, c_void};

use glfs_sys::types::{Glfs, GlfsFd};

use crate::call::{Ino, OpKind, XattrMode};
use crate::errno::Errno;
use crate::names::GFID;
use crate::volume::Volume;

use super::boundary::{bytes, bytes_mut, guard, path, text};
use super::mount;
use super::names::passed;

fn by_path<T>(
    fs: *mut Glfs,
    name: *const c_char,
    call: impl FnOnce(&mut Volume, Ino) -> Result<T, Errno>,
) -> Result<T, Errno> {
    let (live, name) = (mount::mount(fs)?.live()?, path(name)?);
    live.shared
        .perform(OpKind::Xattr, &name, |volume, _, verdict| {
            passed(verdict)?;
            let file = volume.find(&name)?;
            call(volume, file)
        })
}

fn by_handle<T>(
    fd: *mut GlfsFd,
    call: impl FnOnce(&mut Volume, Ino) -> Result<T, Errno>,
) -> Result<T, Errno> {
    let file = mount::file(fd)?;
    file.live
        .shared
        .perform(OpKind::Xattr, &file.path, |volume, _, verdict| {
            passed(verdict)?;
            call(volume, file.handle.file)
        })
}

/// Copies an answer out; without a buffer, only its length.
fn deliver(answer: &[u8], into: *mut c_void, size: usize) -> Result<isize, Errno> {
    if size > 0 {
        if size < answer.len() {
            return Err(Errno::ERANGE);
        }
        bytes_mut(into, answer.len())?.copy_from_slice(answer);
    }
    Ok(answer.len() as isize)
}

/// Which bricks answer for a file, as Gluster says it by path.
const PATHINFO: &str = "trusted.glusterfs.pathinfo";

fn get(volume: &Volume, file: Ino, name: &str) -> Result<Vec<u8>, Errno> {
    if name == PATHINFO {
        return Ok(volume.path_info(file).into_bytes());
    }
    let held = volume.xattrs(file)?.get(name);
    held.filter(|_| name != GFID).cloned().ok_or(Errno::ENODATA)
}

fn list(volume: &Volume, file: Ino) -> Result<Vec<u8>, Errno> {
    let names = volume.xattrs(file)?.keys().filter(|name| *name != GFID);
    Ok(names.flat_map(|name| name.bytes().chain([0])).collect())
}

fn mode(flags: c_int) -> Result<XattrMode, Errno> {
    match flags {
        0 => Ok(XattrMode::Any),
        libc::XATTR_CREATE => Ok(XattrMode::Create),
        libc::XATTR_REPLACE => Ok(XattrMode::Replace),
        _ => Err(Errno::EINVAL),
    }
}

/// The four calls for one way to name a file; the way is a function.
macro_rules! attributes {
    ($way:ident($($arg:ident: $type:ty),*): $get:ident, $list:ident, $set:ident, $remove:ident) => {
        #[unsafe(no_mangle)]
        pub(super) extern "C" fn $get(
            $($arg: $type,)* name: *const c_char, into: *mut c_void, size: usize,
        ) -> isize {
            guard(|| {
                let name = text(name)?;
                let answer = $way($($arg,)* |volume, file| get(volume, file, &name))?;
                deliver(&answer, into, size)
            })
        }

        #[unsafe(no_mangle)]
        pub(super) extern "C" fn $list($($arg: $type,)* into: *mut c_void, size: usize) -> isize {
            guard(|| {
                let answer = $way($($arg,)* |volume, file| list(volume, file))?;
                deliver(&answer, into, size)
            })
        }

        #[unsafe(no_mangle)]
        pub(super) extern "C" fn $set(
            $($arg: $type,)* name: *const c_char, value: *const c_void, size: usize, flags: c_int,
        ) -> c_int {
            guard(|| {
                let (name, value, mode) = (text(name)?, bytes(value, size)?, mode(flags)?);
                $way($($arg,)* |volume, file| volume.set_xattr(file, &name, value, mode))?;
                Ok(0)
            })
        }

        #[unsafe(no_mangle)]
        pub(super) extern "C" fn $remove($($arg: $type,)* name: *const c_char) -> c_int {
            guard(|| {
                let name = text(name)?;
                $way($($arg,)* |volume, file| volume.remove_xattr(file, &name))?;
                Ok(0)
            })
        }
    };
}

attributes!(by_path(fs: *mut Glfs, path: *const c_char):
    glfs_getxattr, glfs_listxattr, glfs_setxattr, glfs_removexattr);
attributes!(by_path(fs: *mut Glfs, path: *const c_char):
    glfs_lgetxattr, glfs_llistxattr, glfs_lsetxattr, glfs_lremovexattr);
attributes!(by_handle(fd: *mut GlfsFd):
    glfs_fgetxattr, glfs_flistxattr, glfs_fsetxattr, glfs_fremovexattr);
