//! The table of functions and how it is filled.

use std::ffi::{OsStr, c_char, c_int, c_void};
use std::sync::OnceLock;

use libloading::Library;

use crate::types::{
    Dirent, Flock, Glfs, GlfsFd, GlfsStat, IoVec, LockMode, Mode, Offset, Stat, StatVfs,
};

/// The one name libgfapi has had since it exists.
const SONAME: &str = "libgfapi.so.0";

/// Why libgfapi cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoadError {
    /// The loader does not find or does not take the library.
    #[error("libgfapi is missing ({reason}); install it with: apt-get install libgfapi0")]
    Missing {
        /// What the loader said.
        reason: String,
    },
    /// The library is not the one we know.
    #[error("{library} has no {symbol}; Gluster 6 or newer is needed (package libgfapi0)")]
    Symbol {
        /// The library opened.
        library: String,
        /// The function it lacks.
        symbol: &'static str,
    },
}

/// A declared function as text, for the comparison with the C header.
#[derive(Debug, Clone, Copy)]
pub struct Signature {
    /// The C function.
    pub name: &'static str,
    /// Our types of its arguments.
    pub arguments: &'static [&'static str],
    /// Our type of its result; empty for `void`.
    pub result: &'static str,
}

macro_rules! declare {
    ($(fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)?;)*) => {
        /// Pointers to libgfapi's functions, as declared in `glusterfs/api/glfs.h`. Results below
        /// zero (or null) leave the reason in `errno`.
        #[allow(missing_docs)]
        pub struct Api {
            $(pub $name: unsafe extern "C" fn($($arg: $type),*) $(-> $result)?,)*
        }

        /// Every declared function, in order.
        pub const SIGNATURES: &[Signature] = &[$(Signature {
            name: stringify!($name),
            arguments: &[$(stringify!($type)),*],
            result: concat!($(stringify!($result))?),
        }),*];

        impl Api {
            fn resolve(library: &Library, name: &OsStr) -> Result<Self, LoadError> {
                Ok(Self {
                    $($name: {
                        // SAFETY: the type is the C prototype of this very name; ci's
                        // header-check compares the two.
                        let symbol = unsafe { library.get(stringify!($name).as_bytes()) };
                        *symbol.map_err(|_| LoadError::Symbol {
                            library: name.to_string_lossy().into_owned(),
                            symbol: stringify!($name),
                        })?
                    },)*
                })
            }
        }
    };
}

declare! {
    // a volume
    fn glfs_new(volume: *const c_char) -> *mut Glfs;
    fn glfs_set_volfile_server(
        fs: *mut Glfs, transport: *const c_char, host: *const c_char, port: c_int,
    ) -> c_int;
    fn glfs_unset_volfile_server(
        fs: *mut Glfs, transport: *const c_char, host: *const c_char, port: c_int,
    ) -> c_int;
    fn glfs_set_xlator_option(
        fs: *mut Glfs, xlator: *const c_char, key: *const c_char, value: *const c_char,
    ) -> c_int;
    fn glfs_set_logging(fs: *mut Glfs, file: *const c_char, level: c_int) -> c_int;
    fn glfs_init(fs: *mut Glfs) -> c_int;
    fn glfs_fini(fs: *mut Glfs) -> c_int;
    fn glfs_get_volumeid(fs: *mut Glfs, id: *mut c_char, size: usize) -> c_int;
    fn glfs_get_volfile(fs: *mut Glfs, text: *mut c_void, size: usize) -> isize;
    fn glfs_statvfs(fs: *mut Glfs, path: *const c_char, found: *mut StatVfs) -> c_int;

    // names in it
    fn glfs_stat(fs: *mut Glfs, path: *const c_char, found: *mut Stat) -> c_int;
    fn glfs_lstat(fs: *mut Glfs, path: *const c_char, found: *mut Stat) -> c_int;
    fn glfs_access(fs: *mut Glfs, path: *const c_char, mode: c_int) -> c_int;
    fn glfs_unlink(fs: *mut Glfs, path: *const c_char) -> c_int;
    fn glfs_rename(fs: *mut Glfs, from: *const c_char, to: *const c_char) -> c_int;
    fn glfs_link(fs: *mut Glfs, from: *const c_char, to: *const c_char) -> c_int;
    fn glfs_mkdir(fs: *mut Glfs, path: *const c_char, mode: Mode) -> c_int;
    fn glfs_rmdir(fs: *mut Glfs, path: *const c_char) -> c_int;
    fn glfs_getxattr(
        fs: *mut Glfs, path: *const c_char, name: *const c_char, value: *mut c_void, size: usize,
    ) -> isize;
    fn glfs_setxattr(
        fs: *mut Glfs, path: *const c_char, name: *const c_char, value: *const c_void,
        size: usize, flags: c_int,
    ) -> c_int;
    fn glfs_removexattr(fs: *mut Glfs, path: *const c_char, name: *const c_char) -> c_int;
    fn glfs_listxattr(
        fs: *mut Glfs, path: *const c_char, names: *mut c_void, size: usize,
    ) -> isize;

    // an open folder
    fn glfs_opendir(fs: *mut Glfs, path: *const c_char) -> *mut GlfsFd;
    fn glfs_readdir(fd: *mut GlfsFd) -> *mut Dirent;
    fn glfs_readdir_r(fd: *mut GlfsFd, entry: *mut Dirent, found: *mut *mut Dirent) -> c_int;
    fn glfs_closedir(fd: *mut GlfsFd) -> c_int;

    // an open file
    fn glfs_open(fs: *mut Glfs, path: *const c_char, flags: c_int) -> *mut GlfsFd;
    fn glfs_creat(fs: *mut Glfs, path: *const c_char, flags: c_int, mode: Mode) -> *mut GlfsFd;
    fn glfs_dup(fd: *mut GlfsFd) -> *mut GlfsFd;
    fn glfs_close(fd: *mut GlfsFd) -> c_int;
    fn glfs_fstat(fd: *mut GlfsFd, found: *mut Stat) -> c_int;
    fn glfs_lseek(fd: *mut GlfsFd, offset: Offset, whence: c_int) -> Offset;
    fn glfs_pread(
        fd: *mut GlfsFd, buffer: *mut c_void, count: usize, offset: Offset, flags: c_int,
        after: *mut GlfsStat,
    ) -> isize;
    fn glfs_pwrite(
        fd: *mut GlfsFd, buffer: *const c_void, count: usize, offset: Offset, flags: c_int,
        before: *mut GlfsStat, after: *mut GlfsStat,
    ) -> isize;
    fn glfs_preadv(
        fd: *mut GlfsFd, slices: *const IoVec, count: c_int, offset: Offset, flags: c_int,
    ) -> isize;
    fn glfs_pwritev(
        fd: *mut GlfsFd, slices: *const IoVec, count: c_int, offset: Offset, flags: c_int,
    ) -> isize;
    fn glfs_fsync(fd: *mut GlfsFd, before: *mut GlfsStat, after: *mut GlfsStat) -> c_int;
    fn glfs_fdatasync(fd: *mut GlfsFd, before: *mut GlfsStat, after: *mut GlfsStat) -> c_int;
    fn glfs_ftruncate(
        fd: *mut GlfsFd, length: Offset, before: *mut GlfsStat, after: *mut GlfsStat,
    ) -> c_int;
    fn glfs_discard(fd: *mut GlfsFd, offset: Offset, length: usize) -> c_int;
    fn glfs_zerofill(fd: *mut GlfsFd, offset: Offset, length: Offset) -> c_int;
    fn glfs_fallocate(
        fd: *mut GlfsFd, keep_size: c_int, offset: Offset, length: usize,
    ) -> c_int;
    fn glfs_fgetxattr(
        fd: *mut GlfsFd, name: *const c_char, value: *mut c_void, size: usize,
    ) -> isize;
    fn glfs_fsetxattr(
        fd: *mut GlfsFd, name: *const c_char, value: *const c_void, size: usize, flags: c_int,
    ) -> c_int;
    fn glfs_fremovexattr(fd: *mut GlfsFd, name: *const c_char) -> c_int;

    // who may use it
    fn glfs_posix_lock(fd: *mut GlfsFd, command: c_int, lock: *mut Flock) -> c_int;
    fn glfs_file_lock(
        fd: *mut GlfsFd, command: c_int, lock: *mut Flock, mode: LockMode,
    ) -> c_int;
    fn glfs_fd_set_lkowner(fd: *mut GlfsFd, owner: *mut c_void, length: c_int) -> c_int;
}

impl Api {
    /// The installed library's functions; it is opened on the first call and stays open for good.
    pub fn load() -> Result<&'static Self, LoadError> {
        static API: OnceLock<Result<Api, LoadError>> = OnceLock::new();
        API.get_or_init(|| Self::open(SONAME))
            .as_ref()
            .map_err(Clone::clone)
    }

    /// Opens the library of that name or path, for good: every call leaks one handle.
    pub fn open(library: impl AsRef<OsStr>) -> Result<Self, LoadError> {
        let name = library.as_ref();
        // SAFETY: libgfapi's start-up code has no preconditions; it only sets up its own state.
        let library = unsafe { Library::new(name) }.map_err(|error| LoadError::Missing {
            reason: error.to_string(),
        })?;
        let api = Self::resolve(&library, name);
        // Never unloaded: its threads run on after the last volume is closed.
        std::mem::forget(library);
        api
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_names_its_package() {
        let error = Api::open("libgfapi.so.404")
            .err()
            .expect("there is no such library");
        assert!(
            error.to_string().contains("apt-get install libgfapi0"),
            "{error}"
        );
    }

    #[test]
    fn a_stranger_is_refused_by_the_first_symbol_it_lacks() {
        let error = Api::open("libc.so.6").err().expect("libc is not libgfapi");
        assert!(
            matches!(
                error,
                LoadError::Symbol {
                    symbol: "glfs_new",
                    ..
                }
            ),
            "{error}"
        );
    }
}
