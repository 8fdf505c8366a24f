//! Where versions of Gluster differ; a case accepts exactly that, there.

/// Something a version does otherwise than 10.3.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    /// The case that looks at it.
    pub id: &'static str,
    /// From this version on.
    pub since: &'static str,
    /// What it does.
    pub what: &'static str,
    /// Where that was seen.
    pub evidence: &'static str,
}

/// All of them.
pub const DIFFERENCES: &[Difference] = &[Difference {
    id: "init.no-volume",
    since: "11.1",
    what: "ENOMEM where 10.3 says ENOENT",
    evidence: "this case: 10.3 (Debian 12) ENOENT 6 of 6, 11.1 (Debian 13) ENOMEM 6 of 6",
}];

/// The difference of a case, on that version.
pub(super) fn of(id: &str, version: &str) -> Option<&'static Difference> {
    let is_there = |row: &&Difference| row.id == id && numbers(version) >= numbers(row.since);
    DIFFERENCES.iter().find(is_there)
}

/// A version as numbers, to be compared.
fn numbers(version: &str) -> Vec<u32> {
    let parts = version.split('.');
    parts.map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_holds_from_its_version_on() {
        assert!(of("init.no-volume", "10.3").is_none());
        assert!(of("init.no-volume", "11.1").is_some());
        assert!(of("init.no-volume", "11.2").is_some());
        assert!(of("init.refused", "11.1").is_none());
        assert!(numbers("9.2") < numbers("10.3"));
    }
}
