//! What becomes of operations when the volume fails them; on the fake, which fails by plan.

use std::sync::Arc;
use std::time::{Duration, Instant};

use block::{Fault, Op, Span, Stage, Ticket};
use libtest_mimic::{Failed, Trial};
use target::inbox::Completions;
use target::store::{Settings, Store};

use crate::stage::{PATIENCE, Volume, read, run, trial, wait, write};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("fault::a_bad_handle_is_opened_anew", a_bad_handle),
        trial("fault::a_file_that_is_gone_is_gone", a_file_that_is_gone),
        trial("fault::a_reopened_file_owes_its_flush", a_reopened_file),
        trial("fault::quorum_lost_over_cached_writes", quorum_lost),
        trial("fault::bricks_that_come_back_in_time", bricks_come_back),
        trial("fault::a_late_write_ends_twice", a_late_write),
        trial("fault::zeros_by_hand_end_with_their_deadline", late_zeros),
        trial(
            "fault::durable_beyond_the_first_shard",
            beyond_the_first_shard,
        ),
    ]
}

const BACK: bool = true;
const THROUGH: bool = false;

fn settings(volatile_cache: bool) -> Settings {
    Settings {
        volatile_cache,
        ..Settings::default()
    }
}

fn fake() -> Volume {
    Volume::fake("replica = 3\n")
}

fn outcome(store: &dyn Store, op: Op) -> Result<(), Fault> {
    run(store, vec![op]).remove(0).outcome
}

fn holds(store: &dyn Store, at: u64, byte: u8) -> bool {
    let done = run(store, vec![read(at, 4096)]).remove(0);
    let buffer = done.buffer.expect("comes back");
    done.outcome == Ok(()) && buffer.bytes().iter().all(|got| *got == byte)
}

/// Each of the three ways in which a handle goes bad, on each kind of call; nobody notices.
fn a_bad_handle() -> Result<(), Failed> {
    let volume = fake();
    let store = volume.open("handle", &settings(THROUGH))?;
    for (byte, errno) in [(1, "EBADF"), (2, "EBADFD"), (3, "ESTALE")] {
        for (call, op) in [
            ("write", write(0, 4096, byte, true)),
            ("read", read(0, 4096)),
            ("fsync", Op::Flush),
            (
                "discard",
                Op::Unmap {
                    span: Span {
                        at: 65536,
                        len: 4096,
                    },
                    durable: true,
                },
            ),
        ] {
            // How many opened the file: once per incident is once here.
            volume.plan(&format!(
                "{call} * nth=1 errno={errno}\nopen * from=2 errno=ENOENT\n"
            ));
            assert_eq!(outcome(&*store, op), Ok(()), "{errno} on {call}");
        }
        volume.plan("");
        assert!(holds(&*store, 0, byte));
    }
    // Many at once are one incident, at worst as many as calls that fail. Each opens two handles, and
    // does with one.
    volume.plan("write * to=8 errno=EBADFD\nopen * from=17 errno=ENOENT\n");
    let writes = (0..8).map(|i| write(i * 4096, 4096, 4, true)).collect();
    assert!(
        run(&*store, writes)
            .iter()
            .all(|done| done.outcome == Ok(()))
    );
    Ok(())
}

fn a_file_that_is_gone() -> Result<(), Failed> {
    let volume = fake();
    let store = volume.open("gone", &settings(THROUGH))?;
    volume.plan("write * errno=ESTALE\nopen * errno=ENOENT\n");
    let start = Instant::now();
    assert_eq!(outcome(&*store, write(0, 4096, 1, true)), Err(Fault::Gone));
    assert!(start.elapsed() < Duration::from_secs(5), "not tried again");
    volume.plan("");
    assert_eq!(outcome(&*store, write(0, 4096, 1, true)), Ok(()));
    // Locked by another client: never tried again, whatever the plan says later.
    for errno in ["EBUSY", "EAGAIN"] {
        volume.plan(&format!("write * nth=1 errno={errno}\n"));
        assert_eq!(outcome(&*store, write(0, 4096, 1, true)), Err(Fault::Gone));
    }
    Ok(())
}

/// The old handle may have taken the news of a failed fsync with it.
fn a_reopened_file() -> Result<(), Failed> {
    for (mode, expected) in [(THROUGH, Ok(())), (BACK, Err(Fault::FlushFailed))] {
        let volume = fake();
        let store = volume.open("owes", &settings(mode))?;
        assert_eq!(outcome(&*store, write(0, 4096, 1, mode == THROUGH)), Ok(()));
        volume.plan("read * nth=1 errno=EBADFD\n");
        assert!(holds(&*store, 0, 1));
        assert_eq!(outcome(&*store, Op::Flush), expected);
        assert_eq!(outcome(&*store, Op::Flush), expected, "and so it stays");
    }
    Ok(())
}

/// A read found most bricks away: what sat in their caches may be gone with their power.
fn quorum_lost() -> Result<(), Failed> {
    let volume = fake();
    let store = volume.open("quorum", &settings(BACK))?;
    assert_eq!(outcome(&*store, write(0, 4096, 1, false)), Ok(()));
    assert_eq!(outcome(&*store, Op::Flush), Ok(()));
    volume.plan("read * nth=1 errno=ENOTCONN\n");
    assert!(holds(&*store, 0, 1), "it is held until they are back");
    assert_eq!(outcome(&*store, Op::Flush), Ok(()), "nothing was cached");
    assert_eq!(outcome(&*store, write(0, 4096, 2, false)), Ok(()));
    volume.plan("read * nth=1 errno=ENOTCONN\n");
    assert!(holds(&*store, 0, 2));
    assert_eq!(outcome(&*store, Op::Flush), Err(Fault::FlushFailed));
    assert_eq!(outcome(&*store, Op::Flush), Err(Fault::FlushFailed));
    Ok(())
}

fn bricks_come_back() -> Result<(), Failed> {
    let volume = fake();
    let store = volume.open("back", &settings(THROUGH))?;
    volume.plan("write * errno=ENOTCONN\nfsync * errno=ENOTCONN\n");
    let reply = Arc::new(Completions::default());
    let mut batch = vec![(Ticket(1), write(0, 4096, 1, true)), (Ticket(2), Op::Flush)];
    let mut done = Vec::new();
    store.submit(&mut batch, &mut done, &reply);
    std::thread::sleep(Duration::from_millis(700));
    reply.take(&mut done);
    assert!(done.is_empty(), "held: {done:?}");
    volume.plan("");
    wait(&reply, &mut done, |done| done.len() == 2);
    assert!(done.iter().all(|done| done.outcome == Ok(())), "{done:?}");
    Ok(())
}

/// Past its deadline it is answered; its blocks are refused to everyone until it can no longer land;
/// then its ticket ends.
fn a_late_write() -> Result<(), Failed> {
    let volume = fake();
    let settings = Settings {
        storage_timeout: Duration::from_secs(1),
        ..Settings::default()
    };
    let store = volume.open("late", &settings)?;
    assert_eq!(outcome(&*store, write(0, 8192, 1, true)), Ok(()));
    volume.plan("write * nth=1 hang\n");
    let (reply, mut done) = (Arc::new(Completions::default()), Vec::new());
    let begin = Instant::now();
    store.submit(
        &mut vec![(Ticket(1), write(0, 4096, 2, true))],
        &mut done,
        &reply,
    );
    wait(&reply, &mut done, |done| !done.is_empty());
    let took = begin.elapsed();
    assert!(
        took >= settings.storage_timeout && took < Duration::from_secs(3),
        "{took:?}"
    );
    let first = done.remove(0);
    assert_eq!(
        (first.stage, first.outcome),
        (Stage::Overdue, Err(Fault::TimedOut))
    );
    assert_eq!(first.buffer.map(|buffer| buffer.len()), Some(4096));

    let in_the_way = [
        read(0, 4096),
        write(0, 512, 3, true),
        Op::WriteZeroes {
            span: Span { at: 0, len: 512 },
            durable: true,
        },
        Op::Unmap {
            span: Span { at: 3584, len: 512 },
            durable: false,
        },
    ];
    for op in in_the_way {
        assert_eq!(outcome(&*store, op), Err(Fault::Unreachable));
    }
    assert!(holds(&*store, 4096, 1), "the next block is nobody's");
    assert_eq!(outcome(&*store, write(4096, 512, 1, true)), Ok(()));

    volume.plan("");
    wait(&reply, &mut done, |done| !done.is_empty());
    assert_eq!((done[0].stage, done[0].ticket), (Stage::Late, Ticket(1)));
    assert!(holds(&*store, 0, 2), "it has landed, late");
    Ok(())
}

/// Zeros the bricks cannot make are written in pieces, and no piece is begun that nobody waits for.
fn late_zeros() -> Result<(), Failed> {
    let volume = Volume::fake("replica = 3\nzerofill = off\n");
    let settings = Settings {
        storage_timeout: Duration::from_secs(1),
        ..Settings::default()
    };
    let store = volume.open("zeros", &settings)?;
    for at in 0..8 {
        assert_eq!(outcome(&*store, write(at << 20, 1 << 20, 1, false)), Ok(()));
    }
    volume.plan("write * latency=400ms\n");
    let (reply, mut done) = (Arc::new(Completions::default()), Vec::new());
    let span = Span {
        at: 0,
        len: 8 << 20,
    };
    let durable = true;
    let begin = Instant::now();
    store.submit(
        &mut vec![(Ticket(1), Op::WriteZeroes { span, durable })],
        &mut done,
        &reply,
    );
    wait(&reply, &mut done, |done| done.len() == 2);
    let stages: Vec<_> = done.iter().map(|done| done.stage).collect();
    assert_eq!(stages, [Stage::Overdue, Stage::Late]);
    assert!(
        begin.elapsed() < Duration::from_millis(2500),
        "not all of it"
    );
    volume.plan("");
    assert!(holds(&*store, 0, 0), "the first was under way");
    assert!(holds(&*store, 7 << 20, 1), "the last was never begun");
    assert!(begin.elapsed() < PATIENCE);
    Ok(())
}

/// O_DSYNC is not heeded there, so it takes a sync.
fn beyond_the_first_shard() -> Result<(), Failed> {
    let volume = Volume::fake("replica = 3\nshard = 4194304\n");
    let place = volume.image("sharded");
    let store = volume.open("sharded", &settings(THROUGH))?;
    let at = 6 << 20;
    assert_eq!(outcome(&*store, write(at, 4096, 7, true)), Ok(()));
    let name = place.rsplit('/').next().unwrap_or_default();
    let durable = std::fs::read(volume.folder().join("bricks/0").join(name))?;
    let at = at as usize;
    assert!(durable[at..at + 4096].iter().all(|byte| *byte == 7));
    Ok(())
}
