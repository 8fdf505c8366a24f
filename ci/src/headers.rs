//! Our declarations of foreign libraries against their C headers: a C file that holds nothing but
//! compile-time assertions, made from the Rust declarations and given to `cc`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::mem::offset_of;
use std::process::{Command, Stdio};

use glfs_sys::types as glfs;
use libiscsi_sys::types as iscsi;

use crate::step::{Outcome, Step};

/// One step per library.
pub fn steps() -> Vec<Step> {
    vec![
        Step {
            name: "libiscsi.h",
            run: || check(&libiscsi()),
        },
        Step {
            name: "glfs.h",
            run: || check(&glfs()),
        },
    ]
}

/// What we believe about a C library.
struct Belief {
    /// The package that brings the headers.
    package: &'static str,
    /// Headers and definitions to begin with.
    prologue: &'static str,
    /// A file that is there when the headers are.
    header: &'static str,
    /// Our names of types, and C's.
    types: &'static [(&'static str, &'static str)],
    /// Functions: name, our argument types, our result.
    functions: Vec<(&'static str, &'static [&'static str], &'static str)>,
    /// C expressions and the values they must have.
    values: Vec<(String, usize)>,
}

/// C's names of the types Rust has its own names for.
const PLAIN_TYPES: [(&str, &str); 10] = [
    ("c_char", "char"),
    ("c_uchar", "unsigned char"),
    ("c_int", "int"),
    ("c_uint", "unsigned int"),
    ("c_void", "void"),
    ("u16", "uint16_t"),
    ("u32", "uint32_t"),
    ("u64", "uint64_t"),
    ("usize", "size_t"),
    ("isize", "ssize_t"),
];

/// `offsetof` each named field, which Rust and C call alike, and the size of the whole.
macro_rules! layout {
    ($values:expr, $c:literal, $rust:ty, [$($field:ident),*]) => {
        $($values.push((
            format!(concat!("offsetof(", $c, ", {})"), stringify!($field)),
            offset_of!($rust, $field),
        ));)*
    };
}

/// Constants, which Rust and C call alike.
macro_rules! constants {
    ($values:expr, $module:ident, [$($name:ident),* $(,)?]) => {
        $($values.push((
            stringify!($name).to_owned(),
            usize::try_from($module::$name).expect("constants are not negative"),
        ));)*
    };
}

fn libiscsi() -> Belief {
    let signatures = libiscsi_sys::SIGNATURES.iter();
    Belief {
        package: "libiscsi-dev",
        prologue: "#include <iscsi/iscsi.h>\n#include <iscsi/scsi-lowlevel.h>\n",
        header: "/usr/include/iscsi/iscsi.h",
        types: &[
            ("CommandCallback", "iscsi_command_cb"),
            ("Context", "struct iscsi_context"),
            ("DiscoveryAddress", "struct iscsi_discovery_address"),
            ("HeaderDigest", "enum iscsi_header_digest"),
            ("ImmediateData", "enum iscsi_immediate_data"),
            ("InitialR2t", "enum iscsi_initial_r2t"),
            ("SessionType", "enum iscsi_session_type"),
            ("Task", "struct scsi_task"),
            ("TaskMgmtFunction", "enum iscsi_task_mgmt_funcs"),
        ],
        functions: signatures
            .map(|each| (each.name, each.arguments, each.result))
            .collect(),
        values: [libiscsi_layouts(), libiscsi_constants()].concat(),
    }
}

fn libiscsi_layouts() -> Vec<(String, usize)> {
    use iscsi::{Data, DiscoveryAddress, Sense, TargetPortal, Task};

    let mut values = vec![
        ("sizeof(struct scsi_sense)".to_owned(), size_of::<Sense>()),
        ("sizeof(struct scsi_data)".to_owned(), size_of::<Data>()),
        ("sizeof(((struct scsi_task *)0)->cdb)".to_owned(), 16),
    ];
    let v = &mut values;
    layout!(
        v,
        "struct iscsi_target_portal",
        TargetPortal,
        [next, portal]
    );
    layout!(
        v,
        "struct iscsi_discovery_address",
        DiscoveryAddress,
        [next, target_name, portals]
    );
    layout!(
        v,
        "struct scsi_sense",
        Sense,
        [error_type, key, ascq, bit_pointer, field_pointer]
    );
    layout!(v, "struct scsi_data", Data, [size, data]);
    layout!(
        v,
        "struct scsi_task",
        Task,
        [status, cdb_size, xfer_dir, expxferlen, cdb]
    );
    layout!(
        v,
        "struct scsi_task",
        Task,
        [residual_status, residual, sense, datain, mem]
    );
    values
}

fn libiscsi_constants() -> Vec<(String, usize)> {
    let mut values = Vec::new();
    let v = &mut values;
    constants!(v, iscsi, [ISCSI_SESSION_DISCOVERY, ISCSI_SESSION_NORMAL]);
    constants!(
        v,
        iscsi,
        [ISCSI_HEADER_DIGEST_NONE, ISCSI_HEADER_DIGEST_NONE_CRC32C]
    );
    constants!(
        v,
        iscsi,
        [ISCSI_HEADER_DIGEST_CRC32C_NONE, ISCSI_HEADER_DIGEST_CRC32C]
    );
    constants!(
        v,
        iscsi,
        [
            ISCSI_TM_ABORT_TASK_SET,
            ISCSI_TM_CLEAR_TASK_SET,
            ISCSI_TM_LUN_RESET
        ]
    );
    constants!(
        v,
        iscsi,
        [
            SCSI_STATUS_GOOD,
            SCSI_STATUS_CHECK_CONDITION,
            SCSI_STATUS_CANCELLED
        ]
    );
    constants!(v, iscsi, [SCSI_STATUS_ERROR, SCSI_STATUS_TIMEOUT]);
    constants!(
        v,
        iscsi,
        [SCSI_RESIDUAL_NO_RESIDUAL, SCSI_RESIDUAL_UNDERFLOW]
    );
    constants!(v, iscsi, [SCSI_RESIDUAL_OVERFLOW]);
    values
}

fn glfs() -> Belief {
    let signatures = glfs_sys::SIGNATURES.iter();
    Belief {
        package: "libglusterfs-dev",
        prologue: "#include <sys/xattr.h>\n#include <glusterfs/api/glfs.h>\n",
        header: "/usr/include/glusterfs/api/glfs.h",
        types: &[
            ("Dirent", "struct dirent"),
            ("Flock", "struct flock"),
            ("Glfs", "glfs_t"),
            ("GlfsFd", "glfs_fd_t"),
            ("GlfsStat", "struct glfs_stat"),
            ("IoVec", "struct iovec"),
            ("LockMode", "glfs_lock_mode_t"),
            ("Mode", "mode_t"),
            ("Offset", "off_t"),
            ("Stat", "struct stat"),
            ("StatVfs", "struct statvfs"),
        ],
        functions: signatures
            .map(|each| (each.name, each.arguments, each.result))
            .collect(),
        values: [glfs_layouts(), system_layouts(), glfs_constants()].concat(),
    }
}

fn glfs_layouts() -> Vec<(String, usize)> {
    use glfs::{GlfsStat, LockMode};

    let mut values = vec![
        ("sizeof(struct glfs_stat)".to_owned(), size_of::<GlfsStat>()),
        ("sizeof(glfs_lock_mode_t)".to_owned(), size_of::<LockMode>()),
    ];
    let v = &mut values;
    layout!(
        v,
        "struct glfs_stat",
        GlfsStat,
        [glfs_st_mask, glfs_st_attributes, glfs_st_attributes_mask]
    );
    layout!(
        v,
        "struct glfs_stat",
        GlfsStat,
        [glfs_st_atime, glfs_st_btime, glfs_st_ctime, glfs_st_mtime]
    );
    layout!(
        v,
        "struct glfs_stat",
        GlfsStat,
        [glfs_st_ino, glfs_st_size, glfs_st_blocks]
    );
    layout!(
        v,
        "struct glfs_stat",
        GlfsStat,
        [
            glfs_st_rdev_major,
            glfs_st_rdev_minor,
            glfs_st_dev_major,
            glfs_st_dev_minor
        ]
    );
    layout!(
        v,
        "struct glfs_stat",
        GlfsStat,
        [
            glfs_st_blksize,
            glfs_st_nlink,
            glfs_st_uid,
            glfs_st_gid,
            glfs_st_mode
        ]
    );
    values
}

/// The system's structures that appear in signatures.
fn system_layouts() -> Vec<(String, usize)> {
    use glfs::{Dirent, Flock, IoVec, Stat, StatVfs};

    let mut values = vec![
        ("sizeof(struct stat)".to_owned(), size_of::<Stat>()),
        ("sizeof(struct statvfs)".to_owned(), size_of::<StatVfs>()),
        ("sizeof(struct flock)".to_owned(), size_of::<Flock>()),
        ("sizeof(struct iovec)".to_owned(), size_of::<IoVec>()),
        ("sizeof(struct dirent)".to_owned(), size_of::<Dirent>()),
    ];
    let v = &mut values;
    layout!(v, "struct stat", Stat, [st_mode, st_size, st_blocks]);
    layout!(
        v,
        "struct statvfs",
        StatVfs,
        [f_bsize, f_frsize, f_blocks, f_bfree, f_bavail]
    );
    layout!(
        v,
        "struct flock",
        Flock,
        [l_type, l_whence, l_start, l_len, l_pid]
    );
    layout!(v, "struct iovec", IoVec, [iov_base, iov_len]);
    layout!(v, "struct dirent", Dirent, [d_ino, d_type, d_name]);
    values
}

fn glfs_constants() -> Vec<(String, usize)> {
    let mut values = Vec::new();
    let v = &mut values;
    constants!(
        v,
        glfs,
        [O_RDONLY, O_RDWR, O_EXCL, O_DIRECT, O_DSYNC, O_SYNC]
    );
    constants!(
        v,
        glfs,
        [SEEK_SET, SEEK_END, SEEK_DATA, SEEK_HOLE, S_IFMT, S_IFREG]
    );
    constants!(
        v,
        glfs,
        [F_GETLK, F_SETLK, F_SETLKW, F_RDLCK, F_WRLCK, F_UNLCK]
    );
    constants!(v, glfs, [XATTR_CREATE, XATTR_REPLACE]);
    constants!(
        v,
        glfs,
        [
            GLFS_LK_ADVISORY,
            GLFS_LK_MANDATORY,
            GFAPI_MAX_LOCK_OWNER_LEN
        ]
    );
    constants!(
        v,
        glfs,
        [GLFS_STAT_SIZE, GLFS_STAT_BLOCKS, GLFS_STAT_BASIC_STATS]
    );
    values
}

impl Belief {
    /// The beliefs as C, every one an assertion.
    fn to_c(&self) -> String {
        // The system's headers listen to these only before the first of them.
        let mut text = String::from(
            "#define _GNU_SOURCE\n#define _FILE_OFFSET_BITS 64\n\
             #include <stddef.h>\n#include <stdint.h>\n",
        );
        text.push_str(self.prologue);
        for (expression, value) in &self.values {
            let _ = writeln!(
                text,
                "_Static_assert({expression} == {value}, \"is not {value}\");"
            );
        }
        for (name, arguments, result) in &self.functions {
            let arguments: Vec<String> = arguments.iter().map(|each| self.c_type(each)).collect();
            let result = if result.is_empty() {
                "void".to_owned()
            } else {
                self.c_type(result)
            };
            let _ = writeln!(
                text,
                "_Static_assert(__builtin_types_compatible_p(__typeof__({name}), \
                 {result}({})), \"{name} is declared otherwise\");",
                arguments.join(", ")
            );
        }
        text
    }

    /// C's spelling of a type of ours. An unknown name is left as it is, for `cc` to complain of.
    fn c_type(&self, rust: &str) -> String {
        if let Some(pointee) = rust.strip_prefix("*mut ") {
            return format!("{} *", self.c_type(pointee));
        }
        if let Some(pointee) = rust.strip_prefix("*const ") {
            return format!("const {} *", self.c_type(pointee));
        }
        let known = self
            .types
            .iter()
            .chain(&PLAIN_TYPES)
            .find(|(ours, _)| *ours == rust);
        known.map_or(rust, |(_, c)| c).to_owned()
    }
}

fn check(belief: &Belief) -> Outcome {
    if !std::path::Path::new(belief.header).exists() {
        let reason = format!("{} is missing (package {})", belief.header, belief.package);
        let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        return if in_ci {
            Outcome::Failed(reason)
        } else {
            Outcome::Skipped(reason)
        };
    }
    match compile(&belief.to_c()) {
        Ok(()) => {
            println!(
                "{} functions, {} values",
                belief.functions.len(),
                belief.values.len()
            );
            Outcome::Passed
        }
        Err(complaint) => Outcome::Failed(complaint),
    }
}

/// Checks a C text; the complaint is the compiler's.
fn compile(text: &str) -> Result<(), String> {
    let mut child = Command::new("cc")
        .args(["-std=gnu11", "-fsyntax-only", "-x", "c", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cc does not start: {error}"))?;
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin
        .write_all(text.as_bytes())
        .map_err(|error| format!("cc does not listen: {error}"))?;
    drop(stdin);
    let output = child
        .wait_with_output()
        .map_err(|error| format!("cc was lost: {error}"))?;
    let complaint = || String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        Ok(())
    } else {
        Err(complaint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A library everybody has.
    fn libc(arguments: &'static [&'static str], value: usize) -> String {
        let belief = Belief {
            package: "libc6-dev",
            prologue: "#include <stdlib.h>\n#include <time.h>\n",
            header: "/usr/include/stdlib.h",
            types: &[("Entry", "struct tm")],
            functions: vec![("mktime", arguments, "i64"), ("free", &["*mut c_void"], "")],
            values: vec![("offsetof(struct tm, tm_min)".to_owned(), value)],
        };
        belief.to_c().replace("i64(", "time_t(")
    }

    #[test]
    fn true_beliefs_compile_and_false_ones_do_not() {
        assert_eq!(compile(&libc(&["*mut Entry"], 4)), Ok(()));
        assert!(compile(&libc(&["*const Entry"], 4)).is_err_and(|text| text.contains("mktime")));
        assert!(compile(&libc(&["*mut Entry", "c_int"], 4)).is_err());
        assert!(compile(&libc(&["*mut Entry"], 8)).is_err_and(|text| text.contains("is not 8")));
        assert!(compile(&libc(&["*mut Nobody"], 4)).is_err());
    }
}
