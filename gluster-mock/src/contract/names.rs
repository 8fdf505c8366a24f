//! Names and extended attributes.

use glfs_sys::types::{O_RDWR, XATTR_CREATE, XATTR_REPLACE};

use super::case::{Case, Company, Stage, Verdict, a, equal, holds, pattern, refused, same};
use super::ground::Kind;
use crate::errno::Errno;

const fn case(id: &'static str, clause: &'static str, body: fn(&Stage) -> Verdict) -> Case {
    Case {
        id,
        clause,
        wish: a(Kind::Replica3),
        company: Company::Shared,
        body,
    }
}

pub(super) const CASES: &[Case] = &[
    case(
        "name.absent",
        "lstat, unlink, rename and opendir of what is not there are ENOENT",
        |stage| {
            let (mount, none) = (stage.mount(), stage.path("none"));
            refused("lstat", mount.lstat(&none), Errno::ENOENT)?;
            refused("unlink", mount.unlink(&none), Errno::ENOENT)?;
            refused(
                "rename",
                mount.rename(&none, &stage.path("new")),
                Errno::ENOENT,
            )?;
            refused("opendir", mount.list(&none), Errno::ENOENT)
        },
    ),
    case(
        "name.rename-over",
        "a rename replaces what had the name",
        |stage| {
            let mount = stage.mount();
            stage.filled("a", b"new")?;
            stage.filled("b", b"old")?;
            mount.rename(&stage.path("a"), &stage.path("b"))?;
            let file = mount.open(&stage.path("b"), O_RDWR)?;
            same("read", &file.pread(16, 0)?, b"new")?;
            refused("lstat", mount.lstat(&stage.path("a")), Errno::ENOENT)
        },
    ),
    case(
        "name.rename-open",
        "an open file goes on under its new name",
        |stage| {
            let mount = stage.mount();
            let file = stage.filled("a", b"before")?;
            mount.rename(&stage.path("a"), &stage.path("b"))?;
            file.pwrite(b"after!", 0)?;
            let again = mount.open(&stage.path("b"), O_RDWR)?;
            same("read", &again.pread(16, 0)?, b"after!")
        },
    ),
    case(
        "name.unlink-open",
        "an open file goes on without a name",
        |stage| {
            let file = stage.filled("f", b"data")?;
            stage.mount().unlink(&stage.path("f"))?;
            file.pwrite(b"more", 4)?;
            same("read", &file.pread(16, 0)?, b"datamore")?;
            file.fdatasync()?;
            equal("size", file.size()?, 8)
        },
    ),
    case(
        "name.link",
        "link gives a second name, and EEXIST for a third of the same",
        |stage| {
            let mount = stage.mount();
            stage.filled("a", b"data")?;
            mount.link(&stage.path("a"), &stage.path("b"))?;
            equal("links", mount.lstat(&stage.path("b"))?.st_nlink, 2)?;
            let again = mount.link(&stage.path("a"), &stage.path("b"));
            refused("link", again, Errno::EEXIST)
        },
    ),
    case(
        "name.number",
        "a file keeps its number over a rename, and every client sees it",
        |stage| {
            let mount = stage.mount();
            let number = stage.file("a")?.stat()?.st_ino;
            mount.rename(&stage.path("a"), &stage.path("b"))?;
            equal(
                "after the rename",
                mount.lstat(&stage.path("b"))?.st_ino,
                number,
            )?;
            equal(
                "elsewhere",
                stage.client(&[])?.lstat(&stage.path("b"))?.st_ino,
                number,
            )
        },
    ),
    case(
        "folder.exists",
        "mkdir of what is there is EEXIST",
        |stage| {
            let mount = stage.mount();
            mount.mkdir(&stage.path("d"))?;
            refused("mkdir", mount.mkdir(&stage.path("d")), Errno::EEXIST)
        },
    ),
    case(
        "folder.filled",
        "rmdir of a folder with something in it is ENOTEMPTY",
        |stage| {
            let mount = stage.mount();
            mount.mkdir(&stage.path("d"))?;
            mount.create(&stage.path("d/f"), O_RDWR)?;
            refused("rmdir", mount.rmdir(&stage.path("d")), Errno::ENOTEMPTY)?;
            mount.unlink(&stage.path("d/f"))?;
            Ok(mount.rmdir(&stage.path("d"))?)
        },
    ),
    case(
        "folder.list",
        "readdir gives every entry once, and the two dots",
        |stage| {
            let mount = stage.mount();
            mount.mkdir(&stage.path("d"))?;
            let names: Vec<String> = (100..260).map(|number| format!("f{number}")).collect();
            for name in &names {
                mount
                    .create(&stage.path(&format!("d/{name}")), O_RDWR)?
                    .close()?;
            }
            let found = mount.list(&stage.path("d"))?;
            let dots = [".".to_owned(), "..".to_owned()];
            let stated = [&dots[..], &names[..]].concat();
            equal("entries", found.len(), stated.len())?;
            holds("every name is there once", found == stated)
        },
    ),
    case(
        "xattr.create-once",
        "gfapi §2 table: XATTR_CREATE of what is there is EEXIST",
        |stage| {
            let file = stage.file("f")?;
            file.setxattr("user.epoch", b"one", XATTR_CREATE)?;
            refused(
                "again",
                file.setxattr("user.epoch", b"two", XATTR_CREATE),
                Errno::EEXIST,
            )?;
            same("value", &file.getxattr("user.epoch", 16)?.1, b"one")
        },
    ),
    case(
        "xattr.replace",
        "XATTR_REPLACE of what is not there is ENODATA",
        |stage| {
            let file = stage.file("f")?;
            let absent = file.setxattr("user.epoch", b"one", XATTR_REPLACE);
            refused("absent", absent, Errno::ENODATA)?;
            file.setxattr("user.epoch", b"one", 0)?;
            file.setxattr("user.epoch", b"two", XATTR_REPLACE)?;
            same("value", &file.getxattr("user.epoch", 16)?.1, b"two")
        },
    ),
    case(
        "xattr.absent",
        "an attribute that is not there is ENODATA",
        |stage| {
            let file = stage.file("f")?;
            refused("get", file.getxattr("user.none", 16), Errno::ENODATA)?;
            refused("remove", file.removexattr("user.none"), Errno::ENODATA)
        },
    ),
    case(
        "xattr.room",
        "no room asks for the length, too little is ERANGE",
        |stage| {
            let file = stage.file("f")?;
            file.setxattr("user.long", &pattern(1, 100), 0)?;
            equal("length", file.getxattr("user.long", 0)?.0, 100)?;
            refused("too little", file.getxattr("user.long", 10), Errno::ERANGE)
        },
    ),
    case(
        "xattr.race",
        "gfapi §4 Others: of many that create one attribute, one wins",
        |stage| {
            let file = stage.file("f")?;
            let clients = (0..4).map(|_| stage.client(&[])?.open(&stage.path("f"), O_RDWR));
            let clients = clients.collect::<Result<Vec<_>, _>>()?;
            let wins = std::thread::scope(|scope| {
                let racers: Vec<_> = clients
                    .iter()
                    .enumerate()
                    .map(|(number, client)| {
                        let value = [number as u8];
                        scope.spawn(move || client.setxattr("user.owner", &value, XATTR_CREATE))
                    })
                    .collect();
                let ends = racers
                    .into_iter()
                    .map(|racer| racer.join().expect("a racer ends"));
                ends.collect::<Vec<_>>()
            });
            equal("winners", wins.iter().filter(|end| end.is_ok()).count(), 1)?;
            for lost in wins.iter().filter(|end| end.is_err()) {
                refused("loser", lost.clone(), Errno::EEXIST)?;
            }
            let winner = wins.iter().position(Result::is_ok).unwrap_or(9) as u8;
            same("value", &file.getxattr("user.owner", 16)?.1, &[winner])
        },
    ),
    case(
        "xattr.by-path",
        "an attribute set by handle is found by path, elsewhere too",
        |stage| {
            stage
                .file("f")?
                .setxattr("trusted.glint.test", b"value", 0)?;
            let other = stage.client(&[])?;
            let (_, value) = other.getxattr(&stage.path("f"), "trusted.glint.test", 64)?;
            same("value", &value, b"value")
        },
    ),
    case(
        "xattr.pathinfo",
        "trusted.glusterfs.pathinfo names every brick that holds the file",
        |stage| {
            stage.file("f")?;
            let name = "trusted.glusterfs.pathinfo";
            let (_, value) = stage.mount().getxattr(&stage.path("f"), name, 16 << 10)?;
            let text = String::from_utf8_lossy(&value).into_owned();
            let bricks = text.matches("<POSIX(").count();
            holds(&format!("three bricks in {text}"), bricks == 3)
        },
    ),
];
