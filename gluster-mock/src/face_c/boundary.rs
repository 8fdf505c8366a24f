//! What crosses between C and the model. The functions here that take pointers believe the C
//! prototypes: a caller that passes anything else breaks libgfapi's contract, not ours.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use glfs_sys::types::{GlfsStat, Timespec};

use crate::call::Attributes;
use crate::errno::Errno;

/// What a C function returns when it fails.
pub(super) trait Failure {
    const FAILURE: Self;
}

impl Failure for i32 {
    const FAILURE: Self = -1;
}

impl Failure for isize {
    const FAILURE: Self = -1;
}

impl Failure for i64 {
    const FAILURE: Self = -1;
}

impl<T> Failure for *mut T {
    const FAILURE: Self = std::ptr::null_mut();
}

/// Runs the body of a C function: a failure goes to `errno`, and so does a panic, as EIO.
pub(super) fn guard<T: Failure>(body: impl FnOnce() -> Result<T, Errno>) -> T {
    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or(Err(Errno::EIO));
    result.unwrap_or_else(|errno| {
        set_errno(errno);
        T::FAILURE
    })
}

pub(super) fn set_errno(errno: Errno) {
    // SAFETY: the address is this thread's own errno, valid as long as the thread.
    unsafe { *libc::__errno_location() = errno.0 }
}

/// A C string; EINVAL for null, and for what is not UTF-8.
pub(super) fn text(pointer: *const c_char) -> Result<String, Errno> {
    if pointer.is_null() {
        return Err(Errno::EINVAL);
    }
    // SAFETY: not null, and by the prototype a string that ends.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map(str::to_owned).map_err(|_| Errno::EINVAL)
}

/// An absolute path in canonical form.
pub(super) fn path(pointer: *const c_char) -> Result<String, Errno> {
    let text = text(pointer)?;
    let parts = text.split('/').filter(|part| !matches!(*part, "" | "."));
    let parts: Vec<&str> = parts.collect();
    if parts.contains(&"..") {
        return Err(Errno::EINVAL);
    }
    Ok(format!("/{}", parts.join("/")))
}

/// The caller's bytes, valid until the call returns.
pub(super) fn bytes<'call>(pointer: *const c_void, len: usize) -> Result<&'call [u8], Errno> {
    match (pointer.is_null(), len) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(Errno::EINVAL),
        // SAFETY: by the prototype `len` readable bytes for the time of the call.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts(pointer.cast(), len) }),
    }
}

/// The caller's buffer, valid until the call is answered.
pub(super) fn bytes_mut<'call>(pointer: *mut c_void, len: usize) -> Result<&'call mut [u8], Errno> {
    match (pointer.is_null(), len) {
        (_, 0) => Ok(&mut []),
        (true, _) => Err(Errno::EINVAL),
        // SAFETY: by the prototype `len` writable bytes that nobody else uses until the answer.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts_mut(pointer.cast(), len) }),
    }
}

/// A vector of the caller's buffers: address and length each.
pub(super) fn vector(iov: *const libc::iovec, count: c_int) -> Result<Vec<Piece>, Errno> {
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
    if count > 1024 || (count > 0 && iov.is_null()) {
        return Err(Errno::EINVAL);
    }
    // SAFETY: by the prototype `count` vectors, copied before the call returns.
    let pieces = (0..count).map(|index| unsafe { *iov.add(index) });
    let pieces: Vec<Piece> = pieces
        .map(|piece| Piece(piece.iov_base, piece.iov_len))
        .collect();
    let total = pieces
        .iter()
        .map(|piece| piece.1)
        .fold(0, usize::saturating_add);
    match total < TRANSFER_MAX {
        true => Ok(pieces),
        false => Err(Errno::EINVAL),
    }
}

/// One transfer of more is refused by Gluster's synchronous calls.
pub(super) const TRANSFER_MAX: usize = 1 << 30;

/// A buffer of the caller's.
#[derive(Clone, Copy)]
pub(super) struct Piece(pub(super) *mut c_void, pub(super) usize);

// SAFETY: the buffer belongs to the operation until its callback runs, on whatever thread.
unsafe impl Send for Piece {}

/// All bytes of a vector, in one.
pub(super) fn gather(pieces: &[Piece]) -> Result<Vec<u8>, Errno> {
    let mut whole = Vec::new();
    for piece in pieces {
        whole.extend_from_slice(bytes(piece.0, piece.1)?);
    }
    Ok(whole)
}

/// Spreads bytes over a vector.
pub(super) fn scatter(mut whole: &[u8], pieces: &[Piece]) -> Result<(), Errno> {
    for piece in pieces {
        let len = piece.1.min(whole.len());
        let (head, tail) = whole.split_at(len);
        bytes_mut(piece.0, len)?.copy_from_slice(head);
        whole = tail;
    }
    Ok(())
}

/// Stores a result where the caller wants one.
pub(super) fn store<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: not null, and by the prototype room for one.
        unsafe { place.write(value) }
    }
}

/// What the caller has somewhere.
pub(super) fn load<T: Copy>(place: *const T) -> Result<T, Errno> {
    if place.is_null() {
        return Err(Errno::EINVAL);
    }
    // SAFETY: not null, and by the prototype one is there.
    Ok(unsafe { place.read() })
}

/// Gluster tells no block size that means anything; neither do we, so that nobody relies on it.
const MEANINGLESS_BLKSIZE: i64 = 21_881;

/// `struct stat` of a file.
pub(super) fn stat(attributes: &Attributes) -> libc::stat {
    // SAFETY: plain numbers, for all of which zero is a value.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    stat.st_ino = attributes.number;
    stat.st_mode = mode(attributes);
    stat.st_nlink = attributes.links as _;
    stat.st_size = attributes.size as i64;
    stat.st_blocks = (attributes.allocated / 512) as i64;
    stat.st_blksize = MEANINGLESS_BLKSIZE as _;
    stat
}

/// `struct glfs_stat` of a file.
pub(super) fn glfs_stat(attributes: &Attributes) -> GlfsStat {
    GlfsStat {
        glfs_st_mask: 0x7ff,
        glfs_st_mtime: Timespec::default(),
        glfs_st_ino: attributes.number,
        glfs_st_size: attributes.size as i64,
        glfs_st_blocks: (attributes.allocated / 512) as i64,
        glfs_st_blksize: MEANINGLESS_BLKSIZE as _,
        glfs_st_nlink: attributes.links,
        glfs_st_mode: mode(attributes),
        ..GlfsStat::default()
    }
}

fn mode(attributes: &Attributes) -> u32 {
    let kind = if attributes.directory {
        libc::S_IFDIR
    } else {
        libc::S_IFREG
    };
    kind | attributes.mode
}

/// A length or offset from C, which has no unsigned ones.
pub(super) fn unsigned(number: i64) -> Result<u64, Errno> {
    u64::try_from(number).map_err(|_| Errno::EINVAL)
}
