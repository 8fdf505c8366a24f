//! Which block next, and read or write.

use super::Access;

/// A small generator (SplitMix64): a few instructions per number, the same on every machine.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

/// The finaliser of SplitMix64: every bit depends on every bit.
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The addresses of one session: units of one command each, numbered from 0.
#[derive(Debug, Clone)]
pub(crate) struct Picker {
    dice: Dice,
    access: Access,
    units: u64,
    next: u64,
    read_percent: u8,
}

impl Picker {
    pub(crate) fn new(seed: u64, access: Access, units: u64, read_percent: u8) -> Self {
        Self {
            dice: Dice::new(seed),
            access,
            units,
            next: 0,
            read_percent,
        }
    }

    /// The next unit.
    pub(crate) fn unit(&mut self) -> u64 {
        match self.access {
            Access::Random => self.dice.below(self.units),
            Access::Sequential => {
                let unit = self.next;
                self.next = (unit + 1) % self.units;
                unit
            }
        }
    }

    /// Is the next command a read?
    pub(crate) fn reads(&mut self) -> bool {
        match self.read_percent {
            0 => false,
            100.. => true,
            percent => self.dice.below(100) < u64::from(percent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix64_reference() {
        // First outputs for seed 1234567, from the reference implementation's published list.
        let mut dice = Dice::new(1_234_567);
        assert_eq!(dice.next(), 6_457_827_717_110_365_317);
        assert_eq!(dice.next(), 3_203_168_211_198_807_973);
        assert_eq!(dice.next(), 9_817_491_932_198_370_423);
    }

    #[test]
    fn sequential_wraps() {
        let mut picker = Picker::new(1, Access::Sequential, 3, 100);
        let units: Vec<u64> = (0..5).map(|_| picker.unit()).collect();
        assert_eq!(units, [0, 1, 2, 0, 1]);
    }

    #[test]
    fn random_reaches_everything() {
        let mut picker = Picker::new(7, Access::Random, 16, 50);
        let mut seen = [false; 16];
        let mut reads = 0;
        for _ in 0..1000 {
            seen[picker.unit() as usize] = true;
            reads += u32::from(picker.reads());
        }
        assert!(seen.iter().all(|seen| *seen));
        assert!((400..600).contains(&reads), "{reads} reads of 1000 at 50 %");
    }
}
