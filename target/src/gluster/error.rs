//! Why an image on a volume cannot be served, and what to do about it.

use std::io;
use std::path::Path;
use std::time::Duration;

use glfs_sys::LoadError;
use rustix::io::Errno;

use super::Place;
use crate::config::quantity::Bytes;

/// Why an image on a volume cannot be served. The operator must act.
#[derive(Debug, thiserror::Error)]
pub enum GlusterError {
    /// libgfapi is not there, or not the one we know.
    #[error(transparent)]
    Library(#[from] LoadError),
    /// libgfapi is there and the code it loads is not: packagers keep them apart.
    #[error(
        "libgfapi is installed without the translators it loads; install them with: apt-get \
         install glusterfs-common"
    )]
    NoTranslators,
    /// The servers answer and know no such volume, or it is stopped.
    #[error(
        "{servers}: no volume {volume} there, or it is not started; see: gluster volume info; \
         gluster volume start {volume}"
    )]
    NoSuchVolume {
        /// Who was asked.
        servers: String,
        /// For what.
        volume: String,
    },
    /// No server answers.
    #[error(
        "none of {servers} can be reached ({why}); is glusterd running there, and its port open?"
    )]
    Unreachable {
        /// Who was asked.
        servers: String,
        /// What the library said.
        why: io::Error,
    },
    /// A server gave the volume's description, its bricks do not answer: also when it is stopped.
    #[error(
        "volume {volume} of {servers}: too few of its bricks can be reached ({why}); is it \
         started? see: gluster volume status {volume}; gluster volume start {volume}"
    )]
    BricksAway {
        /// Who was asked.
        servers: String,
        /// Which volume.
        volume: String,
        /// What the library said.
        why: io::Error,
    },
    /// The volume is of a newer Gluster than the library.
    #[error(
        "volume {volume} of {servers} needs a newer libgfapi than the one installed here; \
         install one as new as the servers' Gluster"
    )]
    TooOld {
        /// Who was asked.
        servers: String,
        /// Which volume.
        volume: String,
    },
    /// Somebody does not answer at all.
    #[error(
        "{place}: no answer within {} s; a server or a brick hangs or drops packets; \
         see there: gluster volume status", limit.as_secs()
    )]
    NoAnswer {
        /// Which image.
        place: String,
        /// How long we waited.
        limit: Duration,
    },
    /// There is no such file, and no size to make one.
    #[error("{place} does not exist; write {place}?size=10GiB to have it made")]
    Missing {
        /// Which image.
        place: String,
    },
    /// The folder of a file to be made does not exist.
    #[error(
        "{place}: its folder does not exist in the volume; `glintd image create` makes folders"
    )]
    NoFolder {
        /// Which image.
        place: String,
    },
    /// A folder, or something else.
    #[error("{place} is no regular file")]
    NotAnImage {
        /// Which image.
        place: String,
    },
    /// `?size=` says otherwise.
    #[error(
        "{place} has {bytes} bytes, not the {wanted} of ?size={}; change one of the two, nothing \
         is resized here", Bytes(*wanted)
    )]
    SizeMismatch {
        /// Which image.
        place: String,
        /// What it has.
        bytes: u64,
        /// What was asked for.
        wanted: u64,
    },
    /// No blocks.
    #[error("{place} is empty; write {place}?size=10GiB to give it a size")]
    Empty {
        /// Which image.
        place: String,
    },
    /// A last block that is not whole.
    #[error("{place} has {bytes} bytes, which is no multiple of the block size {block_bytes}")]
    Uneven {
        /// Which image.
        place: String,
        /// What it has.
        bytes: u64,
        /// The logical block size.
        block_bytes: u32,
    },
    /// An option of the volume makes answers mean less than they say.
    #[error("volume {volume} of {servers} is not safe to serve disks from: {findings}")]
    Unsafe {
        /// Who was asked.
        servers: String,
        /// Which volume.
        volume: String,
        /// What is wrong with it, and what to do.
        findings: String,
    },
    /// An image was to be made where one is.
    #[error("{place} exists; to begin anew, remove it first: glintd image rm --yes {place}")]
    Exists {
        /// Which image.
        place: String,
    },
    /// The volume has no room for all of it; nothing of it is left.
    #[error(
        "{place}: the volume, or the brick it would be on, has no room for {}, and nothing was made; \
         make room, or leave --preallocate out and grow the volume in time", Bytes(*wanted)
    )]
    NoRoom {
        /// Which image.
        place: String,
        /// What was asked for.
        wanted: u64,
    },
    /// Somebody serves it.
    #[error(
        "{place} is served by a glintd, here or on another node; stop it, or take the LUN out of \
         its configuration first"
    )]
    Served {
        /// Which image.
        place: String,
    },
    /// The image's record cannot be had.
    #[error(
        "{place}: its record {record} in the volume cannot be {what}: {why}; an image's identity \
         is kept there, so .glint/images must be readable and writable and have room"
    )]
    Record {
        /// Which image.
        place: String,
        /// Which file of the volume.
        record: String,
        /// What was tried.
        what: &'static str,
        /// What came of it.
        why: io::Error,
    },
    /// The image's record is not as glintd leaves records.
    #[error(
        "{place}: its record {record} in the volume cannot be used: {what}; the image's identity is in \
         it, so it is not made anew: restore it, or remove it to have the identity derived from \
         the file again"
    )]
    RecordDamaged {
        /// Which image.
        place: String,
        /// Which file of the volume.
        record: String,
        /// What is wrong with it.
        what: String,
    },
    /// Anything else the library or the system said.
    #[error("{place}: {what}: {why}")]
    Io {
        /// Which image.
        place: String,
        /// What was tried.
        what: &'static str,
        /// What came of it.
        why: io::Error,
    },
}

impl GlusterError {
    pub(super) fn io(place: &Place, what: &'static str, why: io::Error) -> Self {
        Self::Io {
            place: place.to_string(),
            what,
            why,
        }
    }

    /// A call that was watched did not come back, or could not be made.
    pub(super) fn no_answer(place: &Place, limit: Duration, why: io::Error) -> Self {
        match why.kind() {
            io::ErrorKind::TimedOut => Self::NoAnswer {
                place: place.to_string(),
                limit,
            },
            _ => Self::io(place, "cannot be opened", why),
        }
    }

    /// What `glfs_init` meant.
    pub(super) fn connect(place: &Place, why: io::Error) -> Self {
        let (servers, volume) = (place.server_list(), place.volume.clone());
        match Errno::from_io_error(&why) {
            Some(Errno::NOENT) if translators_missing() => Self::NoTranslators,
            // 11.1 calls it out of memory (the contract suite, init.no-volume).
            Some(Errno::NOENT | Errno::NOMEM) => Self::NoSuchVolume { servers, volume },
            Some(Errno::NOTSUP) => Self::TooOld { servers, volume },
            Some(Errno::IO) => Self::BricksAway {
                servers,
                volume,
                why,
            },
            _ => Self::Unreachable { servers, why },
        }
    }
}

/// Whether the real library, told by the core library it brings along, has no translators beside
/// it. `glfs_init` says "no such file" then, as it does for an unknown volume.
fn translators_missing() -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let core = maps
        .lines()
        .filter_map(|line| line.find('/').map(|at| Path::new(&line[at..])))
        .find(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with("libglusterfs.so"))
        });
    let Some(folder) = core.and_then(Path::parent) else {
        return false;
    };
    let Ok(versions) = folder.join("glusterfs").read_dir() else {
        return true;
    };
    !versions
        .flatten()
        .any(|version| version.path().join("xlator/mount/api.so").exists())
}
