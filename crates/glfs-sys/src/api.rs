//! The table of functions and how it is filled.

use std::ffi::{OsStr, c_char, c_int, c_void};
use std::sync::OnceLock;

use libloading::Library;

use crate::types::{Glfs, GlfsFd, GlfsStat, Mode, Offset};

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
    fn glfs_new(volume: *const c_char) -> *mut Glfs;
    fn glfs_set_volfile_server(
        fs: *mut Glfs, transport: *const c_char, host: *const c_char, port: c_int,
    ) -> c_int;
    fn glfs_set_xlator_option(
        fs: *mut Glfs, xlator: *const c_char, key: *const c_char, value: *const c_char,
    ) -> c_int;
    fn glfs_set_logging(fs: *mut Glfs, file: *const c_char, level: c_int) -> c_int;
    fn glfs_init(fs: *mut Glfs) -> c_int;
    fn glfs_fini(fs: *mut Glfs) -> c_int;
    fn glfs_get_volumeid(fs: *mut Glfs, id: *mut c_char, size: usize) -> c_int;
    fn glfs_open(fs: *mut Glfs, path: *const c_char, flags: c_int) -> *mut GlfsFd;
    fn glfs_creat(fs: *mut Glfs, path: *const c_char, flags: c_int, mode: Mode) -> *mut GlfsFd;
    fn glfs_close(fd: *mut GlfsFd) -> c_int;
    fn glfs_lseek(fd: *mut GlfsFd, offset: Offset, whence: c_int) -> Offset;
    fn glfs_pread(
        fd: *mut GlfsFd, buffer: *mut c_void, count: usize, offset: Offset, flags: c_int,
        after: *mut GlfsStat,
    ) -> isize;
    fn glfs_pwrite(
        fd: *mut GlfsFd, buffer: *const c_void, count: usize, offset: Offset, flags: c_int,
        before: *mut GlfsStat, after: *mut GlfsStat,
    ) -> isize;
    fn glfs_fdatasync(fd: *mut GlfsFd, before: *mut GlfsStat, after: *mut GlfsStat) -> c_int;
    fn glfs_ftruncate(
        fd: *mut GlfsFd, length: Offset, before: *mut GlfsStat, after: *mut GlfsStat,
    ) -> c_int;
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
