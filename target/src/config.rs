//! What the operator decides, from a file or the command line to validated types.
//!
//! Nothing is opened here and nothing is looked up: a configuration that parses is one that means
//! something. Invariant: no message and no `Debug` output holds a secret.

mod check;
pub mod quantity;
mod refusal;
mod schema;
mod source;
mod values;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use block::BlockSize;
use engine::{ChapCredential, InitiatorAccess, NodeConfig};
use iscsi::IscsiName;

use crate::store::{STORAGE_TIMEOUT, Settings, StoreSpec};

pub use refusal::{Refusal, Unfit};
pub use values::{chap_secret, chap_user, name, secrets_differ, storage_timeout};

/// Everything a server needs to know to start.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where it listens. Port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// Threads that run sessions.
    pub workers: usize,
    /// Connections in login at a time; beyond that the oldest is dropped.
    pub half_open_max: usize,
    /// How long initiators get to log out when the server stops.
    pub shutdown_grace: Duration,
    /// What holds for all sessions. Targets and portals are filled in at the start.
    pub node: NodeConfig,
    /// The targets.
    pub targets: Vec<TargetSpec>,
}

impl Default for ServerConfig {
    /// No targets, a free port of the loopback address.
    fn default() -> Self {
        Self {
            listen: vec![(Ipv4Addr::LOCALHOST, 0).into()],
            workers: 2,
            half_open_max: 4096,
            shutdown_grace: Duration::from_secs(5),
            node: NodeConfig::default(),
            targets: Vec::new(),
        }
    }
}

impl ServerConfig {
    /// Reads a configuration file.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let text = std::fs::read_to_string(path).map_err(|why| LoadError::Unreadable {
            path: path.display().to_string(),
            why,
        })?;
        Ok(Self::parse(&path.display().to_string(), &text)?)
    }

    /// Reads the text of a configuration file called `file`.
    pub fn parse(file: &str, text: &str) -> Result<Self, Refusal> {
        check::check(&source::Source::new(file, text))
    }

    /// Whether anybody must prove who it is, so that the file holds secrets.
    pub fn holds_secrets(&self) -> bool {
        !self.node.discovery_chap.is_empty()
            || self.targets.iter().any(|target| !target.chap.is_empty())
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{path}: {why}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        why: std::io::Error,
    },
    /// It says something it may not.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// One target.
#[derive(Clone, Debug)]
pub struct TargetSpec {
    /// Its iSCSI name.
    pub name: IscsiName,
    /// A name for people.
    pub alias: Option<String>,
    /// Who may log in.
    pub access: InitiatorAccess,
    /// CHAP users; none means no authentication is asked for.
    pub chap: Vec<ChapCredential>,
    /// What it proves to initiators that challenge it.
    pub mutual: Option<ChapCredential>,
    /// Its disks.
    pub luns: Vec<LunSpec>,
}

impl TargetSpec {
    /// A target for anyone, without disks.
    pub fn open_to_all(name: IscsiName) -> Self {
        Self {
            name,
            alias: None,
            access: InitiatorAccess::Anyone,
            chap: Vec::new(),
            mutual: None,
            luns: Vec::new(),
        }
    }
}

/// One disk of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LunSpec {
    /// Its number.
    pub lun: u16,
    /// Where its blocks are.
    pub store: StoreSpec,
    /// Plain writes may be lost in a crash until a flush. Off: every write that is answered is
    /// durable.
    pub write_back: bool,
    /// Its logical block size.
    pub block_size: BlockSize,
    /// Its serial number, where the derived one will not do.
    pub serial: Option<String>,
    /// Refuse writes.
    pub read_only: bool,
    /// How long an operation may take, where storage may be away for a while.
    pub storage_timeout: Duration,
}

impl LunSpec {
    /// A disk with 512-byte blocks whose writes are durable when answered.
    pub fn new(lun: u16, store: StoreSpec) -> Self {
        Self {
            lun,
            store,
            write_back: false,
            block_size: BlockSize::B512,
            serial: None,
            read_only: false,
            storage_timeout: STORAGE_TIMEOUT,
        }
    }

    /// How its store is to serve it.
    pub fn settings(&self) -> Settings {
        Settings {
            block_size: self.block_size,
            read_only: self.read_only,
            volatile_cache: self.write_back,
            storage_timeout: self.storage_timeout,
        }
    }
}

#[cfg(test)]
mod tests;
