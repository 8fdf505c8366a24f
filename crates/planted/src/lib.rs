//! Bugs planted on purpose, to prove that the proofs see them (docs/decisions/008).
//!
//! Code asks [`has`] in one line where it does the right thing. One extra build
//! (`--cfg glint_planted`) makes the mistake, one at a time: a process the one that
//! `GLINT_PLANTED_BUG` names, a thread the one it chose. Refuses to know how they are found.
//! Invariant: in every other build the answer is a constant `false`, and nothing is left of it.

mod bugs;
#[cfg(glint_planted)]
mod chosen;

pub use bugs::Bug;
#[cfg(glint_planted)]
pub use chosen::{choose, chosen};

#[cfg(all(glint_planted, not(debug_assertions)))]
compile_error!("--cfg glint_planted plants bugs: no release is built with it");

/// The variable in which a process of the planted build finds its bug, by name or by number.
pub const VARIABLE: &str = "GLINT_PLANTED_BUG";

/// Whether this bug is to be made here and now. In every build but the planted one: no.
#[cfg(not(glint_planted))]
#[inline(always)]
pub const fn has(_: Bug) -> bool {
    false
}

/// Whether this bug is to be made here and now.
#[cfg(glint_planted)]
pub fn has(bug: Bug) -> bool {
    chosen() == Some(bug)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_has_a_number_and_a_name_of_its_own() {
        for (place, &bug) in Bug::ALL.iter().enumerate() {
            assert_eq!(usize::from(bug.number()), place + 1, "{}", bug.name());
            assert_eq!(Bug::find(bug.name()), Some(bug));
            assert_eq!(Bug::find(&bug.number().to_string()), Some(bug));
        }
        assert_eq!(Bug::find("0"), None);
        assert_eq!(Bug::find("no-such-bug"), None);
    }

    #[cfg(not(glint_planted))]
    #[test]
    fn no_ordinary_build_has_one() {
        const ONE: bool = has(Bug::ALL[0]);
        assert!(!ONE && Bug::ALL.iter().all(|bug| !has(*bug)));
    }

    #[cfg(glint_planted)]
    #[test]
    fn a_thread_has_the_one_it_chose() {
        choose(Some(Bug::ALL[1]));
        let others = std::thread::spawn(|| {
            choose(None);
            chosen()
        });
        assert!(has(Bug::ALL[1]) && !has(Bug::ALL[0]));
        assert_eq!(others.join().expect("no panic"), None);
        choose(None);
        assert!(!has(Bug::ALL[1]));
    }
}
