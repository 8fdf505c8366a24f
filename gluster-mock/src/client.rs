//! One mount of the volume: its options, its links to the bricks, and its write-behind cache.
//! Cached writes are answered at once; whether they ever reached a brick shows at the next sync,
//! once.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use crate::call::{Ino, Moment};
use crate::command::{Cut, Stillness};
use crate::errno::Errno;
use crate::kind::Set;

/// What one client holds.
#[derive(Debug, Default)]
pub(crate) struct Client {
    /// Write-behind lets everything through (`*-write-behind.pass-through`).
    pub(crate) pass_through: bool,
    /// `*-replicate-*.post-op-delay-secs`, where the client has its own.
    pub(crate) post_op_delay: Option<Duration>,
    /// One a brick.
    pub(crate) links: Vec<Link>,
    /// A graph switch is under way until then.
    pub(crate) switching_until: Moment,
    /// It stands still, and bricks do not know.
    pub(crate) still: Option<Stillness>,
    behind: BTreeMap<Ino, Behind>,
}

/// The connection of a client to a brick.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) connected: bool,
    /// What is lost on the way, and since when.
    pub(crate) cut: Option<(Cut, Moment)>,
    /// When its pings are due, within the ping timeout.
    pub(crate) phase: u64,
    /// A ping is watched.
    pub(crate) watched: bool,
}

/// A file's writes that no brick has seen.
#[derive(Debug, Default)]
pub(crate) struct Behind {
    pub(crate) writes: Vec<(u64, Bytes)>,
    pub(crate) bytes: u64,
    /// What became of writes passed on since the last sync.
    pub(crate) error: Option<Errno>,
}

impl Client {
    pub(crate) fn new(links: Vec<Link>) -> Self {
        Self {
            links,
            ..Self::default()
        }
    }

    /// Takes note of an option. Gluster accepts any key.
    pub(crate) fn set_option(&mut self, xlator: &str, key: &str, value: &str) {
        let named = |name: &str| {
            let pattern = xlator.trim_matches('*').trim_matches('-');
            pattern.is_empty() || pattern == name
        };
        match key.rsplit('.').next().unwrap_or(key) {
            "pass-through" if named("write-behind") => {
                self.pass_through = matches!(value, "true" | "on" | "yes" | "1" | "enable");
            }
            "post-op-delay-secs" if named("replicate") => {
                self.post_op_delay = value.parse().ok().map(Duration::from_secs);
            }
            _ => {}
        }
    }

    /// The bricks it is connected to.
    pub(crate) fn connected(&self) -> Set {
        let mut set = Set::default();
        for (brick, link) in self.links.iter().enumerate() {
            if link.connected {
                set.add(brick);
            }
        }
        set
    }

    pub(crate) fn behind(&mut self, file: Ino) -> &mut Behind {
        self.behind.entry(file).or_default()
    }

    /// Takes a file's cache away, to pass it on or to drop it.
    pub(crate) fn take(&mut self, file: Ino) -> Behind {
        self.behind.remove(&file).unwrap_or_default()
    }

    pub(crate) fn cached(&self, file: Ino) -> &[(u64, Bytes)] {
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
