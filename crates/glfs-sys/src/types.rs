//! The C types of `glusterfs/api/glfs.h` that cross the boundary, field for field.

use std::ffi::{c_int, c_long, c_uint};

/// The system's own structures that appear in signatures.
pub use libc::{
    dirent as Dirent, flock as Flock, iovec as IoVec, stat as Stat, statvfs as StatVfs,
};

/// The system's flags and commands, which libgfapi takes as they are.
pub use libc::{
    F_GETLK, F_RDLCK, F_SETLK, F_SETLKW, F_UNLCK, F_WRLCK, O_DIRECT, O_DSYNC, O_EXCL, O_RDONLY,
    O_RDWR, O_SYNC, S_IFDIR, S_IFMT, S_IFREG, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET,
    XATTR_CREATE, XATTR_REPLACE,
};

/// `glfs_t`: opaque, one mounted volume.
#[repr(C)]
pub struct Glfs {
    _opaque: [u8; 0],
}

/// `glfs_fd_t`: opaque, one open file.
#[repr(C)]
pub struct GlfsFd {
    _opaque: [u8; 0],
}

/// `off_t`, always 64 bits wide.
pub type Offset = i64;
/// `mode_t`.
pub type Mode = c_uint;

/// `glfs_lock_mode_t`: what a lock keeps others from.
pub type LockMode = c_uint;
/// A lock that holds between those who ask for it.
pub const GLFS_LK_ADVISORY: LockMode = 0;
/// A lock the bricks enforce.
pub const GLFS_LK_MANDATORY: LockMode = 1;
/// Longest lock owner, in bytes.
pub const GFAPI_MAX_LOCK_OWNER_LEN: c_int = 255;

/// In `glfs_st_mask`: the size is known.
pub const GLFS_STAT_SIZE: u64 = 0x200;
/// In `glfs_st_mask`: the allocated blocks are known.
pub const GLFS_STAT_BLOCKS: u64 = 0x400;
/// In `glfs_st_mask`: everything `struct stat` has is known.
pub const GLFS_STAT_BASIC_STATS: u64 = 0x7ff;

/// `struct timespec`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Timespec {
    /// Whole seconds.
    pub tv_sec: i64,
    /// Nanoseconds within the second.
    pub tv_nsec: c_long,
}

/// `struct glfs_stat`: what an operation left behind. Nothing in it is to be believed where
/// `mask` is zero, as after write-behind acknowledgements and on sharded volumes.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct GlfsStat {
    /// Which fields were filled in.
    pub glfs_st_mask: u64,
    /// Flags of the file.
    pub glfs_st_attributes: u64,
    /// Which of the flags are supported.
    pub glfs_st_attributes_mask: u64,
    /// Last access.
    pub glfs_st_atime: Timespec,
    /// Creation.
    pub glfs_st_btime: Timespec,
    /// Last change of the inode.
    pub glfs_st_ctime: Timespec,
    /// Last change of the data.
    pub glfs_st_mtime: Timespec,
    /// Inode number.
    pub glfs_st_ino: u64,
    /// Size in bytes.
    pub glfs_st_size: Offset,
    /// 512-byte blocks allocated.
    pub glfs_st_blocks: i64,
    /// Device number of a special file, major.
    pub glfs_st_rdev_major: u32,
    /// Device number of a special file, minor.
    pub glfs_st_rdev_minor: u32,
    /// Device the file is on, major.
    pub glfs_st_dev_major: u32,
    /// Device the file is on, minor.
    pub glfs_st_dev_minor: u32,
    /// Preferred I/O size; garbage on unsharded volumes.
    pub glfs_st_blksize: c_long,
    /// Hard links.
    pub glfs_st_nlink: u64,
    /// Owner.
    pub glfs_st_uid: u32,
    /// Group.
    pub glfs_st_gid: u32,
    /// Type and permissions.
    pub glfs_st_mode: u32,
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
const _: () = assert!(size_of::<GlfsStat>() == 160);
