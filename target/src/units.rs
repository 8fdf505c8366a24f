//! The logical units of this process, each with the store behind it.

use std::sync::{Arc, Mutex, PoisonError};

use engine::{UnitId, Units};
use scsi::{Identity, Nexus, Unit};

use crate::store::Store;

/// All units. A [`UnitId`] is a place in it.
pub struct UnitTable {
    slots: Vec<Slot>,
}

struct Slot {
    /// What the unit is, for messages.
    name: String,
    unit: Mutex<Unit>,
    store: Arc<dyn Store>,
}

impl UnitTable {
    /// No units.
    pub fn new() -> Self {
        Self { slots: Vec::new() }
    }

    /// Adds a unit on top of `store`.
    pub fn add(&mut self, name: String, identity: Identity, store: Arc<dyn Store>) -> UnitId {
        let unit = Mutex::new(Unit::new(identity, store.caps()));
        let id = u32::try_from(self.slots.len()).expect("fewer units than 32 bits");
        self.slots.push(Slot { name, unit, store });
        UnitId(id)
    }

    /// The store behind a unit.
    pub fn store(&self, unit: UnitId) -> Option<&Arc<dyn Store>> {
        self.slot(unit).map(|slot| &slot.store)
    }

    /// Every store with its unit's name.
    pub fn stores(&self) -> impl Iterator<Item = (&str, &Arc<dyn Store>)> {
        self.slots
            .iter()
            .map(|slot| (slot.name.as_str(), &slot.store))
    }

    /// Forgets a nexus everywhere.
    pub fn detach(&self, nexus: Nexus) {
        for slot in &self.slots {
            slot.unit
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .detach(nexus);
        }
    }

    fn slot(&self, unit: UnitId) -> Option<&Slot> {
        self.slots.get(usize::try_from(unit.0).ok()?)
    }
}

impl Default for UnitTable {
    fn default() -> Self {
        Self::new()
    }
}

/// The table as a session sees it. A lock is held for one look and never over I/O.
#[derive(Clone)]
pub struct SharedUnits(pub Arc<UnitTable>);

impl Units for SharedUnits {
    fn with<R>(&mut self, unit: UnitId, look: impl FnOnce(&mut Unit) -> R) -> Option<R> {
        let slot = self.0.slot(unit)?;
        // A session that panicked in a look is a bug that was logged; the unit goes on.
        let mut unit = slot.unit.lock().unwrap_or_else(PoisonError::into_inner);
        Some(look(&mut unit))
    }
}
