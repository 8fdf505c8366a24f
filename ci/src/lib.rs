//! Runs and judges everything: the steps of continuous integration, and the rules about source
//! text that `cargo test` checks as well. Nothing depends on this crate.
#![allow(clippy::print_stdout, reason = "a command that reports to a terminal")]

pub mod check;
pub mod headers;
pub mod setup;
pub mod step;
pub mod suite;
pub mod tidy;

use std::path::{Path, PathBuf};

/// The root of the workspace. Every command starts there, because cargo finds its settings by the
/// current directory.
pub fn workspace_root() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    folder
        .parent()
        .expect("ci is a folder of the workspace")
        .to_owned()
}
