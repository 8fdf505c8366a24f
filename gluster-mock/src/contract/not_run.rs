//! Rows of the research that no case covers, and why.

/// A row that is not run.
#[derive(Clone, Copy, Debug)]
pub struct NotRun {
    /// Where it stands.
    pub row: &'static str,
    /// What it says.
    pub says: &'static str,
    /// Why no case covers it.
    pub reason: &'static str,
}

/// All of them.
pub const NOT_RUN: &[NotRun] = &[];
