//! The logical units of this process, each with the store behind it.
//!
//! Units come and go while sessions run. A session holds the ones it uses, so that looking at one
//! touches nothing that sessions share but the unit itself.
//! Invariant: a unit is in the table until its image is closed, so the last flush reaches it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::{UnitId, Units};
use scsi::{Identity, Nexus, Unit};
use tokio::sync::Notify;

use crate::store::Store;

/// All units.
#[derive(Default)]
pub struct UnitTable {
    entries: Mutex<Entries>,
    vacated: Notify,
}

#[derive(Default)]
struct Entries {
    /// Never given twice: who asks for a unit that is gone finds nothing.
    last: u32,
    slots: BTreeMap<UnitId, Arc<Slot>>,
    /// Units no session has any more, by the configuration that took them away.
    vacated: BTreeMap<UnitId, u64>,
}

/// A unit and its image.
pub(crate) struct Slot {
    /// What the unit is, for messages.
    name: String,
    unit: Mutex<Unit>,
    store: Arc<dyn Store>,
}

impl Slot {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    fn unit(&self) -> MutexGuard<'_, Unit> {
        // A session that panicked in a look is a bug that was logged; the unit goes on.
        self.unit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnitTable {
    /// No units.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a unit on top of `store`.
    pub fn add(&self, name: String, identity: Identity, store: Arc<dyn Store>) -> UnitId {
        let unit = Mutex::new(Unit::new(identity, store.caps()));
        let mut entries = self.lock();
        entries.last = entries
            .last
            .checked_add(1)
            .expect("fewer units than 32 bits");
        let id = UnitId(entries.last);
        let slot = Arc::new(Slot { name, unit, store });
        entries.slots.insert(id, slot);
        id
    }

    pub(crate) fn slot(&self, unit: UnitId) -> Option<Arc<Slot>> {
        self.lock().slots.get(&unit).cloned()
    }

    pub(crate) fn slots(&self) -> Vec<Arc<Slot>> {
        self.lock().slots.values().cloned().collect()
    }

    /// Forgets a unit whose image is about to be closed.
    pub(crate) fn remove(&self, unit: UnitId) {
        let removed = {
            let mut entries = self.lock();
            entries.vacated.remove(&unit);
            entries.slots.remove(&unit)
        };
        // Not under the lock: should nobody else hold it, its image closes here.
        drop(removed);
    }

    /// Forgets a nexus everywhere.
    pub fn detach(&self, nexus: Nexus) {
        for slot in self.slots() {
            slot.unit().detach(nexus);
        }
    }

    /// No session has the unit any more, since the configuration of that `version`.
    pub(crate) fn vacate(&self, unit: UnitId, version: u64) {
        self.lock().vacated.insert(unit, version);
        self.vacated.notify_waiters();
    }

    /// Waits until the unit was vacated because of that configuration or a later one.
    pub(crate) async fn vacated(&self, unit: UnitId, version: u64) {
        loop {
            let vacated = self.vacated.notified();
            if self
                .lock()
                .vacated
                .get(&unit)
                .is_some_and(|&at| at >= version)
            {
                return;
            }
            vacated.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The units one session holds. A unit's lock is held for one look and never over I/O.
pub struct SharedUnits {
    table: Arc<UnitTable>,
    /// Ascending.
    held: Vec<(UnitId, Arc<Slot>)>,
}

impl SharedUnits {
    /// None yet, of `table`.
    pub fn new(table: Arc<UnitTable>) -> Self {
        let held = Vec::new();
        Self { table, held }
    }

    /// How many are held.
    pub(crate) fn count(&self) -> usize {
        self.held.len()
    }

    /// The store behind a unit.
    pub(crate) fn store(&self, unit: UnitId) -> Option<&Arc<dyn Store>> {
        self.slot(unit).map(|slot| &slot.store)
    }

    fn slot(&self, unit: UnitId) -> Option<&Slot> {
        let place = self.place(unit).ok()?;
        Some(&self.held[place].1)
    }

    fn place(&self, unit: UnitId) -> Result<usize, usize> {
        self.held.binary_search_by_key(&unit, |(held, _)| *held)
    }
}

impl Units for SharedUnits {
    fn with<R>(&mut self, unit: UnitId, look: impl FnOnce(&mut Unit) -> R) -> Option<R> {
        let mut unit = self.slot(unit)?.unit();
        Some(look(&mut unit))
    }

    fn hold(&mut self, unit: UnitId) {
        if let Err(place) = self.place(unit)
            && let Some(slot) = self.table.slot(unit)
        {
            self.held.insert(place, (unit, slot));
        }
    }

    fn let_go(&mut self, unit: UnitId) {
        if let Ok(place) = self.place(unit) {
            // Never the last one: the table has it until the image is to be closed.
            self.held.remove(place);
        }
    }
}
