//! What a volume is like: one `key = value` a line, `#` begins a comment.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::command::duration;
use crate::kind::Kind;
use crate::locks::Mandatory;

/// Settings of a volume. The defaults are a healthy volume as Gluster makes it: write-behind on,
/// room for everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What chance begins from.
    pub seed: u64,
    /// Bricks (`replica`, or `bricks` where the type is another).
    pub bricks: u32,
    /// `replica`, `arbiter`, `disperse` or `distribute` (`type`).
    pub kind: Kind,
    /// Bytes a brick holds; `None` is without bound (`capacity`).
    pub capacity: Option<u64>,
    /// Whether the volume has the write-behind translator (`write-behind`).
    pub write_behind: bool,
    /// Bytes a client caches per file before it passes on the oldest (`write-behind-window`).
    pub window: u64,
    /// Shard size; 0 for whole files (`shard`).
    pub shard: u64,
    /// Whether zerofill is known; not on dispersed volumes (`zerofill`).
    pub zerofill: bool,
    /// What offsets and lengths of O_DIRECT handles must be multiples of; 1 for anything
    /// (`direct-alignment`).
    pub direct_alignment: u64,
    /// How many bricks must take a write, in the volume's words: `auto`, `none`, a number, or empty
    /// where the volume does not say (`quorum`). Told to clients; the model itself counts as `auto`.
    pub quorum: String,
    /// Told to clients, in seconds (`ping-timeout`).
    pub ping_timeout: u64,
    /// Told to clients, in seconds (`frame-timeout`).
    pub frame_timeout: u64,
    /// Whether clients are told to drop O_DIRECT (`remote-dio`).
    pub remote_dio: bool,
    /// Whether data that are synced are durable; a brick without it lies about fdatasync and O_DSYNC
    /// alike, and tells the truth about fsync (`sync`).
    pub sync: bool,
    /// Translators beside those that every volume has here, as clients are told.
    pub translators: BTreeSet<String>,
    /// The write-behind window as clients are told.
    pub window_told: String,
    /// `locks.mandatory-locking` (`mandatory-locking`).
    pub mandatory: Mandatory,
    /// `features.enforce-mandatory-lock` (`enforce-mandatory-lock`).
    pub enforce: bool,
    /// How long a client keeps a replicated file's inode lock after a change, unless it has its own
    /// idea (`post-op-delay`).
    pub post_op_delay: Duration,
    /// When bricks notice that a client's host is off (`tcp-user-timeout`).
    pub tcp_user_timeout: Duration,
    /// How soon a client finds a brick again that is back (`reconnect`).
    pub reconnect: Duration,
    /// From then until self-heal has done its work (`heal-delay`).
    pub heal_delay: Duration,
    /// Of 100 un-synced pages, how many a power cut loses whole (`lost`).
    pub lost_percent: u8,
    /// Of 100 un-synced pages, how many a power cut tears; the rest survives (`torn`).
    pub torn_percent: u8,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            bricks: 1,
            kind: Kind::Replica,
            capacity: None,
            write_behind: true,
            window: 1 << 20,
            shard: 0,
            zerofill: true,
            direct_alignment: 512,
            quorum: "auto".to_owned(),
            ping_timeout: 10,
            frame_timeout: 1800,
            remote_dio: false,
            sync: true,
            translators: BTreeSet::new(),
            window_told: "1MB".to_owned(),
            mandatory: Mandatory::Off,
            enforce: false,
            post_op_delay: Duration::from_secs(1),
            tcp_user_timeout: Duration::from_secs(42),
            reconnect: Duration::from_secs(1),
            heal_delay: Duration::ZERO,
            lost_percent: 50,
            torn_percent: 25,
        }
    }
}

impl Settings {
    /// Reads settings; what the text does not say keeps its default. The error says which line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut settings = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                settings
                    .set(line)
                    .ok_or_else(|| format!("line {}: not a setting: {line}", index + 1))?;
            }
        }
        let unsynced = u32::from(settings.lost_percent) + u32::from(settings.torn_percent);
        if unsynced > 100 {
            return Err("lost and torn together are more than 100 percent".to_owned());
        }
        Ok(settings)
    }

    fn set(&mut self, line: &str) -> Option<()> {
        let (key, value) = line.split_once('=')?;
        let value = value.trim();
        let number = || value.parse::<u64>().ok();
        let percent = || number().filter(|&n| n <= 100).map(|n| n as u8);
        let switch = || match value {
            "on" | "true" => Some(true),
            "off" | "false" => Some(false),
            _ => None,
        };
        match key.trim() {
            "seed" => self.seed = number()?,
            "replica" | "bricks" => {
                self.bricks = u32::try_from(number()?)
                    .ok()
                    .filter(|n| (1..=9).contains(n))?
            }
            "capacity" => self.capacity = Some(number()?),
            "write-behind" => self.write_behind = switch()?,
            "write-behind-window" => self.window = number()?,
            "shard" => self.shard = number()?,
            "type" => {
                self.kind = Kind::named(value)?;
                self.zerofill = self.kind != Kind::Disperse;
            }
            "mandatory-locking" => self.mandatory = Mandatory::named(value)?,
            "enforce-mandatory-lock" => self.enforce = switch()?,
            "post-op-delay" => self.post_op_delay = duration(value)?,
            "tcp-user-timeout" => self.tcp_user_timeout = duration(value)?,
            "reconnect" => self.reconnect = duration(value)?,
            "heal-delay" => self.heal_delay = duration(value)?,
            "zerofill" => self.zerofill = switch()?,
            "direct-alignment" => self.direct_alignment = number().filter(|&n| n > 0)?,
            "quorum" => self.quorum = quorum(value)?,
            "ping-timeout" => self.ping_timeout = number()?,
            "frame-timeout" => self.frame_timeout = number()?,
            "remote-dio" => self.remote_dio = switch()?,
            "sync" => self.sync = switch()?,
            "lost" => self.lost_percent = percent()?,
            "torn" => self.torn_percent = percent()?,
            _ => return None,
        }
        Some(())
    }
}

fn quorum(value: &str) -> Option<String> {
    let known = matches!(value, "" | "auto" | "none") || value.parse::<u32>().is_ok();
    known.then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read_and_strangers_are_refused() {
        let text = "# a volume\nseed = 7\nreplica=3\ncapacity = 65536\nwrite-behind = off\n\
                    write-behind-window = 4096\nshard = 67108864\ndirect-alignment = 4096\n\
                    type = replica\nmandatory-locking = forced\nenforce-mandatory-lock = on\n\
                    post-op-delay = 0s\ntcp-user-timeout = 5s\nreconnect = 100ms\nheal-delay = 3s\n\
                    zerofill = off\nquorum = none\nping-timeout = 42\nframe-timeout = 5\nremote-dio = on\nsync = off\nlost=100\ntorn=0\n";
        let expected = Settings {
            seed: 7,
            bricks: 3,
            capacity: Some(65536),
            write_behind: false,
            window: 4096,
            shard: 64 << 20,
            zerofill: false,
            direct_alignment: 4096,
            quorum: "none".to_owned(),
            ping_timeout: 42,
            frame_timeout: 5,
            remote_dio: true,
            sync: false,
            translators: BTreeSet::new(),
            window_told: "1MB".to_owned(),
            kind: Kind::Replica,
            mandatory: Mandatory::Forced,
            enforce: true,
            post_op_delay: Duration::ZERO,
            tcp_user_timeout: Duration::from_secs(5),
            reconnect: Duration::from_millis(100),
            heal_delay: Duration::from_secs(3),
            lost_percent: 100,
            torn_percent: 0,
        };
        assert_eq!(Settings::parse(text), Ok(expected));
        for wrong in [
            "seed",
            "seed = x",
            "colour = red",
            "lost = 101",
            "quorum = most",
            "replica = 0",
            "type = stripe",
            "mandatory-locking = on",
            "post-op-delay = 1",
            "lost = 60\ntorn = 50",
        ] {
            assert!(Settings::parse(wrong).is_err(), "{wrong}");
        }
    }
}
