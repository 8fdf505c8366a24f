//! Bricks, links and clients in trouble, and what a call says of it (gfapi.md §3, fencing.md §8,
//! §11).

use gluster_mock::call::{LockType, LockVerb};
use gluster_mock::{Call, Errno, Mark, Reply, SyncKind};
use std::time::Duration;

use crate::cluster::{Cluster, DISK, Mount, lock_call, read_call, seconds, write_call};

crate::together! {
    a_brick_that_dies_is_no_error,
    without_quorum_calls_fail_at_once_and_the_handle_recovers,
    a_hung_brick_holds_writes_for_one_to_two_ping_timeouts,
    a_brick_that_goes_on_in_time_takes_what_waited,
    two_hung_bricks_cost_the_quorum,
    without_pings_a_call_times_out_by_itself,
    calls_that_are_lost_and_answers_that_are,
    a_brick_that_refuses_has_the_file_to_heal,
    what_too_few_bricks_took_stays_or_goes,
    a_full_brick_takes_what_it_has_room_for,
    reads_go_to_a_replica_that_is_right,
    a_brick_that_lost_power_differs_and_nobody_knows,
    a_slow_brick_is_waited_for,
    a_brick_that_dies_takes_the_calls_inside_along,
    a_graph_switch_holds_calls_up_and_breaks_handles_without_a_file,
    a_client_begins_with_a_quorum,
    each_file_of_a_distributed_volume_is_on_one_brick,
    a_dispersed_volume_needs_all_bricks_but_one,
    an_arbiter_counts_and_has_no_bytes,
    locks_that_conflict_are_refused_or_waited_for,
    two_clients_take_turns,
    what_a_plan_says_is_done,
    commands_name_what_is_there,
}

const PING: Duration = Duration::from_secs(10);

fn replica(settings: &str) -> (Cluster, Mount) {
    let mut cluster = Cluster::new(&format!("replica = 3\n{settings}"));
    let mount = cluster.mount();
    assert_eq!(cluster.write(mount, 0, 1).0, Ok(()));
    (cluster, mount)
}

fn copies(cluster: &mut Cluster, at: u64) -> Vec<Option<u8>> {
    let bricks = cluster.volume.settings().bricks as usize;
    let mut look = |brick| cluster.volume.on_brick(brick, DISK, at, 1).expect("a file");
    (0..bricks)
        .map(|brick| look(brick).first().copied())
        .collect()
}

#[test]
fn a_brick_that_dies_is_no_error() {
    let (mut cluster, mount) = replica("");
    cluster.command("brick kill 2");
    assert_eq!(cluster.write(mount, 0, 2), (Ok(()), Duration::ZERO));
    assert_eq!(copies(&mut cluster, 0), [Some(2), Some(2), Some(1)]);
    cluster.start(&[2]);
    assert_eq!(copies(&mut cluster, 0), [Some(2); 3], "healed");
    assert!(cluster.command("status").contains("brick 2 up"));
}

#[test]
fn without_quorum_calls_fail_at_once_and_the_handle_recovers() {
    let (mut cluster, mount) = replica("");
    cluster.command("brick kill 1");
    cluster.command("brick kill 2");
    assert_eq!(
        cluster.write(mount, 0, 2),
        (Err(Errno::ENOTCONN), Duration::ZERO)
    );
    assert_eq!(cluster.read(mount, 0), Err(Errno::ENOTCONN));
    assert_eq!(cluster.sync(mount), Err(Errno::ENOTCONN));
    assert_eq!(cluster.stat(mount), Err(Errno::ENOTCONN));
    cluster.command("brick kill 0");
    assert_eq!(cluster.read(mount, 0), Err(Errno::ENOTCONN));
    cluster.start(&[0, 1, 2]);
    assert_eq!(cluster.read(mount, 0), Ok(Some(1)));
    assert_eq!(cluster.write(mount, 0, 2).0, Ok(()));
}

#[test]
fn a_hung_brick_holds_writes_for_one_to_two_ping_timeouts() {
    let mut stalls = Vec::new();
    for seed in 0..20 {
        let (mut cluster, mount) = replica(&format!("seed = {seed}"));
        cluster.wait(seconds(33.0));
        cluster.command("brick hang 1");
        let (written, took) = cluster.write(mount, 0, 2);
        assert_eq!(written, Ok(()));
        assert!(PING <= took && took <= 2 * PING, "{took:?}");
        stalls.push(took);
        assert_eq!(
            cluster.write(mount, 0, 3),
            (Ok(()), Duration::ZERO),
            "given up"
        );
        cluster.command("brick resume 1");
        cluster.wait(seconds(1.0));
        assert_eq!(copies(&mut cluster, 0), [Some(3); 3]);
    }
    stalls.sort();
    stalls.dedup();
    assert!(
        stalls.len() > 10,
        "when a ping was due is the seed's: {stalls:?}"
    );
}

#[test]
fn a_brick_that_goes_on_in_time_takes_what_waited() {
    let (mut cluster, mount) = replica("");
    cluster.command("brick hang 1");
    let under = cluster.begin(mount.client, write_call(mount, 0, 2));
    cluster.wait(seconds(3.0));
    assert_eq!(cluster.peek(&under), None);
    let read = cluster.begin(mount.client, read_call(mount, 0));
    assert!(cluster.peek(&read).is_some(), "another replica is read");
    cluster.command("brick resume 1");
    assert_eq!(cluster.peek(&under), Some(Ok(Reply::Count(4096))));
    assert_eq!(copies(&mut cluster, 0), [Some(2); 3]);
    // Nothing of it is left to go off later.
    cluster.wait(4 * PING);
    assert_eq!(cluster.write(mount, 0, 3), (Ok(()), Duration::ZERO));
    assert_eq!(cluster.volume.marks.count(Mark::PingTimeout), 0);
}

#[test]
fn two_hung_bricks_cost_the_quorum() {
    let (mut cluster, mount) = replica("");
    cluster.command("brick hang 1");
    cluster.command("brick hang 2");
    let (written, took) = cluster.write(mount, 0, 2);
    assert_eq!(written, Err(Errno::ENOTCONN));
    assert!(PING <= took && took <= 2 * PING, "{took:?}");
}

#[test]
fn without_pings_a_call_times_out_by_itself() {
    let mut cluster = Cluster::new("ping-timeout = 0\nframe-timeout = 1800");
    let mount = cluster.mount();
    cluster.command("brick hang 0");
    let (written, took) = cluster.write(mount, 0, 2);
    assert_eq!((written, took), (Err(Errno::ETIMEDOUT), seconds(1800.0)));
}

#[test]
fn calls_that_are_lost_and_answers_that_are() {
    let (mut cluster, mount) = replica("");
    let client = mount.client.0;
    cluster.command(&format!("partition {client} 1 calls"));
    let under = cluster.begin(mount.client, write_call(mount, 0, 2));
    assert_eq!(copies(&mut cluster, 0), [Some(2), Some(1), Some(2)]);
    cluster.command(&format!("mend {client} 1"));
    assert_eq!(cluster.peek(&under), Some(Ok(Reply::Count(4096))));
    cluster.command(&format!("partition {client} 1 answers"));
    let under = cluster.begin(mount.client, write_call(mount, 0, 3));
    assert_eq!(copies(&mut cluster, 0), [Some(3); 3], "carried out");
    assert_eq!(cluster.peek(&under), None, "and not known");
    let (answer, took) = cluster.finish(under).expect("an answer");
    assert_eq!(answer, Ok(Reply::Count(4096)), "two of three");
    assert!(took <= 2 * PING);
    cluster.command(&format!("mend {client} 1"));
    cluster.wait(seconds(1.0));
    assert!(
        cluster
            .command("status")
            .contains(&format!("client {client} bricks 0,1,2"))
    );
    // Another client is not concerned.
    cluster.command(&format!("partition {client} 0"));
    cluster.command(&format!("partition {client} 1"));
    let other = cluster.mount();
    assert_eq!(cluster.read(other, 0), Ok(Some(3)));
}

#[test]
fn a_brick_that_refuses_has_the_file_to_heal() {
    let (mut cluster, mount) = replica("");
    cluster.command("brick error 1 EIO");
    assert_eq!(cluster.write(mount, 0, 2).0, Ok(()));
    assert_eq!(copies(&mut cluster, 0), [Some(2), Some(1), Some(2)]);
    assert!(
        cluster
            .command("status")
            .contains("brick 1 up error EIO to heal 1")
    );
    cluster.command("brick error 1 none");
    assert_eq!(copies(&mut cluster, 0), [Some(2); 3]);
}

#[test]
fn what_too_few_bricks_took_stays_or_goes() {
    let mut seen = [0, 0];
    for seed in 0..20 {
        let (mut cluster, mount) = replica(&format!("seed = {seed}"));
        cluster.command("brick error 1 EROFS");
        cluster.command("brick error 2 EROFS");
        assert_eq!(cluster.write(mount, 0, 2).0, Err(Errno::EROFS));
        cluster.command("brick error 1 none");
        cluster.command("brick error 2 none");
        cluster.command("brick kill 0");
        cluster.start(&[0]);
        let healed = copies(&mut cluster, 0);
        assert!(healed.windows(2).all(|two| two[0] == two[1]), "{healed:?}");
        seen[usize::from(healed[0] == Some(2))] += 1;
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}

#[test]
fn a_full_brick_takes_what_it_has_room_for() {
    let (mut cluster, mount) = replica("");
    for brick in 0..3 {
        cluster.command(&format!("fill {brick}"));
    }
    assert_eq!(cluster.write(mount, 4096, 2).0, Err(Errno::ENOSPC));
    assert_eq!(cluster.write(mount, 0, 2).0, Ok(()), "it has that already");
    assert_eq!(cluster.sync(mount), Ok(()));
    let discard = Call::Discard {
        handle: mount.handle,
        range: 0..4096,
    };
    assert_eq!(cluster.call(mount.client, discard), Err(Errno::ENOSPC));
    for brick in 0..3 {
        cluster.command(&format!("drain {brick}"));
    }
    assert_eq!(cluster.write(mount, 4096, 2).0, Ok(()));
    assert!(cluster.volume.marks.count(Mark::BrickFull) > 0);
}

#[test]
fn reads_go_to_a_replica_that_is_right() {
    let (mut cluster, mount) = replica("heal-delay = 60s");
    // The first file is read from the first brick.
    cluster.command("brick kill 0");
    assert_eq!(cluster.write(mount, 0, 2).0, Ok(()));
    cluster.start(&[0]);
    assert_eq!(copies(&mut cluster, 0)[0], Some(1), "not healed yet");
    assert_eq!(cluster.read(mount, 0), Ok(Some(2)));
    cluster.wait(seconds(60.0));
    assert_eq!(copies(&mut cluster, 0), [Some(2); 3]);
    let under = {
        cluster.command("brick hang 0");
        cluster.begin(mount.client, read_call(mount, 0))
    };
    assert_eq!(cluster.peek(&under), None, "it asked the one that hangs");
    let (answer, took) = cluster.finish(under).expect("an answer");
    assert!(answer.is_ok() && took <= 2 * PING, "and then another");
    // Two bricks that missed changes, and then the only good one goes.
    let (mut cluster, mount) = replica("");
    cluster.command("brick kill 0");
    assert_eq!(cluster.write(mount, 0, 2).0, Ok(()));
    cluster.command("brick kill 1");
    cluster.command("brick kill 2");
    cluster.start(&[0]);
    assert!(cluster.volume.marks.count(Mark::HealSourceless) > 0);
    cluster.start(&[1, 2]);
    assert_eq!(cluster.read(mount, 0), Ok(Some(2)));
}

#[test]
fn a_brick_that_lost_power_differs_and_nobody_knows() {
    let (mut cluster, mount) = replica("lost = 100\ntorn = 0");
    assert_eq!(cluster.sync(mount), Ok(()));
    assert_eq!(cluster.write(mount, 0, 2).0, Ok(()));
    cluster.command("power-cut brick 1");
    cluster.wait(seconds(1.0));
    assert_eq!(copies(&mut cluster, 0), [Some(2), Some(1), Some(2)]);
    assert_eq!(cluster.sync(mount), Ok(()), "a sync does not mend it");
    assert_eq!(copies(&mut cluster, 0), [Some(2), Some(1), Some(2)]);
}

#[test]
fn a_slow_brick_is_waited_for() {
    let (mut cluster, mount) = replica("");
    cluster.command("brick slow 1 40ms");
    let (written, took) = cluster.write(mount, 0, 2);
    assert_eq!(written, Ok(()));
    assert!((seconds(0.02)..seconds(0.06)).contains(&took), "{took:?}");
    // One that stands still with something inside goes on with it.
    let under = cluster.begin(mount.client, write_call(mount, 0, 3));
    cluster.command("brick hang 1");
    cluster.wait(seconds(1.0));
    assert_eq!(copies(&mut cluster, 0), [Some(3), Some(2), Some(3)]);
    cluster.command("brick resume 1");
    assert_eq!(cluster.peek(&under), Some(Ok(Reply::Count(4096))));
}

#[test]
fn a_brick_that_dies_takes_the_calls_inside_along() {
    let (mut cluster, mount) = replica("heal-delay = 60s");
    cluster.command("brick slow 1 40ms");
    let under = cluster.begin(mount.client, write_call(mount, 0, 2));
    cluster.command("brick kill 1");
    assert_eq!(cluster.peek(&under), Some(Ok(Reply::Count(4096))));
    cluster.start(&[1]);
    cluster.wait(seconds(1.0));
    assert_eq!(copies(&mut cluster, 0), [Some(2), Some(1), Some(2)]);
    assert!(cluster.volume.marks.count(Mark::BrickKilledUnderCall) > 0);
}

#[test]
fn a_graph_switch_holds_calls_up_and_breaks_handles_without_a_file() {
    let (mut cluster, mount) = replica("");
    cluster.command("graph-switch 300ms");
    assert_eq!(cluster.write(mount, 0, 2), (Ok(()), seconds(0.3)));
    cluster.command("graph-switch");
    let (written, took) = cluster.write(mount, 0, 2);
    assert_eq!(written, Ok(()));
    assert!(took >= seconds(0.002) && took <= seconds(0.008), "{took:?}");
    let path = DISK.to_owned();
    assert_eq!(
        cluster.call(mount.client, Call::Unlink { path }),
        Ok(Reply::Done)
    );
    assert_eq!(cluster.write(mount, 0, 3).0, Ok(()), "open and nameless");
    cluster.command("graph-switch");
    assert_eq!(cluster.write(mount, 0, 3).0, Err(Errno::EBADFD));
}

#[test]
fn a_client_begins_with_a_quorum() {
    let mut cluster = Cluster::new("replica = 3");
    cluster.command("brick hang 0");
    let before = cluster.now;
    assert!(cluster.attach(&[]).is_ok());
    assert_eq!(
        cluster.now,
        before.after(seconds(10.0)),
        "it waited for the third"
    );
    cluster.command("brick resume 0");
    cluster.command("brick kill 0");
    let before = cluster.now;
    assert!(cluster.attach(&[]).is_ok());
    assert_eq!(cluster.now, before, "one that is dead is not waited for");
    cluster.command("brick kill 1");
    let before = cluster.now;
    assert_eq!(cluster.attach(&[]), Err(Errno::EIO));
    assert_eq!(cluster.now, before, "at once");
    cluster.start(&[0, 1]);
    cluster.command("brick hang 0");
    cluster.command("brick hang 1");
    let before = cluster.now;
    assert_eq!(cluster.attach(&[]), Err(Errno::EIO));
    assert_eq!(cluster.now, before.after(PING));
}

#[test]
fn each_file_of_a_distributed_volume_is_on_one_brick() {
    let mut cluster = Cluster::new("type = distribute\nbricks = 2");
    let first = cluster.mount();
    let handle = cluster.create(first.client, "/other");
    let second = Mount { handle, ..first };
    assert_eq!(cluster.write(first, 0, 1).0, Ok(()));
    assert_eq!(cluster.write(second, 0, 2).0, Ok(()));
    assert_eq!(copies(&mut cluster, 0), [None, Some(1)]);
    cluster.command("brick kill 1");
    assert_eq!(cluster.write(first, 0, 3).0, Err(Errno::ENOTCONN));
    assert_eq!(cluster.read(first, 0), Err(Errno::ENOTCONN));
    assert_eq!(cluster.read(second, 0), Ok(Some(2)));
    cluster.start(&[1]);
    assert_eq!(cluster.read(first, 0), Ok(Some(1)));
}

#[test]
fn a_dispersed_volume_needs_all_bricks_but_one() {
    let mut cluster = Cluster::new("type = disperse\nbricks = 3");
    let mount = cluster.mount();
    assert_eq!(cluster.write(mount, 0, 1).0, Ok(()));
    let zerofill = Call::Zerofill {
        handle: mount.handle,
        range: 0..4096,
    };
    assert_eq!(cluster.call(mount.client, zerofill), Err(Errno::EOPNOTSUPP));
    cluster.command("brick kill 1");
    assert_eq!(cluster.write(mount, 0, 2).0, Ok(()));
    assert_eq!(cluster.read(mount, 0), Ok(Some(2)));
    cluster.command("brick kill 2");
    assert_eq!(cluster.write(mount, 0, 3).0, Err(Errno::ENOTCONN));
    assert_eq!(cluster.read(mount, 0), Err(Errno::ENOTCONN));
    assert_eq!(cluster.sync(mount), Err(Errno::EBADF));
    cluster.start(&[1, 2]);
    assert_eq!(cluster.write(mount, 0, 3).0, Ok(()));
    assert_eq!(
        cluster.sync(mount),
        Err(Errno::EBADF),
        "until it is opened again"
    );
    let again = cluster.reopen(mount);
    assert_eq!(cluster.sync(again), Ok(()));
}

#[test]
fn an_arbiter_counts_and_has_no_bytes() {
    let mut cluster = Cluster::new("type = arbiter\nbricks = 3");
    let mount = cluster.mount();
    assert_eq!(cluster.write(mount, 0, 7).0, Ok(()));
    assert_eq!(copies(&mut cluster, 0), [Some(7), Some(7), None]);
    cluster.command("brick kill 0");
    assert_eq!(cluster.write(mount, 0, 8).0, Ok(()), "two of three");
    assert_eq!(cluster.read(mount, 0), Ok(Some(8)));
    cluster.command("brick kill 1");
    assert_eq!(cluster.read(mount, 0), Err(Errno::ENOTCONN));
    cluster.start(&[0, 1]);
    assert_eq!(copies(&mut cluster, 0)[..2], [Some(8), Some(8)]);
    // The only copy is stale, the good one away: a quorum that cannot be read.
    cluster.command("brick kill 0");
    assert_eq!(cluster.write(mount, 0, 9).0, Ok(()));
    cluster.command("brick kill 1");
    cluster.start(&[0]);
    assert_eq!(cluster.read(mount, 0), Err(Errno::ENOTCONN));
}

#[test]
fn locks_that_conflict_are_refused_or_waited_for() {
    let (mut cluster, first) = replica("post-op-delay = 0s");
    let second = cluster.mount();
    assert!(cluster.lock(first).0.is_ok());
    assert_eq!(cluster.lock(second).0, Err(Errno::EAGAIN));
    let get = lock_call(second, LockVerb::Get, LockType::Write);
    let found = Some((LockType::Write, 0..u64::MAX));
    assert_eq!(cluster.call(second.client, get), Ok(Reply::Lock(found)));
    let wait = lock_call(second, LockVerb::SetWait, LockType::Write);
    let under = cluster.begin(second.client, wait);
    cluster.wait(seconds(60.0));
    assert_eq!(cluster.peek(&under), None);
    cluster.command(&format!("power-cut client {}", first.client.0));
    assert_eq!(cluster.peek(&under), Some(Ok(Reply::Lock(None))));
    let shared = lock_call(second, LockVerb::Set, LockType::Read);
    assert_eq!(cluster.call(second.client, shared), Ok(Reply::Lock(None)));
    let third = cluster.mount();
    let shared = lock_call(third, LockVerb::Set, LockType::Read);
    assert_eq!(cluster.call(third.client, shared), Ok(Reply::Lock(None)));
    assert_eq!(cluster.lock(third).0, Err(Errno::EAGAIN));
}

#[test]
fn two_clients_take_turns() {
    let (mut cluster, first) = replica("");
    let second = cluster.mount();
    assert_eq!(cluster.write(second, 0, 2), (Ok(()), seconds(1.0)));
    assert_eq!(cluster.write(second, 0, 3), (Ok(()), Duration::ZERO));
    assert_eq!(cluster.write(first, 0, 4), (Ok(()), seconds(1.0)));
    // A client with a delay of its own lets go at once.
    let swift = cluster.mount_with(&[
        "*-write-behind pass-through true",
        "*-replicate-* post-op-delay-secs 0",
    ]);
    assert_eq!(cluster.write(swift, 0, 5), (Ok(()), seconds(1.0)));
    assert_eq!(cluster.write(first, 0, 6), (Ok(()), Duration::ZERO));
    assert_eq!(cluster.read(second, 0), Ok(Some(6)));
    // Dispersed volumes hand over in no time.
    let mut cluster = Cluster::new("type = disperse\nbricks = 3");
    let (first, second) = (cluster.mount(), cluster.mount());
    assert_eq!(cluster.write(first, 0, 1), (Ok(()), Duration::ZERO));
    assert_eq!(cluster.write(second, 0, 2), (Ok(()), Duration::ZERO));
}

#[test]
fn what_a_plan_says_is_done() {
    let (mut cluster, mount) = replica("");
    for errno in [
        Errno::EIO,
        Errno::EDQUOT,
        Errno::EROFS,
        Errno::ESTALE,
        Errno::EBADFD,
        Errno::ENOSPC,
        Errno::ENOTCONN,
        Errno::EAGAIN,
        Errno::ETIMEDOUT,
    ] {
        cluster.command(&format!("plan write {DISK} nth=1 errno={errno}"));
        assert_eq!(cluster.write(mount, 0, 9).0, Err(errno));
        assert_eq!(cluster.read(mount, 0), Ok(Some(1)), "nothing was written");
    }
    cluster.command("plan write * latency=30ms; read * short=512");
    assert_eq!(cluster.write(mount, 0, 2), (Ok(()), seconds(0.03)));
    let Ok(Reply::Bytes(short)) = cluster.call(mount.client, read_call(mount, 0)) else {
        panic!("no bytes");
    };
    assert_eq!(short, [2; 512]);
    cluster.command("plan write * hang");
    let under = cluster.begin(mount.client, write_call(mount, 0, 3));
    cluster.wait(seconds(3600.0));
    assert_eq!(cluster.peek(&under), None);
    cluster.command("plan read * short=512");
    assert_eq!(cluster.peek(&under), Some(Ok(Reply::Count(4096))));
    cluster.command("plan fsync * nth=1 lose");
    let sync = Call::Sync {
        handle: mount.handle,
        kind: SyncKind::All,
    };
    assert_eq!(cluster.call(mount.client, sync.clone()), Err(Errno::EIO));
    assert_eq!(cluster.call(mount.client, sync), Ok(Reply::Done));
    cluster.command("plan write * cut");
    assert_eq!(cluster.write(mount, 0, 4).0, Err(Errno::ENOTCONN));
    assert!(cluster.volume.is_dark());
}

#[test]
fn commands_name_what_is_there() {
    let (mut cluster, _) = replica("");
    for (line, says) in [
        ("brick kill 3", "no brick 3: there are 0 to 2"),
        ("client freeze 9", "no client 9: there are 1"),
        ("clear-locks /nothing", "ENOENT"),
        ("plan paint * errno=EIO", "line 1: not a rule"),
    ] {
        let command = gluster_mock::Command::parse(line).expect(line);
        let said = cluster.volume.command(cluster.now, &command);
        let said = said.expect_err(line);
        assert!(said.contains(says), "{line}: {said}");
    }
    for wrong in [
        "",
        "brick",
        "brick kill",
        "brick kill x",
        "brick slow 0 5",
        "partition 1 0 up",
    ] {
        let said = gluster_mock::Command::parse(wrong).expect_err(wrong);
        assert!(said.contains("brick kill|start|hang|resume N"), "{said}");
    }
    assert!(cluster.command("marks").contains("hole.drain"));
}
