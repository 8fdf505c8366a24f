//! What a login agreed on, overheard.

use iscsi::keys::{self, Assembler, Params};
use iscsi::pdu::{LoginRequest, LoginResponse};
use iscsi::{LoginStatus, Stage};

/// The keys of a login under way, and its result.
#[derive(Debug, Default)]
pub(super) struct Negotiation {
    request: Assembler,
    response: Assembler,
    sent: Vec<(String, String)>,
    answered: Vec<(String, String)>,
    /// Text that does not parse was exchanged: what holds is anybody's guess.
    garbled: bool,
    params: Option<Params>,
    /// What the session had, to which this connection comes.
    session: Params,
}

impl Negotiation {
    /// A login that brings a connection to a session with these parameters.
    pub(super) fn joining(session: Params) -> Self {
        Self {
            session,
            ..Self::default()
        }
    }

    /// The result, once the login is through and understood.
    pub(super) fn params(&self) -> Option<&Params> {
        self.params.as_ref()
    }

    pub(super) fn request(&mut self, pdu: &LoginRequest, data: &[u8]) {
        self.garbled |= self.request.push(data).is_err();
        if !pdu.cont {
            self.garbled |= !gather(&mut self.request, &mut self.sent);
        }
    }

    pub(super) fn response(&mut self, pdu: &LoginResponse, data: &[u8]) {
        self.garbled |= self.response.push(data).is_err();
        if !pdu.cont {
            self.garbled |= !gather(&mut self.response, &mut self.answered);
        }
        let through =
            pdu.status == LoginStatus::SUCCESS && pdu.transit && pdu.nsg == Stage::FULL_FEATURE;
        if through && !self.garbled {
            let mut params = self.session.clone();
            let answered: Vec<(&str, &str)> = self
                .answered
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect();
            keys::adopt(&mut params, &self.sent, &answered);
            self.params = Some(params);
        }
    }

    /// Text of the full feature phase: MaxRecvDataSegmentLength may be declared anew. Until the
    /// target has taken note, both values hold.
    pub(super) fn redeclared(&mut self, text: &[u8]) {
        let (Some(params), Ok(pairs)) = (&mut self.params, keys::parse(text)) else {
            return;
        };
        for (key, value) in pairs {
            if key == "MaxRecvDataSegmentLength"
                && let Some(bytes) = keys::number(value).and_then(|bytes| u32::try_from(bytes).ok())
            {
                let old = params.own_max_recv_data_segment;
                params.own_max_recv_data_segment = old.max(bytes);
            }
        }
    }
}

/// Moves the pairs of a complete text into `into`; false when there is no making sense of it.
fn gather(text: &mut Assembler, into: &mut Vec<(String, String)>) -> bool {
    match keys::parse(&text.take()) {
        Ok(pairs) => {
            into.extend(
                pairs
                    .iter()
                    .map(|&(key, value)| (key.to_owned(), value.to_owned())),
            );
            true
        }
        Err(_) => false,
    }
}
