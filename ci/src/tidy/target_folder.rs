//! `target/` is a crate here, and cargo's favourite place for its output. When cargo runs from
//! outside with `--manifest-path` it does not see our settings and builds into the sources.

use std::path::Path;

use super::Finding;

/// What cargo leaves behind.
const DROPPINGS: [&str; 3] = ["debug", "release", "CACHEDIR.TAG"];

/// Build output among the sources of the crate `target`.
pub fn check(root: &Path) -> Vec<Finding> {
    let found = DROPPINGS
        .iter()
        .filter(|name| root.join("target").join(name).exists());
    found
        .map(|name| {
            let message = "cargo built into the sources: remove it, `cd` to the root first, never \
                           pass --manifest-path, never `cargo clean` from outside";
            Finding::new("target_folder", format!("target/{name}"), message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn build_output_is_found() {
        let root = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir_all(root.path().join("target/src")).expect("a folder");
        assert!(check(root.path()).is_empty());
        fs::create_dir(root.path().join("target/debug")).expect("a folder");
        fs::write(root.path().join("target/CACHEDIR.TAG"), "").expect("a file");
        assert_eq!(check(root.path()).len(), 2);
    }
}
