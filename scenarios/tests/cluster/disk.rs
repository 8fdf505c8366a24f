//! What a disk may hold, given what was answered: one unit at a time.
//!
//! A write that was acknowledged is there. One that ended in BUSY may be there or not, until the
//! next one to the same unit is acknowledged.

/// Bytes written at a time.
pub(crate) const UNIT_BYTES: usize = 4096;
/// Blocks of 512 bytes in that.
pub(crate) const UNIT_BLOCKS: u16 = 8;

/// What was answered about each unit.
pub(crate) struct Disk {
    units: Vec<Unit>,
}

#[derive(Clone, Default)]
struct Unit {
    acknowledged: u64,
    /// Later than the acknowledged one, and not acknowledged.
    possible: Vec<u64>,
}

impl Disk {
    pub(crate) fn new(units: u64) -> Self {
        Self {
            units: vec![Unit::default(); units as usize],
        }
    }

    pub(crate) fn units(&self) -> u64 {
        self.units.len() as u64
    }

    pub(crate) fn acknowledged(&mut self, unit: u64, generation: u64) {
        let unit = &mut self.units[unit as usize];
        unit.acknowledged = generation;
        unit.possible.clear();
    }

    pub(crate) fn unanswered(&mut self, unit: u64, generation: u64) {
        self.units[unit as usize].possible.push(generation);
    }

    /// Units with a write that was acknowledged.
    pub(crate) fn written(&self) -> usize {
        let written = |unit: &&Unit| unit.acknowledged > 0;
        self.units.iter().filter(written).count()
    }

    /// Fails unless `data` is what the unit may hold.
    pub(crate) fn check(&self, at: u64, data: &[u8]) -> Result<(), String> {
        let unit = &self.units[at as usize];
        let mut allowed = std::iter::once(unit.acknowledged).chain(unit.possible.iter().copied());
        if allowed.any(|generation| data == stamp(at, generation)) {
            return Ok(());
        }
        let word = |at: usize| data.get(at..at + 8);
        let held = word(0).map(|word| u64::from_be_bytes(word.try_into().unwrap_or_default()));
        Err(format!(
            "unit {at} begins with {:#x?} and holds none of {}, {:?} ({} bytes)",
            held,
            unit.acknowledged,
            unit.possible,
            data.len()
        ))
    }
}

/// What a unit holds that was written so: each of its words tells where and when. Zeros before.
pub(crate) fn stamp(unit: u64, generation: u64) -> Vec<u8> {
    if generation == 0 {
        return vec![0; UNIT_BYTES];
    }
    (unit << 32 | generation)
        .to_be_bytes()
        .repeat(UNIT_BYTES / 8)
}
