//! Whose a container is: a label names the machine, the process and its birth, so that the
//! containers of a run that died can be told from those of one that lives.

use std::fs;
use std::io;

/// Every container of ours has this label; its value is an [`Owner`].
pub(super) const LABEL: &str = "org.glint.cluster.owner";

/// A process on a machine. A process id alone is used again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    host: String,
    pid: u32,
    born: u64,
}

impl Owner {
    /// This very process.
    pub(super) fn this() -> io::Result<Self> {
        let pid = std::process::id();
        let born = born(pid).ok_or_else(|| io::Error::other("no /proc/self/stat"))?;
        Ok(Self {
            host: host()?,
            pid,
            born,
        })
    }

    pub(super) fn label(&self) -> String {
        format!("{}/{}/{}", self.host, self.pid, self.born)
    }

    fn parse(label: &str) -> Option<Self> {
        let mut parts = label.rsplitn(3, '/');
        let born = parts.next()?.parse().ok()?;
        let pid = parts.next()?.parse().ok()?;
        let host = parts.next()?.to_owned();
        Some(Self { host, pid, born })
    }
}

/// Whether the owner named by a label is a process of this machine that is no more. Other
/// machines' processes cannot be seen from here.
pub(super) fn is_dead(label: &str) -> bool {
    let Some(owner) = Owner::parse(label) else {
        return false;
    };
    host().is_ok_and(|host| host == owner.host) && born(owner.pid) != Some(owner.born)
}

fn host() -> io::Result<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname")?;
    Ok(name.trim().to_owned())
}

/// When a process began, in clock ticks since the machine did: field 22 of its `stat`, the 20th
/// after the name in brackets.
fn born(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_living_keep_what_is_theirs() {
        let own = Owner::this().unwrap();
        assert_eq!(Owner::parse(&own.label()), Some(own.clone()));
        assert!(!is_dead(&own.label()));
        let successor = Owner {
            born: own.born + 1,
            ..own.clone()
        };
        assert!(is_dead(&successor.label()), "the id was used again");
        let elsewhere = Owner {
            host: "another-machine".to_owned(),
            pid: u32::MAX,
            ..own
        };
        assert!(!is_dead(&elsewhere.label()), "not ours to judge");
    }

    #[test]
    fn the_dead_are_known_and_strangers_left_alone() {
        let own = Owner::this().unwrap();
        let dead = Owner {
            pid: u32::MAX,
            ..own
        };
        assert!(is_dead(&dead.label()));
        for stranger in ["", "1", "host/1", "host/x/1"] {
            assert!(!is_dead(stranger), "{stranger}");
        }
    }
}
