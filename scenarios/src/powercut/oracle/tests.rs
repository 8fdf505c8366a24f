//! Small histories, each with a sector that is right and one that is wrong.

use super::*;

const SESSION: u16 = 1;

fn write(history: &mut History, fua: bool, fate: Fate) -> u32 {
    let write = history.write(SESSION, (0, 1), fua);
    history.written(write, fate);
    write
}

fn sync(history: &mut History, result: Synced) {
    let sync = history.sync(SESSION, (0, u64::MAX));
    history.synced(sync, result);
}

fn read(history: &mut History, held: Held) {
    let sent = history.tick();
    let ended = history.tick();
    history.reads.push(Read {
        session: SESSION,
        first: 0,
        sent,
        ended,
        held: vec![held],
    });
}

/// Whether the one sector may hold it after the cut.
fn may_hold(history: &History, write_through: bool, held: Held) -> bool {
    let oracle = Oracle::new(history, 1, write_through);
    let complaints = oracle.judge_rest(&[held], &mut Findings::default());
    complaints.is_empty()
}

fn is_sound(history: &History) -> bool {
    let oracle = Oracle::new(history, 1, false);
    oracle.judge_life(&mut Findings::default()).is_empty()
}

#[test]
fn what_was_not_flushed_may_be_lost_and_what_was_may_not() {
    let mut history = History::default();
    let old = write(&mut history, false, Fate::Good);
    assert!(may_hold(&history, false, Held::Nothing));
    assert!(!may_hold(&history, true, Held::Nothing), "write-through");
    sync(&mut history, Synced::Good);
    let new = write(&mut history, false, Fate::Good);
    assert!(!may_hold(&history, false, Held::Nothing));
    assert!(may_hold(&history, false, Held::Write(old)), "the floor");
    assert!(may_hold(&history, false, Held::Write(new)));
    assert!(!may_hold(&history, true, Held::Write(old)));
    assert!(!may_hold(&history, false, Held::Garbage));
    assert!(!may_hold(&history, false, Held::Write(7)), "never sent");
}

#[test]
fn fua_makes_durable_and_supersedes() {
    let mut history = History::default();
    let old = write(&mut history, false, Fate::Good);
    write(&mut history, true, Fate::Good);
    assert!(!may_hold(&history, false, Held::Write(old)));
}

#[test]
fn a_flush_covers_only_what_was_answered_before_it_was_sent() {
    let mut history = History::default();
    let late = history.write(SESSION, (0, 1), false);
    let flush = history.sync(SESSION, (0, u64::MAX));
    history.written(late, Fate::Good);
    history.synced(flush, Synced::Good);
    assert!(may_hold(&history, false, Held::Nothing));
    let mut history = History::default();
    write(&mut history, false, Fate::Good);
    for (first, count) in [(1, u64::MAX), (0, 0)] {
        let elsewhere = history.sync(SESSION, (first, count));
        history.synced(elsewhere, Synced::Good);
    }
    sync(&mut history, Synced::Broken);
    assert!(may_hold(&history, false, Held::Nothing));
}

#[test]
fn writes_that_overlap_land_in_any_order() {
    let mut history = History::default();
    let one = history.write(1, (0, 1), true);
    let other = history.write(2, (0, 1), true);
    history.written(one, Fate::Good);
    history.written(other, Fate::Good);
    for write in [one, other] {
        assert!(may_hold(&history, false, Held::Write(write)));
    }
    assert!(!may_hold(&history, false, Held::Nothing));
}

#[test]
fn what_failed_may_be_there_until_it_is_superseded_and_what_was_refused_may_never() {
    for fate in [Fate::Failed, Fate::Aborted, Fate::GivenUp] {
        let mut history = History::default();
        let failed = write(&mut history, true, fate);
        assert!(may_hold(&history, true, Held::Write(failed)));
        assert!(may_hold(&history, true, Held::Nothing));
        write(&mut history, true, Fate::Good);
        assert!(!may_hold(&history, true, Held::Write(failed)));
    }
    let mut history = History::default();
    let refused = write(&mut history, true, Fate::Refused);
    assert!(!may_hold(&history, true, Held::Write(refused)));
    let open = history.write(SESSION, (0, 1), false);
    write(&mut history, true, Fate::Good);
    assert!(may_hold(&history, true, Held::Write(open)), "in flight");
}

#[test]
fn reads_see_what_was_answered_and_never_go_back() {
    let mut history = History::default();
    let old = write(&mut history, false, Fate::Good);
    read(&mut history, Held::Write(old));
    let new = history.write(SESSION, (0, 1), false);
    read(&mut history, Held::Write(old));
    read(&mut history, Held::Write(new));
    let again = history.reads.len();
    for held in [new, old] {
        read(&mut history, Held::Write(held));
    }
    history.written(new, Fate::Good);
    assert!(!is_sound(&history), "it was seen already");
    history.reads.truncate(again + 1);
    assert!(is_sound(&history));

    let mut history = History::default();
    write(&mut history, false, Fate::Good);
    read(&mut history, Held::Nothing);
    assert!(!is_sound(&history), "it was answered");
}

#[test]
fn storage_that_fails_may_lose_what_was_not_durable() {
    for flush in [true, false] {
        let mut history = History::default();
        let floor = write(&mut history, true, Fate::Good);
        write(&mut history, false, Fate::Good);
        match flush {
            true => sync(&mut history, Synced::Broken),
            false => drop(write(&mut history, true, Fate::Failed)),
        }
        read(&mut history, Held::Write(floor));
        assert!(is_sound(&history));
        read(&mut history, Held::Nothing);
        assert!(!is_sound(&history), "below the floor");
    }
}

#[test]
fn a_flush_that_was_not_answered_may_have_failed() {
    let mut history = History::default();
    write(&mut history, false, Fate::Good);
    history.sync(SESSION, (0, u64::MAX));
    read(&mut history, Held::Nothing);
    assert!(is_sound(&history));
}

#[test]
fn after_a_failed_flush_none_is_good() {
    let mut history = History::default();
    sync(&mut history, Synced::NotDone);
    sync(&mut history, Synced::Good);
    let overlapping = history.sync(SESSION, (0, u64::MAX));
    sync(&mut history, Synced::Broken);
    history.synced(overlapping, Synced::Good);
    assert!(is_sound(&history));
    sync(&mut history, Synced::Good);
    assert!(!is_sound(&history));
}

#[test]
fn findings_tell_of_floors_and_of_what_was_lost() {
    let mut history = History::default();
    let floor = write(&mut history, true, Fate::Good);
    write(&mut history, false, Fate::Good);
    let oracle = Oracle::new(&history, 1, false);
    let mut findings = Findings::default();
    let complaints = oracle.judge_rest(&[Held::Write(floor)], &mut findings);
    assert_eq!(complaints, []);
    assert_eq!((findings.floors, findings.lost), (1, 1));
}
