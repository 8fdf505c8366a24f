//! SecurityNegotiation: AuthMethod None and CHAP (RFC 7143 6.3.2, 12.1).
//!
//! Only this file makes an [`Authenticated`], so a login that skipped a check does not compile.

use iscsi::LoginStatus;
use iscsi::chap::{self, Algorithm};
use iscsi::keys::{self, TextBuffer, binary};

use super::Refusal;
use crate::config::ChapCredential;

/// Proof that the peer is who it says, or that nobody asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Authenticated(());

/// What is asked of a peer.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    /// Who may log in; empty means anybody, unasked.
    pub(super) users: Vec<ChapCredential>,
    /// What we prove when challenged.
    pub(super) mutual: Option<ChapCredential>,
}

/// The stage and how far it got.
#[derive(Debug)]
pub(super) struct Security {
    policy: Policy,
    id: u8,
    challenge: Vec<u8>,
    step: Step,
}

/// CHAP's course; each request moves it one step or fails the login.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// AuthMethod has not been agreed.
    Method,
    /// CHAP was agreed; CHAP_A is next.
    Algorithms,
    /// The challenge is out; CHAP_N and CHAP_R are next.
    Response(Algorithm),
    /// Nothing more is asked.
    Proved(Authenticated),
}

/// Challenge length in bytes: no shorter than any digest we offer.
const CHALLENGE_BYTES: usize = 32;

/// Longest challenge we answer, RFC 7143 12.1.4: binary values are at most 1024 bytes.
const CHALLENGE_BYTES_MAX: usize = 1024;

/// For a login that starts behind the security stage (RFC 7143 6.3.2: only where none is needed).
pub(super) fn without_asking(policy: &Policy) -> Result<Authenticated, Refusal> {
    match policy.users.is_empty() {
        true => Ok(Authenticated(())),
        false => Err(failure("authentication is required and was skipped")),
    }
}

impl Security {
    /// The stage's start. `entropy` becomes identifier and challenge.
    pub(super) fn new(policy: Policy, entropy: &[u8; 64]) -> Self {
        let challenge = entropy[1..=CHALLENGE_BYTES].to_vec();
        Self {
            policy,
            id: entropy[0],
            challenge,
            step: Step::Method,
        }
    }

    /// The proof, once the peer has given it or none is needed.
    pub(super) fn proof(&self) -> Option<Authenticated> {
        match self.step {
            Step::Proved(proof) => Some(proof),
            Step::Method => without_asking(&self.policy).ok(),
            Step::Algorithms | Step::Response(_) => None,
        }
    }

    /// Answers the pairs of one request.
    pub(super) fn negotiate(
        &mut self,
        pairs: &[(&str, &str)],
        answer: &mut TextBuffer,
    ) -> Result<(), Refusal> {
        let expected = match self.step {
            Step::Method => ["AuthMethod"].as_slice(),
            Step::Algorithms => &["CHAP_A"],
            Step::Response(_) => &["CHAP_N", "CHAP_R", "CHAP_I", "CHAP_C"],
            Step::Proved(_) => &[],
        };
        for (index, (key, _)) in pairs.iter().enumerate() {
            let known = expected.contains(key);
            if known && pairs[..index].iter().any(|(earlier, _)| earlier == key) {
                return Err(Refusal::initiator_error("a key was declared twice"));
            }
            if !known {
                self.answer_stranger(key, answer)?;
            }
        }
        let value = |key| {
            pairs
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, value)| *value)
        };
        match self.step {
            Step::Method => match value("AuthMethod") {
                Some(methods) => self.choose_method(methods, answer),
                None => Ok(()),
            },
            Step::Algorithms => match value("CHAP_A") {
                Some(algorithms) => self.challenge_peer(algorithms, answer),
                None if pairs.is_empty() => Ok(()),
                None => Err(missing("CHAP_A is missing")),
            },
            Step::Response(algorithm) => {
                let (Some(name), Some(response)) = (value("CHAP_N"), value("CHAP_R")) else {
                    return Err(missing("CHAP_N or CHAP_R is missing"));
                };
                self.check_response(algorithm, name, response)?;
                self.prove_ourselves(algorithm, value("CHAP_I"), value("CHAP_C"), answer)?;
                self.step = Step::Proved(Authenticated(()));
                Ok(())
            }
            Step::Proved(_) => Ok(()),
        }
    }

    /// A key that is not this step's: out of order, out of place, or unknown to anybody.
    fn answer_stranger(&self, key: &str, answer: &mut TextBuffer) -> Result<(), Refusal> {
        if key.starts_with("CHAP_") || key == "AuthMethod" {
            return Err(Refusal::initiator_error("security keys out of order"));
        }
        if keys::find(key).is_some() {
            return Err(Refusal::initiator_error(
                "a key that has no place in security negotiation",
            ));
        }
        answer.push(key, "NotUnderstood");
        Ok(())
    }

    /// RFC 7143 6.3.2: the first method of the initiator's list that we accept.
    fn choose_method(&mut self, methods: &str, answer: &mut TextBuffer) -> Result<(), Refusal> {
        let accepted = if self.policy.users.is_empty() {
            "None"
        } else {
            "CHAP"
        };
        if !methods.split(',').any(|method| method == accepted) {
            return Err(failure(match accepted {
                "CHAP" => "CHAP is required and was not offered",
                _ => "no authentication method in common",
            }));
        }
        answer.push("AuthMethod", accepted);
        self.step = match accepted {
            "CHAP" => Step::Algorithms,
            _ => Step::Proved(Authenticated(())),
        };
        Ok(())
    }

    fn challenge_peer(&mut self, algorithms: &str, answer: &mut TextBuffer) -> Result<(), Refusal> {
        let algorithm = algorithms
            .split(',')
            .filter_map(|text| keys::number(text).and_then(|number| u8::try_from(number).ok()))
            .map(Algorithm)
            .find(|algorithm| algorithm.is_known())
            .ok_or_else(|| failure("no CHAP algorithm in common"))?;
        answer.push("CHAP_A", &algorithm.0.to_string());
        answer.push("CHAP_I", &self.id.to_string());
        answer.push("CHAP_C", &binary::encode_hex(&self.challenge));
        self.step = Step::Response(algorithm);
        Ok(())
    }

    /// An unknown name costs as much as a wrong secret, and is answered alike.
    fn check_response(
        &self,
        algorithm: Algorithm,
        name: &str,
        response: &str,
    ) -> Result<(), Refusal> {
        let user = self.policy.users.iter().find(|user| user.name == name);
        let secret = user.map_or(self.challenge.as_slice(), |user| user.secret.as_slice());
        let given = binary::decode(response).unwrap_or_default();
        let right = chap::verify(algorithm, self.id, secret, &self.challenge, &given);
        match right && user.is_some() {
            true => Ok(()),
            false => Err(failure("wrong CHAP name or response")),
        }
    }

    fn prove_ourselves(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
        challenge: Option<&str>,
        answer: &mut TextBuffer,
    ) -> Result<(), Refusal> {
        let (id, challenge) = match (id, challenge) {
            (None, None) => return Ok(()),
            (Some(id), Some(challenge)) => (id, challenge),
            _ => return Err(Refusal::initiator_error("CHAP_I and CHAP_C come together")),
        };
        let id = keys::number(id)
            .and_then(|id| u8::try_from(id).ok())
            .ok_or_else(|| Refusal::initiator_error("CHAP_I is no identifier"))?;
        let challenge = binary::decode(challenge)
            .filter(|bytes| !bytes.is_empty() && bytes.len() <= CHALLENGE_BYTES_MAX)
            .ok_or_else(|| Refusal::initiator_error("CHAP_C is no challenge"))?;
        //= RFC 7143 9.2.1: a challenge that is our own sent back is an attack.
        if challenge == self.challenge {
            return Err(failure("our own challenge was reflected"));
        }
        let Some(ours) = &self.policy.mutual else {
            return Err(failure("mutual CHAP is not configured"));
        };
        let response = chap::response(algorithm, id, &ours.secret, &challenge);
        answer.push("CHAP_N", &ours.name);
        answer.push("CHAP_R", &binary::encode_hex(&response));
        Ok(())
    }
}

/// RFC 7143 12.1: keys that do not fit the step are no failed authentication.
fn missing(why: &'static str) -> Refusal {
    Refusal::new(LoginStatus::MISSING_PARAMETER, why)
}

fn failure(why: &'static str) -> Refusal {
    Refusal::new(LoginStatus::AUTHENTICATION_FAILURE, why)
}
