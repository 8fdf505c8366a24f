//! What is done to a cluster from outside: the words of the control socket, the CLI and worlds.

use std::time::Duration;

use crate::errno::Errno;

/// What becomes of messages between a client and a brick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Calls do not arrive.
    Calls,
    /// Calls arrive and are carried out; answers are lost.
    Answers,
    /// Both.
    Both,
}

/// What becomes of a client, as bricks see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stillness {
    /// The process stands still; its host still answers TCP, so nobody notices.
    Frozen,
    /// The host is off; bricks notice after `tcp-user-timeout`.
    HostOff,
}

/// One command. Bricks and clients are numbered from 0 and 1 as the volume numbers them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `brick kill N`: the process dies, connections are reset. Its host's page cache stays.
    BrickKill(usize),
    /// `brick start N`.
    BrickStart(usize),
    /// `brick hang N`: it stands still, connections stay.
    BrickHang(usize),
    /// `brick resume N`.
    BrickResume(usize),
    /// `brick slow N 50ms`: about that long from the locks to the disk; `0ms` ends it.
    BrickSlow(usize, Duration),
    /// `brick error N ERRNO`, `brick error N none`: whatever changes the brick fails.
    BrickError(usize, Option<Errno>),
    /// `partition CLIENT N [calls|answers|both]`.
    Partition(u32, usize, Cut),
    /// `mend CLIENT N`.
    Mend(u32, usize),
    /// `fill N`: not a byte is left; `drain N` ends it.
    Fill(usize),
    /// `drain N`.
    Drain(usize),
    /// `graph-switch [30ms]`: the next call of every client waits that long.
    GraphSwitch(Duration),
    /// `power-cut`, `power-cut brick N`, `power-cut client N`.
    PowerCut(Stop),
    /// `client freeze N`, `client off N`.
    Still(u32, Stillness),
    /// `client thaw N`.
    Thaw(u32),
    /// `clear-locks PATH`: the inode locks that were granted on a file.
    ClearLocks(String),
    /// `set OPTION VALUE` (`gluster volume set`): a translator more or less is a new graph, another
    /// value is not. Known are `performance.io-cache`, `performance.quick-read`,
    /// `performance.read-ahead` (on, off) and `performance.write-behind-window-size`.
    Set(String, String),
    /// `settle`: time passes, and the bricks' kernels write back what they hold.
    Settle,
    /// `status`: one line for each brick, client and call in flight.
    Status,
    /// `plan TEXT`: other faults from now on (rules separated by `;`).
    Plan(String),
    /// `marks`: which coverage marks were reached.
    Marks,
}

/// Whose power fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Clients and bricks.
    All,
    /// One brick's host.
    Brick(usize),
    /// One client's process.
    Client(u32),
}

impl Command {
    /// Reads a command as it is typed. The error says what is allowed.
    pub fn parse(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let found = match words[..] {
            ["brick", "kill", n] => brick(n).map(Self::BrickKill),
            ["brick", "start", n] => brick(n).map(Self::BrickStart),
            ["brick", "hang", n] => brick(n).map(Self::BrickHang),
            ["brick", "resume", n] => brick(n).map(Self::BrickResume),
            ["brick", "slow", n, time] => brick(n)
                .zip(duration(time))
                .map(|(n, t)| Self::BrickSlow(n, t)),
            ["brick", "error", n, "none"] => brick(n).map(|n| Self::BrickError(n, None)),
            ["brick", "error", n, name] => brick(n)
                .zip(Errno::named(name))
                .map(|(n, errno)| Self::BrickError(n, Some(errno))),
            ["partition", client, n] => {
                link(client, n).map(|(c, n)| Self::Partition(c, n, Cut::Both))
            }
            ["partition", client, n, way] => link(client, n)
                .zip(cut(way))
                .map(|((c, n), way)| Self::Partition(c, n, way)),
            ["mend", client, n] => link(client, n).map(|(c, n)| Self::Mend(c, n)),
            ["fill", n] => brick(n).map(Self::Fill),
            ["drain", n] => brick(n).map(Self::Drain),
            ["graph-switch"] => Some(Self::GraphSwitch(Duration::ZERO)),
            ["graph-switch", time] => duration(time).map(Self::GraphSwitch),
            ["power-cut"] => Some(Self::PowerCut(Stop::All)),
            ["power-cut", "brick", n] => brick(n).map(|n| Self::PowerCut(Stop::Brick(n))),
            ["power-cut", "client", n] => n.parse().ok().map(|n| Self::PowerCut(Stop::Client(n))),
            ["client", "freeze", n] => n.parse().ok().map(|n| Self::Still(n, Stillness::Frozen)),
            ["client", "off", n] => n.parse().ok().map(|n| Self::Still(n, Stillness::HostOff)),
            ["client", "thaw", n] => n.parse().ok().map(Self::Thaw),
            ["clear-locks", path] => Some(Self::ClearLocks(path.to_owned())),
            ["set", option, value] => Some(Self::Set(option.to_owned(), value.to_owned())),
            ["settle"] => Some(Self::Settle),
            ["status"] => Some(Self::Status),
            ["marks"] => Some(Self::Marks),
            ["plan", ..] => {
                let text = line.trim_start().trim_start_matches("plan");
                Some(Self::Plan(text.trim().replace(';', "\n")))
            }
            _ => None,
        };
        found.ok_or_else(|| format!("not a command: {line}\n{GRAMMAR}"))
    }
}

/// Everything that can be said.
pub const GRAMMAR: &str = "\
brick kill|start|hang|resume N        N counts from 0
brick slow N 50ms                     0ms ends it
brick error N ERRNO|none
partition CLIENT N [calls|answers|both]
mend CLIENT N
fill N | drain N
graph-switch [30ms]
power-cut [brick N | client N]
client freeze|off|thaw N
clear-locks PATH
plan RULE; RULE…
set OPTION VALUE
settle
status
marks";

fn brick(word: &str) -> Option<usize> {
    word.parse().ok()
}

fn link(client: &str, n: &str) -> Option<(u32, usize)> {
    client.parse().ok().zip(brick(n))
}

fn cut(word: &str) -> Option<Cut> {
    match word {
        "calls" => Some(Cut::Calls),
        "answers" => Some(Cut::Answers),
        "both" => Some(Cut::Both),
        _ => None,
    }
}

pub(crate) fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    match &text[digits.len()..] {
        "us" => Some(Duration::from_micros(number)),
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        _ => None,
    }
}
