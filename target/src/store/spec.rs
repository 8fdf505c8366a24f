//! The text that says which store: `mem:1GiB`, `file:/srv/disk.img`, `file:disk.img?size=10GiB`,
//! `gluster://server/volume/disk.img?size=10GiB`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::FileStore;
use super::mem::MemStore;
use super::{Settings, Store};
use crate::config::Unfit;
use crate::config::quantity;
use crate::gluster::{GlusterError, GlusterStore, Place};

/// Largest disk in memory: its chunk directory stays small, and nobody has more.
const MEM_BYTES_MAX: u64 = 64 << 40;

/// Largest image: what every supported file system can hold.
const FILE_BYTES_MAX: u64 = 8 << 60;

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreSpec {
    /// In memory.
    Mem {
        /// Size.
        bytes: u64,
    },
    /// In a file or block device.
    File {
        /// Which, as an absolute path.
        path: PathBuf,
        /// Make it this large when it is missing, refuse another size when it is not.
        create_bytes: Option<u64>,
    },
    /// In a file of a Gluster volume.
    Gluster {
        /// Which, and who to ask for it.
        place: Place,
        /// As for a file.
        create_bytes: Option<u64>,
    },
}

impl StoreSpec {
    /// What a specification looks like, for messages.
    pub const ALLOWED: &'static str = "file:PATH, file:PATH?size=10GiB (made when missing), gluster://SERVER/VOLUME/PATH or mem:1GiB";

    /// Reads a specification.
    pub fn parse(text: &str) -> Result<Self, Unfit> {
        let unfit = |what: String| Unfit::new(what, Self::ALLOWED);
        match text.split_once(':') {
            Some(("mem", size)) => Ok(Self::Mem {
                bytes: size_of(size, MEM_BYTES_MAX)?,
            }),
            Some(("gluster", rest)) => {
                let Some(rest) = rest.strip_prefix("//") else {
                    let what = format!("\"{text}\" has no servers");
                    return Err(Unfit::new(what, Place::ALLOWED));
                };
                let (place, create_bytes) = with_size(rest, Place::ALLOWED)?;
                Ok(Self::Gluster {
                    place: Place::parse(place)?,
                    create_bytes,
                })
            }
            Some(("file", rest)) => {
                let (path, create_bytes) = with_size(rest, Self::ALLOWED)?;
                if path.is_empty() {
                    return Err(unfit("no path after \"file:\"".to_owned()));
                }
                let path = std::path::absolute(path)
                    .map_err(|why| unfit(format!("\"{path}\" is no path: {why}")))?;
                Ok(Self::File { path, create_bytes })
            }
            _ => Err(unfit(format!("\"{text}\" is no store"))),
        }
    }

    /// Whether the size it gives, if any, is whole blocks.
    pub fn fits(&self, block_size: block::BlockSize) -> Result<(), Unfit> {
        let (Self::Mem { bytes }
        | Self::File {
            create_bytes: Some(bytes),
            ..
        }
        | Self::Gluster {
            create_bytes: Some(bytes),
            ..
        }) = self
        else {
            return Ok(());
        };
        match bytes % u64::from(block_size.bytes()) {
            0 => Ok(()),
            _ => Err(Unfit::new(
                format!("{bytes} bytes are no whole number of blocks"),
                format!("a multiple of {} bytes", block_size.bytes()),
            )),
        }
    }

    /// The size an image must have, if it says so.
    pub fn image_bytes(&self) -> Option<u64> {
        match self {
            Self::Mem { .. } => None,
            Self::File { create_bytes, .. } | Self::Gluster { create_bytes, .. } => *create_bytes,
        }
    }

    /// The same store, whatever size it has.
    pub fn without_size(&self) -> Self {
        let mut bare = self.clone();
        if let Self::File { create_bytes, .. } | Self::Gluster { create_bytes, .. } = &mut bare {
            *create_bytes = None;
        }
        bare
    }

    /// Where it is, without its size. An image on Gluster can have other names as well: who it is
    /// its volume knows ([`Store::image`]).
    pub fn place(&self) -> String {
        match self {
            Self::Mem { .. } => "mem:".to_owned(),
            Self::File { path, .. } => format!("file:{}", path.display()),
            Self::Gluster { place, .. } => place.to_string(),
        }
    }

    /// The image that nobody else may have at the same time; memory is nobody else's anyway.
    pub fn image(&self) -> Option<String> {
        match self {
            Self::Mem { .. } => None,
            Self::File { .. } => Some(self.place()),
            Self::Gluster { place, .. } => Some(place.image()),
        }
    }

    /// Opens it.
    pub fn open(&self, settings: &Settings) -> Result<Arc<dyn Store>, OpenError> {
        Ok(match self {
            Self::Mem { bytes } => Arc::new(MemStore::new(*bytes, settings)),
            Self::File { path, create_bytes } => {
                Arc::new(FileStore::open(path, *create_bytes, settings)?)
            }
            Self::Gluster {
                place,
                create_bytes,
            } => Arc::new(GlusterStore::open(place, *create_bytes, settings)?),
        })
    }
}

impl fmt::Display for StoreSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mem { bytes } => write!(f, "mem:{}", quantity::Bytes(*bytes)),
            Self::File { path, .. } => write!(f, "file:{}", path.display()),
            Self::Gluster { place, .. } => place.fmt(f),
        }
    }
}

/// `PLACE` or `PLACE?size=SIZE`.
fn with_size<'a>(text: &'a str, allowed: &str) -> Result<(&'a str, Option<u64>), Unfit> {
    let Some((place, query)) = text.split_once('?') else {
        return Ok((text, None));
    };
    match query.split_once('=') {
        Some(("size", size)) => Ok((place, Some(size_of(size, FILE_BYTES_MAX)?))),
        _ => Err(Unfit::new(
            format!("\"?{query}\" means nothing here"),
            allowed,
        )),
    }
}

fn size_of(text: &str, max: u64) -> Result<u64, Unfit> {
    match quantity::bytes(text)? {
        0 => Err(Unfit::new("a disk of 0 bytes", quantity::BYTES_ALLOWED)),
        bytes if bytes > max => Err(Unfit::new(
            format!("{text} is too large"),
            format!("at most {}", quantity::Bytes(max)),
        )),
        bytes => Ok(bytes),
    }
}

/// Why an image cannot be served. The operator must act.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system said no.
    #[error("{}: {why}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        why: io::Error,
    },
    /// There is no such file, and no size to make one.
    #[error("{} does not exist; write file:{}?size=10GiB to have it made", path.display(), path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A folder, a socket, a terminal.
    #[error("{} is neither a regular file nor a block device", path.display())]
    NotAnImage {
        /// The file.
        path: PathBuf,
    },
    /// Somebody else has it locked.
    #[error("{} is in use by another process (it holds the lock)", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// `?size=` says otherwise.
    #[error(
        "{} has {bytes} bytes, not the {wanted} of ?size={}; change one of the two, nothing is resized here",
        path.display(),
        quantity::Bytes(*wanted)
    )]
    SizeMismatch {
        /// The file.
        path: PathBuf,
        /// What it has.
        bytes: u64,
        /// What was asked for.
        wanted: u64,
    },
    /// No blocks.
    #[error("{} is empty; write file:{}?size=10GiB to give it a size", path.display(), path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A last block that is not whole.
    #[error("{} has {bytes} bytes, which is no multiple of the block size {block_bytes}", path.display())]
    Uneven {
        /// The file.
        path: PathBuf,
        /// What it has.
        bytes: u64,
        /// The logical block size.
        block_bytes: u32,
    },
    /// It is on a Gluster volume.
    #[error(transparent)]
    Gluster(#[from] GlusterError),
}

impl OpenError {
    pub(super) fn io(path: &Path, why: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            why,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_store() {
        assert_eq!(
            StoreSpec::parse("mem:1GiB"),
            Ok(StoreSpec::Mem { bytes: 1 << 30 })
        );
        assert_eq!(
            StoreSpec::parse("file:/srv/a.img?size=10GiB"),
            Ok(StoreSpec::File {
                path: "/srv/a.img".into(),
                create_bytes: Some(10 << 30)
            })
        );
        let Ok(StoreSpec::File {
            path,
            create_bytes: None,
        }) = StoreSpec::parse("file:a.img")
        else {
            panic!("a relative path is fine");
        };
        assert!(path.is_absolute());
        let gluster = StoreSpec::parse("gluster://g1,g2:24008/disks/vm/a.img?size=10GiB");
        let Ok(StoreSpec::Gluster {
            place,
            create_bytes: Some(0x2_8000_0000),
        }) = gluster
        else {
            panic!("{gluster:?}");
        };
        assert_eq!(place.to_string(), "gluster://g1,g2:24008/disks/vm/a.img");
    }

    #[test]
    fn what_is_not() {
        let cases = [
            "",
            "mem:",
            "mem:1GB",
            "mem:0",
            "file:",
            "file:a?sise=1GiB",
            "ram:1GiB",
            "gluster:g1/disks/a",
            "gluster://g1/disks",
            "gluster://g1/disks/a?sise=1GiB",
            "gluster://g1/disks/a?size=0",
            "a",
        ];
        for text in cases {
            assert!(StoreSpec::parse(text).is_err(), "{text}");
        }
    }
}
