//! The shared object with symbol versions, for programs linked against the real library.
//!
//! A Rust cdylib carries none: rustc passes the linker its own list of symbols, and programs then
//! get a warning from the loader. A program that loads by path, as glintd does, does not care. For
//! the others the archive is linked once more, with Gluster's version names.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which function came with which version, as Gluster's own map says.
const MAP: &str = include_str!("../gfapi.map");

/// Links `libgfapi.so.0` into `folder` from the archive cargo builds (`libgluster_mock.a`), with
/// the C compiler `cc`; a failure carries what it said.
pub fn link(archive: &Path, folder: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let map = folder.join("gfapi.map");
    fs::write(&map, MAP)?;
    let object = folder.join("libgfapi.so.0");
    let mut script = OsString::from("-Wl,--version-script=");
    script.push(&map);
    let linked = Command::new("cc")
        .args(["-shared", "-o"])
        .arg(&object)
        .arg("-Wl,--whole-archive")
        .arg(archive)
        .args([
            "-Wl,--no-whole-archive",
            "-Wl,-soname,libgfapi.so.0",
            "-Wl,--gc-sections",
        ])
        .arg(script)
        .args(["-lgcc_s", "-lpthread", "-ldl", "-lm", "-lc"])
        .output()?;
    if linked.status.success() {
        Ok(object)
    } else {
        Err(io::Error::other(
            String::from_utf8_lossy(&linked.stderr).into_owned(),
        ))
    }
}
