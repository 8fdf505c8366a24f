//! What cannot be served: one message with the remedy, exit code 3, within 15 s. Those that need no
//! more than a volume are in `target/tests/gluster`.

use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use scenarios::binaries;
use scenarios::cluster::Cluster;
use scenarios::foreign::program::run;

use crate::room::{Room, serve, stop};

/// From start to exit.
const LIMIT: Duration = Duration::from_secs(15);
/// When we stop waiting.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn trials(room: &Arc<Room>) -> Vec<Trial> {
    vec![
        room.trial("refusal::unknown_volume", &[], |room| {
            let server = room.cluster()?.address();
            let store = format!("gluster://{server}/no-such-volume/a.img?size=1MiB");
            refused(&store, &["no volume no-such-volume", "gluster volume info"])
        }),
        room.trial("refusal::stopped_volume", &[], |room| {
            let volume = room.own_volume("idle")?;
            volume.stop()?;
            let store = volume.store("a.img", "1MiB");
            refused(&store, &["volume idle", "gluster volume start"])
        }),
        room.trial("refusal::closed_port", &[], |room| {
            let server = room.cluster()?.address();
            let store = format!("gluster://{server}:1/calm/a.img?size=1MiB");
            refused(
                &store,
                &[&format!("{server}:1"), "is glusterd running there"],
            )
        }),
        room.trial("refusal::nobody_at_the_address", &[], |room| {
            // Of the containers' own network, and nobody's: nothing answers, not even a refusal.
            let std::net::IpAddr::V4(server) = room.cluster()?.address() else {
                return Err("the container has no IPv4 address".into());
            };
            let [a, b, ..] = server.octets();
            let nobody = Ipv4Addr::new(a, b, 255, 250);
            let store = format!("gluster://{nobody}/calm/a.img?size=1MiB");
            refused(&store, &[&nobody.to_string()])
        }),
        room.trial("refusal::server_that_hangs", &[], hung_server),
        room.trial("refusal::another_size", &[], |room| {
            let volume = room.calm_volume()?;
            stop(&serve(&volume.store("sized.img", "1MiB"))?)?;
            let store = volume.store("sized.img", "2MiB");
            refused(&store, &["1048576 bytes", "?size=2MiB"])
        }),
    ]
}

/// glusterd takes the connection and never says a word.
fn hung_server(_: &Room) -> Result<(), Failed> {
    let cluster = Cluster::start()?;
    cluster.run(&["sh", "-c", "kill -STOP $(pidof glusterd)"])?;
    let store = format!("gluster://{}/calm/a.img?size=1MiB", cluster.address());
    refused(
        &store,
        &[&cluster.address().to_string(), "no answer within"],
    )
}

/// The program ends with code 3 and says all of `words`, in one line.
fn refused(store: &str, words: &[&str]) -> Result<(), Failed> {
    let mut glintd = Command::new(binaries::glintd()?);
    glintd.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--log",
        "error",
        "--lun",
        store,
    ]);
    let begun = Instant::now();
    let finished = run(&mut glintd, PATIENCE)?;
    let took = begun.elapsed();
    let text = finished.output.trim();
    eprintln!("after {took:.1?}: {text}");
    if finished.status.and_then(|status| status.code()) != Some(3) {
        return Err(format!("not exit code 3: {:?}: {text}", finished.status).into());
    }
    if took > LIMIT {
        return Err(format!("after {took:?}: {text}").into());
    }
    let missing: Vec<_> = words.iter().filter(|word| !text.contains(**word)).collect();
    match (text.lines().count(), missing.is_empty()) {
        (1, true) => Ok(()),
        _ => Err(format!("not one line that says {missing:?}: {text}").into()),
    }
}
