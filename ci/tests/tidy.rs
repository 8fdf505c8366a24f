//! The rules about source text, on this very workspace. That each rule can fail is shown beside it.

use std::fmt::Write as _;

use ci::tidy::{self, Finding, Source};
use ci::workspace_root;

fn sources() -> Vec<Source> {
    let sources = tidy::read_sources(&workspace_root()).expect("the sources can be read");
    assert!(
        sources
            .iter()
            .any(|source| source.path == "ci/tests/tidy.rs"),
        "not this workspace"
    );
    sources
}

#[track_caller]
fn none(findings: &[Finding]) {
    let list = findings.iter().fold(String::new(), |mut list, finding| {
        let _ = writeln!(list, "{finding}");
        list
    });
    assert!(findings.is_empty(), "{} findings:\n{list}", findings.len());
}

#[test]
fn arrows_point_down() {
    let members = tidy::floors::read_members(&workspace_root()).expect("the manifests parse");
    assert_eq!(
        members.len(),
        12,
        "a new member needs a floor in the design"
    );
    none(&tidy::floors::check(&members));
}

#[test]
fn files_and_functions_are_small() {
    none(&tidy::sizes::check(&sources()));
}

#[test]
fn unsafe_stays_at_its_addresses() {
    none(&tidy::unsafe_places::check(&sources()));
}

#[test]
fn pure_crates_are_pure() {
    none(&tidy::purity::check(&sources()));
}

#[test]
fn nothing_is_left_over_or_named_for_nothing() {
    none(&tidy::names::check(&sources()));
}

#[test]
fn cargo_has_not_built_into_the_sources() {
    none(&tidy::target_folder::check(&workspace_root()));
}
