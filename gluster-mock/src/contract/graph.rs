//! A client's translators exchanged under it, and many callers at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use glfs_sys::types::O_RDWR;

use super::case::{
    Case, Company, Fault, Stage, Verdict, a, case, equal, holds, pattern, refused, same, timed,
    took, with,
};
use super::client::{Handle, Mount};
use super::ground::Kind;
use crate::errno::Errno;

/// From a client that has been told to one whose new translators have found the bricks.
const SETTLED: Duration = Duration::from_secs(3);
/// From `volume set` to a client that has been told.
const TOLD_LIMIT: Duration = Duration::from_secs(40);

pub(super) const CASES: &[Case] = &[
    case(
        Company::Own,
        a(Kind::Replica3),
        "graph.switch.replica3",
        "gfapi §3: a translator is switched on and off: handles move over, no synchronous call fails",
        |stage| switched(stage, "performance.io-cache", "io-cache"),
    ),
    case(
        Company::Own,
        a(Kind::Plain),
        "graph.switch.plain",
        "gfapi §3: a translator is switched on and off: handles move over, no synchronous call fails",
        |stage| switched(stage, "performance.io-cache", "io-cache"),
    ),
    case(
        Company::Own,
        a(Kind::Disperse),
        "graph.switch.disperse",
        "gfapi §3: a translator is switched on and off: handles move over, no synchronous call fails",
        |stage| switched(stage, "performance.io-cache", "io-cache"),
    ),
    case(
        Company::Own,
        with(Kind::Replica3, &[("performance.write-behind", "on")]),
        "graph.reconfigure",
        "gfapi §3: only a value changes: no switch, no call fails, and the description tells it",
        |stage| {
            let file = stage.filled("f", &pattern(1, 4096))?;
            stage
                .volume()
                .set("performance.write-behind-window-size", "2MB")?;
            told(&stage.mount(), "option cache-size 2MB", true)?;
            file.pwrite(&pattern(2, 4096), 0)?;
            file.fsync()?;
            same("read", &file.pread(4096, 0)?, &pattern(2, 4096))
        },
    ),
    case(
        Company::Own,
        with(Kind::Plain, &[("performance.write-behind", "on")]),
        "graph.bypass-stays",
        "gfapi §0.3: pass-through of write-behind survives a switch: a dead brick's write still fails",
        |stage| {
            let mount = stage.client(&[("*-write-behind", "pass-through", "true")])?;
            let file = mount.create(&stage.path("f"), O_RDWR)?;
            file.pwrite(&pattern(1, 4096), 0)?;
            switch(stage, &mount)?;
            file.pwrite(&pattern(2, 4096), 0)?;
            stage.volume().kill_brick(0)?;
            thread::sleep(Duration::from_secs(1));
            refused("pwrite", file.pwrite(&[3; 4096], 0), Errno::ENOTCONN)
        },
    ),
    case(
        Company::Own,
        a(Kind::Replica3),
        "graph.vanished.replica3",
        "gfapi §3: the file has no name when its handle should move over: EBADFD on every call",
        vanished,
    ),
    case(
        Company::Own,
        a(Kind::Plain),
        "graph.vanished.plain",
        "gfapi §3: the file has no name when its handle should move over: EBADFD on every call",
        vanished,
    ),
    case(
        Company::Shared,
        a(Kind::Replica3),
        "many.blocks",
        "eight threads, each with blocks of its own of one handle: each reads what it wrote",
        |stage| {
            let file = stage.file("f")?;
            let ends: Vec<Verdict> = thread::scope(|scope| {
                let file = &file;
                let threads: Vec<_> = (0..8_u8)
                    .map(|number| scope.spawn(move || own_blocks(file, number, 40)))
                    .collect();
                let ends = threads
                    .into_iter()
                    .map(|each| each.join().expect("it ends"));
                ends.collect()
            });
            ends.into_iter().collect()
        },
    ),
    case(
        Company::Shared,
        a(Kind::Replica3),
        "many.one-block",
        "writes of one block by many clients: it is one of them whole, the same on every copy",
        |stage| {
            let path = stage.path("f");
            stage.filled("f", &[0; 65536])?;
            let clients = (0..3).map(|_| stage.client(&[])?.open(&path, O_RDWR));
            let clients = clients.collect::<Result<Vec<Handle>, _>>()?;
            thread::scope(|scope| {
                for (number, file) in clients.iter().enumerate() {
                    scope.spawn(move || {
                        for _ in 0..2 {
                            file.pwrite(&[number as u8 + 1; 65536], 0).ok();
                        }
                    });
                }
            });
            clients[0].fsync()?;
            let last = clients[0].pread(65536, 0)?;
            holds(
                "one of the writes whole",
                last.iter().all(|byte| *byte == last[0]),
            )?;
            holds("not what was there before", last[0] != 0)?;
            for brick in 0..3 {
                same("brick", &stage.volume().brick_file(brick, &path)?, &last)?;
            }
            Ok(())
        },
    ),
    case(
        Company::Shared,
        a(Kind::Replica3),
        "handover.eager-lock",
        "gfapi §0.4: two clients write in turn: the second waits a second for the first's lock",
        |stage| {
            let first = stage.filled("f", &pattern(1, 4096))?;
            let second = stage.client(&[])?.open(&stage.path("f"), O_RDWR)?;
            first.pwrite(&pattern(2, 4096), 0)?;
            let (put, time) = timed(|| second.pwrite(&pattern(3, 4096), 0));
            put?;
            took("the second", time, 500..4_000)?;
            let (put, time) = timed(|| first.pwrite(&pattern(4, 4096), 0));
            put?;
            took("the first again", time, 500..4_000)
        },
    ),
    case(
        Company::Shared,
        with(Kind::Replica3, &[("cluster.post-op-delay-secs", "0")]),
        "handover.no-delay",
        "gfapi §0.4: with cluster.post-op-delay-secs 0 two clients write in turn without waiting",
        |stage| {
            let first = stage.filled("f", &pattern(1, 4096))?;
            let second = stage.client(&[])?.open(&stage.path("f"), O_RDWR)?;
            first.pwrite(&pattern(2, 4096), 0)?;
            let (put, time) = timed(|| second.pwrite(&pattern(3, 4096), 0));
            put?;
            took("the second", time, ..500)
        },
    ),
    case(
        Company::Shared,
        a(Kind::Disperse),
        "handover.disperse",
        "gfapi §0.4: on disperse two clients write in turn without waiting a second",
        |stage| {
            let first = stage.filled("f", &pattern(1, 4096))?;
            let second = stage.client(&[])?.open(&stage.path("f"), O_RDWR)?;
            first.pwrite(&pattern(2, 4096), 0)?;
            let (put, time) = timed(|| second.pwrite(&pattern(3, 4096), 0));
            put?;
            took("the second", time, ..500)
        },
    ),
];

/// Switches io-cache on; back when that client's new translators have had the time to take over,
/// which its next call does.
pub(super) fn switch(stage: &Stage, mount: &Mount) -> Verdict {
    stage.volume().set("performance.io-cache", "on")?;
    told(mount, "type performance/io-cache", true)?;
    thread::sleep(SETTLED);
    Ok(())
}

fn vanished(stage: &Stage) -> Verdict {
    let file = stage.filled("f", &pattern(1, 4096))?;
    stage.client(&[])?.unlink(&stage.path("f"))?;
    equal("before", file.pwrite(&pattern(2, 4096), 0)?, 4096)?;
    switch(stage, &stage.mount())?;
    // Until the new translators take over, the old ones go on.
    let deadline = std::time::Instant::now() + TOLD_LIMIT;
    while file.pwrite(&[2; 4096], 0).is_ok() && std::time::Instant::now() < deadline {
        thread::sleep(Duration::from_millis(100));
    }
    refused("pwrite", file.pwrite(&[2; 4096], 0), Errno::EBADFD)?;
    refused("pread", file.pread(4096, 0), Errno::EBADFD)?;
    refused("fsync", file.fsync(), Errno::EBADFD)?;
    refused("fdatasync", file.fdatasync(), Errno::EBADFD)?;
    refused("discard", file.discard(0, 4096), Errno::EBADFD)?;
    refused("fstat", file.stat(), Errno::EBADFD)
}

/// Waits until the client's description has that text in it, or no more.
fn told(mount: &Mount, text: &str, there: bool) -> Verdict {
    let deadline = std::time::Instant::now() + TOLD_LIMIT;
    while mount.volfile().map(|told| told.contains(text)) != Ok(there) {
        if std::time::Instant::now() > deadline {
            return Err(Fault::Seen(format!(
                "{text}: not told within {TOLD_LIMIT:?}"
            )));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Writes and reads back blocks that no other number has.
fn own_blocks(file: &Handle, number: u8, rounds: u8) -> Verdict {
    for round in 0..rounds {
        let offset = (i64::from(round % 8) * 8 + i64::from(number)) * 4096;
        let data = pattern(number.wrapping_mul(31).wrapping_add(round), 4096);
        equal("pwrite", file.pwrite(&data, offset)?, 4096)?;
        same("read", &file.pread(4096, offset)?, &data)?;
    }
    Ok(())
}

/// Four threads write and read while the translator comes and goes.
fn switched(stage: &Stage, option: &str, translator: &str) -> Verdict {
    let file = stage.file("f")?;
    let mount = stage.mount();
    let over = AtomicBool::new(false);
    let mut ends: Vec<Verdict> = Vec::new();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..4_u8)
            .map(|number| {
                let (file, over) = (&file, &over);
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        own_blocks(file, number, 8)?;
                        file.fdatasync()?;
                    }
                    Ok(())
                })
            })
            .collect();
        let toggles = || -> Verdict {
            for (value, there) in [("on", true), ("off", false)] {
                stage.volume().set(option, value)?;
                told(&mount, &format!("type performance/{translator}"), there)?;
                thread::sleep(SETTLED);
            }
            Ok(())
        };
        ends.push(toggles());
        over.store(true, Ordering::Relaxed);
        ends.extend(
            threads
                .into_iter()
                .map(|each| each.join().expect("it ends")),
        );
    });
    ends.into_iter().collect()
}
