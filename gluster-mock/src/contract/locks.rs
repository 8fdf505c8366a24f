//! Locks between those who ask for them, as the claim on a disk's file is one.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use glfs_sys::types::{
    F_GETLK, F_RDLCK, F_SETLK, F_SETLKW, F_UNLCK, F_WRLCK, Flock, GFAPI_MAX_LOCK_OWNER_LEN,
    GLFS_LK_ADVISORY, O_RDWR, SEEK_SET,
};

use super::case::{
    self, Case, Company, Stage, Verdict, a, equal, eventually, holds, pattern, reconnected,
    refused, same,
};
use super::client::{Handle, Mount};
use super::ground::Kind;
use crate::errno::Errno;

const fn case(id: &'static str, clause: &'static str, body: fn(&Stage) -> Verdict) -> Case {
    case::case(Company::Shared, a(Kind::Replica3), id, clause, body)
}

/// A range of a file; no length is up to its end, wherever that will be.
pub(super) fn range(kind: i32, start: i64, length: i64) -> Flock {
    Flock {
        l_type: kind as i16,
        l_whence: SEEK_SET as i16,
        l_start: start,
        l_len: length,
        l_pid: 0,
    }
}

/// The whole file, for writing.
pub(super) fn whole() -> Flock {
    range(F_WRLCK, 0, 0)
}

/// Nothing of it any more.
pub(super) fn nothing() -> Flock {
    range(F_UNLCK, 0, 0)
}

/// Two clients with the same file open.
struct Two {
    first: Handle,
    second: Handle,
    /// Of the second.
    mount: Mount,
}

fn two(stage: &Stage) -> Result<Two, super::case::Fault> {
    let first = stage.filled("f", &pattern(1, 4096))?;
    let mount = stage.client(&[])?;
    let second = mount.open(&stage.path("f"), O_RDWR)?;
    Ok(Two {
        first,
        second,
        mount,
    })
}

macro_rules! conflict_of {
    ($($name:literal, $kind:expr;)*) => {
        [$(case::case(
            Company::Shared,
            a($kind),
            concat!("lock.conflict.", $name),
            "gfapi §4 Others: of two clients one gets the lock, the other EAGAIN; unlock frees it",
            conflict,
        )),*]
    };
}

pub(super) const CASES: &[&[Case]] = &[&CONFLICTS, &REST];

const CONFLICTS: [Case; 5] = conflict_of! {
    "plain", Kind::Plain;
    "replica3", Kind::Replica3;
    "arbiter", Kind::Arbiter;
    "disperse", Kind::Disperse;
    "sharded", Kind::Sharded;
};

const REST: [Case; 16] = [
    case(
        "lock.get",
        "F_GETLK tells a lock that is in the way, and none where there is none",
        |stage| {
            let both = two(stage)?;
            both.first.posix_lock(F_SETLK, range(F_WRLCK, 100, 100))?;
            let found = both.second.posix_lock(F_GETLK, whole())?;
            equal("type", i32::from(found.l_type), F_WRLCK)?;
            equal("start", found.l_start, 100)?;
            equal("length", found.l_len, 100)?;
            let found = both.second.posix_lock(F_GETLK, range(F_WRLCK, 0, 100))?;
            equal("elsewhere", i32::from(found.l_type), F_UNLCK)
        },
    ),
    case(
        "lock.ranges",
        "locks on ranges that do not meet are no conflict",
        |stage| {
            let both = two(stage)?;
            both.first.posix_lock(F_SETLK, range(F_WRLCK, 0, 100))?;
            both.second.posix_lock(F_SETLK, range(F_WRLCK, 100, 100))?;
            let across = both.second.posix_lock(F_SETLK, range(F_WRLCK, 50, 100));
            refused("across", across, Errno::EAGAIN)
        },
    ),
    case(
        "lock.readers",
        "locks for reading are no conflict; one for writing beside them is",
        |stage| {
            let both = two(stage)?;
            both.first.posix_lock(F_SETLK, range(F_RDLCK, 0, 0))?;
            both.second.posix_lock(F_SETLK, range(F_RDLCK, 0, 0))?;
            refused(
                "for writing",
                both.second.posix_lock(F_SETLK, whole()),
                Errno::EAGAIN,
            )
        },
    ),
    case(
        "lock.same-client",
        "fencing §7: all handles of one client are one owner",
        |stage| {
            let first = stage.filled("f", b"data")?;
            let second = stage.mount().open(&stage.path("f"), O_RDWR)?;
            first.posix_lock(F_SETLK, whole())?;
            second.posix_lock(F_SETLK, whole())?;
            Ok(())
        },
    ),
    case(
        "lock.same-client-threads",
        "fencing §7: all threads of one client are one owner",
        |stage| {
            let file = stage.filled("f", b"data")?;
            file.posix_lock(F_SETLK, whole())?;
            let again = thread::scope(|scope| {
                let other = scope.spawn(|| file.posix_lock(F_SETLK, whole()));
                other.join().expect("it ends")
            });
            again?;
            Ok(())
        },
    ),
    case(
        "lock.close",
        "close gives back what its handle locked",
        |stage| {
            let both = two(stage)?;
            both.second.posix_lock(F_SETLK, whole())?;
            refused(
                "meanwhile",
                both.first.posix_lock(F_SETLK, whole()),
                Errno::EAGAIN,
            )?;
            both.second.close()?;
            both.first.posix_lock(F_SETLK, whole())?;
            Ok(())
        },
    ),
    case(
        "lock.fini",
        "gfapi §3: the end of a client gives back what it locked",
        |stage| {
            let both = two(stage)?;
            both.second.posix_lock(F_SETLK, whole())?;
            let mount = both.mount;
            thread::spawn(move || mount.finish());
            eventually(Duration::from_secs(40), || {
                both.first.posix_lock(F_SETLK, whole())
            })?;
            Ok(())
        },
    ),
    case(
        "lock.waits",
        "F_SETLKW waits until the lock is free",
        |stage| {
            let both = two(stage)?;
            both.first.posix_lock(F_SETLK, whole())?;
            let (sender, receiver) = mpsc::channel();
            let (early, late) = thread::scope(|scope| {
                scope.spawn(|| sender.send(both.second.posix_lock(F_SETLKW, whole()).map(drop)));
                let early = receiver.recv_timeout(Duration::from_secs(1));
                let freed = both.first.posix_lock(F_SETLK, nothing());
                let late = receiver.recv_timeout(Duration::from_secs(10));
                (early, freed.map(|_| late))
            });
            holds("it waits", early.is_err())?;
            let late = late?.map_err(|_| super::case::Fault::Seen("it never got it".to_owned()))?;
            Ok(late?)
        },
    ),
    case(
        "lock.advisory",
        "gfapi §4 Others: on a volume without options a lock refuses no I/O",
        |stage| {
            let both = two(stage)?;
            both.first.posix_lock(F_SETLK, whole())?;
            equal("pwrite", both.second.pwrite(&pattern(2, 4096), 0)?, 4096)?;
            same("read", &both.first.pread(4096, 0)?, &pattern(2, 4096))
        },
    ),
    case(
        "lock.file-lock",
        "glfs_file_lock for advice meets glfs_posix_lock: EAGAIN",
        |stage| {
            let both = two(stage)?;
            both.first.file_lock(F_SETLK, whole(), GLFS_LK_ADVISORY)?;
            refused(
                "other",
                both.second.posix_lock(F_SETLK, whole()),
                Errno::EAGAIN,
            )
        },
    ),
    case(
        "lock.owner-length",
        "an owner of no bytes, or of more than there may be, is EINVAL",
        |stage| {
            let file = stage.file("f")?;
            refused("none", file.set_lock_owner(&mut []), Errno::EINVAL)?;
            let mut long = vec![1; GFAPI_MAX_LOCK_OWNER_LEN as usize + 1];
            refused("too long", file.set_lock_owner(&mut long), Errno::EINVAL)
        },
    ),
    case(
        "lock.unlock-nothing",
        "to unlock what nobody locked is done",
        |stage| {
            stage.file("f")?.posix_lock(F_SETLK, nothing())?;
            Ok(())
        },
    ),
    case::case(
        Company::Own,
        a(Kind::Plain),
        "lock.graph-switch",
        "gfapi §3: a lock moves over to the new translators",
        |stage| {
            let both = two(stage)?;
            both.first.posix_lock(F_SETLK, whole())?;
            super::graph::switch(stage, &stage.mount())?;
            both.first.pwrite(&pattern(2, 4096), 0)?;
            refused(
                "other",
                both.second.posix_lock(F_SETLK, whole()),
                Errno::EAGAIN,
            )
        },
    ),
    case::case(
        Company::Own,
        a(Kind::Replica3),
        "lock.one-dead",
        "fencing §8: one brick dies and returns: the lock holds",
        |stage| {
            let both = two(stage)?;
            both.first.posix_lock(F_SETLK, whole())?;
            stage.volume().kill_brick(0)?;
            let meanwhile = both.second.posix_lock(F_SETLK, whole());
            refused("meanwhile", meanwhile, Errno::EAGAIN)?;
            stage.volume().start_bricks()?;
            all_reconnected(stage, &both)?;
            refused(
                "after",
                both.second.posix_lock(F_SETLK, whole()),
                Errno::EAGAIN,
            )
        },
    ),
    case::case(
        Company::Own,
        a(Kind::Plain),
        "lock.brick-restart",
        "the one brick dies and returns: it has forgotten the lock, another client gets it",
        |stage| {
            let both = two(stage)?;
            both.first.posix_lock(F_SETLK, whole())?;
            stage.volume().kill_brick(0)?;
            stage.volume().start_bricks()?;
            all_reconnected(stage, &both)?;
            both.second.posix_lock(F_SETLK, whole())?;
            Ok(())
        },
    ),
    case::case(
        Company::Own,
        a(Kind::Replica3),
        "lock.rolling",
        "all three bricks die and return one after another: none gets the lock back, another client does",
        |stage| {
            let both = two(stage)?;
            both.first.posix_lock(F_SETLK, whole())?;
            for brick in 0..3 {
                stage.volume().kill_brick(brick)?;
                stage.volume().start_bricks()?;
                all_reconnected(stage, &both)?;
            }
            // AFR takes the locks of glfs_file_lock again, not these.
            both.second.posix_lock(F_SETLK, whole())?;
            Ok(())
        },
    ),
];

/// Both clients have found all bricks again.
fn all_reconnected(stage: &Stage, both: &Two) -> Verdict {
    reconnected(stage, &stage.mount(), &stage.path("f"))?;
    reconnected(stage, &both.mount, &stage.path("f"))
}

fn conflict(stage: &Stage) -> Verdict {
    let both = two(stage)?;
    both.first.posix_lock(F_SETLK, whole())?;
    let other = both.second.posix_lock(F_SETLK, whole());
    refused("other", other, Errno::EAGAIN)?;
    both.first.posix_lock(F_SETLK, nothing())?;
    both.second.posix_lock(F_SETLK, whole())?;
    let first = both.first.posix_lock(F_SETLK, whole());
    refused("the first", first, Errno::EAGAIN)
}
