//! Finding, making and claiming the file behind an image.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::super::{OpenError, Settings};

/// An open file of known size that nobody else serves.
pub(super) struct Image {
    path: PathBuf,
    pub(super) file: File,
    pub(super) bytes: u64,
    /// Whether RWF_DSYNC is honoured by this file system.
    pub(super) dsync: bool,
    read_only: bool,
}

/// One descriptor per worker.
pub(super) struct WorkerFiles {
    pub(super) files: Vec<File>,
    /// Whether each is an open file of its own and not a duplicate.
    pub(super) separate: bool,
}

impl Image {
    pub(super) fn open(
        path: &Path,
        create_bytes: Option<u64>,
        settings: &Settings,
    ) -> Result<Self, OpenError> {
        let io_error = |why| OpenError::io(path, why);
        let opened = OpenOptions::new()
            .read(true)
            .write(!settings.read_only)
            .open(path);
        let (mut file, new) = match (opened, create_bytes) {
            (Ok(file), _) => (file, false),
            (Err(why), Some(_)) if missing(&why) && !settings.read_only => {
                let mut options = OpenOptions::new();
                (
                    options
                        .read(true)
                        .write(true)
                        .create_new(true)
                        .open(path)
                        .map_err(io_error)?,
                    true,
                )
            }
            (Err(why), None) if missing(&why) => {
                return Err(OpenError::Missing {
                    path: path.to_owned(),
                });
            }
            (Err(why), _) => return Err(io_error(why)),
        };
        let kind = file.metadata().map_err(io_error)?.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(OpenError::NotAnImage {
                path: path.to_owned(),
            });
        }
        claim(&file, path, settings.read_only)?;
        let mut bytes = file.seek(SeekFrom::End(0)).map_err(io_error)?;
        // An empty file is what a crash between making and sizing it leaves behind.
        if let Some(wanted) = create_bytes
            && (new || (bytes == 0 && kind.is_file() && !settings.read_only))
        {
            make(&file, path, wanted).map_err(io_error)?;
            bytes = wanted;
        }
        check_size(path, bytes, create_bytes, settings)?;
        let dsync = honours_dsync(&file);
        let path = path.to_owned();
        Ok(Self {
            path,
            file,
            bytes,
            dsync,
            read_only: settings.read_only,
        })
    }

    /// `count` descriptors on the same file, each with an error cursor of its own where possible.
    pub(super) fn worker_files(&self, count: usize) -> Result<WorkerFiles, OpenError> {
        let same = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let reopen = || {
            OpenOptions::new()
                .read(true)
                .write(!self.read_only)
                .open(&same)
        };
        if let Ok(files) = (0..count).map(|_| reopen()).collect() {
            return Ok(WorkerFiles {
                files,
                separate: true,
            });
        }
        let duplicates: io::Result<_> = (0..count).map(|_| self.file.try_clone()).collect();
        let files = duplicates.map_err(|why| OpenError::io(&self.path, why))?;
        Ok(WorkerFiles {
            files,
            separate: false,
        })
    }
}

fn missing(why: &io::Error) -> bool {
    why.kind() == io::ErrorKind::NotFound
}

/// Two servers on one file would each cache what the other changes.
fn claim(file: &File, path: &Path, read_only: bool) -> Result<(), OpenError> {
    let taken = if read_only {
        file.try_lock_shared()
    } else {
        file.try_lock()
    };
    match taken {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(why)) => {
            let path = path.display();
            tracing::warn!("{path} cannot be locked ({why}): nothing keeps others from serving it");
            Ok(())
        }
    }
}

/// Sparse, and there after a power cut: the size with the file, the name with its folder.
fn make(file: &File, path: &Path, bytes: u64) -> io::Result<()> {
    file.set_len(bytes)?;
    file.sync_all()?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

fn check_size(
    path: &Path,
    bytes: u64,
    wanted: Option<u64>,
    settings: &Settings,
) -> Result<(), OpenError> {
    let path = || path.to_owned();
    if let Some(wanted) = wanted
        && wanted != bytes
    {
        return Err(OpenError::SizeMismatch {
            path: path(),
            bytes,
            wanted,
        });
    }
    let block_bytes = settings.block_size.bytes();
    match bytes {
        0 => Err(OpenError::Empty { path: path() }),
        _ if !bytes.is_multiple_of(u64::from(block_bytes)) => Err(OpenError::Uneven {
            path: path(),
            bytes,
            block_bytes,
        }),
        _ => Ok(()),
    }
}

/// File systems known to sync a single write when asked to; elsewhere (FUSE, network file systems)
/// a write is followed by a sync of the file.
fn honours_dsync(file: &File) -> bool {
    const EXT: u64 = 0xef53;
    const XFS: u64 = 0x5846_5342;
    const BTRFS: u64 = 0x9123_683e;
    const F2FS: u64 = 0xf2f5_2010;
    const TMPFS: u64 = 0x0102_1994;
    rustix::fs::fstatfs(file)
        .is_ok_and(|fs| [EXT, XFS, BTRFS, F2FS, TMPFS].contains(&(fs.f_type as u64)))
}
