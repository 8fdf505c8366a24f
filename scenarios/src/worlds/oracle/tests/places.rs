//! Random histories of several sectors: they are judged as if each was alone.

use proptest::collection;
use proptest::prelude::*;

use super::*;

const SECTORS: u32 = 10;

/// A read or write as drawn.
#[derive(Clone, Debug)]
struct Draw {
    writes: bool,
    image: Image,
    at: u32,
    sectors: u32,
    time: [u64; 2],
    fate: Fate,
    durable: bool,
    /// What a read saw, with what it saw from somewhere on.
    saw: [u32; 2],
    turns: u32,
}

fn draw() -> impl Strategy<Value = Draw> {
    let fates = prop_oneof![
        5 => Just(Fate::Good),
        1 => Just(Fate::Failed),
        1 => Just(Fate::Refused),
    ];
    let place = (0..2u8, 0..SECTORS - 1, 0..SECTORS);
    let time = (0..40u64, 0..12u64);
    let saw = ([0..8u32, 0..8u32], 0..6u32);
    (any::<bool>(), place, time, fates, any::<bool>(), saw).prop_map(
        |(writes, (image, at, sectors), (sent, takes), fate, durable, (saw, turns))| Draw {
            writes,
            image,
            at,
            sectors: sectors.min(SECTORS - at),
            time: [sent, sent + takes],
            fate,
            durable,
            saw,
            turns,
        },
    )
}

/// The last that can be seen: the first is garbage, then come zeros, then writes.
fn held(saw: u32) -> Held {
    match saw {
        0 => Held::Garbage,
        1 => Nothing,
        write => Held::Write(write - 2),
    }
}

fn story(draws: &[Draw], losses: &[(u64, u64)], syncs: &[(u64, u32)]) -> Story {
    let mut story = Story::new();
    for draw in draws {
        let Draw { at, sectors, .. } = *draw;
        if draw.writes {
            story.write(sectors, draw.time, draw.fate, draw.durable);
            let write = story.0.writes.last_mut().expect("just made");
            (write.image, write.at) = (draw.image, at);
        } else {
            let saw = (0..sectors).map(|index| draw.saw[usize::from(index >= draw.turns)]);
            let saw: Vec<_> = saw.map(held).collect();
            story.read_all(draw.time, &saw);
            let read = story.0.reads.last_mut().expect("just made");
            (read.image, read.at) = (draw.image, at);
        }
    }
    for &(from, takes) in losses {
        story.loss([from, from + takes]);
    }
    for &(sent, at) in syncs {
        story.sync([sent, sent + 3], Fate::Good);
        let sync = story.0.syncs.last_mut().expect("just made");
        (sync.at, sync.sectors) = (at, 3);
    }
    story
}

/// The same history with all but one sector left out.
fn alone(history: &History, image: Image, sector: u32) -> History {
    let mut history = history.clone();
    let is_there = |of: Image, at: u32, sectors: usize| {
        of == image && (at..at + sectors as u32).contains(&sector)
    };
    for write in &mut history.writes {
        let there = is_there(write.image, write.at, write.sectors as usize);
        (write.at, write.sectors) = (sector, u32::from(there));
    }
    for read in &mut history.reads {
        let there = is_there(read.image, read.at, read.held.len());
        let held = there.then(|| read.held[(sector - read.at) as usize]);
        (read.at, read.held) = (sector, held.into_iter().collect());
    }
    history
}

/// What is wrong with a sector.
fn wrong(history: &History, image: Image, sector: u32) -> Vec<String> {
    let mut findings = Findings::default();
    sectors::judge(history, &mut findings);
    let is_here = |place: Place| place.image == image && (place.first..place.end).contains(&sector);
    let here = findings.0.iter().filter(|finding| is_here(finding.place));
    let mut wrong: Vec<_> = here.map(|finding| format!("{:?}", finding.wrong)).collect();
    wrong.sort();
    wrong
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_sector_is_judged_as_if_it_was_alone(
        draws in collection::vec(draw(), 1..20),
        losses in collection::vec((0..40u64, 0..4u64), 0..2),
        syncs in collection::vec((0..40u64, 0..SECTORS), 0..2),
    ) {
        let Story(history) = story(&draws, &losses, &syncs);
        for (image, sector) in (0..2).flat_map(|image| (0..SECTORS).map(move |at| (image, at))) {
            let alone = alone(&history, image, sector);
            let expected = wrong(&alone, image, sector);
            prop_assert_eq!(wrong(&history, image, sector), expected, "{} {}", image, sector);
        }
    }
}
