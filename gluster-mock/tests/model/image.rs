//! The in-process face keeps the contract of every store, on every kind of volume, and does what a
//! store must when bricks are in trouble.

use block::contract::{BYTES_MIN, Subject};
use block::{BlockSize, Buffer, Caps, Completion, Fault, Op, Stage, Thin, Ticket};
use gluster_mock::face_block::{Image, Patience};
use gluster_mock::{Call, Reply};
use std::time::Duration;

use crate::cluster::{Cluster, seconds};

crate::together! {
    what_fails_for_want_of_bricks_is_tried_again,
    a_change_that_hangs_is_overdue_and_its_end_is_told_later,
    a_failed_flush_is_not_forgotten,
}

/// An image and the cluster it is in.
struct Served {
    cluster: Cluster,
    image: Image,
    done: Vec<Completion>,
}

impl Served {
    fn new(settings: &str) -> Self {
        let mut cluster = Cluster::new(settings);
        let mount = cluster.mount();
        let truncate = Call::Truncate {
            place: gluster_mock::call::Place::Handle(mount.handle),
            size: BYTES_MIN,
        };
        assert_eq!(cluster.call(mount.client, truncate), Ok(Reply::Done));
        let settings = cluster.volume.settings();
        let thin = Thin {
            unmap: true,
            unmapped_zero: true,
            quick_zeroes: settings.zerofill,
            extents: settings.shard == 0,
            space: true,
        };
        let caps = Caps {
            bytes: BYTES_MIN,
            block_size: BlockSize::new(512).expect("a block size"),
            physical_bytes: 4096,
            read_only: false,
            volatile_cache: true,
            thin,
        };
        let image = Image::new(settings, mount.handle, caps, Patience::default());
        Self {
            cluster,
            image,
            done: Vec::new(),
        }
    }

    fn submit(&mut self, ticket: u64, op: Op) {
        let now = self.cluster.now;
        let volume = &mut self.cluster.volume;
        self.image
            .submit(volume, now, (Ticket(ticket), op), &mut self.done);
    }

    /// Time passes.
    fn wait(&mut self, time: Duration) {
        let end = self.cluster.now.after(time);
        loop {
            let due = [self.image.next_due(), self.cluster.volume.next_due()];
            let next = due.into_iter().flatten().min().unwrap_or(end).min(end);
            self.cluster.now = next.max(self.cluster.now);
            let now = self.cluster.now;
            self.cluster.volume.advance(now);
            for (ticket, answer) in self.cluster.volume.answers() {
                let volume = &mut self.cluster.volume;
                let known = self
                    .image
                    .answered(volume, now, (ticket, &answer), &mut self.done);
                assert!(known, "nobody else is here");
            }
            let volume = &mut self.cluster.volume;
            self.image.tick(volume, now, &mut self.done);
            if now >= end {
                return;
            }
        }
    }

    fn outcomes(&mut self) -> Vec<(Result<(), Fault>, Stage)> {
        let done = self.done.drain(..);
        done.map(|done| (done.outcome, done.stage)).collect()
    }
}

fn write(value: u8) -> Op {
    let mut buffer = Buffer::zeroed(4096);
    buffer.bytes_mut().fill(value);
    Op::Write {
        at: 0,
        buffer,
        durable: true,
    }
}

#[test]
fn every_kind_of_volume_keeps_the_contract() {
    for (settings, trouble) in [
        ("", "brick slow 0 1ms"),
        ("replica = 3", "brick slow 2 1ms"),
        ("type = arbiter\nbricks = 3", "status"),
        ("type = disperse\nbricks = 3", "status"),
        ("type = distribute\nbricks = 2", "status"),
        ("replica = 3\nshard = 1048576", "status"),
    ] {
        let mut served = Served::new(settings);
        served.cluster.command(trouble);
        let caps = served.image.caps();
        let run = &mut |batch: Vec<(Ticket, Op)>| {
            for (ticket, op) in batch {
                served.submit(ticket.0, op);
            }
            served.wait(seconds(1.0));
            std::mem::take(&mut served.done)
        };
        block::contract::check(&mut Subject { caps, run });
    }
}

#[test]
fn what_fails_for_want_of_bricks_is_tried_again() {
    let mut served = Served::new("replica = 3");
    served.cluster.command("brick kill 0");
    served.cluster.command("brick kill 1");
    served.submit(1, write(1));
    served.wait(seconds(5.0));
    assert_eq!(served.outcomes(), []);
    served.cluster.command("brick start 0");
    served.wait(seconds(1.2));
    assert_eq!(served.outcomes(), [(Ok(()), Stage::Only)]);
    served.cluster.command("brick kill 0");
    served.submit(2, write(2));
    served.submit(3, Op::Flush);
    served.wait(seconds(21.0));
    let unreachable = (Err(Fault::Unreachable), Stage::Only);
    let failed = (Err(Fault::FlushFailed), Stage::Only);
    assert_eq!(served.outcomes(), [unreachable, failed]);
    assert!(served.image.is_idle());
}

#[test]
fn a_change_that_hangs_is_overdue_and_its_end_is_told_later() {
    let mut served = Served::new("replica = 3\nping-timeout = 60");
    served.cluster.command("brick hang 0");
    served.submit(1, write(1));
    served.submit(
        2,
        Op::Read {
            at: 0,
            buffer: Buffer::zeroed(512),
        },
    );
    served.wait(seconds(20.0));
    let timed_out = Err(Fault::TimedOut);
    let told = served.outcomes();
    assert_eq!(
        told,
        [(timed_out, Stage::Overdue), (timed_out, Stage::Only)]
    );
    served.cluster.command("brick resume 0");
    served.wait(seconds(0.0));
    assert_eq!(served.outcomes(), [(Ok(()), Stage::Late)]);
    assert!(served.image.is_idle());
}

#[test]
fn a_failed_flush_is_not_forgotten() {
    let mut served = Served::new("replica = 3");
    served.submit(1, write(1));
    served.cluster.command("plan fsync * nth=1 lose");
    for ticket in 2..4 {
        served.submit(ticket, Op::Flush);
    }
    served.wait(seconds(0.0));
    let failed = (Err(Fault::FlushFailed), Stage::Only);
    assert_eq!(served.outcomes(), [(Ok(()), Stage::Only), failed, failed]);
}
