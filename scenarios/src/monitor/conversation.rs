//! Everything said on one connection: numbering, who may still be answered, and the tasks.

use std::collections::BTreeMap;

use iscsi::keys::Params;
use iscsi::pdu::{LoginResponse, NopIn, TaskManagementRequest, TaskManagementResponse};
use iscsi::{
    Bhs, Digests, Itt, LoginStatus, Opcode, RejectReason, Request, Response, Serial, TmfFunction,
    TmfResponse, Ttt,
};

use super::Breach;
use super::negotiation::Negotiation;
use super::task::Task;

/// The monitor of one connection. Feed it every PDU, in the order of the wire.
#[derive(Debug, Default)]
pub struct Conversation {
    negotiation: Negotiation,
    /// The next StatSN, once one was seen.
    stat_sn: Option<Serial>,
    exp_cmd_sn: Option<Serial>,
    max_cmd_sn: Option<Serial>,
    tasks: BTreeMap<Itt, Task>,
    /// Requests that are no SCSI commands and wait for their answer.
    requests: BTreeMap<Itt, Owed>,
    /// How tags that are no longer in use ended.
    over: BTreeMap<Itt, End>,
    /// A SNACK may have made status repeat itself.
    snacked: bool,
    /// What the initiator sent is not all known: say nothing about answers to unknown requests.
    lost_track: bool,
}

#[derive(Debug)]
struct Owed {
    request: Opcode,
    answers: u32,
    task_management: Option<TaskManagementRequest>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Answered,
    Aborted,
}

impl Conversation {
    /// The monitor of a connection that comes to a session with these parameters (RFC 7143 6.3.4).
    pub fn joining(session: Params) -> Self {
        Self {
            negotiation: Negotiation::joining(session),
            ..Self::default()
        }
    }

    /// Digests agreed on at login.
    pub fn digests(&self) -> Digests {
        self.negotiation
            .params()
            .map(|params| params.digests)
            .unwrap_or_default()
    }

    /// From now on the initiator's requests are not all known.
    pub fn lose_track(&mut self) {
        self.lost_track = true;
    }

    /// A PDU from the initiator.
    pub fn sent(&mut self, bhs: &Bhs, data: &[u8]) {
        let Ok(request) = Request::decode(bhs) else {
            return;
        };
        let itt = bhs.itt();
        match &request {
            Request::Login(pdu) => self.negotiation.request(pdu, data),
            Request::Text(_) => self.negotiation.redeclared(data),
            Request::ScsiCommand(pdu) => {
                // The same command once more is a retry, which opens nothing.
                let retry = self
                    .tasks
                    .get(&itt)
                    .is_some_and(|task| task.cmd_sn == pdu.cmd_sn);
                if !retry {
                    self.over.remove(&itt);
                    self.tasks.insert(
                        itt,
                        Task::new(pdu, bhs.data_segment_len(), self.negotiation.params()),
                    );
                }
                return;
            }
            Request::DataOut(pdu) => {
                if let Some(task) = self.tasks.get_mut(&itt) {
                    task.data_out(pdu, bhs.data_segment_len(), self.negotiation.params());
                }
                return;
            }
            Request::Snack(_) => {
                self.snacked = true;
                self.tasks.values_mut().for_each(Task::recover);
                return;
            }
            Request::NopOut(_) | Request::TaskManagement(_) | Request::Logout(_) => {}
        }
        if itt != Itt::RESERVED {
            self.owe(itt, &request);
        }
    }

    fn owe(&mut self, itt: Itt, request: &Request) {
        self.over.remove(&itt);
        let owed = self.requests.entry(itt).or_insert(Owed {
            request: request.opcode(),
            answers: 0,
            task_management: None,
        });
        owed.request = request.opcode();
        owed.answers += 1;
        if let Request::TaskManagement(pdu) = request {
            owed.task_management = Some(*pdu);
        }
    }

    /// A PDU from the target: what is wrong with it.
    pub fn received(&mut self, bhs: &Bhs, data: &[u8]) -> Vec<Breach> {
        let mut out = Vec::new();
        let response = match Response::decode(bhs) {
            Ok(response) => response,
            Err(malformed) => {
                let rule = "a target sends PDUs that are a target's";
                out.push(Breach::new(
                    "RFC 7143 11.2.1.2",
                    rule,
                    malformed.to_string(),
                ));
                return out;
            }
        };
        // A failed login says nothing valid about numbers (RFC 7143 11.13.4).
        let refused =
            matches!(&response, Response::Login(pdu) if pdu.status != LoginStatus::SUCCESS);
        if !refused {
            self.count(&response, bhs, &mut out);
        }
        self.answer(&response, bhs, data, &mut out);
        out
    }

    fn answer(&mut self, response: &Response, bhs: &Bhs, data: &[u8], out: &mut Vec<Breach>) {
        let itt = bhs.itt();
        let params = self.negotiation.params();
        match response {
            Response::Login(pdu) => self.login(pdu, data, out),
            Response::DataIn(pdu) => match self.tasks.get_mut(&itt) {
                Some(task) => {
                    task.data_in(pdu, bhs.data_segment_len(), params, out);
                    if pdu.has_status {
                        self.end(itt, End::Answered);
                    }
                }
                None => self.stray(itt, Opcode::DATA_IN, out),
            },
            Response::R2t(pdu) => match self.tasks.get_mut(&itt) {
                Some(task) => task.r2t(pdu, params, out),
                None => self.stray(itt, Opcode::R2T, out),
            },
            Response::ScsiResponse(pdu) => match self.tasks.get(&itt) {
                Some(task) => {
                    task.response(pdu, out);
                    self.end(itt, End::Answered);
                }
                None => self.stray(itt, Opcode::SCSI_RESPONSE, out),
            },
            Response::TaskManagement(pdu) => self.task_management(pdu, out),
            Response::NopIn(pdu) => self.nop_in(pdu, out),
            Response::Text(_) => {
                self.settle(itt, Opcode::TEXT_REQUEST, Opcode::TEXT_RESPONSE, out);
            }
            Response::Logout(_) => {
                self.settle(itt, Opcode::LOGOUT_REQUEST, Opcode::LOGOUT_RESPONSE, out);
            }
            Response::Reject(pdu) => self.reject(pdu.reason, bhs, data, out),
            Response::Async(_) => {}
        }
    }

    /// StatSN, ExpCmdSN and MaxCmdSN.
    fn count(&mut self, response: &Response, bhs: &Bhs, out: &mut Vec<Breach>) {
        let [stat_sn, exp_cmd_sn, max_cmd_sn] = [24, 28, 32].map(|at| word(bhs, at));
        let (carries, advances) = match response {
            Response::DataIn(pdu) => (pdu.has_status, pdu.has_status),
            Response::R2t(_) => (true, false),
            Response::NopIn(pdu) => (true, pdu.itt != Itt::RESERVED),
            _ => (true, true),
        };
        if carries {
            let due = self.stat_sn.unwrap_or(stat_sn);
            if stat_sn != due && !self.snacked {
                out.push(Breach::new(
                    "RFC 7143 4.2.2.2",
                    "StatSN counts up by one with every status, and R2T and NOP-In show the next",
                    format!(
                        "{} with StatSN {stat_sn} where {due} is due",
                        response.opcode()
                    ),
                ));
            }
            self.stat_sn = Some(if advances { stat_sn.next() } else { stat_sn });
        }
        self.window(exp_cmd_sn, max_cmd_sn, out);
    }

    fn window(&mut self, exp: Serial, max: Serial, out: &mut Vec<Breach>) {
        let clause = "RFC 7143 4.2.2.1";
        if exp.minus(1).is_after(max) {
            let rule = "MaxCmdSN is never less than ExpCmdSN-1";
            out.push(Breach::new(
                clause,
                rule,
                format!("ExpCmdSN {exp}, MaxCmdSN {max}"),
            ));
        }
        for (name, last, now) in [
            ("ExpCmdSN", &mut self.exp_cmd_sn, exp),
            ("MaxCmdSN", &mut self.max_cmd_sn, max),
        ] {
            if let Some(before) = last.filter(|before| before.is_after(now)) {
                let rule = "ExpCmdSN and MaxCmdSN never move back";
                out.push(Breach::new(
                    clause,
                    rule,
                    format!("{name} {now} after {before}"),
                ));
            }
            *last = Some(now);
        }
    }

    fn login(&mut self, pdu: &LoginResponse, data: &[u8], out: &mut Vec<Breach>) {
        self.negotiation.response(pdu, data);
        let owed = self.requests.get(&pdu.itt);
        let asked = owed.is_some_and(|owed| owed.request == Opcode::LOGIN_REQUEST);
        if pdu.status != LoginStatus::SUCCESS && !asked {
            // A refusal also answers a PDU that has no place in a login (RFC 7143 6.3).
            return;
        }
        self.settle(pdu.itt, Opcode::LOGIN_REQUEST, Opcode::LOGIN_RESPONSE, out);
    }

    fn nop_in(&mut self, pdu: &NopIn, out: &mut Vec<Breach>) {
        if pdu.itt == Itt::RESERVED {
            return;
        }
        if pdu.ttt != Ttt::RESERVED {
            let rule = "a NOP-In that answers has Target Transfer Tag 0xffffffff";
            out.push(Breach::new("RFC 7143 11.19.1", rule, pdu.ttt.to_string()));
        }
        self.settle(pdu.itt, Opcode::NOP_OUT, Opcode::NOP_IN, out);
    }

    fn task_management(&mut self, pdu: &TaskManagementResponse, out: &mut Vec<Breach>) {
        let request = self
            .requests
            .get(&pdu.itt)
            .and_then(|owed| owed.task_management);
        let (asked, answer) = (
            Opcode::TASK_MANAGEMENT_REQUEST,
            Opcode::TASK_MANAGEMENT_RESPONSE,
        );
        self.settle(pdu.itt, asked, answer, out);
        if let Some(request) = request
            && pdu.response == TmfResponse::COMPLETE
        {
            self.abort(&request);
        }
    }

    /// The tasks a completed function took away (RFC 7143 4.2.3, 11.5.1). Of those on the logical
    /// unit only the ones numbered before the function are certain to be among them.
    fn abort(&mut self, request: &TaskManagementRequest) {
        let covered = |(itt, task): (&Itt, &Task)| {
            let earlier = task.cmd_sn.is_before(request.cmd_sn);
            let gone = match request.function {
                TmfFunction::ABORT_TASK => *itt == request.rtt,
                TmfFunction::ABORT_TASK_SET
                | TmfFunction::CLEAR_TASK_SET
                | TmfFunction::LOGICAL_UNIT_RESET => earlier && task.lun == request.lun,
                TmfFunction::TARGET_WARM_RESET | TmfFunction::TARGET_COLD_RESET => earlier,
                _ => false,
            };
            gone.then_some(*itt)
        };
        let gone: Vec<Itt> = self.tasks.iter().filter_map(covered).collect();
        for itt in gone {
            self.end(itt, End::Aborted);
        }
    }

    fn reject(&mut self, reason: RejectReason, bhs: &Bhs, data: &[u8], out: &mut Vec<Breach>) {
        let clause = "RFC 7143 11.17";
        if bhs.itt() != Itt::RESERVED {
            let rule = "a Reject has 0xffffffff where other PDUs have the Initiator Task Tag";
            out.push(Breach::new(clause, rule, bhs.itt().to_string()));
        }
        let Some(header) = data.first_chunk::<48>() else {
            let rule = "a Reject carries the whole header of the PDU it is about";
            out.push(Breach::new(clause, rule, format!("{} bytes", data.len())));
            return;
        };
        let rejected = Bhs(*header);
        let itt = rejected.itt();
        if self
            .requests
            .get(&itt)
            .is_some_and(|owed| owed.request == rejected.opcode())
        {
            self.one_less(itt);
        }
        if let Some(task) = self.tasks.get_mut(&itt)
            && reason == RejectReason::DATA_DIGEST
        {
            task.recover();
        }
    }

    /// An answer to a request that is no SCSI command.
    fn settle(&mut self, itt: Itt, asked: Opcode, answer: Opcode, out: &mut Vec<Breach>) {
        if self
            .requests
            .get(&itt)
            .is_some_and(|owed| owed.request == asked)
        {
            self.one_less(itt);
        } else {
            self.stray(itt, answer, out);
        }
    }

    fn one_less(&mut self, itt: Itt) {
        let Some(owed) = self.requests.get_mut(&itt) else {
            return;
        };
        owed.answers -= 1;
        if owed.answers == 0 {
            self.requests.remove(&itt);
            self.over.insert(itt, End::Answered);
        }
    }

    fn end(&mut self, itt: Itt, end: End) {
        self.tasks.remove(&itt);
        self.over.insert(itt, end);
    }

    /// A PDU for a tag that waits for none.
    fn stray(&self, itt: Itt, opcode: Opcode, out: &mut Vec<Breach>) {
        let seen = format!("{opcode} for {itt}");
        match self.over.get(&itt) {
            Some(End::Answered) => {
                let rule = "a request is answered once, and nothing follows its answer";
                out.push(Breach::new("RFC 7143 11.2.1.8", rule, seen));
            }
            Some(End::Aborted) => {
                let rule = "no PDU of a task follows the response that says it is aborted";
                out.push(Breach::new("RFC 7143 11.5.1", rule, seen));
            }
            None if self.lost_track => {}
            None => {
                let rule = "a target answers only what was asked on this connection";
                out.push(Breach::new("RFC 7143 11.2.1.8", rule, seen));
            }
        }
    }
}

/// A 32 bit number of a header.
fn word(bhs: &Bhs, at: usize) -> Serial {
    Serial(u32::from_be_bytes([
        bhs.0[at],
        bhs.0[at + 1],
        bhs.0[at + 2],
        bhs.0[at + 3],
    ]))
}
