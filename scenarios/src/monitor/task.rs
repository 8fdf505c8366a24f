//! One SCSI command as seen on the wire: its data both ways and its end.

use iscsi::keys::Params;
use iscsi::pdu::{DataIn, DataOut, R2t, ScsiCommand, ScsiResponse};
use iscsi::{Lun, Serial, Ttt};

use super::Breach;

/// GOOD, CONDITION MET, INTERMEDIATE and INTERMEDIATE-CONDITION MET (SAM-2 5.3).
const STATUS_WITHOUT_SENSE: [u8; 4] = [0x00, 0x04, 0x10, 0x14];
const GOOD: u8 = 0x00;
const COMPLETED_AT_TARGET: u8 = 0x00;

/// A command without a status so far.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) lun: Lun,
    pub(super) cmd_sn: Serial,
    edtl: u32,
    read: bool,
    write: bool,
    /// Number of the next Data-In or R2T; commands of both directions share it.
    input_sn: u32,
    data_ins: u32,
    /// Where the next Data-In belongs.
    data_in_at: u32,
    /// Data-In bytes since the last F.
    sequence: u64,
    /// Where the data ends that was sent without an R2T; unknown when some was not allowed, which
    /// the target need not keep.
    unsolicited_end: Option<u32>,
    /// All of it was sent.
    unsolicited_over: bool,
    /// Where the next R2T begins, once there was one.
    r2t_at: Option<u32>,
    outstanding: Vec<Ttt>,
    /// Its data was sent again or rejected, so that numbers may repeat.
    recovering: bool,
}

impl Task {
    pub(super) fn new(pdu: &ScsiCommand, immediate_len: u32, params: Option<&Params>) -> Self {
        let allowed = params.is_none_or(|params| {
            immediate_len == 0 || params.immediate_data && immediate_len <= params.first_burst
        });
        Self {
            lun: pdu.lun,
            cmd_sn: pdu.cmd_sn,
            edtl: pdu.edtl,
            read: pdu.read,
            write: pdu.write,
            input_sn: 0,
            data_ins: 0,
            data_in_at: 0,
            sequence: 0,
            unsolicited_end: allowed.then_some(immediate_len),
            unsolicited_over: pdu.is_final,
            r2t_at: None,
            outstanding: Vec::new(),
            recovering: false,
        }
    }

    pub(super) fn recover(&mut self) {
        self.recovering = true;
    }

    pub(super) fn data_out(&mut self, pdu: &DataOut, len: u32, params: Option<&Params>) {
        if pdu.ttt == Ttt::RESERVED {
            let end = self.unsolicited_end.and_then(|end| end.checked_add(len));
            self.unsolicited_end = end.filter(|end| {
                params.is_none_or(|params| !params.initial_r2t && *end <= params.first_burst)
            });
            self.unsolicited_over |= pdu.is_final;
        } else if pdu.is_final {
            self.outstanding.retain(|ttt| *ttt != pdu.ttt);
        }
    }

    pub(super) fn data_in(
        &mut self,
        pdu: &DataIn,
        len: u32,
        params: Option<&Params>,
        out: &mut Vec<Breach>,
    ) {
        if !self.read {
            let rule = "Data-In answers only a command with the R bit";
            out.push(Breach::new(
                "RFC 7143 11.7",
                rule,
                "Data-In for a command without it",
            ));
            return;
        }
        self.number(
            "RFC 7143 11.7.5",
            "DataSN counts up by one from 0",
            pdu.data_sn,
            out,
        );
        self.data_ins += 1;
        self.place(pdu, len, params, out);
        self.data_in_at = pdu.buffer_offset.saturating_add(len);
        self.sequence += u64::from(len);
        if let Some(params) = params {
            limits(len, self.sequence, params, out);
        }
        if pdu.is_final {
            self.sequence = 0;
        }
        self.tags(pdu, params, out);
        if pdu.has_status {
            self.status_in_data(pdu, out);
        }
    }

    fn number(
        &mut self,
        clause: &'static str,
        rule: &'static str,
        got: u32,
        out: &mut Vec<Breach>,
    ) {
        if got != self.input_sn && !self.recovering {
            out.push(Breach::new(
                clause,
                rule,
                format!("{got} where {} is due", self.input_sn),
            ));
        }
        self.input_sn = got.wrapping_add(1);
    }

    fn place(&self, pdu: &DataIn, len: u32, params: Option<&Params>, out: &mut Vec<Breach>) {
        let in_order =
            params.is_none_or(|params| params.data_pdu_in_order && params.data_sequence_in_order);
        if in_order && pdu.buffer_offset != self.data_in_at && !self.recovering {
            out.push(Breach::new(
                "RFC 7143 11.7.6",
                "Buffer Offsets of Data-In follow each other without gap or overlap",
                format!(
                    "offset {} where {} is due",
                    pdu.buffer_offset, self.data_in_at
                ),
            ));
        }
        if u64::from(pdu.buffer_offset) + u64::from(len) > u64::from(self.edtl) {
            out.push(Breach::new(
                "RFC 7143 11.7.6",
                "Data-In stays within the Expected Data Transfer Length",
                format!("{len} bytes at {} of {}", pdu.buffer_offset, self.edtl),
            ));
        }
    }

    fn tags(&self, pdu: &DataIn, params: Option<&Params>, out: &mut Vec<Breach>) {
        let clause = "RFC 7143 11.7.4";
        if !pdu.acknowledge && pdu.ttt != Ttt::RESERVED {
            let rule = "without the A bit the Target Transfer Tag is 0xffffffff";
            out.push(Breach::new(clause, rule, pdu.ttt.to_string()));
        }
        let (lun, rule) = match pdu.ttt {
            Ttt::RESERVED => (
                Lun(0),
                "without a Target Transfer Tag the LUN is reserved, thus 0",
            ),
            _ => (
                self.lun,
                "with a Target Transfer Tag the LUN is that of the command",
            ),
        };
        if pdu.lun != lun {
            out.push(Breach::new(clause, rule, pdu.lun.to_string()));
        }
        if pdu.acknowledge && params.is_some_and(|params| params.erl == 0) {
            let rule = "the A bit is never set with ErrorRecoveryLevel=0";
            out.push(Breach::new("RFC 7143 11.7.2", rule, "A=1"));
        }
    }

    fn status_in_data(&self, pdu: &DataIn, out: &mut Vec<Breach>) {
        let clause = "RFC 7143 11.7.3";
        if !pdu.is_final {
            out.push(Breach::new(
                clause,
                "the S bit comes only with the F bit",
                "S=1 F=0",
            ));
        }
        if self.write {
            let rule = "status of a bidirectional command comes in a SCSI Response";
            out.push(Breach::new(clause, rule, "S=1"));
        }
        if !STATUS_WITHOUT_SENSE.contains(&pdu.status) {
            let rule = "only a status that needs no sense data comes with Data-In";
            out.push(Breach::new(
                clause,
                rule,
                format!("status 0x{:02x}", pdu.status),
            ));
        }
        self.residual(pdu.overflow, pdu.underflow, pdu.residual, pdu.status, out);
    }

    pub(super) fn r2t(&mut self, pdu: &R2t, params: Option<&Params>, out: &mut Vec<Breach>) {
        if !self.write {
            let rule = "an R2T answers only a command with the W bit";
            out.push(Breach::new(
                "RFC 7143 11.8",
                rule,
                "R2T for a command without it",
            ));
            return;
        }
        self.number(
            "RFC 7143 11.8.1",
            "R2TSN counts up by one from 0",
            pdu.r2t_sn,
            out,
        );
        if pdu.ttt == Ttt::RESERVED {
            let rule = "an R2T has a Target Transfer Tag other than 0xffffffff";
            out.push(Breach::new("RFC 7143 11.8.5", rule, pdu.ttt.to_string()));
        }
        if pdu.lun != self.lun {
            let rule = "the LUN of an R2T is that of its command";
            out.push(Breach::new("RFC 7143 11.8.5", rule, pdu.lun.to_string()));
        }
        self.asked(pdu, params, out);
        self.outstanding.push(pdu.ttt);
        let most = params.map_or(u32::MAX, |params| u32::from(params.max_outstanding_r2t));
        if self.outstanding.len() as u64 > u64::from(most) {
            out.push(Breach::new(
                "RFC 7143 13.17",
                "no more R2Ts are outstanding than MaxOutstandingR2T",
                format!("{} of {most}", self.outstanding.len()),
            ));
        }
    }

    /// The range an R2T asks for.
    fn asked(&mut self, pdu: &R2t, params: Option<&Params>, out: &mut Vec<Breach>) {
        let (at, len) = (pdu.buffer_offset, pdu.desired_len);
        let max_burst = params.map_or(u32::MAX, |params| params.max_burst);
        if len == 0 || len > max_burst {
            out.push(Breach::new(
                "RFC 7143 11.8.4",
                "an R2T asks for at least 1 byte and at most MaxBurstLength",
                format!("{len} bytes of {max_burst}"),
            ));
        }
        if u64::from(at) + u64::from(len) > u64::from(self.edtl) {
            out.push(Breach::new(
                "RFC 7143 11.8.4",
                "an R2T stays within the Expected Data Transfer Length",
                format!("{len} bytes at {at} of {}", self.edtl),
            ));
        }
        let in_order = params.is_none_or(|params| params.data_sequence_in_order);
        let due = match self.r2t_at {
            None if self.unsolicited_over => self.unsolicited_end,
            due => due,
        };
        if let Some(due) = due
            && in_order
            && !self.recovering
            && at != due
        {
            out.push(Breach::new(
                "RFC 7143 11.8",
                "R2Ts ask for ranges that follow each other and the unsolicited data",
                format!("offset {at} where {due} is due"),
            ));
        }
        self.r2t_at = Some(at.saturating_add(len));
    }

    pub(super) fn response(&self, pdu: &ScsiResponse, out: &mut Vec<Breach>) {
        if pdu.response != COMPLETED_AT_TARGET {
            return;
        }
        self.residual(pdu.overflow, pdu.underflow, pdu.residual, pdu.status, out);
        if self.read && !self.write && !self.recovering && pdu.exp_data_sn != self.data_ins {
            out.push(Breach::new(
                "RFC 7143 11.4.8",
                "ExpDataSN of a read is the number of its Data-In PDUs",
                format!("{} after {}", pdu.exp_data_sn, self.data_ins),
            ));
        }
    }

    /// RFC 7143 11.4.5: what the count says must fit what was transferred.
    fn residual(&self, over: bool, under: bool, count: u32, status: u8, out: &mut Vec<Breach>) {
        let clause = "RFC 7143 11.4.5";
        if over && under {
            out.push(Breach::new(clause, "O and U are never both set", "O=1 U=1"));
            return;
        }
        if under && count > self.edtl {
            let rule = "an underflow is at most the Expected Data Transfer Length";
            out.push(Breach::new(
                clause,
                rule,
                format!("{count} of {}", self.edtl),
            ));
            return;
        }
        let counted = self.read && !self.write && status == GOOD && !self.recovering;
        let due = self.edtl.saturating_sub(self.data_in_at);
        let told = if under { count } else { 0 };
        if counted && told != due {
            out.push(Breach::new(
                clause,
                "a read that ends GOOD transfers what was expected, or says by U how much less",
                format!(
                    "{} of {} bytes, underflow {told}",
                    self.data_in_at, self.edtl
                ),
            ));
        }
    }
}

fn limits(len: u32, sequence: u64, params: &Params, out: &mut Vec<Breach>) {
    let segment = params.own_max_recv_data_segment;
    if len > segment {
        out.push(Breach::new(
            "RFC 7143 13.12",
            "no data segment is longer than the initiator's MaxRecvDataSegmentLength",
            format!("{len} of {segment}"),
        ));
    }
    if sequence > u64::from(params.max_burst) {
        out.push(Breach::new(
            "RFC 7143 13.13",
            "no Data-In sequence is longer than MaxBurstLength",
            format!("{sequence} bytes without F, of {}", params.max_burst),
        ));
    }
}
