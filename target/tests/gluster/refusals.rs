//! What cannot be served: one message with the remedy, exit code 3, in time.

use std::process::Command;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};

use crate::{SETTINGS, open, place, trial};

/// From start to exit.
const LIMIT: Duration = Duration::from_secs(15);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("refusal::unknown_volume", |volume| {
            let server = volume.split('/').next().unwrap_or_default();
            let store = format!("gluster://{server}/no-such-volume/a.img?size=1MiB");
            refused(&store, &["no volume no-such-volume", "gluster volume info"])
        }),
        trial("refusal::unreachable_servers", |_| {
            // Nobody listens on port 1, and 192.0.2.0/24 is no network (RFC 5737).
            let store = "gluster://127.0.0.1:1,192.0.2.1/disks/a.img?size=1MiB";
            refused(store, &["127.0.0.1:1,192.0.2.1", "glusterd"])
        }),
        trial("refusal::unknown_server", |_| {
            let store = "gluster://no-such-host.invalid/disks/a.img?size=1MiB";
            refused(store, &["no-such-host.invalid", "can be reached"])
        }),
        trial("refusal::first_of_two_servers_away", |volume| {
            let store = place(&format!("127.0.0.1:1,{volume}"), "second");
            open(&format!("{store}?size=1MiB"), &SETTINGS)?;
            Ok(())
        }),
        trial("refusal::another_size", |volume| {
            let place = place(volume, "size");
            drop(open(&format!("{place}?size=1MiB"), &SETTINGS)?);
            refused(
                &format!("{place}?size=2MiB"),
                &["1048576 bytes", "?size=2MiB"],
            )
        }),
        trial("refusal::missing_image", |volume| {
            let place = place(volume, "missing");
            refused(&place, &["does not exist", &format!("{place}?size=")])
        }),
        trial("refusal::missing_folder", |volume| {
            let store = place(volume, "no-such-folder/a");
            refused(&format!("{store}?size=1MiB"), &["folder does not exist"])
        }),
    ]
}

/// The program itself ends with code 3 and says all of `words`, in one line.
fn refused(store: &str, words: &[&str]) -> Result<(), Failed> {
    let begin = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_glintd"))
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log",
            "error",
            "--lun",
            store,
        ])
        .output()?;
    let took = begin.elapsed();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(took < LIMIT, "after {took:?}: {text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    for word in words {
        assert!(text.contains(word), "\"{word}\" is not in: {text}");
    }
    Ok(())
}
