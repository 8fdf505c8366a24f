//! What is wrong, in words.

use super::super::history::{Fate, History, NEVER, WriteId};
use super::super::plan::Moment;
use super::super::{Complaint, Oracle};
use super::order::{Sign, Superseded};
use super::zones::end_of;
use super::{Finding, Place, Wrong};

/// The complaint about it.
pub(super) fn complaint(history: &History, finding: &Finding) -> Complaint {
    let words = Words(history);
    let saw = |read, what: String| format!("{} saw in {} {what}", words.read(read), finding.place);
    let (oracle, what) = match finding.wrong {
        Wrong::Garbage { read } => (
            Oracle::Linearizable,
            saw(read, "what nobody wrote".to_owned()),
        ),
        Wrong::Elsewhere { read, write } => {
            let what = format!("write {write}, which was never sent for there");
            (Oracle::Linearizable, saw(read, what))
        }
        Wrong::Refused { read, write } => {
            let what = format!("{}, which was refused", words.write(write));
            (Oracle::Linearizable, saw(read, what))
        }
        Wrong::Early { read, write } => {
            let what = format!("{}, which was sent later", words.write(write));
            (Oracle::Linearizable, saw(read, what))
        }
        Wrong::Superseded(it) => {
            let oracle = match it.floor {
                Some(_) => Oracle::Durable,
                None => Oracle::Linearizable,
            };
            (oracle, saw(it.read, words.superseded(&it)))
        }
        Wrong::Flushed { good, failed } => (Oracle::Durable, words.flushed(good, failed)),
    };
    Complaint { oracle, what }
}

struct Words<'a>(&'a History);

impl Words<'_> {
    fn superseded(&self, it: &Superseded) -> String {
        let held = match it.held {
            Some(write) => self.write(write),
            None => "nothing".to_owned(),
        };
        let newer = self.write(it.newer);
        let durable = match it.floor {
            Some(since) => format!(", durable since {}", Clock(since)),
            None => String::new(),
        };
        let reasons = [self.why_after(it), self.why_there(it)];
        let reasons: Vec<_> = reasons.into_iter().flatten().collect();
        let colon = if reasons.is_empty() { "" } else { ": " };
        let reasons = reasons.join(", and ");
        format!("{held}, which is superseded by {newer}{durable}{colon}{reasons}")
    }

    /// Why the newer write is the newer one, where their own moments do not say it.
    fn why_after(&self, it: &Superseded) -> Option<String> {
        let held = it.held?;
        let there = match (it.held_by, it.after) {
            (Sign::Ended, None) => return None,
            (Sign::Ended, Some(_)) => format!("write {held} was over"),
            (Sign::Seen(read), _) => format!("write {held} was seen by {}", self.read(read)),
        };
        Some(match it.after {
            None => format!("{there} before write {} was sent", it.newer),
            Some(read) => {
                let read = self.read(read);
                format!("{there} before write {} was seen by {read}", it.newer)
            }
        })
    }

    /// Why the newer write had taken effect, where it is not just GOOD.
    fn why_there(&self, it: &Superseded) -> Option<String> {
        let newer = it.newer;
        match (it.newer_by, it.seen) {
            (Sign::Seen(read), _) => Some(format!(
                "write {newer} was seen before by {}",
                self.read(read)
            )),
            (Sign::Ended, Some(read)) if self.0.writes[newer as usize].fate != Fate::Good => {
                let read = self.read(read);
                Some(format!("write {newer} was over before, and seen by {read}"))
            }
            (Sign::Ended, _) => None,
        }
    }

    fn flushed(&self, good: u32, failed: u32) -> String {
        let (good, failed) = (&self.0.syncs[good as usize], &self.0.syncs[failed as usize]);
        format!(
            "a flush of image {} (event {}, initiator {}, sent {}) is GOOD after one failed \
             (event {}, initiator {}, answered {}), and the image was not opened anew",
            good.image,
            good.event,
            good.initiator,
            Clock(good.sent),
            failed.event,
            failed.initiator,
            Clock(failed.ended),
        )
    }

    fn read(&self, number: u32) -> String {
        let read = &self.0.reads[number as usize];
        format!(
            "a read (event {}, initiator {}, sent {}, answered {})",
            read.event,
            read.initiator,
            Clock(read.sent),
            Clock(read.ended)
        )
    }

    fn write(&self, number: WriteId) -> String {
        let write = &self.0.writes[number as usize];
        let durable = if write.durable { "durable " } else { "" };
        let fate = match (write.fate, write.ended) {
            (Fate::Good, ended) => format!("GOOD {}", Clock(ended)),
            (Fate::Open, NEVER) => "not answered".to_owned(),
            (Fate::Open, ended) => format!("not answered, over {}", Clock(ended)),
            (Fate::Refused, ended) => format!("refused {}", Clock(ended)),
            (Fate::Failed, ended) => format!("failed {}", Clock(ended)),
            (Fate::Aborted, ended) => format!("aborted {}", Clock(ended)),
        };
        let settled = match end_of(write) {
            end if end == write.ended => String::new(),
            end => format!(", settled {}", Clock(end)),
        };
        format!(
            "{durable}write {number} (event {}, initiator {}, sent {}, {fate}{settled})",
            write.event,
            write.initiator,
            Clock(write.sent)
        )
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { image, first, end } = *self;
        match end - first {
            0 | 1 => write!(out, "sector {first} of image {image}"),
            _ => write!(out, "sectors {first} to {} of image {image}", end - 1),
        }
    }
}

/// A moment in seconds, to the microsecond.
struct Clock(Moment);

impl std::fmt::Display for Clock {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let micros = self.0.0 / 1000;
        match self.0 {
            NEVER => out.write_str("never"),
            _ => write!(out, "{}.{:06} s", micros / 1_000_000, micros % 1_000_000),
        }
    }
}
