//! The table of functions and how it is filled.

use std::ffi::{c_char, c_int, c_uchar, c_void};
use std::sync::OnceLock;

use libloading::Library;

use crate::types::{
    CommandCallback, Context, DiscoveryAddress, HeaderDigest, ImmediateData, InitialR2t,
    SessionType, Task, TaskMgmtFunction,
};

/// The library's names, first the one the declarations were checked against. Later ones kept the
/// functions used here; ci's header-check judges whichever is installed.
const SONAMES: [&str; 4] = [
    "libiscsi.so.7",
    "libiscsi.so.8",
    "libiscsi.so.9",
    "libiscsi.so",
];

/// Why libiscsi cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoadError {
    /// No library of any known name.
    #[error("libiscsi is missing ({reason}); install it with: apt-get install libiscsi7")]
    Missing {
        /// What the loader said last.
        reason: String,
    },
    /// A library was found, but it is not the one we know.
    #[error("{soname} has no {symbol}; libiscsi 1.19 or newer is needed (package libiscsi7)")]
    Symbol {
        /// The library found.
        soname: &'static str,
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
        /// Pointers to libiscsi's functions. Arguments and results are those of `iscsi/iscsi.h`;
        /// a context belongs to one thread at a time.
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
            fn resolve(library: &Library, soname: &'static str) -> Result<Self, LoadError> {
                Ok(Self {
                    $($name: {
                        // SAFETY: the type is the C prototype of this very name; ci's
                        // header-check compares the two.
                        let symbol = unsafe { library.get(stringify!($name).as_bytes()) };
                        *symbol.map_err(|_| LoadError::Symbol {
                            soname,
                            symbol: stringify!($name),
                        })?
                    },)*
                })
            }
        }
    };
}

declare! {
    fn iscsi_create_context(initiator_name: *const c_char) -> *mut Context;
    fn iscsi_destroy_context(iscsi: *mut Context) -> c_int;
    fn iscsi_get_error(iscsi: *mut Context) -> *const c_char;
    fn iscsi_set_targetname(iscsi: *mut Context, name: *const c_char) -> c_int;
    fn iscsi_set_session_type(iscsi: *mut Context, session_type: SessionType) -> c_int;
    fn iscsi_set_header_digest(iscsi: *mut Context, digest: HeaderDigest) -> c_int;
    fn iscsi_set_immediate_data(iscsi: *mut Context, immediate: ImmediateData) -> c_int;
    fn iscsi_set_initial_r2t(iscsi: *mut Context, initial_r2t: InitialR2t) -> c_int;
    fn iscsi_set_initiator_username_pwd(
        iscsi: *mut Context, user: *const c_char, password: *const c_char,
    ) -> c_int;
    fn iscsi_set_target_username_pwd(
        iscsi: *mut Context, user: *const c_char, password: *const c_char,
    ) -> c_int;
    fn iscsi_set_timeout(iscsi: *mut Context, seconds: c_int) -> c_int;
    fn iscsi_set_noautoreconnect(iscsi: *mut Context, state: c_int);
    fn iscsi_full_connect_sync(iscsi: *mut Context, portal: *const c_char, lun: c_int) -> c_int;
    fn iscsi_connect_sync(iscsi: *mut Context, portal: *const c_char) -> c_int;
    fn iscsi_reconnect_sync(iscsi: *mut Context) -> c_int;
    fn iscsi_disconnect(iscsi: *mut Context) -> c_int;
    fn iscsi_login_sync(iscsi: *mut Context) -> c_int;
    fn iscsi_logout_sync(iscsi: *mut Context) -> c_int;
    fn iscsi_discovery_sync(iscsi: *mut Context) -> *mut DiscoveryAddress;
    fn iscsi_free_discovery_data(iscsi: *mut Context, list: *mut DiscoveryAddress);
    fn iscsi_testunitready_sync(iscsi: *mut Context, lun: c_int) -> *mut Task;
    fn iscsi_inquiry_sync(
        iscsi: *mut Context, lun: c_int, evpd: c_int, page_code: c_int, maxsize: c_int,
    ) -> *mut Task;
    fn iscsi_readcapacity16_sync(iscsi: *mut Context, lun: c_int) -> *mut Task;
    fn iscsi_read10_sync(
        iscsi: *mut Context, lun: c_int, lba: u32, datalen: u32, blocksize: c_int,
        rdprotect: c_int, dpo: c_int, fua: c_int, fua_nv: c_int, group_number: c_int,
    ) -> *mut Task;
    fn iscsi_read16_sync(
        iscsi: *mut Context, lun: c_int, lba: u64, datalen: u32, blocksize: c_int,
        rdprotect: c_int, dpo: c_int, fua: c_int, fua_nv: c_int, group_number: c_int,
    ) -> *mut Task;
    fn iscsi_write10_sync(
        iscsi: *mut Context, lun: c_int, lba: u32, data: *mut c_uchar, datalen: u32,
        blocksize: c_int, wrprotect: c_int, dpo: c_int, fua: c_int, fua_nv: c_int,
        group_number: c_int,
    ) -> *mut Task;
    fn iscsi_write16_sync(
        iscsi: *mut Context, lun: c_int, lba: u64, data: *mut c_uchar, datalen: u32,
        blocksize: c_int, wrprotect: c_int, dpo: c_int, fua: c_int, fua_nv: c_int,
        group_number: c_int,
    ) -> *mut Task;
    fn iscsi_synchronizecache10_sync(
        iscsi: *mut Context, lun: c_int, lba: c_int, num_blocks: c_int, syncnv: c_int,
        immed: c_int,
    ) -> *mut Task;
    fn iscsi_task_mgmt_sync(
        iscsi: *mut Context, lun: c_int, function: TaskMgmtFunction, ritt: u32, rcmdsn: u32,
    ) -> c_int;
    fn iscsi_task_mgmt_abort_task_sync(iscsi: *mut Context, task: *mut Task) -> c_int;
    fn iscsi_task_mgmt_abort_task_set_sync(iscsi: *mut Context, lun: u32) -> c_int;
    fn iscsi_task_mgmt_lun_reset_sync(iscsi: *mut Context, lun: u32) -> c_int;
    fn scsi_free_scsi_task(task: *mut Task);
    fn iscsi_write10_task(
        iscsi: *mut Context, lun: c_int, lba: u32, data: *mut c_uchar, datalen: u32,
        blocksize: c_int, wrprotect: c_int, dpo: c_int, fua: c_int, fua_nv: c_int,
        group_number: c_int, callback: CommandCallback, private: *mut c_void,
    ) -> *mut Task;
    fn iscsi_task_mgmt_lun_reset_async(
        iscsi: *mut Context, lun: u32, callback: CommandCallback, private: *mut c_void,
    ) -> c_int;
    fn iscsi_which_events(iscsi: *mut Context) -> c_int;
    fn iscsi_service(iscsi: *mut Context, revents: c_int) -> c_int;
}

impl Api {
    /// The library's functions; it is opened on the first call and stays open for good.
    pub fn load() -> Result<&'static Self, LoadError> {
        static API: OnceLock<Result<Api, LoadError>> = OnceLock::new();
        API.get_or_init(|| Self::open(&SONAMES))
            .as_ref()
            .map_err(Clone::clone)
    }

    fn open(sonames: &[&'static str]) -> Result<Self, LoadError> {
        let mut reason = String::new();
        for &soname in sonames {
            // SAFETY: libiscsi's start-up code has no preconditions; it only sets up its own state.
            match unsafe { Library::new(soname) } {
                Ok(library) => {
                    let api = Self::resolve(&library, soname);
                    // Never unloaded: the function pointers must stay good for the process's life.
                    std::mem::forget(library);
                    return api;
                }
                Err(error) => reason = error.to_string(),
            }
        }
        Err(LoadError::Missing { reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_names_its_package() {
        let error = Api::open(&["libiscsi.so.404"])
            .err()
            .expect("there is no such library");
        assert!(
            error.to_string().contains("apt-get install libiscsi7"),
            "{error}"
        );
    }

    #[test]
    fn a_stranger_is_refused_by_the_first_symbol_it_lacks() {
        let error = Api::open(&["libc.so.6"])
            .err()
            .expect("libc is not libiscsi");
        assert!(
            matches!(
                error,
                LoadError::Symbol {
                    symbol: "iscsi_create_context",
                    ..
                }
            ),
            "{error}"
        );
    }
}
