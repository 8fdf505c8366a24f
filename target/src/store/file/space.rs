//! The space a file takes: holes, zeros, allocation maps.
//!
//! A hole reads as zeros on every file system that has holes, so unmapped blocks do. Invariant: what
//! a file system cannot do is found out when the image is opened, without changing a byte of it.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};

use block::{BlockSize, Extent, Fault, Space, Span, Thin};
use rustix::fs::{FallocateFlags, SeekFrom, fallocate};
use rustix::io::Errno;

use super::errno::fault;
use crate::store::thin;

/// What this file, `bytes` long, can do. Asked about the bytes behind its end, of which there are
/// none. Block devices have no such place, and are not asked.
pub(super) fn thin(file: &File, bytes: u64) -> Thin {
    let regular = file.metadata().is_ok_and(|file| file.is_file());
    let behind = Span {
        at: bytes.next_multiple_of(1 << 20),
        len: 1 << 20,
    };
    let hole = regular && punch(file, behind).is_ok();
    Thin {
        unmap: hole,
        unmapped_zero: hole,
        // A file system without holes most probably has no way to zero a range either.
        quick_zeroes: hole,
        extents: regular && next(file, 0, true).is_ok(),
        space: regular,
    }
}

fn punch(file: &File, span: Span) -> rustix::io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    fallocate(file, flags, span.at, span.len)
}

pub(super) fn unmap(file: &File, span: Span) -> Result<(), Fault> {
    match span.len {
        0 => Ok(()),
        _ => punch(file, span).map_err(|errno| fault(&errno.into(), true)),
    }
}

/// By the file system where it can, by hand where not.
pub(super) fn write_zeroes(file: &File, span: Span) -> Result<(), Fault> {
    if span.len == 0 {
        return Ok(());
    }
    let flags = FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE;
    match fallocate(file, flags, span.at, span.len).or_else(|_| punch(file, span)) {
        Ok(()) => Ok(()),
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::NODEV) => {
            let mut pieces = thin::zero_pieces(span);
            pieces
                .try_for_each(|(at, zeros)| file.write_all_at(zeros, at))
                .map_err(|why| fault(&why, true))
        }
        Err(errno) => Err(fault(&errno.into(), true)),
    }
}

pub(super) fn extents(file: &File, span: Span, block: BlockSize) -> Result<Vec<Extent>, Fault> {
    thin::extents(span, block, |at, hole| next(file, at, hole))
        .map_err(|errno| fault(&errno.into(), false))
}

/// The next data or hole. Nothing but holes up to the end is no error.
fn next(file: &File, at: u64, hole: bool) -> rustix::io::Result<Option<u64>> {
    let from = if hole {
        SeekFrom::Hole(at)
    } else {
        SeekFrom::Data(at)
    };
    match rustix::fs::seek(file, from) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NXIO) => Ok(None),
        Err(errno) => Err(errno),
    }
}

pub(super) fn left(file: &File) -> Result<Space, Fault> {
    let failed = |why| fault(&why, false);
    let allocated = file.metadata().map_err(failed)?.blocks() * 512;
    let held = rustix::fs::fstatvfs(file).map_err(|errno| failed(errno.into()))?;
    Ok(Space {
        total: held.f_blocks * held.f_frsize,
        free: held.f_bavail * held.f_frsize,
        allocated: Some(allocated),
    })
}
