//! Extended attributes, by path and by handle.

use std::ffi::{c_char, c_int, c_void};

use glfs_sys::types::{Glfs, GlfsFd};

use crate::call::{Call, Place, Reply, XattrMode};
use crate::errno::Errno;

use super::boundary::{bytes, bytes_mut, guard, path, text};
use super::mount::{self, Live};

fn by_path(fs: *mut Glfs, name: *const c_char) -> Result<(Live, Place), Errno> {
    Ok((mount::mount(fs)?.live()?, Place::Path(path(name)?)))
}

fn by_handle(fd: *mut GlfsFd) -> Result<(Live, Place), Errno> {
    let file = mount::file(fd)?;
    Ok((file.live.clone(), file.place()))
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

fn get(live: &Live, place: Place, name: String) -> Result<Vec<u8>, Errno> {
    match live.call(Call::GetXattr { place, name })? {
        Reply::Bytes(value) => Ok(value),
        _ => Err(Errno::EIO),
    }
}

/// The names, each with its zero.
fn list(live: &Live, place: Place) -> Result<Vec<u8>, Errno> {
    match live.call(Call::ListXattrs { place })? {
        Reply::Xattrs(names) => Ok(names
            .iter()
            .flat_map(|name| name.bytes().chain([0]))
            .collect()),
        _ => Err(Errno::EIO),
    }
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
                let (live, place) = $way($($arg),*)?;
                deliver(&get(&live, place, text(name)?)?, into, size)
            })
        }

        #[unsafe(no_mangle)]
        pub(super) extern "C" fn $list($($arg: $type,)* into: *mut c_void, size: usize) -> isize {
            guard(|| {
                let (live, place) = $way($($arg),*)?;
                deliver(&list(&live, place)?, into, size)
            })
        }

        #[unsafe(no_mangle)]
        pub(super) extern "C" fn $set(
            $($arg: $type,)* name: *const c_char, value: *const c_void, size: usize, flags: c_int,
        ) -> c_int {
            guard(|| {
                let (live, place) = $way($($arg),*)?;
                let (name, value) = (text(name)?, bytes(value, size)?.to_vec());
                let mode = mode(flags)?;
                live.call(Call::SetXattr { place, name, value, mode })?;
                Ok(0)
            })
        }

        #[unsafe(no_mangle)]
        pub(super) extern "C" fn $remove($($arg: $type,)* name: *const c_char) -> c_int {
            guard(|| {
                let (live, place) = $way($($arg),*)?;
                let name = text(name)?;
                live.call(Call::RemoveXattr { place, name })?;
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
