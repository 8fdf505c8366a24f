//! The main job on the real volume: an ext4 image through iSCSI onto three bricks and back, and
//! each brick holds exactly these bytes.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use libtest_mimic::{Failed, Trial};
use scenarios::foreign::image::{IMAGE_BYTES, LIMIT, TOOLS, there_and_back};
use scenarios::foreign::program::succeed;

use crate::room::{Room, serve, stop, url};

const IMAGE: &str = "ext4.img";

pub(crate) fn trials(room: &Arc<Room>) -> Vec<Trial> {
    vec![room.trial("image::ext4_there_and_back", &TOOLS, ext4_there_and_back)]
}

fn ext4_there_and_back(room: &Room) -> Result<(), Failed> {
    let volume = room.calm_volume()?;
    let folder = tempfile::tempdir()?;
    let size = format!("{}MiB", IMAGE_BYTES >> 20);
    let server = serve(&volume.store(IMAGE, &size))?;
    let begun = Instant::now();
    let image = there_and_back(&url(&server), folder.path())?;
    eprintln!(
        "{size} made, copied there and back: {:.1?}",
        begun.elapsed()
    );
    stop(&server)?;
    let sums = volume.sums(IMAGE)?;
    if sums.len() == 1 && sums.contains(&sha256(&image)?) {
        Ok(())
    } else {
        Err(format!("the bricks hold {sums:?}, not {}", sha256(&image)?).into())
    }
}

fn sha256(file: &Path) -> Result<String, Failed> {
    let said = succeed(Command::new("sha256sum").arg(file), LIMIT)?;
    Ok(said.split(' ').next().unwrap_or_default().to_owned())
}
