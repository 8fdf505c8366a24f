//! With worlds that are made up: a seed says how they end.

use std::sync::atomic::{AtomicU64, Ordering};

use super::panics::{caught, judged};
use super::{Campaign, Play, Summary, verify};
use crate::worlds::{Complaint, Mark, Oracle, Played};

/// Every tenth fails, every hundredth panics.
fn world(seed: u64) -> Played {
    judged(|| {
        assert!(!seed.is_multiple_of(100), "{seed} is a round number");
        let complaint = Complaint {
            oracle: Oracle::Live,
            what: format!("{seed} is even"),
        };
        let mut played = Played {
            complaints: seed
                .is_multiple_of(10)
                .then_some(complaint)
                .into_iter()
                .collect(),
            hash: seed * seed,
            commands: 50,
            transfers: 30,
            sessions: 2,
            troubled: seed.is_multiple_of(2),
            bytes: seed,
            ..Played::default()
        };
        played.marks.hit(Mark::ALL[0]);
        played
    })
}

fn run(jobs: usize) -> Summary {
    let campaign = Campaign {
        from: 1,
        seeds: 250,
        minutes: None,
        jobs,
    };
    campaign.run(&world, &|_, _| ())
}

#[test]
fn the_number_of_workers_does_not_matter() {
    let alone = run(1);
    assert_eq!((alone.played, alone.troubled), (250, 123));
    assert_eq!(alone.bytes, (1..=250).sum::<u64>() - 300);
    assert_eq!((alone.commands, alone.transfers), (248 * 50, 248 * 30));
    assert_eq!(alone.marks.count(Mark::ALL[0]), 248);
    let failed: Vec<u64> = alone.failed.iter().map(|(seed, _)| *seed).collect();
    let tenths: Vec<u64> = (1..=25).map(|n| n * 10).collect();
    assert_eq!(failed, tenths);
    for jobs in [2, 7, 1000] {
        let together = run(jobs);
        assert_eq!(together.hash, alone.hash);
        assert_eq!(together.failed, alone.failed);
        assert_eq!(together.marks, alone.marks);
    }
}

#[test]
fn another_world_is_another_hash() {
    let other = |seed| match seed {
        77 => world(78),
        seed => world(seed),
    };
    let campaign = Campaign {
        from: 1,
        seeds: 250,
        minutes: None,
        jobs: 2,
    };
    assert_ne!(campaign.run(&other, &|_, _| ()).hash, run(1).hash);
}

#[test]
fn a_panic_is_a_complaint_with_its_place() {
    let summary = run(2);
    let panics = summary.failed.iter();
    let panics = panics.filter(|(_, complaint)| complaint.oracle == Oracle::Panic);
    let said: Vec<_> = panics
        .map(|(seed, complaint)| (*seed, &complaint.what))
        .collect();
    assert_eq!(said.len(), 2);
    let (seed, what) = said[1];
    assert_eq!(seed, 200);
    let place = "200 is a round number at scenarios/src/worlds/campaign/tests.rs:";
    assert!(what.starts_with(place), "{what}");
}

/// As where a recording is kept: the panic inside is not the end of what is outside.
#[test]
fn a_panic_within_is_caught_within() {
    let played = judged(|| {
        let inner = caught(|| panic!("the inner one"));
        assert!(inner.is_err_and(|what: String| what.starts_with("the inner one at ")));
        panic!("the outer one")
    });
    assert!(played.complaints[0].what.starts_with("the outer one at "));
}

#[test]
fn time_ends_a_campaign() {
    let campaign = Campaign {
        from: 1,
        seeds: u64::MAX,
        minutes: Some(0.001),
        jobs: 2,
    };
    let told = AtomicU64::new(0);
    let summary = campaign.run(&world, &|_, _| {
        told.fetch_add(1, Ordering::Relaxed);
    });
    assert!(summary.played > 0);
    assert_eq!(summary.played, told.into_inner());
}

#[test]
fn what_a_seed_does_not_decide_is_found() {
    let steady = verify(5, 100, 2, &world, &|_, _| ());
    assert_eq!((steady.seeds, steady.differing), (100, None));
    let calls = AtomicU64::new(0);
    let moody = |seed: u64| {
        let mut played = world(seed);
        if seed == 42 || seed == 77 {
            played.hash += calls.fetch_add(1, Ordering::Relaxed);
        }
        played
    };
    let moody: Play<'_> = &moody;
    let found = verify(5, 100, 2, moody, &|_, _| ());
    let (seed, [first, second]) = found.differing.unwrap();
    assert_eq!((seed, found.different), (42, 2));
    assert_ne!(first, second);
    assert_eq!(verify(5, 0, 2, &world, &|_, _| ()).differing, None);
}
