//! One login, from the first byte of a connection to full feature phase (RFC 7143 6.3).
//!
//! Knows one connection and no other; asks the node for a session when everything is negotiated.
//! Invariant: nothing but Login Requests is answered here, and no stage is entered twice.

mod identity;
mod operational;
mod security;

use std::net::SocketAddr;
use std::sync::Arc;

use block::Buffer;
use iscsi::frame::{Data, Framer};
use iscsi::keys::{self, Assembler, Responder, TextBuffer};
use iscsi::pdu::{LoginRequest, LoginResponse};
use iscsi::{Bhs, Digests, LoginStatus, Opcode, Serial, Stage, Tsih};
use planted::{Bug, has};

use crate::action::{Action, Actions, Body};
use crate::config::NodeConfig;
use crate::event::Event;
use crate::input::{Admission, ConnId, Handover, Input, Moment, SessionId, ToLogin, ToNode};
use crate::limits::{LOGIN_EXCHANGES_MAX, LOGIN_RECEIVE_BYTES, LOGIN_SEGMENT_BYTES};

pub(crate) use identity::ALIAS_KEY;
use identity::Identity;
use security::{Authenticated, Security};

/// A connection that is logging in.
#[derive(Debug)]
pub struct Login {
    conn: ConnId,
    local: SocketAddr,
    config: Arc<NodeConfig>,
    entropy: [u8; 64],
    framer: Framer<Buffer>,
    stage: StageState,
    /// What the first request fixed for all others.
    opening: Option<LoginRequest>,
    exp_cmd_sn: Serial,
    max_cmd_sn: Serial,
    stat_sn: Serial,
    exchanges: u32,
    text: Assembler,
    identity: Option<Identity>,
    responder: Responder,
    declared: bool,
    /// Keys came that a joining login may not bring.
    renegotiates: bool,
}

/// Where the login stands; each later state holds what the earlier one proved.
#[derive(Debug)]
enum StageState {
    /// Before the first complete request.
    Opening,
    /// SecurityNegotiation.
    Security(Security),
    /// LoginOperationalNegotiation.
    Operational(Authenticated),
    /// The node was asked; `answer` goes out with its verdict.
    Awaiting { answer: TextBuffer, from: Stage },
    /// Refused, dropped or handed over.
    Over,
}

/// Why a login is refused: what goes on the wire, and the reason for people.
pub(crate) struct Refusal {
    pub(crate) status: LoginStatus,
    pub(crate) why: &'static str,
}

impl Refusal {
    pub(crate) fn new(status: LoginStatus, why: &'static str) -> Self {
        Self { status, why }
    }

    pub(crate) fn initiator_error(why: &'static str) -> Self {
        Self::new(LoginStatus::INITIATOR_ERROR, why)
    }
}

impl Login {
    /// A connection that was just accepted at `local`. `entropy` feeds the CHAP challenge and must
    /// be fresh for every login.
    pub fn new(
        conn: ConnId,
        local: SocketAddr,
        config: Arc<NodeConfig>,
        entropy: [u8; 64],
        now: Moment,
        out: &mut Actions,
    ) -> Self {
        out.push(Action::WakeAt(Some(now.plus(config.login_timeout))));
        let responder = Responder::new(config.kept_offer());
        Self {
            conn,
            local,
            config,
            entropy,
            framer: Framer::new(LOGIN_SEGMENT_BYTES, LOGIN_RECEIVE_BYTES),
            stage: StageState::Opening,
            opening: None,
            exp_cmd_sn: Serial(0),
            max_cmd_sn: Serial(0),
            stat_sn: Serial(0),
            exchanges: 0,
            text: Assembler::default(),
            identity: None,
            responder,
            declared: false,
            renegotiates: false,
        }
    }

    /// Where the next received bytes go; `None` while nothing may be read.
    pub fn space(&mut self) -> Option<&mut [u8]> {
        self.reads().then(|| self.framer.space())
    }

    fn reads(&self) -> bool {
        !matches!(self.stage, StageState::Awaiting { .. } | StageState::Over)
    }

    /// Takes one input and says what to do about it.
    pub fn handle(&mut self, _now: Moment, input: Input<ToLogin>, out: &mut Actions) {
        match input {
            Input::Received { bytes, .. } => {
                self.framer.filled(bytes);
                self.read_pdus(out);
            }
            Input::Lost { .. } => self.leave(out),
            Input::Due => self.time_out(out),
            Input::Message(message) => self.on_verdict(message, out),
            Input::Completed(_) | Input::Room => {}
        }
    }

    fn read_pdus(&mut self, out: &mut Actions) {
        while self.reads() {
            let frame = match self.framer.next(|_| None) {
                Ok(Some(frame)) => frame,
                Ok(None) => return,
                Err(what) => {
                    out.event(Event::Malformed {
                        conn: self.conn,
                        what,
                    });
                    return self.drop_connection("not iSCSI", out);
                }
            };
            let bhs = frame.bhs;
            let Data::Inline(data) = frame.data else {
                return;
            };
            let result = if data.is_empty() {
                Ok(())
            } else {
                self.text.push(data)
            };
            match result {
                Ok(()) => self.on_pdu(&bhs, out),
                Err(_) => {
                    self.refuse(
                        Refusal::initiator_error("more login text than allowed"),
                        out,
                    );
                }
            }
        }
    }

    fn on_pdu(&mut self, bhs: &Bhs, out: &mut Actions) {
        let is_login = bhs.opcode() == Opcode::LOGIN_REQUEST;
        let request = is_login.then(|| LoginRequest::decode(bhs).ok()).flatten();
        let Some(request) = request else {
            //= RFC 7143 6.3: anything before the first Login Request ends the connection, anything
            //= else during login is answered with 020b.
            if self.opening.is_none() {
                return self.drop_connection("the first PDU is not a Login Request", out);
            }
            let status = LoginStatus::INVALID_DURING_LOGIN;
            return self.refuse(
                Refusal::new(status, "a PDU other than login during login"),
                out,
            );
        };
        if let Err(refusal) = self.on_request(&request, out) {
            self.refuse(refusal, out);
        }
    }

    fn on_request(&mut self, request: &LoginRequest, out: &mut Actions) -> Result<(), Refusal> {
        self.check_request(request)?;
        if request.cont {
            //= RFC 7143 6.2: a part of a text is answered without text.
            self.answer(request.csg, None, &TextBuffer::default(), out);
            return Ok(());
        }
        let text = self.text.take();
        let pairs = keys::parse(&text)
            .map_err(|_| Refusal::initiator_error("login text that cannot be parsed"))?;
        let mut answer = TextBuffer::default();
        if matches!(self.stage, StageState::Opening) {
            self.open(request, &pairs, &mut answer)?;
        }
        let done = self.negotiate(request, &pairs, &mut answer)?;
        if answer.as_bytes().len() > LOGIN_SEGMENT_BYTES as usize {
            return Err(Refusal::initiator_error("more keys than can be answered"));
        }
        match request.transit && done {
            true if request.nsg == Stage::FULL_FEATURE => self.ask_for_session(answer, out)?,
            true => {
                self.enter_operational();
                self.answer(request.csg, Some(request.nsg), &answer, out);
            }
            false => self.answer(request.csg, None, &answer, out),
        }
        Ok(())
    }

    /// What RFC 7143 11.12 demands of every Login Request, and of later ones given the first.
    fn check_request(&mut self, request: &LoginRequest) -> Result<(), Refusal> {
        self.exchanges += 1;
        if self.exchanges > LOGIN_EXCHANGES_MAX {
            return Err(Refusal::initiator_error("too many login exchanges"));
        }
        match &self.opening {
            None => {
                self.opening = Some(*request);
                self.exp_cmd_sn = request.cmd_sn;
                self.max_cmd_sn = request.cmd_sn.plus(self.config.window_depth()).minus(1);
                self.stat_sn = request.exp_stat_sn;
                if request.version_min > 0 {
                    let status = LoginStatus::UNSUPPORTED_VERSION;
                    return Err(Refusal::new(status, "a version above 0 is required"));
                }
            }
            Some(first) => {
                let same = first.itt == request.itt
                    && first.isid == request.isid
                    && first.tsih == request.tsih
                    && first.cid == request.cid;
                if !same {
                    return Err(Refusal::initiator_error("ITT, ISID, TSIH or CID changed"));
                }
            }
        }
        if request.cont && request.transit {
            return Err(Refusal::initiator_error("C and T are both set"));
        }
        let stage_fits = match &self.stage {
            StageState::Opening => {
                request.csg == Stage::SECURITY || request.csg == Stage::OPERATIONAL
            }
            StageState::Security(_) => request.csg == Stage::SECURITY,
            StageState::Operational(_) => request.csg == Stage::OPERATIONAL,
            StageState::Awaiting { .. } | StageState::Over => false,
        };
        let goes_forward = !request.transit
            || request.nsg == Stage::FULL_FEATURE
            || (request.csg == Stage::SECURITY && request.nsg == Stage::OPERATIONAL);
        match stage_fits && goes_forward {
            true => Ok(()),
            false => Err(Refusal::initiator_error("a stage that may not come now")),
        }
    }

    /// The first complete request: who, what kind of session, which target.
    fn open(
        &mut self,
        request: &LoginRequest,
        pairs: &[(&str, &str)],
        answer: &mut TextBuffer,
    ) -> Result<(), Refusal> {
        let identity = Identity::read(pairs, &self.config)?;
        //= RFC 7143 6.3.1: TargetPortalGroupTag goes with the first response to a complete request.
        answer.push("TargetPortalGroupTag", &identity.tpgt.0.to_string());
        let policy = identity.policy(&self.config);
        self.stage = if request.csg == Stage::SECURITY {
            StageState::Security(Security::new(policy, &self.entropy))
        } else {
            StageState::Operational(security::without_asking(&policy)?)
        };
        self.identity = Some(identity);
        Ok(())
    }

    /// Answers the pairs of one complete request; whether the stage may be left.
    fn negotiate(
        &mut self,
        request: &LoginRequest,
        pairs: &[(&str, &str)],
        answer: &mut TextBuffer,
    ) -> Result<bool, Refusal> {
        let first = self.exchanges_are_first();
        match &mut self.stage {
            StageState::Security(security) => {
                let rest = identity::without_identity(pairs, first);
                security.negotiate(&rest, answer)?;
                Ok(security.proof().is_some())
            }
            StageState::Operational(_) => {
                let rest = identity::without_identity(pairs, first);
                // Refused by the node, which knows whether there is a session to join at all.
                self.renegotiates |= operational::has_leading_keys(&rest);
                let discovery = self.identity.as_ref().is_some_and(|i| i.target.is_none());
                operational::negotiate(&mut self.responder, &rest, discovery, answer)?;
                if !self.declared {
                    self.declared = true;
                    let alias = self.identity.as_ref().and_then(|i| i.alias.as_deref());
                    operational::declare(&self.config.offer, alias, answer);
                }
                Ok(true)
            }
            _ => Err(Refusal::initiator_error(match request.transit {
                true => "a transition out of no stage",
                false => "a request in no stage",
            })),
        }
    }

    /// Whether names may still be told: only in the first complete request.
    fn exchanges_are_first(&mut self) -> bool {
        self.identity.as_mut().is_some_and(Identity::take_fresh)
    }

    fn enter_operational(&mut self) {
        if let StageState::Security(security) = &self.stage
            && let Some(proof) = security.proof()
        {
            self.stage = StageState::Operational(proof);
        }
    }

    fn ask_for_session(&mut self, answer: TextBuffer, out: &mut Actions) -> Result<(), Refusal> {
        let from = match &self.stage {
            StageState::Security(_) => Stage::SECURITY,
            _ => Stage::OPERATIONAL,
        };
        let (Some(identity), Some(opening)) = (&self.identity, &self.opening) else {
            return Err(Refusal::initiator_error("a login without a name"));
        };
        let admission = Admission {
            conn: self.conn,
            initiator: identity.initiator.clone(),
            isid: opening.isid,
            tsih: opening.tsih,
            cid: opening.cid,
            target: identity.target.clone(),
            renegotiates: self.renegotiates,
            config: Arc::clone(&self.config),
        };
        self.stage = StageState::Awaiting { answer, from };
        out.push(Action::ToNode(ToNode::Admit(Box::new(admission))));
        Ok(())
    }

    fn on_verdict(&mut self, message: ToLogin, out: &mut Actions) {
        if !matches!(self.stage, StageState::Awaiting { .. }) {
            return;
        }
        match message {
            ToLogin::Admitted {
                session,
                tsih,
                config,
            } => {
                self.config = config;
                self.finish(session, tsih, false, out);
            }
            ToLogin::Join {
                session,
                tsih,
                exp_cmd_sn,
                max_cmd_sn,
            } => {
                //= RFC 7143 4.2.2.1: the window is the session's, whatever connection tells it.
                if !has(Bug::JoinTellsOwnWindow) {
                    (self.exp_cmd_sn, self.max_cmd_sn) = (exp_cmd_sn, max_cmd_sn);
                }
                self.finish(session, tsih, true, out);
            }
            ToLogin::Refused(status) => {
                self.refuse(Refusal::new(status, "no session for this login"), out);
            }
        }
    }

    /// The final response and the hand-over, in one step.
    fn finish(&mut self, session: SessionId, tsih: Tsih, joins: bool, out: &mut Actions) {
        let stage = std::mem::replace(&mut self.stage, StageState::Over);
        let (StageState::Awaiting { answer, from }, Some(identity), Some(opening)) =
            (stage, self.identity.take(), self.opening)
        else {
            return;
        };
        let response = self
            .response(from, Some(Stage::FULL_FEATURE), LoginStatus::SUCCESS, tsih)
            .encode();
        self.send(response, answer.as_bytes().to_vec(), out);
        let mut params = self.responder.params();
        if !self.declared {
            params.own_max_recv_data_segment = LOGIN_SEGMENT_BYTES;
        }
        let nothing = Framer::new(LOGIN_SEGMENT_BYTES, 0);
        if has(Bug::BytesLostAtHandover) {
            self.framer = Framer::new(LOGIN_SEGMENT_BYTES, LOGIN_RECEIVE_BYTES);
        }
        let mut handover = Box::new(Handover {
            conn: self.conn,
            cid: opening.cid,
            session,
            tsih,
            initiator: identity.initiator,
            isid: opening.isid,
            target: identity.target,
            params,
            exp_cmd_sn: self.exp_cmd_sn,
            max_cmd_sn: self.max_cmd_sn,
            stat_sn: self.stat_sn,
            framer: std::mem::replace(&mut self.framer, nothing),
            local: self.local,
            config: Arc::clone(&self.config),
        });
        handover.enter_full_feature();
        out.push(Action::WakeAt(None));
        out.push(match joins {
            true => Action::HandOver(handover),
            false => Action::Become(handover),
        });
    }

    fn answer(&mut self, csg: Stage, nsg: Option<Stage>, text: &TextBuffer, out: &mut Actions) {
        let tsih = self
            .opening
            .as_ref()
            .map_or(Tsih(0), |opening| opening.tsih);
        let bhs = self.response(csg, nsg, LoginStatus::SUCCESS, tsih).encode();
        self.send(bhs, text.as_bytes().to_vec(), out);
    }

    fn response(
        &self,
        csg: Stage,
        nsg: Option<Stage>,
        status: LoginStatus,
        tsih: Tsih,
    ) -> LoginResponse {
        let opening = self.opening.as_ref();
        LoginResponse {
            transit: nsg.is_some(),
            cont: false,
            csg,
            nsg: nsg.unwrap_or(Stage::SECURITY),
            version_max: 0,
            version_active: 0,
            isid: opening.map_or(iscsi::Isid([0; 6]), |opening| opening.isid),
            tsih,
            itt: opening.map_or(iscsi::Itt::RESERVED, |opening| opening.itt),
            stat_sn: self.stat_sn,
            exp_cmd_sn: self.exp_cmd_sn,
            max_cmd_sn: self.max_cmd_sn,
            status,
        }
    }

    fn send(&mut self, bhs: Bhs, data: Vec<u8>, out: &mut Actions) {
        self.stat_sn = self.stat_sn.next();
        let body = if data.is_empty() {
            Body::Empty
        } else {
            Body::Inline(data)
        };
        out.push(Action::Send {
            conn: self.conn,
            bhs,
            body,
            digests: Digests::default(),
        });
    }

    fn refuse(&mut self, refusal: Refusal, out: &mut Actions) {
        let csg = match &self.stage {
            StageState::Operational(_) => Stage::OPERATIONAL,
            StageState::Awaiting { from, .. } => *from,
            _ => Stage::SECURITY,
        };
        let tsih = self
            .opening
            .as_ref()
            .map_or(Tsih(0), |opening| opening.tsih);
        let bhs = self.response(csg, None, refusal.status, tsih).encode();
        self.send(bhs, Vec::new(), out);
        let initiator = self
            .identity
            .as_ref()
            .map(|identity| identity.initiator.clone());
        let (status, why) = (refusal.status, refusal.why);
        out.event(Event::LoginRefused {
            conn: self.conn,
            initiator,
            status,
            why,
        });
        self.end(out);
    }

    /// An initiator that stalls is dropped; one that waits for us is told why it waited in vain.
    fn time_out(&mut self, out: &mut Actions) {
        match self.stage {
            StageState::Awaiting { .. } => {
                let why = "the session it replaces or joins does not end its tasks";
                self.refuse(Refusal::new(LoginStatus::SERVICE_UNAVAILABLE, why), out);
            }
            _ => self.drop_connection("login took too long", out),
        }
    }

    fn drop_connection(&mut self, why: &'static str, out: &mut Actions) {
        if !matches!(self.stage, StageState::Over) {
            out.event(Event::LoginDropped {
                conn: self.conn,
                why,
            });
            self.end(out);
        }
    }

    fn leave(&mut self, out: &mut Actions) {
        if !matches!(self.stage, StageState::Over) {
            self.end(out);
        }
    }

    fn end(&mut self, out: &mut Actions) {
        self.stage = StageState::Over;
        out.push(Action::ToNode(ToNode::LoginGone(self.conn)));
        out.push(Action::Close { conn: self.conn });
        out.push(Action::End);
    }
}
