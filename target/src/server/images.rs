//! Disks that are to be served and disks that are: from the operator's words to open images.

use std::net::SocketAddr;
use std::sync::Arc;

use engine::{NodeConfig, PortalAddress, TargetConfig, UnitId};
use iscsi::{IscsiName, Tpgt};

use super::Startup;
use crate::config::quantity::Bytes;
use crate::config::{LunSpec, ServerConfig};
use crate::gluster::ImageId;
use crate::identity::{Known, Twin, identity};
use crate::store::{OpenError, Store};
use crate::units::UnitTable;

/// The one portal group there is: every portal reaches every target.
const PORTAL_GROUP: Tpgt = Tpgt(1);

/// A disk as the operator describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) target: IscsiName,
    pub(super) lun: LunSpec,
}

/// A disk whose image is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) wanted: Wanted,
    pub(super) unit: UnitId,
    pub(super) bytes: u64,
    /// Who it is, where its storage knows.
    pub(super) image: Option<ImageId>,
}

impl Wanted {
    /// Every disk of a configuration.
    pub(super) fn all(config: &ServerConfig) -> Vec<Self> {
        let targets = config.targets.iter();
        let luns = targets.flat_map(|target| target.luns.iter().map(move |lun| (target, lun)));
        luns.map(|(target, lun)| Self {
            target: target.name.clone(),
            lun: lun.clone(),
        })
        .collect()
    }

    /// What it is, for messages.
    pub(super) fn name(&self) -> String {
        format!("LUN {} of {}", self.lun.lun, self.target)
    }

    /// Whether it is the same LUN, whatever is behind it.
    pub(super) fn is_at(&self, other: &Self) -> bool {
        self.lun.lun == other.lun.lun && self.target == other.target
    }

    fn is_twin(&self, why: Twin) -> Startup {
        Startup::Twin {
            target: self.target.to_string(),
            lun: self.lun.lun,
            why,
        }
    }

    pub(super) fn fails(&self, why: OpenError) -> Startup {
        Startup::Image {
            target: self.target.to_string(),
            lun: self.lun.lun,
            why,
        }
    }
}

/// The disks there are before others come: those that `stay`, and those that are `open`, which may
/// be called as one of the others but must not be the same image.
pub(super) fn known(stay: &[Served], open: &[Served]) -> Known {
    let mut known = Known::default();
    for served in open {
        known.note(served.wanted.name(), served.image, None);
    }
    for served in stay {
        let (target, lun) = (&served.wanted.target, &served.wanted.lun);
        let identity = identity(target, lun, served.image.as_ref());
        known.note(served.wanted.name(), served.image, Some(identity));
    }
    known
}

/// A disk whose image was just opened.
pub(super) type Opened = (Wanted, Arc<dyn Store>);

/// Opens images, one after the other; all of them or none. Each must be told from the others, and
/// from those that are `known`. Blocks.
pub(super) fn open_all(
    wanted: Vec<Wanted>,
    mut known: Known,
    mut open: impl FnMut(&LunSpec) -> Result<Arc<dyn Store>, OpenError>,
) -> Result<Vec<Opened>, Startup> {
    let opened = wanted.into_iter().map(|wanted| {
        let store = open(&wanted.lun).map_err(|why| wanted.fails(why))?;
        let image = store.image();
        let identity = identity(&wanted.target, &wanted.lun, image.as_ref());
        let twin = known.admit(wanted.name(), image, identity);
        twin.map_err(|why| wanted.is_twin(why))?;
        Ok((wanted, store))
    });
    opened.collect()
}

/// Makes units of open images.
pub(super) fn serve(units: &UnitTable, opened: Vec<Opened>) -> Vec<Served> {
    let serve = |(wanted, store): Opened| {
        let (name, bytes) = (wanted.name(), store.caps().bytes);
        let image = store.image();
        let identity = identity(&wanted.target, &wanted.lun, image.as_ref());
        let mode = if wanted.lun.write_back {
            "write-back"
        } else {
            "write-through"
        };
        let (place, size, serial) = (&wanted.lun.store, Bytes(bytes), &identity.serial);
        tracing::info!("{name}: {place} ({size}, {mode}, serial {serial})");
        let unit = units.add(name, identity, store);
        Served {
            wanted,
            unit,
            bytes,
            image,
        }
    };
    opened.into_iter().map(serve).collect()
}

/// What the engine is told: of the targets of `config` the disks that are served, and those that
/// are `away` for a moment.
pub(super) fn node_config(
    config: &ServerConfig,
    served: &[Served],
    away: &[Served],
    portals: &[SocketAddr],
    version: u64,
) -> NodeConfig {
    let targets = config.targets.iter().map(|target| {
        let of_target = |served: &&Served| served.wanted.target == target.name;
        let luns = served.iter().filter(of_target);
        let mut luns: Vec<_> = luns.map(|each| (each.wanted.lun.lun, each.unit)).collect();
        luns.sort_unstable_by_key(|(lun, _)| *lun);
        let away = away.iter().filter(of_target);
        TargetConfig {
            name: target.name.clone(),
            alias: target.alias.clone(),
            tpgt: PORTAL_GROUP,
            luns,
            away: away.map(|each| each.wanted.lun.lun).collect(),
            access: target.access.clone(),
            chap: target.chap.clone(),
            mutual: target.mutual.clone(),
        }
    });
    let portal = |&address| PortalAddress {
        address,
        tpgt: PORTAL_GROUP,
    };
    NodeConfig {
        version,
        targets: targets.collect(),
        portals: portals.iter().map(portal).collect(),
        ..config.node.clone()
    }
}
