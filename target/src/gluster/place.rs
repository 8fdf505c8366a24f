//! Where an image is: servers to ask, a volume, a path in it.

use std::fmt;

use super::record::OWN_FOLDER;
use crate::config::Unfit;

/// Longest path libgfapi takes.
const PATH_BYTES_MAX: usize = 4095;

/// A Gluster server that knows the volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolfileServer {
    /// A name or an address, without brackets.
    pub host: String,
    /// Where its glusterd listens; 0 for the usual 24007.
    pub port: u16,
}

/// The place of an image: `server1,server2[:port]/volume/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Asked for the volume's description in turn, until one answers.
    pub servers: Vec<VolfileServer>,
    /// The volume's name.
    pub volume: String,
    /// The file in the volume, without a slash before it.
    pub path: String,
}

impl Place {
    /// What a place looks like, for messages.
    pub const ALLOWED: &'static str =
        "gluster://SERVER[:PORT][,SERVER[:PORT]]/VOLUME/PATH, with ?size=10GiB to have it made";

    /// Reads what follows `gluster://`.
    pub(crate) fn parse(text: &str) -> Result<Self, Unfit> {
        let place = Self::parse_folder(text)?;
        match place.path.is_empty() {
            true => Err(Unfit::new("\"\" is no path in a volume", Self::ALLOWED)),
            false => Ok(place),
        }
    }

    /// As [`Place::parse`], for a folder: the path may be missing, which means the volume itself.
    pub(crate) fn parse_folder(text: &str) -> Result<Self, Unfit> {
        let unfit = |what: String| Unfit::new(what, Self::ALLOWED);
        let mut parts = text.splitn(3, '/');
        let (servers, volume, path) = (parts.next(), parts.next(), parts.next());
        let servers = servers.unwrap_or_default().split(',');
        let servers = servers
            .map(|server| {
                VolfileServer::parse(server)
                    .ok_or_else(|| unfit(format!("\"{server}\" is no server")))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let volume = volume.unwrap_or_default();
        let named = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if volume.is_empty() || !volume.chars().all(named) {
            return Err(unfit(format!("\"{volume}\" is no volume")));
        }
        let path = path.unwrap_or_default();
        let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        let plain = path.is_empty() || path.split('/').all(plain);
        if !plain || path.contains('\0') || path.len() > PATH_BYTES_MAX {
            return Err(unfit(format!("\"{path}\" is no path in a volume")));
        }
        if path.split('/').next() == Some(OWN_FOLDER) {
            return Err(unfit(format!("\"{path}\" is glintd's own")));
        }
        Ok(Self {
            servers,
            volume: volume.to_owned(),
            path: path.to_owned(),
        })
    }

    /// The image whatever the servers it is reached by: most likely the same one.
    pub(crate) fn image(&self) -> String {
        format!("gluster:{}/{}", self.volume, self.path)
    }

    /// The servers as one text.
    pub(super) fn server_list(&self) -> String {
        let servers: Vec<_> = self.servers.iter().map(ToString::to_string).collect();
        servers.join(",")
    }
}

impl VolfileServer {
    /// `host`, `host:port`, `[address]` or `[address]:port`.
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']')?;
                host.parse::<std::net::Ipv6Addr>().ok()?;
                (host, (!rest.is_empty()).then(|| rest.strip_prefix(':')))
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(Some(port))),
                None => (text, None),
            },
        };
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        let port = match port {
            None => 0,
            Some(port) => port?.parse().ok().filter(|&port| port != 0)?,
        };
        (!host.is_empty() && host.chars().all(named)).then(|| Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for VolfileServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]", self.host),
            false => f.write_str(&self.host),
        }?;
        match self.port {
            0 => Ok(()),
            port => write!(f, ":{port}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "gluster://{}/{}/{}",
            self.server_list(),
            self.volume,
            self.path
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_place() {
        let place = Place::parse("g1,g2:24008,[fd00::2]:24009/disks/vm/a.img").expect("a place");
        let server = |host: &str, port| VolfileServer {
            host: host.to_owned(),
            port,
        };
        let servers = [
            server("g1", 0),
            server("g2", 24008),
            server("fd00::2", 24009),
        ];
        assert_eq!(place.servers, servers);
        assert_eq!((&*place.volume, &*place.path), ("disks", "vm/a.img"));
        assert_eq!(
            place.to_string(),
            "gluster://g1,g2:24008,[fd00::2]:24009/disks/vm/a.img"
        );
    }

    #[test]
    fn an_image_is_the_same_from_other_servers() {
        let image = |text| Place::parse(text).expect("a place").image();
        assert_eq!(image("g1/disks/vm/a.img"), image("g2,g1/disks/vm/a.img"));
    }

    #[test]
    fn what_is_a_folder() {
        for text in ["g1/disks", "g1/disks/vm", "g1,g2/disks/vm/old"] {
            assert!(Place::parse_folder(text).is_ok(), "{text}");
        }
        for text in [
            "g1",
            "g1/",
            "g1/disks/vm/",
            "g1/disks/../vm",
            "g1/disks/.glint",
        ] {
            assert!(Place::parse_folder(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_not() {
        let cases = [
            "",
            "g1",
            "g1/",
            "g1/disks",
            "g1/disks/",
            "/disks/a",
            "g1,/disks/a",
            "g1:/disks/a",
            "g1:0/disks/a",
            "g1:x/disks/a",
            "g1:70000/disks/a",
            "[fd00::2/disks/a",
            "[g1]/disks/a",
            "[::1]24007/disks/a",
            "a b/disks/a",
            "g1/di sks/a",
            "g1/disks//a",
            "g1/disks/../a",
            "g1/disks/a/",
            "g1/disks/.",
            "g1/disks/.glint/images/a",
        ];
        for text in cases {
            assert!(Place::parse(text).is_err(), "{text}");
        }
    }
}
