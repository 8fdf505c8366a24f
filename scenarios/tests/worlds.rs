//! Worlds: failures that were mended stay so, a slice of seeds passes, and a seed decides everything.
//! The rest of the seeds is a command: `scenarios simulate`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use scenarios::worlds::campaign::{self, Campaign};
use scenarios::worlds::plan::{Fault, Step, What};
use scenarios::worlds::{Plan, draw};

/// Seeds of the slice.
const SLICE: u64 = 300;

fn corpus() -> Vec<(PathBuf, Plan)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("worlds");
    let files = fs::read_dir(folder).expect("the corpus is there");
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "world"));
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a text");
        let plan = Plan::parse(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        (path, plan)
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn what_was_mended_stays_so() {
    let corpus = corpus();
    assert!(!corpus.is_empty(), "no world in the corpus");
    for (path, plan) in corpus {
        let played = campaign::played(&plan, false);
        let complaints = played.complaints;
        assert!(
            complaints.is_empty(),
            "{}: {complaints:#?}\nto see it: cargo run --release -p scenarios -- simulate --replay {0}",
            path.display()
        );
        assert!(played.sessions > 0, "{}: nobody came", path.display());
    }
}

/// The file that shows the format has all of it.
#[test]
fn every_kind_of_line_is_in_the_corpus() {
    let kind = |what: &What| match what {
        What::Step(_, step) => match step {
            Step::Read { .. } => "read",
            Step::Write { .. } => "write",
            Step::Sync { .. } => "sync",
            Step::Ready { .. } => "ready",
            Step::Nop { .. } => "nop",
            Step::Text => "text",
            Step::Manage { function, .. } => function.name(),
            Step::Logout => "logout",
            Step::Reinstate => "reinstate",
            Step::Rejoin => "rejoin",
            Step::Vanish => "vanish",
        },
        What::Fault(fault) => match fault {
            Fault::Cluster(_) => "cluster",
            Fault::Cut { .. } => "cut",
            Fault::HalfClose { .. } => "half-close",
            Fault::Stall { .. } => "stall",
            Fault::Crash { .. } => "crash",
            Fault::Blackout { .. } => "blackout",
            Fault::Shutdown { .. } => "shutdown",
        },
    };
    let all = corpus().into_iter().flat_map(|(_, plan)| plan.events);
    let kinds: BTreeSet<&str> = all.map(|event| kind(&event.what)).collect();
    // Ten steps without functions, four functions, seven faults.
    assert_eq!(kinds.len(), 10 + 4 + 7, "{kinds:?}");
}

#[test]
fn a_slice_of_seeds_passes_and_is_worth_something() {
    let campaign = Campaign {
        from: 1,
        seeds: SLICE,
        minutes: None,
        jobs: 2,
    };
    let summary = campaign.run(&campaign::drawn, &|_, _| ());
    assert_eq!(summary.played, SLICE);
    if let Some((seed, complaint)) = summary.failed.first() {
        let count = summary.failed.len();
        panic!(
            "{count} failed, the first: {complaint:#?}\n\
             to see it: cargo run --release -p scenarios -- simulate --from {seed} --seeds 1"
        );
    }
    assert!(summary.sessions >= 2 * SLICE, "{summary:?}");
    assert!(summary.commands >= 50 * SLICE, "{summary:?}");
    assert!(summary.bytes >= 4096 * summary.transfers, "{summary:?}");
    assert!(summary.troubled * 2 >= SLICE, "{summary:?}");
}

#[test]
fn a_seed_decides_everything() {
    let verified = campaign::verify(1, 100, 2, &campaign::drawn, &|_, _| ());
    assert_eq!(verified.differing, None, "{verified:?}");
    let other = campaign::verify(2, 100, 1, &campaign::drawn, &|_, _| ());
    assert_ne!(verified.hash, other.hash, "nothing happens in worlds");
}

/// A recording does not change what happens: what is shown is what failed.
#[test]
fn a_world_that_is_watched_is_the_same() {
    for seed in 1..=20 {
        let plan = draw::draw(seed);
        let (watched, unseen) = (
            campaign::played(&plan, true),
            campaign::played(&plan, false),
        );
        assert_eq!(watched.hash, unseen.hash, "seed {seed}");
        assert!(!watched.recording.is_empty() && unseen.recording.is_empty());
    }
}

/// A failure that is saved is the failure.
#[test]
fn every_drawn_plan_can_be_saved() {
    for seed in 1..=1_000 {
        let plan = draw::draw(seed);
        assert_eq!(Plan::parse(&plan.to_string()), Ok(plan), "seed {seed}");
    }
}
