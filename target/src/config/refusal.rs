//! Why a configuration is refused: one message that says where, which key, what, and what is
//! allowed.

use std::fmt;
use std::ops::Range;

use super::source::{Place, Source};

/// A value that does not fit, wherever it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub allowed: String,
}

impl Unfit {
    /// A value that does not fit.
    pub fn new(what: impl Into<String>, allowed: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            allowed: allowed.into(),
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; allowed: {}", self.what, self.allowed)
    }
}

impl std::error::Error for Unfit {}

/// A configuration file that says something it may not.
///
/// Its text is one block: `FILE:LINE:COLUMN: KEY: what is wrong`, the line with the place marked
/// (secrets masked), and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(Box<Found>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    file: String,
    place: Place,
    key: String,
    unfit: Unfit,
}

impl Refusal {
    pub(super) fn new(source: &Source<'_>, span: Range<usize>, key: &str, unfit: Unfit) -> Self {
        let file = source.file.to_owned();
        let (place, key) = (source.place(span), key.to_owned());
        Self(Box::new(Found {
            file,
            place,
            key,
            unfit,
        }))
    }

    /// The line, from 1.
    pub fn line(&self) -> usize {
        self.0.place.line
    }

    /// The key, as a dotted path. Empty where the file is no TOML.
    pub fn key(&self) -> &str {
        &self.0.key
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Found {
            file,
            place,
            key,
            unfit,
        } = &*self.0;
        let Place {
            line,
            column,
            shown,
            width,
        } = place;
        let separator = if key.is_empty() { "" } else { ": " };
        writeln!(f, "{file}:{line}:{column}: {key}{separator}{}", unfit.what)?;
        let gutter = " ".repeat(line.to_string().len());
        let left = shown.chars().count().saturating_sub(column - 1);
        let mark = "^".repeat(left.min(*width).max(1));
        writeln!(f, "  {line} | {shown}")?;
        writeln!(f, "  {gutter} | {}{mark}", " ".repeat(column - 1))?;
        write!(f, "  allowed: {}", unfit.allowed)
    }
}

impl std::error::Error for Refusal {}
