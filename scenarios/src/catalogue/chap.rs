//! CHAP: who must prove what, and every way of not proving it (RFC 7143 6.3.2, 9.2.1, 12.1.3;
//! RFC 1994).

use initiator_sim::{Auth, Chap, LoginOptions, Session};
use iscsi::chap::{self, Algorithm};
use iscsi::keys::{binary, number};
use iscsi::{LoginStatus, Stage};

use super::exchange::{Answer, Exchange, Heard, closes, exact_status, refusal, text};
use crate::context::Context;
use crate::scenario;
use crate::scenario::{Finding, Scenario, expect, expect_eq};

/// All of this family.
pub fn scenarios() -> Vec<Scenario> {
    SCENARIOS.to_vec()
}

const SECURITY: Stage = Stage::SECURITY;
const OPERATIONAL: Stage = Stage::OPERATIONAL;
const FULL_FEATURE: Stage = Stage::FULL_FEATURE;

static SCENARIOS: &[Scenario] = &[
    scenario! {
        "chap.md5", "RFC 7143 12.1.3",
        "An initiator that knows the secret is let in with MD5, which every target supports.",
        needs [Chap];
        async |ctx| { let options = proven(&ctx); let_in(ctx, options).await }
    },
    scenario! {
        "chap.response.base64", "RFC 7143 6.1",
        "A response may be written in base64 as well as in hexadecimal.",
        needs [Chap];
        async |ctx| { base64_response(ctx).await }
    },
    scenario! {
        "chap.mutual", "RFC 7143 12.1.3",
        "Challenged by the initiator, the target proves that it knows its own secret.",
        needs [Chap, MutualChap];
        async |ctx| { let options = mutual(&ctx); let_in(ctx, options).await }
    },
    scenario! {
        "chap.mutual.reflected", "RFC 7143 9.2.1",
        "A target whose own challenge comes back as the initiator's does not answer it.",
        needs [Chap, MutualChap];
        async |ctx| { reflected(ctx).await }
    },
    scenario! {
        "chap.wrong-secret", "RFC 7143 12.1.3",
        "A response made with another secret fails with status 0201.",
        needs [Chap];
        async |ctx| { wrong_secret(ctx).await }
    },
    scenario! {
        "chap.unknown-name", "RFC 7143 12.1.3",
        "A name that is not known fails with status 0201, as a wrong secret does.",
        needs [Chap];
        async |ctx| { unknown_name(ctx).await }
    },
    scenario! {
        "chap.response.truncated", "RFC 7143 12.1.3",
        "The beginning of the right response is not the right response.",
        needs [Chap];
        async |ctx| { truncated_response(ctx).await }
    },
    scenario! {
        "chap.response.missing", "RFC 7143 9.2",
        "A step without its keys is refused as initiator error or missing parameter.",
        needs [Chap];
        async |ctx| { missing_response(ctx).await }
    },
    scenario! {
        "chap.algorithm.unknown", "RFC 7143 12.1.3",
        "When no algorithm offered is supported, login fails with status 0201.",
        needs [Chap];
        async |ctx| { unknown_algorithms(ctx).await }
    },
    scenario! {
        "chap.algorithm.list", "RFC 7143 12.1.3",
        "From a list the target takes an algorithm that was offered: MD5 behind unknown ones.",
        needs [Chap];
        async |ctx| { md5_in_a_list(ctx).await }
    },
    scenario! {
        "chap.challenge.fresh", "RFC 1994 4.1",
        "Every challenge is another one.",
        needs [Chap];
        async |ctx| { fresh_challenges(ctx).await }
    },
    scenario! {
        "chap.method.list", "RFC 7143 6.2.1",
        "A target that asks for CHAP takes it from a list in which None comes first.",
        needs [Chap];
        async |ctx| { chap_behind_none(ctx).await }
    },
    scenario! {
        "chap.method.none", "RFC 7143 6.3.2",
        "An initiator that offers only None is not let in.",
        needs [Chap];
        async |ctx| { only_none(ctx).await }
    },
    scenario! {
        "chap.skipped.by-stage", "RFC 7143 6.3.2",
        "An initiator that starts in the operational stage is not let in.",
        needs [Chap];
        async |ctx| { operational_at_once(ctx).await }
    },
    scenario! {
        "chap.skipped.by-transit", "RFC 7143 6.3.2",
        "The security stage does not end before the initiator proved itself.",
        needs [Chap];
        async |ctx| { transit_before_proof(ctx).await }
    },
    scenario! {
        "chap.skipped.midway", "RFC 7143 6.3.2",
        "An initiator that is challenged cannot leave for the operational stage instead.",
        needs [Chap];
        async |ctx| { operational_instead(ctx).await }
    },
];

/// A login with the right name and secret.
fn proven(ctx: &Context) -> LoginOptions {
    let target = ctx.chap_target();
    ctx.login_options_for(&target.name)
        .chap(&target.user, &target.secret)
}

/// The same that asks the target to prove itself.
fn mutual(ctx: &Context) -> LoginOptions {
    let target = ctx.chap_target();
    let chap = Chap::new(&target.user, &target.secret)
        .mutual(Some(&target.mutual_user), &target.mutual_secret);
    ctx.login_options_for(&target.name).auth(Auth::Chap(chap))
}

async fn let_in(ctx: Context, options: LoginOptions) -> Result<(), Finding> {
    let mut session = Session::login(ctx.addr(), &options).await?;
    Ok(session.nop(b"let in").await?)
}

/// A challenge of the target.
struct Challenge {
    algorithm: Algorithm,
    id: u8,
    /// CHAP_I as it was written.
    id_text: String,
    bytes: Vec<u8>,
    /// CHAP_C as it was written.
    text: String,
}

impl Challenge {
    fn read(answer: &Answer) -> Result<Self, Finding> {
        let due = |what: &str, got: Option<&str>| Finding::fail(what, format!("{got:?}"));
        let algorithm = answer.value("CHAP_A")?;
        let (id, text) = (answer.value("CHAP_I")?, answer.value("CHAP_C")?);
        let byte = |value: Option<&str>| value.and_then(number).and_then(|n| u8::try_from(n).ok());
        let bytes = text
            .and_then(binary::decode)
            .filter(|bytes| !bytes.is_empty());
        Ok(Self {
            algorithm: Algorithm(byte(algorithm).ok_or_else(|| due("CHAP_A", algorithm))?),
            id: byte(id).ok_or_else(|| due("CHAP_I, one byte", id))?,
            id_text: id.unwrap_or_default().to_owned(),
            bytes: bytes.ok_or_else(|| due("CHAP_C, binary", text))?,
            text: text.unwrap_or_default().to_owned(),
        })
    }

    fn proof(&self, secret: &str) -> Vec<u8> {
        chap::response(self.algorithm, self.id, secret.as_bytes(), &self.bytes)
    }
}

/// To the point where AuthMethod=CHAP is agreed on.
async fn with_chap(ctx: &Context) -> Result<Exchange, Finding> {
    let options = ctx.login_options_for(&ctx.chap_target().name);
    let mut exchange = Exchange::open(ctx, &options).await?;
    let text = exchange.named(&[("AuthMethod", "CHAP")]);
    let answer = exchange.ask(SECURITY, None, &text).await?;
    expect_eq("AuthMethod", Some("CHAP"), answer.value("AuthMethod")?)?;
    Ok(exchange)
}

/// To the point where the challenge is here.
async fn challenged(ctx: &Context, algorithms: &str) -> Result<(Exchange, Challenge), Finding> {
    let mut exchange = with_chap(ctx).await?;
    let answer = exchange
        .ask(SECURITY, None, &text([("CHAP_A", algorithms)]))
        .await?;
    let challenge = Challenge::read(&answer)?;
    Ok((exchange, challenge))
}

/// The login must end with exactly this status.
async fn ends_with(exchange: &mut Exchange, status: LoginStatus) -> Result<(), Finding> {
    match exchange.hear().await? {
        Heard::Refusal(response) => {
            exact_status(status, response.status)?;
            closes(&mut exchange.conn).await
        }
        Heard::Answer(answer) => Err(Finding::fail(
            status.to_string(),
            format!("{:?}", answer.response),
        )),
        Heard::Closed => Err(Finding::fail(status.to_string(), "closed without a word")),
    }
}

async fn base64_response(ctx: Context) -> Result<(), Finding> {
    let target = ctx.chap_target();
    let (mut exchange, challenge) = challenged(&ctx, "5").await?;
    let proof = binary::encode_base64(&challenge.proof(&target.secret));
    let keys = text([("CHAP_N", target.user.as_str()), ("CHAP_R", proof.as_str())]);
    let answer = exchange.ask(SECURITY, Some(OPERATIONAL), &keys).await?;
    expect(answer.response.transit, "authenticated", "T = 0")
}

/// The target must close the connection; saying why before is no harm. A wrong target computes
/// the very response that an attacker needs to answer the challenge with.
async fn reflected(ctx: Context) -> Result<(), Finding> {
    let target = ctx.chap_target();
    let (mut exchange, challenge) = challenged(&ctx, "5").await?;
    let proof = binary::encode_hex(&challenge.proof(&target.secret));
    let keys = [
        ("CHAP_N", target.user.as_str()),
        ("CHAP_R", proof.as_str()),
        ("CHAP_I", challenge.id_text.as_str()),
        ("CHAP_C", challenge.text.as_str()),
    ];
    exchange
        .send(SECURITY, Some(OPERATIONAL), &text(keys))
        .await?;
    exchange
        .refused("a challenge that comes back is not answered")
        .await
}

async fn wrong_secret(ctx: Context) -> Result<(), Finding> {
    let target = ctx.chap_target();
    let wrong = format!("{}x", target.secret);
    let options = ctx
        .login_options_for(&target.name)
        .chap(&target.user, &wrong);
    let status = refusal(&ctx, &options).await?;
    exact_status(LoginStatus::AUTHENTICATION_FAILURE, status)
}

async fn unknown_name(ctx: Context) -> Result<(), Finding> {
    let target = ctx.chap_target();
    let options = ctx
        .login_options_for(&target.name)
        .chap("nobody at all", &target.secret);
    let status = refusal(&ctx, &options).await?;
    exact_status(LoginStatus::AUTHENTICATION_FAILURE, status)
}

async fn truncated_response(ctx: Context) -> Result<(), Finding> {
    let target = ctx.chap_target();
    let (mut exchange, challenge) = challenged(&ctx, "5").await?;
    let proof = challenge.proof(&target.secret);
    let proof = binary::encode_hex(&proof[..proof.len() - 1]);
    let keys = text([("CHAP_N", target.user.as_str()), ("CHAP_R", proof.as_str())]);
    exchange.send(SECURITY, Some(OPERATIONAL), &keys).await?;
    exchange
        .refused("a shortened response proves nothing")
        .await
}

async fn missing_response(ctx: Context) -> Result<(), Finding> {
    let (mut exchange, _) = challenged(&ctx, "5").await?;
    let keys = text([("CHAP_N", ctx.chap_target().user.as_str())]);
    exchange.send(SECURITY, Some(OPERATIONAL), &keys).await?;
    match exchange.hear().await? {
        Heard::Refusal(response) => {
            closes(&mut exchange.conn).await?;
            let status = response.status;
            let fits = [LoginStatus::INITIATOR_ERROR, LoginStatus::MISSING_PARAMETER];
            expect(fits.contains(&status), "status 0200 or 0207", status)
        }
        Heard::Answer(answer) => Err(Finding::fail(
            "status 0200 or 0207",
            format!("{:?}", answer.response),
        )),
        Heard::Closed => Err(Finding::fail(
            "status 0200 or 0207",
            "closed without a word",
        )),
    }
}

async fn unknown_algorithms(ctx: Context) -> Result<(), Finding> {
    // 56 begins like 5: it catches a parser that reads one digit.
    for algorithms in ["56", "250,251"] {
        let mut exchange = with_chap(&ctx).await?;
        exchange
            .send(SECURITY, None, &text([("CHAP_A", algorithms)]))
            .await?;
        ends_with(&mut exchange, LoginStatus::AUTHENTICATION_FAILURE).await?;
    }
    Ok(())
}

async fn md5_in_a_list(ctx: Context) -> Result<(), Finding> {
    let target = ctx.chap_target();
    let (mut exchange, challenge) = challenged(&ctx, "250,5,251").await?;
    expect_eq("CHAP_A", Algorithm::MD5, challenge.algorithm)?;
    let proof = binary::encode_hex(&challenge.proof(&target.secret));
    let keys = text([("CHAP_N", target.user.as_str()), ("CHAP_R", proof.as_str())]);
    let answer = exchange.ask(SECURITY, Some(OPERATIONAL), &keys).await?;
    expect(answer.response.transit, "authenticated", "T = 0")
}

async fn fresh_challenges(ctx: Context) -> Result<(), Finding> {
    let mut seen: Vec<Vec<u8>> = Vec::new();
    for _ in 0..4 {
        let (_, challenge) = challenged(&ctx, "5").await?;
        expect(
            !seen.contains(&challenge.bytes),
            "a new challenge",
            "one seen before",
        )?;
        seen.push(challenge.bytes);
    }
    Ok(())
}

async fn chap_behind_none(ctx: Context) -> Result<(), Finding> {
    let options = ctx.login_options_for(&ctx.chap_target().name);
    let mut exchange = Exchange::open(&ctx, &options).await?;
    let keys = exchange.named(&[("AuthMethod", "None,CHAP")]);
    let answer = exchange.ask(SECURITY, None, &keys).await?;
    expect_eq("AuthMethod", Some("CHAP"), answer.value("AuthMethod")?)
}

/// Not let in: refused, or held in the security stage.
async fn is_held(exchange: &mut Exchange) -> Result<(), Finding> {
    match exchange.hear().await? {
        Heard::Answer(answer) => expect(
            !answer.response.transit && answer.response.csg == SECURITY,
            "still in the security stage",
            format!("{:?}", answer.response),
        ),
        Heard::Refusal(response) => {
            expect(
                response.status.class() == 2,
                "Status-Class 2",
                response.status,
            )?;
            closes(&mut exchange.conn).await
        }
        Heard::Closed => Ok(()),
    }
}

async fn only_none(ctx: Context) -> Result<(), Finding> {
    let options = ctx.login_options_for(&ctx.chap_target().name);
    let mut exchange = Exchange::open(&ctx, &options).await?;
    let keys = exchange.named(&[("AuthMethod", "None")]);
    exchange.send(SECURITY, Some(OPERATIONAL), &keys).await?;
    is_held(&mut exchange).await
}

async fn operational_at_once(ctx: Context) -> Result<(), Finding> {
    let options = ctx.login_options_for(&ctx.chap_target().name);
    let mut exchange = Exchange::open(&ctx, &options).await?;
    let keys = exchange.named(&[]);
    exchange
        .send(OPERATIONAL, Some(FULL_FEATURE), &keys)
        .await?;
    exchange.refused("no way around the security stage").await
}

async fn transit_before_proof(ctx: Context) -> Result<(), Finding> {
    let options = ctx.login_options_for(&ctx.chap_target().name);
    for to in [OPERATIONAL, FULL_FEATURE] {
        let mut exchange = Exchange::open(&ctx, &options).await?;
        let keys = exchange.named(&[("AuthMethod", "CHAP")]);
        exchange.send(SECURITY, Some(to), &keys).await?;
        is_held(&mut exchange).await?;
    }
    Ok(())
}

async fn operational_instead(ctx: Context) -> Result<(), Finding> {
    let (mut exchange, _) = challenged(&ctx, "5").await?;
    exchange
        .send(OPERATIONAL, Some(FULL_FEATURE), b"InitialR2T=Yes\0")
        .await?;
    exchange.refused("no way around the proof").await
}
