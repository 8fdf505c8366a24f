//! How a client begins and ends.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::case::{
    Case, Company, Fault, Stage, Verdict, a, case, equal, eventually, holds, pattern, refused,
    same, timed, took,
};
use super::client::{Address, Mount};
use super::ground::Kind;
use crate::errno::Errno;

/// A port nobody listens on.
const DEAD_PORT: u16 = 1;

pub(super) const CASES: &[Case] = &[
    case(
        Company::Shared,
        a(Kind::Replica3),
        "init.no-volume",
        "gfapi §3: glfs_init for a volume that is not there is ENOENT, at once",
        |stage| {
            let address = Address {
                servers: &[stage.volume().server()],
                volume: "no-such-volume",
                options: &[],
            };
            let (answer, time) = timed(|| Mount::connect(stage.api, &address));
            let errno = match stage.differs() {
                true => Errno::ENOMEM,
                false => Errno::ENOENT,
            };
            refused("glfs_init", answer, errno)?;
            took("it does not wait", time, ..3_000)
        },
    ),
    case(
        Company::Shared,
        a(Kind::Replica3),
        "init.refused",
        "gfapi §3: glfs_init where no server listens is ENOTCONN, at once",
        |stage| {
            let (host, _) = stage.volume().server();
            let address = Address {
                servers: &[(host, DEAD_PORT)],
                volume: stage.volume().name(),
                options: &[],
            };
            let (answer, time) = timed(|| Mount::connect(stage.api, &address));
            refused("glfs_init", answer, Errno::ENOTCONN)?;
            took("it does not wait", time, ..3_000)
        },
    ),
    case(
        Company::Shared,
        a(Kind::Replica3),
        "init.second-server",
        "gfapi §3: the first of two servers is dead: done, after three seconds",
        |stage| {
            let (host, port) = stage.volume().server();
            let address = Address {
                servers: &[(host, DEAD_PORT), (host, port)],
                volume: stage.volume().name(),
                options: &[],
            };
            let (answer, time) = timed(|| Mount::connect(stage.api, &address));
            answer?;
            took("it waits", time, 1_000..10_000)
        },
    ),
    case(
        Company::Own,
        a(Kind::Plain),
        "init.bricks-down.plain",
        "gfapi §3: glfs_init with all bricks down is EIO",
        |stage| without(stage, &[0], Some(Errno::EIO)),
    ),
    case(
        Company::Own,
        a(Kind::Replica3),
        "init.bricks-down.replica3",
        "gfapi §3: glfs_init with all bricks down is EIO",
        |stage| without(stage, &[0, 1, 2], Some(Errno::EIO)),
    ),
    case(
        Company::Own,
        a(Kind::Replica3),
        "init.quorum-lost",
        "gfapi §6 Lifecycle: glfs_init succeeds only with quorum; it is EIO without",
        |stage| without(stage, &[0, 1], Some(Errno::EIO)),
    ),
    case(
        Company::Own,
        a(Kind::Replica3),
        "init.one-down",
        "glfs_init with one of three bricks dead is done at once (ten seconds, fencing §11, are for a node)",
        |stage| without(stage, &[0], None),
    ),
    case(
        Company::Own,
        a(Kind::Plain),
        "init.brick-hung",
        "gfapi §3: glfs_init while the brick hangs is EIO after ping-timeout",
        |stage| {
            stage.volume().hang_brick(0)?;
            let (answer, time) = timed(|| stage.client(&[]));
            refused("glfs_init", answer, Errno::EIO)?;
            took("it waits", time, 2_000..20_000)
        },
    ),
    case(
        Company::Own,
        a(Kind::Plain),
        "init.stopped",
        "glfs_init of a volume that was stopped is refused",
        |stage| {
            stage.volume().stop()?;
            refused("glfs_init", stage.client(&[]), Errno::EIO)
        },
    ),
    case(
        Company::Own,
        a(Kind::Plain),
        "init.stopped-under-io",
        "a volume is stopped under an open handle: ENOTCONN; after a start the handle goes on",
        |stage| {
            let file = stage.filled("f", &pattern(1, 4096))?;
            stage.volume().stop()?;
            thread::sleep(Duration::from_secs(1));
            refused("pwrite", file.pwrite(&[2; 4096], 0), Errno::ENOTCONN)?;
            stage.volume().start_bricks()?;
            eventually(Duration::from_secs(20), || file.pread(4096, 0))?;
            same("read", &file.pread(4096, 0)?, &pattern(1, 4096))
        },
    ),
    case(
        Company::Shared,
        a(Kind::Replica3),
        "fini.ends",
        "gfapi §3: glfs_fini is 0, after up to 13 s; another client works on",
        |stage| {
            let other = stage.filled("f", &pattern(1, 4096))?;
            let mount = stage.client(&[])?;
            mount.open(&stage.path("f"), 0)?.close()?;
            let (ended, time) = timed(|| mount.finish());
            ended?;
            took("it waits", time, ..40_000)?;
            same("read", &other.pread(4096, 0)?, &pattern(1, 4096))
        },
    ),
    case(
        Company::Alone,
        a(Kind::Replica3),
        "server.dead",
        "gfapi §3: glusterd dies: I/O goes on; glfs_init is ENOTCONN until it is back",
        |stage| {
            let file = stage.filled("f", &pattern(1, 4096))?;
            stage.ground.kill_server()?;
            let written = file.pwrite(&pattern(2, 4096), 0);
            let read = file.pread(4096, 0);
            let (answer, time) = timed(|| stage.client(&[]));
            stage.ground.start_server()?;
            equal("pwrite", written?, 4096)?;
            same("read", &read?, &pattern(2, 4096))?;
            refused("glfs_init", answer, Errno::ENOTCONN)?;
            took("it does not wait", time, ..3_000)?;
            // Until the bricks have told the new glusterd their ports it is EIO.
            eventually(Duration::from_secs(20), || stage.client(&[]))?;
            Ok(())
        },
    ),
    case(
        Company::Alone,
        a(Kind::Replica3),
        "server.hung",
        "gfapi §3: glusterd hangs: I/O goes on; glfs_init does not return until it is back",
        |stage| {
            let file = stage.filled("f", &pattern(1, 4096))?;
            stage.ground.hang_server()?;
            let (sender, receiver) = mpsc::channel();
            let returned = thread::scope(|scope| {
                scope.spawn(|| sender.send(stage.client(&[]).map(drop)));
                let early = receiver.recv_timeout(Duration::from_secs(4));
                let written = file.pwrite(&pattern(2, 4096), 0);
                let resumed = stage.ground.resume_server();
                let late = receiver.recv_timeout(Duration::from_secs(60));
                (early, written, resumed, late)
            });
            let (early, written, resumed, late) = returned;
            resumed?;
            equal("pwrite", written?, 4096)?;
            holds("glfs_init waits", early.is_err())?;
            let late = late.map_err(|_| Fault::Seen("glfs_init never returned".to_owned()))?;
            Ok(late?)
        },
    ),
];

/// A client begins while those bricks are away.
fn without(stage: &Stage, bricks: &[usize], errno: Option<Errno>) -> Verdict {
    for brick in bricks {
        stage.volume().kill_brick(*brick)?;
    }
    thread::sleep(Duration::from_millis(500));
    let (answer, time) = timed(|| stage.client(&[]));
    took("it ends", time, ..20_000)?;
    match errno {
        Some(errno) => refused("glfs_init", answer, errno),
        None => Ok(answer.map(drop)?),
    }
}
