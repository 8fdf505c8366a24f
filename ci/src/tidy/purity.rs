//! Floors 0 to 2 ask nobody the time: no clock, no chance, no threads, no locks, no hash order, no
//! log lines, no system. All of it reaches them as arguments.

use super::{Finding, Source, has_word};

/// The crates that are pure.
pub const CRATES: [&str; 4] = ["block", "iscsi", "scsi", "engine"];

/// What they must not say outside their tests, and what they take instead.
const BANNED: [(&str, &str); 25] = [
    ("Instant", "time arrives with the input"),
    ("SystemTime", "time arrives with the input"),
    ("sleep", "ask for a timer"),
    ("thread", "the shell owns threads"),
    ("spawn", "the shell owns threads"),
    ("async", "nothing here waits"),
    ("await", "nothing here waits"),
    ("tokio", "the shell owns the runtime"),
    ("HashMap", "hash order differs between runs: BTreeMap"),
    ("HashSet", "hash order differs between runs: BTreeSet"),
    ("RandomState", "hash order differs between runs"),
    ("rand", "chance arrives as bytes"),
    ("Mutex", "no lock lives in a pure crate"),
    ("RwLock", "no lock lives in a pure crate"),
    ("tracing", "tell an event"),
    ("print!(", "tell an event"),
    ("println!(", "tell an event"),
    ("eprintln!(", "tell an event"),
    ("eprint!(", "tell an event"),
    ("std::fs", "the shell owns files"),
    ("TcpStream", "the shell owns sockets"),
    ("TcpListener", "the shell owns sockets"),
    ("UdpSocket", "the shell owns sockets"),
    ("std::env", "settings are arguments"),
    ("std::process", "the shell owns processes"),
];

/// Impure words in pure crates.
pub fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| is_pure(&source.path)) {
        for (index, line) in source
            .lines
            .iter()
            .enumerate()
            .filter(|(_, line)| !line.test)
        {
            for (word, instead) in BANNED.iter().filter(|(word, _)| has_word(&line.code, word)) {
                let message = format!("`{word}` in a pure crate; {instead}");
                findings.push(Finding::new("purity", source.at(index), message));
            }
        }
    }
    findings
}

fn is_pure(path: &str) -> bool {
    let folder = path
        .strip_prefix("crates/")
        .and_then(|rest| rest.split('/').next());
    folder.is_some_and(|folder| CRATES.contains(&folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> usize {
        check(&[Source::new(path, text)]).len()
    }

    #[test]
    fn every_banned_word_is_found() {
        for (word, _) in BANNED {
            assert_eq!(
                findings("crates/engine/src/a.rs", &format!("let a = {word};")),
                1,
                "{word}"
            );
        }
        assert_eq!(
            findings("crates/block/src/a.rs", "use std::collections::HashMap;"),
            1
        );
    }

    #[test]
    fn tests_other_crates_comments_and_longer_names_are_free() {
        let text = "let now = std::time::Instant::now();";
        assert_eq!(findings("crates/iscsi/src/a.rs", text), 1);
        assert_eq!(findings("crates/iscsi/src/tests.rs", text), 0);
        assert_eq!(
            findings(
                "crates/iscsi/src/a.rs",
                &format!("#[cfg(test)]\nmod t {{ {text} }}")
            ),
            0
        );
        assert_eq!(findings("target/src/clock.rs", text), 0);
        assert_eq!(
            findings(
                "crates/iscsi/src/a.rs",
                "// an Instant\nlet operand = \"rand\";"
            ),
            0
        );
    }
}
