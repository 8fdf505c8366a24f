//! The main job on real input: an ext4 file system full of real files goes through iSCSI to a
//! `file:` unit and comes back the same.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};

use crate::process::{run, succeed};
use crate::server::Server;
use crate::tools::{self, E2FSCK, MKE2FS, QEMU_IMG, QEMU_IO, Tool, trial};

/// For a whole image, on a slow machine.
const LIMIT: Duration = Duration::from_secs(180);

const IMAGE_BYTES: u64 = 256 << 20;

/// As much as fits the image with room for its metadata.
const TREE_BYTES_MAX: u64 = 150 << 20;
const TREE_FILES_MAX: usize = 30_000;

/// Less is no real file tree.
const TREE_BYTES_MIN: u64 = 8 << 20;
const TREE_FILES_MIN: usize = 200;

/// Where real files are to be found, the best first; a slim container has emptied some of them.
const TREES: [&str; 4] = ["/usr/share/doc", "/usr/share", "/usr/include", "/usr/lib"];

pub(crate) fn trials() -> Vec<Trial> {
    let file_system = [QEMU_IMG, Tool::QemuIscsi, MKE2FS, E2FSCK];
    vec![
        trial(
            "image::ext4_there_and_back",
            &file_system,
            ext4_there_and_back,
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
    let path = |name: &str| folder.path().join(name);
    make_image(&path("tree"), &path("image"))?;
    check_file_system(&path("image"))?;

    let lun = format!("file:{}?size=256MiB", path("lun").display());
    let server = Server::start_with(&["--lun", &lun])?;
    let url = server.url();
    let there = ["convert", "-n", "-f", "raw", "-O", "raw"];
    succeed(
        Command::new("qemu-img")
            .args(there)
            .arg(path("image"))
            .arg(&url),
        LIMIT,
    )?;
    let back = ["convert", "-f", "raw", "-O", "raw"];
    succeed(
        Command::new("qemu-img")
            .args(back)
            .arg(&url)
            .arg(path("back")),
        LIMIT,
    )?;
    server.stop()?;

    same_bytes(&path("image"), &path("back"))?;
    same_bytes(&path("image"), &path("lun"))?;
    check_file_system(&path("back"))
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

/// An ext4 image that holds a copy of real files.
fn make_image(tree: &Path, image: &Path) -> Result<(), Failed> {
    let mut copied = Copied::default();
    for source in TREES.map(Path::new) {
        let name = source
            .strip_prefix("/")
            .unwrap_or(source)
            .display()
            .to_string()
            .replace('/', "-");
        copied.copy(source, &tree.join(name))?;
    }
    if copied.bytes < TREE_BYTES_MIN || copied.files < TREE_FILES_MIN {
        return Err(format!("no real file tree here: {copied:?} under {TREES:?}").into());
    }
    File::create(image)?.set_len(IMAGE_BYTES)?;
    let mut mke2fs = Command::new(tools::program("mke2fs"));
    mke2fs
        .args(["-q", "-F", "-t", "ext4", "-d"])
        .arg(tree)
        .arg(image);
    succeed(&mut mke2fs, LIMIT)?;
    Ok(())
}

#[derive(Debug, Default)]
struct Copied {
    bytes: u64,
    files: usize,
}

impl Copied {
    /// Copies folders and plain files, in order of names, until the image is full.
    fn copy(&mut self, from: &Path, to: &Path) -> Result<(), Failed> {
        let Ok(entries) = fs::read_dir(from) else {
            return Ok(());
        };
        fs::create_dir_all(to)?;
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let metadata = fs::symlink_metadata(&path)?;
            let copy = to.join(path.file_name().unwrap_or_default());
            let bytes = metadata.len().next_multiple_of(4096);
            if metadata.is_dir() {
                self.copy(&path, &copy)?;
            } else if metadata.is_file()
                && self.bytes + bytes <= TREE_BYTES_MAX
                && self.files < TREE_FILES_MAX
                && fs::copy(&path, &copy).is_ok()
            {
                self.bytes += bytes;
                self.files += 1;
            }
        }
        Ok(())
    }
}

/// `e2fsck -fn` finds nothing to mend: exit status 0.
fn check_file_system(image: &Path) -> Result<(), Failed> {
    let mut e2fsck = Command::new(tools::program("e2fsck"));
    succeed(e2fsck.arg("-fn").arg(image), LIMIT).map(drop)
}

fn same_bytes(one: &Path, other: &Path) -> Result<(), Failed> {
    let bytes = |path: &Path| fs::metadata(path).map(|metadata| metadata.len());
    if bytes(one)? != bytes(other)? {
        return Err(format!("{} and {} differ in size", one.display(), other.display()).into());
    }
    let (mut ours, mut theirs) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let (mut one_file, mut other_file) = (
        BufReader::new(File::open(one)?),
        BufReader::new(File::open(other)?),
    );
    for mebibyte in 0..bytes(one)? >> 20 {
        one_file.read_exact(&mut ours)?;
        other_file.read_exact(&mut theirs)?;
        if ours != theirs {
            let (one, other) = (one.display(), other.display());
            return Err(format!("{one} and {other} differ in MiB {mebibyte}").into());
        }
    }
    Ok(())
}
