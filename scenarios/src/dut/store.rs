//! What the LUNs of glintd are kept in, and the words glintd has for it. Knows no scenarios.

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::str::FromStr;

use tempfile::TempDir;

use super::DutError;
use crate::fake::FakeVolume;
use crate::scenario::Need;

/// What the LUNs are kept in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Store {
    /// Memory.
    Mem,
    /// Files in a folder that goes away with the device.
    File,
    /// The fake Gluster, through libgfapi's symbols.
    #[default]
    Fake,
    /// A Gluster volume, `SERVER[,SERVER]/VOLUME`. Its images stay, for the next run to use.
    Gluster(String),
}

impl Store {
    /// What a store looks like.
    pub const ALLOWED: &'static str = "mem, file, fake, or gluster://SERVER[,SERVER]/VOLUME";

    /// What a device can be put through because of its store.
    pub(super) fn capabilities(&self) -> &'static [Need] {
        match self {
            Self::Mem => &[],
            Self::File | Self::Gluster(_) => &[Need::Restart],
            Self::Fake => &[Need::Restart, Need::PowerCut, Need::Faults],
        }
    }
}

impl FromStr for Store {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("no such store; there are {}", Self::ALLOWED);
        match text {
            "mem" => Ok(Self::Mem),
            "file" => Ok(Self::File),
            "fake" => Ok(Self::Fake),
            _ => {
                let place = text.strip_prefix("gluster://").ok_or_else(unknown)?;
                let place = place.trim_end_matches('/');
                match place.split_once('/') {
                    Some((servers, volume))
                        if !servers.is_empty() && !volume.is_empty() && !volume.contains('/') =>
                    {
                        Ok(Self::Gluster(place.to_owned()))
                    }
                    _ => Err(unknown()),
                }
            }
        }
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mem => f.write_str("mem"),
            Self::File => f.write_str("file"),
            Self::Fake => f.write_str("fake"),
            Self::Gluster(place) => write!(f, "gluster://{place}"),
        }
    }
}

/// The place where the images of one glintd are.
#[derive(Debug)]
pub(crate) enum Backing {
    Mem,
    Files(TempDir),
    Fake(FakeVolume),
    Gluster(String),
}

impl Backing {
    /// Makes the place. `fake` is the shared object and `settings` the kind of its volume; both
    /// are nothing to other stores.
    pub(crate) fn of(store: &Store, fake: Option<&Path>, settings: &str) -> Result<Self, DutError> {
        Ok(match (store, fake) {
            (Store::Mem, _) => Self::Mem,
            (Store::File, _) => {
                Self::Files(tempfile::tempdir().map_err(DutError::io("make a folder for LUNs"))?)
            }
            (Store::Fake, Some(object)) => Self::Fake(FakeVolume::of(object, settings)?),
            (Store::Fake, None) => Self::Fake(FakeVolume::new(settings)?),
            (Store::Gluster(place), _) => Self::Gluster(place.clone()),
        })
    }

    /// An image of that name in glintd's words, made when it is missing.
    pub(crate) fn lun(&self, name: &str, bytes: u64) -> String {
        match self {
            Self::Mem => format!("mem:{bytes}"),
            Self::Files(folder) => {
                let path = folder.path().join(name);
                format!("file:{}.img?size={bytes}", path.display())
            }
            Self::Fake(volume) => volume.store(&format!("{name}.img"), bytes),
            Self::Gluster(place) => {
                format!("gluster://{place}/glint-scenarios.{name}.img?size={bytes}")
            }
        }
    }

    /// Lets glintd find it.
    pub(crate) fn lend(&self, command: &mut Command) {
        if let Self::Fake(volume) = self {
            volume.lend(command);
        }
    }

    /// The volume, where it is a fake one.
    pub(crate) fn fake(&self) -> Option<&FakeVolume> {
        match self {
            Self::Fake(volume) => Some(volume),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_what_it_says() {
        for text in ["mem", "file", "fake", "gluster://g1,g2:24008/vol"] {
            let store: Store = text.parse().unwrap();
            assert_eq!(store.to_string(), text);
        }
        let trailing: Store = "gluster://g1/vol/".parse().unwrap();
        assert_eq!(trailing, Store::Gluster("g1/vol".to_owned()));
        for wrong in [
            "",
            "ram",
            "gluster://",
            "gluster://g1",
            "gluster://g1/vol/a",
        ] {
            let why = wrong.parse::<Store>().unwrap_err();
            assert!(why.contains("gluster://SERVER"), "{why}");
        }
    }
}
