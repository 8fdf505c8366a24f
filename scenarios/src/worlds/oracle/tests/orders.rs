//! Random histories of one sector without losses, against the definition: whether there is an order
//! in which all could have happened is found out by trying them all.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::LATE;
use super::*;

/// Operations in a history.
const OPS_MAX: usize = 7;
/// Moments: so few that many are equal.
const MOMENTS: u64 = 14;

/// A read or write that may have happened, as the definition sees it.
#[derive(Clone, Copy)]
struct Op {
    sent: Moment,
    end: Moment,
    /// What it writes, or else what it saw.
    writes: bool,
    value: Held,
    must: bool,
}

fn ops(history: &History) -> Vec<Op> {
    let writes = (0..).zip(&history.writes);
    let writes = writes.filter(|(_, write)| write.fate != Fate::Refused);
    let writes = writes.map(|(number, write)| {
        let must = write.fate == Fate::Good;
        Op {
            sent: write.sent,
            end: if must { write.ended } else { write.settled },
            writes: true,
            value: Held::Write(number),
            must,
        }
    });
    let reads = history.reads.iter().map(|read| Op {
        sent: read.sent,
        end: read.ended,
        writes: false,
        value: read.held[0],
        must: true,
    });
    writes.chain(reads).collect()
}

/// Whether `rest` can happen in some order, beginning with a sector that holds `held`.
fn has_order(rest: &[Op], held: Held) -> bool {
    if rest.is_empty() {
        return true;
    }
    (0..rest.len()).any(|index| {
        let op = rest[index];
        let mut others = rest.to_vec();
        others.remove(index);
        let is_first = others.iter().all(|other| other.end >= op.sent);
        is_first
            && match op.writes {
                true => has_order(&others, op.value),
                false => op.value == held && has_order(&others, held),
            }
    })
}

/// Whether some of those that need not have happened can be left out so that there is an order.
fn is_linearizable(history: &History) -> bool {
    let ops = ops(history);
    let free = ops.iter().filter(|op| !op.must).count();
    (0..1u32 << free).any(|chosen| {
        let mut number = 0;
        let happened = ops.iter().filter(|op| {
            number += u32::from(!op.must);
            op.must || chosen >> (number - 1) & 1 == 1
        });
        has_order(&happened.copied().collect::<Vec<_>>(), Nothing)
    })
}

#[derive(Clone, Debug)]
struct Draw {
    time: [u64; 3],
    writes: bool,
    fate: Fate,
    /// Of a read: which write it saw, if there are so many.
    saw: usize,
}

fn draw() -> impl Strategy<Value = Draw> {
    let fates = prop_oneof![
        5 => Just(Fate::Good),
        1 => Just(Fate::Aborted),
        1 => Just(Fate::Failed),
        1 => Just(Fate::Open),
        1 => Just(Fate::Refused),
    ];
    let time = (0..MOMENTS, 0..5u64, 0..6u64);
    (time, any::<bool>(), fates, 0..OPS_MAX).prop_map(
        |((sent, takes, settles), writes, fate, saw)| {
            let ended = sent + takes;
            let settled = ended + settles.saturating_sub(3) * 2;
            let settled = if settles == 5 { LATE } else { settled };
            Draw {
                time: [sent, ended, settled],
                writes,
                fate,
                saw,
            }
        },
    )
}

fn story(mut draws: Vec<Draw>) -> Story {
    draws.sort_by_key(|draw| draw.time[0]);
    let mut story = Story::new();
    for draw in draws.iter().filter(|draw| draw.writes) {
        let [sent, ended, settled] = draw.time;
        story.write(1, [sent, ended], draw.fate, CACHED);
        if draw.fate != Fate::Good {
            story.settles(settled);
        }
    }
    for draw in draws.iter().filter(|draw| !draw.writes) {
        let [sent, ended, _] = draw.time;
        let saw = draw.saw % (story.0.writes.len() + 1);
        let held = saw.checked_sub(1).map(|write| Held::Write(write as u32));
        story.read([sent, ended], held.unwrap_or(Nothing));
    }
    story
}

#[test]
fn it_complains_if_and_only_if_there_is_no_order() {
    let (right, wrong) = (Cell::new(0), Cell::new(0));
    let config = Config {
        cases: 6000,
        failure_persistence: None,
        ..Config::default()
    };
    let draws = proptest::collection::vec(draw(), 1..=OPS_MAX);
    let outcome = TestRunner::new(config).run(&draws, |draws| {
        let story = story(draws);
        let complaints = story.judged();
        let linearizable = is_linearizable(&story.0);
        let counted = if linearizable { &right } else { &wrong };
        counted.set(counted.get() + 1);
        prop_assert_eq!(
            complaints.is_empty(),
            linearizable,
            "{:?} {:?}",
            complaints,
            story
        );
        let all = complaints
            .iter()
            .all(|complaint| complaint.oracle == LINEAR);
        prop_assert!(all, "nothing was lost: {:?}", complaints);
        Ok(())
    });
    outcome.unwrap_or_else(|fault| panic!("{fault}"));
    let (right, wrong) = (right.get(), wrong.get());
    assert!(right > 1000 && wrong > 1000, "{right} right, {wrong} wrong");
}
