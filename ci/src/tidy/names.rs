//! Words that mean "not done" or "not thought about".

use super::{Finding, Source, has_word};

/// Unfinished code.
const UNFINISHED: [&str; 3] = ["todo!(", "unimplemented!(", "#[ignore"];

/// Unfinished business in comments; split, so that this file does not find itself.
const NOTES: [&str; 2] = [concat!("FIX", "ME"), concat!("XX", "X")];

/// A file of one of these names is about nothing.
const EMPTY_NAMES: [&str; 7] = [
    "util", "utils", "helper", "helpers", "misc", "manager", "common",
];

/// Leftovers, and files named for nothing.
pub fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        let parts = source.path.split('/');
        for name in parts.map(|part| part.trim_end_matches(".rs")) {
            if EMPTY_NAMES.contains(&name) {
                let message = format!("`{name}` says nothing: name it for what it does");
                findings.push(Finding::new("names", &source.path, message));
            }
        }
        for (index, line) in source.lines.iter().enumerate() {
            let unfinished = UNFINISHED.iter().filter(|word| has_word(&line.code, word));
            let notes = NOTES.iter().filter(|word| has_word(&line.raw, word));
            for word in unfinished.chain(notes) {
                let message = format!("`{word}` is left over: finish it or file it");
                findings.push(Finding::new("names", source.at(index), message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> usize {
        check(&[Source::new(path, text)]).len()
    }

    #[test]
    fn leftovers_are_found() {
        let words = [
            "todo!(\"later\")",
            "unimplemented!()",
            "#[ignore = \"slow\"]",
        ];
        for word in words {
            assert_eq!(findings("x/src/a.rs", word), 1, "{word}");
        }
        for note in NOTES {
            assert_eq!(
                findings("x/src/a.rs", &format!("// {note}: later")),
                1,
                "{note}"
            );
        }
        assert_eq!(
            findings(
                "x/src/a.rs",
                "let a = \"todo!()\"; // unimplemented!() is banned"
            ),
            0
        );
    }

    #[test]
    fn empty_names_are_found() {
        assert_eq!(findings("x/src/utils.rs", ""), 1);
        assert_eq!(findings("x/src/helpers/read.rs", ""), 1);
        assert_eq!(findings("x/src/utility_room.rs", ""), 0);
    }
}
