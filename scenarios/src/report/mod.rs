//! What remains of a run: a report for machines, one for people, and captures.

mod html;
mod junit;
mod ladder;

pub use html::page;
pub use junit::junit;
pub use ladder::ladder;
pub(crate) use ladder::pdu;

use crate::monitor::Breach;
use crate::runner::Played;

/// A run that is over.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// What was played against.
    pub device: &'a str,
    /// Options that made this run what it was, to be repeated in a rerun.
    pub options: &'a str,
    /// All scenarios, in the order of the catalogue.
    pub played: &'a [Played],
}

impl Run<'_> {
    /// The command that plays one scenario again.
    pub fn rerun(&self, id: &str) -> String {
        format!("cargo scenarios{} --only {id}", self.options)
    }
}

/// Each breach once, with how often it was seen.
pub(crate) fn breaches(seen: &[Breach]) -> Vec<String> {
    let mut counted: Vec<(String, usize)> = Vec::new();
    for breach in seen {
        let text = breach.to_string();
        match counted.iter_mut().find(|(known, _)| *known == text) {
            Some((_, count)) => *count += 1,
            None => counted.push((text, 1)),
        }
    }
    counted
        .into_iter()
        .map(|(text, count)| match count {
            1 => text,
            _ => format!("{text} ({count} times)"),
        })
        .collect()
}

/// Control characters spelled out, `\0` for NUL: what a device sent must neither move a cursor nor
/// break a document. Lines and tabs stay.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\0' => out += "\\0",
            char if char.is_control() && !matches!(char, '\n' | '\t') => {
                out.extend(char.escape_unicode());
            }
            char => out.push(char),
        }
    }
    out
}

/// What was seen, in words also where that is an empty text.
pub(crate) fn or_nothing(text: &str) -> &str {
    if text.is_empty() { "(nothing)" } else { text }
}

#[cfg(test)]
mod tests;
