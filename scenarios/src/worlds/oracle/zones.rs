//! Whether the reads and writes of one sector can be put in an order, if nothing was ever lost: the
//! zones of Gibbons and Korach.
//!
//! All that has to do with one value, its write and the reads that saw it, is a cluster. Its first
//! end is the moment by which the write had taken effect, its last start the moment up to which
//! nothing superseded it for good. Of two clusters each has to be before the other if the first end
//! of each is before the last start of the other; there is an order if no two are like that. (Their
//! words: two forward zones overlap, or a backward zone lies within a forward one.)

use super::super::history::{Fate, NEVER, Read, Write};
use super::super::plan::Moment;

/// A moment with room before the first one, for what was there when the world began.
pub(super) type Instant = u64;

/// The moment at which the zeros were written.
pub(super) const BEGINNING: Instant = 0;

pub(super) fn instant(moment: Moment) -> Instant {
    moment.0.saturating_add(1)
}

/// When a write ends at the latest: after that it takes no effect any more.
pub(super) fn end_of(write: &Write) -> Moment {
    match write.fate {
        Fate::Good => write.ended,
        _ => write.settled,
    }
}

/// Whether a write may come and go: it failed while replicas disagreed, so that a read of one replica
/// sees it and a read of another does not, until it is healed or superseded.
pub(super) fn flickers(write: &Write) -> bool {
    write.fate != Fate::Good && write.settled == NEVER
}

/// A write and the reads that saw it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cluster {
    /// The first end. The end of time for a write of which nobody knows that it took effect.
    first_end: Instant,
    last_start: Instant,
    /// When the write itself ends.
    end: Instant,
}

impl Cluster {
    /// The zeros of the beginning.
    pub(super) const ZEROS: Self = Self {
        first_end: BEGINNING,
        last_start: BEGINNING,
        end: BEGINNING,
    };

    /// A write nobody saw yet.
    pub(super) fn of(write: &Write) -> Self {
        let end = instant(end_of(write));
        let took_effect = write.fate == Fate::Good;
        Self {
            first_end: if took_effect { end } else { Instant::MAX },
            last_start: instant(write.sent),
            end,
        }
    }

    /// A read saw it, so it took effect.
    pub(super) fn seen(&mut self, read: &Read) {
        self.first_end = self.first_end.min(self.end).min(instant(read.ended));
        self.last_start = self.last_start.max(instant(read.sent));
    }
}

/// Whether of two of them each has to be before the other. Sorts them.
///
/// In the order of first ends it is enough to look at the one that starts last among those before:
/// if that one does not clash because it ends too late, then any other that would has clashed with
/// it before.
pub(super) fn clash(clusters: &mut [Cluster]) -> bool {
    clusters.sort_unstable_by_key(|cluster| cluster.first_end);
    let mut last = Cluster::ZEROS;
    for cluster in clusters {
        if last.first_end < cluster.last_start && cluster.first_end < last.last_start {
            return true;
        }
        if cluster.last_start > last.last_start {
            last = *cluster;
        }
    }
    false
}
