//! The login phase, the initiator's side (RFC 7143 §6).

use bytes::Bytes;
use iscsi::keys::{self, Params};
use iscsi::pdu::{LoginRequest, LoginResponse};
use iscsi::{Bhs, Itt, LoginStatus, Stage, Tsih};

use super::options::{Auth, LoginOptions, Route, SessionType};
use super::security::{Entropy, Security};
use super::{Numbering, PduSink, Violation};

/// Responses a login may take before it is given up.
const ROUNDS_MAX: usize = 64;
/// Text a target may send in one login.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Why a login did not reach the full feature phase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The target answered with a status other than success.
    #[error("login refused: {0}")]
    Status(LoginStatus),
    /// The target broke the protocol.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// The target chose no authentication method we can play.
    #[error("AuthMethod={0:?} was not offered")]
    AuthMethod(String),
    /// The CHAP exchange cannot go on.
    #[error("CHAP: {0}")]
    Chap(&'static str),
    /// Mutual CHAP: the target did not prove itself.
    #[error("the target did not prove that it knows its secret")]
    TargetNotAuthenticated,
    /// The exchange never ends.
    #[error("no end after {ROUNDS_MAX} login responses")]
    Endless,
}

/// Everything said during a login, also when it failed.
#[derive(Debug, Clone, Default)]
pub struct LoginRecord {
    /// Keys we sent, in order.
    pub sent: Vec<(String, String)>,
    /// Keys the target sent, in order.
    pub answered: Vec<(String, String)>,
    /// Every Login Response.
    pub responses: Vec<LoginResponse>,
    /// What was wrong with the answers, in words; not fatal by itself.
    pub objections: Vec<String>,
}

impl LoginRecord {
    /// The target's value for a key.
    pub fn answer(&self, key: &str) -> Option<&str> {
        self.answered
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }
}

/// A login that succeeded.
#[derive(Debug, Clone)]
pub struct Established {
    /// Results of the negotiation.
    pub params: Params,
    /// The session handle the target gave.
    pub tsih: Tsih,
    /// Where the counters stand.
    pub numbering: Numbering,
}

/// The login of one connection. `start` once, then `receive` every response.
pub struct Login {
    options: LoginOptions,
    security: Option<Security>,
    stage: Stage,
    numbering: Numbering,
    itt: Itt,
    /// What is still to be sent of the current request's text.
    unsent: Bytes,
    /// Ask for the next stage once the text is out.
    transit: bool,
    /// Text of a response continued with the C bit.
    partial: Vec<u8>,
    record: LoginRecord,
}

impl Login {
    /// Prepare. `entropy` feeds the CHAP challenge for the target.
    pub fn new(options: &LoginOptions, entropy: Entropy) -> Self {
        let security = match &options.auth {
            Auth::None => None,
            Auth::Chap(chap) => Some(Security::new(chap.clone(), entropy)),
        };
        let mut numbering = Numbering::new(options.cmd_sn);
        numbering.exp_stat_sn = options.exp_stat_sn;
        Self {
            stage: match options.route {
                Route::OperationalOnly => Stage::OPERATIONAL,
                _ => Stage::SECURITY,
            },
            options: options.clone(),
            security,
            numbering,
            itt: Itt(1),
            unsent: Bytes::new(),
            transit: true,
            partial: Vec::new(),
            record: LoginRecord::default(),
        }
    }

    /// What was said so far.
    pub fn record(&self) -> &LoginRecord {
        &self.record
    }

    /// What was said, at the end.
    pub fn into_record(self) -> LoginRecord {
        self.record
    }

    /// Send the first request.
    pub fn start(&mut self, sink: &mut dyn PduSink) {
        let mut keys = vec![pair("InitiatorName", &self.options.initiator_name)];
        if let Some(alias) = &self.options.initiator_alias {
            keys.push(pair("InitiatorAlias", alias));
        }
        if let Some(target) = &self.options.target {
            keys.push(pair("TargetName", target));
        }
        keys.push(match self.options.session_type {
            SessionType::Normal => pair("SessionType", "Normal"),
            SessionType::Discovery => pair("SessionType", "Discovery"),
        });
        keys.extend(self.options.first_keys.iter().cloned());
        if self.stage == Stage::OPERATIONAL {
            keys.extend(self.options.keys.iter().cloned());
        } else {
            let method = match &self.options.auth {
                Auth::None => "None",
                Auth::Chap(chap) => &chap.auth_method,
            };
            keys.push(pair("AuthMethod", method));
        }
        self.send(keys, self.security.is_none(), sink);
    }

    /// A Login Response; `Some` when the full feature phase is reached.
    pub fn receive(
        &mut self,
        response: &LoginResponse,
        data: &[u8],
        sink: &mut dyn PduSink,
    ) -> Result<Option<Established>, Refusal> {
        self.check(response)?;
        self.partial.extend_from_slice(data);
        if self.partial.len() > ANSWER_BYTES_MAX {
            return Err(Violation::Login("more text than any login needs").into());
        }
        if response.cont {
            // The rest of the target's text is asked for with an empty request (§6.2).
            self.emit(Bytes::new(), false, false, sink);
            return Ok(None);
        }
        if !self.unsent.is_empty() {
            if !self.partial.is_empty() {
                return Err(Violation::Login("text in answer to an unfinished request").into());
            }
            self.emit_next(sink);
            return Ok(None);
        }
        let text = std::mem::take(&mut self.partial);
        let keys: Vec<(String, String)> = keys::parse(&text)
            .map_err(Violation::from)?
            .into_iter()
            .map(|(key, value)| pair(key, value))
            .collect();
        self.record.answered.extend(keys.iter().cloned());
        self.advance(response, &keys, sink)
    }

    /// The rules every Login Response keeps (§11.13).
    fn check(&mut self, response: &LoginResponse) -> Result<(), Refusal> {
        let first = self.record.responses.is_empty();
        self.record.responses.push(*response);
        if self.record.responses.len() > ROUNDS_MAX {
            return Err(Refusal::Endless);
        }
        if first {
            self.numbering.exp_stat_sn = response.stat_sn;
        }
        if response.status != LoginStatus::SUCCESS {
            return Err(Refusal::Status(response.status));
        }
        if response.itt != self.itt {
            return Err(Violation::Login("the response names another ITT").into());
        }
        if response.isid != self.options.isid {
            return Err(Violation::Login("the response names another ISID").into());
        }
        if response.cont && response.transit {
            return Err(Violation::Login("C and T together").into());
        }
        if response.csg != self.stage {
            return Err(Violation::Login("the response is of another stage").into());
        }
        if response.transit && !self.transit {
            return Err(Violation::Login("T without being asked").into());
        }
        self.numbering.hear_status(response.stat_sn)?;
        self.numbering
            .hear_window(response.exp_cmd_sn, response.max_cmd_sn);
        Ok(())
    }

    /// A whole answer is here: what next?
    fn advance(
        &mut self,
        response: &LoginResponse,
        keys: &[(String, String)],
        sink: &mut dyn PduSink,
    ) -> Result<Option<Established>, Refusal> {
        if self.stage == Stage::SECURITY
            && let Some(security) = &mut self.security
        {
            let reply = security.receive(keys)?;
            if response.transit && !security.is_complete() {
                return Err(Violation::Login("T before authentication is over").into());
            }
            if !response.transit {
                self.send(reply.keys, reply.transit, sink);
                return Ok(None);
            }
        }
        if !response.transit {
            let replies = self.replies(keys);
            self.send(replies, true, sink);
            return Ok(None);
        }
        match response.nsg {
            Stage::FULL_FEATURE => self.finish(response).map(Some),
            Stage::OPERATIONAL if self.stage == Stage::SECURITY => {
                self.stage = Stage::OPERATIONAL;
                let keys = self.options.keys.clone();
                self.send(keys, true, sink);
                Ok(None)
            }
            _ => Err(Violation::Login("an impossible next stage").into()),
        }
    }

    /// Keys the target offers of its own accord are agreed to as they are; a list is answered
    /// with its first entry. Declarations want no answer.
    fn replies(&self, keys: &[(String, String)]) -> Vec<(String, String)> {
        const DECLARED: [&str; 6] = [
            "MaxRecvDataSegmentLength",
            "TargetAlias",
            "TargetAddress",
            "TargetName",
            "TargetPortalGroupTag",
            "AuthMethod",
        ];
        keys.iter()
            .filter(|(key, _)| !DECLARED.contains(&key.as_str()))
            .filter(|(key, _)| !self.record.sent.iter().any(|(sent, _)| sent == key))
            .map(|(key, value)| pair(key, value.split(',').next().unwrap_or("")))
            .collect()
    }

    fn finish(&mut self, response: &LoginResponse) -> Result<Established, Refusal> {
        if response.tsih == Tsih(0) {
            return Err(Violation::Login("TSIH 0 in the final response").into());
        }
        let record = &mut self.record;
        if self.options.target.is_some() && record.answer("TargetPortalGroupTag").is_none() {
            record
                .objections
                .push("no TargetPortalGroupTag in the login (§13.9)".to_owned());
        }
        let mut params = Params::default();
        let answered: Vec<(&str, &str)> = record
            .answered
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        let objections = keys::adopt(&mut params, &record.sent, &answered);
        record.objections.extend(objections);
        Ok(Established {
            params,
            tsih: response.tsih,
            numbering: self.numbering,
        })
    }

    fn send(&mut self, mut keys: Vec<(String, String)>, transit: bool, sink: &mut dyn PduSink) {
        keys.retain(|(key, _)| !self.options.omitted.contains(key));
        let mut text = Vec::new();
        for (key, value) in &keys {
            text.extend_from_slice(key.as_bytes());
            text.push(b'=');
            text.extend_from_slice(value.as_bytes());
            text.push(0);
        }
        self.record.sent.extend(keys);
        self.unsent = text.into();
        self.transit = transit;
        self.emit_next(sink);
    }

    fn emit_next(&mut self, sink: &mut dyn PduSink) {
        let chunk = self
            .unsent
            .split_to(self.unsent.len().min(self.options.chunk.max(1)));
        let cont = !self.unsent.is_empty();
        self.emit(chunk, cont, self.transit && !cont, sink);
    }

    fn emit(&mut self, data: Bytes, cont: bool, transit: bool, sink: &mut dyn PduSink) {
        let nsg = match (transit, self.stage, self.options.route) {
            (false, _, _) => Stage::SECURITY,
            (true, Stage::SECURITY, Route::SecurityThenOperational) => Stage::OPERATIONAL,
            (true, _, _) => Stage::FULL_FEATURE,
        };
        let bhs: Bhs = LoginRequest {
            immediate: true,
            transit,
            cont,
            csg: self.stage,
            nsg,
            version_max: self.options.version.0,
            version_min: self.options.version.1,
            isid: self.options.isid,
            tsih: self.options.tsih,
            itt: self.itt,
            cid: self.options.cid,
            cmd_sn: self.numbering.cmd_sn,
            exp_stat_sn: self.numbering.exp_stat_sn,
        }
        .encode();
        sink.pdu(bhs, &[], data);
    }
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}
