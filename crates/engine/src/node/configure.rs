//! What a new configuration means for the sessions there are, and for the units it takes away.
//!
//! Sessions hear of it at their own time and answer with what they still hold. Invariant: a unit is
//! called vacated once, when every session that could have it has let go of it or ended.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use iscsi::{IscsiName, LoginStatus};

use super::Node;
use crate::action::{Action, Actions};
use crate::config::NodeConfig;
use crate::input::{Admission, SessionId, ToSession};
use crate::units::UnitId;

/// A unit no configuration gives to anybody any more.
#[derive(Debug)]
pub(super) struct Vacating {
    unit: UnitId,
    /// The configuration that took it away. What a session says of an earlier one does not count:
    /// the unit may have come back in between.
    version: u64,
    by: BTreeSet<SessionId>,
}

impl Node {
    /// The operator decided anew.
    pub(super) fn configure(
        &mut self,
        config: Arc<NodeConfig>,
        grace: Duration,
        out: &mut Actions,
    ) {
        assert!(
            config.version > self.config.version,
            "configurations are numbered in their order"
        );
        let old = std::mem::replace(&mut self.config, Arc::clone(&config));
        self.grace = grace;
        self.take_away(&old);
        out.push(Action::Adopt(config));
        self.telling.clear();
        let sessions: Vec<_> = self.sessions.keys().copied().collect();
        for session in sessions {
            self.tell_configured(session, false, out);
        }
        self.report(out);
    }

    /// Notes the units that were there and are not any more.
    fn take_away(&mut self, old: &NodeConfig) {
        let luns = self.config.targets.iter().flat_map(|target| &target.luns);
        let kept: BTreeSet<UnitId> = luns.map(|(_, unit)| *unit).collect();
        self.vacating.retain(|gone| !kept.contains(&gone.unit));
        for target in &old.targets {
            let users = self.sessions.iter();
            let users =
                users.filter(|(_, entry)| entry.nexus.target.as_ref() == Some(&target.name));
            let by: BTreeSet<_> = users.map(|(session, _)| *session).collect();
            let gone = target.luns.iter().filter(|(_, unit)| !kept.contains(unit));
            self.vacating.extend(gone.map(|(_, unit)| Vacating {
                unit: *unit,
                version: self.config.version,
                by: by.clone(),
            }));
        }
    }

    /// Tells a session what has become of its target. One that is to end is told so once, and once
    /// more if it may not have been there to hear it.
    pub(super) fn tell_configured(&mut self, session: SessionId, missed: bool, out: &mut Actions) {
        let Some(entry) = self.sessions.get_mut(&session) else {
            return;
        };
        entry.dismissed &= !missed;
        let target = entry.nexus.target.as_ref();
        let message = match dismissal(&self.config, &entry.nexus.initiator, target) {
            Some(_) if entry.dismissed => return,
            Some((_, why)) => {
                entry.dismissed = true;
                let grace = self.grace;
                ToSession::Shutdown { grace, why }
            }
            None => {
                self.telling.insert(session);
                ToSession::Configure(Arc::clone(&self.config))
            }
        };
        out.push(Action::ToSession(session, message));
    }

    /// Why a login may not have what it asks for, although it was not refused when it began.
    pub(super) fn objection(&self, admission: &Admission) -> Option<LoginStatus> {
        let target = admission.target.as_ref();
        if let Some((status, _)) = dismissal(&self.config, &admission.initiator, target) {
            return Some(status);
        }
        // The secrets changed while it proved that it knows one: it may try again.
        let asked_for = admission.config.chap_of(target);
        (asked_for != self.config.chap_of(target)).then_some(LoginStatus::SERVICE_UNAVAILABLE)
    }

    /// A session says what it still has of what was taken away.
    pub(super) fn holds(
        &mut self,
        session: SessionId,
        version: u64,
        leaving: &[UnitId],
        out: &mut Actions,
    ) {
        if version == self.config.version {
            self.telling.remove(&session);
        }
        for gone in &mut self.vacating {
            if gone.version <= version && !leaving.contains(&gone.unit) {
                gone.by.remove(&session);
            }
        }
        self.report(out);
    }

    /// A session that has ended holds nothing.
    pub(super) fn left(&mut self, session: SessionId, out: &mut Actions) {
        self.telling.remove(&session);
        for gone in &mut self.vacating {
            gone.by.remove(&session);
        }
        self.report(out);
    }

    fn report(&mut self, out: &mut Actions) {
        let vacated = self.vacating.extract_if(.., |gone| gone.by.is_empty());
        out.extend(vacated.map(|gone| Action::Vacated {
            unit: gone.unit,
            version: gone.version,
        }));
        if self.telling.is_empty() && self.heard < self.config.version {
            self.heard = self.config.version;
            out.push(Action::Heard {
                version: self.heard,
            });
        }
    }
}

/// Why `initiator` may not have a session with `target`, for the wire and for people.
fn dismissal(
    config: &NodeConfig,
    initiator: &IscsiName,
    target: Option<&IscsiName>,
) -> Option<(LoginStatus, &'static str)> {
    match config.target(target?) {
        None => Some((LoginStatus::NOT_FOUND, "its target was taken away")),
        Some(target) if target.access.admits(initiator) => None,
        Some(_) => Some((
            LoginStatus::AUTHORIZATION_FAILURE,
            "its initiator is no longer let in",
        )),
    }
}
