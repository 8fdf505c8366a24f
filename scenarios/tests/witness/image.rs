//! The main job on real input: an ext4 file system full of real files goes through iSCSI to a
//! `file:` unit, and to one on the fake Gluster, and comes back the same.

use std::process::Command;

use libtest_mimic::{Failed, Trial};
use scenarios::fake::FakeVolume;
use scenarios::foreign::image::{self, LIMIT, same_bytes};

use crate::process::run;
use crate::server::Server;
use crate::tools::{QEMU_IO, Tool, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "image::ext4_there_and_back",
            &image::TOOLS,
            ext4_there_and_back,
        ),
        trial(
            "image::ext4_on_the_fake_gluster",
            &image::TOOLS,
            ext4_on_the_fake_gluster,
        ),
        trial(
            "image::qemu_io_patterns",
            &[QEMU_IO, Tool::QemuIscsi],
            qemu_io_patterns,
        ),
    ]
}

fn ext4_there_and_back() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let disk = folder.path().join("lun");
    let lun = format!("file:{}?size=256MiB", disk.display());
    let server = Server::start_with(&["--lun", &lun])?;
    let image = image::there_and_back(&server.url(), folder.path())?;
    server.stop()?;
    Ok(same_bytes(&image, &disk)?)
}

/// Then the power is cut: each brick holds exactly these bytes.
fn ext4_on_the_fake_gluster() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let volume = FakeVolume::new("replica = 3\nlost = 100\ntorn = 0\n")?;
    let server = Server::start_on(&volume, &["--lun", &volume.store("disk.img", 256 << 20)])?;
    let image = image::there_and_back(&server.url(), folder.path())?;
    server.kill()?;
    for brick in 0..3 {
        same_bytes(&image, &volume.durable_on(brick, "disk.img"))?;
    }
    Ok(())
}

fn qemu_io_patterns() -> Result<(), Failed> {
    let server = Server::start()?;
    let url = server.url();
    let io = |commands: &[&str]| {
        let mut command = Command::new("qemu-io");
        command.args(["-f", "raw"]);
        for each in commands {
            command.args(["-c", each]);
        }
        run(command.arg(&url), LIMIT)
    };
    let wrote = io(&["write -P 0xa5 1M 3M", "write -P 0x5a 4M 512", "flush"])?;
    let read = io(&[
        "read -P 0xa5 1M 3M",
        "read -P 0x5a 4M 512",
        "read -P 0 8M 1M",
    ])?;
    for finished in [&wrote, &read] {
        let is_clean = finished.status.is_some_and(|status| status.success());
        if !is_clean || finished.output.contains("failed") {
            return Err(finished.output.clone().into());
        }
    }
    // The tool's verification does see a difference.
    if !io(&["read -P 0xa6 1M 64k"])?
        .output
        .contains("Pattern verification failed")
    {
        return Err("qemu-io does not verify".into());
    }
    server.stop()
}
