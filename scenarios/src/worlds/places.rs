//! Where the parties of a world are, and when its time is, for recordings: a capture has addresses
//! and dates, and says by them who talks.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::plan::Moment;

/// Where virtual time begins on a clock, so that captures have dates.
const EPOCH: Duration = Duration::from_secs(1_800_000_000);

/// Somebody with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// A target, by its number.
    Target(u8),
    /// An honest initiator.
    Initiator(u8),
    /// A hostile peer.
    Deviant(u8),
}

impl fmt::Display for Party {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(number) => write!(out, "target {number}"),
            Self::Initiator(number) => write!(out, "initiator {number}"),
            Self::Deviant(number) => write!(out, "deviant {number}"),
        }
    }
}

impl Party {
    /// Its address: a network for each kind of party, a host for each of them.
    pub fn at(self, port: u16) -> SocketAddr {
        let (network, number) = match self {
            Self::Target(number) => (0, number),
            Self::Initiator(number) => (1, number),
            Self::Deviant(number) => (2, number),
        };
        let address = Ipv4Addr::new(10, 0, network, number.wrapping_add(1));
        SocketAddr::from((address, port))
    }

    /// Whose address that is.
    pub fn of(address: SocketAddr) -> Option<Self> {
        let IpAddr::V4(address) = address.ip() else {
            return None;
        };
        let [10, 0, network, host] = address.octets() else {
            return None;
        };
        let number = host.wrapping_sub(1);
        match network {
            0 => Some(Self::Target(number)),
            1 => Some(Self::Initiator(number)),
            2 => Some(Self::Deviant(number)),
            _ => None,
        }
    }
}

/// What a clock shows at a moment.
pub fn date(at: Moment) -> SystemTime {
    UNIX_EPOCH + EPOCH + Duration::from_nanos(at.0)
}

/// The moment at which a clock shows that.
pub fn moment(date: SystemTime) -> Moment {
    let since = date.duration_since(UNIX_EPOCH + EPOCH).unwrap_or_default();
    engine::Moment(0).plus(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_who_it_is() {
        for number in [0, 7, 254] {
            for party in [
                Party::Target(number),
                Party::Initiator(number),
                Party::Deviant(number),
            ] {
                assert_eq!(Party::of(party.at(3260)), Some(party));
            }
        }
        let target = Party::Target(0).at(3260).to_string();
        assert_eq!(target, "10.0.0.1:3260");
        for stranger in ["10.0.9.1:3260", "192.0.2.1:3260", "[::1]:3260"] {
            assert_eq!(Party::of(stranger.parse().unwrap()), None);
        }
    }

    #[test]
    fn dates_are_moments() {
        for nanos in [0, 1, 1_250_000, 86_400_000_000_001] {
            let at = engine::Moment(nanos);
            assert_eq!(moment(date(at)), at);
        }
    }
}
