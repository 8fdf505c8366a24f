//! What depends on how the volume is made of bricks: room given back and taken, and the map of it.

use glfs_sys::types::{O_DSYNC, SEEK_DATA, SEEK_HOLE, XATTR_CREATE};

use super::case::{Case, Company, Stage, Verdict, a, equal, holds, pattern, refused, same};
use super::ground::{Kind, SHARD_BYTES};
use crate::errno::Errno;

/// One case a kind, all of them with the same body.
macro_rules! each_kind {
    ($($what:literal, $clause:literal, $body:ident;)*) => {
        &[$(
            each_kind!(@ $what, "plain", Kind::Plain, $clause, $body),
            each_kind!(@ $what, "replica3", Kind::Replica3, $clause, $body),
            each_kind!(@ $what, "arbiter", Kind::Arbiter, $clause, $body),
            each_kind!(@ $what, "disperse", Kind::Disperse, $clause, $body),
            each_kind!(@ $what, "sharded", Kind::Sharded, $clause, $body),
        )*]
    };
    (@ $what:literal, $name:literal, $kind:expr, $clause:literal, $body:ident) => {
        Case {
            id: concat!("shape.", $what, ".", $name),
            clause: $clause,
            wish: a($kind),
            company: Company::Shared,
            body: $body,
        }
    };
}

pub(super) const CASES: &[Case] = each_kind! {
    "data", "what is written is read, over the edge of a shard too", data;
    "discard", "gfapi §2 table: discard is done on every kind; zeros, the same size", discard;
    "zerofill", "gfapi §2 table: zerofill is done, EOPNOTSUPP on disperse", zerofill;
    "zerofill-past-end", "gfapi §2 table: zerofill past the end makes the file longer", zerofill_past_end;
    "fallocate", "gfapi §2 table: fallocate with keep_size 0 is done on every kind", fallocate;
    "fallocate-keep", "gfapi §2 table: with keep_size 1 it is EOPNOTSUPP on sharded volumes", fallocate_keep;
    "seek", "gfapi §2 table: SEEK_DATA and SEEK_HOLE, ENXIO at the end; EOPNOTSUPP on sharded", seek;
    "xattr-once", "gfapi §2 table: XATTR_CREATE twice is EEXIST on every kind", xattr_once;
    "durable", "gfapi §1: a write with O_DSYNC, fdatasync and fsync are done on every kind", durable;
};

const LENGTH: usize = 64 << 10;

fn data(stage: &Stage) -> Verdict {
    let file = stage.file("f")?;
    let data = pattern(1, LENGTH);
    let offset = SHARD_BYTES - 1000;
    equal("pwrite", file.pwrite(&data, offset)?, LENGTH)?;
    equal("size", file.size()?, offset + LENGTH as i64)?;
    same("read", &file.pread(LENGTH, offset)?, &data)?;
    // Odd ends within what disperse writes as one.
    file.pwrite(&[7; 3], offset + 1001)?;
    same("before", &file.pread(1001, offset)?, &data[..1001])?;
    same("after", &file.pread(100, offset + 1004)?, &data[1004..1104])
}

fn discard(stage: &Stage) -> Verdict {
    let data = pattern(2, LENGTH);
    let file = stage.filled("f", &data)?;
    file.discard(8192, 16384)?;
    equal("size", file.size()?, LENGTH as i64)?;
    let read = file.pread(LENGTH, 0)?;
    same("before", &read[..8192], &data[..8192])?;
    same("in it", &read[8192..24576], &[0; 16384])?;
    same("after", &read[24576..], &data[24576..])
}

fn zerofill(stage: &Stage) -> Verdict {
    let data = pattern(3, LENGTH);
    let file = stage.filled("f", &data)?;
    let answer = file.zerofill(8192, 16384);
    if stage.kind() == Kind::Disperse {
        return refused("zerofill", answer, Errno::EOPNOTSUPP);
    }
    answer?;
    let read = file.pread(LENGTH, 0)?;
    same("before", &read[..8192], &data[..8192])?;
    same("in it", &read[8192..24576], &[0; 16384])?;
    same("after", &read[24576..], &data[24576..])
}

fn zerofill_past_end(stage: &Stage) -> Verdict {
    let file = stage.filled("f", &pattern(3, 4096))?;
    let answer = file.zerofill(8192, 4096);
    if stage.kind() == Kind::Disperse {
        return refused("zerofill", answer, Errno::EOPNOTSUPP);
    }
    answer?;
    equal("size", file.size()?, 12288)
}

fn fallocate(stage: &Stage) -> Verdict {
    let file = stage.filled("f", &pattern(4, 4096))?;
    file.fallocate(false, 4096, 1 << 20)?;
    equal("size", file.size()?, 4096 + (1 << 20))?;
    same("kept", &file.pread(4096, 0)?, &pattern(4, 4096))?;
    same("new", &file.pread(4096, 4096)?, &[0; 4096])
}

fn fallocate_keep(stage: &Stage) -> Verdict {
    let file = stage.filled("f", &pattern(4, 4096))?;
    let answer = file.fallocate(true, 4096, 1 << 20);
    if stage.kind() == Kind::Sharded {
        return refused("fallocate", answer, Errno::EOPNOTSUPP);
    }
    answer?;
    equal("size", file.size()?, 4096)
}

fn seek(stage: &Stage) -> Verdict {
    let file = stage.file("f")?;
    let (begin, end) = (1 << 20, (1 << 20) + LENGTH as i64);
    file.pwrite(&pattern(5, LENGTH), begin)?;
    file.truncate(4 << 20)?;
    let data = file.seek(0, SEEK_DATA);
    if stage.kind() == Kind::Sharded {
        refused("SEEK_DATA", data, Errno::EOPNOTSUPP)?;
        return refused("SEEK_HOLE", file.seek(0, SEEK_HOLE), Errno::EOPNOTSUPP);
    }
    equal("SEEK_DATA", data?, begin)?;
    equal("SEEK_HOLE", file.seek(begin, SEEK_HOLE)?, end)?;
    refused("no more data", file.seek(end, SEEK_DATA), Errno::ENXIO)?;
    refused("at the end", file.seek(4 << 20, SEEK_DATA), Errno::ENXIO)?;
    refused("at the end", file.seek(4 << 20, SEEK_HOLE), Errno::ENXIO)
}

fn xattr_once(stage: &Stage) -> Verdict {
    let file = stage.file("f")?;
    file.setxattr("user.epoch", b"one", XATTR_CREATE)?;
    let again = file.setxattr("user.epoch", b"two", XATTR_CREATE);
    refused("again", again, Errno::EEXIST)
}

fn durable(stage: &Stage) -> Verdict {
    let file = stage.file("f")?;
    equal(
        "O_DSYNC",
        file.pwritev(&[&pattern(1, 4096)], 0, O_DSYNC)?,
        4096,
    )?;
    file.pwrite(&pattern(2, 4096), SHARD_BYTES * 2)?;
    file.fdatasync()?;
    file.fsync()?;
    holds("it can be closed", file.close().is_ok())
}
