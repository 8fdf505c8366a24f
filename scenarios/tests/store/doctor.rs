//! `glintd doctor`: what it says about volumes of the fake, and with which exit code.

use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use target::store::Settings;

use crate::stage::{Volume, glintd, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("doctor::a_volume_in_order", || {
            examined("replica = 3\n", 0, &["in order"])
        }),
        trial("doctor::what_is_refused", || {
            let remedy = "gluster volume set vol-";
            examined(
                "replica = 3\nquorum = none\nping-timeout = 42\n",
                3,
                &[
                    "refused: cluster.quorum-type is none",
                    remedy,
                    "cluster.quorum-type auto",
                    "warning: network.ping-timeout is 42",
                ],
            )
        }),
        trial("doctor::what_is_warned_of", || {
            examined(
                "replica = 2\nframe-timeout = 5\nshard = 67108864\n",
                0,
                &[
                    "without an arbiter",
                    "network.frame-timeout",
                    "features.shard",
                    "warnings: 3",
                ],
            )
        }),
        trial("doctor::a_lone_brick", || {
            examined(
                "remote-dio = on\n",
                0,
                &["network.remote-dio", "warnings: 1"],
            )
        }),
        trial("doctor::an_image", an_image),
        trial("doctor::no_volume", || {
            let output = glintd()
                .args(["doctor", "gluster://localhost/none"])
                .output()?;
            let text = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(3), "{text}");
            assert!(text.contains("no volume none there"), "{text}");
            let output = glintd().args(["doctor", "file:/tmp/a"]).output()?;
            assert_eq!(output.status.code(), Some(2));
            Ok(())
        }),
    ]
}

fn examined(settings: &str, code: i32, words: &[&str]) -> Result<(), Failed> {
    let volume = Volume::fake(settings);
    look(&format!("gluster://{}", volume.0), code, words)
}

fn look(place: &str, code: i32, words: &[&str]) -> Result<(), Failed> {
    let begin = Instant::now();
    let output = glintd().args(["doctor", place]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}{errors}");
    assert!(begin.elapsed() < Duration::from_secs(15), "{text}");
    for word in words {
        assert!(text.contains(word), "\"{word}\" is not in: {text}");
    }
    Ok(())
}

/// In a process of its own, which leaves the volume when it ends.
fn an_image() -> Result<(), Failed> {
    let volume = Volume::fake("replica = 3\n");
    let store = volume.open("looked-at", &Settings::default())?;
    drop(store);
    // This process holds the volume for a while; the doctor cannot have it meanwhile.
    let held = glintd()
        .args(["doctor", &volume.image("looked-at")])
        .output()?;
    assert_eq!(held.status.code(), Some(3));
    let other = Volume::fake("replica = 3\n");
    std::fs::create_dir_all(other.folder().join("bricks/0"))?;
    for brick in ["bricks/0", "bricks/1", "bricks/2"] {
        std::fs::create_dir_all(other.folder().join(brick))?;
        std::fs::write(other.folder().join(brick).join("a.img"), [0; 65536])?;
    }
    look(
        &format!("gluster://{}/a.img", other.0),
        0,
        &["a.img: 64KiB", "allocation map yes", "in order"],
    )?;
    look_fails(&format!("gluster://{}/b.img", other.0), "does not exist")
}

fn look_fails(place: &str, word: &str) -> Result<(), Failed> {
    let output = glintd().args(["doctor", place]).output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains(word), "{text}");
    Ok(())
}
