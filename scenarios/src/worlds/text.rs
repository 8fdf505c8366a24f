//! A plan as text, and back: what a failure is saved as, and what the regression corpus is made of.
//!
//! One line for each party, for the volume, for the network and for each event; a line is its word
//! and `key=value` pairs, so that two plans can be compared by `diff`. `#` begins a comment at the
//! beginning of a line. Times are exact to the nanosecond.
//! Invariant: what is written is read back as the same plan.

mod events;
mod fields;
mod rows;
#[cfg(test)]
pub(super) mod tests;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::plan::{Event, Plan, Setting};
use fields::{Fields, Value, word};
use rows::Row;

pub(super) use events::{client, flaw, outside_word, stranger};

/// The first line of every file: what it is, and of which version.
const HEAD: &str = "# glint world 1";

/// The words a line may begin with.
const LINES: &str = "chance, target, initiator, deviant, volume, wire, calm, at";

impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{HEAD}\nchance {}", self.chance)?;
        write!(out, "{}", self.setting)?;
        for event in &self.events {
            writeln!(out, "{event}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for target in &self.targets {
            target.write(out)?;
        }
        for initiator in &self.initiators {
            initiator.write(out)?;
        }
        for deviant in &self.deviants {
            deviant.write(out)?;
        }
        self.volume.write(out)?;
        self.wire.write(out)?;
        writeln!(out, "calm {}", self.calm.show())
    }
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl Plan {
    /// Reads a plan. The error names the line, the key, and what is allowed there.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = (1..).zip(text.lines().map(str::trim));
        match lines.next() {
            Some((_, HEAD)) => {}
            _ => return Err(format!("line 1: allowed: {HEAD}")),
        }
        let mut draft = Draft::default();
        for (number, line) in lines {
            if !line.is_empty() && !line.starts_with('#') {
                let read = draft.read(number, line);
                read.map_err(|why| format!("line {number}: {why}"))?;
            }
        }
        draft.finish()
    }
}

/// A plan of which not every line is read yet.
#[derive(Default)]
struct Draft {
    chance: Option<u64>,
    targets: Vec<rows::Target>,
    initiators: Vec<rows::Initiator>,
    deviants: Vec<rows::Deviant>,
    volume: Option<rows::Volume>,
    wire: Option<rows::Wire>,
    calm: Option<Duration>,
    /// Each with the number of its line.
    events: Vec<(usize, Event)>,
}

impl Draft {
    fn read(&mut self, number: usize, line: &str) -> Result<(), String> {
        match word(line) {
            ("chance", rest) => {
                let chance = fields::value("chance", rest)?;
                once(&mut self.chance, "chance", chance)
            }
            ("target", rest) => row(rest).map(|row| self.targets.push(row)),
            ("initiator", rest) => row(rest).map(|row| self.initiators.push(row)),
            ("deviant", rest) => row(rest).map(|row| self.deviants.push(row)),
            ("volume", rest) => once(&mut self.volume, "volume", row(rest)?),
            ("wire", rest) => once(&mut self.wire, "wire", row(rest)?),
            ("calm", rest) => once(&mut self.calm, "calm", fields::value("calm", rest)?),
            ("at", rest) => {
                let event = Event::read(rest)?;
                self.events.push((number, event));
                Ok(())
            }
            (other, _) => Err(format!("`{other}`: allowed: {LINES}")),
        }
    }

    /// All lines are read: whether what they say fits together.
    fn finish(self) -> Result<Plan, String> {
        let missing = |what: &str| format!("a line that begins with `{what}` is missing");
        let setting = Setting {
            targets: self.targets,
            initiators: self.initiators,
            deviants: self.deviants,
            volume: self.volume.ok_or_else(|| missing("volume"))?,
            wire: self.wire.ok_or_else(|| missing("wire"))?,
            calm: self.calm.ok_or_else(|| missing("calm"))?,
        };
        if let Some(why) = stranger(&setting) {
            return Err(why);
        }
        let mut events: Vec<Event> = Vec::new();
        for (number, event) in self.events {
            if let Some(why) = flaw(&setting, &events, &event) {
                return Err(format!("line {number}: {why}"));
            }
            events.push(event);
        }
        Ok(Plan {
            chance: self.chance.ok_or_else(|| missing("chance"))?,
            setting,
            events,
        })
    }
}

fn row<T: Row>(rest: &str) -> Result<T, String> {
    let mut fields = Fields::new(T::WORD, rest);
    let row = T::read(&mut fields)?;
    fields.finish()?;
    Ok(row)
}

fn once<T>(place: &mut Option<T>, what: &str, value: T) -> Result<(), String> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("{what}: allowed: once")),
    }
}
