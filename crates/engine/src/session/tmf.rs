//! Task management (RFC 7143 11.5, 4.2.3): what an abort promises, and when it may say so.
//!
//! "Complete" is answered only when nothing of the aborted tasks can land any more: their tickets
//! have ended, on every nexus the function touches. Whatever takes longer than the deadline is
//! refused, so that the initiator escalates.

use iscsi::pdu::TaskManagementRequest;
use iscsi::{Bhs, Itt, Lun, RejectReason, TmfFunction, TmfResponse};
use planted::{Bug, has};
use scsi::{Drained, Sense, Waiter};

use super::Session;
use crate::action::{Action, Actions};
use crate::event::Event;
use crate::input::{ConnId, Moment, SessionId, ToSession};
use crate::limits::{R2T_ANSWER_WAIT, TMF_DEADLINE, TMF_PENDING_MAX};
use crate::task::TaskId;
use crate::units::{UnitId, Units};

/// A function whose answer waits.
#[derive(Debug)]
pub(super) struct PendingTmf {
    conn: ConnId,
    itt: Itt,
    function: TmfFunction,
    lun: Lun,
    /// Aborted tasks of this session that still drain.
    pub(super) tasks: Vec<TaskId>,
    /// The unit still has older tickets, perhaps other nexuses'.
    unit: Option<(UnitId, Waiter)>,
    started: Moment,
}

impl Session {
    pub(super) fn on_task_management<U: Units>(
        &mut self,
        conn: ConnId,
        bhs: &Bhs,
        request: &TaskManagementRequest,
        units: &mut U,
        out: &mut Actions,
    ) {
        if self.tmfs.len() >= TMF_PENDING_MAX {
            let why = "too many task management functions";
            return self.refuse(conn, RejectReason::TOO_MANY_IMMEDIATE, bhs, why, out);
        }
        let unit = self.unit_of(request.lun);
        let refused = match (request.function, unit) {
            (TmfFunction::ABORT_TASK, _) => return self.abort_one(conn, request, out),
            (TmfFunction::TASK_REASSIGN, _) => TmfResponse::REASSIGN_NOT_SUPPORTED,
            (
                TmfFunction::ABORT_TASK_SET
                | TmfFunction::CLEAR_TASK_SET
                | TmfFunction::LOGICAL_UNIT_RESET,
                Some(unit),
            ) => return self.abort_set(conn, request, unit, units, out),
            (
                TmfFunction::ABORT_TASK_SET
                | TmfFunction::CLEAR_TASK_SET
                | TmfFunction::LOGICAL_UNIT_RESET,
                None,
            ) => TmfResponse::LUN_DOES_NOT_EXIST,
            _ => TmfResponse::NOT_SUPPORTED,
        };
        self.answer_tmf(
            conn,
            request.itt,
            request.function,
            request.lun,
            refused,
            out,
        );
    }

    /// RFC 7143 11.5.5: a task that is there is aborted; one that may still come is aborted in
    /// advance; any other does not exist.
    fn abort_one(&mut self, conn: ConnId, request: &TaskManagementRequest, out: &mut Actions) {
        // One that was answered while storage may still land it is there as well.
        let (named, draining) = (
            self.tasks.find(request.rtt),
            self.tasks.draining(request.rtt),
        );
        let found = named.or(draining).filter(|id| {
            self.tasks
                .get(*id)
                .is_some_and(|task| task.lun == request.lun)
        });
        let Some(id) = found else {
            let response = self.abort_absent(request);
            return self.answer_tmf(
                conn,
                request.itt,
                request.function,
                request.lun,
                response,
                out,
            );
        };
        self.abort_task(id);
        let tasks = match self.tasks.get(id) {
            Some(_) if !has(Bug::AbortBeforeDrained) => vec![id],
            _ => Vec::new(),
        };
        self.tmfs.push(PendingTmf {
            conn,
            itt: request.itt,
            function: request.function,
            lun: request.lun,
            tasks,
            unit: None,
            started: self.now,
        });
    }

    /// ABORT TASK of a task that is not there, or not yet.
    fn abort_absent(&mut self, request: &TaskManagementRequest) -> TmfResponse {
        let rtt = request.rtt;
        let no_command = self.tmfs.iter().any(|tmf| tmf.itt == rtt)
            || self.text.as_ref().is_some_and(|text| text.itt == rtt);
        if no_command {
            //= RFC 7143 11.5.1: only SCSI tasks are aborted so.
            return TmfResponse::REJECTED;
        }
        let lun = request.lun;
        let parked =
            self.discard_parked(request, |command| command.itt == rtt && command.lun == lun);
        let received = parked
            || (self.tasks.find(rtt).is_none()
                && request.ref_cmd_sn.is_before(request.cmd_sn)
                && self.window.skip(request.ref_cmd_sn));
        match received {
            true => TmfResponse::COMPLETE,
            false if self.unit_of(lun).is_none() => TmfResponse::LUN_DOES_NOT_EXIST,
            false => TmfResponse::TASK_DOES_NOT_EXIST,
        }
    }

    fn abort_set<U: Units>(
        &mut self,
        conn: ConnId,
        request: &TaskManagementRequest,
        unit: UnitId,
        units: &mut U,
        out: &mut Actions,
    ) {
        let ours: Vec<TaskId> = self
            .tasks
            .iter()
            .filter(|(_, task)| {
                let all = has(Bug::AbortSetTakesAll);
                all || (task.unit == Some(unit) && task.lun == request.lun)
            })
            .map(|(id, _)| id)
            .collect();
        self.discard_parked(request, |command| command.lun == request.lun);
        let mut tasks = Vec::new();
        for id in ours {
            match self.owes_data(id) {
                //= RFC 7143 4.2.3.3: first the answers to R2Ts already sent are awaited.
                true => self.mute_task(id),
                false => self.abort_task(id),
            }
            if self.tasks.get(id).is_some() {
                tasks.push(id);
            }
        }
        let waiting = match request.function {
            TmfFunction::ABORT_TASK_SET => None,
            _ => self.clear_unit(request.function, unit, units, out),
        };
        self.tmfs.push(PendingTmf {
            conn,
            itt: request.itt,
            function: request.function,
            lun: request.lun,
            tasks,
            unit: waiting,
            started: self.now,
        });
    }

    /// The part of CLEAR TASK SET and LOGICAL UNIT RESET that touches other nexuses.
    fn clear_unit<U: Units>(
        &mut self,
        function: TmfFunction,
        id: UnitId,
        units: &mut U,
        out: &mut Actions,
    ) -> Option<(UnitId, Waiter)> {
        let us = self.nexus();
        let waiter = self.fresh_waiter();
        let (drained, others) = units.with(id, |unit| {
            let drained = match function {
                TmfFunction::LOGICAL_UNIT_RESET => unit.reset(waiter),
                _ => {
                    unit.attention(Some(us), Sense::COMMANDS_CLEARED_BY_ANOTHER_INITIATOR);
                    unit.abort_all(waiter)
                }
            };
            let others: Vec<_> = unit.nexuses().filter(|nexus| *nexus != us).collect();
            (drained, others)
        })?;
        for other in others {
            let told = ToSession::TasksCleared { unit: id };
            out.push(Action::ToSession(SessionId(other.0), told));
        }
        match drained {
            Drained::Now => None,
            Drained::Later => Some((id, waiter)),
        }
    }

    /// Names this session and one of its functions that wait.
    fn fresh_waiter(&mut self) -> Waiter {
        loop {
            self.next_tmf = self.next_tmf.wrapping_add(1);
            let waiter = Waiter((self.id.0 << 8) | u64::from(self.next_tmf));
            let in_use = |tmf: &PendingTmf| tmf.unit.is_some_and(|(_, other)| other == waiter);
            if !self.tmfs.iter().any(in_use) {
                return waiter;
            }
        }
    }

    /// Another nexus cleared the unit: our older tasks on it end without an answer.
    pub(super) fn on_tasks_cleared<U: Units>(&mut self, unit: UnitId, units: &mut U) {
        let Some(current) = units.with(unit, |unit| unit.generation()) else {
            return;
        };
        let older: Vec<TaskId> = self
            .tasks
            .iter()
            .filter(|(_, task)| task.unit == Some(unit) && task.generation != Some(current))
            .map(|(id, _)| id)
            .collect();
        for id in older {
            self.abort_task(id);
        }
    }

    pub(super) fn on_drained(&mut self, waiter: Waiter) {
        for tmf in &mut self.tmfs {
            let any = has(Bug::DrainedForAnother);
            if tmf
                .unit
                .is_some_and(|(_, waiting)| any || waiting == waiter)
            {
                tmf.unit = None;
            }
        }
    }

    /// Answers the functions that wait for nothing any more.
    pub(super) fn finish_tmfs(&mut self, out: &mut Actions) {
        let mut place = 0;
        while place < self.tmfs.len() {
            let tmf = &self.tmfs[place];
            if self.is_drained(tmf) && tmf.unit.is_none() {
                let tmf = self.tmfs.remove(place);
                let response = TmfResponse::COMPLETE;
                self.answer_tmf(tmf.conn, tmf.itt, tmf.function, tmf.lun, response, out);
            } else {
                place += 1;
            }
        }
    }

    /// Whether nothing of its tasks is in flight any more.
    fn is_drained(&self, tmf: &PendingTmf) -> bool {
        let overdue = |id: &TaskId| {
            let task = self.tasks.get(*id);
            task.is_none_or(|task| task.overdue > 0 && task.tickets == task.overdue)
        };
        tmf.tasks.is_empty() || has(Bug::OverdueNotAwaited) && tmf.tasks.iter().all(overdue)
    }

    /// Time has passed: silent initiators are not waited for, hung storage is admitted.
    pub(super) fn on_tmf_time<U: Units>(&mut self, units: &mut U, out: &mut Actions) {
        let now = self.now;
        let mut impatient = Vec::new();
        let mut place = 0;
        while place < self.tmfs.len() {
            let tmf = &self.tmfs[place];
            let started = tmf.started;
            if now >= started.plus(R2T_ANSWER_WAIT) {
                impatient.extend(tmf.tasks.iter().copied());
            }
            if now >= started.plus(TMF_DEADLINE) {
                let tmf = self.tmfs.remove(place);
                self.cancel_tmf(&tmf, units);
                let response = match has(Bug::LateAbortComplete) {
                    true => TmfResponse::COMPLETE,
                    false => TmfResponse::REJECTED,
                };
                self.answer_tmf(tmf.conn, tmf.itt, tmf.function, tmf.lun, response, out);
            } else {
                place += 1;
            }
        }
        for id in impatient {
            if self.owes_data(id) {
                self.abort_task(id);
            }
        }
    }

    /// When to look at the functions again.
    pub(super) fn tmf_deadline(&self) -> Option<Moment> {
        let next = |tmf: &PendingTmf| {
            let patient = tmf.started.plus(R2T_ANSWER_WAIT);
            if self.now < patient {
                patient
            } else {
                tmf.started.plus(TMF_DEADLINE)
            }
        };
        let lost = has(Bug::TmfTimerLost);
        self.tmfs.iter().filter(|_| !lost).map(next).min()
    }

    pub(super) fn cancel_tmf<U: Units>(&mut self, tmf: &PendingTmf, units: &mut U) {
        if let Some((unit, waiter)) = tmf.unit {
            units.with(unit, |unit| unit.cancel_wait(waiter));
        }
    }

    fn answer_tmf(
        &mut self,
        conn: ConnId,
        itt: Itt,
        function: TmfFunction,
        lun: Lun,
        response: TmfResponse,
        out: &mut Actions,
    ) {
        out.event(Event::TaskManagement {
            tsih: self.tsih,
            function,
            lun,
            response,
        });
        self.send_tmf_response(conn, itt, response, out);
    }
}
