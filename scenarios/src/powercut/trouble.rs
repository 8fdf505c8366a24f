//! What goes wrong in storage during a round: plans for the fake, drawn from the seed. Five rounds
//! in a row have one of each.

use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

/// Calls that take a while, so that others meet them.
const UNEVEN: &str = "write * chance=20 latency=1ms\n\
                      fsync * chance=30 latency=2ms\n\
                      read * chance=5 latency=1ms\n";

/// One kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// None but the power cut.
    Calm,
    /// An `fdatasync` fails and loses what was not synced, and so does every later one, if there
    /// is one.
    SyncLoses,
    /// Writes hang past the deadline, and land when nobody waits for them any more.
    WritesHang,
    /// A synchronous write fails, and loses what was not synced with it.
    WriteLoses,
    /// Bricks are away for a few calls, and take only parts of some writes.
    BricksAway,
}

impl Trouble {
    pub(super) fn of(seed: u64) -> Self {
        match seed % 5 {
            0 => Self::Calm,
            1 => Self::SyncLoses,
            2 => Self::WritesHang,
            3 => Self::WriteLoses,
            _ => Self::BricksAway,
        }
    }

    /// The plan from the first command on.
    pub(super) fn plan(self, dice: &mut StdRng) -> String {
        let when = dice.random_range(5..15);
        let rules = match self {
            Self::Calm | Self::WritesHang => String::new(),
            Self::SyncLoses => format!("fsync * from={when} lose\n"),
            Self::WriteLoses => format!("write * nth={} lose\n", when * 8),
            Self::BricksAway => {
                let (from, to) = (when * 4, when * 4 + 6);
                format!("write * from={from} to={to} errno=ENOTCONN\nwrite * every=17 short=1536\n")
            }
        };
        rules + UNEVEN
    }

    /// The plan while writes hang, where they do: all that come next, up to four.
    pub(super) fn hang(self) -> Option<String> {
        let hangs = self == Self::WritesHang;
        hangs.then(|| format!("write * from=1 to=4 hang\n{UNEVEN}"))
    }

    /// Where a round is about waiting, its sessions do not hurry.
    pub(super) fn pace(self) -> Duration {
        match self {
            Self::WritesHang => Duration::from_millis(5),
            _ => Duration::ZERO,
        }
    }
}
