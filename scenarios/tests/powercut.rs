//! A slice of `scenarios prove --power-cut`: a few rounds of each mode, none of which waits for a
//! deadline of storage. All of it, and the proof that it sees bugs, are commands of their own.

use scenarios::binaries;
use scenarios::powercut::{self, Cache, Round, Summary};

/// Four seeds in a row; the next one would have writes that hang.
const SEEDS: (u64, u32) = (3, 4);

#[test]
fn what_was_promised_outlives_a_power_cut() {
    let glintd = binaries::glintd().expect("glintd builds");
    let (first, count) = SEEDS;
    let rounds = powercut::rounds(first, count, &Cache::ALL);
    let tries: Vec<_> = rounds.into_iter().map(|round| (round, None)).collect();
    let played = powercut::run(&tries, &glintd, 4, &|_, _| ()).expect("an environment");
    for each in &played {
        let Round { seed, cache } = each.round;
        let complaints = &each.complaints;
        assert!(
            complaints.is_empty(),
            "{cache} seed {seed}: {complaints:#?}"
        );
    }
    for cache in Cache::ALL {
        assert_eq!(
            Summary::of(&played, cache).proves_nothing(),
            None,
            "{cache}"
        );
    }
    let lost = Summary::of(&played, Cache::WriteBack).findings.lost;
    assert!(lost > 0, "a cut that takes nothing away is none");
}
