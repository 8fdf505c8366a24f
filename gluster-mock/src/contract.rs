//! The contract suite: what libgfapi does, case by case, through its C functions, the same cases on
//! the fake and on real Gluster.
//!
//! What real Gluster does is the truth: every stated value was seen on the versions in
//! [`VERSIONS`]. The rows come from the project's research on libgfapi (`gfapi.md`) and on fencing
//! (`fencing.md`); a case names its row. Where two versions differ, [`DIFFERENCES`] says so; rows
//! that no case covers are in [`NOT_RUN`], with the reason.

mod bricks;
mod case;
mod client;
mod differences;
mod durability;
mod fake;
mod fencing;
mod fencing_faults;
mod files;
mod graph;
mod ground;
mod init;
mod locks;
mod names;
mod not_run;
mod real;
mod run;
mod shapes;

pub use case::{Case, Company, Fault, Stage, Verdict};
pub use client::{Answer, Refusal};
pub use differences::{DIFFERENCES, Difference};
pub use fake::Fake;
pub use ground::{Ground, GroundError, Kind, Volume, Wish};
pub use not_run::{NOT_RUN, NotRun};
pub use real::Real;
pub use run::{Outcome, Row, run};

/// The versions on which every stated value was seen.
pub const VERSIONS: [&str; 2] = ["10.3", "11.1"];

/// Every case, by theme.
pub fn cases() -> Vec<Case> {
    let mut all = [
        files::CASES,
        names::CASES,
        shapes::CASES,
        durability::CASES,
        bricks::CASES,
        graph::CASES,
        init::CASES,
        fencing_faults::CASES,
    ]
    .concat();
    all.extend(locks::CASES.concat());
    all.extend(fencing::CASES.concat());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_a_name_of_its_own() {
        let mut ids: Vec<&str> = cases().iter().map(|case| case.id).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }

    #[test]
    fn every_difference_is_of_a_case() {
        for difference in DIFFERENCES {
            assert!(
                cases().iter().any(|case| case.id == difference.id),
                "{}",
                difference.id
            );
        }
    }
}
