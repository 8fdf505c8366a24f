//! Judges a history: what each sector may have held at each moment, and which flushes may be GOOD.
//! Knows nothing of targets, of storage and of what went wrong, but for [`Loss`].
//!
//! Sectors are registers of their own, and every write is of a value of its own, so a read names the
//! write it saw. Zeros are the value of a write before all others. Of two things the first is before
//! the second if it ended before the second was sent; where moments are equal neither is.
//!
//! 1. A sector never holds what nobody wrote there, what was refused, or what was sent after the
//!    read was answered.
//! 2. A write GOOD took effect at one moment between sent and ended, another one at a moment between
//!    sent and settled or never, a read between sent and ended. One that nobody saw and that is not
//!    GOOD counts as never. There has to be an order of all that agrees with those moments and gives
//!    every read the last write before it. As values are unique there is one unless of two writes
//!    each has to be before the other (Gibbons and Korach, *Testing shared memories*, 1997): a write,
//!    or a read that saw it, is before a write or read of the other, and the other way round. A read
//!    of one that a later one superseded, a read that goes back, and a write aborted that shows up
//!    late are all cases of it.
//! 3. A write is durable if it was answered GOOD and that means so, or if a flush of its sector was
//!    answered GOOD that was sent after that; and not lost in between.
//! 4. A loss may take any write that was sent until it was over and is not durable; each replica may
//!    have lost others, so reads may see now this, now that. Therefore a read that was answered after
//!    the loss began (a late read)
//!    - is wrong for a write that it should have seen only if that one is durable (the floor) or
//!      was sent after the loss;
//!    - and shows that what it saw is after a second write only if the second is durable, or one of
//!      the two was sent after the loss.
//! 5. A write that is not GOOD and never settles comes and goes: replicas disagree about it. That it
//!    was seen, or not, proves nothing; but once it has ended it is superseded for good by a write
//!    that was sent later and is GOOD.
//! 6. After a flush that failed because of storage none that was sent later is GOOD until the image
//!    is opened anew. A reopening counts from the moment on at which the one was sent until the other
//!    was answered.
//!
//! So without a loss everything is strict, and what is durable is judged strictly over losses, too.
//! `zones` decides 2 in n log n, strictly; only where that objects `order` goes through the pairs,
//! knows of losses and gives the reason.
//!
//! [`Loss`]: super::history::Loss

mod flushes;
mod order;
mod sectors;
mod words;
mod zones;

use super::Complaint;
use super::history::{History, Image, WriteId};
use super::plan::Moment;
use order::Superseded;

/// Complaints about one history; the rest of them would be about the same.
const COMPLAINTS_MAX: usize = 8;

/// What is wrong with it, the earliest first.
pub fn judge(history: &History) -> Vec<Complaint> {
    let mut findings = Findings::default();
    flushes::judge(history, &mut findings);
    sectors::judge(history, &mut findings);
    let mut found = findings.0;
    found.sort_by_key(|finding| (finding.at, finding.place));
    found.truncate(COMPLAINTS_MAX);
    let complaint = |finding: &Finding| words::complaint(history, finding);
    found.iter().map(complaint).collect()
}

/// Something wrong, before it is put into words.
#[derive(Clone, Copy, Debug)]
struct Finding {
    /// When it showed.
    at: Moment,
    place: Place,
    wrong: Wrong,
}

/// Sectors side by side; of a flush none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    image: Image,
    first: u32,
    end: u32,
}

/// What is wrong. Reads and flushes are named by their place in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    /// It saw what nobody wrote.
    Garbage { read: u32 },
    /// It saw a write that is not of this place.
    Elsewhere { read: u32, write: WriteId },
    /// It saw a write that was refused.
    Refused { read: u32, write: WriteId },
    /// It saw a write that was not sent yet.
    Early { read: u32, write: WriteId },
    /// It saw what another write superseded.
    Superseded(Superseded),
    /// A flush is GOOD after one failed.
    Flushed { good: u32, failed: u32 },
}

/// All that was found.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    /// One more; what is wrong in the same way with the sector before is widened.
    fn add(&mut self, at: Moment, place: Place, wrong: Wrong) {
        let widened = self.0.iter_mut().rev().find(|last| {
            last.wrong == wrong && last.place.image == place.image && last.place.end == place.first
        });
        match widened {
            Some(last) => last.place.end = place.end,
            None => self.0.push(Finding { at, place, wrong }),
        }
    }
}

#[cfg(test)]
mod tests;
