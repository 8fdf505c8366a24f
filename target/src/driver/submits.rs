//! The operations of one turn, gathered per unit, so that each store is asked once.

use block::{Completion, Fault, Op, Ticket};
use engine::UnitId;

use crate::inbox::Completions;
use crate::units::SharedUnits;
use std::sync::Arc;

#[derive(Default)]
pub(super) struct Submits {
    /// A session talks to few units; batches are kept for their memory.
    batches: Vec<(UnitId, Vec<(Ticket, Op)>)>,
    count: usize,
    /// Operations that storage has and will end later.
    in_flight: usize,
}

impl Submits {
    pub(super) fn push(&mut self, unit: UnitId, ticket: Ticket, op: Op) {
        self.count += 1;
        match self.batches.iter_mut().find(|(known, _)| *known == unit) {
            Some((_, batch)) => batch.push((ticket, op)),
            None => self.batches.push((unit, vec![(ticket, op)])),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Operations whose end is still to come through `reply`.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Storage answered these.
    pub(super) fn answered(&mut self, completed: &[Completion]) {
        self.in_flight = self.in_flight.saturating_sub(ended(completed));
    }

    /// Hands everything to its store. What is answered at once goes to `done`.
    pub(super) fn hand_over(
        &mut self,
        units: &SharedUnits,
        done: &mut Vec<Completion>,
        reply: &Arc<Completions>,
    ) {
        self.count = 0;
        if self.batches.len() > units.count() {
            // Some unit is gone; its batch is empty, or is answered below.
            self.batches
                .retain(|(unit, batch)| !batch.is_empty() || units.store(*unit).is_some());
        }
        for (unit, batch) in self
            .batches
            .iter_mut()
            .filter(|(_, batch)| !batch.is_empty())
        {
            match units.store(*unit) {
                Some(store) => {
                    let (asked, answered) = (batch.len(), done.len());
                    store.submit(batch, done, reply);
                    self.in_flight += asked - (done.len() - answered);
                }
                None => done.extend(
                    batch
                        .drain(..)
                        .map(|(ticket, op)| Completion::of(ticket, op, Err(Fault::Gone))),
                ),
            }
        }
    }
}

/// How many of these are the end of their ticket.
pub(super) fn ended(completed: &[Completion]) -> usize {
    completed.iter().filter(|each| each.ends_ticket()).count()
}
