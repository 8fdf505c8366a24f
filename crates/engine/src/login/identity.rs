//! Who logs in, to what: the keys that only the first complete request may carry.

use iscsi::{IscsiName, LoginStatus, Tpgt};

use super::Refusal;
use super::security::Policy;
use crate::config::NodeConfig;

/// What the first request told, checked against the configuration.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) initiator: IscsiName,
    /// `None` for a discovery session.
    pub(super) target: Option<IscsiName>,
    pub(super) alias: Option<String>,
    pub(super) tpgt: Tpgt,
    fresh: bool,
}

/// Keys read here and nowhere else.
const IDENTITY_KEYS: [&str; 3] = ["InitiatorName", "TargetName", "SessionType"];

/// RFC 7143 13.7: may be told at any time, and means nothing to us.
pub(crate) const ALIAS_KEY: &str = "InitiatorAlias";

impl Identity {
    /// RFC 7143 6.3 and 13.4, 13.5, 13.21: names come first, and are needed.
    pub(super) fn read(pairs: &[(&str, &str)], config: &NodeConfig) -> Result<Self, Refusal> {
        let missing = |why| Refusal::new(LoginStatus::MISSING_PARAMETER, why);
        for key in IDENTITY_KEYS {
            if pairs.iter().filter(|(name, _)| *name == key).count() > 1 {
                return Err(Refusal::initiator_error("a key was declared twice"));
            }
        }
        let value = |key| {
            pairs
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, value)| *value)
        };
        let name = value("InitiatorName").ok_or_else(|| missing("no InitiatorName"))?;
        let initiator = IscsiName::parse(name)
            .map_err(|_| Refusal::initiator_error("InitiatorName is no iSCSI name"))?;
        match value("SessionType") {
            Some("Discovery") => {
                let tpgt = config.portals.first().map_or(Tpgt(1), |portal| portal.tpgt);
                Ok(Self {
                    initiator,
                    target: None,
                    alias: None,
                    tpgt,
                    fresh: true,
                })
            }
            Some("Normal") | None => {
                let name = value("TargetName").ok_or_else(|| missing("no TargetName"))?;
                Self::normal(initiator, name, config)
            }
            Some(_) => {
                let status = LoginStatus::SESSION_TYPE_NOT_SUPPORTED;
                Err(Refusal::new(status, "a session type that does not exist"))
            }
        }
    }

    fn normal(initiator: IscsiName, target: &str, config: &NodeConfig) -> Result<Self, Refusal> {
        let found = IscsiName::parse(target)
            .ok()
            .and_then(|name| config.target(&name));
        let Some(target) = found else {
            return Err(Refusal::new(LoginStatus::NOT_FOUND, "no such target"));
        };
        if !target.access.admits(&initiator) {
            let status = LoginStatus::AUTHORIZATION_FAILURE;
            return Err(Refusal::new(
                status,
                "this initiator is not on the target's list",
            ));
        }
        Ok(Self {
            initiator,
            target: Some(target.name.clone()),
            alias: target.alias.clone(),
            tpgt: target.tpgt,
            fresh: true,
        })
    }

    /// What this peer must prove, and what we can.
    pub(super) fn policy(&self, config: &NodeConfig) -> Policy {
        let target = self.target.as_ref().and_then(|name| config.target(name));
        match target {
            Some(target) => Policy {
                users: target.chap.clone(),
                mutual: target.mutual.clone(),
            },
            None => Policy {
                users: config.discovery_chap.clone(),
                mutual: config.discovery_mutual.clone(),
            },
        }
    }

    /// True once: while the pairs at hand are those of the first complete request.
    pub(super) fn take_fresh(&mut self) -> bool {
        std::mem::take(&mut self.fresh)
    }
}

/// The pairs that are left for the stage. In a later request an identity key stays in, and is
/// refused there as out of place.
pub(super) fn without_identity<'a>(
    pairs: &[(&'a str, &'a str)],
    first: bool,
) -> Vec<(&'a str, &'a str)> {
    let kept = |key: &str| key != ALIAS_KEY && !(first && IDENTITY_KEYS.contains(&key));
    pairs.iter().copied().filter(|(key, _)| kept(key)).collect()
}
