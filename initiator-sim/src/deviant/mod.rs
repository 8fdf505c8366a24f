//! A hostile peer, seeded: the same seed sends the same.
//!
//! Three kinds of PDU come out of a [`Generator`]: structurally valid ones of every opcode with
//! fields drawn at random around what the session would accept, named violations ([`violation`])
//! and byte-level mutations of either. [`fn@attack`] sends them over many connections, a quarter of
//! them logged in first, drains what comes back and never waits for an answer.

mod attack;
mod generate;
mod mutate;
pub mod violation;

pub use attack::{HostileError, HostilePlan, Summary, attack};
pub use generate::{Context, Generator, Kind, Sample};

#[cfg(test)]
mod tests;
