//! What cannot be served: one message with the remedy, exit code 3, in time.

use std::process::Command;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use target::store::Settings;

use crate::stage::{CLUSTER, REAL, Volume, glintd, open, trial};

/// From start to exit.
const LIMIT: Duration = Duration::from_secs(15);

/// Wherever a volume is.
pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("refusal::unknown_volume", || {
            let volume = Volume::any().0;
            let server = volume.split('/').next().unwrap_or_default();
            let store = format!("gluster://{server}/no-such-volume/a.img?size=1MiB");
            refused(&store, &["no volume no-such-volume", "gluster volume info"])
        }),
        trial("refusal::missing_image", || {
            let place = Volume::any().image("missing");
            refused(&place, &["does not exist", &format!("{place}?size=")])
        }),
        trial("refusal::missing_folder", || {
            let store = Volume::any().image("no-such-folder/a");
            refused(&format!("{store}?size=1MiB"), &["folder does not exist"])
        }),
        trial("refusal::another_size", another_size),
        trial("refusal::broken_library", broken_library),
    ]
}

/// Of real servers only: names and addresses mean nothing to the fake.
pub(crate) fn of_real_servers() -> Vec<Trial> {
    vec![
        trial("refusal::unreachable_servers", || {
            // Nobody listens on port 1, and 192.0.2.0/24 is no network (RFC 5737).
            let store = "gluster://127.0.0.1:1,192.0.2.1/disks/a.img?size=1MiB";
            refused(store, &["127.0.0.1:1,192.0.2.1", "glusterd"])
        }),
        trial("refusal::unknown_server", || {
            let store = "gluster://no-such-host.invalid/disks/a.img?size=1MiB";
            refused(store, &["no-such-host.invalid", "can be reached"])
        }),
        trial("refusal::first_of_two_servers_away", || {
            let volume = Volume(format!("127.0.0.1:1,{}", Volume::any().0));
            volume.open("second", &Settings::default())?;
            Ok(())
        }),
    ]
}

/// By the plan and the settings of the fake.
pub(crate) fn of_the_fake() -> Vec<Trial> {
    vec![
        trial("refusal::servers_that_refuse", || {
            let volume = Volume::fake("");
            volume.plan("init * errno=ENOTCONN\n");
            let store = format!("{}?size=1MiB", volume.image("a"));
            refused(&store, &["none of localhost can be reached", "glusterd"])
        }),
        trial("refusal::too_few_bricks", || {
            let volume = Volume::fake("");
            volume.plan("init * errno=EIO\n");
            let store = format!("{}?size=1MiB", volume.image("a"));
            refused(&store, &["too few of its bricks", "gluster volume status"])
        }),
        trial("refusal::a_server_that_hangs", || {
            let volume = Volume::fake("");
            volume.plan("init * hang\n");
            let store = format!("{}?size=1MiB", volume.image("a"));
            refused(&store, &["no answer within 12 s"])
        }),
        trial("refusal::writes_that_a_minority_answers", || {
            for settings in ["quorum = none\n", "quorum = 1\n"] {
                let volume = Volume::fake(&format!("replica = 3\n{settings}"));
                let store = format!("{}?size=1MiB", volume.image("a"));
                let name = volume.0.rsplit('/').next().unwrap_or_default();
                let remedy = format!("gluster volume set {name} cluster.quorum-type auto");
                refused(&store, &["not safe to serve disks from", &remedy])?;
            }
            let volume = Volume::fake("replica = 2\nquorum =\n");
            let store = format!("{}?size=1MiB", volume.image("a"));
            refused(&store, &["cluster.quorum-type is not set"])
        }),
    ]
}

fn another_size() -> Result<(), Failed> {
    let volume = Volume::any();
    let place = volume.image("size");
    match std::env::var_os(REAL) {
        Some(_) => drop(open(&format!("{place}?size=1MiB"), &Settings::default())?),
        // One process has a fake volume at a time, so the image is put there by hand.
        None => {
            let name = place.rsplit('/').next().unwrap_or_default();
            for brick in ["bricks/0", "bricks/1", "bricks/2"] {
                std::fs::create_dir_all(volume.folder().join(brick))?;
                std::fs::write(volume.folder().join(brick).join(name), vec![0; 1 << 20])?;
            }
        }
    }
    let words = ["1048576 bytes", "?size=2MiB"];
    refused(&format!("{place}?size=2MiB"), &words)
}

/// A library that is no library; the loader takes the first it finds.
fn broken_library() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("libgfapi.so.0"), "no shared object")?;
    let mut command = glintd();
    command.env("LD_LIBRARY_PATH", folder.path());
    command.env_remove(CLUSTER);
    let words = ["libgfapi is missing", "apt-get install libgfapi0"];
    refused_by(command, "gluster://127.0.0.1/vol/a.img?size=1MiB", &words)
}

/// The program itself ends with code 3 and says all of `words`, in one line.
fn refused(store: &str, words: &[&str]) -> Result<(), Failed> {
    refused_by(glintd(), store, words)
}

fn refused_by(mut command: Command, store: &str, words: &[&str]) -> Result<(), Failed> {
    let begin = Instant::now();
    let listen = ["--listen", "127.0.0.1:0"];
    let output = command
        .arg("serve")
        .args(listen)
        .args(["--log", "error", "--lun", store])
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
