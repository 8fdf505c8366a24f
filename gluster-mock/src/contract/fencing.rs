//! Mandatory locks that the bricks enforce: who gets them, and what they refuse to whom.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use glfs_sys::types::{
    F_GETLK, F_RDLCK, F_SETLK, F_WRLCK, GLFS_LK_ADVISORY, GLFS_LK_MANDATORY, LockMode, O_RDWR,
    O_SYNC,
};

use super::case::{
    self, Case, Company, Fault, Stage, Verdict, equal, holds, pattern, refused, same, timed, took,
    with,
};
use super::client::{Answer, Handle, Mount};
use super::ground::{Kind, SHARD_BYTES, Wish};
use super::locks::{nothing, range, whole};
use crate::errno::Errno;

/// The attribute that has a file's locks enforced.
pub(super) const ENFORCE: &str = "trusted.glusterfs.enforce-mandatory-lock";

pub(super) const FORCED: &[(&str, &str)] = &[
    ("locks.mandatory-locking", "forced"),
    ("features.enforce-mandatory-lock", "on"),
];
const OPTIMAL: &[(&str, &str)] = &[
    ("locks.mandatory-locking", "optimal"),
    ("features.enforce-mandatory-lock", "on"),
];
const FORCED_ONLY: &[(&str, &str)] = &[
    ("locks.mandatory-locking", "forced"),
    ("features.enforce-mandatory-lock", "off"),
];
const ENFORCE_ONLY: &[(&str, &str)] = &[
    ("locks.mandatory-locking", "off"),
    ("features.enforce-mandatory-lock", "on"),
];
const FILE_ENFORCE: &[(&str, &str)] = &[
    ("locks.mandatory-locking", "file"),
    ("features.enforce-mandatory-lock", "on"),
];
const WRITE_BEHIND: &[(&str, &str)] = &[
    ("locks.mandatory-locking", "forced"),
    ("features.enforce-mandatory-lock", "on"),
    ("performance.write-behind", "on"),
];

const LENGTH: usize = 64 << 10;

const fn case(
    wish: Wish,
    id: &'static str,
    clause: &'static str,
    body: fn(&Stage) -> Verdict,
) -> Case {
    case::case(Company::Shared, wish, id, clause, body)
}

/// The old owner of a file and the new one, each a client of its own.
pub(super) struct Duel {
    pub(super) old: Handle,
    pub(super) new: Handle,
    pub(super) old_mount: Mount,
    pub(super) new_mount: Mount,
    pub(super) path: String,
    mode: LockMode,
}

impl Duel {
    /// A file with locks enforced, locked by its old owner; the new one has it open.
    pub(super) fn begin(stage: &Stage) -> Result<Self, Fault> {
        let path = stage.path("f");
        let old_mount = stage.client(&[])?;
        let old = old_mount.create(&path, O_RDWR)?;
        old.pwrite(&pattern(1, LENGTH), 0)?;
        old.fsync()?;
        old.setxattr(ENFORCE, b"set", 0)?;
        // glfs_file_lock(GLFS_LK_MANDATORY) ends the process on arbiter volumes.
        let mode = match stage.kind() {
            Kind::Arbiter => GLFS_LK_ADVISORY,
            _ => GLFS_LK_MANDATORY,
        };
        old.file_lock(F_SETLK, whole(), mode)?;
        let new_mount = stage.client(&[])?;
        let new = new_mount.open(&path, O_RDWR)?;
        Ok(Self {
            old,
            new,
            old_mount,
            new_mount,
            path,
            mode,
        })
    }

    /// The new owner takes the lock.
    pub(super) fn take_over(&self) -> Answer<()> {
        self.new.file_lock(F_SETLK, whole(), self.mode)
    }
}

/// Neither reads nor writes.
pub(super) fn is_fenced(who: &str, file: &Handle) -> Verdict {
    let write = format!("{who}'s write");
    refused(&write, file.pwrite(&pattern(7, 4096), 0), Errno::EBUSY)?;
    refused(&format!("{who}'s read"), file.pread(4096, 0), Errno::EAGAIN)
}

macro_rules! each_kind {
    ($($what:literal, $clause:literal, $body:ident;)*) => {
        &[$(
            case(with(Kind::Plain, FORCED), concat!("fence.", $what, ".plain"), $clause, $body),
            case(with(Kind::Replica3, FORCED), concat!("fence.", $what, ".replica3"), $clause, $body),
            case(with(Kind::Arbiter, FORCED), concat!("fence.", $what, ".arbiter"), $clause, $body),
            case(with(Kind::Disperse, FORCED), concat!("fence.", $what, ".disperse"), $clause, $body),
        )*]
    };
}

/// On every kind; arbiter by the advisory verb.
const EVERYWHERE: &[Case] = each_kind! {
    "preempt", "fencing §2: a new lock pre-empts the old at once; the old owner is EBUSY and EAGAIN", preempt;
    "stranger", "fencing §2: one that never locked is EBUSY and EAGAIN", stranger;
    "nobody", "fencing §2: where nobody holds a lock everyone is EBUSY and EAGAIN", nobody;
    "after-unlock", "fencing §2: after the holder's unlock everyone is refused, it too", after_unlock;
    "refused", "fencing §2: discard, zerofill and ftruncate of the fenced are EAGAIN", refused_calls;
    "let-through", "fencing §2: fallocate, fsync, fstat, rename and unlink are not fenced", let_through;
};

pub(super) const CASES: &[&[Case]] = &[EVERYWHERE, MANDATORY, UNALIGNED, OPTIONS, HOLES];

const MANDATORY: &[Case] = &[
    case(
        with(Kind::Replica3, FORCED),
        "fence.xattr",
        "fencing §3: the attribute is set with 0 and told back",
        |stage| {
            let file = stage.file("f")?;
            file.setxattr(ENFORCE, b"set", 0)?;
            let told = file.getxattr(ENFORCE, 64)?;
            holds("it is there", told.0 > 0)
        },
    ),
    case(
        with(Kind::Replica3, FORCED),
        "fence.advisory",
        "fencing §2: a lock for advice pre-empts the holder too",
        |stage| {
            let duel = Duel::begin(stage)?;
            duel.new.file_lock(F_SETLK, whole(), GLFS_LK_ADVISORY)?;
            refused("old", duel.old.pwrite(&[7; 512], 0), Errno::EBUSY)
        },
    ),
    case(
        with(Kind::Replica3, FORCED),
        "fence.read-lock",
        "fencing §2 (source): a lock for reading pre-empts the holder too",
        |stage| {
            let duel = Duel::begin(stage)?;
            duel.new
                .file_lock(F_SETLK, range(F_RDLCK, 0, 0), GLFS_LK_MANDATORY)?;
            refused("old", duel.old.pwrite(&[7; 512], 0), Errno::EBUSY)
        },
    ),
    case(
        with(Kind::Replica3, FORCED),
        "fence.posix-lock",
        "gfapi §4 Others: glfs_posix_lock on an enforced file",
        |stage| {
            let duel = Duel::begin(stage)?;
            duel.new.posix_lock(F_SETLK, whole())?;
            refused("old", duel.old.pwrite(&[7; 512], 0), Errno::EBUSY)
        },
    ),
    case(
        with(Kind::Replica3, FORCED),
        "fence.partial",
        "fencing §2: a write partly outside the own range is EBUSY",
        |stage| {
            let file = stage.filled("f", &pattern(1, LENGTH))?;
            file.setxattr(ENFORCE, b"set", 0)?;
            file.file_lock(F_SETLK, range(F_WRLCK, 0, 4096), GLFS_LK_MANDATORY)?;
            equal("inside", file.pwrite(&[2; 4096], 0)?, 4096)?;
            refused("across", file.pwrite(&[3; 4096], 2048), Errno::EBUSY)?;
            refused("outside", file.pwrite(&[4; 4096], 8192), Errno::EBUSY)
        },
    ),
    case(
        with(Kind::Replica3, FORCED),
        "fence.lifted",
        "gfapi §4: without the attribute the file is open to all again",
        |stage| {
            let duel = Duel::begin(stage)?;
            refused("before", duel.new.pwrite(&[7; 512], 0), Errno::EBUSY)?;
            duel.old.file_lock(F_SETLK, nothing(), GLFS_LK_MANDATORY)?;
            duel.old.removexattr(ENFORCE)?;
            equal("after", duel.new.pwrite(&[7; 512], 0)?, 512)
        },
    ),
    case(
        with(Kind::Replica3, FORCED),
        "fence.threads",
        "fencing §7: without an owner set every thread of the client is the owner",
        |stage| {
            let duel = Duel::begin(stage)?;
            let (put, read) = thread::scope(|scope| {
                let other = scope.spawn(|| (duel.old.pwrite(&[7; 512], 0), duel.old.pread(512, 0)));
                other.join().expect("it ends")
            });
            equal("pwrite", put?, 512)?;
            same("read", &read?, &[7; 512])
        },
    ),
    case(
        with(Kind::Replica3, FORCED),
        "fence.second-handle",
        "fencing §7: a second handle of the same client may write",
        |stage| {
            let duel = Duel::begin(stage)?;
            let second = duel.old_mount.open(&duel.path, O_RDWR)?;
            equal("pwrite", second.pwrite(&[7; 512], 0)?, 512)
        },
    ),
    case(
        with(Kind::Plain, FORCED),
        "fence.owner",
        "fencing §7: with an owner set other threads are EBUSY until they ask for a lock themselves",
        |stage| {
            let file = stage.client(&[])?.create(&stage.path("f"), O_RDWR)?;
            file.pwrite(&pattern(1, 4096), 0)?;
            file.setxattr(ENFORCE, b"set", 0)?;
            // Owners stick to threads, and this one must not keep it.
            let (own, other, after) = thread::scope(|scope| {
                let own = scope.spawn(|| {
                    file.set_lock_owner(&mut b"owner-00".to_vec())?;
                    file.file_lock(F_SETLK, whole(), GLFS_LK_MANDATORY)?;
                    file.pwrite(&[2; 512], 0)
                });
                let own = own.join().expect("it ends");
                let second = scope.spawn(|| {
                    let other = file.pwrite(&[3; 512], 0);
                    file.posix_lock(F_GETLK, whole()).ok();
                    (other, file.pwrite(&[4; 512], 0))
                });
                let (other, after) = second.join().expect("it ends");
                (own, other, after)
            });
            equal("the thread that locked", own?, 512)?;
            refused("another", other, Errno::EBUSY)?;
            equal("after it asked", after?, 512)
        },
    ),
    case(
        with(Kind::Replica3, FORCED),
        "fence.first-write",
        "fencing §6: the old owner wrote just now: the lock is quick, the first write waits for AFR's own lock",
        |stage| {
            let duel = Duel::begin(stage)?;
            duel.old.pwrite(&[2; 4096], 0)?;
            let (locked, time) = timed(|| duel.take_over());
            locked?;
            took("the lock", time, ..700)?;
            let (put, time) = timed(|| duel.new.pwrite(&[3; 4096], 0));
            put?;
            took("the first write", time, 300..4_000)?;
            let (put, time) = timed(|| duel.new.pwrite(&[4; 4096], 0));
            put?;
            took("the second write", time, ..700)
        },
    ),
    case(
        with(Kind::Replica3, FORCED),
        "fence.first-write-idle",
        "fencing §6: the old owner has not written for a second: the first write does not wait",
        |stage| {
            let duel = Duel::begin(stage)?;
            thread::sleep(Duration::from_millis(2500));
            duel.take_over()?;
            let (put, time) = timed(|| duel.new.pwrite(&[3; 4096], 0));
            put?;
            took("the first write", time, ..700)
        },
    ),
    case(
        with(Kind::Replica3, FORCED),
        "fence.slow-refusal.replica3",
        "fencing §2: on copies a refused write takes one to two seconds",
        |stage| {
            let duel = Duel::begin(stage)?;
            duel.take_over()?;
            duel.new.pwrite(&[3; 4096], 0)?;
            let (put, time) = timed(|| duel.old.pwrite(&[4; 4096], 0));
            refused("pwrite", put, Errno::EBUSY)?;
            took("it takes", time, 500..6_000)
        },
    ),
    case(
        with(Kind::Plain, FORCED),
        "fence.slow-refusal.plain",
        "fencing §2: on one brick a refused write is refused at once",
        |stage| {
            let duel = Duel::begin(stage)?;
            duel.take_over()?;
            let (put, time) = timed(|| duel.old.pwrite(&[4; 4096], 0));
            refused("pwrite", put, Errno::EBUSY)?;
            took("it takes", time, ..500)
        },
    ),
    case(
        with(Kind::Plain, OPTIMAL),
        "fence.optimal",
        "fencing §2: locks.mandatory-locking optimal is the same as forced",
        preempt,
    ),
];

/// A part of what disperse writes as one is read first, and the read is what is refused.
const UNALIGNED: &[Case] = &[case(
    with(Kind::Disperse, FORCED),
    "fence.unaligned.disperse",
    "fencing §2: on disperse a refused write of less than a stripe is EAGAIN, as a read is",
    |stage| {
        let duel = Duel::begin(stage)?;
        duel.take_over()?;
        refused("pwrite", duel.old.pwrite(&[2; 512], 0), Errno::EAGAIN)
    },
)];

const OPTIONS: &[Case] = &[
    case(
        with(Kind::Replica3, FORCED_ONLY),
        "fence.options.forced-off",
        "fencing §3: forced without enforcement: attribute EINVAL; another's write waits for the holder",
        |stage| {
            let both = unenforced(stage)?;
            let (early, late) = meanwhile(&both, || both.1.pwrite(&[7; 512], 0).map(drop));
            holds("the write waits", early.is_none())?;
            Ok(late?)
        },
    ),
    case(
        with(Kind::Replica3, ENFORCE_ONLY),
        "fence.options.off-on",
        "fencing §3: enforcement without mandatory locks: EINVAL; nothing is refused; another's lock is done at once (where research saw it wait)",
        unprotected,
    ),
    case(
        with(Kind::Replica3, FILE_ENFORCE),
        "fence.options.file-on",
        "fencing §3: the same with locks.mandatory-locking file",
        unprotected,
    ),
    case(
        with(Kind::Plain, OPTIMAL),
        "fence.options.optimal-on",
        "fencing §3: optimal with enforcement takes the attribute",
        |stage| Ok(stage.file("f")?.setxattr(ENFORCE, b"set", 0)?),
    ),
];

const HOLES: &[Case] = &[
    case(
        with(Kind::Sharded, FORCED),
        "fence.sharded",
        "fencing §4 (H1): past the first shard the old owner still writes, reads and discards",
        |stage| {
            let duel = Duel::begin(stage)?;
            let past = SHARD_BYTES * 3;
            duel.old.pwrite(&pattern(2, 4096), past)?;
            duel.take_over()?;
            is_fenced("old", &duel.old)?;
            equal("pwrite", duel.old.pwrite(&pattern(3, 4096), past)?, 4096)?;
            same(
                "new reads it",
                &duel.new.pread(4096, past)?,
                &pattern(3, 4096),
            )?;
            same(
                "old reads it",
                &duel.old.pread(4096, past)?,
                &pattern(3, 4096),
            )?;
            duel.old.discard(past, 4096)?;
            same("new reads zeros", &duel.new.pread(4096, past)?, &[0; 4096])
        },
    ),
    case(
        with(Kind::Sharded, FORCED),
        "fence.sharded-truncate",
        "gfapi §4: a fenced ftruncate is EAGAIN, the size stays, and the shards are gone all the same",
        |stage| {
            let duel = Duel::begin(stage)?;
            let past = SHARD_BYTES * 3;
            duel.old.pwrite(&pattern(2, 4096), past)?;
            duel.take_over()?;
            refused("ftruncate", duel.old.truncate(4096), Errno::EAGAIN)?;
            equal("size", duel.new.size()?, past + 4096)?;
            same("new reads", &duel.new.pread(4096, past)?, &[0; 4096])
        },
    ),
    case(
        with(Kind::Replica3, WRITE_BEHIND),
        "fence.write-behind",
        "fencing §9 (H4): with write-behind a fenced write is acknowledged; fsync EBUSY once, then 0",
        |stage| {
            let duel = Duel::begin(stage)?;
            duel.take_over()?;
            equal("pwrite", duel.old.pwrite(&pattern(2, 4096), 0)?, 4096)?;
            refused("fsync", duel.old.fsync(), Errno::EBUSY)?;
            duel.old.fsync()?;
            same("new reads", &duel.new.pread(4096, 0)?, &pattern(1, 4096))
        },
    ),
    case(
        with(Kind::Replica3, WRITE_BEHIND),
        "fence.write-behind-read",
        "fencing §9 (H4): a read after an acknowledged fenced write is EBUSY",
        |stage| {
            let duel = Duel::begin(stage)?;
            duel.take_over()?;
            equal("pwrite", duel.old.pwrite(&pattern(2, 4096), 0)?, 4096)?;
            refused("pread", duel.old.pread(4096, 0), Errno::EBUSY)
        },
    ),
    case(
        with(Kind::Replica3, WRITE_BEHIND),
        "fence.write-behind-sync",
        "fencing §9: a handle with O_SYNC is refused as without write-behind",
        |stage| {
            let duel = Duel::begin(stage)?;
            let syncing = duel.old_mount.open(&duel.path, O_RDWR | O_SYNC)?;
            duel.take_over()?;
            refused("pwrite", syncing.pwrite(&[2; 4096], 0), Errno::EBUSY)?;
            Ok(syncing.fsync()?)
        },
    ),
    case(
        with(Kind::Replica3, WRITE_BEHIND),
        "fence.write-behind-bypass",
        "gfapi §4: with write-behind bypassed a fenced write is EBUSY, fsync 0",
        |stage| {
            let duel = Duel::begin(stage)?;
            let mount = stage.client(&[("*-write-behind", "pass-through", "true")])?;
            let file = mount.open(&duel.path, O_RDWR)?;
            refused("pwrite", file.pwrite(&[2; 4096], 0), Errno::EBUSY)?;
            Ok(file.fsync()?)
        },
    ),
];

fn preempt(stage: &Stage) -> Verdict {
    let duel = Duel::begin(stage)?;
    let (locked, time) = timed(|| duel.take_over());
    locked?;
    took("the lock", time, ..700)?;
    is_fenced("old", &duel.old)?;
    same(
        "new reads",
        &duel.new.pread(LENGTH, 0)?,
        &pattern(1, LENGTH),
    )?;
    equal("new writes", duel.new.pwrite(&pattern(3, 4096), 0)?, 4096)?;
    refused("old again", duel.old.pwrite(&[8; 4096], 0), Errno::EBUSY)?;
    same(
        "new reads its own",
        &duel.new.pread(4096, 0)?,
        &pattern(3, 4096),
    )
}

fn stranger(stage: &Stage) -> Verdict {
    let duel = Duel::begin(stage)?;
    is_fenced("new", &duel.new)?;
    same(
        "the holder reads",
        &duel.old.pread(LENGTH, 0)?,
        &pattern(1, LENGTH),
    )
}

fn nobody(stage: &Stage) -> Verdict {
    let file = stage.filled("f", &pattern(1, 4096))?;
    file.setxattr(ENFORCE, b"set", 0)?;
    is_fenced("the maker", &file)?;
    is_fenced(
        "another",
        &stage.client(&[])?.open(&stage.path("f"), O_RDWR)?,
    )
}

fn after_unlock(stage: &Stage) -> Verdict {
    let duel = Duel::begin(stage)?;
    duel.old.file_lock(F_SETLK, nothing(), duel.mode)?;
    is_fenced("old", &duel.old)?;
    is_fenced("new", &duel.new)
}

fn refused_calls(stage: &Stage) -> Verdict {
    let duel = Duel::begin(stage)?;
    duel.take_over()?;
    refused("discard", duel.old.discard(0, 4096), Errno::EAGAIN)?;
    let zerofill = match stage.kind() {
        Kind::Disperse => Errno::EOPNOTSUPP,
        _ => Errno::EAGAIN,
    };
    refused("zerofill", duel.old.zerofill(0, 4096), zerofill)?;
    refused("ftruncate", duel.old.truncate(4096), Errno::EAGAIN)?;
    same(
        "new reads",
        &duel.new.pread(LENGTH, 0)?,
        &pattern(1, LENGTH),
    )
}

fn let_through(stage: &Stage) -> Verdict {
    let duel = Duel::begin(stage)?;
    duel.take_over()?;
    duel.old.fallocate(false, 0, 4096)?;
    duel.old.fsync()?;
    duel.old.fdatasync()?;
    equal("size", duel.old.size()?, LENGTH as i64)?;
    let moved = format!("{}.moved", duel.path);
    duel.old_mount.rename(&duel.path, &moved)?;
    Ok(duel.old_mount.unlink(&moved)?)
}

/// A file whose enforcement is refused, locked by the first of two clients.
fn unenforced(stage: &Stage) -> Result<(Handle, Handle), Fault> {
    let holder = stage.client(&[])?.create(&stage.path("f"), O_RDWR)?;
    holder.pwrite(&pattern(1, 4096), 0)?;
    refused(
        "fsetxattr",
        holder.setxattr(ENFORCE, b"set", 0),
        Errno::EINVAL,
    )?;
    holder.file_lock(F_SETLK, whole(), GLFS_LK_MANDATORY)?;
    let other = stage.client(&[])?.open(&stage.path("f"), O_RDWR)?;
    Ok((holder, other))
}

/// What a call gives within three seconds, if it ends by then, and what it gave after the holder's
/// unlock.
fn meanwhile(
    both: &(Handle, Handle),
    call: impl FnOnce() -> Answer<()> + Send,
) -> (Option<Answer<()>>, Answer<()>) {
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || sender.send(call()));
        let early = receiver.recv_timeout(Duration::from_secs(3)).ok();
        let freed = both.0.file_lock(F_SETLK, nothing(), GLFS_LK_MANDATORY);
        let late = match &early {
            Some(early) => early.clone(),
            None => receiver.recv().expect("the call ends"),
        };
        (early, freed.and(late))
    })
}

fn unprotected(stage: &Stage) -> Verdict {
    let both = unenforced(stage)?;
    equal("another's write", both.1.pwrite(&[7; 512], 0)?, 512)?;
    let lock = || both.1.file_lock(F_SETLK, whole(), GLFS_LK_MANDATORY);
    let (locked, time) = timed(lock);
    locked?;
    took("another's lock", time, ..700)
}
