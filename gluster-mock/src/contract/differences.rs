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
pub const DIFFERENCES: &[Difference] = &[];
