//! The model's dice: SplitMix64, because its numbers are the same in every build for ever. Every roll
//! has a number, may be written down, and may be decided beforehand: so a run can be played again,
//! and with some of its decisions left out.

use std::collections::BTreeMap;

/// A stream of numbers that one seed determines.
#[derive(Clone, Debug)]
pub struct Chance {
    state: u64,
    rolls: u64,
    fixed: BTreeMap<u64, u64>,
    kept: Option<Vec<u64>>,
}

impl Chance {
    /// The stream of that seed.
    pub fn new(seed: u64) -> Self {
        Self {
            state: seed,
            rolls: 0,
            fixed: BTreeMap::new(),
            kept: None,
        }
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly one of `0..bound`; `bound` is not zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        let rolled = self.draw() % bound;
        let number = self.rolls;
        self.rolls += 1;
        let fixed = self.fixed.get(&number);
        let decided = fixed.map_or(rolled, |&fixed| fixed.min(bound - 1));
        if let Some(kept) = &mut self.kept {
            kept.push(decided);
        }
        decided
    }

    /// Roll `number`, counted from 0, comes to `value` whatever the seed says.
    pub fn fix(&mut self, number: u64, value: u64) {
        self.fixed.insert(number, value);
    }

    /// From now on writes down what rolls come to.
    pub fn keep(&mut self) {
        self.kept.get_or_insert_default();
    }

    /// What was written down.
    pub fn kept(&self) -> &[u64] {
        self.kept.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Chance;

    #[test]
    fn the_stream_is_the_published_one() {
        // The first outputs of SplitMix64 for this seed, from its reference implementation.
        let mut chance = Chance::new(1_234_567);
        let drawn = [chance.draw(), chance.draw(), chance.draw()];
        assert_eq!(
            drawn,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }
}
