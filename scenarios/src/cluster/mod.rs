//! Real Gluster: one container with glusterd and the bricks of as many volumes as are asked for.
//!
//! Knows nothing of iSCSI and of who uses a volume. Clients must reach the container's own address
//! (bricks choose their ports), so nothing is published and this host's kernel does the routing.
//! Invariant: what was started here is gone when it is dropped; what a run that died left behind is
//! gone once the next one starts.

mod container;
pub mod contract;
mod loan;
mod owner;
pub mod preflight;
mod recipe;
mod volume;

pub use container::Cluster;
pub use loan::{VARIABLE, lend};
pub use recipe::Suite;
pub use volume::{BRICKS, Volume};

use std::io;
use std::time::Duration;

/// Why there is no cluster, or not one that does what it is told.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// This machine lacks something; each line says what, and the remedy.
    #[error("{0}")]
    Missing(String),
    /// The Docker daemon refuses.
    #[error("docker, {doing}: {why}")]
    Docker {
        /// What was asked of it.
        doing: &'static str,
        /// What it said.
        why: String,
    },
    /// The image of the container does not come about.
    #[error("the image {image} cannot be made: {why}")]
    Image {
        /// Its name and tag.
        image: String,
        /// What went wrong.
        why: String,
    },
    /// A command in the container failed.
    #[error("in the container: {command}: exit {code}\n{output}")]
    Command {
        /// Which.
        command: String,
        /// Its exit code.
        code: i64,
        /// Everything it printed.
        output: String,
    },
    /// Something did not come about in time.
    #[error("{what}: not within {limit:?}; last seen: {seen}")]
    Late {
        /// What was waited for.
        what: String,
        /// For how long.
        limit: Duration,
        /// How things stood.
        seen: String,
    },
    /// This machine's own system refuses.
    #[error("{doing}: {why}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        why: io::Error,
    },
}

impl ClusterError {
    fn docker<E: std::fmt::Display>(doing: &'static str) -> impl FnOnce(E) -> Self {
        move |why| Self::Docker {
            doing,
            why: why.to_string(),
        }
    }

    fn system(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |why| Self::System { doing, why }
    }
}
