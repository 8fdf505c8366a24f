//! libiscsi's conformance suite, every family of the witnesses, on units of the volume: each test in
//! a process of its own, on a fresh image of a fresh `glintd`.

use std::sync::Arc;

use libtest_mimic::{Failed, Trial};
use scenarios::foreign::testcu::{conforms, is_skipped, names};
use scenarios::foreign::tools::ISCSI_TEST_CU;

use crate::room::{Room, serve, stop, url};

pub(crate) fn trials(room: &Arc<Room>) -> Vec<Trial> {
    names()
        .map(|test| {
            // What the tool skips is asserted to be skipped, and is no pass.
            let skips = if is_skipped(&test) {
                "::is_skipped"
            } else {
                ""
            };
            let name = format!("testcu::{test}{skips}");
            room.trial(name, &[ISCSI_TEST_CU], move |room| passes(room, &test))
        })
        .collect()
}

fn passes(room: &Room, test: &str) -> Result<(), Failed> {
    let volume = room.calm_volume()?;
    let server = serve(&volume.store(&format!("testcu.{test}.img"), "64MiB"))?;
    match conforms(&url(&server), test) {
        Ok(None) => {}
        Ok(Some(skip)) => eprintln!("{test}: {skip}"),
        Err(why) => return Err(format!("{why}\n{}", server.log()).into()),
    }
    stop(&server)
}
