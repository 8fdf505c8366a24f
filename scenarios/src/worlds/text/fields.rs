//! The parts of a line: `key=value` pairs, flags, and the values there are.

use std::time::Duration;

use gluster_mock::Kind;

use crate::worlds::plan::{Moment, Way};

/// What can stand behind `=`.
pub(super) trait Value: Sized {
    /// What it may be, for people.
    fn allowed() -> String;
    /// As it is written.
    fn show(&self) -> String;
    /// From what was written.
    fn read(text: &str) -> Option<Self>;
}

macro_rules! numbers {
    ($($type:ty),*) => {
        $(impl Value for $type {
            fn allowed() -> String {
                format!("a number from 0 to {}", Self::MAX)
            }

            fn show(&self) -> String {
                self.to_string()
            }

            fn read(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        })*
    };
}
numbers!(u8, u16, u32, u64, usize);

/// Values that have names.
macro_rules! named {
    ($type:ty { $($name:literal $value:path,)* }) => {
        impl Value for $type {
            fn allowed() -> String {
                [$($name),*].join(", ")
            }

            fn show(&self) -> String {
                match self { $($value => $name),* }.to_owned()
            }

            fn read(text: &str) -> Option<Self> {
                match text {
                    $($name => Some($value),)*
                    _ => None,
                }
            }
        }
    };
}

named!(Kind {
    "replica" Kind::Replica,
    "arbiter" Kind::Arbiter,
    "disperse" Kind::Disperse,
    "distribute" Kind::Distribute,
});

named!(Way {
    "in" Way::In,
    "out" Way::Out,
});

impl Value for bool {
    fn allowed() -> String {
        "yes, no".to_owned()
    }

    fn show(&self) -> String {
        if *self { "yes" } else { "no" }.to_owned()
    }

    fn read(text: &str) -> Option<Self> {
        match text {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        }
    }
}

impl Value for Option<u64> {
    fn allowed() -> String {
        format!("none, {}", u64::allowed())
    }

    fn show(&self) -> String {
        self.map_or_else(|| "none".to_owned(), |number| number.show())
    }

    fn read(text: &str) -> Option<Self> {
        match text {
            "none" => Some(None),
            text => u64::read(text).map(Some),
        }
    }
}

impl Value for Moment {
    fn allowed() -> String {
        Duration::allowed()
    }

    fn show(&self) -> String {
        Duration::from_nanos(self.0).show()
    }

    fn read(text: &str) -> Option<Self> {
        let time = Duration::read(text)?;
        u64::try_from(time.as_nanos()).ok().map(Self)
    }
}

/// Units of time with their nanoseconds, the longest first.
const UNITS: [(&str, u64); 4] = [
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

impl Value for Duration {
    fn allowed() -> String {
        "a time such as 0s, 250ns, 40us, 1.25ms, 2s".to_owned()
    }

    /// In the longest unit it has at least one of, with as many digits as that takes.
    fn show(&self) -> String {
        let nanos = self.as_nanos();
        let fits = |(_, unit): &&(&str, u64)| nanos >= u128::from(*unit);
        let Some((name, unit)) = UNITS.iter().find(fits) else {
            return "0s".to_owned();
        };
        let unit = u128::from(*unit);
        let digits = unit.ilog10() as usize;
        let (whole, part) = (nanos / unit, nanos % unit);
        let text = format!("{whole}.{part:0digits$}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        match part {
            0 => format!("{whole}{name}"),
            _ => format!("{text}{name}"),
        }
    }

    /// Exactly, or not at all.
    fn read(text: &str) -> Option<Self> {
        let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        let (_, unit) = UNITS
            .iter()
            .find(|(name, _)| *name == &text[number.len()..])?;
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if part.is_empty() || !is_digits(whole) || !is_digits(part) {
            return None;
        }
        let scale = 10_u64.checked_pow(u32::try_from(part.len()).ok()?)?;
        let part = part.parse::<u64>().ok()?.checked_mul(*unit)?;
        if part % scale != 0 {
            return None;
        }
        let whole = whole.parse::<u64>().ok()?.checked_mul(*unit)?;
        whole.checked_add(part / scale).map(Self::from_nanos)
    }
}

/// The first word, and what comes after it.
pub(super) fn word(text: &str) -> (&str, &str) {
    let text = text.trim();
    let (word, rest) = text
        .split_once(|letter: char| letter.is_whitespace())
        .unwrap_or((text, ""));
    (word, rest.trim())
}

/// Reads what stands for `key`; the error says what is allowed.
pub(super) fn value<T: Value>(key: &str, text: &str) -> Result<T, String> {
    T::read(text).ok_or_else(|| format!("{key}: `{text}`: allowed: {}", T::allowed()))
}

/// The pairs and flags of a line that nobody has taken yet.
pub(super) struct Fields<'a> {
    /// What the line is about, for errors.
    about: &'a str,
    words: Vec<&'a str>,
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(about: &'a str, text: &'a str) -> Self {
        Self {
            about,
            words: text.split_whitespace().collect(),
            asked: Vec::new(),
        }
    }

    /// The value of a key that has to be there.
    pub(super) fn take<T: Value>(&mut self, key: &'static str) -> Result<T, String> {
        let about = self.about;
        self.find(key)?
            .ok_or_else(|| format!("{about}: {key}= is missing: allowed: {}", T::allowed()))
    }

    /// The value of a key that may be left out.
    pub(super) fn find<T: Value>(&mut self, key: &'static str) -> Result<Option<T>, String> {
        self.asked.push(key);
        let is_it = |word: &&str| word.split_once('=').is_some_and(|(name, _)| name == key);
        let Some(at) = self.words.iter().position(is_it) else {
            return Ok(None);
        };
        let text = &self.words.remove(at)[key.len() + 1..];
        let read = value(key, text).map_err(|why| format!("{}: {why}", self.about))?;
        Ok(Some(read))
    }

    /// Whether a word stands there on its own.
    pub(super) fn flag(&mut self, name: &'static str) -> bool {
        self.asked.push(name);
        let at = self.words.iter().position(|word| *word == name);
        at.map(|at| self.words.remove(at)).is_some()
    }

    /// Nothing may be left.
    pub(super) fn finish(self) -> Result<(), String> {
        let Some(left) = self.words.first() else {
            return Ok(());
        };
        let allowed = match self.asked[..] {
            [] => "nothing".to_owned(),
            _ => format!("{}, each once", self.asked.join(", ")),
        };
        Err(format!("{}: `{left}`: allowed: {allowed}", self.about))
    }
}
