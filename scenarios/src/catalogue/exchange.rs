//! What the families share: a login spoken by hand, one request at a time, for all that an honest
//! initiator never says; and judgements on how a login ends.
//!
//! Knows the Login Request and its counters, not what any scenario is after.

use std::time::Duration;

use initiator_sim::{Auth, Conn, ConnError, LoginError, LoginOptions, Session, SessionType};
use iscsi::pdu::{LoginRequest, LoginResponse, NopOut};
use iscsi::{Bhs, Itt, LoginStatus, Lun, Response, Serial, Stage, Tsih, Ttt, keys};

use crate::context::Context;
use crate::scenario::{Finding, expect};

/// How long a connection that must be closed may stay open.
pub(super) const CLOSING: Duration = Duration::from_secs(2);

/// How long a target is listened to that must not say anything.
pub(super) const SILENCE: Duration = Duration::from_millis(120);

/// A login by hand.
pub(super) struct Exchange {
    /// The connection.
    pub(super) conn: Conn,
    /// The request sent next: identity and counters of the login.
    pub(super) request: LoginRequest,
    /// InitiatorName, TargetName and SessionType.
    names: Vec<(String, String)>,
}

/// A Login Response of Status-Class 0.
pub(super) struct Answer {
    /// Its header.
    pub(super) response: LoginResponse,
    /// Its bytes of text.
    pub(super) text: Vec<u8>,
}

/// How the target took a request.
pub(super) enum Heard {
    /// It goes on.
    Answer(Answer),
    /// A Status-Class other than 0.
    Refusal(LoginResponse),
    /// It closed the connection without a word.
    Closed,
}

impl Exchange {
    /// Connect as the initiator of `options`; nothing is sent yet.
    pub(super) async fn open(ctx: &Context, options: &LoginOptions) -> Result<Self, Finding> {
        if options.auth != Auth::None {
            return Err(Finding::Skip(
                "a login by hand brings no credentials".to_owned(),
            ));
        }
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let mut names = vec![pair("InitiatorName", &options.initiator_name)];
        names.extend(
            options
                .target
                .iter()
                .map(|target| pair("TargetName", target)),
        );
        names.push(match options.session_type {
            SessionType::Normal => pair("SessionType", "Normal"),
            SessionType::Discovery => pair("SessionType", "Discovery"),
        });
        let request = LoginRequest {
            immediate: true,
            transit: false,
            cont: false,
            csg: Stage::SECURITY,
            nsg: Stage::SECURITY,
            version_max: 0,
            version_min: 0,
            isid: options.isid,
            tsih: options.tsih,
            itt: Itt(0x0600_000d),
            cid: options.cid,
            cmd_sn: options.cmd_sn,
            exp_stat_sn: options.exp_stat_sn,
        };
        Ok(Self {
            conn: ctx.connect().await?,
            request,
            names,
        })
    }

    /// The keys that say who logs in to what, followed by `more`.
    pub(super) fn named(&self, more: &[(&str, &str)]) -> Vec<u8> {
        let names = self
            .names
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        text(names.chain(more.iter().copied()))
    }

    /// The next request in stage `csg`, asking for stage `to` if there is one.
    pub(super) fn next(&mut self, csg: Stage, to: Option<Stage>) -> LoginRequest {
        self.request.csg = csg;
        self.request.nsg = to.unwrap_or(Stage::SECURITY);
        self.request.transit = to.is_some();
        self.request.cont = false;
        self.request
    }

    /// Send a request that says its text is not complete.
    pub(super) async fn begin(&mut self, csg: Stage, text: &[u8]) -> Result<(), Finding> {
        let request = LoginRequest {
            cont: true,
            ..self.next(csg, None)
        };
        Ok(self.conn.send(&request.into(), text).await?)
    }

    /// Send a complete request.
    pub(super) async fn send(
        &mut self,
        csg: Stage,
        to: Option<Stage>,
        text: &[u8],
    ) -> Result<(), Finding> {
        let request = self.next(csg, to);
        Ok(self.conn.send(&request.into(), text).await?)
    }

    /// What comes of the request just sent.
    pub(super) async fn hear(&mut self) -> Result<Heard, Finding> {
        let received = match self.conn.recv().await {
            Ok(received) => received,
            Err(error) if error.is_lost() => return Ok(Heard::Closed),
            Err(error) => return Err(error.into()),
        };
        let Response::Login(response) = received.response else {
            let name = received.bhs.opcode().name();
            return Err(Finding::fail("a Login Response", name));
        };
        if response.status != LoginStatus::SUCCESS {
            return Ok(Heard::Refusal(response));
        }
        self.request.exp_stat_sn = response.stat_sn.next();
        Ok(Heard::Answer(Answer {
            response,
            text: received.data,
        }))
    }

    /// What comes of the request just sent, which must be an answer.
    pub(super) async fn answer(&mut self) -> Result<Answer, Finding> {
        match self.hear().await? {
            Heard::Answer(answer) => Ok(answer),
            Heard::Refusal(response) => Err(Finding::fail("the login goes on", response.status)),
            Heard::Closed => Err(Finding::fail("the login goes on", "closed by the target")),
        }
    }

    /// A complete request and its answer.
    pub(super) async fn ask(
        &mut self,
        csg: Stage,
        to: Option<Stage>,
        text: &[u8],
    ) -> Result<Answer, Finding> {
        self.send(csg, to, text).await?;
        self.answer().await
    }

    /// The request just sent must not be taken: a refusal that blames the initiator, or the end of
    /// the connection.
    pub(super) async fn refused(&mut self, why: &str) -> Result<(), Finding> {
        match self.hear().await? {
            Heard::Answer(answer) => Err(Finding::fail(why, format!("{:?}", answer.response))),
            Heard::Closed => Ok(()),
            Heard::Refusal(response) => {
                expect(
                    response.status.class() == 2,
                    "Status-Class 2",
                    response.status,
                )?;
                closes(&mut self.conn).await
            }
        }
    }

    /// Into the full feature phase at once, through the operational stage.
    pub(super) async fn finish(&mut self) -> Result<Answer, Finding> {
        let text = self.named(&[]);
        let answer = self
            .ask(Stage::OPERATIONAL, Some(Stage::FULL_FEATURE), &text)
            .await?;
        expect(
            answer.response.transit && answer.response.nsg == Stage::FULL_FEATURE,
            "the full feature phase",
            format!("{:?}", answer.response),
        )?;
        Ok(answer)
    }
}

impl Answer {
    /// The key=value pairs.
    pub(super) fn keys(&self) -> Result<Vec<(&str, &str)>, Finding> {
        keys::parse(&self.text).map_err(|error| Finding::fail("key=value pairs", error))
    }

    /// The value of one key.
    pub(super) fn value(&self, key: &str) -> Result<Option<&str>, Finding> {
        let keys = self.keys()?;
        Ok(keys
            .into_iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value))
    }
}

/// Pairs as they are sent.
pub(super) fn text<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value) in pairs {
        bytes.extend_from_slice(format!("{key}={value}\0").as_bytes());
    }
    bytes
}

/// The target ends the connection.
pub(super) async fn closes(conn: &mut Conn) -> Result<(), Finding> {
    match conn.expect_close(CLOSING).await {
        Ok(_) => Ok(()),
        Err(error @ ConnError::StillOpen(_)) => {
            Err(Finding::fail("the target closes the connection", error))
        }
        Err(error) => Err(error.into()),
    }
}

/// A login that must not succeed: the status it is refused with. The connection must be closed
/// after that (RFC 7143 11.13.5).
pub(super) async fn refusal(ctx: &Context, options: &LoginOptions) -> Result<LoginStatus, Finding> {
    match Session::login(ctx.addr(), options).await {
        Ok(_) => Err(Finding::fail("the login is refused", "it succeeds")),
        Err(LoginError {
            status: Some(status),
            conn: Some(mut conn),
            ..
        }) => {
            closes(&mut conn).await?;
            Ok(status)
        }
        Err(error) => Err(error.into()),
    }
}

/// The status that the standard asks for in as many words.
pub(super) fn exact_status(due: LoginStatus, got: LoginStatus) -> Result<(), Finding> {
    expect(got == due, &status_text(due), status_text(got))
}

/// The status that says best what is wrong; another one that blames the initiator is only weak.
pub(super) fn best_status(best: LoginStatus, got: LoginStatus) -> Result<(), Finding> {
    match got.class() == best.class() && got != best {
        true => Err(Finding::weak(status_text(best), status_text(got))),
        false => exact_status(best, got),
    }
}

fn status_text(status: LoginStatus) -> String {
    format!("login status {:04x} ({status})", status.0)
}

/// The same initiator with another ISID: `options` for a session beside the first.
pub(super) fn beside(mut options: LoginOptions, which: u8) -> LoginOptions {
    options.isid.0[1] ^= which;
    options
}

/// `options` for a login to the session `tsih`. Keys that belong to the leading login are left out,
/// for a target may well refuse those (RFC 7143 13).
pub(super) fn joining(options: LoginOptions, tsih: Tsih) -> LoginOptions {
    let mut options = options
        .without("SessionType")
        .only_keys(&[("HeaderDigest", "None")]);
    options.tsih = tsih;
    options
}

/// A ping outside of any bookkeeping, for connections spoken to by hand.
pub(super) fn ping(itt: Itt, cmd_sn: Serial, exp_stat_sn: Serial) -> Bhs {
    NopOut {
        immediate: true,
        lun: Lun(0),
        itt,
        ttt: Ttt::RESERVED,
        cmd_sn,
        exp_stat_sn,
    }
    .encode()
}
