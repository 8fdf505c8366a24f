//! Foreign witnesses: programs and libraries written by others, against the real `glintd`.
//!
//! A trial whose tool is missing is listed as ignored, with the package to install as its kind;
//! under `CI=true` it fails instead.
#![allow(clippy::print_stderr, reason = "a test says why it skips")]

mod image;
mod libiscsi;
mod pcap;
mod server;
mod testcu;
mod tools;
mod utilities;
mod wire;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use scenarios::foreign::program as process;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = [
        libiscsi::trials(),
        utilities::trials(),
        testcu::trials(),
        image::trials(),
        wire::trials(),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}
