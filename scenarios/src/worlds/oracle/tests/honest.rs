//! Random histories of a storage that keeps its word and loses what it may: none is complained about.
//! And of storages that do not.

use std::cell::{Cell, RefCell};

use proptest::test_runner::{Config, TestRunner};
use proptest::{collection, prelude::*};

use super::*;

/// What a storage does that it must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    /// Nothing.
    None,
    /// Flushes are GOOD and do nothing.
    FlushesNothing,
    /// Writes that are to be durable are not.
    CachesAll,
    /// One replica misses every fourth write.
    FallsBehind,
    /// Every other write GOOD comes to nothing.
    Forgets,
    /// After a loss the image is not closed: flushes are GOOD.
    Pretends,
    /// What is not GOOD takes effect after it was settled.
    LandsLate,
}

/// When a sector's contents change, or are looked at.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Write(usize),
    Read(usize),
    Sync(usize),
    Loss,
    Reopen,
}

/// One operation as drawn: when it is sent, takes effect and ends.
#[derive(Clone, Debug)]
struct Draw {
    what: u8,
    time: [u64; 3],
    fate: Fate,
    durable: bool,
    /// Chance, for what has to be chosen on the way.
    chance: u64,
}

/// One replica: the contents it can come back to, the last durable one first.
#[derive(Clone)]
struct Replica(Vec<Held>);

impl Replica {
    fn now(&self) -> Held {
        *self.0.last().expect("it holds something")
    }

    fn sync(&mut self) {
        self.0 = vec![self.now()];
    }

    fn lose(&mut self, chance: u64) {
        self.0.truncate(1 + chance as usize % self.0.len());
        self.sync();
    }
}

fn draw() -> impl Strategy<Value = Draw> {
    let fates = prop_oneof![
        4 => Just(Fate::Good),
        1 => Just(Fate::Aborted),
        1 => Just(Fate::Open),
    ];
    let time = (0..90u64, 0..8u64, 0..6u64);
    (0..12u8, time, fates, any::<bool>(), any::<u64>()).prop_map(
        |(what, (sent, takes, answered), fate, durable, chance)| Draw {
            what,
            time: [sent, sent + takes, sent + takes + answered],
            fate,
            durable,
            chance,
        },
    )
}

/// All that the draws are about, in the order in which it takes effect; enters what is known from
/// the beginning into the story.
fn turns(draws: &[Draw], lie: Lie, story: &mut Story) -> Vec<(u64, Turn, u64)> {
    let mut turns = Vec::new();
    for draw in draws {
        let [sent, effect, ended] = draw.time;
        let turn = match draw.what {
            0..4 => {
                story.write(1, [sent, ended], draw.fate, draw.durable);
                Turn::Write(story.0.writes.len() - 1)
            }
            4..9 => {
                story.read([sent, ended], Nothing);
                Turn::Read(story.0.reads.len() - 1)
            }
            9..11 => {
                story.sync([sent, ended], Fate::Good);
                Turn::Sync(story.0.syncs.len() - 1)
            }
            _ => {
                let blackout = draw.chance & 1 == 1;
                let time = if blackout { [effect; 2] } else { [sent, ended] };
                story.loss(time);
                if !blackout {
                    story.sync(time, Fate::Failed);
                }
                let reopened = effect + draw.chance % 16;
                turns.push((effect, Turn::Loss, draw.chance));
                turns.push((reopened, Turn::Reopen, draw.chance));
                continue;
            }
        };
        let late =
            lie == Lie::LandsLate && matches!(turn, Turn::Write(_) if draw.fate != Fate::Good);
        let effect = if late {
            ended + 1 + draw.chance % 8
        } else {
            effect
        };
        turns.push((effect, turn, draw.chance));
    }
    turns.sort_by_key(|(moment, ..)| *moment);
    turns
}

/// Carries them out on two replicas.
fn play(draws: &[Draw], lie: Lie) -> Story {
    let mut story = Story::new();
    let turns = turns(draws, lie, &mut story);
    let mut replicas = [const { Nothing }; 2].map(|held| Replica(vec![held]));
    let mut closed = 0u32;
    for (moment, turn, chance) in turns {
        match turn {
            Turn::Write(number) => {
                let Write { fate, durable, .. } = story.0.writes[number];
                let lands = match fate {
                    Fate::Good => lie != Lie::Forgets || chance & 1 == 1,
                    _ => chance & 1 == 1,
                };
                let reached = match lie {
                    Lie::FallsBehind if chance & 6 == 0 => 1,
                    _ => 2,
                };
                for replica in replicas.iter_mut().take(reached).filter(|_| lands) {
                    replica.0.push(Held::Write(number as u32));
                    if durable && lie != Lie::CachesAll {
                        replica.sync();
                    }
                }
            }
            Turn::Read(number) => {
                story.0.reads[number].held = vec![replicas[chance as usize & 1].now()];
            }
            Turn::Sync(number) if closed > 0 && lie != Lie::Pretends => {
                story.0.syncs[number].fate = Fate::Aborted;
            }
            Turn::Sync(_) if lie == Lie::FlushesNothing => {}
            Turn::Sync(_) => replicas.iter_mut().for_each(Replica::sync),
            Turn::Loss => {
                closed += 1;
                replicas[0].lose(chance >> 1);
                replicas[1].lose(chance >> 8);
            }
            Turn::Reopen => {
                closed -= 1;
                story.reopened(moment);
            }
        }
    }
    story.0.reads.sort_by_key(|read| read.sent);
    story.0.losses.sort_by_key(|loss| loss.from);
    story
}

/// Of how many random stories something is complained about, and by whom.
fn complained(lie: Lie, cases: u32) -> (u32, Vec<Oracle>) {
    let (wrong, oracles) = (Cell::new(0), RefCell::new(Vec::new()));
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let draws = collection::vec(draw(), 1..30);
    let outcome = TestRunner::new(config).run(&draws, |draws| {
        let story = play(&draws, lie);
        let complaints = story.judged();
        let honest = lie == Lie::None;
        prop_assert!(
            !honest || complaints.is_empty(),
            "{:#?} {:?}",
            complaints,
            story
        );
        wrong.set(wrong.get() + u32::from(!complaints.is_empty()));
        let mut oracles = oracles.borrow_mut();
        oracles.extend(complaints.iter().map(|complaint| complaint.oracle));
        oracles.sort_unstable();
        oracles.dedup();
        Ok(())
    });
    outcome.unwrap_or_else(|fault| panic!("{fault}"));
    (wrong.get(), oracles.into_inner())
}

#[test]
fn storage_that_keeps_its_word_is_not_complained_about() {
    assert_eq!(complained(Lie::None, 6000), (0, Vec::new()));
}

#[test]
fn storage_that_does_not_is() {
    for (lie, oracle) in [
        (Lie::FlushesNothing, DURABILITY),
        (Lie::CachesAll, DURABILITY),
        (Lie::FallsBehind, LINEAR),
        (Lie::Forgets, LINEAR),
        (Lie::Pretends, DURABILITY),
        (Lie::LandsLate, LINEAR),
    ] {
        let (wrong, oracles) = complained(lie, 2000);
        assert!(
            wrong >= 5 && oracles.contains(&oracle),
            "{lie:?}: {wrong} of 2000, {oracles:?}"
        );
    }
}
