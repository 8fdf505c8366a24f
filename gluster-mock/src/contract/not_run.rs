//! Rows of the research that no case covers, and why.

/// A row that is not run.
#[derive(Clone, Copy, Debug)]
pub struct NotRun {
    /// Where it stands.
    pub row: &'static str,
    /// What it says.
    pub says: &'static str,
    /// Why no case covers it.
    pub reason: &'static str,
}

const fn not_run(row: &'static str, says: &'static str, reason: &'static str) -> NotRun {
    NotRun { row, says, reason }
}

const CRASHES: &str = "ends the process";
const ASYNC: &str = "asynchronous calls are never made";
const UNUSED: &str = "a call that is never made";
const STATISTICAL: &str =
    "seen a few times in hundreds of take-overs; a case must always end alike";
const MINUTES: &str = "takes minutes";

/// All of them.
pub const NOT_RUN: &[NotRun] = &[
    not_run(
        "gfapi §0.1, §2",
        "asynchronous calls in flight over a graph switch break the handle",
        ASYNC,
    ),
    not_run(
        "gfapi §0.6",
        "glfs_init against a hung glusterd had not returned after 140 s",
        MINUTES,
    ),
    not_run(
        "gfapi §0.7",
        "glfs_copy_file_range changes the first copy only",
        UNUSED,
    ),
    not_run(
        "gfapi §1",
        "dlvsym finds GFAPI_6.0, and not 11.0 on 10.3",
        "about the loader, not about a volume",
    ),
    not_run(
        "gfapi §2",
        "on which thread a callback runs, and that errno is set there",
        ASYNC,
    ),
    not_run("gfapi §2", "a callback is suppressed after close", ASYNC),
    not_run(
        "gfapi §2",
        "glfs_preadv_async on a handle whose migration failed",
        CRASHES,
    ),
    not_run(
        "gfapi §2",
        "threads and memory of a glfs_t",
        "a measurement, not a contract",
    ),
    not_run(
        "gfapi §2",
        "st_blksize is garbage on unsharded volumes",
        "garbage cannot be stated",
    ),
    not_run(
        "gfapi §1, §2",
        "O_DSYNC reaches fsync(2) at the brick, not on shards past the first",
        "needs a tracer of the brick's system calls",
    ),
    not_run(
        "gfapi §2",
        "post-op clears trusted.afr.dirty without any fsync",
        "needs a tracer of the brick's system calls",
    ),
    not_run(
        "gfapi §3",
        "no ping at all: ETIMEDOUT after frame-timeout, 1800 s",
        MINUTES,
    ),
    not_run(
        "gfapi §3",
        "split-brain is EIO; EDQUOT and ESTALE are passed through",
        "never reproduced",
    ),
    not_run(
        "gfapi §3",
        "a step of the clock drops connections",
        "would move the clock of the whole machine",
    ),
    not_run(
        "gfapi §4",
        "AFR's lock heal copies past its memory before 10.4",
        "undefined behaviour; healed in every run",
    ),
    not_run(
        "glfs_get_volfile",
        "with more room than it says it lacks it reads its own memory past the text",
        CRASHES,
    ),
    not_run(
        "fencing §2",
        "glfs_file_lock(GLFS_LK_MANDATORY) on arbiter and replica 2",
        CRASHES,
    ),
    not_run(
        "fencing §2",
        "asynchronous writes at depth 64 by the fenced",
        ASYNC,
    ),
    not_run(
        "fencing §3",
        "off or file with enforcement: another's lock waits for the holder's death",
        "not seen here, on neither version: fence.options.* state what is",
    ),
    not_run(
        "fencing §5 (H2)",
        "writes past the check overwrite the new owner's",
        STATISTICAL,
    ),
    not_run(
        "fencing §5",
        "with delays below the locks, and the old owner killed",
        STATISTICAL,
    ),
    not_run(
        "fencing §6",
        "the old owner's host off: 42 s; frozen: for ever",
        "needs a second machine to switch off, and minutes",
    ),
    not_run(
        "fencing §6",
        "clear-locks frees the stalled owner",
        "needs /dev/fuse",
    ),
    not_run(
        "fencing §8",
        "client.strict-locks: a handle is not re-opened after one brick's restart",
        "an option that is never set",
    ),
    not_run(
        "fencing §8 (H3)",
        "refused writes that landed on some bricks after restarts one by one",
        STATISTICAL,
    ),
    not_run(
        "fencing §9",
        "with O_DIRECT and strict-o-direct off write-behind acknowledges fenced writes",
        "strict-o-direct is always on",
    ),
    not_run(
        "fencing §11",
        "take-over when the old owner's process or host dies",
        "needs a second machine",
    ),
    not_run(
        "fencing §11",
        "two nodes silent for 8 s",
        "the same as brick.hang-two, which waits longer",
    ),
    not_run(
        "fencing §12",
        "opening and locking 48 files",
        "a measurement, not a contract",
    ),
    not_run(
        "fencing §13",
        "delay-gen needs a restart of the volume",
        "an administrator's command, not a call",
    ),
];
