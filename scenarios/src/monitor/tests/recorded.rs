//! Real initiators and targets, recorded. What the monitor finds there was looked up by hand: it is
//! what these targets are known to do wrong, and nothing else.

use std::collections::BTreeSet;
use std::path::Path;

use crate::capture;
use crate::monitor::judge;

/// The clauses broken in each capture whose name begins with this.
const KNOWN: [(&str, &[&str]); 3] = [
    // Data-In with LUN 0xffffffffffffffff where it is reserved.
    ("lio-", &["RFC 7143 11.7.4"]),
    // F only on the last Data-In; ExpDataSN 0 with CHECK CONDITION after Data-In.
    ("tgt-", &["RFC 7143 13.13", "RFC 7143 11.4.8"]),
    // Data-In of a task after ABORT TASK was answered "function complete".
    ("istgt-", &["RFC 7143 11.5.1"]),
];

#[test]
fn only_known_faults_are_found() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces");
    let mut found: BTreeSet<(&str, &str)> = BTreeSet::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.ends_with(".pcapng") {
            continue;
        }
        let (target, known) = KNOWN.iter().find(|(who, _)| name.starts_with(who)).unwrap();
        for conversation in capture::conversations(&path).unwrap() {
            for breach in judge(&conversation) {
                assert!(known.contains(&breach.clause), "{name}: {breach}");
                found.insert((target, breach.clause));
            }
        }
    }
    assert_eq!(found.len(), 4, "the monitor is blind: {found:?}");
}
