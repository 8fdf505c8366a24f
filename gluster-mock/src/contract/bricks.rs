//! Bricks that die, hang and come back, and what an open handle sees of it.

use std::thread;
use std::time::Duration;

use glfs_sys::types::{O_RDWR, SEEK_DATA};

use super::case::{
    self, Case, Company, Fault, Stage, Verdict, a, equal, eventually, pattern, reconnected,
    refused, same, timed, took, with,
};
use super::client::{Answer, Handle};
use super::ground::{Kind, Wish};
use crate::errno::Errno;

/// Seen: within a second; a busy machine needs longer.
const RETURN_LIMIT: Duration = Duration::from_secs(60);
/// A heal of some kilobytes, which the daemon begins when it sees the brick.
const HEAL_LIMIT: Duration = Duration::from_secs(60);

const WRITE_BEHIND: &[(&str, &str)] = &[("performance.write-behind", "on")];

const fn case(
    wish: Wish,
    id: &'static str,
    clause: &'static str,
    body: fn(&Stage) -> Verdict,
) -> Case {
    case::case(Company::Own, wish, id, clause, body)
}

pub(super) const CASES: &[Case] = &[
    case(
        a(Kind::Replica3),
        "brick.one-dead.replica3",
        "gfapi §3: one of three dies: the next write is done at once; what it missed is healed",
        |stage| {
            one_dead(stage, 0)?;
            healed(stage, 0)
        },
    ),
    case(
        a(Kind::Arbiter),
        "brick.one-dead.arbiter",
        "gfapi §3: a copy of an arbiter volume dies: the next write is done; it is healed",
        |stage| {
            one_dead(stage, 0)?;
            healed(stage, 0)
        },
    ),
    case(
        a(Kind::Arbiter),
        "brick.arbiter-dead",
        "gfapi §3: the arbiter dies: the next write is done",
        |stage| one_dead(stage, 2),
    ),
    case(
        a(Kind::Disperse),
        "brick.one-dead.disperse",
        "gfapi §3: no more than the redundancy is lost: the next write is done",
        |stage| one_dead(stage, 0),
    ),
    case(
        a(Kind::Replica3),
        "brick.quorum.replica3",
        "gfapi §3: two of three die: everything is ENOTCONN at once; the handle recovers by itself",
        |stage| away(stage, &[0, 1]),
    ),
    case(
        a(Kind::Arbiter),
        "brick.quorum.arbiter",
        "gfapi §3: a copy and the arbiter die: everything is ENOTCONN; the handle recovers",
        |stage| away(stage, &[1, 2]),
    ),
    case(
        a(Kind::Sharded),
        "brick.quorum.sharded",
        "gfapi §3: two of three die: everything is ENOTCONN; the handle recovers",
        |stage| away(stage, &[0, 2]),
    ),
    case(
        a(Kind::Disperse),
        "brick.quorum.disperse",
        "gfapi §3: more than the redundancy is lost: ENOTCONN; fsync is EBADF, for good, until the file is opened again",
        |stage| away(stage, &[0, 1]),
    ),
    case(
        a(Kind::Replica3),
        "brick.all-dead.replica3",
        "gfapi §3: all bricks die: ENOTCONN; the same handle recovers",
        |stage| away(stage, &[0, 1, 2]),
    ),
    case(
        a(Kind::Plain),
        "brick.all-dead.plain",
        "gfapi §3: the one brick dies: ENOTCONN for data, EBADFD for the rest; the same handle recovers",
        |stage| away(stage, &[0]),
    ),
    case(
        with(Kind::Disperse, WRITE_BEHIND),
        "brick.quorum.disperse-write-behind",
        "gfapi §3: disperse, more than the redundancy lost: with write-behind a write is still taken",
        |stage| {
            let file = stage.filled("f", &pattern(1, 4096))?;
            file.fsync()?;
            stage.volume().kill_brick(0)?;
            stage.volume().kill_brick(1)?;
            thread::sleep(Duration::from_secs(1));
            equal("pwrite", file.pwrite(&pattern(2, 4096), 0)?, 4096)?;
            refused("fsync", file.fsync(), Errno::ENOTCONN)
        },
    ),
    case(
        a(Kind::Replica3),
        "brick.names-without-quorum",
        "gfapi §3: without quorum names can be neither made nor looked up: ENOTCONN",
        |stage| {
            let mount = stage.mount();
            stage.file("f")?;
            stage.volume().kill_brick(0)?;
            stage.volume().kill_brick(1)?;
            thread::sleep(Duration::from_secs(1));
            refused(
                "creat",
                mount.create(&stage.path("g"), O_RDWR),
                Errno::ENOTCONN,
            )?;
            refused(
                "open",
                mount.open(&stage.path("f"), O_RDWR),
                Errno::ENOTCONN,
            )?;
            refused("unlink", mount.unlink(&stage.path("f")), Errno::ENOTCONN)?;
            let moved = mount.rename(&stage.path("f"), &stage.path("h"));
            refused("rename", moved, Errno::ENOTCONN)
        },
    ),
    case(
        a(Kind::Replica3),
        "brick.rolling",
        "fencing §8: bricks die and return one after another: no call fails, nothing is lost",
        |stage| {
            let file = stage.filled("f", &pattern(0, 4096))?;
            for brick in 0..3 {
                stage.volume().kill_brick(brick)?;
                for round in 0..8 {
                    file.pwrite(&pattern(round, 4096), i64::from(round) * 4096)?;
                }
                stage.volume().start_bricks()?;
                healed(stage, brick)?;
                // The daemon healed it; this client may not have found it again yet.
                reconnected(stage, &stage.mount(), &stage.path("f"))?;
            }
            for round in 0..8 {
                let read = file.pread(4096, i64::from(round) * 4096)?;
                same("read", &read, &pattern(round, 4096))?;
            }
            Ok(())
        },
    ),
    case(
        a(Kind::Replica3),
        "brick.hang.replica3",
        "gfapi §0.5, §3: one of three hangs: a write waits up to twice ping-timeout (5 s), then is done",
        |stage| {
            let file = stage.filled("f", &pattern(1, 4096))?;
            settle();
            stage.volume().hang_brick(1)?;
            let (put, time) = timed(|| file.pwrite(&pattern(2, 4096), 0));
            equal("pwrite", put?, 4096)?;
            took("it waits", time, 2_000..13_000)?;
            let (put, time) = timed(|| file.pwrite(&pattern(3, 4096), 0));
            equal("the next", put?, 4096)?;
            took("and no more", time, ..2_000)?;
            same("read", &file.pread(4096, 0)?, &pattern(3, 4096))
        },
    ),
    case(
        a(Kind::Replica3),
        "brick.hang-two.replica3",
        "gfapi §3: two of three hang: a write waits up to twice ping-timeout, then is ENOTCONN",
        |stage| {
            let file = stage.filled("f", &pattern(1, 4096))?;
            settle();
            stage.volume().hang_brick(0)?;
            stage.volume().hang_brick(1)?;
            let (put, time) = timed(|| file.pwrite(&pattern(2, 4096), 0));
            refused("pwrite", put, Errno::ENOTCONN)?;
            took("it waits", time, 2_000..15_000)
        },
    ),
    case(
        a(Kind::Replica3),
        "brick.hang-short.replica3",
        "fencing §11: silent for less than ping-timeout: a write waits that long and is done",
        |stage| short_silence(stage, 1),
    ),
    case(
        a(Kind::Plain),
        "brick.hang-short.plain",
        "fencing §11: silent for less than ping-timeout: a write waits that long and is done",
        |stage| short_silence(stage, 0),
    ),
    case(
        a(Kind::Plain),
        "brick.hang.plain",
        "gfapi §3: the one brick hangs: a write waits up to twice ping-timeout, then is ENOTCONN",
        |stage| {
            let file = stage.filled("f", &pattern(1, 4096))?;
            settle();
            stage.volume().hang_brick(0)?;
            let (put, time) = timed(|| file.pwrite(&pattern(2, 4096), 0));
            refused("pwrite", put, Errno::ENOTCONN)?;
            took("it waits", time, 2_000..13_000)?;
            stage.volume().resume_brick(0)?;
            eventually(RETURN_LIMIT, || file.pwrite(&pattern(3, 4096), 0))?;
            same("read", &file.pread(4096, 0)?, &pattern(3, 4096))
        },
    ),
    case(
        a(Kind::Replica3),
        "brick.hang-reads",
        "gfapi §3: a read is from one copy: where that is not the one that hangs it returns at once",
        |stage| {
            let names: Vec<String> = (0..12).map(|number| format!("f{number}")).collect();
            let files = names
                .iter()
                .map(|name| stage.filled(name, &pattern(1, 4096)));
            let files = files.collect::<Result<Vec<Handle>, _>>()?;
            settle();
            stage.volume().hang_brick(1)?;
            let times = thread::scope(|scope| {
                let reads: Vec<_> = files
                    .iter()
                    .map(|file| scope.spawn(|| timed(|| file.pread(4096, 0))))
                    .collect();
                let ends = reads
                    .into_iter()
                    .map(|read| read.join().expect("a read ends"));
                ends.collect::<Vec<_>>()
            });
            let mut quick = 0;
            for (read, time) in times {
                same("read", &read?, &pattern(1, 4096))?;
                took("read", time, ..13_000)?;
                quick += usize::from(time < Duration::from_secs(1));
            }
            match quick {
                1.. => Ok(()),
                0 => Err(Fault::Seen("no read returned at once".to_owned())),
            }
        },
    ),
    case(
        a(Kind::Plain),
        "brick.vanished",
        "the brick restarts and the open file has no name any more: ENOENT for data, EBADFD for the rest",
        |stage| {
            let file = stage.filled("f", &pattern(1, 4096))?;
            stage.mount().unlink(&stage.path("f"))?;
            stage.volume().kill_brick(0)?;
            stage.volume().start_bricks()?;
            reconnected(stage, &stage.mount(), "/")?;
            refused("pwrite", file.pwrite(&[2; 4096], 0), Errno::ENOENT)?;
            refused("pread", file.pread(4096, 0), Errno::ENOENT)?;
            refused("fstat", file.stat(), Errno::EBADFD)
        },
    ),
    case(
        a(Kind::Plain),
        "brick.hang-close",
        "gfapi §3: close while the brick hangs waits for it and is ENOTCONN after ping-timeout",
        |stage| {
            let file = stage.filled("f", &pattern(1, 4096))?;
            settle();
            stage.volume().hang_brick(0)?;
            let (closed, time) = timed(|| file.close());
            refused("close", closed, Errno::ENOTCONN)?;
            took("it waits", time, 2_000..13_000)
        },
    ),
    case(
        a(Kind::Plain),
        "close.in-flight",
        "closed while a write is at the brick: close waits for its own call, and both are done",
        |stage| {
            let file = stage.filled("f", &pattern(1, 4096))?;
            settle();
            stage.volume().hang_brick(0)?;
            let (put, closed) = thread::scope(|scope| {
                let write = scope.spawn(|| file.pwrite(&pattern(2, 4096), 0));
                thread::sleep(Duration::from_millis(500));
                let close = scope.spawn(|| file.close());
                thread::sleep(Duration::from_millis(500));
                let resumed = stage.volume().resume_brick(0);
                (
                    write.join().expect("the write ends"),
                    resumed.map(|()| close.join().expect("the close ends")),
                )
            });
            equal("pwrite", put?, 4096)?;
            closed??;
            let again = stage.mount().open(&stage.path("f"), O_RDWR)?;
            same("read", &again.pread(4096, 0)?, &pattern(2, 4096))
        },
    ),
];

/// Lets the client's delayed work of the last write end, so that a brick's silence meets the next.
fn settle() {
    thread::sleep(Duration::from_millis(1500));
}

fn one_dead(stage: &Stage, brick: usize) -> Verdict {
    let file = stage.filled("f", &pattern(1, 8192))?;
    stage.volume().kill_brick(brick)?;
    let (put, time) = timed(|| file.pwrite(&pattern(2, 4096), 0));
    equal("pwrite", put?, 4096)?;
    took("it does not wait", time, ..3_000)?;
    same("read", &file.pread(4096, 0)?, &pattern(2, 4096))?;
    same("read", &file.pread(4096, 4096)?, &pattern(1, 8192)[4096..])?;
    file.fsync()?;
    equal("size", file.size()?, 8192)
}

/// The brick comes back and holds what the others hold.
fn healed(stage: &Stage, brick: usize) -> Verdict {
    stage.volume().start_bricks()?;
    let path = stage.path("f");
    let deadline = std::time::Instant::now() + HEAL_LIMIT;
    loop {
        let late = stage.volume().brick_file(brick, &path)?;
        let other = stage.volume().brick_file((brick + 1) % 2, &path)?;
        if late == other {
            return Ok(());
        }
        if std::time::Instant::now() > deadline {
            return same("the brick that was away", &late, &other);
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// So many bricks die that nothing goes; they come back, and the handle goes on.
fn away(stage: &Stage, bricks: &[usize]) -> Verdict {
    let file = stage.filled("f", &pattern(1, 4096))?;
    for brick in bricks {
        stage.volume().kill_brick(*brick)?;
    }
    thread::sleep(Duration::from_secs(1));
    let (put, time) = timed(|| file.pwrite(&pattern(2, 4096), 4096));
    took("it does not wait", time, ..3_000)?;
    let seen = [
        ("pwrite", errno(put)),
        ("pread", errno(file.pread(4096, 0))),
        ("fsync", errno(file.fsync())),
        ("fdatasync", errno(file.fdatasync())),
        ("fstat", errno(file.stat())),
        ("discard", errno(file.discard(0, 4096))),
        ("zerofill", errno(file.zerofill(0, 4096))),
        ("fallocate", errno(file.fallocate(false, 0, 8192))),
        ("ftruncate", errno(file.truncate(0))),
        ("fsetxattr", errno(file.setxattr("user.a", b"b", 0))),
        ("lseek", errno(file.seek(0, SEEK_DATA))),
    ];
    for (call, errno) in seen {
        equal(call, errno, Some(unreachable_errno(stage.kind(), call)))?;
    }
    stage.volume().start_bricks()?;
    eventually(RETURN_LIMIT, || file.pwrite(&pattern(3, 4096), 4096))?;
    if stage.kind() == Kind::Disperse {
        // Data go on; durability does not, until it is opened again.
        refused("fsync", file.fsync(), Errno::EBADF)?;
        let again = stage.mount().open(&stage.path("f"), O_RDWR)?;
        again.pwrite(&pattern(3, 4096), 4096)?;
        again.fsync()?;
    } else {
        eventually(RETURN_LIMIT, || file.fsync())?;
    }
    same("before", &file.pread(4096, 0)?, &pattern(1, 4096))?;
    same("after", &file.pread(4096, 4096)?, &pattern(3, 4096))
}

/// What a call says when too many bricks of that kind of volume are dead.
fn unreachable_errno(kind: Kind, call: &str) -> Errno {
    match (kind, call) {
        // Without a copy to ask, protocol/client answers; it sends only some calls without a handle.
        (Kind::Plain, "pwrite" | "pread" | "fsync" | "fdatasync") => Errno::ENOTCONN,
        (Kind::Plain, _) => Errno::EBADFD,
        (Kind::Disperse, "fsync" | "fdatasync") => Errno::EBADF,
        (Kind::Disperse, "zerofill") | (Kind::Sharded, "lseek") => Errno::EOPNOTSUPP,
        _ => Errno::ENOTCONN,
    }
}

/// Why it failed; nothing when it did not.
fn errno<T>(answer: Answer<T>) -> Option<Errno> {
    answer.err().map(|refusal| refusal.errno)
}

fn short_silence(stage: &Stage, brick: usize) -> Verdict {
    let file = stage.filled("f", &pattern(1, 4096))?;
    settle();
    stage.volume().hang_brick(brick)?;
    let (put, time) = thread::scope(|scope| {
        let write = scope.spawn(|| timed(|| file.pwrite(&pattern(2, 4096), 0)));
        thread::sleep(Duration::from_millis(1500));
        let resumed = stage.volume().resume_brick(brick);
        let (put, time) = write.join().expect("the write ends");
        (resumed.map(|()| put), time)
    });
    equal("pwrite", put??, 4096)?;
    took("it waits", time, 1_000..4_000)?;
    same("read", &file.pread(4096, 0)?, &pattern(2, 4096))
}
