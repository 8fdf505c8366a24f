//! The space an image takes: holes, zeros, allocation maps, and what is left.
//!
//! Bricks make holes by punching, so what is unmapped reads as zeros. Invariant: what a volume
//! cannot do is known when the image is opened, and looking for it changes no byte.

use std::io;

use block::{Extent, Fault, Space, Span, Thin};
use rustix::io::Errno;

use super::super::calls::GlusterFile;
use super::super::crew::Deadline;
use super::super::errno::fault;
use super::super::volfile::Nature;
use super::Image;
use crate::store::thin;

/// Bytes unmapped by one call.
const UNMAP_STEP: u64 = 1 << 30;

/// Bytes zeroed by one call: bricks may write them out.
const ZERO_STEP: u64 = 8 << 20;

/// Whole stripes of every dispersed volume of up to 12 data bricks, 512 bytes each.
const STRIPES: u64 = 512 * 27_720;

/// What this image of `bytes` can do.
pub(super) fn thin(
    file: &GlusterFile,
    nature: &Nature,
    bytes: u64,
    read_only: bool,
) -> io::Result<Thin> {
    let unmap = !read_only && !nature.sharded && punches(file, bytes)?;
    Ok(Thin {
        unmap,
        unmapped_zero: unmap,
        // Unknown to dispersed volumes.
        quick_zeroes: !nature.dispersed,
        extents: nature.seeks && file.next(0, true).is_ok(),
        space: true,
    })
}

/// Whether the bricks make holes, asked about bytes behind the end, of which there are none. (A
/// sharded file grows by that, measured on 10.3; those are not asked.)
fn punches(file: &GlusterFile, bytes: u64) -> io::Result<bool> {
    let punches = file
        .discard(bytes.next_multiple_of(STRIPES), STRIPES)
        .is_ok();
    if file.look()?.bytes == bytes {
        return Ok(punches);
    }
    tracing::warn!("discarding behind the end of a file made it grow; nothing is unmapped");
    file.set_size(bytes)?;
    Ok(false)
}

/// The parts of `span`, none longer than `step`.
fn steps(span: Span, step: u64) -> impl Iterator<Item = Span> {
    (0..span.len.div_ceil(step)).map(move |index| {
        let at = span.at + index * step;
        let len = (span.end() - at).min(step);
        Span { at, len }
    })
}

impl Image {
    pub(super) fn unmap(&self, span: Span, deadline: Deadline) -> Result<(), Fault> {
        steps(span, UNMAP_STEP).try_for_each(|part| {
            in_time(deadline)?;
            self.call(true, |file| file.discard(part.at, part.len))
        })
    }

    /// By the bricks where they can, by hand where not.
    pub(super) fn write_zeroes(&self, span: Span, deadline: Deadline) -> Result<(), Fault> {
        steps(span, ZERO_STEP).try_for_each(|part| {
            in_time(deadline)?;
            if self.thin.quick_zeroes && self.zeroed_by_bricks(part)? {
                return Ok(());
            }
            thin::zero_pieces(part).try_for_each(|(at, zeros)| {
                in_time(deadline)?;
                self.call(true, |file| super::write(file, at, zeros, false))
            })
        })
    }

    fn zeroed_by_bricks(&self, part: Span) -> Result<bool, Fault> {
        self.call(true, |file| match file.zero(part.at, part.len) {
            Ok(()) => Ok(true),
            Err(why) if Errno::from_io_error(&why) == Some(Errno::OPNOTSUPP) => Ok(false),
            Err(why) => Err(why),
        })
    }

    pub(super) fn extents(&self, span: Span, deadline: Deadline) -> Result<Vec<Extent>, Fault> {
        thin::extents(span, self.block_size, |at, hole| {
            in_time(deadline)?;
            self.call(false, |file| file.next(at, hole))
        })
    }

    pub(super) fn space(&self) -> Result<Space, Fault> {
        // Of a sharded file, the blocks of its first shard are told, or none.
        let allocated = match self.volume.nature.sharded {
            true => None,
            false => Some(self.call(false, GlusterFile::look)?.allocated),
        };
        let (total, free) = self.volume.room().map_err(|why| fault(&why, false))?;
        Ok(Space {
            total,
            free,
            allocated,
        })
    }
}

/// Nobody waits any more, so it ends here.
fn in_time(deadline: Deadline) -> Result<(), Fault> {
    match deadline.has_passed() {
        true => Err(Fault::Unreachable),
        false => Ok(()),
    }
}
