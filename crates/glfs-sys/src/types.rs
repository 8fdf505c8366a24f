//! The C types of `glusterfs/api/glfs.h` that cross the boundary, field for field.

use std::ffi::{c_long, c_uint};

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
