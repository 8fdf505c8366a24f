//! Text exchanges in full feature phase: SendTargets and renegotiation (RFC 7143 6.4, 11.10).

use std::net::SocketAddr;

use iscsi::keys::{self, Assembler, Phase, TextBuffer};
use iscsi::pdu::TextRequest;
use iscsi::{Bhs, IscsiName, Itt, RejectReason, Ttt};

use super::Session;
use crate::action::Actions;
use crate::config::TargetConfig;
use crate::input::ConnId;
use crate::login::ALIAS_KEY;

/// A text task that takes more than one PDU each way.
#[derive(Debug)]
pub(super) struct TextExchange {
    pub(super) itt: Itt,
    /// What the initiator must send to go on.
    ttt: Ttt,
    /// Its text so far.
    asked: Assembler,
    /// Our answer, as far as it is not sent.
    answer: Option<TextBuffer>,
}

/// Text that cannot be answered, and what is rejected about it.
struct Objection {
    reason: RejectReason,
    why: &'static str,
}

impl Session {
    pub(super) fn on_text(
        &mut self,
        conn: ConnId,
        bhs: &Bhs,
        request: &TextRequest,
        data: &[u8],
        out: &mut Actions,
    ) {
        let mut exchange = match self.take_exchange(request) {
            Ok(exchange) => exchange,
            Err(objection) => {
                return self.refuse(conn, objection.reason, bhs, objection.why, out);
            }
        };
        let complete = match exchange.asked.push(data) {
            Ok(()) => !request.cont,
            Err(_) => {
                let why = "more text than allowed";
                return self.refuse(conn, RejectReason::PROTOCOL_ERROR, bhs, why, out);
            }
        };
        if !complete {
            //= RFC 7143 6.2: the answer to a part of a text is an empty text.
            let ttt = exchange.ttt;
            self.text = Some(exchange);
            return self.send_text(conn, request.itt, Some(ttt), false, Vec::new(), out);
        }
        if exchange.answer.is_none() {
            let text = exchange.asked.take();
            match self.answer_text(&text) {
                Ok(answer) => exchange.answer = Some(answer),
                Err(objection) => {
                    return self.refuse(conn, objection.reason, bhs, objection.why, out);
                }
            }
        }
        self.send_answer(conn, request, exchange, out);
    }

    /// The exchange this request belongs to: a new one, or the one its tag names.
    fn take_exchange(&mut self, request: &TextRequest) -> Result<TextExchange, Objection> {
        let protocol_error = |why| Objection {
            reason: RejectReason::PROTOCOL_ERROR,
            why,
        };
        if request.is_final && request.cont {
            return Err(protocol_error("F and C are both set"));
        }
        if request.itt == Itt::RESERVED {
            return Err(protocol_error("a text without a task tag"));
        }
        if request.ttt == Ttt::RESERVED {
            //= RFC 7143 6.4: a reserved tag starts anew; what was negotiated before is forgotten.
            let open = self
                .text
                .as_ref()
                .is_some_and(|text| text.itt != request.itt);
            if open {
                return Err(protocol_error("another text task is in progress"));
            }
            self.text = None;
            self.responder.begin_exchange();
            let ttt = self.fresh_ttt();
            let (itt, asked) = (request.itt, Assembler::default());
            return Ok(TextExchange {
                itt,
                ttt,
                asked,
                answer: None,
            });
        }
        match self.text.take() {
            Some(text) if text.itt == request.itt && text.ttt == request.ttt => Ok(text),
            other => {
                self.text = other;
                Err(protocol_error("a text tag nobody gave out"))
            }
        }
    }

    /// Sends as much of the answer as one PDU takes.
    fn send_answer(
        &mut self,
        conn: ConnId,
        request: &TextRequest,
        mut exchange: TextExchange,
        out: &mut Actions,
    ) {
        let limit = self
            .conn(conn)
            .map_or(512, |conn| conn.peer_segment as usize);
        let Some(answer) = &mut exchange.answer else {
            return;
        };
        let (chunk, more) = answer.take_chunk(limit);
        //= RFC 7143 11.10.1: a request without F is not answered with F.
        let ttt = (more || !request.is_final).then_some(exchange.ttt);
        if ttt.is_some() {
            if !more {
                exchange.answer = None;
            }
            self.text = Some(exchange);
        }
        self.send_text(conn, request.itt, ttt, more, chunk, out);
    }

    fn answer_text(&mut self, text: &[u8]) -> Result<TextBuffer, Objection> {
        let protocol_error = |why| Objection {
            reason: RejectReason::PROTOCOL_ERROR,
            why,
        };
        let pairs = keys::parse(text).map_err(|_| protocol_error("text that cannot be parsed"))?;
        let mut answer = TextBuffer::default();
        let mut segment = None;
        for (key, value) in pairs {
            match key {
                "SendTargets" => {
                    self.send_targets(value, &mut answer)?;
                    continue;
                }
                ALIAS_KEY => continue,
                _ => {}
            }
            match self.responder.receive(key, value, self.phase_of(key)) {
                Ok(Some(reply)) => answer.push(key, &reply),
                Ok(None) if key == "MaxRecvDataSegmentLength" => {
                    segment = Some(self.responder.params().peer_max_recv_data_segment);
                }
                Ok(None) => {}
                Err(_) => return Err(protocol_error("a key that may not come now, or twice")),
            }
        }
        //= RFC 7143 7.12: a negotiation that fails changes nothing, so this comes last.
        if let Some(segment) = segment {
            // RFC 7143 13.12: the one key that may change in full feature phase, at once.
            self.conns
                .iter_mut()
                .for_each(|conn| conn.peer_segment = segment);
        }
        Ok(answer)
    }

    /// A discovery session is told which keys mean nothing to it; others come too late as ever.
    fn phase_of(&self, key: &str) -> Phase {
        let irrelevant = keys::find(key).is_some_and(|row| row.irrelevant_in_discovery);
        match self.target {
            None if irrelevant => Phase::DiscoveryLogin,
            _ => Phase::FullFeature,
        }
    }

    /// RFC 7143 Appendix C. A normal session learns of its own target only.
    fn send_targets(&self, what: &str, answer: &mut TextBuffer) -> Result<(), Objection> {
        let config = &self.config;
        let ours = self.target.as_ref().map(|target| &target.name);
        let wanted = match (what, ours) {
            ("All", None) => None,
            ("All", Some(_)) => {
                let reason = RejectReason::PROTOCOL_ERROR;
                let why = "SendTargets=All outside a discovery session";
                return Err(Objection { reason, why });
            }
            ("", Some(ours)) => Some(ours.clone()),
            ("", None) => {
                let reason = RejectReason::PROTOCOL_ERROR;
                let why = "SendTargets without a value in a discovery session";
                return Err(Objection { reason, why });
            }
            (name, _) => match IscsiName::parse(name) {
                Ok(name) => Some(name),
                // A name that is none names no target.
                Err(_) => return Ok(()),
            },
        };
        let (initiator, _) = self.initiator();
        for target in &config.targets {
            let asked = wanted.as_ref().is_none_or(|name| *name == target.name);
            let known = ours.is_none_or(|ours| *ours == target.name);
            if asked && known && target.access.admits(initiator) {
                self.tell_target(target, answer);
            }
        }
        Ok(())
    }

    fn tell_target(&self, target: &TargetConfig, answer: &mut TextBuffer) {
        answer.push("TargetName", target.name.as_str());
        for portal in &self.config.portals {
            let mut address = portal.address;
            if address.ip().is_unspecified() {
                address = SocketAddr::new(self.local.ip().to_canonical(), address.port());
            }
            answer.push("TargetAddress", &format!("{address},{}", portal.tpgt.0));
        }
    }
}
