//! The full feature phase, the initiator's side: tasks by ITT, window, answers to the target.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use iscsi::keys::Params;
use iscsi::pdu::{
    AsyncMessage, LogoutRequest, LogoutResponse, NopIn, NopOut, Reject, Response,
    TaskManagementRequest, TextRequest, TextResponse,
};
use iscsi::{
    Bhs, Cid, Itt, LogoutReason, Lun, Opcode, RejectReason, Serial, TmfFunction, TmfResponse, Ttt,
};

use super::command::{Command, Outcome};
use super::login::Established;
use super::transfer::{Terms, Transfer};
use super::{Header, Numbering, PduSink, Violation};

/// How much of what the negotiation allows a write makes use of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WritePolicy {
    /// Immediate data at most, in bytes.
    pub immediate_max: u32,
    /// Send unsolicited Data-Outs.
    pub unsolicited: bool,
}

impl Default for WritePolicy {
    fn default() -> Self {
        Self {
            immediate_max: u32::MAX,
            unsolicited: true,
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A SCSI command ended.
    Command(Itt, Outcome),
    /// A SCSI command will have no response: a task management function took it away.
    Aborted(Itt),
    /// A ping of ours was answered.
    Nop(Itt),
    /// A task management function was answered.
    TaskManagement(Itt, TmfResponse),
    /// A text exchange ended with these bytes.
    Text(Itt, Vec<u8>),
    /// A logout was answered.
    Logout(Itt, LogoutResponse),
    /// The target has something to say.
    Async(AsyncMessage, Vec<u8>),
    /// The target rejected a PDU; this is its header. The task of that ITT, if it was one of
    /// ours and the rejected PDU its request, is over.
    Rejected(Reject, Bhs),
    /// The target pinged and was answered.
    Pinged,
}

#[derive(Debug)]
enum Task {
    Waiting(Command),
    Command(Transfer),
    Nop(Bytes),
    Management(TaskManagementRequest),
    Text(Vec<u8>),
    Logout,
}

/// The full feature phase of a session with one connection.
///
/// Contract: every request method and [`Client::receive`] puts what is to be sent into the sink
/// at once; what came of it is fetched with [`Client::next_event`] until `None`.
pub struct Client {
    params: Params,
    /// The counters. Deviants bend them; the honest never touch them.
    pub numbering: Numbering,
    /// How writes begin.
    pub policy: WritePolicy,
    next_itt: u32,
    tasks: BTreeMap<Itt, Task>,
    waiting: VecDeque<Itt>,
    events: VecDeque<Event>,
}

impl Client {
    /// Take over from the login.
    pub fn new(established: Established) -> Self {
        Self {
            params: established.params,
            numbering: established.numbering,
            policy: WritePolicy::default(),
            next_itt: 0x10,
            tasks: BTreeMap::new(),
            waiting: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// What the login agreed on.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// A tag no task has.
    pub fn take_itt(&mut self) -> Itt {
        let itt = Itt(self.next_itt);
        self.next_itt = (self.next_itt + 1) & 0x7fff_ffff;
        itt
    }

    /// Tasks without an answer.
    pub fn outstanding(&self) -> usize {
        self.tasks.len()
    }

    /// Is this task without an answer?
    pub fn is_outstanding(&self, itt: Itt) -> bool {
        self.tasks.contains_key(&itt)
    }

    /// CmdSN of a command that was sent and is not answered.
    pub fn cmd_sn_of(&self, itt: Itt) -> Option<Serial> {
        match self.tasks.get(&itt)? {
            Task::Command(transfer) => Some(transfer.cmd_sn),
            _ => None,
        }
    }

    /// Stop expecting an answer to this task.
    pub fn forget(&mut self, itt: Itt) {
        self.tasks.remove(&itt);
        self.waiting.retain(|waiting| *waiting != itt);
    }

    /// The next thing that happened.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Issue a command: now, or when the command window opens.
    pub fn submit(&mut self, command: Command, sink: &mut dyn PduSink) -> Itt {
        let itt = self.take_itt();
        if command.immediate || (self.waiting.is_empty() && self.numbering.window_open()) {
            self.launch(itt, command, sink);
        } else {
            self.tasks.insert(itt, Task::Waiting(command));
            self.waiting.push_back(itt);
        }
        itt
    }

    /// Ping; `data` must come back (RFC 7143 §11.18).
    pub fn nop(&mut self, data: Bytes, sink: &mut dyn PduSink) -> Itt {
        let itt = self.take_itt();
        let pdu = NopOut {
            immediate: true,
            lun: Lun(0),
            itt,
            ttt: Ttt::RESERVED,
            cmd_sn: self.numbering.take_cmd_sn(true),
            exp_stat_sn: self.numbering.exp_stat_sn,
        };
        sink.pdu(pdu.encode(), &[], data.clone());
        self.tasks.insert(itt, Task::Nop(data));
        itt
    }

    /// A task management function, delivered immediately. `referenced` is the task for ABORT TASK.
    pub fn task_management(
        &mut self,
        function: TmfFunction,
        lun: Lun,
        referenced: Option<Itt>,
        sink: &mut dyn PduSink,
    ) -> Itt {
        let itt = self.take_itt();
        let cmd_sn = self.numbering.take_cmd_sn(true);
        let pdu = TaskManagementRequest {
            immediate: true,
            function,
            lun,
            itt,
            rtt: referenced.unwrap_or(Itt::RESERVED),
            cmd_sn,
            exp_stat_sn: self.numbering.exp_stat_sn,
            ref_cmd_sn: referenced
                .and_then(|itt| self.cmd_sn_of(itt))
                .unwrap_or(Serial(0)),
            exp_data_sn: 0,
        };
        sink.pdu(pdu.encode(), &[], Bytes::new());
        self.tasks.insert(itt, Task::Management(pdu));
        itt
    }

    /// Send text; the answer is asked for until it is whole.
    pub fn text(&mut self, text: Bytes, sink: &mut dyn PduSink) -> Itt {
        let itt = self.take_itt();
        self.send_text(itt, Ttt::RESERVED, Lun(0), text, sink);
        self.tasks.insert(itt, Task::Text(Vec::new()));
        itt
    }

    /// Ask to leave.
    pub fn logout(&mut self, reason: LogoutReason, cid: Cid, sink: &mut dyn PduSink) -> Itt {
        let itt = self.take_itt();
        let pdu = LogoutRequest {
            immediate: true,
            reason,
            itt,
            cid,
            cmd_sn: self.numbering.take_cmd_sn(true),
            exp_stat_sn: self.numbering.exp_stat_sn,
        };
        sink.pdu(pdu.encode(), &[], Bytes::new());
        self.tasks.insert(itt, Task::Logout);
        itt
    }

    /// A PDU from the target.
    pub fn receive(
        &mut self,
        bhs: &Bhs,
        data: &[u8],
        sink: &mut dyn PduSink,
    ) -> Result<(), Violation> {
        let response = Response::decode(bhs)?;
        self.count(&response, Header::of(bhs))?;
        match &response {
            Response::DataIn(pdu) => {
                let transfer = self.transfer(pdu.itt, Opcode::DATA_IN)?;
                if let Some(outcome) = transfer.data_in(pdu, data)? {
                    self.end(pdu.itt, outcome);
                }
            }
            Response::ScsiResponse(pdu) => {
                let outcome = self
                    .transfer(pdu.itt, Opcode::SCSI_RESPONSE)?
                    .response(pdu, data);
                self.end(pdu.itt, outcome);
            }
            Response::R2t(pdu) => {
                let Some(Task::Command(transfer)) = self.tasks.get_mut(&pdu.itt) else {
                    return Err(unknown(Opcode::R2T, pdu.itt));
                };
                let terms = Terms {
                    params: &self.params,
                    policy: self.policy,
                    exp_stat_sn: self.numbering.exp_stat_sn,
                };
                transfer.r2t(pdu, terms, sink)?;
            }
            Response::NopIn(pdu) => self.nop_in(pdu, data, sink)?,
            Response::TaskManagement(pdu) => match self.tasks.remove(&pdu.itt) {
                Some(Task::Management(request)) => {
                    if pdu.response == TmfResponse::COMPLETE {
                        self.abort(&request);
                    }
                    self.events
                        .push_back(Event::TaskManagement(pdu.itt, pdu.response));
                }
                _ => return Err(unknown(Opcode::TASK_MANAGEMENT_RESPONSE, pdu.itt)),
            },
            Response::Text(pdu) => self.text_response(pdu, data, sink)?,
            Response::Logout(pdu) => match self.tasks.remove(&pdu.itt) {
                Some(Task::Logout) => {
                    self.events.push_back(Event::Logout(pdu.itt, *pdu));
                }
                _ => return Err(unknown(Opcode::LOGOUT_RESPONSE, pdu.itt)),
            },
            Response::Async(pdu) => {
                self.events.push_back(Event::Async(*pdu, data.to_vec()));
            }
            Response::Reject(pdu) => self.reject(pdu, data)?,
            Response::Login(_) => return Err(Violation::Unexpected(Opcode::LOGIN_RESPONSE)),
        }
        self.release(sink);
        Ok(())
    }

    /// StatSN, ExpCmdSN and MaxCmdSN of a PDU (RFC 7143 §4.2.2).
    fn count(&mut self, response: &Response, header: Header) -> Result<(), Violation> {
        match response {
            Response::DataIn(pdu) if !pdu.has_status => {}
            Response::R2t(_) => self.numbering.peek_status(header.stat_sn)?,
            Response::NopIn(pdu) if pdu.itt == Itt::RESERVED => {
                self.numbering.peek_status(header.stat_sn)?;
            }
            _ => self.numbering.hear_status(header.stat_sn)?,
        }
        self.numbering
            .hear_window(header.exp_cmd_sn, header.max_cmd_sn);
        Ok(())
    }

    fn launch(&mut self, itt: Itt, command: Command, sink: &mut dyn PduSink) {
        let cmd_sn = self.numbering.take_cmd_sn(command.immediate);
        let terms = Terms {
            params: &self.params,
            policy: self.policy,
            exp_stat_sn: self.numbering.exp_stat_sn,
        };
        let transfer = Transfer::start(itt, cmd_sn, command, terms, sink);
        self.tasks.insert(itt, Task::Command(transfer));
    }

    /// Commands that waited for the window.
    fn release(&mut self, sink: &mut dyn PduSink) {
        while self.numbering.window_open() {
            let Some(itt) = self.waiting.pop_front() else {
                return;
            };
            if let Some(Task::Waiting(command)) = self.tasks.remove(&itt) {
                self.launch(itt, command, sink);
            }
        }
    }

    fn transfer(&mut self, itt: Itt, opcode: Opcode) -> Result<&mut Transfer, Violation> {
        match self.tasks.get_mut(&itt) {
            Some(Task::Command(transfer)) => Ok(transfer),
            _ => Err(unknown(opcode, itt)),
        }
    }

    fn end(&mut self, itt: Itt, outcome: Outcome) {
        self.tasks.remove(&itt);
        self.events.push_back(Event::Command(itt, outcome));
    }

    /// "Function complete": tasks it covers get no response any more (RFC 7143 §4.2.3.3).
    fn abort(&mut self, request: &TaskManagementRequest) {
        let covered: Vec<Itt> = self
            .tasks
            .iter()
            .filter(|(itt, task)| {
                let Task::Command(transfer) = task else {
                    return false;
                };
                let earlier = transfer.cmd_sn.is_before(request.cmd_sn);
                match request.function {
                    TmfFunction::ABORT_TASK => **itt == request.rtt,
                    TmfFunction::ABORT_TASK_SET
                    | TmfFunction::CLEAR_TASK_SET
                    | TmfFunction::LOGICAL_UNIT_RESET => {
                        earlier && transfer.command.lun == request.lun
                    }
                    TmfFunction::TARGET_WARM_RESET | TmfFunction::TARGET_COLD_RESET => earlier,
                    _ => false,
                }
            })
            .map(|(itt, _)| *itt)
            .collect();
        for itt in covered {
            self.tasks.remove(&itt);
            self.events.push_back(Event::Aborted(itt));
        }
    }

    fn nop_in(
        &mut self,
        pdu: &NopIn,
        data: &[u8],
        sink: &mut dyn PduSink,
    ) -> Result<(), Violation> {
        if pdu.itt != Itt::RESERVED {
            let Some(Task::Nop(sent)) = self.tasks.remove(&pdu.itt) else {
                return Err(unknown(Opcode::NOP_IN, pdu.itt));
            };
            // The target may cut the echo at our MaxRecvDataSegmentLength (§11.18.4).
            let due = sent
                .len()
                .min(self.params.own_max_recv_data_segment as usize);
            if data != &sent[..due] {
                return Err(Violation::NopData);
            }
            self.events.push_back(Event::Nop(pdu.itt));
        } else if pdu.ttt != Ttt::RESERVED {
            let answer = NopOut {
                immediate: true,
                lun: pdu.lun,
                itt: Itt::RESERVED,
                ttt: pdu.ttt,
                cmd_sn: self.numbering.take_cmd_sn(true),
                exp_stat_sn: self.numbering.exp_stat_sn,
            };
            sink.pdu(answer.encode(), &[], Bytes::new());
            self.events.push_back(Event::Pinged);
        }
        Ok(())
    }

    fn send_text(&self, itt: Itt, ttt: Ttt, lun: Lun, text: Bytes, sink: &mut dyn PduSink) {
        let pdu = TextRequest {
            immediate: true,
            is_final: true,
            cont: false,
            lun,
            itt,
            ttt,
            cmd_sn: self.numbering.cmd_sn,
            exp_stat_sn: self.numbering.exp_stat_sn,
        };
        sink.pdu(pdu.encode(), &[], text);
    }

    fn text_response(
        &mut self,
        pdu: &TextResponse,
        data: &[u8],
        sink: &mut dyn PduSink,
    ) -> Result<(), Violation> {
        let Some(Task::Text(text)) = self.tasks.get_mut(&pdu.itt) else {
            return Err(unknown(Opcode::TEXT_RESPONSE, pdu.itt));
        };
        text.extend_from_slice(data);
        if pdu.is_final {
            let text = std::mem::take(text);
            self.tasks.remove(&pdu.itt);
            self.events.push_back(Event::Text(pdu.itt, text));
        } else {
            self.send_text(pdu.itt, pdu.ttt, pdu.lun, Bytes::new(), sink);
        }
        Ok(())
    }

    fn reject(&mut self, pdu: &Reject, data: &[u8]) -> Result<(), Violation> {
        let header = data
            .first_chunk::<48>()
            .ok_or(Violation::RejectWithoutHeader)?;
        let header = Bhs(*header);
        // A data digest error ends the task with a SCSI Response of its own (RFC 7143 §7.8).
        let request = header.opcode() != Opcode::DATA_OUT && header.opcode() != Opcode::SNACK;
        if request && pdu.reason != RejectReason::DATA_DIGEST {
            self.tasks.remove(&header.itt());
        }
        self.events.push_back(Event::Rejected(*pdu, header));
        Ok(())
    }
}

fn unknown(opcode: Opcode, itt: Itt) -> Violation {
    Violation::UnknownItt { opcode, itt }
}
