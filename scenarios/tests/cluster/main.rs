//! `glintd` on real Gluster: one container with the bricks of a few volumes, started by the first
//! trial that needs it.
//!
//! Built only with the feature `clusters`. Where Docker, mmdebstrap or libgfapi is missing every
//! trial is ignored with the remedy; under `CI=true` it fails.
#![allow(clippy::print_stderr, reason = "a suite tells what it measured")]

mod conformance;
mod disk;
mod faults;
mod image;
mod load;
mod refusals;
mod room;
mod testcu;

use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use room::Room;

fn main() {
    let arguments = Arguments::from_args();
    let room = Arc::new(Room::new());
    // The long ones first.
    let trials: Vec<Trial> = [
        faults::trials(&room),
        image::trials(&room),
        conformance::trials(&room),
        testcu::trials(&room),
        refusals::trials(&room),
    ]
    .into_iter()
    .flatten()
    .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    let ended = room.end();
    // The container goes with the room, before the process does.
    drop(room);
    if let Err(why) = ended {
        panic!("glintd did not end well: {why}");
    }
    conclusion.exit();
}
