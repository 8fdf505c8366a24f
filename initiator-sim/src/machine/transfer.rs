//! One command in flight: reading Data-In together, cutting Data-Out from what R2Ts ask.

use bytes::Bytes;
use iscsi::keys::Params;
use iscsi::pdu::{DataIn, DataOut, R2t, ScsiCommand, ScsiResponse};
use iscsi::{Itt, Lun, Opcode, Serial, Ttt};

use super::command::{Command, Direction, Outcome, Residual, Sense};
use super::{PduSink, Violation, WritePolicy};

/// What a command needs to know of its session.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    pub params: &'a Params,
    pub policy: WritePolicy,
    pub exp_stat_sn: Serial,
}

/// A command that was sent and has no status yet.
#[derive(Debug)]
pub(super) struct Transfer {
    pub itt: Itt,
    pub command: Command,
    pub cmd_sn: Serial,
    data: Vec<u8>,
    data_ins: u32,
    r2ts: u32,
}

impl Transfer {
    /// Send the command and the data that may go with it unasked.
    pub(super) fn start(
        itt: Itt,
        cmd_sn: Serial,
        mut command: Command,
        terms: Terms<'_>,
        sink: &mut dyn PduSink,
    ) -> Self {
        command.fit_data();
        let (immediate, unsolicited) = match command.direction {
            Direction::Write => unasked(command.edtl, terms),
            _ => (0, 0),
        };
        let mut cdb = [0; 16];
        let head = command.cdb.len().min(16);
        cdb[..head].copy_from_slice(&command.cdb[..head]);
        let request = ScsiCommand {
            immediate: command.immediate,
            is_final: unsolicited == 0,
            read: command.direction == Direction::Read,
            write: command.direction == Direction::Write,
            attribute: command.attribute,
            lun: command.lun,
            itt,
            edtl: command.edtl,
            cmd_sn,
            exp_stat_sn: terms.exp_stat_sn,
            cdb,
        };
        let data = command.data.slice(..immediate as usize);
        sink.pdu(request.encode(), &extended_cdb(&command.cdb), data);
        let transfer = Self {
            itt,
            command,
            cmd_sn,
            data: Vec::new(),
            data_ins: 0,
            r2ts: 0,
        };
        if unsolicited > 0 {
            // RFC 7143 §11.7.4: unsolicited data carries a zero LUN only when the TTT is reserved.
            transfer.sequence(Ttt::RESERVED, immediate, unsolicited, terms, sink);
        }
        transfer
    }

    /// Data-In; an outcome when status rides on it.
    pub(super) fn data_in(
        &mut self,
        pdu: &DataIn,
        data: &[u8],
    ) -> Result<Option<Outcome>, Violation> {
        if self.command.direction != Direction::Read {
            return Err(Violation::WrongDirection(Opcode::DATA_IN));
        }
        if pdu.data_sn != self.data_ins {
            return Err(Violation::DataSn {
                got: pdu.data_sn,
                due: self.data_ins,
            });
        }
        let due = u32::try_from(self.data.len()).expect("bounded by the 32 bit EDTL");
        let edtl = self.command.edtl;
        if pdu.buffer_offset != due || data.len() > (edtl - due) as usize {
            return Err(Violation::DataInPlace {
                offset: pdu.buffer_offset,
                len: data.len(),
                due,
                edtl,
            });
        }
        self.data_ins += 1;
        self.data.extend_from_slice(data);
        if !pdu.has_status {
            return Ok(None);
        }
        let residual = Residual::from_bits(pdu.overflow, pdu.underflow, pdu.residual);
        let outcome = self.outcome(0, pdu.status, residual, &[]);
        Ok(Some(Outcome {
            status_in_data: true,
            ..outcome
        }))
    }

    /// R2T: send the data it asks for.
    pub(super) fn r2t(
        &mut self,
        pdu: &R2t,
        terms: Terms<'_>,
        sink: &mut dyn PduSink,
    ) -> Result<(), Violation> {
        if self.command.direction != Direction::Write {
            return Err(Violation::WrongDirection(Opcode::R2T));
        }
        let edtl = self.command.edtl;
        let end = u64::from(pdu.buffer_offset) + u64::from(pdu.desired_len);
        let max_burst = terms.params.max_burst;
        let acceptable = pdu.r2t_sn == self.r2ts
            && pdu.desired_len > 0
            && pdu.desired_len <= max_burst
            && end <= u64::from(edtl)
            && pdu.ttt != Ttt::RESERVED;
        if !acceptable {
            return Err(Violation::R2t {
                r2t_sn: pdu.r2t_sn,
                offset: pdu.buffer_offset,
                len: pdu.desired_len,
                edtl,
                max_burst,
            });
        }
        self.r2ts += 1;
        self.sequence(pdu.ttt, pdu.buffer_offset, pdu.desired_len, terms, sink);
        Ok(())
    }

    /// SCSI Response: the end.
    pub(super) fn response(&mut self, pdu: &ScsiResponse, data: &[u8]) -> Outcome {
        let sense = match data {
            [high, low, rest @ ..] => {
                let len = usize::from(u16::from_be_bytes([*high, *low]));
                &rest[..len.min(rest.len())]
            }
            _ => &[],
        };
        let residual = Residual::from_bits(pdu.overflow, pdu.underflow, pdu.residual);
        self.outcome(pdu.response, pdu.status, residual, sense)
    }

    fn outcome(&mut self, response: u8, status: u8, residual: Residual, sense: &[u8]) -> Outcome {
        Outcome {
            response,
            status,
            sense: Sense::parse(sense),
            sense_bytes: sense.to_vec(),
            data: std::mem::take(&mut self.data),
            residual,
            r2ts: self.r2ts,
            data_ins: self.data_ins,
            status_in_data: false,
        }
    }

    /// One sequence of Data-Outs, cut by the target's MaxRecvDataSegmentLength, F on the last.
    fn sequence(&self, ttt: Ttt, offset: u32, len: u32, terms: Terms<'_>, sink: &mut dyn PduSink) {
        let limit = terms.params.peer_max_recv_data_segment.max(1);
        let mut sent = 0;
        let mut data_sn = 0;
        while sent < len {
            let piece = limit.min(len - sent);
            let at = (offset + sent) as usize;
            let data: Bytes = self.command.data.slice(at..at + piece as usize);
            let pdu = DataOut {
                is_final: sent + piece == len,
                lun: if ttt == Ttt::RESERVED {
                    Lun(0)
                } else {
                    self.command.lun
                },
                itt: self.itt,
                ttt,
                exp_stat_sn: terms.exp_stat_sn,
                data_sn,
                buffer_offset: offset + sent,
            };
            sink.pdu(pdu.encode(), &[], data);
            sent += piece;
            data_sn += 1;
        }
    }
}

/// Immediate and unsolicited bytes a write may begin with (RFC 7143 §13.10, §13.11, §13.14).
fn unasked(edtl: u32, terms: Terms<'_>) -> (u32, u32) {
    let params = terms.params;
    let first_burst = params.first_burst.min(edtl);
    let immediate = match params.immediate_data {
        true => first_burst
            .min(params.peer_max_recv_data_segment)
            .min(terms.policy.immediate_max),
        false => 0,
    };
    let unsolicited = match params.initial_r2t || !terms.policy.unsolicited {
        true => 0,
        false => first_burst - immediate,
    };
    (immediate, unsolicited)
}

/// The rest of a CDB above 16 bytes as an AHS of type 1 (RFC 7143 §11.2.2.3).
fn extended_cdb(cdb: &[u8]) -> Vec<u8> {
    let Some(rest) = cdb.get(16..).filter(|rest| !rest.is_empty()) else {
        return Vec::new();
    };
    // AHSLength counts the reserved byte after the type and the CDB bytes, not the padding.
    let len = u16::try_from(rest.len() + 1).expect("a CDB is at most 260 bytes");
    let mut ahs = Vec::with_capacity(4 + rest.len() + 3);
    ahs.extend_from_slice(&len.to_be_bytes());
    ahs.extend_from_slice(&[1, 0]);
    ahs.extend_from_slice(rest);
    ahs.resize(ahs.len().next_multiple_of(4), 0);
    ahs
}
