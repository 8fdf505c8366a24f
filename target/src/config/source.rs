//! The text of a configuration file, for pointing at places in it without showing secrets.

use std::ops::Range;

/// A file's name and text.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
    /// Whether its keys are ours, so that their names tell which values are secrets.
    keys_known: bool,
}

/// A place in a file, as people count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// From 1.
    pub(super) line: usize,
    /// In characters, from 1.
    pub(super) column: usize,
    /// The line's text, secrets masked.
    pub(super) shown: String,
    /// Characters to underline, within the line.
    pub(super) width: usize,
}

impl<'a> Source<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        Self {
            file,
            text,
            keys_known: true,
        }
    }

    /// The same text, of which nobody knows what it means: no value of it is shown.
    pub(super) fn with_unknown_keys(&self) -> Self {
        Self {
            keys_known: false,
            ..*self
        }
    }

    pub(super) fn place(&self, span: Range<usize>) -> Place {
        let start = self.boundary(span.start);
        let line_start = self.text[..start]
            .rfind('\n')
            .map_or(0, |newline| newline + 1);
        let line_end = self.text[start..]
            .find('\n')
            .map_or(self.text.len(), |len| start + len);
        let end = self.boundary(span.end).clamp(start, line_end);
        let line = match self.keys_known {
            true => masked(self.text)[line_start..line_end].to_owned(),
            false => without_value(&self.text[line_start..line_end]),
        };
        let shown = line.trim_end().to_owned();
        Place {
            line: self.text[..start].matches('\n').count() + 1,
            column: self.text[line_start..start].chars().count() + 1,
            shown,
            width: self.text[start..end].chars().count().max(1),
        }
    }

    fn boundary(&self, at: usize) -> usize {
        let at = at.min(self.text.len());
        (0..=at)
            .rev()
            .find(|&at| self.text.is_char_boundary(at))
            .unwrap_or(0)
    }
}

/// The text with everything after `secret =` replaced, byte for byte: to the end of the line, and
/// through a multi-line string to the end of the file.
fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut hidden = false;
    for line in text.split_inclusive('\n') {
        let shown = if hidden {
            0
        } else {
            secret_at(line).unwrap_or(line.len())
        };
        hidden |= shown < line.len()
            && (line[shown..].contains("\"\"\"") || line[shown..].contains("'''"));
        out.push_str(&line[..shown]);
        out.extend(line.bytes().skip(shown).map(|byte| match byte {
            b'\n' | b'\r' => char::from(byte),
            _ => '*',
        }));
    }
    out
}

/// A line with everything but its keys replaced, byte for byte: any value may be a secret under a
/// misspelt key, and a line without a key the rest of one.
fn without_value(line: &str) -> String {
    let is_header = line.trim_start().starts_with('[') && !line.contains(['"', '\'']);
    let shown = match line.find('=') {
        _ if is_header => line.len(),
        Some(equals) => equals + 1,
        None => 0,
    };
    line[..shown].to_owned() + &"*".repeat(line.trim_end().len().saturating_sub(shown))
}

/// Where a secret begins in a line: after `secret =`, and after `chap =` or `mutual =` where no
/// table follows.
fn secret_at(line: &str) -> Option<usize> {
    let value = |word: &'static str| {
        line.match_indices(word).filter_map(move |(at, word)| {
            let after = &line[at + word.len()..];
            after
                .trim_start_matches(['"', '\'', ' ', '\t'])
                .strip_prefix('=')
        })
    };
    let table = |text: &&str| text.trim_start().starts_with(['{', '[']);
    let bare = value("chap")
        .chain(value("mutual"))
        .filter(|text| !table(text));
    value("secret")
        .chain(bare)
        .map(|text| line.len() - text.len())
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_from_one_and_by_character() {
        let source = Source::new("a.toml", "x = 1\nñame = 2\n");
        let at = source.text.find('2').expect("there");
        let place = source.place(at..at + 1);
        assert_eq!((place.line, place.column, place.width), (2, 8, 1));
        assert_eq!(place.shown, "ñame = 2");
        assert_eq!(source.place(1000..2000).line, 3);
    }

    #[test]
    fn what_is_no_secret_is_shown() {
        for line in ["# keep the secret\nuser = 1", "chap = { user = \"joe\" }"] {
            assert_eq!(masked(line), line);
        }
    }

    #[test]
    fn secrets_are_masked_however_they_are_written() {
        for line in [
            "secret = \"hunter2hunter2\"",
            "chap = { user = \"a\", secret = \"hunter2hunter2\" }",
            "chap.\"secret\"=\"hunter2hunter2\" # hunter2",
            "secret = \"\"\"\nhunter2hunter2\"\"\"",
            "secret = hunter2",
            "chap = \"joe:hunter2hunter2\"",
        ] {
            let masked = masked(line);
            assert!(!masked.contains("hunter2"), "{masked}");
            assert_eq!(masked.len(), line.len());
        }
    }
}
