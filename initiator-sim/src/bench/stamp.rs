//! What a verified block holds: a pattern that depends on where it is and how often it was
//! written, so that a lost, torn, stale or misplaced write is seen.

use super::pick::mix;

/// Fill `data` with the pattern of this unit's generation.
pub(crate) fn fill(data: &mut [u8], unit: u64, generation: u32) {
    let mut word = start(unit, generation);
    for chunk in data.chunks_mut(8) {
        chunk.copy_from_slice(&word.to_be_bytes()[..chunk.len()]);
        word = word.wrapping_add(STEP);
    }
}

/// Does `data` hold the pattern of this unit's generation?
pub(crate) fn holds(data: &[u8], unit: u64, generation: u32) -> bool {
    let mut word = start(unit, generation);
    data.chunks(8).all(|chunk| {
        let equal = chunk == &word.to_be_bytes()[..chunk.len()];
        word = word.wrapping_add(STEP);
        equal
    })
}

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

fn start(unit: u64, generation: u32) -> u64 {
    mix(mix(unit) ^ u64::from(generation))
}

/// What one session knows of its units in verify mode.
pub(crate) struct Ledger {
    /// Writes acknowledged per unit; 0 is "never written by us".
    generations: Vec<u32>,
    /// Units with a command in flight: a second one would make the answer a matter of timing.
    busy: Vec<bool>,
}

impl Ledger {
    pub(crate) fn new(units: usize) -> Self {
        Self {
            generations: vec![0; units],
            busy: vec![false; units],
        }
    }

    /// Take a unit for one command; the first free one from `wanted` on.
    pub(crate) fn take(&mut self, wanted: u64) -> u64 {
        let units = self.busy.len() as u64;
        let unit = (0..units)
            .map(|step| (wanted + step) % units)
            .find(|unit| !self.busy[*unit as usize])
            .expect("there are more units than commands in flight");
        self.busy[unit as usize] = true;
        unit
    }

    pub(crate) fn generation(&self, unit: u64) -> u32 {
        self.generations[unit as usize]
    }

    /// The command on the unit is over; a write that was acknowledged counts.
    pub(crate) fn release(&mut self, unit: u64, written: bool) {
        self.busy[unit as usize] = false;
        self.generations[unit as usize] += u32::from(written);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_of_one_place_and_time() {
        let mut data = vec![0; 4096];
        fill(&mut data, 5, 2);
        assert!(holds(&data, 5, 2));
        assert!(!holds(&data, 5, 1), "stale");
        assert!(!holds(&data, 6, 2), "misplaced");
        data[4095] ^= 1;
        assert!(!holds(&data, 5, 2), "torn");
    }

    #[test]
    fn no_two_commands_on_one_unit() {
        let mut ledger = Ledger::new(3);
        assert_eq!((ledger.take(1), ledger.take(1), ledger.take(1)), (1, 2, 0));
        ledger.release(2, true);
        assert_eq!((ledger.take(0), ledger.generation(2)), (2, 1));
    }
}
