//! Tasks and their storage: tickets out, completions in, Data-Out on the way.

use block::{Buffer, Completion, Fault, Op, Stage};
use iscsi::frame::Frame;
use iscsi::pdu::DataOut;
use iscsi::{Opcode, RejectReason, Ttt};
use planted::{Bug, has};
use scsi::Ended;

use super::reply::{R2tAsk, Residual};
use super::{Phase, Session};
use crate::action::{Action, Actions, Body};
use crate::event::Event;
use crate::input::{ConnId, SessionId, ToSession};
use crate::task::{TaskId, Verdict, Work};
use crate::units::Units;

impl Session {
    /// A READ goes on: its next ticket, if there is memory for it.
    pub(super) fn advance_read<U: Units>(&mut self, id: TaskId, units: &mut U, out: &mut Actions) {
        let Some(task) = self.tasks.get(id) else {
            return;
        };
        let Work::Read(read) = &task.work else { return };
        let (at, len) = read.next_ticket(task.block);
        let Some(buffer) = self.pool.take(len) else {
            return self.hungry.push_back(id);
        };
        self.submit(id, Op::Read { at, buffer }, units, out);
    }

    /// A WRITE goes on: full chunks to storage, R2Ts for the rest, its status at the end.
    pub(super) fn advance_write<U: Units>(&mut self, id: TaskId, units: &mut U, out: &mut Actions) {
        loop {
            let Some(task) = self.tasks.get_mut(id) else {
                return;
            };
            let block = task.block;
            let Work::Write(write) = &mut task.work else {
                return;
            };
            let Some(filled) = write.take_filled(block) else {
                break;
            };
            if filled.buffer.is_empty() {
                self.pool.put(filled.buffer);
                continue;
            }
            let op = Op::Write {
                at: filled.at,
                buffer: filled.buffer,
                durable: write.durable && !has(Bug::AckBeforeDurable),
            };
            self.submit(id, op, units, out);
        }
        self.ask_for_data(id, out);
        self.conclude_write(id, out);
    }

    fn ask_for_data(&mut self, id: TaskId, out: &mut Actions) {
        loop {
            let ttt = self.fresh_ttt();
            let Some(task) = self.tasks.get_mut(id) else {
                return;
            };
            let Work::Write(write) = &mut task.work else {
                return;
            };
            let outstanding = usize::from(self.params.max_outstanding_r2t);
            if write.may_ask(outstanding)
                && let Some(len) = write.wants_chunk()
            {
                match self.pool.take(len) {
                    Some(buffer) => write.add_chunk(buffer),
                    None if self.hungry.contains(&id) => return,
                    None => return self.hungry.push_back(id),
                }
            }
            let Some(ask) = write.ask(ttt, self.params.max_burst, outstanding) else {
                return;
            };
            let r2t = R2tAsk {
                lun: task.lun,
                itt: task.itt,
                ttt,
                r2t_sn: write.r2t_sn,
                offset: ask.offset,
                len: ask.len,
            };
            write.r2t_sn += 1;
            let conn = task.conn;
            self.send_r2t(conn, r2t, out);
        }
    }

    fn conclude_write(&mut self, id: TaskId, out: &mut Actions) {
        let Some(task) = self.tasks.get_mut(id) else {
            return;
        };
        if task.aborted {
            return self.bury(id);
        }
        let Work::Write(write) = &mut task.work else {
            return;
        };
        let Some(verdict) = write.verdict(task.tickets - task.overdue) else {
            return;
        };
        let (available, r2ts) = (
            if verdict.is_good() { write.span.len } else { 0 },
            write.r2t_sn,
        );
        let buffers: Vec<Buffer> = write.drain().collect();
        self.put(buffers);
        self.answer(id, verdict, available, r2ts, out);
    }

    pub(super) fn advance_flush<U: Units>(&mut self, id: TaskId, units: &mut U, out: &mut Actions) {
        self.submit(id, Op::Flush, units, out);
    }

    /// Gives one operation to storage, unless a reset on another nexus came in between, or the unit
    /// was taken away.
    fn submit<U: Units>(&mut self, id: TaskId, op: Op, units: &mut U, out: &mut Actions) {
        let Some(task) = self.tasks.get_mut(id) else {
            return self.give_back_op(op);
        };
        if has(Bug::StampedTooLate) && task.tickets == 0 {
            let unit = task.unit;
            task.generation = unit.and_then(|unit| units.with(unit, |unit| unit.generation()));
        }
        let (Some(unit), Some(generation)) = (task.unit, task.generation) else {
            return self.give_back_op(op);
        };
        if !self.leaving.is_empty() && self.leaving.contains(&unit) {
            self.give_back_op(op);
            return self.dismiss(id, units, out);
        }
        if units.with(unit, |unit| unit.begin(generation)) != Some(true) {
            self.give_back_op(op);
            return self.abort_task(id);
        }
        task.tickets += 1;
        out.push(Action::Submit {
            ticket: id.ticket(),
            unit,
            op,
        });
    }

    fn give_back_op(&mut self, op: Op) {
        self.put(op.into_buffer());
    }

    /// Storage answered.
    pub(super) fn on_completed<U: Units>(
        &mut self,
        completion: Completion,
        units: &mut U,
        out: &mut Actions,
    ) {
        let id = TaskId::of(completion.ticket);
        if has(Bug::LastCompletionLost) && matches!(self.phase, Phase::Ending(_)) {
            return self.put(completion.buffer);
        }
        let task = self
            .tasks
            .get_mut(id)
            .expect("a task stays until its last ticket is answered");
        assert!(task.tickets > 0, "a ticket ends once");
        if completion.stage == Stage::Overdue {
            return self.on_overdue(id, completion, units, out);
        }
        task.tickets -= 1;
        if completion.stage == Stage::Late {
            task.overdue -= 1;
        }
        let (unit, generation) = (task.unit, task.generation);
        let aborted = task.aborted;
        let ended = unit
            .zip(generation)
            .and_then(|(unit, generation)| units.with(unit, |unit| unit.end(generation)))
            .unwrap_or_default();
        let stale = ended.stale;
        self.wake(ended, out);
        if aborted || stale {
            self.put(completion.buffer);
            return match aborted {
                false => self.abort_task(id),
                true => self.bury(id),
            };
        }
        if completion.stage == Stage::Late {
            // Answered then; whatever came of it is no news to anyone.
            return;
        }
        if let Err(fault) = completion.outcome {
            self.report(id, fault, out);
        }
        match self.tasks.get(id).map(|task| &task.work) {
            Some(Work::Read(_)) => self.on_read(id, completion, units, out),
            Some(Work::Write(_)) => self.on_written(id, completion, units, out),
            Some(Work::Flush { answered }) => {
                let answered = *answered;
                self.on_flushed(id, answered, completion.outcome, out);
            }
            Some(Work::Discard { .. } | Work::Ended) | None => self.put(completion.buffer),
        }
    }

    /// Storage gave up waiting for an operation that may still land. The initiator is told now; the
    /// ticket stays in flight, so that nothing is called complete before it has ended.
    fn on_overdue<U: Units>(
        &mut self,
        id: TaskId,
        completion: Completion,
        units: &mut U,
        out: &mut Actions,
    ) {
        self.put(completion.buffer);
        let Some(task) = self.tasks.get_mut(id) else {
            return;
        };
        task.overdue += 1;
        if task.aborted {
            return;
        }
        let current = task
            .unit
            .and_then(|unit| units.with(unit, |unit| unit.generation()));
        if task.generation != current {
            return self.abort_task(id);
        }
        let fault = Fault::TimedOut;
        self.report(id, fault, out);
        match self.tasks.get_mut(id).map(|task| &mut task.work) {
            Some(Work::Write(write)) => {
                match has(Bug::OverdueIsDone) {
                    true => write.settle(write.total as usize),
                    false => write.fail_with(Verdict::of_fault(fault, true)),
                }
                self.advance_write(id, units, out);
            }
            // They change nothing, so storage ends them in time; should it not, the same holds.
            Some(Work::Read(read)) => {
                let (sent, pdus) = (read.sent, read.data_sn);
                self.answer(id, Verdict::of_fault(fault, false), sent, pdus, out);
            }
            Some(Work::Flush { answered: false }) => {
                self.answer(id, Verdict::of_fault(fault, true), 0, 0, out);
            }
            Some(Work::Flush { answered: true } | Work::Discard { .. } | Work::Ended) | None => {}
        }
    }

    /// Sessions whose reset waited for this ticket.
    fn wake(&mut self, ended: Ended, out: &mut Actions) {
        for waiter in ended.drained {
            let session = SessionId(waiter.0 >> 8);
            match session == self.id {
                true => self.on_drained(waiter),
                false => out.push(Action::ToSession(session, ToSession::Drained(waiter))),
            }
        }
    }

    fn report(&self, id: TaskId, fault: Fault, out: &mut Actions) {
        if let Some(task) = self.tasks.get(id) {
            let (tsih, lun, itt) = (self.tsih, task.lun, task.itt);
            out.event(Event::StorageFault {
                tsih,
                lun,
                itt,
                fault,
            });
        }
    }

    fn on_read<U: Units>(
        &mut self,
        id: TaskId,
        completion: Completion,
        units: &mut U,
        out: &mut Actions,
    ) {
        let buffer = completion.buffer.expect("a read gives its buffer back");
        if let Err(fault) = completion.outcome
            && !has(Bug::ReadFaultIgnored)
        {
            self.pool.put(buffer);
            let (sent, pdus) = self.tasks.get(id).map_or((0, 0), |task| match &task.work {
                Work::Read(read) => (read.sent, read.data_sn),
                _ => (0, 0),
            });
            return self.answer(id, Verdict::of_fault(fault, false), sent, pdus, out);
        }
        let len = buffer.len();
        let slice = buffer.share();
        let Some(task) = self.tasks.get_mut(id) else {
            return;
        };
        let (conn, itt, edtl) = (task.conn, task.itt, task.edtl);
        // Taken out while PDUs are cut from it, which needs the session for numbering.
        let work = std::mem::replace(&mut task.work, Work::Ended);
        let Work::Read(mut read) = work else { return };
        let residual = Residual::of(edtl, read.span.len);
        if read.want == read.sent + (len as u64).min(read.want - read.sent) {
            // The window opens with the status, which rides on the last PDU.
            self.tasks.release_window(id);
        }
        let mut used = 0;
        while let Some(cut) = self.cut(&mut read, conn, used, len) {
            used += cut.len;
            let body = Body::Shared(slice.part(cut.at..cut.at + cut.len));
            let status = cut.is_last.then_some(residual);
            self.send_data_in(conn, itt, &cut, status, body, out);
        }
        self.pool.reclaim(slice);
        if read.is_done() {
            return self.remove_task(id);
        }
        if let Some(task) = self.tasks.get_mut(id) {
            task.work = Work::Read(read);
        }
        self.advance_read(id, units, out);
    }

    fn on_written<U: Units>(
        &mut self,
        id: TaskId,
        completion: Completion,
        units: &mut U,
        out: &mut Actions,
    ) {
        let buffer = completion.buffer.expect("a write gives its buffer back");
        if let Some(task) = self.tasks.get_mut(id)
            && let Work::Write(write) = &mut task.work
        {
            match completion.outcome {
                Ok(()) => write.settle(buffer.len()),
                Err(fault) => write.fail_with(Verdict::of_fault(fault, true)),
            }
        }
        self.pool.put(buffer);
        self.advance_write(id, units, out);
    }

    fn on_flushed(
        &mut self,
        id: TaskId,
        answered: bool,
        outcome: Result<(), Fault>,
        out: &mut Actions,
    ) {
        match (answered, outcome) {
            (true, Err(fault)) if has(Bug::FlushAnsweredTwice) => {
                self.answer(id, Verdict::of_fault(fault, true), 0, 0, out);
            }
            (true, _) => self.remove_task(id),
            (false, Ok(())) => self.answer(id, Verdict::GOOD, 0, 0, out),
            (false, Err(fault)) => self.answer(id, Verdict::of_fault(fault, true), 0, 0, out),
        }
    }

    /// The status of a task, which ends with it, or drains where storage may still land something.
    pub(super) fn answer(
        &mut self,
        id: TaskId,
        verdict: Verdict,
        available: u64,
        data_pdus: u32,
        out: &mut Actions,
    ) {
        let Some(task) = self.tasks.get(id) else {
            return;
        };
        let (conn, itt) = (task.conn, task.itt);
        let residual = Residual::of(task.edtl, available);
        match task.tickets {
            0 => self.remove_task(id),
            _ => self.tasks.retire(id),
        }
        self.send_status(conn, itt, verdict, residual, data_pdus, out);
    }

    /// One Data-Out PDU (RFC 7143 11.7).
    pub(super) fn on_data_out<U: Units>(
        &mut self,
        conn: ConnId,
        pdu: &DataOut,
        frame: Frame<'_, Buffer>,
        units: &mut U,
        out: &mut Actions,
    ) {
        let Frame {
            bhs,
            data,
            data_digest_ok: sound,
            ..
        } = frame;
        let bhs = &bhs;
        if !sound {
            let reason = RejectReason::DATA_DIGEST;
            self.send_reject(conn, reason, bhs, "data digest error in Data-Out", out);
        }
        let found = self.tasks.find(pdu.itt);
        let Some((id, task)) = found.and_then(|id| Some((id, self.tasks.get_mut(id)?))) else {
            self.give_back(data);
            let expected = self.swallows(pdu);
            // One that is unsound was rejected above.
            if sound && !expected {
                let why = "Data-Out for no task";
                self.send_reject(conn, RejectReason::INVALID_FIELD, bhs, why, out);
            }
            return;
        };
        let aborted = task.aborted;
        match &mut task.work {
            Work::Write(write) if write.expects(pdu.ttt) => {
                let stray = write.accept(pdu, data, sound);
                self.put(stray);
                self.advance_write(id, units, out);
                if !pdu.is_final && self.tasks.find(pdu.itt).is_none() {
                    self.remember_ghost(pdu.itt);
                }
            }
            Work::Discard { verdict } if pdu.ttt == Ttt::RESERVED => {
                let verdict = *verdict;
                self.give_back(data);
                match (pdu.is_final, aborted) {
                    (true, true) => self.remove_task(id),
                    (true, false) => self.answer(id, verdict, 0, 0, out),
                    (false, _) => {}
                }
            }
            Work::Write(_) | Work::Discard { .. } => {
                self.give_back(data);
                let why = "Data-Out with a tag nobody gave out";
                self.send_reject(conn, RejectReason::INVALID_FIELD, bhs, why, out);
            }
            Work::Read(_) | Work::Flush { .. } | Work::Ended => {
                self.give_back(data);
                let why = "Data-Out for a task that takes none";
                self.send_reject(conn, RejectReason::PROTOCOL_ERROR, bhs, why, out);
            }
        }
    }

    /// Data of a command that is not there: of one that ended early or was not carried out it is
    /// expected, of one that waits for its turn it is not kept, but noted.
    fn swallows(&mut self, pdu: &DataOut) -> bool {
        let parked = self.window.parked_mut().find(|parked| {
            parked.bhs.opcode() == Opcode::SCSI_COMMAND && parked.bhs.itt() == pdu.itt
        });
        if let Some(parked) = parked {
            parked.passed = Some(pdu.is_final || parked.passed == Some(true));
            return true;
        }
        self.ghosts.contains(&pdu.itt)
    }

    /// Memory came back: those who waited longest go on first.
    pub(super) fn feed<U: Units>(&mut self, units: &mut U, out: &mut Actions) {
        for _ in 0..self.hungry.len() {
            let Some(id) = self.hungry.pop_front() else {
                return;
            };
            let before = self.hungry.len();
            match self.tasks.get(id).map(|task| &task.work) {
                Some(Work::Read(_)) => self.advance_read(id, units, out),
                Some(Work::Write(_)) => self.advance_write(id, units, out),
                _ => {}
            }
            if self.hungry.len() > before {
                // Still nothing for this one: it keeps its place, and the rest waits behind it.
                self.hungry.rotate_right(1);
                if has(Bug::HungryForgotten) {
                    self.hungry.pop_front();
                }
                return;
            }
        }
    }
}
