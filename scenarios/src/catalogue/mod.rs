//! Every scenario there is, by family. One file per family, one row per requirement.

pub mod admission;
mod by_hand;
pub mod chap;
pub mod data_out;
pub mod deadlines;
pub mod digests;
pub mod discovery;
pub mod durability;
mod exchange;
pub mod framing;
pub mod hung_tasks;
pub mod identity;
mod judge;
pub mod keys;
pub mod login;
pub mod negotiation;
pub mod numbering;
pub mod read;
pub mod reinstatement;
pub mod residuals;
pub mod restart;
pub mod scsi;
pub mod session;
pub mod solicited;
pub mod storage;
mod survival;
pub mod task_management;
pub mod task_sets;
pub mod terms;
pub mod write;

use crate::scenario::Scenario;

/// The families, in the order in which a session meets them.
const FAMILIES: [fn() -> Vec<Scenario>; 26] = [
    login::scenarios,
    admission::scenarios,
    reinstatement::scenarios,
    keys::scenarios,
    terms::scenarios,
    chap::scenarios,
    discovery::scenarios,
    framing::scenarios,
    numbering::scenarios,
    session::scenarios,
    negotiation::scenarios,
    digests::scenarios,
    read::scenarios,
    write::scenarios,
    solicited::scenarios,
    data_out::scenarios,
    residuals::scenarios,
    task_management::scenarios,
    task_sets::scenarios,
    identity::scenarios,
    scsi::scenarios,
    durability::scenarios,
    restart::scenarios,
    storage::scenarios,
    deadlines::scenarios,
    hung_tasks::scenarios,
];

/// All scenarios, in the order of their families.
pub fn all() -> Vec<Scenario> {
    FAMILIES.iter().flat_map(|family| family()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_fit_into_an_iscsi_name() {
        let mut seen = HashSet::new();
        for Scenario { id, .. } in all() {
            assert!(seen.insert(id), "{id} is there twice");
            // RFC 7143 4.2.7.2: what an IQN may hold; the id becomes part of one.
            let fits = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit();
            assert!(
                id.chars().all(|char| fits(char) || ".-".contains(char)),
                "{id}"
            );
            assert!(id.contains('.') && id.len() <= 100, "{id}");
        }
    }

    #[test]
    fn every_requirement_is_a_sentence_with_a_place() {
        for Scenario {
            id,
            clause,
            requirement,
            ..
        } in all()
        {
            assert!(!clause.is_empty(), "{id}");
            assert!(
                requirement.ends_with('.') && requirement.len() > 20,
                "{id}: {requirement}"
            );
        }
    }
}
