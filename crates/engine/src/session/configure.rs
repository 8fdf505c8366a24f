//! A new configuration, as the session that goes on sees it: units come and go.
//!
//! What storage has of a unit that was taken away still comes back and is answered; nothing more is
//! begun on it. Invariant: a unit is let go of once, after its last ticket, and never looked at
//! again.

use std::sync::Arc;

use iscsi::Lun;
use scsi::{Sense, Status};

use super::{Phase, Session, Target};
use crate::action::{Action, Actions};
use crate::config::NodeConfig;
use crate::input::ToNode;
use crate::task::{TaskId, Verdict, Work};
use crate::units::{UnitId, Units};

impl Session {
    /// The target may have got and lost units, or have others under their numbers.
    pub(super) fn on_configure<U: Units>(
        &mut self,
        config: Arc<NodeConfig>,
        units: &mut U,
        out: &mut Actions,
    ) {
        if self.phase == Phase::Ended {
            return;
        }
        self.config = config;
        let Some(old) = self.target.take() else {
            return self.tell_holding(out);
        };
        let new = Target::of(&old.name, &self.config);
        let changed = new.differs_from(&old);
        for unit in old.units.iter().filter(|unit| !new.has(**unit)) {
            self.leaving.push(*unit);
        }
        for unit in &new.units {
            if self.leaving.contains(unit) {
                // It comes back before it was let go of.
                self.leaving.retain(|leaving| leaving != unit);
            } else if !old.has(*unit) {
                self.attach(*unit, units);
                continue;
            }
            if changed {
                let nexus = self.nexus();
                let sense = Sense::REPORTED_LUNS_DATA_HAS_CHANGED;
                units.with(*unit, |unit| unit.attention_of(nexus, sense));
            }
        }
        self.target = Some(new);
        for id in self.tasks.ids() {
            self.dismiss_idle(id, units, out);
        }
        self.tell_holding(out);
    }

    /// A unit that is leaving gets no more from this task: it ends now if it waits for memory, and
    /// once the data it asked for has come if it waits for that. Tickets are waited for.
    fn dismiss_idle<U: Units>(&mut self, id: TaskId, units: &mut U, out: &mut Actions) {
        let Some(task) = self.tasks.get(id) else {
            return;
        };
        let leaves = task.unit.is_some_and(|unit| self.leaving.contains(&unit));
        let unfinished = match &task.work {
            Work::Read(_) => task.tickets == 0,
            Work::Write(write) => !write.is_complete(),
            Work::Flush { .. } | Work::Discard { .. } | Work::Ended => false,
        };
        if leaves && unfinished && !task.aborted {
            self.dismiss(id, units, out);
        }
    }

    /// Ends a task whose unit goes away under it.
    pub(super) fn dismiss<U: Units>(&mut self, id: TaskId, units: &mut U, out: &mut Actions) {
        let Some(task) = self.tasks.get_mut(id) else {
            return;
        };
        let verdict = match self.target.as_ref() {
            Some(target) if target.is_away(task.lun) => Verdict::status(Status::BUSY),
            _ => Verdict::check(Sense::LOGICAL_UNIT_NOT_SUPPORTED),
        };
        match &mut task.work {
            Work::Write(write) => {
                write.fail_with(verdict);
                self.hungry.retain(|hungry| *hungry != id);
                self.advance_write(id, units, out);
            }
            Work::Read(read) => {
                let (sent, pdus) = (read.sent, read.data_sn);
                self.hungry.retain(|hungry| *hungry != id);
                self.answer(id, verdict, sent, pdus, out);
            }
            Work::Flush { .. } | Work::Discard { .. } | Work::Ended => self.abort_task(id),
        }
    }

    /// Lets go of the units on which nothing of this session is in flight any more. A task management
    /// function that waits for tickets of others is told of their end all the same.
    pub(super) fn let_go_of_idle<U: Units>(&mut self, units: &mut U, out: &mut Actions) {
        let before = self.leaving.len();
        for unit in std::mem::take(&mut self.leaving) {
            let tasks = self.tasks.iter();
            let mut tasks = tasks.filter(|(_, task)| task.tickets > 0);
            match tasks.any(|(_, task)| task.unit == Some(unit)) {
                true => self.leaving.push(unit),
                false => self.detach(unit, units),
            }
        }
        if self.leaving.len() < before {
            self.tell_holding(out);
        }
    }

    /// The node waits for units to be let go of, and for everyone to have heard.
    fn tell_holding(&self, out: &mut Actions) {
        out.push(Action::ToNode(ToNode::Holds {
            session: self.id,
            version: self.config.version,
            leaving: self.leaving.clone(),
        }));
    }

    pub(super) fn attach<U: Units>(&self, unit: UnitId, units: &mut U) {
        units.hold(unit);
        units.with(unit, |unit| unit.attach(self.nexus()));
    }

    pub(super) fn detach<U: Units>(&self, unit: UnitId, units: &mut U) {
        units.with(unit, |unit| unit.detach(self.nexus()));
        units.let_go(unit);
    }

    /// The initiator has just seen the list: no unit need tell it that the list changed.
    pub(super) fn heed_lun_changes<U: Units>(&self, units: &mut U) {
        let (nexus, sense) = (self.nexus(), Sense::REPORTED_LUNS_DATA_HAS_CHANGED);
        for unit in self.unit_ids() {
            units.with(unit, |unit| unit.attention_heeded(nexus, sense));
        }
    }

    pub(super) fn is_away(&self, lun: Lun) -> bool {
        self.target
            .as_ref()
            .is_some_and(|target| target.is_away(lun))
    }
}

impl Target {
    fn has(&self, unit: UnitId) -> bool {
        self.units.contains(&unit)
    }

    fn is_away(&self, lun: Lun) -> bool {
        lun.number().is_some_and(|lun| self.away.contains(&lun))
    }

    /// Whether an initiator that knows `old` must look again: other LUNs, or other units under
    /// them. One that is only away comes back, and is looked at then.
    fn differs_from(&self, old: &Self) -> bool {
        let stays = |lun: u16| old.unit(lun) == self.unit(lun) || self.away.contains(&lun);
        self.listed != old.listed || !self.listed.iter().all(|lun| stays(*lun))
    }
}
