//! A volume lent to a command: it finds `SERVER/VOLUME` in its environment.

use std::process::{Command, ExitStatus};
use std::sync::Arc;

use super::{Cluster, ClusterError};

/// Where the command finds the volume.
pub const VARIABLE: &str = "GLINT_GLUSTER";

/// Runs a command to its end with a fresh volume of a fresh cluster.
pub fn lend(program: &str, arguments: &[String]) -> Result<ExitStatus, ClusterError> {
    let cluster = Arc::new(Cluster::start()?);
    let volume = cluster.volume("lent")?;
    Command::new(program)
        .args(arguments)
        .env(VARIABLE, volume.place())
        .status()
        .map_err(ClusterError::system("start the command"))
}
