//! What an acknowledged write is worth: with and without write-behind, on bricks that are full or
//! away.

use std::thread;
use std::time::Duration;

use glfs_sys::types::{GLFS_STAT_SIZE, O_DSYNC, O_RDWR, O_SYNC};

use super::case::{
    Case, Company, Fault, Stage, Verdict, a, case, equal, eventually, holds, pattern, refused,
    same, timed, took, with,
};
use super::client::Mount;
use super::ground::{Kind, SHARD_BYTES, Wish};
use crate::errno::Errno;

/// The smallest brick that still has room for Gluster's own files.
const SMALL: u64 = 24 << 20;
/// The brick looks at its room every five seconds.
const NOTICE_LIMIT: Duration = Duration::from_secs(20);
const RETURN_LIMIT: Duration = Duration::from_secs(60);

const WRITE_BEHIND: &[(&str, &str)] = &[("performance.write-behind", "on")];
/// Switches write-behind off for one client.
const BYPASS: &[(&str, &str, &str)] = &[("*-write-behind", "pass-through", "true")];

const fn small(kind: Kind, options: &'static [(&'static str, &'static str)]) -> Wish {
    Wish {
        kind,
        options,
        room: Some(SMALL),
    }
}

pub(super) const CASES: &[Case] = &[
    case(
        Company::Shared,
        a(Kind::Replica3),
        "durable.every-copy",
        "gfapi §1: a write with O_DSYNC is in every brick's file when it returns",
        |stage| {
            let file = stage.filled("f", &pattern(1, 8192))?;
            file.pwritev(&[&pattern(2, 4096)], 4096, O_DSYNC)?;
            let whole = [&pattern(1, 4096)[..], &pattern(2, 4096)].concat();
            for brick in 0..3 {
                same(
                    "brick",
                    &stage.volume().brick_file(brick, &stage.path("f"))?,
                    &whole,
                )?;
            }
            Ok(())
        },
    ),
    case(
        Company::Shared,
        a(Kind::Arbiter),
        "durable.arbiter-empty",
        "an arbiter brick has the file's name and none of its bytes",
        |stage| {
            stage.filled("f", &pattern(1, 8192))?.fsync()?;
            for brick in 0..2 {
                let held = stage.volume().brick_file(brick, &stage.path("f"))?;
                same("copy", &held, &pattern(1, 8192))?;
            }
            same(
                "arbiter",
                &stage.volume().brick_file(2, &stage.path("f"))?,
                b"",
            )
        },
    ),
    case(
        Company::Shared,
        a(Kind::Sharded),
        "durable.shards",
        "gfapi §2 Shard: the file of that name holds the first shard only",
        |stage| {
            let file = stage.file("f")?;
            file.pwrite(&pattern(1, 4096), 0)?;
            file.pwrite(&pattern(2, 4096), SHARD_BYTES)?;
            file.fsync()?;
            let held = stage.volume().brick_file(0, &stage.path("f"))?;
            same("first shard", &held, &pattern(1, 4096))?;
            equal("size", file.size()?, SHARD_BYTES + 4096)
        },
    ),
    case(
        Company::Shared,
        with(Kind::Replica3, WRITE_BEHIND),
        "write-behind.state",
        "gfapi §2 Limits: the state is empty (mask 0) when write-behind acknowledges",
        |stage| {
            let (_, after) = stage.file("f")?.pwrite_with(&[1; 700], 0, 0)?;
            equal("mask", after.glfs_st_mask & GLFS_STAT_SIZE, 0)
        },
    ),
    case(
        Company::Shared,
        with(Kind::Replica3, WRITE_BEHIND),
        "write-behind.bypass-state",
        "gfapi §0.3: pass-through of one client's write-behind: writes are as on a volume without",
        |stage| {
            let mount = stage.client(BYPASS)?;
            let file = mount.create(&stage.path("f"), O_RDWR)?;
            let (_, after) = file.pwrite_with(&[1; 700], 0, 0)?;
            equal("mask", after.glfs_st_mask & GLFS_STAT_SIZE, GLFS_STAT_SIZE)
        },
    ),
    case(
        Company::Shared,
        with(Kind::Replica3, WRITE_BEHIND),
        "write-behind.reads-own",
        "a client reads what it wrote, whether or not it was passed on",
        |stage| {
            let file = stage.file("f")?;
            for round in 0..64 {
                file.pwrite(&pattern(round, 4096), i64::from(round) * 4096)?;
                let read = file.pread(4096, i64::from(round) * 4096)?;
                same("read", &read, &pattern(round, 4096))?;
            }
            equal("size", file.size()?, 64 * 4096)
        },
    ),
    case(
        Company::Own,
        with(Kind::Plain, WRITE_BEHIND),
        "write-behind.dead-brick",
        "gfapi §0.3: a write to a dead brick is acknowledged, fsync fails; later fsync is 0, data gone",
        |stage| {
            let file = stage.filled("f", &pattern(1, 4096))?;
            file.fsync()?;
            stage.volume().kill_brick(0)?;
            thread::sleep(Duration::from_secs(1));
            equal("pwrite", file.pwrite(&pattern(2, 4096), 0)?, 4096)?;
            refused("fsync", file.fsync(), Errno::ENOTCONN)?;
            stage.volume().start_bricks()?;
            eventually(RETURN_LIMIT, || file.fsync())?;
            same("read", &file.pread(4096, 0)?, &pattern(1, 4096))
        },
    ),
    case(
        Company::Own,
        with(Kind::Plain, WRITE_BEHIND),
        "write-behind.dead-brick-sync",
        "gfapi §2 Durability: write-behind honours O_SYNC of the handle and O_DSYNC of the call",
        |stage| {
            let file = stage.filled("f", &pattern(1, 4096))?;
            let syncing = stage.mount().open(&stage.path("f"), O_RDWR | O_SYNC)?;
            stage.volume().kill_brick(0)?;
            thread::sleep(Duration::from_secs(1));
            refused("O_SYNC", syncing.pwrite(&[2; 4096], 0), Errno::ENOTCONN)?;
            refused(
                "O_DSYNC",
                file.pwritev(&[&[3; 4096]], 0, O_DSYNC),
                Errno::ENOTCONN,
            )
        },
    ),
    case(
        Company::Own,
        with(Kind::Plain, WRITE_BEHIND),
        "write-behind.dead-brick-bypass",
        "gfapi §2 Durability: with write-behind bypassed the write itself is ENOTCONN",
        |stage| {
            let mount = stage.client(BYPASS)?;
            let file = mount.create(&stage.path("f"), O_RDWR)?;
            file.pwrite(&pattern(1, 4096), 0)?;
            stage.volume().kill_brick(0)?;
            thread::sleep(Duration::from_secs(1));
            refused("pwrite", file.pwrite(&[2; 4096], 0), Errno::ENOTCONN)
        },
    ),
    case(
        Company::Own,
        small(Kind::Plain, &[]),
        "space.full.plain",
        "gfapi §3: a write that needs room is ENOSPC; one over what has room is done",
        full,
    ),
    case(
        Company::Own,
        small(Kind::Replica3, &[]),
        "space.full.replica3",
        "gfapi §3: a write that needs room is ENOSPC; one over what has room is done",
        full,
    ),
    case(
        Company::Own,
        small(Kind::Disperse, &[]),
        "space.full.disperse",
        "gfapi §3: a write that needs room is ENOSPC; one over what has room is done",
        full,
    ),
    case(
        Company::Own,
        small(Kind::Plain, &[]),
        "space.fallocate",
        "fallocate of more than there is room for is ENOSPC",
        |stage| {
            let file = stage.file("f")?;
            refused(
                "fallocate",
                file.fallocate(false, 0, 2 * SMALL as usize),
                Errno::ENOSPC,
            )
        },
    ),
    case(
        Company::Own,
        small(Kind::Replica3, &[]),
        "space.reserve",
        "fencing §11: over storage.reserve: extending write ENOSPC, overwrite done, fsync 0, discard ENOSPC",
        |stage| {
            let file = stage.filled("f", &pattern(1, 4 << 20))?;
            stage.volume().set("storage.reserve", "95")?;
            let deadline = std::time::Instant::now() + NOTICE_LIMIT;
            let mut end = 4 << 20;
            let last = loop {
                let (put, time) = timed(|| file.pwrite(&pattern(2, 4096), end));
                if put.is_err() || std::time::Instant::now() > deadline {
                    took("refused in time", time, ..5_000)?;
                    break put;
                }
                end += 4096;
                thread::sleep(Duration::from_millis(200));
            };
            refused("extending write", last, Errno::ENOSPC)?;
            equal("overwrite", file.pwrite(&pattern(3, 4096), 0)?, 4096)?;
            file.fsync()?;
            refused("discard", file.discard(4096, 4096), Errno::ENOSPC)?;
            same("read", &file.pread(4096, 0)?, &pattern(3, 4096))
        },
    ),
    case(
        Company::Own,
        small(Kind::Plain, WRITE_BEHIND),
        "space.write-behind",
        "gfapi §2 Durability: writes are acknowledged, fdatasync is ENOSPC, the next is 0, data gone",
        |stage| {
            fill(&stage.client(BYPASS)?, &stage.path("filler"))?;
            let file = stage.file("f")?;
            let mut taken = 0;
            for round in 0..6 {
                taken += file.pwrite(&pattern(round, 4096), i64::from(round) * 4096)?;
            }
            equal("acknowledged", taken, 6 * 4096)?;
            refused("fdatasync", file.fdatasync(), Errno::ENOSPC)?;
            file.fdatasync()?;
            let read = file.pread(6 * 4096, 0)?;
            let whole: Vec<u8> = (0..6).flat_map(|round| pattern(round, 4096)).collect();
            holds("not all of it is there", read != whole)
        },
    ),
    case(
        Company::Own,
        small(Kind::Plain, WRITE_BEHIND),
        "space.write-behind-bypass",
        "gfapi §2 Durability: with write-behind bypassed the write itself is ENOSPC",
        |stage| {
            let mount = stage.client(BYPASS)?;
            fill(&mount, &stage.path("filler"))?;
            let file = mount.create(&stage.path("f"), O_RDWR);
            match file.and_then(|file| file.pwrite(&[1; 65536], 0)) {
                Err(refusal) => equal("errno", refusal.errno, Errno::ENOSPC),
                Ok(_) => Err(Fault::Seen("done, not ENOSPC".to_owned())),
            }
        },
    ),
];

/// Writes until there is no more room.
fn fill(mount: &Mount, path: &str) -> Verdict {
    let file = mount.create(path, O_RDWR)?;
    let mut end = 0;
    for length in [1 << 20, 4096] {
        loop {
            match file.pwrite(&pattern(9, length), end) {
                Ok(count) => end += count as i64,
                Err(refusal) => {
                    equal("it ends with", refusal.errno, Errno::ENOSPC)?;
                    break;
                }
            }
            if end > 4 * SMALL as i64 {
                return Err(Fault::Seen(format!("{end} bytes fit")));
            }
        }
    }
    Ok(())
}

fn full(stage: &Stage) -> Verdict {
    let file = stage.filled("f", &pattern(1, 1 << 20))?;
    fill(&stage.mount(), &stage.path("filler"))?;
    let (put, time) = timed(|| file.pwrite(&pattern(2, 1 << 20), 4 << 20));
    refused("with no room", put, Errno::ENOSPC)?;
    took("it does not wait", time, ..5_000)?;
    equal(
        "over what has room",
        file.pwrite(&pattern(3, 65536), 65536)?,
        65536,
    )?;
    file.fsync()?;
    same("read", &file.pread(65536, 65536)?, &pattern(3, 65536))?;
    same("before it", &file.pread(65536, 0)?, &pattern(1, 65536))
}
