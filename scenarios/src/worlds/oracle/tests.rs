//! Small histories, each rule with what keeps it and what breaks it; then random ones, against the
//! definition and against a storage that is honest.

mod honest;
mod orders;
mod places;

use super::super::history::{Fate, Held, History, Loss, NEVER, Read, Reopened, Sync, Write};
use super::super::{Complaint, Oracle};
use super::*;
use Held::Nothing;

/// A history of one image, in which things happen at the moments given.
#[derive(Clone, Debug, Default)]
struct Story(History);

/// A moment after all others; unlike the one that never comes, it comes.
const LATE: u64 = 1_000_000_000;

/// A moment; in these stories, microseconds.
fn at(micros: u64) -> Moment {
    match micros {
        u64::MAX => NEVER,
        _ => engine::Moment(micros * 1000),
    }
}

/// GOOD means durable.
const DURABLE: bool = true;
const CACHED: bool = false;

impl Story {
    fn new() -> Self {
        Self::default()
    }

    /// A write of sectors from 0, and what reads of it see.
    fn write(&mut self, sectors: u32, time: [u64; 2], fate: Fate, durable: bool) -> Held {
        let number = self.0.writes.len();
        let [sent, ended] = time.map(at);
        self.0.writes.push(Write {
            initiator: 0,
            event: number as u16,
            image: 0,
            at: 0,
            sectors,
            durable,
            sent,
            fate,
            ended,
            settled: ended,
        });
        Held::Write(number as u32)
    }

    fn good(&mut self, time: [u64; 2]) -> Held {
        self.write(1, time, Fate::Good, CACHED)
    }

    fn durable(&mut self, time: [u64; 2]) -> Held {
        self.write(1, time, Fate::Good, DURABLE)
    }

    fn settles(&mut self, settled: u64) {
        let write = self.0.writes.last_mut().expect("there is one");
        write.settled = at(settled);
    }

    fn read(&mut self, time: [u64; 2], held: Held) {
        self.read_all(time, &[held]);
    }

    fn read_all(&mut self, time: [u64; 2], held: &[Held]) {
        let [sent, ended] = time.map(at);
        self.0.reads.push(Read {
            initiator: 1,
            event: 100 + self.0.reads.len() as u16,
            image: 0,
            at: 0,
            sent,
            ended,
            held: held.to_vec(),
        });
    }

    fn sync(&mut self, time: [u64; 2], fate: Fate) {
        let [sent, ended] = time.map(at);
        self.0.syncs.push(Sync {
            initiator: 0,
            event: 200 + self.0.syncs.len() as u16,
            image: 0,
            at: 0,
            sectors: 0,
            sent,
            fate,
            ended,
            broken: fate == Fate::Failed,
        });
    }

    fn loss(&mut self, time: [u64; 2]) {
        let [from, until] = time.map(at);
        self.0.losses.push(Loss {
            image: Some(0),
            from,
            until,
            unnoticed: false,
        });
    }

    fn reopened(&mut self, micros: u64) {
        self.0.reopened.push(Reopened {
            image: 0,
            at: at(micros),
        });
    }

    fn judged(&self) -> Vec<Complaint> {
        judge(&self.0)
    }

    /// Whether it is right, or who complains, and that the one complaint says so.
    #[track_caller]
    fn is(&self, oracle: Option<Oracle>, words: &str) {
        let complaints = self.judged();
        let oracles: Vec<_> = complaints
            .iter()
            .map(|complaint| complaint.oracle)
            .collect();
        assert_eq!(oracles, Vec::from_iter(oracle), "{complaints:#?}");
        let said = complaints
            .iter()
            .all(|complaint| complaint.what.contains(words));
        assert!(said, "{words}: {complaints:#?}");
    }

    #[track_caller]
    fn is_right(&self) {
        self.is(None, "");
    }

    /// Whether the story stays right if that read is its last.
    #[track_caller]
    fn may_read(&self, time: [u64; 2], held: Held) {
        let mut story = self.clone();
        story.read(time, held);
        story.is_right();
    }

    #[track_caller]
    fn may_not_read(&self, time: [u64; 2], held: Held, oracle: Oracle, words: &str) {
        let mut story = self.clone();
        story.read(time, held);
        story.is(Some(oracle), words);
    }
}

const LINEAR: Oracle = Oracle::Linearizable;
const DURABILITY: Oracle = Oracle::Durable;

#[test]
fn only_what_was_written_there_is_there() {
    let mut story = Story::new();
    story.is_right();
    story.may_read([1, 2], Nothing);
    story.may_not_read([1, 2], Held::Garbage, LINEAR, "what nobody wrote");
    story.may_not_read(
        [1, 2],
        Held::Write(7),
        LINEAR,
        "write 7, which was never sent",
    );
    let refused = story.write(1, [10, 20], Fate::Refused, DURABLE);
    story.may_not_read(
        [30, 40],
        refused,
        LINEAR,
        "refused 0.000020 s), which was refused",
    );
    story.may_read([30, 40], Nothing);
    let early = story.write(1, [50, NEVER.0], Fate::Open, DURABLE);
    story.may_not_read([30, 49], early, LINEAR, "which was sent later");
    story.may_read([30, 50], early);

    let mut other = Story::new();
    let write = other.write(2, [10, 20], Fate::Good, DURABLE);
    other.0.reads.push(Read {
        initiator: 1,
        event: 100,
        image: 0,
        at: 1,
        sent: at(30),
        ended: at(40),
        held: vec![write, Nothing],
    });
    other.is_right();
    other.0.reads[0].held[1] = write;
    other.is(
        Some(LINEAR),
        "sector 2 of image 0 write 0, which was never sent for there",
    );
    other.0.reads[0].held.truncate(1);
    other.0.reads[0].image = 1;
    other.is(Some(LINEAR), "sector 1 of image 1 write 0");
}

#[test]
fn a_good_write_supersedes_what_ended_before_it_was_sent() {
    let mut story = Story::new();
    let old = story.good([10, 20]);
    story.may_not_read(
        [30, 40],
        Nothing,
        LINEAR,
        "nothing, which is superseded by write 0",
    );
    story.may_read([20, 40], Nothing);
    let new = story.good([50, 60]);
    story.may_read([55, 70], old);
    story.may_read([60, 70], old);
    let words = "a read (event 100, initiator 1, sent 0.000061 s, answered 0.000070 s) saw in \
                 sector 0 of image 0 write 0 (event 0, initiator 0, sent 0.000010 s, \
                 GOOD 0.000020 s), which is superseded by write 1 (event 1, initiator 0, \
                 sent 0.000050 s, GOOD 0.000060 s)";
    story.may_not_read([61, 70], old, LINEAR, words);
    story.may_read([61, 70], new);

    let mut across = Story::new();
    let one = across.good([10, 20]);
    let other = across.good([20, 30]);
    for held in [one, other] {
        across.may_read([40, 50], held);
    }
    across.read([21, 25], other);
    across.may_read([25, 60], one);
    let words = "write 0 was over before write 1 was seen by a read (event 100";
    across.may_not_read([26, 60], one, LINEAR, words);
}

#[test]
fn what_is_not_good_lands_before_it_is_settled_or_never() {
    for fate in [Fate::Failed, Fate::Aborted, Fate::Open] {
        let mut story = Story::new();
        let old = story.good([1, 5]);
        let lost = story.write(1, [10, 20], fate, DURABLE);
        story.may_read([30, 40], old);
        story.may_read([30, 40], lost);
        story.read([30, 40], old);
        let words = "write 1 was over before, and seen by a read (event 101";
        story.may_not_read([50, 60], lost, LINEAR, words);
        story.settles(30);
        story.may_read([50, 60], lost);
        story.good([70, 80]);
        story.may_not_read(
            [90, 95],
            lost,
            LINEAR,
            "settled 0.000030 s), which is superseded",
        );
        story.settles(1);
    }
    let mut story = Story::new();
    let open = story.write(1, [10, LATE], Fate::Open, CACHED);
    story.read([11, 12], Nothing);
    story.good([20, 30]);
    story.may_read([40, 50], open);
    story.read([15, 16], open);
    let words = "write 0 was seen by a read (event 101, initiator 1, sent 0.000015 s, \
                 answered 0.000016 s) before write 1 was sent";
    story.may_not_read([40, 50], open, LINEAR, words);
}

#[test]
fn reads_do_not_go_back() {
    let mut story = Story::new();
    let new = story.write(1, [10, LATE], Fate::Open, CACHED);
    story.read([11, 12], Nothing);
    story.read([13, 14], new);
    story.may_read([14, 15], Nothing);
    story.may_read([15, 16], new);
    story.may_not_read(
        [15, 16],
        Nothing,
        LINEAR,
        "seen before by a read (event 101",
    );
}

#[test]
fn what_replicas_disagree_about_comes_and_goes_until_it_is_superseded() {
    let mut story = Story::new();
    let torn = story.write(1, [10, 20], Fate::Failed, DURABLE);
    story.settles(NEVER.0);
    for (time, held) in [([12, 13], torn), ([14, 15], Nothing), ([30, 31], torn)] {
        story.read(time, held);
    }
    story.may_read([32, 33], Nothing);
    let new = story.good([40, 50]);
    story.may_read([41, 60], torn);
    story.may_read([60, 61], new);
    story.may_not_read([60, 61], torn, LINEAR, "which is superseded by write 1");
    story.may_not_read([60, 61], Nothing, LINEAR, "which is superseded by write 1");
    // One that was sent before it had ended supersedes it or not.
    let mut story = Story::new();
    let torn = story.write(1, [10, 20], Fate::Aborted, DURABLE);
    story.settles(NEVER.0);
    story.good([15, 18]);
    story.may_read([60, 61], torn);
}

#[test]
fn two_that_overlap_are_seen_in_one_order_by_all() {
    let mut story = Story::new();
    let one = story.good([10, 50]);
    let other = story.good([10, 50]);
    story.read([11, 12], one);
    story.read([13, 14], other);
    let words = "write 0 was seen by a read (event 100, initiator 1, sent 0.000011 s, \
                 answered 0.000012 s) before write 1 was seen by a read (event 101";
    story.may_not_read([15, 16], one, LINEAR, words);
    story.may_read([15, 16], other);
    story.may_not_read([51, 52], one, LINEAR, words);
}

#[test]
fn sectors_are_registers_of_their_own_and_judged_together() {
    let mut story = Story::new();
    let old = story.write(8, [10, 20], Fate::Good, CACHED);
    let new = story.write(6, [30, 40], Fate::Good, CACHED);
    story.read_all([35, 36], &[old, old, old, old]);
    story.read_all([35, 37], &[new]);
    story.read_all([50, 60], &[new, new, new, new, new, new, old, old]);
    story.is_right();
    story.read_all([50, 61], &[new, old, old, old, new, old, old, old]);
    let complaints = story.judged();
    let says = |index: usize, words| complaints[index].what.contains(words);
    assert_eq!(complaints.len(), 2, "{complaints:#?}");
    assert!(says(0, "sectors 1 to 3 of image 0"), "{complaints:#?}");
    assert!(says(1, "sector 5 of image 0"), "{complaints:#?}");
}

#[test]
fn complaints_are_few_and_the_earliest_come_first() {
    let mut story = Story::new();
    for micros in (1..20).rev() {
        story.read([micros, micros], Held::Garbage);
    }
    let complaints = story.judged();
    assert_eq!(complaints.len(), COMPLAINTS_MAX);
    assert!(complaints[0].what.contains("sent 0.000001 s"));
}

#[test]
fn a_loss_takes_what_is_not_durable() {
    let mut story = Story::new();
    let floor = story.durable([10, 20]);
    let cached = story.good([30, 40]);
    let flight = story.write(1, [45, 80], Fate::Open, CACHED);
    let both = [floor, cached, flight];
    story.may_not_read([41, 49], floor, LINEAR, "superseded");
    story.loss([50, 60]);
    story.may_not_read([41, 49], floor, LINEAR, "superseded");
    story.may_read([41, 50], floor);
    for held in both {
        story.may_read([90, 95], held);
    }
    let words = "superseded by durable write 0 (event 0, initiator 0, sent 0.000010 s, \
                 GOOD 0.000020 s), durable since 0.000020 s";
    story.may_not_read([90, 95], Nothing, DURABILITY, words);
    for (time, held) in (10..).zip(both.into_iter().chain(both)) {
        story.read([time * 10, time * 10 + 5], held);
    }
    story.is_right();
    story.may_not_read([90, 95], Nothing, DURABILITY, words);
}

#[test]
fn a_loss_of_another_image_takes_nothing() {
    let mut story = Story::new();
    story.good([10, 20]);
    story.loss([30, 30]);
    story.may_read([40, 50], Nothing);
    story.0.losses[0].image = Some(1);
    story.may_not_read([40, 50], Nothing, LINEAR, "superseded");
    story.0.losses[0].image = None;
    story.may_read([40, 50], Nothing);
}

#[test]
fn after_a_loss_new_writes_supersede_all_old_ones() {
    let mut story = Story::new();
    let [one, other] = [10, 20].map(|sent| story.good([sent, sent + 5]));
    let across = story.good([28, 35]);
    story.loss([30, 30]);
    story.read([40, 41], other);
    story.read([42, 43], one);
    story.read([44, 45], across);
    story.read([46, 47], one);
    story.is_right();
    let newer = story.good([50, 60]);
    story.may_read([55, 65], one);
    for old in [Nothing, one, other, across] {
        story.may_not_read([61, 70], old, LINEAR, "superseded by write 3");
    }
    story.read([51, 52], newer);
    story.may_not_read(
        [53, 54],
        one,
        LINEAR,
        "write 3 was seen before by a read (event 104",
    );
    story.may_read([61, 70], newer);
    let newest = story.good([80, 90]);
    story.read([81, 82], newest);
    story.may_not_read([83, 84], newer, LINEAR, "write 4 was seen before");
    story.loss([85, 86]);
    story.may_read([87, 88], newer);
    story.may_not_read([83, 84], newer, LINEAR, "write 4 was seen before");
}

#[test]
fn what_is_durable_stays_in_order_over_a_loss() {
    let mut story = Story::new();
    let one = story.durable([10, 50]);
    let other = story.durable([10, 50]);
    story.loss([60, 60]);
    for held in [one, other] {
        story.may_read([72, 75], held);
    }
    story.read([70, 71], other);
    let words = "superseded by durable write 1 (event 1, initiator 0, sent 0.000010 s, \
                 GOOD 0.000050 s), durable since 0.000050 s: write 0 was over before";
    story.may_not_read([72, 75], one, DURABILITY, words);
    story.0.writes[0].durable = false;
    story.may_read([72, 75], one);
}

#[test]
fn what_was_seen_below_the_floor_before_a_loss_stays_there() {
    let mut story = Story::new();
    let one = story.good([10, 50]);
    let other = story.durable([10, 50]);
    story.loss([60, 60]);
    story.read([20, 25], one);
    story.may_read([72, 75], one);
    story.read([26, 30], other);
    story.may_read([72, 75], other);
    story.may_not_read(
        [72, 75],
        one,
        DURABILITY,
        "write 0 was seen by a read (event 100",
    );
}

#[test]
fn a_flush_makes_durable_what_was_answered_before_it_was_sent() {
    let lost = |flush: Option<[u64; 2]>, change: fn(&mut Sync)| {
        let mut story = Story::new();
        story.good([10, 20]);
        if let Some(time) = flush {
            story.sync(time, Fate::Good);
            change(&mut story.0.syncs[0]);
        }
        story.loss([40, 50]);
        story.read([60, 70], Nothing);
        match story.judged()[..] {
            [] => true,
            [
                Complaint {
                    oracle: DURABILITY, ..
                },
            ] => false,
            ref other => panic!("{other:?}"),
        }
    };
    assert!(lost(None, |_| ()));
    assert!(!lost(Some([21, 30]), |_| ()));
    assert!(lost(Some([20, 30]), |_| ()), "sent before the answer");
    assert!(lost(Some([21, 30]), |sync| sync.fate = Fate::Failed));
    assert!(lost(Some([21, 30]), |sync| sync.at = 1));
    assert!(!lost(Some([21, 30]), |sync| sync.sectors = 1));
    assert!(lost(Some([21, 30]), |sync| sync.image = 1));
    assert!(!lost(Some([21, 45]), |_| ()), "under way when it was lost");
    assert!(!lost(Some([45, 55]), |_| ()), "under way when it was lost");
    assert!(lost(Some([51, 55]), |_| ()), "it was lost before");
}

#[test]
fn a_flush_of_an_image_opened_anew_does_not_bring_back_what_was_lost() {
    let mut story = Story::new();
    story.good([10, 20]);
    story.loss([30, 60]);
    story.sync([45, 50], Fate::Good);
    story.may_not_read([70, 80], Nothing, DURABILITY, "durable since 0.000050 s");
    story.reopened(40);
    story.may_read([70, 80], Nothing);
}

#[test]
fn after_a_flush_failed_none_is_good_until_the_image_is_opened_anew() {
    let mut story = Story::new();
    story.sync([1, 5], Fate::Good);
    story.sync([10, 20], Fate::Failed);
    story.sync([20, 30], Fate::Good);
    story.is_right();
    story.sync([21, 30], Fate::Good);
    let words = "a flush of image 0 (event 203, initiator 0, sent 0.000021 s) is GOOD after one \
                 failed (event 201, initiator 0, answered 0.000020 s)";
    story.is(Some(DURABILITY), words);
    story.reopened(31);
    story.is(Some(DURABILITY), words);
    story.reopened(9);
    story.is(Some(DURABILITY), words);
    story.reopened(30);
    story.is_right();
    story.0.reopened.truncate(2);
    story.0.syncs[1].broken = false;
    story.is_right();
    story.0.syncs[1].broken = true;
    story.0.syncs[3].image = 1;
    story.is_right();
}
