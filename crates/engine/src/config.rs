//! What the operator decides, already validated: who may log in to what.

use std::net::SocketAddr;
use std::time::Duration;

use iscsi::keys::{Offer, TaskReporting};
use iscsi::{IscsiName, Tpgt};

use crate::limits::{QUEUE_DEPTH_MAX, TICKET_BYTES_MAX};
use crate::units::UnitId;

/// Everything a login or session needs to know about this node. Shared, replaced as a whole.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Which configuration this is: whatever replaces it has a higher number.
    pub version: u64,
    /// The targets, in the order SendTargets lists them.
    pub targets: Vec<TargetConfig>,
    /// The addresses SendTargets lists.
    pub portals: Vec<PortalAddress>,
    /// CHAP for discovery sessions; empty means none is asked for.
    pub discovery_chap: Vec<ChapCredential>,
    /// What we prove to an initiator that challenges us during discovery.
    pub discovery_mutual: Option<ChapCredential>,
    /// What we offer and accept in operational negotiation.
    pub offer: Offer,
    /// Commands one session may have outstanding: the CmdSN window.
    pub queue_depth: u32,
    /// Memory one session may have in flight, in bytes.
    pub session_memory_bytes: usize,
    /// Sessions at a time.
    pub sessions_max: usize,
    /// A login that takes longer is dropped.
    pub login_timeout: Duration,
    /// A silent initiator is pinged after this long. Zero: never.
    pub ping_interval: Duration,
    /// A ping not answered within this drops the connection.
    pub ping_timeout: Duration,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            version: 0,
            targets: Vec::new(),
            portals: Vec::new(),
            discovery_chap: Vec::new(),
            discovery_mutual: None,
            offer: Offer::default(),
            queue_depth: 128,
            session_memory_bytes: 64 << 20,
            sessions_max: 256,
            login_timeout: Duration::from_secs(15),
            ping_interval: Duration::from_secs(15),
            ping_timeout: Duration::from_secs(10),
        }
    }
}

impl NodeConfig {
    /// The target of that name.
    pub fn target(&self, name: &IscsiName) -> Option<&TargetConfig> {
        self.targets.iter().find(|target| target.name == *name)
    }

    /// The CHAP users of that target, or of discovery; none where there is no such target.
    pub(crate) fn chap_of(&self, target: Option<&IscsiName>) -> &[ChapCredential] {
        match target {
            Some(name) => self.target(name).map_or(&[], |target| &target.chap),
            None => &self.discovery_chap,
        }
    }

    /// What is offered, within what this engine keeps: one connection without recovery, data in
    /// order, and unsolicited data that fits the first ticket of a write.
    pub(crate) fn kept_offer(&self) -> Offer {
        Offer {
            max_connections: 1,
            erl: 0,
            data_pdu_in_order: true,
            data_sequence_in_order: true,
            task_reporting: vec![TaskReporting::Rfc3720],
            first_burst: self.offer.first_burst.min(TICKET_BYTES_MAX as u32),
            ..self.offer.clone()
        }
    }

    /// Width of the CmdSN window: never zero, which would not open, and bounded.
    pub(crate) fn window_depth(&self) -> u32 {
        self.queue_depth.clamp(1, QUEUE_DEPTH_MAX)
    }
}

/// One target: a name, its units, and who may use them.
#[derive(Clone, Debug)]
pub struct TargetConfig {
    /// Its iSCSI name.
    pub name: IscsiName,
    /// A name for people, told at login.
    pub alias: Option<String>,
    /// Its portal group.
    pub tpgt: Tpgt,
    /// LUN → unit, ascending.
    pub luns: Vec<(u16, UnitId)>,
    /// LUNs that are out of service for a moment: they are listed, and their commands told BUSY.
    pub away: Vec<u16>,
    /// Who may log in.
    pub access: InitiatorAccess,
    /// CHAP users; empty means no authentication is asked for.
    pub chap: Vec<ChapCredential>,
    /// What we prove to an initiator that challenges us.
    pub mutual: Option<ChapCredential>,
}

/// Which initiators may log in and see the target in discovery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InitiatorAccess {
    /// Any.
    Anyone,
    /// Only these.
    Only(Vec<IscsiName>),
}

impl InitiatorAccess {
    /// Whether `initiator` is let in.
    pub fn admits(&self, initiator: &IscsiName) -> bool {
        match self {
            Self::Anyone => true,
            Self::Only(names) => names.contains(initiator),
        }
    }
}

/// A CHAP name and its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ChapCredential {
    /// CHAP_N.
    pub name: String,
    /// The shared secret; never logged.
    pub secret: Vec<u8>,
}

impl std::fmt::Debug for ChapCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChapCredential")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// One address SendTargets tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortalAddress {
    /// Where it listens; an unspecified address is told as the one the initiator reached.
    pub address: SocketAddr,
    /// Its portal group.
    pub tpgt: Tpgt,
}
