//! One mount of the volume: its options, and its write-behind cache. Cached writes are answered at
//! once; whether they ever reached a brick shows at the next sync, once.

use std::collections::BTreeMap;

use crate::call::Ino;
use crate::errno::Errno;

/// What one client holds.
#[derive(Debug, Default)]
pub(crate) struct Client {
    /// Write-behind lets everything through (`*-write-behind.pass-through`).
    pub(crate) pass_through: bool,
    behind: BTreeMap<Ino, Behind>,
}

/// A file's writes that no brick has seen.
#[derive(Debug, Default)]
pub(crate) struct Behind {
    pub(crate) writes: Vec<(u64, Vec<u8>)>,
    pub(crate) bytes: u64,
    /// What became of writes passed on since the last sync.
    pub(crate) error: Option<Errno>,
}

impl Client {
    /// Takes note of an option. Gluster accepts any key.
    pub(crate) fn set_option(&mut self, xlator: &str, key: &str, value: &str) {
        let meant = matches!(xlator, "*-write-behind" | "*write-behind" | "*");
        if meant && matches!(key, "pass-through" | "write-behind.pass-through") {
            self.pass_through = matches!(value, "true" | "on" | "yes" | "1" | "enable");
        }
    }

    pub(crate) fn behind(&mut self, file: Ino) -> &mut Behind {
        self.behind.entry(file).or_default()
    }

    /// Takes a file's cache away, to pass it on or to drop it.
    pub(crate) fn take(&mut self, file: Ino) -> Behind {
        self.behind.remove(&file).unwrap_or_default()
    }

    pub(crate) fn cached(&self, file: Ino) -> &[(u64, Vec<u8>)] {
        self.behind.get(&file).map_or(&[], |behind| &behind.writes)
    }

    /// The files this client has something to tell about.
    pub(crate) fn files(&self) -> Vec<Ino> {
        self.behind.keys().copied().collect()
    }

    /// Where the file ends as far as the cached writes go.
    pub(crate) fn end(&self, file: Ino) -> u64 {
        let ends = self
            .cached(file)
            .iter()
            .map(|(at, bytes)| at + bytes.len() as u64);
        ends.max().unwrap_or(0)
    }
}
