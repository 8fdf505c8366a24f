//! A volume of three bricks: its options, its faults, what its bricks hold.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::container::poll;
use super::{Cluster, ClusterError};

/// Every brick holds every file: `replica 3`.
pub const BRICKS: [&str; 3] = ["a", "b", "c"];

/// What we recommend for block storage: Gluster's own group `gluster-block` without shard (which
/// drops O_DSYNC and fencing), with nothing that caches on the client's side, and with the threads
/// of a machine of two cores.
const OPTIONS: [(&str, &str); 23] = [
    ("features.shard", "off"),
    ("performance.write-behind", "off"),
    ("performance.flush-behind", "off"),
    ("performance.quick-read", "off"),
    ("performance.read-ahead", "off"),
    ("performance.io-cache", "off"),
    ("performance.stat-prefetch", "off"),
    ("performance.open-behind", "off"),
    ("performance.readdir-ahead", "off"),
    ("performance.strict-o-direct", "on"),
    ("performance.client-io-threads", "on"),
    ("network.remote-dio", "disable"),
    ("network.ping-timeout", "10"),
    ("cluster.eager-lock", "enable"),
    ("cluster.quorum-type", "auto"),
    ("cluster.server-quorum-type", "server"),
    ("cluster.data-self-heal-algorithm", "full"),
    ("cluster.locking-scheme", "granular"),
    ("cluster.choose-local", "off"),
    ("cluster.lookup-optimize", "off"),
    ("client.event-threads", "1"),
    ("server.event-threads", "1"),
    ("server.allow-insecure", "on"),
];

/// All bricks of a volume that was started are there within a second.
const ONLINE_LIMIT: Duration = Duration::from_secs(30);
/// A heal of some mebibytes takes two seconds; the daemon looks every so often.
const HEAL_LIMIT: Duration = Duration::from_secs(60);

/// A volume, for as long as its cluster lives.
pub struct Volume {
    cluster: Arc<Cluster>,
    name: String,
}

impl Volume {
    pub(super) fn create(cluster: Arc<Cluster>, name: &str) -> Result<Self, ClusterError> {
        let address = cluster.address();
        let volume = Self {
            cluster,
            name: name.to_owned(),
        };
        let bricks = BRICKS.map(|brick| format!("{address}:{}", volume.brick(brick)));
        volume
            .cluster
            .run(&["mkdir", "-p", &format!("/data/{name}")])?;
        let [a, b, c] = &bricks;
        let create = ["volume", "create", name, "replica", "3", a, b, c, "force"];
        volume.cluster.gluster(&create)?;
        let options = OPTIONS.iter().flat_map(|(key, value)| [*key, *value]);
        let set: Vec<&str> = ["volume", "set", name].into_iter().chain(options).collect();
        volume.cluster.gluster(&set)?;
        volume.start()?;
        Ok(volume)
    }

    /// In glintd's words: `SERVER/VOLUME`.
    pub fn place(&self) -> String {
        format!("{}/{}", self.cluster.address(), self.name)
    }

    /// An image in it in glintd's words, made when it is missing.
    pub fn store(&self, image: &str, size: &str) -> String {
        format!("gluster://{}/{image}?size={size}", self.place())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// Sets an option.
    pub fn set(&self, key: &str, value: &str) -> Result<(), ClusterError> {
        let words = ["volume", "set", &self.name, key, value];
        self.cluster.gluster(&words).map(drop)
    }

    /// Starts it, or the bricks of it that are away, and waits until all are there.
    pub fn start(&self) -> Result<(), ClusterError> {
        self.cluster
            .gluster(&["volume", "start", &self.name, "force"])?;
        self.await_bricks()
    }

    /// Stops it, whoever uses it.
    pub fn stop(&self) -> Result<(), ClusterError> {
        let words = ["volume", "stop", &self.name, "force"];
        self.cluster.gluster(&words).map(drop)
    }

    /// SIGKILL for these bricks, one right after the other.
    pub fn kill_bricks(&self, bricks: &[&str]) -> Result<(), ClusterError> {
        let file = |brick: &&str| {
            format!(
                "/var/run/gluster/vols/{name}/{address}-data-{name}-{brick}.pid",
                name = self.name,
                address = self.cluster.address()
            )
        };
        let files: Vec<String> = bricks.iter().map(file).collect();
        let kill = format!("kill -9 $(cat {})", files.join(" "));
        self.cluster.run(&["sh", "-c", &kill]).map(drop)
    }

    /// Has the bricks healed and waits until they hold the same again. The daemon that heals looks
    /// by itself only when a brick comes back and every ten minutes, and may look too early.
    pub fn heal(&self) -> Result<(), ClusterError> {
        let words = ["volume", "heal", &self.name, "info", "summary"];
        poll("everything is healed", HEAL_LIMIT, || {
            // Refused while the daemon that heals is starting.
            let heal = self.cluster.gluster(&["volume", "heal", &self.name]);
            let said = match heal.and_then(|_| self.cluster.gluster(&words)) {
                Ok(said) => said,
                Err(ClusterError::Command { output, .. }) => return Ok(Some(output)),
                Err(why) => return Err(why),
            };
            let counts = said
                .lines()
                .filter_map(|line| line.strip_prefix("Total Number of entries:"));
            let clean = counts.filter(|count| count.trim() == "0").count();
            Ok((clean != BRICKS.len()).then_some(said))
        })
    }

    /// The SHA-256 of a file on each brick, each different one once.
    pub fn sums(&self, image: &str) -> Result<BTreeSet<String>, ClusterError> {
        let files = BRICKS.map(|brick| format!("{}/{image}", self.brick(brick)));
        let [a, b, c] = &files;
        let said = self.cluster.run(&["sha256sum", a, b, c])?;
        let sums = said.lines().filter_map(|line| line.split(' ').next());
        Ok(sums.map(str::to_owned).collect())
    }

    /// The folder of a brick in the container.
    fn brick(&self, brick: &str) -> String {
        format!("/data/{}/{brick}", self.name)
    }

    fn await_bricks(&self) -> Result<(), ClusterError> {
        let words = ["volume", "status", &self.name, "detail"];
        poll("all bricks are online", ONLINE_LIMIT, || {
            let said = self.cluster.gluster(&words)?;
            let is_online = |line: &&str| {
                line.split_once(':')
                    .is_some_and(|(key, value)| key.trim() == "Online" && value.trim() == "Y")
            };
            let online = said.lines().filter(is_online).count();
            Ok((online != BRICKS.len()).then_some(said))
        })
    }
}
