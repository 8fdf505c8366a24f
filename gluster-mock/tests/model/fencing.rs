//! The four holes of Gluster's enforced mandatory locks, and the stall of a new owner behind the
//! old one's inode lock (fencing.md §1, §4 to §6, §8, §9), each on the model from a seed. The
//! client here does what the documentation asks of it: it sets the attribute, takes the lock, waits
//! for every answer, and believes what it is told. That is not enough.

use crate::cluster::{Cluster, DISK, DSYNC, Mount, lock_call, read_call, seconds, write_call};
use gluster_mock::call::{LockType, LockVerb};
use gluster_mock::{Answer, Call, Errno, Mark, Reply, SyncKind};
use std::time::Duration;

crate::together! {
    a_new_lock_pushes_the_old_owner_aside,
    a_plain_volume_refuses_at_once,
    without_the_options_nobody_is_fenced,
    hole_1_the_old_owner_goes_on_past_the_first_shard,
    hole_2_writes_inside_a_brick_land_after_the_take_over,
    hole_2_on_replicas_needs_a_dead_owner,
    hole_3_a_brick_that_restarted_takes_what_it_should_refuse,
    hole_4_write_behind_acknowledges_what_is_refused,
    the_new_owner_stalls_behind_the_old_ones_inode_lock,
    a_thawed_owner_lets_go,
    an_owner_that_loses_two_bricks_has_a_bad_handle_for_ever,
    a_mandatory_lock_on_an_arbiter_volume_is_refused_loudly,
}

const FENCED: &str = "mandatory-locking = forced\nenforce-mandatory-lock = on\n";

/// Two clients of a volume with fencing; the first wrote, the second has taken over.
fn taken_over(settings: &str) -> (Cluster, Mount, Mount) {
    let mut cluster = Cluster::new(&format!("{FENCED}{settings}"));
    let (old, new) = (cluster.mount(), cluster.mount());
    assert_eq!(cluster.enforce(old), Ok(Reply::Done));
    assert_eq!(cluster.lock(old).0, Ok(Reply::Lock(None)));
    for page in 0..20 {
        assert_eq!(cluster.write(old, page * 65536, 1).0, Ok(()));
    }
    assert_eq!(cluster.lock(new).0, Ok(Reply::Lock(None)));
    (cluster, old, new)
}

#[test]
fn a_new_lock_pushes_the_old_owner_aside() {
    let (mut cluster, old, new) = taken_over("replica = 3");
    cluster.wait(seconds(2.0));
    let (refused, took) = cluster.write(old, 0, 2);
    assert_eq!(refused, Err(Errno::EBUSY));
    assert_eq!(took, seconds(1.0), "a replicated refusal takes its time");
    assert_eq!(cluster.read(old, 0), Err(Errno::EAGAIN));
    let handle = old.handle;
    let range = 0..4096;
    for other in [
        Call::Discard {
            handle,
            range: range.clone(),
        },
        Call::Zerofill {
            handle,
            range: range.clone(),
        },
    ] {
        assert_eq!(cluster.call(old.client, other), Err(Errno::EAGAIN));
    }
    let keep_size = true;
    for unfenced in [
        Call::Fallocate {
            handle,
            range,
            keep_size,
        },
        Call::Sync {
            handle,
            kind: SyncKind::All,
        },
    ] {
        assert_eq!(cluster.call(old.client, unfenced), Ok(Reply::Done));
    }
    assert!(cluster.stat(old).is_ok(), "stat is not fenced");
    assert_eq!(cluster.write(new, 0, 3).0, Ok(()));
    assert_eq!(cluster.read(new, 0), Ok(Some(3)));
    // Given back, it leaves the file closed to everybody.
    let back = lock_call(new, LockVerb::Set, LockType::Unlock);
    assert_eq!(cluster.call(new.client, back), Ok(Reply::Lock(None)));
    assert_eq!(cluster.write(new, 0, 4).0, Err(Errno::EBUSY));
}

#[test]
fn a_plain_volume_refuses_at_once() {
    let (mut cluster, old, _) = taken_over("");
    assert_eq!(
        cluster.write(old, 0, 2),
        (Err(Errno::EBUSY), Duration::ZERO)
    );
}

#[test]
fn without_the_options_nobody_is_fenced() {
    for (settings, set) in [
        ("mandatory-locking = forced", Err(Errno::EINVAL)),
        ("enforce-mandatory-lock = on", Err(Errno::EINVAL)),
        (FENCED, Ok(Reply::Done)),
    ] {
        let mut cluster = Cluster::new(&format!("{settings}\nreplica = 3"));
        let mount = cluster.mount();
        assert_eq!(cluster.enforce(mount), set, "{settings}");
    }
    // With "forced" alone a stranger's write waits for ever; with the other alone it goes through.
    let mut cluster = Cluster::new("mandatory-locking = forced\nreplica = 3\npost-op-delay = 0s");
    let (owner, stranger) = (cluster.mount(), cluster.mount());
    assert!(cluster.lock(owner).0.is_ok());
    let under = cluster.begin(stranger.client, write_call(stranger, 0, 2));
    cluster.wait(seconds(300.0));
    assert_eq!(cluster.peek(&under), None);
    let back = lock_call(owner, LockVerb::Set, LockType::Unlock);
    assert!(cluster.call(owner.client, back).is_ok());
    assert_eq!(cluster.peek(&under), Some(Ok(Reply::Count(4096))));

    let mut cluster = Cluster::new("enforce-mandatory-lock = on\nreplica = 3\npost-op-delay = 0s");
    let (owner, stranger) = (cluster.mount(), cluster.mount());
    assert!(cluster.lock(owner).0.is_ok());
    assert_eq!(cluster.write(stranger, 0, 2).0, Ok(()));
    let wanted = lock_call(stranger, LockVerb::Set, LockType::Write);
    let taken = cluster.call(stranger.client, wanted);
    let done = Ok(Reply::Lock(None));
    assert_eq!(taken, done, "and pushes the first one aside");
}

/// H1: everything past the first shard is unfenced.
#[test]
fn hole_1_the_old_owner_goes_on_past_the_first_shard() {
    let (mut cluster, old, new) = taken_over("replica = 3\nshard = 65536\npost-op-delay = 0s");
    assert_eq!(cluster.write(old, 0, 2).0, Err(Errno::EBUSY));
    assert_eq!(cluster.write(new, 65536, 3).0, Ok(()));
    assert_eq!(cluster.write(old, 65536, 4).0, Ok(()), "not fenced");
    assert_eq!(
        cluster.read(new, 65536),
        Ok(Some(4)),
        "the new owner's acknowledged write is gone"
    );
    assert!(cluster.volume.marks.count(Mark::HoleShard) > 0);
}

/// Acknowledged blocks of the new owner that the old one's writes, inside bricks at the take-over,
/// overwrote. The new owner waits `patience` after its lock.
fn drained(seed: u64, settings: &str, patience: Duration, kill: bool) -> usize {
    let mut cluster = Cluster::new(&format!("{FENCED}seed = {seed}\n{settings}"));
    let (old, new) = (cluster.mount(), cluster.mount());
    assert_eq!(cluster.enforce(old), Ok(Reply::Done));
    assert!(cluster.lock(old).0.is_ok());
    for brick in 0..cluster.volume.settings().bricks {
        cluster.command(&format!("brick slow {brick} 50ms"));
    }
    for block in 0..16 {
        let call = Call::Write {
            handle: old.handle,
            at: block * 4096,
            flags: DSYNC,
            bytes: vec![1; 4096].into(),
            owner: None,
        };
        let _under = cluster.begin(old.client, call);
    }
    if kill {
        cluster.command(&format!("power-cut client {}", old.client.0));
    }
    assert!(cluster.lock(new).0.is_ok());
    cluster.wait(patience);
    for block in 0..16 {
        let under = cluster.begin(new.client, write_call(new, block * 4096, 2));
        let (acknowledged, _) = cluster.finish(under).expect("an answer");
        assert_eq!(acknowledged, Ok(Reply::Count(4096)));
    }
    cluster.wait(seconds(3.0));
    // Any replica may be read one day.
    let bricks = cluster.volume.settings().bricks as usize;
    let mut right = |block: u64, brick: usize| {
        cluster.volume.on_brick(brick, DISK, block * 4096, 4096) == Ok(vec![2; 4096])
    };
    (0..16)
        .filter(|&block| !(0..bricks).all(|brick| right(block, brick)))
        .count()
}

/// H2 on a plain volume: the lock does not wait for writes that are past it.
#[test]
fn hole_2_writes_inside_a_brick_land_after_the_take_over() {
    let lost: usize = (0..20)
        .map(|seed| drained(seed, "", Duration::ZERO, false))
        .sum();
    assert!(
        lost > 0,
        "no acknowledged block was overwritten in 20 seeds"
    );
    let patient: usize = (0..20)
        .map(|seed| drained(seed, "", seconds(0.1), false))
        .sum();
    assert_eq!(
        patient, 0,
        "whoever waits until the brick is drained is safe"
    );
}

/// H2 on replicas: AFR orders the new owner's writes behind the old one's, until the old one's
/// connection is gone.
#[test]
fn hole_2_on_replicas_needs_a_dead_owner() {
    let settings = "replica = 3\npost-op-delay = 0s";
    let alive: usize = (0..20)
        .map(|seed| drained(seed, settings, Duration::ZERO, false))
        .sum();
    assert_eq!(alive, 0);
    let dead: usize = (0..20)
        .map(|seed| drained(seed, settings, Duration::ZERO, true))
        .sum();
    assert!(
        dead > 0,
        "no acknowledged block was overwritten in 20 seeds"
    );
}

/// H3: bricks that restarted do not know of the enforcement until the first call has gone by.
#[test]
fn hole_3_a_brick_that_restarted_takes_what_it_should_refuse() {
    // All of them: the first write of a stranger is done.
    let (mut cluster, old, new) = taken_over("replica = 3\npost-op-delay = 0s");
    for brick in 0..3 {
        cluster.command(&format!("brick kill {brick}"));
    }
    cluster.wait(seconds(1.0));
    cluster.start(&[0, 1, 2]);
    assert_eq!(cluster.write(old, 0, 7).0, Err(Errno::EBADF), "for good");
    let again = cluster.reopen(old);
    assert_eq!(cluster.write(again, 0, 7).0, Ok(()), "not fenced");
    assert_eq!(cluster.read(again, 0), Err(Errno::EAGAIN), "fenced again");
    let owner = cluster.reopen(new);
    assert!(cluster.lock(owner).0.is_ok());
    assert_eq!(cluster.read(owner, 0), Ok(Some(7)), "the stranger's");
    // One of them, while its lock's owner is not there to take it again: refused, and landed.
    let (mut cluster, old, new) = taken_over("replica = 3\npost-op-delay = 0s");
    cluster.command(&format!("power-cut client {}", new.client.0));
    cluster.command("brick kill 0");
    cluster.start(&[0]);
    assert_eq!(cluster.write(old, 0, 7).0, Err(Errno::EBUSY), "refused");
    assert!(cluster.volume.marks.count(Mark::HoleRefusedLanded) > 0);
    let owner = cluster.mount();
    assert!(cluster.lock(owner).0.is_ok());
    assert_eq!(cluster.read(owner, 0), Ok(Some(7)), "and read");
}

/// H4: write-behind acknowledges what the bricks will refuse, and tells of it once.
#[test]
fn hole_4_write_behind_acknowledges_what_is_refused() {
    let mut cluster = Cluster::new(&format!("{FENCED}replica = 3\npost-op-delay = 0s"));
    let (old, new) = (cluster.mount_with(&[]), cluster.mount());
    assert_eq!(cluster.enforce(old), Ok(Reply::Done));
    assert!(cluster.lock(old).0.is_ok());
    assert!(cluster.lock(new).0.is_ok());
    assert_eq!(cluster.write(new, 0, 2).0, Ok(()));
    assert_eq!(cluster.write(old, 0, 1), (Ok(()), Duration::ZERO), "a lie");
    assert_eq!(cluster.sync(old), Err(Errno::EBUSY));
    assert_eq!(cluster.sync(old), Ok(()), "and it is forgotten");
    assert_eq!(cluster.read(new, 0), Ok(Some(2)));
    assert!(cluster.volume.marks.count(Mark::HoleBehind) > 0);
}

/// The new owner's first write, when the old owner is in some state.
fn first_write(settings: &str, state: &str) -> (Cluster, Mount, Option<(Answer, Duration)>) {
    let (mut cluster, old, new) = taken_over(settings);
    if !state.is_empty() {
        cluster.command(&format!("{state} {}", old.client.0));
    }
    let under = cluster.begin(new.client, write_call(new, 0, 2));
    let answer = cluster.finish(under);
    (cluster, new, answer)
}

#[test]
fn the_new_owner_stalls_behind_the_old_ones_inode_lock() {
    let written = Ok(Reply::Count(4096));
    let took = |answer: Option<(Answer, Duration)>| {
        let (answer, took) = answer.expect("an answer");
        assert_eq!(answer, written);
        took
    };
    let (.., alive) = first_write("replica = 3", "");
    assert_eq!(took(alive), seconds(1.0), "the post-op delay");
    let (.., killed) = first_write("replica = 3", "power-cut client");
    assert_eq!(took(killed), Duration::ZERO);
    let (.., off) = first_write("replica = 3", "client off");
    assert_eq!(took(off), seconds(42.0), "the TCP user timeout");
    let (.., off) = first_write("replica = 3\ntcp-user-timeout = 5s", "client off");
    assert_eq!(took(off), seconds(5.0));
    let (mut cluster, new, frozen) = first_write("replica = 3", "client freeze");
    assert_eq!(frozen, None, "for ever");
    assert_eq!(cluster.read(new, 0), Ok(Some(1)), "reads are not held up");
    cluster.command("clear-locks /disk");
    assert_eq!(cluster.write(new, 4096, 2).0, Ok(()));
    assert_eq!(
        cluster.read(new, 0),
        Ok(Some(2)),
        "the first went through too"
    );
}

#[test]
fn a_thawed_owner_lets_go() {
    let (mut cluster, old, new) = taken_over("replica = 3");
    cluster.command(&format!("client freeze {}", old.client.0));
    let under = cluster.begin(new.client, write_call(new, 0, 2));
    cluster.wait(seconds(90.0));
    assert_eq!(cluster.peek(&under), None);
    cluster.command(&format!("client thaw {}", old.client.0));
    assert_eq!(cluster.peek(&under), Some(Ok(Reply::Count(4096))));
}

#[test]
fn an_owner_that_loses_two_bricks_has_a_bad_handle_for_ever() {
    let (mut cluster, old, new) = taken_over("replica = 3\npost-op-delay = 0s");
    // Never locked: it goes on when the bricks are back.
    let bystander = cluster.mount();
    cluster.command("brick kill 0");
    assert_eq!(
        cluster.write(new, 0, 2).0,
        Ok(()),
        "one of three is enough to lose"
    );
    cluster.start(&[0]);
    assert!(cluster.volume.marks.count(Mark::LockHealed) > 0);
    assert_eq!(cluster.write(new, 0, 3).0, Ok(()));
    assert_eq!(cluster.write(old, 0, 4).0, Err(Errno::EBUSY));
    cluster.command("brick kill 0");
    cluster.command("brick kill 1");
    cluster.wait(seconds(0.5));
    assert_eq!(cluster.write(bystander, 0, 5).0, Err(Errno::ENOTCONN));
    cluster.start(&[0, 1]);
    assert_eq!(cluster.write(new, 0, 5).0, Err(Errno::EBADF));
    assert_eq!(cluster.read(new, 0), Err(Errno::EBADF));
    assert_eq!(cluster.lock(new).0, Err(Errno::EBADF));
    let again = cluster.reopen(new);
    assert!(cluster.lock(again).0.is_ok());
    assert_eq!(cluster.write(again, 0, 5).0, Ok(()));
    assert_eq!(cluster.read(again, 0), Ok(Some(5)));
}

#[test]
fn a_mandatory_lock_on_an_arbiter_volume_is_refused_loudly() {
    let mut cluster = Cluster::new(&format!("{FENCED}type = arbiter\nbricks = 3"));
    let mount = cluster.mount();
    assert_eq!(cluster.lock(mount).0, Err(Errno::EOPNOTSUPP));
    assert_eq!(cluster.volume.marks.count(Mark::ArbiterLock), 3);
    let read = cluster.call(mount.client, read_call(mount, 0));
    assert_eq!(read, Ok(Reply::Bytes(Vec::new())), "and nothing else broke");
}
