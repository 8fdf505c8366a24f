//! What remains of a run: a report for machines, one for people, and captures.

mod html;
mod junit;
mod ladder;

pub use html::page;
pub use junit::junit;
pub use ladder::ladder;

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

#[cfg(test)]
mod tests;
