//! `unsafe` has five addresses.

use super::{Finding, Source, has_word};

/// Where foreign code is called, or pretends to be.
pub const PLACES: [&str; 5] = [
    "crates/glfs-sys/",
    "crates/libiscsi-sys/",
    "target/src/gluster/",
    "gluster-mock/src/face_c/",
    "gluster-mock/src/contract/client/",
];

/// `unsafe`, or the permission for it, anywhere else.
pub fn check(sources: &[Source]) -> Vec<Finding> {
    let elsewhere = sources.iter().filter(|source| !is_allowed(&source.path));
    elsewhere
        .flat_map(|source| {
            source
                .lines
                .iter()
                .enumerate()
                .map(move |line| (source, line))
        })
        .filter(|(_, (_, line))| {
            has_word(&line.code, "unsafe") || line.code.contains("allow(unsafe_code")
        })
        .map(|(source, (index, _))| {
            Finding::new(
                "unsafe_places",
                source.at(index),
                "unsafe belongs in a sys crate",
            )
        })
        .collect()
}

fn is_allowed(path: &str) -> bool {
    // A module is a folder, or the one file it was before it grew.
    PLACES.iter().any(|place| {
        path.starts_with(place) || path.strip_suffix(".rs") == Some(place.trim_end_matches('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_is_found_outside_its_places_only() {
        let text =
            "// unsafe\nlet a = \"unsafe\";\nlet b = unsafe { c() };\n#![allow(unsafe_code)]";
        let places = |path: &str| -> Vec<String> {
            check(&[Source::new(path, text)])
                .into_iter()
                .map(|finding| finding.place)
                .collect()
        };
        assert_eq!(
            places("target/src/net.rs"),
            ["target/src/net.rs:3", "target/src/net.rs:4"]
        );
        assert_eq!(places("target/src/gluster_like.rs").len(), 2);
        assert!(places("target/src/gluster/volume.rs").is_empty());
        assert!(places("target/src/gluster.rs").is_empty());
        assert!(places("crates/glfs-sys/src/api.rs").is_empty());
    }
}
