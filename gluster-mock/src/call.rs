//! The words calls are made of: what is asked, what is answered, and the time it happens at.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use crate::errno::Errno;

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
#[cfg_attr(feature = "wire", derive(serde::Serialize, serde::Deserialize))]
pub struct Ino(pub u64);

/// One mount of the volume: what a `glfs_t` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "wire", derive(serde::Serialize, serde::Deserialize))]
pub struct ClientId(pub u32);

/// What a sync is to cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "wire", derive(serde::Serialize, serde::Deserialize))]
pub enum SyncKind {
    /// The data: fdatasync.
    Data,
    /// With them all that is known of the file: fsync.
    All,
}

/// An open file of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "wire", derive(serde::Serialize, serde::Deserialize))]
pub struct Handle {
    /// Which handle; no other of the volume has this number.
    pub id: u64,
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
#[cfg_attr(feature = "wire", derive(serde::Serialize, serde::Deserialize))]
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
#[cfg_attr(feature = "wire", derive(serde::Serialize, serde::Deserialize))]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What is left.
    pub free: u64,
}

/// O_DSYNC, which is a part of O_SYNC.
pub const O_DSYNC: i32 = 0o10000;

/// What a call is about, where it can be named in two ways.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "wire", derive(serde::Serialize, serde::Deserialize))]
pub enum Place {
    /// A path from the root.
    Path(String),
    /// An open file.
    Handle(Handle),
}

/// How a name may be given to an extended attribute that is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "wire", derive(serde::Serialize, serde::Deserialize))]
pub enum XattrMode {
    /// New or old.
    Any,
    /// EEXIST where it is already set.
    Create,
    /// ENODATA where it is not.
    Replace,
}

/// What a lock call asks for (`fcntl`'s F_GETLK, F_SETLK, F_SETLKW).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "wire", derive(serde::Serialize, serde::Deserialize))]
pub enum LockVerb {
    /// Who is in the way.
    Get,
    /// Take or give back; EAGAIN where somebody is in the way.
    Set,
    /// The same, waiting.
    SetWait,
}

/// `l_type` of `struct flock`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "wire", derive(serde::Serialize, serde::Deserialize))]
pub enum LockType {
    /// F_RDLCK.
    Read,
    /// F_WRLCK.
    Write,
    /// F_UNLCK.
    Unlock,
}

/// A lock call: `glfs_file_lock`, `glfs_posix_lock`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "wire", derive(serde::Serialize, serde::Deserialize))]
pub struct LockCall {
    /// What is asked.
    pub verb: LockVerb,
    /// Of what type.
    pub kind: LockType,
    /// On which bytes; to `u64::MAX` for "to the end, wherever that is".
    pub range: Range<u64>,
    /// GLFS_LK_MANDATORY.
    pub mandatory: bool,
    /// `lk_owner`; the client itself where none was set.
    pub owner: Option<Vec<u8>>,
}

/// One call of libgfapi on a volume, everything it needs included.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "wire", derive(serde::Serialize, serde::Deserialize))]
#[allow(missing_docs)]
pub enum Call {
    /// `glfs_init`, with the translators' options set before. Whoever is named by the client number
    /// does not count: the answer is the new client's.
    Init {
        options: Vec<[String; 3]>,
    },
    /// `glfs_fini`.
    Fini,
    Open {
        path: String,
        flags: i32,
    },
    Create {
        path: String,
        flags: i32,
        mode: u32,
    },
    Duplicate {
        handle: Handle,
    },
    Close {
        handle: Handle,
    },
    Read {
        handle: Handle,
        at: u64,
        len: usize,
    },
    /// `flags` may have O_DSYNC.
    Write {
        handle: Handle,
        at: u64,
        flags: i32,
        bytes: Bytes,
        owner: Option<Vec<u8>>,
    },
    Sync {
        handle: Handle,
        kind: SyncKind,
    },
    Truncate {
        place: Place,
        size: u64,
    },
    Discard {
        handle: Handle,
        range: Range<u64>,
    },
    Zerofill {
        handle: Handle,
        range: Range<u64>,
    },
    Fallocate {
        handle: Handle,
        range: Range<u64>,
        keep_size: bool,
    },
    /// SEEK_DATA, or SEEK_HOLE.
    Seek {
        handle: Handle,
        at: u64,
        hole: bool,
    },
    Stat {
        place: Place,
    },
    Space {
        path: String,
    },
    Link {
        from: String,
        to: String,
    },
    Rename {
        from: String,
        to: String,
    },
    Unlink {
        path: String,
    },
    Mkdir {
        path: String,
        mode: u32,
    },
    Rmdir {
        path: String,
    },
    List {
        path: String,
    },
    GetXattr {
        place: Place,
        name: String,
    },
    ListXattrs {
        place: Place,
    },
    SetXattr {
        place: Place,
        name: String,
        value: Vec<u8>,
        mode: XattrMode,
    },
    RemoveXattr {
        place: Place,
        name: String,
    },
    Lock {
        handle: Handle,
        lock: LockCall,
    },
}

/// What a call earns.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "wire", derive(serde::Serialize, serde::Deserialize))]
#[allow(missing_docs)]
pub enum Reply {
    Done,
    Client(ClientId),
    Handle(Handle),
    /// Bytes read, or an attribute's value.
    Bytes(#[cfg_attr(feature = "wire", serde(with = "serde_bytes"))] Vec<u8>),
    /// Bytes written, or an offset.
    Count(u64),
    Attributes(Attributes),
    Space(Space),
    Names(Vec<(String, Attributes)>),
    /// Names of attributes.
    Xattrs(Vec<String>),
    /// What a lock call leaves in `struct flock`: who is in the way, or nobody.
    Lock(Option<(LockType, Range<u64>)>),
}

/// How a call ended.
pub type Answer = Result<Reply, Errno>;

/// A call in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What becomes of a call that is handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// It did not have to wait.
    Answered(Answer),
    /// It does; its answer is among [`crate::Volume::answers`] one day.
    Pending(Ticket),
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
    Lock "lock",
}

impl Call {
    /// Its kind.
    pub fn kind(&self) -> OpKind {
        match self {
            Self::Init { .. } => OpKind::Init,
            Self::Fini => OpKind::Fini,
            Self::Open { .. } | Self::Duplicate { .. } => OpKind::Open,
            Self::Create { .. } => OpKind::Creat,
            Self::Close { .. } => OpKind::Close,
            Self::Read { .. } => OpKind::Read,
            Self::Write { .. } => OpKind::Write,
            Self::Sync { .. } => OpKind::Sync,
            Self::Truncate { .. } => OpKind::Truncate,
            Self::Discard { .. } => OpKind::Discard,
            Self::Zerofill { .. } => OpKind::Zerofill,
            Self::Fallocate { .. } => OpKind::Fallocate,
            Self::Seek { .. } => OpKind::Seek,
            Self::Stat { .. } => OpKind::Stat,
            Self::Space { .. } => OpKind::Statvfs,
            Self::Link { .. } => OpKind::Link,
            Self::Rename { .. } => OpKind::Rename,
            Self::Unlink { .. } => OpKind::Unlink,
            Self::Mkdir { .. } => OpKind::Mkdir,
            Self::Rmdir { .. } => OpKind::Rmdir,
            Self::List { .. } => OpKind::Readdir,
            Self::GetXattr { .. }
            | Self::ListXattrs { .. }
            | Self::SetXattr { .. }
            | Self::RemoveXattr { .. } => OpKind::Xattr,
            Self::Lock { .. } => OpKind::Lock,
        }
    }

    /// The handle it is about, where it has one.
    pub fn handle(&self) -> Option<Handle> {
        match self {
            Self::Duplicate { handle }
            | Self::Close { handle }
            | Self::Read { handle, .. }
            | Self::Write { handle, .. }
            | Self::Sync { handle, .. }
            | Self::Discard { handle, .. }
            | Self::Zerofill { handle, .. }
            | Self::Fallocate { handle, .. }
            | Self::Seek { handle, .. }
            | Self::Lock { handle, .. } => Some(*handle),
            Self::Truncate { place, .. }
            | Self::Stat { place }
            | Self::GetXattr { place, .. }
            | Self::ListXattrs { place }
            | Self::SetXattr { place, .. }
            | Self::RemoveXattr { place, .. } => match place {
                Place::Handle(handle) => Some(*handle),
                Place::Path(_) => None,
            },
            _ => None,
        }
    }

    /// The path it is about, where it has one.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Open { path, .. }
            | Self::Create { path, .. }
            | Self::Space { path }
            | Self::Link { from: path, .. }
            | Self::Rename { from: path, .. }
            | Self::Unlink { path }
            | Self::Mkdir { path, .. }
            | Self::Rmdir { path }
            | Self::List { path } => Some(path),
            Self::Truncate { place, .. }
            | Self::Stat { place }
            | Self::GetXattr { place, .. }
            | Self::ListXattrs { place }
            | Self::SetXattr { place, .. }
            | Self::RemoveXattr { place, .. } => match place {
                Place::Path(path) => Some(path),
                Place::Handle(_) => None,
            },
            _ => None,
        }
    }
}
