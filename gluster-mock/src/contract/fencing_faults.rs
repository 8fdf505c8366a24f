//! Enforced locks when bricks die, hang and come back, and when translators are exchanged.

use std::thread;
use std::time::Duration;

use glfs_sys::types::{F_SETLK, GLFS_LK_MANDATORY, O_RDWR};

use super::case::{
    self, Case, Company, Stage, Verdict, equal, eventually, pattern, reconnected, refused, same,
    timed, took, with,
};
use super::fencing::{Duel, ENFORCE, FORCED, is_fenced};
use super::ground::Kind;
use super::locks::whole;
use crate::errno::Errno;

const RETURN_LIMIT: Duration = Duration::from_secs(60);

const fn case(
    kind: Kind,
    id: &'static str,
    clause: &'static str,
    body: fn(&Stage) -> Verdict,
) -> Case {
    case::case(Company::Own, with(kind, FORCED), id, clause, body)
}

pub(super) const CASES: &[Case] = &[
    case(
        Kind::Replica3,
        "fence.graph-switch.replica3",
        "gfapi §3: an enforced lock moves over to the new translators",
        graph_switch,
    ),
    case(
        Kind::Plain,
        "fence.graph-switch.plain",
        "gfapi §3: an enforced lock moves over to the new translators",
        graph_switch,
    ),
    case(
        Kind::Replica3,
        "fence.rolling",
        "fencing §8: three bricks restarted one by one: AFR takes the lock again, the owner writes on",
        |stage| {
            let duel = Duel::begin(stage)?;
            for brick in 0..3 {
                stage.volume().kill_brick(brick)?;
                equal("meanwhile", duel.old.pwrite(&[brick as u8; 4096], 0)?, 4096)?;
                stage.volume().start_bricks()?;
                both_reconnected(stage, &duel)?;
                equal("after", duel.old.pwrite(&[brick as u8; 4096], 0)?, 4096)?;
            }
            is_fenced("new", &duel.new)
        },
    ),
    case(
        Kind::Replica3,
        "fence.one-away",
        "fencing §8: pre-empted while a brick is down; it returns: the old owner stays EBUSY",
        |stage| {
            let duel = Duel::begin(stage)?;
            stage.volume().kill_brick(2)?;
            // Until the client knows, the dead brick's ENOTCONN may be what a refused write says.
            thread::sleep(Duration::from_secs(1));
            duel.take_over()?;
            refused("meanwhile", duel.old.pwrite(&[2; 4096], 0), Errno::EBUSY)?;
            stage.volume().start_bricks()?;
            both_reconnected(stage, &duel)?;
            refused("after", duel.old.pwrite(&[3; 4096], 0), Errno::EBUSY)?;
            equal("new", duel.new.pwrite(&pattern(4, 4096), 0)?, 4096)?;
            same("new reads", &duel.new.pread(4096, 0)?, &pattern(4, 4096))
        },
    ),
    case(
        Kind::Replica3,
        "fence.quorum-lost",
        "fencing §8: the owner loses two of three: EBADF for good, also after their return; a new handle works",
        |stage| {
            let duel = Duel::begin(stage)?;
            stage.volume().kill_brick(0)?;
            stage.volume().kill_brick(1)?;
            thread::sleep(Duration::from_secs(1));
            refused(
                "new, without a lock",
                duel.new.pwrite(&[9; 512], 0),
                Errno::ENOTCONN,
            )?;
            refused("write", duel.old.pwrite(&[2; 4096], 0), Errno::EBADF)?;
            stage.volume().start_bricks()?;
            both_reconnected(stage, &duel)?;
            refused("write", duel.old.pwrite(&[2; 4096], 0), Errno::EBADF)?;
            refused("read", duel.old.pread(4096, 0), Errno::EBADF)?;
            let lock = duel.old.file_lock(F_SETLK, whole(), GLFS_LK_MANDATORY);
            refused("lock", lock, Errno::EBADF)?;
            let again = duel.old_mount.open(&duel.path, O_RDWR)?;
            again.file_lock(F_SETLK, whole(), GLFS_LK_MANDATORY)?;
            equal("a new handle", again.pwrite(&pattern(3, 4096), 0)?, 4096)?;
            duel.take_over()?;
            equal("new", duel.new.pwrite(&pattern(4, 4096), 0)?, 4096)
        },
    ),
    case(
        Kind::Replica3,
        "fence.quorum-lost-unlocked",
        "fencing §8 (H3): after the bricks' return a new handle writes before it has locked: accepted",
        |stage| {
            let duel = Duel::begin(stage)?;
            stage.volume().kill_brick(0)?;
            stage.volume().kill_brick(1)?;
            thread::sleep(Duration::from_secs(1));
            stage.volume().start_bricks()?;
            both_reconnected(stage, &duel)?;
            let again = duel.old_mount.open(&duel.path, O_RDWR)?;
            equal("before a lock", again.pwrite(&pattern(3, 4096), 0)?, 4096)
        },
    ),
    case(
        Kind::Replica3,
        "fence.all-restarted.replica3",
        "fencing §8 (H3): all bricks die at once and return: the fenced owner's old handle is EBADF for good; the first write of a new one is done and lands (research saw EBUSY and landed), its read is refused",
        |stage| {
            let duel = Duel::begin(stage)?;
            duel.take_over()?;
            refused(
                "before",
                duel.old.pwrite(&pattern(2, 4096), 0),
                Errno::EBUSY,
            )?;
            restart_all(stage, &duel)?;
            refused(
                "old handle",
                duel.old.pwrite(&pattern(3, 4096), 0),
                Errno::EBADF,
            )?;
            let again = duel.old_mount.open(&duel.path, O_RDWR)?;
            equal("a new one", again.pwrite(&pattern(3, 4096), 0)?, 4096)?;
            refused("it reads", again.pread(4096, 0), Errno::EAGAIN)?;
            let landed = |brick| -> Result<bool, _> {
                let held = stage.volume().brick_file(brick, &duel.path)?;
                Ok::<bool, super::case::Fault>(held[..4096] == pattern(3, 4096)[..])
            };
            let landed = [landed(0)?, landed(1)?, landed(2)?];
            equal("on some brick", landed.contains(&true), true)
        },
    ),
    case(
        Kind::Plain,
        "fence.all-restarted.plain",
        "fencing §8: the one brick restarted: the fenced owner's write is EBUSY and nothing landed",
        |stage| {
            let duel = Duel::begin(stage)?;
            duel.take_over()?;
            restart_all(stage, &duel)?;
            refused("old", duel.old.pwrite(&pattern(3, 4096), 0), Errno::EBUSY)?;
            let held = stage.volume().brick_file(0, &duel.path)?;
            same("the brick", &held[..4096], &pattern(1, 4096))?;
            duel.take_over()?;
            equal("new", duel.new.pwrite(&pattern(4, 4096), 0)?, 4096)
        },
    ),
    case(
        Kind::Replica3,
        "fence.rolling-fenced",
        "fencing §8: pre-empted, then bricks restarted one by one: still refused (and what was refused lands on some brick in some runs)",
        |stage| {
            let duel = Duel::begin(stage)?;
            duel.take_over()?;
            for brick in 0..3 {
                stage.volume().kill_brick(brick)?;
                stage.volume().start_bricks()?;
                both_reconnected(stage, &duel)?;
            }
            is_fenced("old", &duel.old)?;
            is_fenced(
                "a new handle of it",
                &duel.old_mount.open(&duel.path, O_RDWR)?,
            )?;
            equal("new", duel.new.pwrite(&pattern(4, 4096), 0)?, 4096)
        },
    ),
    case(
        Kind::Replica3,
        "fence.relock-repairs",
        "fencing §8 (H3): a lock call after the restart makes the bricks enforce again",
        |stage| {
            let duel = Duel::begin(stage)?;
            duel.take_over()?;
            restart_all(stage, &duel)?;
            refused("its old handle", duel.take_over(), Errno::EBADF)?;
            let new = stage.client(&[])?.open(&duel.path, O_RDWR)?;
            new.file_lock(F_SETLK, whole(), GLFS_LK_MANDATORY)?;
            is_fenced("old", &duel.old_mount.open(&duel.path, O_RDWR)?)?;
            for brick in 0..3 {
                let held = stage.volume().brick_file(brick, &duel.path)?;
                same("the brick", &held[..4096], &pattern(1, 4096))?;
            }
            equal("new", new.pwrite(&pattern(4, 4096), 0)?, 4096)
        },
    ),
    case(
        Kind::Replica3,
        "fence.attribute-stays",
        "gfapi §4: the attribute is on the bricks' disks and is there after their restart",
        |stage| {
            let duel = Duel::begin(stage)?;
            restart_all(stage, &duel)?;
            eventually(RETURN_LIMIT, || duel.new.getxattr(ENFORCE, 64))?;
            Ok(())
        },
    ),
    case(
        Kind::Replica3,
        "fence.one-hung",
        "fencing §11: taken over while one brick is silent: the lock waits for ping-timeout, then holds",
        |stage| {
            let duel = Duel::begin(stage)?;
            thread::sleep(Duration::from_millis(1500));
            stage.volume().hang_brick(1)?;
            let (locked, time) = timed(|| duel.take_over());
            locked?;
            took("the lock", time, 2_000..13_000)?;
            refused("old", duel.old.pwrite(&[2; 4096], 0), Errno::EBUSY)?;
            equal("new", duel.new.pwrite(&[3; 4096], 0)?, 4096)
        },
    ),
];

fn graph_switch(stage: &Stage) -> Verdict {
    let duel = Duel::begin(stage)?;
    super::graph::switch(stage, &duel.old_mount)?;
    equal("the owner", duel.old.pwrite(&pattern(2, 4096), 0)?, 4096)?;
    is_fenced("new", &duel.new)?;
    duel.take_over()?;
    refused("old", duel.old.pwrite(&[3; 4096], 0), Errno::EBUSY)?;
    equal("new", duel.new.pwrite(&[4; 4096], 0)?, 4096)
}

/// All bricks die together and come back.
fn restart_all(stage: &Stage, duel: &Duel) -> Verdict {
    for brick in 0..stage.kind().bricks() {
        stage.volume().kill_brick(brick)?;
    }
    thread::sleep(Duration::from_secs(1));
    stage.volume().start_bricks()?;
    both_reconnected(stage, duel)
}

/// Both clients have found all bricks again.
fn both_reconnected(stage: &Stage, duel: &Duel) -> Verdict {
    reconnected(stage, &duel.old_mount, &duel.path)?;
    reconnected(stage, &duel.new_mount, &duel.path)
}
