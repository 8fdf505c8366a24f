//! From received bytes to the PDU's own room: framing, digests, the command window.

use block::Buffer;
use iscsi::frame::{Data, Frame, Placement};
use iscsi::pdu::{DataOut, Request, ScsiCommand, TaskManagementRequest};
use iscsi::{Bhs, Malformed, Opcode, RejectReason, Serial};
use planted::{Bug, has};

use super::window::Place;
use super::{Parked, Session};
use crate::action::Actions;
use crate::event::Event;
use crate::input::ConnId;
use crate::limits::IMMEDIATE_TASKS_MAX;
use crate::task::Work;
use crate::task::write::WriteWork;
use crate::units::Units;

/// What came with a header.
pub(super) struct Segment<'a> {
    pub(super) ahs: &'a [u8],
    pub(super) data: Data<'a, Buffer>,
    /// As in [`Parked`].
    pub(super) passed: Option<bool>,
}

impl Session {
    pub(super) fn on_received<U: Units>(
        &mut self,
        conn: ConnId,
        bytes: usize,
        units: &mut U,
        out: &mut Actions,
    ) {
        let Some(place) = self.conns.iter().position(|c| c.id == conn && !c.closing) else {
            return;
        };
        let Some(mut framer) = self.conns[place].framer.take() else {
            return;
        };
        framer.filled(bytes);
        loop {
            let frame = match framer.next(|bhs| self.place(bhs)) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(what) => {
                    self.on_malformed(conn, what, units, out);
                    break;
                }
            };
            self.on_frame(conn, frame, units, out);
            if self.conn(conn).is_none_or(|c| c.closing) {
                break;
            }
        }
        if let Some(c) = self.conns.iter_mut().find(|c| c.id == conn) {
            c.framer = Some(framer);
            if bytes > 0 {
                c.last_heard = self.now;
                // Whatever it says, it is alive.
                if !has(Bug::PingAnswerUnheard) {
                    c.pinged_at = None;
                }
            }
        }
    }

    /// Where a large payload goes without a copy: into the buffer of the write it belongs to.
    fn place(&mut self, bhs: &Bhs) -> Option<Placement<Buffer>> {
        let len = bhs.data_segment_len();
        match bhs.opcode() {
            Opcode::DATA_OUT => {
                let pdu = DataOut::decode(bhs).ok()?;
                let id = self.tasks.find(pdu.itt)?;
                let task = self.tasks.get_mut(id)?;
                let Work::Write(write) = &mut task.work else {
                    return None;
                };
                let (buffer, at) = write.place(&pdu, len)?;
                Some(Placement { buffer, at })
            }
            Opcode::SCSI_COMMAND => {
                let edtl = ScsiCommand::decode(bhs).ok()?.edtl;
                let size = WriteWork::chunk_len(u64::from(edtl), 0);
                if size < len as usize {
                    return None;
                }
                self.pool
                    .take(size)
                    .map(|buffer| Placement { buffer, at: 0 })
            }
            _ => None,
        }
    }

    fn on_malformed<U: Units>(
        &mut self,
        conn: ConnId,
        what: Malformed,
        units: &mut U,
        out: &mut Actions,
    ) {
        //= RFC 7143 7.7, 7.8: bytes that cannot be framed end all connections of the session.
        out.event(Event::Malformed { conn, what });
        self.drop_connection(conn, "bytes that are no iSCSI", units, out);
    }

    fn on_frame<U: Units>(
        &mut self,
        conn: ConnId,
        frame: Frame<'_, Buffer>,
        units: &mut U,
        out: &mut Actions,
    ) {
        let Frame {
            bhs,
            ahs,
            data,
            data_digest_ok,
        } = frame;
        if self.conn(conn).is_none_or(|c| c.leaving) {
            return self.give_back(data);
        }
        let request = match Request::decode(&bhs) {
            Ok(request) => request,
            Err(_) => {
                self.give_back(data);
                let reason = match bhs.opcode() {
                    opcode if opcode.name() == "unknown" => RejectReason::NOT_SUPPORTED,
                    _ => RejectReason::PROTOCOL_ERROR,
                };
                return self.send_reject(conn, reason, &bhs, "an opcode we do not take", out);
            }
        };
        // Data-Out carries no CmdSN, and its digest error is the task's, not the PDU's.
        if let Request::DataOut(pdu) = &request {
            let frame = Frame {
                bhs,
                ahs,
                data,
                data_digest_ok,
            };
            return self.on_data_out(conn, pdu, frame, units, out);
        }
        if !data_digest_ok {
            self.give_back(data);
            self.disown(&request);
            let reason = RejectReason::DATA_DIGEST;
            return self.send_reject(conn, reason, &bhs, "data digest error", out);
        }
        let segment = Segment {
            ahs,
            data,
            passed: None,
        };
        match &request {
            Request::Snack(_) => {
                self.give_back(segment.data);
                //= RFC 7143 7.1: at ERL 0 there is nothing to acknowledge again.
                let why = "SNACK at error recovery level 0";
                self.send_reject(conn, RejectReason::SNACK, &bhs, why, out);
            }
            Request::Login(_) => {
                self.give_back(segment.data);
                let why = "a login in full feature phase";
                self.send_reject(conn, RejectReason::PROTOCOL_ERROR, &bhs, why, out);
            }
            _ => self.on_numbered(conn, &bhs, request, segment, units, out),
        }
    }

    /// PDUs with a CmdSN go through the window.
    fn on_numbered<U: Units>(
        &mut self,
        conn: ConnId,
        bhs: &Bhs,
        request: Request,
        segment: Segment<'_>,
        units: &mut U,
        out: &mut Actions,
    ) {
        let Some((cmd_sn, immediate)) = numbering(&request) else {
            return self.give_back(segment.data);
        };
        match self.window.place(cmd_sn, immediate) {
            Place::Now => {}
            Place::Park => {
                let data = inline(&segment.data).to_vec();
                let parked = Parked {
                    conn,
                    bhs: *bhs,
                    ahs: segment.ahs.to_vec(),
                    data,
                    passed: None,
                };
                self.give_back(segment.data);
                return self.window.park(cmd_sn, parked);
            }
            //= RFC 7143 4.2.2.1: outside the window or a duplicate: silently ignored.
            Place::Drop => {
                self.disown(&request);
                return self.give_back(segment.data);
            }
        }
        self.carry_out(conn, bhs, request, segment, units, out);
        while let Some(parked) = self.window.unpark() {
            let Ok(request) = Request::decode(&parked.bhs) else {
                continue;
            };
            let segment = Segment {
                ahs: &parked.ahs,
                data: Data::Inline(&parked.data),
                passed: parked.passed,
            };
            self.carry_out(parked.conn, &parked.bhs, request, segment, units, out);
        }
    }

    fn carry_out<U: Units>(
        &mut self,
        conn: ConnId,
        bhs: &Bhs,
        request: Request,
        segment: Segment<'_>,
        units: &mut U,
        out: &mut Actions,
    ) {
        if !bhs.is_immediate() {
            self.window.advance();
        }
        if self.target.is_none() && !matches!(request, Request::Text(_) | Request::Logout(_)) {
            self.give_back(segment.data);
            self.disown(&request);
            //= RFC 7143 4.3: a discovery session takes Text and Logout only.
            let why = "only Text and Logout belong to a discovery session";
            return self.refuse(conn, RejectReason::PROTOCOL_ERROR, bhs, why, out);
        }
        match request {
            Request::ScsiCommand(command) => {
                if command.immediate && self.tasks.immediate >= IMMEDIATE_TASKS_MAX {
                    self.give_back(segment.data);
                    self.disown_command(&command);
                    let reason = RejectReason::TOO_MANY_IMMEDIATE;
                    return self.refuse(conn, reason, bhs, "too many immediate", out);
                }
                self.on_scsi_command(conn, bhs, &command, segment, units, out);
            }
            Request::TaskManagement(request) => {
                self.give_back(segment.data);
                self.on_task_management(conn, bhs, &request, units, out);
            }
            Request::NopOut(nop) => {
                self.on_nop_out(conn, bhs, &nop, inline(&segment.data), out);
                self.give_back(segment.data);
            }
            Request::Text(text) => {
                self.on_text(conn, bhs, &text, inline(&segment.data), out);
                self.give_back(segment.data);
            }
            Request::Logout(logout) => {
                self.give_back(segment.data);
                self.on_logout(conn, bhs, &logout, out);
            }
            Request::DataOut(_) | Request::Snack(_) | Request::Login(_) => {
                self.give_back(segment.data);
            }
        }
    }

    /// Rejects a PDU that went through the window.
    //= RFC 7143 7.3: the CmdSN of a rejected command is not received; the initiator fills the gap.
    pub(super) fn refuse(
        &mut self,
        conn: ConnId,
        reason: RejectReason,
        bhs: &Bhs,
        why: &'static str,
        out: &mut Actions,
    ) {
        if !bhs.is_immediate() {
            self.window.retract();
        }
        self.send_reject(conn, reason, bhs, why, out);
    }

    /// Commands that came before their turn and are `dead` by now are never carried out.
    pub(super) fn discard_parked(
        &mut self,
        request: &TaskManagementRequest,
        dead: impl Fn(&ScsiCommand) -> bool,
    ) -> bool {
        let discarded = self.window.discard(|cmd_sn, parked| {
            let command = ScsiCommand::decode(&parked.bhs);
            cmd_sn.is_before(request.cmd_sn) && command.is_ok_and(|command| dead(&command))
        });
        for parked in &discarded {
            if let Ok(command) = ScsiCommand::decode(&parked.bhs) {
                self.disown_command(&command);
            }
        }
        !discarded.is_empty()
    }

    /// A payload nobody wants returns its buffer.
    pub(super) fn give_back(&mut self, data: Data<'_, Buffer>) {
        if let Data::Placed { buffer, .. } = data {
            self.pool.put(buffer);
        }
    }
}

/// The bytes of a payload, wherever they lie.
fn inline<'a>(data: &'a Data<'a, Buffer>) -> &'a [u8] {
    match data {
        Data::Inline(bytes) => bytes,
        Data::Placed { buffer, at, len } => &buffer.bytes()[*at..*at + *len],
    }
}

/// CmdSN and the I bit of the PDUs that have them.
fn numbering(request: &Request) -> Option<(Serial, bool)> {
    match request {
        Request::NopOut(pdu) => Some((pdu.cmd_sn, pdu.immediate)),
        Request::ScsiCommand(pdu) => Some((pdu.cmd_sn, pdu.immediate)),
        Request::TaskManagement(pdu) => Some((pdu.cmd_sn, pdu.immediate)),
        Request::Text(pdu) => Some((pdu.cmd_sn, pdu.immediate)),
        Request::Logout(pdu) => Some((pdu.cmd_sn, pdu.immediate)),
        Request::Login(_) | Request::DataOut(_) | Request::Snack(_) => None,
    }
}
