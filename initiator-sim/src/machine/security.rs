//! CHAP, the initiator's side (RFC 7143 §12.1.3, RFC 1994).

use iscsi::chap::{self, Algorithm};
use iscsi::keys::{binary, number};

use super::login::Refusal;
use super::options::Chap;

/// Random bytes a login needs: one CHAP identifier and the challenge for the target.
pub type Entropy = [u8; 33];

/// The exchange, step by step; keys in, keys out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// AuthMethod is offered.
    Offered,
    /// CHAP_A is sent, the challenge is due.
    AwaitChallenge,
    /// CHAP_N and CHAP_R are sent; with mutual CHAP the target's proof is due.
    Answered,
    /// Nothing more to exchange.
    Done,
}

/// What to send next.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub keys: Vec<(String, String)>,
    /// Ready to leave the security stage.
    pub transit: bool,
}

pub(super) struct Security {
    chap: Chap,
    entropy: Entropy,
    step: Step,
}

impl Security {
    pub(super) fn new(chap: Chap, entropy: Entropy) -> Self {
        Self {
            chap,
            entropy,
            step: Step::Offered,
        }
    }

    /// Must the target still prove something before the stage may end?
    pub(super) fn is_complete(&self) -> bool {
        self.step == Step::Done
    }

    /// The target's keys of one whole response.
    pub(super) fn receive(&mut self, keys: &[(String, String)]) -> Result<Reply, Refusal> {
        let get = |name: &str| {
            keys.iter()
                .find(|(key, _)| key == name)
                .map(|(_, v)| v.as_str())
        };
        match self.step {
            Step::Offered => match get("AuthMethod") {
                Some("CHAP") => {
                    self.step = Step::AwaitChallenge;
                    let list: Vec<String> = self
                        .chap
                        .algorithms
                        .iter()
                        .map(|alg| alg.0.to_string())
                        .collect();
                    Ok(Reply {
                        keys: vec![pair("CHAP_A", list.join(","))],
                        transit: false,
                    })
                }
                Some("None") if self.chap.auth_method.split(',').any(|m| m == "None") => {
                    self.step = Step::Done;
                    Ok(Reply {
                        keys: Vec::new(),
                        transit: true,
                    })
                }
                other => Err(Refusal::AuthMethod(other.unwrap_or("").to_owned())),
            },
            Step::AwaitChallenge => {
                let algorithm = get("CHAP_A").and_then(number);
                let algorithm = algorithm
                    .and_then(|value| u8::try_from(value).ok())
                    .map(Algorithm)
                    .filter(|algorithm| self.chap.algorithms.contains(algorithm))
                    .ok_or(Refusal::Chap("CHAP_A is not one of those offered"))?;
                let id = identifier(get("CHAP_I"))?;
                let challenge = get("CHAP_C")
                    .and_then(binary::decode)
                    .filter(|bytes| !bytes.is_empty())
                    .ok_or(Refusal::Chap("CHAP_C is missing or not binary"))?;
                Ok(self.answer(algorithm, id, &challenge))
            }
            Step::Answered => {
                if self.chap.mutual.is_some() {
                    self.check_target(get("CHAP_N"), get("CHAP_R"))?;
                }
                self.step = Step::Done;
                Ok(Reply {
                    keys: Vec::new(),
                    transit: true,
                })
            }
            Step::Done => Ok(Reply {
                keys: Vec::new(),
                transit: true,
            }),
        }
    }

    fn answer(&mut self, algorithm: Algorithm, id: u8, challenge: &[u8]) -> Reply {
        let proof = chap::response(algorithm, id, &self.chap.secret, challenge);
        let mut keys = vec![
            pair("CHAP_N", self.chap.name.clone()),
            pair("CHAP_R", binary::encode_hex(&proof)),
        ];
        if self.chap.mutual.is_some() {
            keys.push(pair("CHAP_I", self.entropy[0].to_string()));
            keys.push(pair("CHAP_C", binary::encode_hex(&self.entropy[1..])));
        }
        // The algorithm agreed on holds for both directions.
        self.chap.algorithms = vec![algorithm];
        self.step = Step::Answered;
        Reply {
            keys,
            transit: true,
        }
    }

    fn check_target(&self, name: Option<&str>, proof: Option<&str>) -> Result<(), Refusal> {
        let Some(mutual) = &self.chap.mutual else {
            return Ok(());
        };
        let name = name.ok_or(Refusal::TargetNotAuthenticated)?;
        if mutual
            .name
            .as_deref()
            .is_some_and(|expected| expected != name)
        {
            return Err(Refusal::TargetNotAuthenticated);
        }
        let proof = proof
            .and_then(binary::decode)
            .ok_or(Refusal::Chap("CHAP_R is missing or not binary"))?;
        let (id, challenge) = (self.entropy[0], &self.entropy[1..]);
        match chap::verify(
            self.chap.algorithms[0],
            id,
            &mutual.secret,
            challenge,
            &proof,
        ) {
            true => Ok(()),
            false => Err(Refusal::TargetNotAuthenticated),
        }
    }
}

fn identifier(value: Option<&str>) -> Result<u8, Refusal> {
    value
        .and_then(number)
        .and_then(|id| u8::try_from(id).ok())
        .ok_or(Refusal::Chap("CHAP_I is missing or above 255"))
}

fn pair(key: &str, value: String) -> (String, String) {
    (key.to_owned(), value)
}
