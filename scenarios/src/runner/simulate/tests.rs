//! Without worlds: what is said about results that are made up, and what is done with files.

use std::time::Duration;

use clap::Parser;

use super::findings::worth_showing;
use super::*;
use crate::worlds::campaign::Verified;
use crate::worlds::{Mark, Oracle};

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    arguments: SimulateArguments,
}

fn arguments(line: &str) -> Result<SimulateArguments, clap::Error> {
    let words = std::iter::once("simulate").chain(line.split_whitespace());
    Line::try_parse_from(words).map(|line| line.arguments)
}

fn complaint(oracle: Oracle) -> Complaint {
    let what = "it is wrong\nin two lines".to_owned();
    Complaint { oracle, what }
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    for line in [
        "",
        "--seeds 5 --minutes 2 --marks",
        "--twice --from 7",
        "--replay f --save d",
    ] {
        assert!(arguments(line).is_ok(), "{line}");
    }
    for line in [
        "--twice --minutes 1",
        "--replay f --seeds 5",
        "--show 5 --twice",
        "--jobs x",
    ] {
        assert!(arguments(line).is_err(), "{line}");
    }
}

#[test]
fn a_failure_is_one_line_that_plays_it_again() {
    let line = failure(77, &complaint(Oracle::Durable));
    assert_eq!(
        line,
        "FAIL Durable: it is wrong: \
         cargo run --release -p scenarios -- simulate --from 77 --seeds 1\n"
    );
    let again = line.split_once("simulate ").unwrap().1;
    let again = arguments(again.trim()).unwrap();
    assert_eq!((again.from, again.seeds), (77, Some(1)));
}

#[test]
fn the_first_of_each_kind_is_examined() {
    use Oracle::{Durable, Leak, Live, Panic};

    let oracles = [Durable, Durable, Leak, Durable, Live, Panic];
    let failed: Vec<_> = (1..).zip(oracles.map(complaint)).collect();
    let seeds: Vec<u64> = worth_showing(&failed)
        .iter()
        .map(|(seed, _)| *seed)
        .collect();
    assert_eq!(seeds, [1, 3, 5]);
}

#[test]
fn the_table_says_what_the_worlds_came_to() {
    let mut summary = Summary {
        played: 200,
        failed: vec![(3, complaint(Oracle::Live))],
        hash: 0xabc,
        commands: 10_000,
        transfers: 5_000,
        sessions: 440,
        troubled: 130,
        bytes: 5_000 * 6 * 1024,
        elapsed: Duration::from_millis(500),
        processor: Duration::from_millis(800),
        ..Summary::default()
    };
    let text = table::summary(&summary, 1, true);
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    for row in [
        "worlds 200",
        "failed 1",
        "seconds 0.5",
        "worlds per second and core 400",
        "worlds per second of processor 250",
        "sessions 2.2",
        "commands 50.0",
        "payload of a data command 6.0 KiB",
        "with a fault 65 %",
        "hash 0000000000000abc",
    ] {
        let row: Vec<&str> = row.split_whitespace().collect();
        assert!(rows.contains(&row), "{row:?} in {text}");
    }
    let first = Mark::ALL[0];
    let unreached = format!("not reached: {}", first.name());
    assert!(text.contains(&unreached), "{text}");
    assert!(!table::summary(&summary, 1, false).contains("not reached"));
    summary.marks.hit(first);
    assert!(!table::summary(&summary, 1, true).contains(&unreached));
}

#[test]
fn a_seed_that_differs_is_named() {
    let mut verified = Verified {
        seeds: 100,
        differing: None,
        different: 0,
        hash: 1,
        elapsed: Duration::from_secs(1),
    };
    assert!(!table::verified(&verified).contains("the first is"));
    verified.differing = Some((42, [1, 2]));
    let text = table::verified(&verified);
    assert!(
        text.contains("the first is seed 42: 0000000000000001, the second time"),
        "{text}"
    );
}

#[test]
fn a_file_that_is_no_plan_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(replay(&folder.path().join("missing")), ENVIRONMENT);
    let file = folder.path().join("bad.world");
    fs::write(&file, "# glint world 1\nchance x\n").unwrap();
    assert_eq!(replay(&file), USAGE);
}
