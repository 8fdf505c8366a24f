//! The main job on real input: an ext4 file system full of real files, copied through iSCSI by
//! qemu-img and compared.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::Failure;
use super::program::succeed;
use super::tools::{self, E2FSCK, MKE2FS, QEMU_IMG, Tool};

/// For a whole image, on a slow machine.
pub const LIMIT: Duration = Duration::from_secs(180);

/// Of the image; a unit for it has as many.
pub const IMAGE_BYTES: u64 = 256 << 20;

/// As much as fits the image with room for its metadata.
const TREE_BYTES_MAX: u64 = 150 << 20;
const TREE_FILES_MAX: usize = 30_000;

/// Less is no real file tree.
const TREE_BYTES_MIN: u64 = 8 << 20;
const TREE_FILES_MIN: usize = 200;

/// Where real files are to be found, the best first; a slim container has emptied some of them.
const TREES: [&str; 4] = ["/usr/share/doc", "/usr/share", "/usr/include", "/usr/lib"];

/// What it takes.
pub const TOOLS: [Tool; 4] = [QEMU_IMG, Tool::QemuIscsi, MKE2FS, E2FSCK];

/// Makes an image in `folder`, copies it to the unit at `url` and back again. What comes back must
/// be the same, and a sound file system. Gives the path of the image.
pub fn there_and_back(url: &str, folder: &Path) -> Result<PathBuf, Failure> {
    let path = |name: &str| folder.join(name);
    make(&path("tree"), &path("image"))?;
    check_file_system(&path("image"))?;
    let there = ["convert", "-n", "-f", "raw", "-O", "raw"];
    succeed(
        Command::new("qemu-img")
            .args(there)
            .arg(path("image"))
            .arg(url),
        LIMIT,
    )?;
    let back = ["convert", "-f", "raw", "-O", "raw"];
    succeed(
        Command::new("qemu-img")
            .args(back)
            .arg(url)
            .arg(path("back")),
        LIMIT,
    )?;
    same_bytes(&path("image"), &path("back"))?;
    check_file_system(&path("back"))?;
    Ok(path("image"))
}

/// An ext4 image that holds a copy of real files.
fn make(tree: &Path, image: &Path) -> Result<(), Failure> {
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
    fn copy(&mut self, from: &Path, to: &Path) -> Result<(), Failure> {
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
fn check_file_system(image: &Path) -> Result<(), Failure> {
    let mut e2fsck = Command::new(tools::program("e2fsck"));
    succeed(e2fsck.arg("-fn").arg(image), LIMIT).map(drop)
}

/// Fails unless both files hold the same.
pub fn same_bytes(one: &Path, other: &Path) -> Result<(), Failure> {
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
