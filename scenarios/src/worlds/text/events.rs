//! The lines of events: `at MOMENT #NUMBER initiator N: STEP …` and `at MOMENT #NUMBER FAULT …`.

use std::fmt;

use gluster_mock::Command;
use iscsi::TmfFunction;

use super::fields::{Fields, Value, value, word};
use crate::worlds::plan::{Event, Extent, Fault, Setting, Step, What};

/// What an initiator can be told to do.
const STEPS: &str = "read, write, sync, ready, nop, text, abort-task, abort-task-set, clear-aca, \
                     clear-task-set, lun-reset, warm-reset, cold-reset, reassign, function, logout, \
                     reinstate, rejoin, vanish";

/// What an event can begin with.
const EVENTS: &str = "initiator N:, cluster:, cut, half-close, stall, crash, blackout, shutdown";

/// Functions that have a word of their own.
const FUNCTIONS: [(TmfFunction, &str); 8] = [
    (TmfFunction::ABORT_TASK, "abort-task"),
    (TmfFunction::ABORT_TASK_SET, "abort-task-set"),
    (TmfFunction::CLEAR_ACA, "clear-aca"),
    (TmfFunction::CLEAR_TASK_SET, "clear-task-set"),
    (TmfFunction::LOGICAL_UNIT_RESET, "lun-reset"),
    (TmfFunction::TARGET_WARM_RESET, "warm-reset"),
    (TmfFunction::TARGET_COLD_RESET, "cold-reset"),
    (TmfFunction::TASK_REASSIGN, "reassign"),
];

impl fmt::Display for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, at, what } = self;
        let number = format!("#{number}");
        write!(out, "at {:<12} {number:<4} {what}", at.show())
    }
}

impl fmt::Display for What {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(initiator, step) => write!(out, "initiator {initiator}: {step}"),
            Self::Fault(fault) => write!(out, "{fault}"),
        }
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lun, at, sectors } = self;
        write!(out, "lun={lun} at={at} sectors={sectors}")
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flag = |set: bool, word: &'static str| if set { word } else { "" };
        match self {
            Self::Read { place, long, fua } => {
                let (long, fua) = (flag(*long, " long"), flag(*fua, " fua"));
                write!(out, "read {place}{long}{fua}")
            }
            Self::Write { place, long, fua } => {
                let (long, fua) = (flag(*long, " long"), flag(*fua, " fua"));
                write!(out, "write {place}{long}{fua}")
            }
            Self::Sync { place, immediate } => {
                write!(out, "sync {place}{}", flag(*immediate, " immediate"))
            }
            Self::Ready { lun } => write!(out, "ready lun={lun}"),
            Self::Nop { bytes } => write!(out, "nop bytes={bytes}"),
            Self::Text => out.write_str("text"),
            Self::Manage {
                function,
                lun,
                back,
            } => {
                match FUNCTIONS.iter().find(|(known, _)| known == function) {
                    Some((_, word)) => out.write_str(word)?,
                    None => write!(out, "function code={}", function.0)?,
                }
                write!(out, " lun={lun}")?;
                match (*function, back) {
                    (TmfFunction::ABORT_TASK, _) | (_, 1..) => write!(out, " back={back}"),
                    _ => Ok(()),
                }
            }
            Self::Logout => out.write_str("logout"),
            Self::Reinstate => out.write_str("reinstate"),
            Self::Rejoin => out.write_str("rejoin"),
            Self::Vanish => out.write_str("vanish"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster(words) => write!(out, "cluster: {words}"),
            Self::Cut { initiator } => write!(out, "cut initiator={initiator}"),
            Self::HalfClose { initiator } => write!(out, "half-close initiator={initiator}"),
            Self::Stall {
                initiator,
                way,
                time,
            } => {
                let (way, time) = (way.show(), time.show());
                write!(out, "stall initiator={initiator} way={way} for={time}")
            }
            Self::Crash { target, time } => {
                write!(out, "crash target={target} for={}", time.show())
            }
            Self::Blackout { time } => write!(out, "blackout for={}", time.show()),
            Self::Shutdown { target, time } => {
                write!(out, "shutdown target={target} for={}", time.show())
            }
        }
    }
}

impl Event {
    /// Reads what comes after `at`.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let (at, rest) = word(text);
        let at = value("at", at)?;
        let (number, rest) = word(rest);
        let number = number
            .strip_prefix('#')
            .ok_or_else(|| format!("`{number}`: allowed: the event's number, such as #3"))?;
        let number = value("#", number)?;
        let what = What::read(rest)?;
        Ok(Self { number, at, what })
    }
}

impl What {
    fn read(text: &str) -> Result<Self, String> {
        match word(text) {
            ("initiator", rest) => {
                let (who, rest) = rest
                    .split_once(':')
                    .ok_or_else(|| "initiator: allowed: initiator N: STEP".to_owned())?;
                let who = value("initiator", who.trim())?;
                let (name, rest) = word(rest);
                let mut fields = Fields::new(name, rest);
                let step = Step::read(name, &mut fields)?;
                fields.finish()?;
                Ok(Self::Step(who, step))
            }
            ("cluster:", rest) => {
                outside_word(rest)?;
                Ok(Self::Fault(Fault::Cluster(rest.to_owned())))
            }
            (name, rest) => {
                let mut fields = Fields::new(name, rest);
                let fault = Fault::read(name, &mut fields)?;
                fields.finish()?;
                Ok(Self::Fault(fault))
            }
        }
    }
}

impl Step {
    fn read(name: &str, fields: &mut Fields<'_>) -> Result<Self, String> {
        let known = FUNCTIONS.iter().find(|(_, word)| *word == name);
        Ok(match name {
            "read" => Self::Read {
                place: Extent::read(fields)?,
                long: fields.flag("long"),
                fua: fields.flag("fua"),
            },
            "write" => Self::Write {
                place: Extent::read(fields)?,
                long: fields.flag("long"),
                fua: fields.flag("fua"),
            },
            "sync" => Self::Sync {
                place: Extent::read(fields)?,
                immediate: fields.flag("immediate"),
            },
            "ready" => Self::Ready {
                lun: fields.take("lun")?,
            },
            "nop" => Self::Nop {
                bytes: fields.take("bytes")?,
            },
            "text" => Self::Text,
            "logout" => Self::Logout,
            "reinstate" => Self::Reinstate,
            "rejoin" => Self::Rejoin,
            "vanish" => Self::Vanish,
            _ => Self::Manage {
                function: match known {
                    Some((function, _)) => *function,
                    None if name == "function" => TmfFunction(fields.take("code")?),
                    None => return Err(format!("`{name}`: allowed: {STEPS}")),
                },
                lun: fields.take("lun")?,
                back: fields.find("back")?.unwrap_or(0),
            },
        })
    }
}

impl Extent {
    fn read(fields: &mut Fields<'_>) -> Result<Self, String> {
        Ok(Self {
            lun: fields.take("lun")?,
            at: fields.take("at")?,
            sectors: fields.take("sectors")?,
        })
    }
}

impl Fault {
    fn read(name: &str, fields: &mut Fields<'_>) -> Result<Self, String> {
        Ok(match name {
            "cut" => Self::Cut {
                initiator: fields.take("initiator")?,
            },
            "half-close" => Self::HalfClose {
                initiator: fields.take("initiator")?,
            },
            "stall" => Self::Stall {
                initiator: fields.take("initiator")?,
                way: fields.take("way")?,
                time: fields.take("for")?,
            },
            "crash" => Self::Crash {
                target: fields.take("target")?,
                time: fields.take("for")?,
            },
            "blackout" => Self::Blackout {
                time: fields.take("for")?,
            },
            "shutdown" => Self::Shutdown {
                target: fields.take("target")?,
                time: fields.take("for")?,
            },
            _ => return Err(format!("`{name}`: allowed: {EVENTS}")),
        })
    }
}

/// The number in `C0`, a word that stands for the client of target 0.
pub(in crate::worlds) fn client(word: &str) -> Option<u8> {
    word.strip_prefix('C')
        .and_then(|number| number.parse().ok())
}

/// Reads a word for the fake cluster; `C0` is any client to it.
pub(in crate::worlds) fn outside_word(text: &str) -> Result<Command, String> {
    let words = text.split(' ').map(|word| match client(word) {
        Some(number) => number.to_string(),
        None => word.to_owned(),
    });
    let command = Command::parse(&words.collect::<Vec<_>>().join(" "));
    let command = command.map_err(|why| format!("cluster: {why}"))?;
    match &command {
        Command::Plan(rules) => match gluster_mock::plan::Plan::parse(rules) {
            Ok(_) => Ok(command),
            Err(why) => Err(format!(
                "cluster: plan: {why}: allowed: KIND PATH [nth=N | from=N to=N | every=N | \
                 chance=PERCENT] EFFECT…"
            )),
        },
        _ => Ok(command),
    }
}

/// Who is with a target that is not there, if somebody is.
pub(in crate::worlds) fn stranger(setting: &Setting) -> Option<String> {
    let targets = setting.targets.len();
    let initiators = setting.initiators.iter().map(|each| each.target);
    let initiators = (0..).zip(initiators).map(|pair| ("initiator", pair));
    let deviants = setting.deviants.iter().map(|each| each.target);
    let deviants = (0..).zip(deviants).map(|pair| ("deviant", pair));
    let mut all = initiators.chain(deviants);
    all.find(|(_, (_, target))| usize::from(*target) >= targets)
        .map(|(who, (number, target)): (_, (u32, _))| {
            format!(
                "{who} {number}: target={target}: allowed: {}",
                below(targets)
            )
        })
}

/// What keeps an event from being the next one after `before`, if anything does.
pub(in crate::worlds) fn flaw(
    setting: &Setting,
    before: &[Event],
    event: &Event,
) -> Option<String> {
    let initiators = setting.initiators.len();
    let targets = setting.targets.len();
    if before.last().is_some_and(|last| last.at > event.at) {
        return Some("at: allowed: not before the event above".to_owned());
    }
    if before.iter().any(|other| other.number == event.number) {
        return Some(format!("#{}: allowed: a number of its own", event.number));
    }
    let (who, number, count) = match &event.what {
        What::Step(initiator, _) => ("initiator", *initiator, initiators),
        What::Fault(fault) => match fault {
            Fault::Cut { initiator }
            | Fault::HalfClose { initiator }
            | Fault::Stall { initiator, .. } => ("initiator", *initiator, initiators),
            Fault::Crash { target, .. } | Fault::Shutdown { target, .. } => {
                ("target", *target, targets)
            }
            Fault::Blackout { .. } => return None,
            Fault::Cluster(words) => {
                let mut named = words.split(' ').filter_map(client);
                let named = named.find(|&number| usize::from(number) >= targets)?;
                ("C, the client of target", named, targets)
            }
        },
    };
    (usize::from(number) >= count).then(|| format!("{who} {number}: allowed: {}", below(count)))
}

fn below(count: usize) -> String {
    match count {
        0 => "none, there is none".to_owned(),
        count => format!("0 to {}", count - 1),
    }
}
