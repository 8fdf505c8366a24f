//! Judges a history.

use super::Complaint;
use super::history::History;

/// What is wrong with it.
pub fn judge(_history: &History) -> Vec<Complaint> {
    Vec::new()
}
