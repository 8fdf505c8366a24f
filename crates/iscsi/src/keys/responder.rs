//! The responder's side of a negotiation: a value comes, an answer goes, a result stays.

use super::params::{Offer, Params};
use super::table::{Boolean, Combine, KEYS, List, Number, Pick, Row, Rule, Use};
use super::{IRRELEVANT, NOT_UNDERSTOOD, REJECT, number};

/// Where in the life of a connection a key is received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Login of the first connection of a normal session.
    LeadingLogin,
    /// Text negotiation after login.
    FullFeature,
    /// Login of a discovery session.
    DiscoveryLogin,
}

/// A key that the peer should not have sent so. Answer: the login fails with "initiator error",
/// or the Text Request is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyViolation {
    /// The key was negotiated or declared before in this negotiation (RFC 7143 6.3).
    #[error("{0} was sent twice")]
    Repeated(&'static str),
    /// The key has no place in this phase (RFC 7143 13).
    #[error("{0} may not be sent in this phase")]
    NotInPhase(&'static str),
    /// The key is one of identity or security, which are not negotiated here.
    #[error("{0} is not an operational parameter")]
    NotNegotiable(&'static str),
}

/// Answers the keys of one connection.
#[derive(Debug, Clone)]
pub struct Responder {
    offer: Offer,
    params: Params,
    /// The rows of [`KEYS`] received in this negotiation.
    seen: [bool; KEYS.len()],
}

impl Responder {
    /// Agrees to nothing outside of `offer`.
    pub fn new(offer: Offer) -> Self {
        let own_max_recv_data_segment = offer.max_recv_data_segment;
        let params = Params {
            own_max_recv_data_segment,
            ..Params::default()
        };
        Self {
            offer,
            params,
            seen: [false; KEYS.len()],
        }
    }

    /// The results so far. Where both lengths are left as they may be, the first burst is no
    /// longer than any burst (13.14).
    pub fn params(&self) -> Params {
        let first_burst = self.params.first_burst.min(self.params.max_burst);
        Params {
            first_burst,
            ..self.params.clone()
        }
    }

    /// What we declare about ourselves (13.12).
    pub fn declaration(&self) -> (&'static str, String) {
        (
            "MaxRecvDataSegmentLength",
            self.offer.max_recv_data_segment.to_string(),
        )
    }

    /// A new negotiation starts, as each Text Request out of the blue does; the login is one.
    pub fn begin_exchange(&mut self) {
        self.seen = [false; KEYS.len()];
    }

    /// Takes a key and its value; the value to answer, if an answer is due.
    pub fn receive(
        &mut self,
        key: &str,
        value: &str,
        phase: Phase,
    ) -> Result<Option<String>, KeyViolation> {
        let Some(index) = KEYS.iter().position(|row| row.name == key) else {
            return Ok(Some(NOT_UNDERSTOOD.to_owned()));
        };
        let row = &KEYS[index];
        if matches!(row.rule, Rule::Identity | Rule::LargeBinary) {
            return Err(KeyViolation::NotNegotiable(row.name));
        }
        if phase == Phase::FullFeature && row.usage != Use::Always {
            return Err(KeyViolation::NotInPhase(row.name));
        }
        if std::mem::replace(&mut self.seen[index], true) {
            return Err(KeyViolation::Repeated(row.name));
        }
        if self.is_irrelevant(row, phase) {
            return Ok(Some(IRRELEVANT.to_owned()));
        }
        Ok(match &row.rule {
            Rule::Number(rule) => Some(self.number(row, rule, value)),
            Rule::Boolean(rule) => Some(self.boolean(rule, value)),
            Rule::List(rule) => Some(self.list(rule, value)),
            Rule::Declaration(range) => match number(value).filter(|n| range.contains(n)) {
                Some(bytes) => {
                    self.params.peer_max_recv_data_segment = bytes as u32;
                    None
                }
                None => Some(REJECT.to_owned()),
            },
            Rule::Obsolete => Some(REJECT.to_owned()),
            Rule::Remark | Rule::Identity | Rule::LargeBinary => None,
        })
    }

    fn is_irrelevant(&self, row: &Row, phase: Phase) -> bool {
        let no_unsolicited_data = self.params.initial_r2t && !self.params.immediate_data;
        phase == Phase::DiscoveryLogin && row.irrelevant_in_discovery
            || row.name == "FirstBurstLength" && no_unsolicited_data
    }

    fn number(&mut self, row: &Row, rule: &Number, value: &str) -> String {
        let Some(wanted) = number(value).filter(|n| rule.range.contains(n)) else {
            return REJECT.to_owned();
        };
        let ours = (rule.offer)(&self.offer);
        let result = match rule.pick {
            Pick::Minimum if row.name == "FirstBurstLength" => {
                wanted.min(ours).min(u64::from(self.params.max_burst))
            }
            Pick::Minimum => wanted.min(ours),
            Pick::Maximum => wanted.max(ours),
        };
        (rule.set)(&mut self.params, result);
        result.to_string()
    }

    fn boolean(&mut self, rule: &Boolean, value: &str) -> String {
        let Some(wanted) = yes_or_no(value) else {
            return REJECT.to_owned();
        };
        let ours = (rule.offer)(&self.offer);
        let result = match rule.combine {
            Combine::And => wanted && ours,
            Combine::Or => wanted || ours,
        };
        (rule.set)(&mut self.params, result);
        if result { "Yes" } else { "No" }.to_owned()
    }

    fn list(&mut self, rule: &List, values: &str) -> String {
        match values
            .split(',')
            .find(|value| (rule.offers)(&self.offer, value))
        {
            Some(value) => {
                (rule.set)(&mut self.params, value);
                value.to_owned()
            }
            None => REJECT.to_owned(),
        }
    }
}

pub(super) fn yes_or_no(value: &str) -> Option<bool> {
    match value {
        "Yes" => Some(true),
        "No" => Some(false),
        _ => None,
    }
}

impl Row {
    /// What holds when the key is not sent, as it would be written; empty when nothing does.
    pub fn default_value(&self) -> String {
        let params = Params::default();
        match &self.rule {
            Rule::Number(rule) => (rule.get)(&params).to_string(),
            Rule::Boolean(rule) => if (rule.get)(&params) { "Yes" } else { "No" }.to_owned(),
            Rule::List(rule) => (rule.get)(&params).to_owned(),
            Rule::Declaration(_) => params.peer_max_recv_data_segment.to_string(),
            Rule::Remark | Rule::Obsolete | Rule::Identity | Rule::LargeBinary => String::new(),
        }
    }
}
