//! A SCSI Command PDU: ask the unit, then answer, read, or gather data.

use block::{BlockSize, Buffer};
use iscsi::frame::Data;
use iscsi::pdu::ScsiCommand;
use iscsi::{Bhs, Itt, RejectReason};
use planted::{Bug, has};
use scsi::{Cdb, Generation, Plan, Sense, Status};

use super::receive::Segment;
use super::reply::Residual;
use super::{Session, Target};
use crate::action::{Actions, Body};
use crate::input::ConnId;
use crate::task::read::{Cut, ReadWork};
use crate::task::write::WriteWork;
use crate::task::{Task, Verdict, Work};
use crate::units::{UnitId, Units};

/// A command and where it goes.
struct Arrived {
    conn: ConnId,
    command: ScsiCommand,
    unit: Option<UnitId>,
    generation: Option<Generation>,
    block: BlockSize,
}

impl Session {
    pub(super) fn on_scsi_command<U: Units>(
        &mut self,
        conn: ConnId,
        bhs: &Bhs,
        command: &ScsiCommand,
        segment: Segment<'_>,
        units: &mut U,
        out: &mut Actions,
    ) {
        if command.itt == Itt::RESERVED {
            self.give_back(segment.data);
            let reason = RejectReason::INVALID_FIELD;
            return self.refuse(conn, reason, bhs, "a command without a task tag", out);
        }
        if self.tasks.find(command.itt).is_some() {
            self.give_back(segment.data);
            let reason = RejectReason::TASK_IN_PROGRESS;
            return self.refuse(conn, reason, bhs, "the task tag is in use", out);
        }
        self.ghosts.retain(|ghost| *ghost != command.itt);
        let objection = self.objection(command, &segment);
        let mut command = *command;
        command.is_final |= segment.passed == Some(true);
        let (arrived, plan) = self.plan(conn, command, objection, units);
        self.follow(arrived, plan, segment.data, units, out);
    }

    /// The unit's word on the command, unless there is an `objection` the unit knows nothing of.
    fn plan<U: Units>(
        &self,
        conn: ConnId,
        command: ScsiCommand,
        objection: Option<Plan>,
        units: &mut U,
    ) -> (Arrived, Plan) {
        let cdb = Cdb::from(command.cdb);
        let port = self.target.as_ref().map(Target::port);
        let found = self.unit_of(command.lun).and_then(|id| {
            let port = port.as_ref()?;
            units.with(id, |unit| {
                let plan = objection
                    .clone()
                    .unwrap_or_else(|| unit.plan(self.nexus(), &cdb, port));
                let (stamp, block) = (unit.generation(), unit.caps().block_size);
                (plan, Some((id, stamp)), block)
            })
        });
        let (plan, unit, block) = found.unwrap_or_else(|| {
            let absent = || match &port {
                _ if self.is_away(command.lun) => Plan::Status(Status::BUSY),
                Some(port) => scsi::absent::plan(&cdb, port),
                None => Plan::Check(Sense::LOGICAL_UNIT_NOT_SUPPORTED),
            };
            (objection.unwrap_or_else(absent), None, BlockSize::B512)
        });
        let arrived = Arrived {
            conn,
            command,
            unit: unit.map(|(id, _)| id),
            generation: unit.map(|(_, stamp)| stamp),
            block,
        };
        (arrived, plan)
    }

    /// What is wrong with a command before its unit is asked, which would report its attention.
    fn objection(&self, command: &ScsiCommand, segment: &Segment<'_>) -> Option<Plan> {
        if segment.passed.is_some() {
            // Its data was dropped while it waited for its turn.
            return Some(Plan::Status(Status::TASK_SET_FULL));
        }
        //= RFC 7143 11.4.7.2: immediate data that was not negotiated, or more of it than was.
        let allowed = match command.write && self.params.immediate_data {
            true => self.params.first_burst.min(command.edtl) as usize,
            false => 0,
        };
        if data_len(&segment.data) > allowed {
            return Some(Plan::Check(Sense::UNEXPECTED_UNSOLICITED_DATA));
        }
        // No CDB we know is longer than 16 bytes, and no command moves data both ways.
        let strange = (command.read && command.write) || !segment.ahs.is_empty();
        strange.then_some(Plan::Check(Sense::INVALID_FIELD_IN_CDB))
    }

    fn follow<U: Units>(
        &mut self,
        arrived: Arrived,
        plan: Plan,
        data: Data<'_, Buffer>,
        units: &mut U,
        out: &mut Actions,
    ) {
        if let Plan::Write { span, durable } = plan {
            let expected = if arrived.command.write {
                arrived.command.edtl
            } else {
                0
            };
            let total = span.len.min(u64::from(expected));
            if total > 0 {
                let work = WriteWork::new(span, total, durable);
                return self.start_write(arrived, work, data, units, out);
            }
        }
        self.give_back(data);
        match plan {
            Plan::Data(bytes) => {
                if Cdb::from(arrived.command.cdb).is_report_luns() {
                    self.heed_lun_changes(units);
                }
                self.send_data(&arrived, &bytes, out);
            }
            Plan::Good => self.conclude(&arrived, Verdict::GOOD, 0, out),
            Plan::Check(sense) => self.conclude(&arrived, Verdict::check(sense), 0, out),
            Plan::Status(status) => self.conclude(&arrived, Verdict::status(status), 0, out),
            Plan::Read { span } => {
                let expected = if arrived.command.read {
                    arrived.command.edtl
                } else {
                    0
                };
                match span.len.min(u64::from(expected)) {
                    0 => self.conclude(&arrived, Verdict::GOOD, span.len, out),
                    want => {
                        let work = Work::Read(ReadWork::new(span, want));
                        let id = self.tasks.insert(arrived.task(work), true);
                        self.advance_read(id, units, out);
                    }
                }
            }
            Plan::Write { span, .. } => self.conclude(&arrived, Verdict::GOOD, span.len, out),
            Plan::Flush { .. } if has(Bug::FlushNotSubmitted) => {
                self.conclude(&arrived, Verdict::GOOD, 0, out);
            }
            Plan::Flush { immediate } => {
                // Answered or not, it keeps its place in the window: flushes are not free.
                let work = Work::Flush {
                    answered: immediate,
                };
                let id = self.tasks.insert(arrived.task(work), !immediate);
                if immediate {
                    self.conclude(&arrived, Verdict::GOOD, 0, out);
                }
                self.advance_flush(id, units, out);
            }
        }
    }

    /// Small Data-In that did not come from storage. Its PDUs are cut like any other's.
    fn send_data(&mut self, arrived: &Arrived, bytes: &[u8], out: &mut Actions) {
        let command = &arrived.command;
        let expected = if command.read { command.edtl } else { 0 };
        let residual = Residual::of(command.edtl, bytes.len() as u64);
        let want = bytes.len().min(expected as usize);
        if want == 0 {
            return self.conclude(arrived, Verdict::GOOD, bytes.len() as u64, out);
        }
        let span = block::Span {
            at: 0,
            len: want as u64,
        };
        let mut work = ReadWork::new(span, want as u64);
        let mut used = 0;
        while let Some(cut) = self.cut(&mut work, arrived.conn, used, want) {
            used += cut.len;
            let body = Body::Inline(bytes[cut.at..cut.at + cut.len].to_vec());
            let status = cut.is_last.then_some(residual);
            self.send_data_in(arrived.conn, command.itt, &cut, status, body, out);
        }
    }

    /// The next Data-In of a buffer, within what this connection's peer takes.
    pub(super) fn cut(
        &self,
        work: &mut ReadWork,
        conn: ConnId,
        used: usize,
        len: usize,
    ) -> Option<Cut> {
        //= RFC 7143 11.7.7: segments before the last should be whole words.
        let segment = self.conn(conn).map_or(0, |conn| conn.peer_segment & !3);
        if segment == 0 {
            return None;
        }
        work.cut(used, len, segment, self.params.max_burst)
    }

    /// Answers a command that needs no storage, after the unsolicited data it may still send.
    fn conclude(&mut self, arrived: &Arrived, verdict: Verdict, available: u64, out: &mut Actions) {
        let command = &arrived.command;
        //= RFC 7143 11.4.2: the status waits for the final PDU of unsolicited data.
        if command.write && !command.is_final && !self.params.initial_r2t {
            self.tasks
                .insert(arrived.task(Work::Discard { verdict }), true);
            return;
        }
        let residual = Residual::of(command.edtl, available);
        self.send_status(arrived.conn, command.itt, verdict, residual, 0, out);
    }

    fn start_write<U: Units>(
        &mut self,
        arrived: Arrived,
        mut work: WriteWork,
        data: Data<'_, Buffer>,
        units: &mut U,
        out: &mut Actions,
    ) {
        let command = &arrived.command;
        let unsolicited = !command.is_final && !self.params.initial_r2t;
        let got = data_len(&data);
        let expected = unsolicited.then(|| u64::from(self.params.first_burst.min(command.edtl)));
        if got > 0 || unsolicited {
            let Some(buffer) = self.first_chunk(work.total, data) else {
                // RFC 7143 4.2.2.1 leaves no way to refuse data already under way but its status.
                let verdict = match has(Bug::RefusedWriteGood) {
                    true => Verdict::GOOD,
                    false => Verdict::status(Status::TASK_SET_FULL),
                };
                return self.conclude(&arrived, verdict, 0, out);
            };
            work.begin(buffer, got, expected);
        }
        let id = self.tasks.insert(arrived.task(Work::Write(work)), true);
        self.advance_write(id, units, out);
    }

    /// The buffer of the first chunk, with the immediate data in it.
    fn first_chunk(&mut self, total: u64, data: Data<'_, Buffer>) -> Option<Buffer> {
        let len = WriteWork::chunk_len(total, 0);
        match data {
            Data::Placed { mut buffer, .. } => {
                buffer.truncate(len);
                Some(buffer)
            }
            Data::Inline(bytes) => {
                let mut buffer = self.pool.take(len)?;
                let kept = bytes.len().min(len);
                buffer.bytes_mut()[..kept].copy_from_slice(&bytes[..kept]);
                Some(buffer)
            }
        }
    }
}

impl Arrived {
    fn task(&self, work: Work) -> Task {
        Task {
            itt: self.command.itt,
            lun: self.command.lun,
            conn: self.conn,
            unit: self.unit,
            generation: self.generation,
            block: self.block,
            immediate: self.command.immediate,
            edtl: self.command.edtl,
            work,
            tickets: 0,
            overdue: 0,
            aborted: false,
            released: false,
        }
    }
}

fn data_len(data: &Data<'_, Buffer>) -> usize {
    match data {
        Data::Inline(bytes) => bytes.len(),
        Data::Placed { len, .. } => *len,
    }
}
