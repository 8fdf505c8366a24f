//! The words calls are made of: kinds, handles, and the time they happen at.

use std::time::Duration;

/// Nanoseconds since some start. Only the one who calls knows which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// That much later.
    pub fn after(self, delay: Duration) -> Self {
        let nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

/// A file or directory of a volume, as long as the volume is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ino(pub u64);

/// One mount of the volume: what a `glfs_t` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientId(pub u32);

/// What a sync is to cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncKind {
    /// The data: fdatasync.
    Data,
    /// With them all that is known of the file: fsync.
    All,
}

/// An open file of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle {
    /// Who opened it.
    pub client: ClientId,
    /// What.
    pub file: Ino,
    /// Opened with O_SYNC or O_DSYNC.
    pub sync: bool,
    /// Opened with O_DIRECT.
    pub direct: bool,
    /// Opened for reading.
    pub readable: bool,
    /// Opened for writing.
    pub writable: bool,
}

/// What `stat` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Which file.
    pub file: Ino,
    /// The number clients are told: half of the file's gfid, the same for as long as there is the
    /// volume, whatever the file is called.
    pub number: u64,
    /// How many names it has.
    pub links: u64,
    /// Length in bytes.
    pub size: u64,
    /// Bytes allocated.
    pub allocated: u64,
    /// Permission bits.
    pub mode: u32,
    /// Whether it is a directory.
    pub directory: bool,
}

/// Space of the volume, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What is left.
    pub free: u64,
}

macro_rules! kinds {
    ($($kind:ident $name:literal,)*) => {
        /// What is asked of a volume, as far as plans and traces tell calls apart.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs)]
        pub enum OpKind { $($kind),* }

        impl OpKind {
            /// Its name in plans.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),* }
            }

            /// The kind of that name.
            pub fn named(name: &str) -> Option<Self> {
                [$(Self::$kind),*].into_iter().find(|kind| kind.name() == name)
            }
        }
    };
}

kinds! {
    Init "init",
    Fini "fini",
    Open "open",
    Creat "creat",
    Close "close",
    Read "read",
    Write "write",
    Sync "fsync",
    Truncate "truncate",
    Discard "discard",
    Zerofill "zerofill",
    Fallocate "fallocate",
    Seek "seek",
    Stat "stat",
    Statvfs "statvfs",
    Link "link",
    Unlink "unlink",
    Rename "rename",
    Mkdir "mkdir",
    Rmdir "rmdir",
    Readdir "readdir",
    Xattr "xattr",
}
