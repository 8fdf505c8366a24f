//! Everything a session sends: numbering, residuals, sense.

use iscsi::pdu::{
    AsyncMessage, DataIn, LogoutResponse, NopIn, R2t, Reject, ScsiResponse, TaskManagementResponse,
    TextResponse,
};
use iscsi::{AsyncEvent, Bhs, Itt, LogoutResult, Lun, RejectReason, Serial, TmfResponse, Ttt};
use planted::{Bug, has};

use super::Session;
use crate::action::{Action, Actions, Body};
use crate::event::Event;
use crate::input::ConnId;
use crate::task::Verdict;
use crate::task::read::Cut;

/// StatSN, ExpCmdSN, MaxCmdSN of one PDU.
#[derive(Clone, Copy)]
struct Numbers {
    stat_sn: Serial,
    exp_cmd_sn: Serial,
    max_cmd_sn: Serial,
}

/// How much more or less the command moved than the initiator expected (RFC 7143 11.4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Residual {
    overflow: bool,
    underflow: bool,
    count: u32,
}

impl Residual {
    /// `expected`: the initiator's Expected Data Transfer Length; `available`: what the command
    /// has to move.
    pub(super) fn of(expected: u32, available: u64) -> Self {
        let expected = u64::from(expected);
        let count = u32::try_from(expected.abs_diff(available)).unwrap_or(u32::MAX);
        Self {
            overflow: available > expected,
            underflow: available < expected,
            count,
        }
    }
}

impl Session {
    /// `advances`: the PDU has a status number of its own.
    fn numbers(&mut self, conn: ConnId, advances: bool) -> Option<Numbers> {
        let conn = self.conns.iter_mut().find(|c| c.id == conn && !c.closing)?;
        let (exp_cmd_sn, max_cmd_sn) = self.window.tell(self.tasks.windowed);
        let stat_sn = conn.stat_sn;
        if advances {
            conn.stat_sn = stat_sn.next();
        }
        Some(Numbers {
            stat_sn,
            exp_cmd_sn,
            max_cmd_sn,
        })
    }

    fn send(&mut self, conn: ConnId, bhs: Bhs, body: Body, out: &mut Actions) {
        let digests = self.conn(conn).map(|conn| conn.digests).unwrap_or_default();
        out.push(Action::Send {
            conn,
            bhs,
            body,
            digests,
        });
    }

    /// The status of a command, with sense where there is some. `available`: as for [`Residual`].
    pub(super) fn send_status(
        &mut self,
        conn: ConnId,
        itt: Itt,
        verdict: Verdict,
        residual: Residual,
        data_pdus: u32,
        out: &mut Actions,
    ) {
        let Some(n) = self.numbers(conn, true) else {
            return;
        };
        let response = ScsiResponse {
            bidi_overflow: false,
            bidi_underflow: false,
            overflow: residual.overflow,
            underflow: residual.underflow,
            response: 0,
            status: verdict.status.0,
            itt,
            snack_tag: 0,
            stat_sn: n.stat_sn,
            exp_cmd_sn: n.exp_cmd_sn,
            max_cmd_sn: n.max_cmd_sn,
            exp_data_sn: data_pdus,
            bidi_residual: 0,
            residual: residual.count,
        };
        let body = match verdict.sense {
            //= RFC 7143 11.4.7.2: SenseLength, then the sense data.
            Some(sense) => {
                let sense = sense.to_fixed();
                let mut data = Vec::with_capacity(2 + sense.len());
                data.extend_from_slice(&(sense.len() as u16).to_be_bytes());
                data.extend_from_slice(&sense);
                Body::Inline(data)
            }
            None => Body::Empty,
        };
        self.send(conn, response.encode(), body, out);
    }

    /// One Data-In. `status`: it is the command's last, and carries GOOD with this residual.
    pub(super) fn send_data_in(
        &mut self,
        conn: ConnId,
        itt: Itt,
        cut: &Cut,
        status: Option<Residual>,
        body: Body,
        out: &mut Actions,
    ) {
        let Some(n) = self.numbers(conn, status.is_some()) else {
            return;
        };
        let pdu = DataIn {
            is_final: cut.is_final,
            acknowledge: false,
            overflow: status.is_some_and(|residual| residual.overflow),
            underflow: status.is_some_and(|residual| residual.underflow),
            has_status: status.is_some(),
            status: 0,
            lun: Lun(0),
            itt,
            ttt: Ttt::RESERVED,
            stat_sn: if status.is_some() {
                n.stat_sn
            } else {
                Serial(0)
            },
            exp_cmd_sn: n.exp_cmd_sn,
            max_cmd_sn: n.max_cmd_sn,
            data_sn: cut.data_sn,
            buffer_offset: cut.buffer_offset as u32,
            residual: status.map_or(0, |residual| residual.count),
        };
        self.send(conn, pdu.encode(), body, out);
    }

    pub(super) fn send_r2t(&mut self, conn: ConnId, ask: R2tAsk, out: &mut Actions) {
        let Some(n) = self.numbers(conn, false) else {
            return;
        };
        let pdu = R2t {
            lun: ask.lun,
            itt: ask.itt,
            ttt: ask.ttt,
            stat_sn: n.stat_sn,
            exp_cmd_sn: n.exp_cmd_sn,
            max_cmd_sn: n.max_cmd_sn,
            r2t_sn: ask.r2t_sn,
            buffer_offset: ask.offset as u32,
            desired_len: ask.len,
        };
        self.send(conn, pdu.encode(), Body::Empty, out);
    }

    /// RFC 7143 11.17: the answer to a PDU that cannot be carried out holds its header.
    pub(super) fn send_reject(
        &mut self,
        conn: ConnId,
        reason: RejectReason,
        bhs: &Bhs,
        why: &'static str,
        out: &mut Actions,
    ) {
        let Some(n) = self.numbers(conn, true) else {
            return;
        };
        if has(Bug::RejectSkipsStatSn) {
            self.numbers(conn, true);
        }
        out.event(Event::Rejected {
            tsih: self.tsih,
            reason,
            why,
        });
        let pdu = Reject {
            reason,
            stat_sn: n.stat_sn,
            exp_cmd_sn: n.exp_cmd_sn,
            max_cmd_sn: n.max_cmd_sn,
            data_sn: 0,
        };
        self.send(conn, pdu.encode(), Body::Inline(bhs.0.to_vec()), out);
    }

    /// `answers`: the initiator's tag, when this is the echo of its ping.
    pub(super) fn send_nop_in(
        &mut self,
        conn: ConnId,
        answers: Option<(Itt, Lun)>,
        ttt: Ttt,
        data: Vec<u8>,
        out: &mut Actions,
    ) {
        //= RFC 7143 11.19.4: a target's own NOP-In does not advance StatSN.
        let advances = answers.is_some() || has(Bug::PingTakesStatSn);
        let Some(n) = self.numbers(conn, advances) else {
            return;
        };
        let (itt, lun) = answers.unwrap_or((Itt::RESERVED, Lun(0)));
        let pdu = NopIn {
            lun,
            itt,
            ttt,
            stat_sn: n.stat_sn,
            exp_cmd_sn: n.exp_cmd_sn,
            max_cmd_sn: n.max_cmd_sn,
        };
        let body = if data.is_empty() {
            Body::Empty
        } else {
            Body::Inline(data)
        };
        self.send(conn, pdu.encode(), body, out);
    }

    pub(super) fn send_tmf_response(
        &mut self,
        conn: ConnId,
        itt: Itt,
        response: TmfResponse,
        out: &mut Actions,
    ) {
        let Some(n) = self.numbers(conn, true) else {
            return;
        };
        let pdu = TaskManagementResponse {
            response,
            itt,
            stat_sn: n.stat_sn,
            exp_cmd_sn: n.exp_cmd_sn,
            max_cmd_sn: n.max_cmd_sn,
        };
        self.send(conn, pdu.encode(), Body::Empty, out);
    }

    /// `ttt`: more is to come, and this tag fetches it.
    pub(super) fn send_text(
        &mut self,
        conn: ConnId,
        itt: Itt,
        ttt: Option<Ttt>,
        cont: bool,
        data: Vec<u8>,
        out: &mut Actions,
    ) {
        let Some(n) = self.numbers(conn, true) else {
            return;
        };
        let pdu = TextResponse {
            is_final: ttt.is_none(),
            cont,
            lun: Lun(0),
            itt,
            ttt: ttt.unwrap_or(Ttt::RESERVED),
            stat_sn: n.stat_sn,
            exp_cmd_sn: n.exp_cmd_sn,
            max_cmd_sn: n.max_cmd_sn,
        };
        let body = if data.is_empty() {
            Body::Empty
        } else {
            Body::Inline(data)
        };
        self.send(conn, pdu.encode(), body, out);
    }

    pub(super) fn send_logout_response(
        &mut self,
        conn: ConnId,
        itt: Itt,
        result: LogoutResult,
        out: &mut Actions,
    ) {
        let Some(n) = self.numbers(conn, true) else {
            return;
        };
        let pdu = LogoutResponse {
            result,
            itt,
            stat_sn: n.stat_sn,
            exp_cmd_sn: n.exp_cmd_sn,
            max_cmd_sn: n.max_cmd_sn,
            time2wait: self.params.time2wait,
            time2retain: 0,
        };
        self.send(conn, pdu.encode(), Body::Empty, out);
    }

    /// Asynchronous Message 1: please log out within `seconds` (RFC 7143 11.9.1).
    pub(super) fn send_logout_request(&mut self, conn: ConnId, seconds: u16, out: &mut Actions) {
        let Some(n) = self.numbers(conn, true) else {
            return;
        };
        let pdu = AsyncMessage {
            lun: Lun(0),
            stat_sn: n.stat_sn,
            exp_cmd_sn: n.exp_cmd_sn,
            max_cmd_sn: n.max_cmd_sn,
            event: AsyncEvent::LOGOUT_REQUEST,
            vcode: 0,
            parameter1: 0,
            parameter2: 0,
            parameter3: seconds,
        };
        self.send(conn, pdu.encode(), Body::Empty, out);
    }
}

/// One R2T's content.
pub(super) struct R2tAsk {
    pub(super) lun: Lun,
    pub(super) itt: Itt,
    pub(super) ttt: Ttt,
    pub(super) r2t_sn: u32,
    pub(super) offset: u64,
    pub(super) len: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn residuals_tell_which_way_the_lengths_differ() {
        let over = Residual::of(512, 4096);
        assert_eq!(
            over,
            Residual {
                overflow: true,
                underflow: false,
                count: 3584
            }
        );
        let under = Residual::of(4096, 512);
        assert_eq!(
            under,
            Residual {
                overflow: false,
                underflow: true,
                count: 3584
            }
        );
        let exact = Residual::of(512, 512);
        assert_eq!(
            exact,
            Residual {
                overflow: false,
                underflow: false,
                count: 0
            }
        );
    }
}
