//! Rules about source text, checked by plain `cargo test`: what a compiler does not mind and a
//! reviewer should not have to. Each rule takes text and gives findings, so that each can be shown
//! to fail.

pub mod floors;
pub mod names;
pub mod purity;
pub mod sizes;
mod source;
pub mod target_folder;
pub mod unsafe_places;

use std::fmt;

pub use source::{Line, Source, read_sources};

/// One breach of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule's name.
    pub rule: &'static str,
    /// The file, and where it helps the line.
    pub place: String,
    /// What is wrong, and what to do about it.
    pub message: String,
}

impl Finding {
    fn new(rule: &'static str, place: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            rule,
            place: place.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}: {}", self.rule, self.place, self.message)
    }
}

/// Whether `word` stands in `code` on its own, not as a part of a longer name.
fn has_word(code: &str, word: &str) -> bool {
    let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(word).any(|(at, _)| {
        let grows_left = word.starts_with(is_name) && code[..at].ends_with(is_name);
        let grows_right = word.ends_with(is_name) && code[at + word.len()..].starts_with(is_name);
        !grows_left && !grows_right
    })
}

#[cfg(test)]
mod tests {
    use super::has_word;

    #[test]
    fn a_word_is_not_a_part_of_a_name() {
        assert!(has_word("let x = unsafe { y };", "unsafe"));
        assert!(has_word("unsafe", "unsafe"));
        assert!(!has_word("#![allow(unsafe_code)]", "unsafe"));
        assert!(!has_word("not_unsafe()", "unsafe"));
        assert!(has_word("todo!(\"x\")", "todo!("));
        assert!(!has_word("my_todo!()", "todo!("));
    }
}
