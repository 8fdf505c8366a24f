//! What changes, heal and failures of one client do to each other, found by worlds of many seeds.

use std::time::Duration;

use gluster_mock::{Answer, Errno, Reply};

use crate::cluster::{Cluster, DISK, Mount, seconds, write_call};

crate::together! {
    changes_that_overlap_land_in_the_same_order_everywhere,
    self_heal_waits_for_changes_under_way,
    a_change_that_failed_leaves_a_copy_to_heal_from,
    a_client_that_goes_on_begins_a_call_once,
}

const DONE: Option<Answer> = Some(Ok(Reply::Count(4096)));

fn replica(settings: &str) -> (Cluster, Mount) {
    let mut cluster = Cluster::new(&format!("replica = 3\n{settings}"));
    let mount = cluster.mount();
    assert_eq!(cluster.write(mount, 0, 1).0, Ok(()));
    (cluster, mount)
}

fn copies(cluster: &mut Cluster) -> [u8; 3] {
    [0, 1, 2].map(|brick| cluster.volume.on_brick(brick, DISK, 0, 1).expect("a file")[0])
}

fn slow(cluster: &mut Cluster) {
    for brick in 0..3 {
        cluster.command(&format!("brick slow {brick} 10ms"));
    }
}

#[test]
fn changes_that_overlap_land_in_the_same_order_everywhere() {
    for seed in 1..20 {
        let (mut cluster, mount) = replica(&format!("seed = {seed}"));
        slow(&mut cluster);
        let first = cluster.begin(mount.client, write_call(mount, 0, 2));
        let second = cluster.begin(mount.client, write_call(mount, 2048, 3));
        let elsewhere = cluster.begin(mount.client, write_call(mount, 8192, 4));
        cluster.wait(seconds(0.015));
        assert_eq!(
            [&first, &elsewhere].map(|one| cluster.peek(one)),
            [DONE, DONE]
        );
        assert_eq!(cluster.peek(&second), None, "behind the first");
        cluster.wait(seconds(0.015));
        assert_eq!(cluster.peek(&second), DONE);
        assert_eq!(copies(&mut cluster), [2; 3]);
    }
}

#[test]
fn self_heal_waits_for_changes_under_way() {
    for seed in 1..20 {
        let (mut cluster, mount) = replica(&format!("seed = {seed}\nheal-delay = 0s"));
        cluster.command("brick error 1 EIO");
        assert_eq!(cluster.write(mount, 0, 2).0, Ok(()));
        slow(&mut cluster);
        cluster.begin(mount.client, write_call(mount, 0, 3));
        cluster.wait(Duration::from_millis(4));
        cluster.command("brick error 1 none");
        cluster.wait(seconds(1.0));
        assert_eq!(copies(&mut cluster), [3; 3]);
    }
}

#[test]
fn a_change_that_failed_leaves_a_copy_to_heal_from() {
    for seed in 1..20 {
        let (mut cluster, mount) = replica(&format!("seed = {seed}"));
        for (brick, broken) in [(0, 1), (1, 2), (2, 0)] {
            cluster.command(&format!("brick error {brick} EIO"));
            cluster.command(&format!("brick error {broken} EIO"));
            assert_eq!(cluster.write(mount, 0, 2).0, Err(Errno::EIO));
            cluster.command(&format!("brick error {brick} none"));
            cluster.command(&format!("brick error {broken} none"));
        }
        // The self-heal daemon looks at each of them.
        (0..3).for_each(|brick| drop(cluster.command(&format!("drain {brick}"))));
        cluster.wait(seconds(1.0));
        let left = cluster.read(mount, 0).expect("a good copy").expect("bytes");
        assert_eq!(copies(&mut cluster), [left; 3]);
    }
}

#[test]
fn a_client_that_goes_on_begins_a_call_once() {
    let (mut cluster, mount) = replica("");
    slow(&mut cluster);
    let client = mount.client.0;
    cluster.command("graph-switch 20ms");
    let held = cluster.begin(mount.client, write_call(mount, 0, 2));
    cluster.command(&format!("client freeze {client}"));
    cluster.command(&format!("client thaw {client}"));
    cluster.wait(seconds(1.0));
    assert_eq!(cluster.peek(&held), DONE);
    assert_eq!(cluster.volume.in_flight(), 0);
    // The inode lock is free: another client gets it after the post-op delay.
    let second = cluster.mount();
    assert_eq!(cluster.write(second, 0, 3).0, Ok(()));
}
