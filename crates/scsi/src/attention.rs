//! Unit attention conditions, one queue per nexus (SAM-5 5.14). What one nexus was told, another
//! still has to hear.
//!
//! Invariant: a queue is sorted by precedence, holds no condition twice and is bounded.

use std::collections::BTreeMap;

use planted::{Bug, has};

use crate::limits::ATTENTIONS_MAX;
use crate::{Nexus, Sense};

/// The pending conditions of every nexus of one unit.
#[derive(Debug, Default)]
pub(crate) struct Attentions {
    queues: BTreeMap<Nexus, Vec<Sense>>,
    /// Conditions in all queues: lets the hot path skip the map.
    pending: usize,
}

impl Attentions {
    /// A nexus not seen before starts with POWER ON, RESET, OR BUS DEVICE RESET OCCURRED.
    pub(crate) fn attach(&mut self, nexus: Nexus) {
        self.queues.entry(nexus).or_insert_with(|| {
            self.pending += 1;
            vec![Sense::POWER_ON_OR_RESET]
        });
    }

    pub(crate) fn detach(&mut self, nexus: Nexus) {
        if let Some(queue) = self.queues.remove(&nexus) {
            self.pending -= queue.len();
        }
    }

    pub(crate) fn nexuses(&self) -> impl Iterator<Item = Nexus> {
        self.queues.keys().copied()
    }

    /// Queues `sense` for every nexus that is `concerned`.
    pub(crate) fn establish(&mut self, concerned: impl Fn(Nexus) -> bool, sense: Sense) {
        for (nexus, queue) in &mut self.queues {
            if !concerned(*nexus)
                || queue.iter().any(|queued| queued.is(sense))
                || queue.len() == ATTENTIONS_MAX
            {
                continue;
            }
            let level = precedence(sense);
            let at = queue.partition_point(|queued| precedence(*queued) <= level);
            queue.insert(at, sense);
            self.pending += 1;
            if has(Bug::AttentionForOne) {
                break;
            }
        }
    }

    /// Takes the condition `nexus` is to be told next.
    pub(crate) fn take(&mut self, nexus: Nexus) -> Option<Sense> {
        if self.pending == 0 {
            return None;
        }
        let queue = self
            .queues
            .get_mut(&nexus)
            .filter(|queue| !queue.is_empty())?;
        self.pending -= 1;
        Some(queue.remove(0))
    }

    /// Drops one condition of `nexus`, wherever it is in the queue.
    pub(crate) fn clear(&mut self, nexus: Nexus, sense: Sense) {
        if let Some(queue) = self.queues.get_mut(&nexus) {
            let before = queue.len();
            queue.retain(|queued| !queued.is(sense));
            self.pending -= before - queue.len();
        }
    }
}

/// Unit attention precedence level (SAM-5 5.14), 0 reported first.
fn precedence(sense: Sense) -> u8 {
    match (sense.asc, sense.ascq) {
        (0x29, 0x00 | 0x01 | 0x04) => 0,
        (0x29, 0x02) => 1,
        (0x29, 0x03) => 2,
        (0x29, 0x07) => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests;
