//! One file: opened, read, written, cut and closed, on a volume of three copies with everything off
//! that caches at the client.

use glfs_sys::types::{
    GLFS_STAT_BASIC_STATS, GLFS_STAT_SIZE, O_DSYNC, O_EXCL, O_RDONLY, O_RDWR, O_SYNC, SEEK_END,
    SEEK_SET,
};

use super::case::{
    self, Case, Company, Fault, Stage, Verdict, a, equal, holds, pattern, refused, same,
};
use super::ground::{Kind, Wish};
use crate::errno::Errno;

/// Open for writing only (fcntl.h).
const O_WRONLY: i32 = 1;

const fn case(id: &'static str, clause: &'static str, body: fn(&Stage) -> Verdict) -> Case {
    on(a(Kind::Replica3), id, clause, body)
}

const fn on(
    wish: Wish,
    id: &'static str,
    clause: &'static str,
    body: fn(&Stage) -> Verdict,
) -> Case {
    case::case(Company::Shared, wish, id, clause, body)
}

pub(super) const CASES: &[Case] = &[
    case(
        "open.absent",
        "gfapi §6 Calls: open of an absent file is ENOENT",
        |stage| {
            refused(
                "open",
                stage.mount().open(&stage.path("none"), O_RDWR),
                Errno::ENOENT,
            )
        },
    ),
    case(
        "open.folder-rdwr",
        "gfapi §6 Calls: a folder opened for writing is EISDIR",
        |stage| {
            let mount = stage.mount();
            mount.mkdir(&stage.path("d"))?;
            refused("open", mount.open(&stage.path("d"), O_RDWR), Errno::EISDIR)
        },
    ),
    case(
        "open.folder-rdonly",
        "gfapi §1: from 10 on a folder may be opened read-only; a read of it is then EISDIR",
        |stage| {
            let mount = stage.mount();
            mount.mkdir(&stage.path("d"))?;
            let folder = mount.open(&stage.path("d"), O_RDONLY)?;
            refused("pread", folder.pread(512, 0), Errno::EISDIR)
        },
    ),
    case(
        "open.through-file",
        "a path through a file is ENOTDIR",
        |stage| {
            stage.file("f")?;
            let path = stage.path("f/x");
            refused("open", stage.mount().open(&path, O_RDWR), Errno::ENOTDIR)
        },
    ),
    case(
        "creat.exclusive",
        "gfapi §6 Calls: creat with O_EXCL of what is there is EEXIST",
        |stage| {
            stage.filled("f", b"kept")?;
            let again = stage.mount().create(&stage.path("f"), O_RDWR | O_EXCL);
            refused("creat", again, Errno::EEXIST)
        },
    ),
    case(
        "creat.existing",
        "creat without O_EXCL opens what is there and keeps it",
        |stage| {
            stage.filled("f", b"kept")?;
            let again = stage.mount().create(&stage.path("f"), O_RDWR)?;
            same("what it reads", &again.pread(16, 0)?, b"kept")
        },
    ),
    case(
        "creat.no-folder",
        "creat in an absent folder is ENOENT",
        |stage| {
            let path = stage.path("none/f");
            refused("creat", stage.mount().create(&path, O_RDWR), Errno::ENOENT)
        },
    ),
    case(
        "read.empty",
        "gfapi §2 Limits: at the end of file a read gives 0",
        |stage| same("read", &stage.file("f")?.pread(512, 0)?, b""),
    ),
    case(
        "read.past-end",
        "gfapi §2 Limits: a read past the end gives 0",
        |stage| {
            let file = stage.filled("f", &pattern(1, 1000))?;
            same("read", &file.pread(512, 1 << 20)?, b"")
        },
    ),
    case(
        "read.short",
        "gfapi §2 Limits: a read over the end is short",
        |stage| {
            let data = pattern(1, 1000);
            let file = stage.filled("f", &data)?;
            same("read", &file.pread(4096, 512)?, &data[512..])?;
            let (got, pieces) = file.preadv(&[300, 1000], 512)?;
            equal("preadv", got, 488)?;
            same("first piece", &pieces[0], &data[512..812])?;
            same("second piece", &pieces[1][..188], &data[812..])
        },
    ),
    case(
        "read.nothing",
        "gfapi §2 Limits: a read of no bytes is EINVAL",
        |stage| {
            let file = stage.filled("f", &pattern(1, 1000))?;
            refused("pread", file.pread(0, 0), Errno::EINVAL)
        },
    ),
    case(
        "write.nothing",
        "a write of no bytes is 0 and changes nothing",
        |stage| {
            let file = stage.filled("f", &pattern(1, 1000))?;
            equal("pwrite", file.pwrite(&[], 4096)?, 0)?;
            equal("size", file.size()?, 1000)
        },
    ),
    case(
        "read.negative",
        "a read at a negative offset is EINVAL",
        |stage| {
            let file = stage.filled("f", &pattern(1, 1000))?;
            refused("pread", file.pread(10, -1), Errno::EINVAL)
        },
    ),
    case(
        "write.negative",
        "a write at a negative offset is EINVAL",
        |stage| refused("pwrite", stage.file("f")?.pwrite(&[1], -1), Errno::EINVAL),
    ),
    case(
        "write.extends",
        "gfapi §6 Calls: a write past the end makes the file longer",
        |stage| {
            let file = stage.filled("f", &pattern(1, 100))?;
            equal("pwrite", file.pwrite(&pattern(2, 4096), 100)?, 4096)?;
            equal("size", file.size()?, 4196)?;
            same("read", &file.pread(4096, 100)?, &pattern(2, 4096))
        },
    ),
    case(
        "write.hole",
        "a file has zeros where nothing was written",
        |stage| {
            let file = stage.file("f")?;
            file.pwrite(&pattern(3, 512), 1 << 20)?;
            same("read", &file.pread(4096, 65536)?, &[0; 4096])?;
            let found = file.stat()?;
            holds("the hole has no room", found.st_blocks * 512 < 1 << 19)
        },
    ),
    case(
        "write.scattered",
        "pieces are written one after the other, and read so",
        |stage| {
            let file = stage.file("f")?;
            let data = pattern(4, 6000);
            let pieces = [&data[..1], &data[1..512], &data[512..6000]];
            equal("pwritev", file.pwritev(&pieces, 77, 0)?, 6000)?;
            let (got, pieces) = file.preadv(&[4096, 1904], 77)?;
            equal("preadv", got, 6000)?;
            same("read", &pieces.concat(), &data)
        },
    ),
    case(
        "write.mebibytes",
        "a write of 4 MiB is taken whole",
        |stage| {
            let file = stage.file("f")?;
            let data = pattern(5, 4 << 20);
            equal("pwrite", file.pwrite(&data, 0)?, data.len())?;
            same("read", &file.pread(data.len(), 0)?, &data)
        },
    ),
    case(
        "write.gibibyte",
        "gfapi §2 Limits: a write of 1 GiB or more is EINVAL",
        |stage| {
            // Zeros that nobody touches take no memory.
            let data = vec![0_u8; 1 << 30];
            refused(
                "pwritev",
                stage.file("f")?.pwritev(&[&data], 0, 0),
                Errno::EINVAL,
            )
        },
    ),
    case(
        "write.readonly-handle",
        "a write through a read-only handle is EBADF",
        |stage| {
            stage.filled("f", b"data")?;
            let file = stage.mount().open(&stage.path("f"), O_RDONLY)?;
            refused("pwrite", file.pwrite(b"x", 0), Errno::EBADF)
        },
    ),
    case(
        "read.writeonly-handle",
        "a read through a write-only handle is EBADF",
        |stage| {
            stage.filled("f", b"data")?;
            let file = stage.mount().open(&stage.path("f"), O_WRONLY)?;
            refused("pread", file.pread(4, 0), Errno::EBADF)
        },
    ),
    case(
        "write.state",
        "gfapi §2 Limits: an unsharded write tells the state it left",
        |stage| {
            let (_, after) = stage.file("f")?.pwrite_with(&[1; 700], 0, 0)?;
            equal(
                "mask",
                after.glfs_st_mask & GLFS_STAT_BASIC_STATS,
                GLFS_STAT_BASIC_STATS,
            )?;
            equal("size", after.glfs_st_size, 700)
        },
    ),
    on(
        a(Kind::Sharded),
        "write.state-sharded",
        "gfapi §2 Limits: the state is empty (mask 0) for everything on sharded volumes",
        |stage| {
            let (_, after) = stage.file("f")?.pwrite_with(&[1; 700], 0, 0)?;
            equal("mask", after.glfs_st_mask & GLFS_STAT_SIZE, 0)
        },
    ),
    case(
        "write.flags",
        "gfapi §1: O_SYNC and O_DSYNC may be given to a single write",
        |stage| {
            let file = stage.file("f")?;
            equal(
                "O_DSYNC",
                file.pwritev(&[&pattern(1, 512)], 0, O_DSYNC)?,
                512,
            )?;
            equal(
                "O_SYNC",
                file.pwritev(&[&pattern(2, 512)], 512, O_SYNC)?,
                512,
            )?;
            same("read", &file.pread(512, 512)?, &pattern(2, 512))
        },
    ),
    case(
        "truncate.shorter",
        "what is cut off is gone, also after the file grew again",
        |stage| {
            let file = stage.filled("f", &pattern(6, 8192))?;
            file.truncate(1000)?;
            equal("size", file.size()?, 1000)?;
            file.truncate(8192)?;
            let read = file.pread(8192, 0)?;
            same("kept", &read[..1000], &pattern(6, 8192)[..1000])?;
            same("gone", &read[1000..], &[0; 7192])
        },
    ),
    case(
        "truncate.negative",
        "a negative length is EINVAL",
        |stage| refused("ftruncate", stage.file("f")?.truncate(-1), Errno::EINVAL),
    ),
    case(
        "truncate.terabyte",
        "a file of 1 TiB takes no room",
        |stage| {
            let file = stage.file("f")?;
            file.truncate(1 << 40)?;
            equal("size", file.size()?, 1 << 40)?;
            holds("no room", file.stat()?.st_blocks < 1024)?;
            same("read", &file.pread(512, (1 << 40) - 512)?, &[0; 512])
        },
    ),
    case(
        "seek.set-and-end",
        "lseek knows SEEK_SET and SEEK_END",
        |stage| {
            let file = stage.filled("f", &pattern(1, 1000))?;
            equal("SEEK_SET", file.seek(10, SEEK_SET)?, 10)?;
            equal("SEEK_END", file.seek(0, SEEK_END)?, 1000)
        },
    ),
    case(
        "handles.two",
        "what one handle wrote another reads",
        |stage| {
            let file = stage.filled("f", &pattern(1, 1000))?;
            let other = stage.mount().open(&stage.path("f"), O_RDWR)?;
            other.pwrite(&pattern(9, 10), 0)?;
            same("read", &file.pread(10, 0)?, &pattern(9, 10))?;
            other.close()?;
            same("read", &file.pread(10, 0)?, &pattern(9, 10))
        },
    ),
    case(
        "handles.clients",
        "what one client wrote another reads, and sees the size",
        |stage| {
            let file = stage.filled("f", &pattern(1, 1000))?;
            let other = stage.client(&[])?.open(&stage.path("f"), O_RDWR)?;
            same("read", &other.pread(1000, 0)?, &pattern(1, 1000))?;
            other.pwrite(&pattern(9, 10), 2000)?;
            equal("size", file.size()?, 2010)
        },
    ),
    case(
        "handles.dup",
        "a duplicate works after the first is closed",
        |stage| {
            let file = stage.filled("f", &pattern(1, 1000))?;
            let twin = file.dup()?;
            file.close()?;
            same("read", &twin.pread(10, 0)?, &pattern(1, 10))
        },
    ),
    case(
        "volume.id",
        "gfapi §1: glfs_get_volumeid gives the 16 bytes every client gets",
        |stage| {
            let id = stage.mount().volume_id(16)?;
            equal("length", id.len(), 16)?;
            equal("another client", stage.client(&[])?.volume_id(16)?, id)
        },
    ),
    case(
        "volume.room",
        "statvfs tells the room of the volume",
        |stage| {
            let room = stage.mount().statvfs()?;
            holds("there is room", room.f_blocks > 0 && room.f_bavail > 0)?;
            holds("blocks have a size", room.f_frsize >= 512)
        },
    ),
    case(
        "volume.description",
        "glfs_get_volfile tells, as a negative number, what it lacks; with room enough it gives the text",
        |stage| {
            let mount = stage.mount();
            holds("it tells what it lacks", mount.volfile_lacks() < 0)?;
            let text = mount.volfile()?;
            let protocol = text.matches("type protocol/client").count();
            equal("clients in it", protocol, stage.kind().bricks())
        },
    ),
    case(
        "option.any",
        "gfapi §6 Lifecycle: glfs_set_xlator_option takes any key and gives 0",
        |stage| match stage.client(&[("*-nonsense", "no-such-key", "maybe")]) {
            Ok(_) => Ok(()),
            Err(refusal) => Err(Fault::from(refusal)),
        },
    ),
];
