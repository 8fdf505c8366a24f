//! What the model promises. Each test stands alone; together they pass every coverage mark, which
//! the last one checks by running them all.

mod cluster;
mod durability;
mod faults;
mod fencing;
mod image;
mod load;
mod order;

/// Lists the tests of a module, so that they can be run together.
macro_rules! together {
    ($($test:ident,)*) => {
        pub(crate) const ALL: &[fn()] = &[$($test),*];
    };
}
pub(crate) use together;

#[test]
fn every_mark_is_reached() {
    for test in [
        durability::ALL,
        fencing::ALL,
        faults::ALL,
        image::ALL,
        order::ALL,
    ]
    .concat()
    {
        test();
    }
    let missing = cluster::marks().missing();
    let names: Vec<&str> = missing.iter().map(|mark| mark.name()).collect();
    assert!(names.is_empty(), "not reached: {}", names.join(" "));
}

#[test]
fn the_seed_determines_everything() {
    let (hash, decisions) = load::play(1);
    assert_eq!(load::play(1), (hash.clone(), decisions));
    assert_ne!(load::play(2).0, hash);
    assert!(decisions > 5000, "{decisions}");
    assert_eq!(hash, load::SEED_1, "the same in every build");
}

#[test]
fn a_run_is_played_again_from_its_decisions_and_with_fewer_of_them() {
    let (first, decisions) = load::play_with(1, 1, &[]);
    assert!(decisions.len() > 500, "{}", decisions.len());
    let (again, _) = load::play_with(1, 99, &decisions);
    assert_eq!(load::hash(&again), load::hash(&first), "whatever the seed");
    let (other, _) = load::play_with(1, 99, &[]);
    assert_ne!(load::hash(&other), load::hash(&first));
    // One decision more or less is another run, and no less a run.
    let mut fewer = decisions.clone();
    let last = fewer.iter().rposition(|decision| *decision > 0);
    fewer[last.expect("a decision that decided something")] = 0;
    let (reduced, _) = load::play_with(1, 1, &fewer);
    assert_ne!(load::hash(&reduced), load::hash(&first));
}
