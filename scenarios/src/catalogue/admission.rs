//! Who is let in, to what, and as what: TSIH, version, names, session type, access
//! (RFC 7143 6.3.1, 11.12, 11.13).

use initiator_sim::Session;
use iscsi::{Cid, LoginStatus, Stage, Tsih};

use super::exchange::{
    Exchange, Heard, SILENCE, beside, best_status, closes, exact_status, joining, refusal, text,
};
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
        "login.tsih.new", "RFC 7143 11.13.3",
        "A new session gets a TSIH other than 0, in the final Login Response and not before.",
        needs [];
        async |ctx| { tsih_of_a_new_session(ctx).await }
    },
    scenario! {
        "login.tsih.unknown", "RFC 7143 6.3.1",
        "A login with a TSIH that no session has fails with status 020a.",
        needs [];
        async |ctx| { unknown_tsih(ctx).await }
    },
    scenario! {
        "login.tsih.second-connection", "RFC 7143 13.2",
        "A session that agreed on MaxConnections=1 takes no second connection, and lives on.",
        needs [];
        async |ctx| { second_connection(ctx).await }
    },
    scenario! {
        "login.version.mismatch", "RFC 7143 11.13.2",
        "Without a version in common login fails with 0205 and names the lowest supported.",
        needs [];
        async |ctx| { version_mismatch(ctx).await }
    },
    scenario! {
        "login.names.no-initiator", "RFC 7143 13.5",
        "A first Login Request without InitiatorName is refused with status 0207.",
        needs [];
        async |ctx| { without(ctx, "InitiatorName").await }
    },
    scenario! {
        "login.names.no-target", "RFC 7143 13.4",
        "A login to a normal session without TargetName is refused with status 0207.",
        needs [];
        async |ctx| { without(ctx, "TargetName").await }
    },
    scenario! {
        "login.names.unknown-target", "RFC 7143 11.13.5",
        "A login to a target that is not here is refused with status 0203.",
        needs [];
        async |ctx| { unknown_target(ctx).await }
    },
    scenario! {
        "login.names.portal-group", "RFC 7143 13.9",
        "TargetPortalGroupTag comes with the response to the first complete request.",
        needs [];
        async |ctx| { portal_group_tag(ctx).await }
    },
    scenario! {
        "login.session-type.default", "RFC 7143 13.21",
        "Without SessionType a login is to a normal session.",
        needs [];
        async |ctx| { default_session_type(ctx).await }
    },
    scenario! {
        "login.session-type.unknown", "RFC 7143 11.13.5",
        "A SessionType that does not exist is refused with status 0209.",
        needs [];
        async |ctx| { unknown_session_type(ctx).await }
    },
    scenario! {
        "login.access.denied", "RFC 7143 11.13.5",
        "An initiator that is not on the target's list is refused with status 0202.",
        needs [AccessList];
        async |ctx| { access_denied(ctx).await }
    },
    scenario! {
        "login.access.admitted", "RFC 7143 11.13.5",
        "The initiator on the target's list is let in.",
        needs [AccessList];
        async |ctx| { access_admitted(ctx).await }
    },
    scenario! {
        "login.refused.closed", "RFC 7143 11.13.5",
        "After a Status-Class other than 0 the target closes the connection.",
        needs [];
        async |ctx| { refusal(&ctx, &ctx.login_options_for(NOBODY)).await.map(drop) }
    },
    scenario! {
        "login.version.first-counts", "RFC 7143 11.12.4",
        "The versions of the first Login Request count, whatever a later one says.",
        needs [];
        async |ctx| { versions_of_the_first(ctx).await }
    },
    scenario! {
        "login.half-open.many", "robustness",
        "A hundred connections that never finish their login do not keep the next one out.",
        needs [];
        async |ctx| { half_open(ctx).await }
    },
];

/// A name that no target has.
const NOBODY: &str = "iqn.2026-11.example.nowhere:nothing";

async fn tsih_of_a_new_session(ctx: Context) -> Result<(), Finding> {
    let mut exchange = Exchange::open(&ctx, &ctx.login_options()).await?;
    let text = exchange.named(&[("AuthMethod", "None")]);
    let answer = exchange.ask(SECURITY, Some(OPERATIONAL), &text).await?;
    expect_eq("TSIH before the end", Tsih(0), answer.response.tsih)?;
    let answer = exchange.ask(OPERATIONAL, None, b"InitialR2T=Yes\0").await?;
    expect_eq("TSIH before the end", Tsih(0), answer.response.tsih)?;
    let answer = exchange.ask(OPERATIONAL, Some(FULL_FEATURE), b"").await?;
    expect(answer.response.transit, "the end of the login", "T = 0")?;
    expect(answer.response.tsih != Tsih(0), "a TSIH", "TSIH = 0")
}

async fn unknown_tsih(ctx: Context) -> Result<(), Finding> {
    // A session beside, so that there is some TSIH; the one asked for is not it.
    let session = ctx.session().await?;
    let options = beside(ctx.login_options(), 1);
    let options = joining(options, Tsih(session.tsih().0 ^ 0x5a5a));
    let status = refusal(&ctx, &options).await?;
    exact_status(LoginStatus::SESSION_DOES_NOT_EXIST, status)
}

async fn second_connection(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx
        .session_with(ctx.login_options().key("MaxConnections", "1"))
        .await?;
    let mut options = joining(ctx.login_options(), session.tsih());
    options.cid = Cid(1);
    let status = refusal(&ctx, &options).await?;
    session.nop(b"the first connection").await?;
    match status {
        LoginStatus::TOO_MANY_CONNECTIONS | LoginStatus::CANT_INCLUDE_IN_SESSION => Ok(()),
        other => best_status(LoginStatus::TOO_MANY_CONNECTIONS, other),
    }
}

async fn version_mismatch(ctx: Context) -> Result<(), Finding> {
    let mut exchange = Exchange::open(&ctx, &ctx.login_options()).await?;
    (exchange.request.version_max, exchange.request.version_min) = (0xff, 0xfe);
    let text = exchange.named(&[]);
    exchange
        .send(OPERATIONAL, Some(FULL_FEATURE), &text)
        .await?;
    match exchange.hear().await? {
        Heard::Refusal(response) => {
            closes(&mut exchange.conn).await?;
            best_status(LoginStatus::UNSUPPORTED_VERSION, response.status)?;
            expect_eq("Version-active", 0, response.version_active)
        }
        Heard::Answer(_) => Err(Finding::fail("status 0205", "the login goes on")),
        Heard::Closed => Err(Finding::fail("status 0205", "closed without a word")),
    }
}

async fn versions_of_the_first(ctx: Context) -> Result<(), Finding> {
    let mut exchange = Exchange::open(&ctx, &ctx.login_options()).await?;
    let text = exchange.named(&[]);
    exchange.ask(OPERATIONAL, None, &text).await?;
    (exchange.request.version_max, exchange.request.version_min) = (0xff, 0xfe);
    exchange.send(OPERATIONAL, Some(FULL_FEATURE), b"").await?;
    match exchange.hear().await? {
        Heard::Answer(_) => Ok(()),
        // The initiator broke a rule of its own there.
        Heard::Refusal(response) => Err(Finding::weak("the login goes on", response.status)),
        Heard::Closed => Err(Finding::fail("the login goes on", "closed without a word")),
    }
}

async fn without(ctx: Context, key: &str) -> Result<(), Finding> {
    let status = refusal(&ctx, &ctx.login_options().without(key)).await?;
    best_status(LoginStatus::MISSING_PARAMETER, status)
}

async fn unknown_target(ctx: Context) -> Result<(), Finding> {
    let status = refusal(&ctx, &ctx.login_options_for(NOBODY)).await?;
    best_status(LoginStatus::NOT_FOUND, status)
}

async fn portal_group_tag(ctx: Context) -> Result<(), Finding> {
    let mut exchange = Exchange::open(&ctx, &ctx.login_options()).await?;
    let text = exchange.named(&[("AuthMethod", "None")]);
    let answer = exchange.ask(SECURITY, Some(OPERATIONAL), &text).await?;
    let tag = answer.value("TargetPortalGroupTag")?.map(str::to_owned);
    let number = tag.as_deref().and_then(iscsi::keys::number);
    expect(
        number.is_some_and(|tag| tag <= 0xffff),
        "TargetPortalGroupTag, 16 bits, in the first response",
        format!("{tag:?}"),
    )
}

async fn default_session_type(ctx: Context) -> Result<(), Finding> {
    let options = ctx.login_options().without("SessionType");
    let mut session = ctx.session_with(options).await?;
    let outcome = session.tur(ctx.lun()).await?;
    expect(
        outcome.is_good(),
        "a session that takes SCSI commands",
        outcome,
    )
}

async fn unknown_session_type(ctx: Context) -> Result<(), Finding> {
    let options = ctx.login_options().without("SessionType");
    let mut exchange = Exchange::open(&ctx, &options).await?;
    let names = [
        ("InitiatorName", options.initiator_name.as_str()),
        ("TargetName", ctx.target()),
        ("SessionType", "Archive"),
    ];
    exchange
        .send(OPERATIONAL, Some(FULL_FEATURE), &text(names))
        .await?;
    match exchange.hear().await? {
        Heard::Refusal(response) => {
            closes(&mut exchange.conn).await?;
            best_status(LoginStatus::SESSION_TYPE_NOT_SUPPORTED, response.status)
        }
        // The rules of negotiation also allow to say Reject, but not to go on as if it was Normal.
        Heard::Answer(answer) => {
            expect_eq("SessionType", Some("Reject"), answer.value("SessionType")?)?;
            expect(
                !answer.response.transit,
                "no session",
                "a session of no type",
            )
        }
        Heard::Closed => Err(Finding::fail("status 0209", "closed without a word")),
    }
}

async fn access_denied(ctx: Context) -> Result<(), Finding> {
    let closed = ctx.closed_target();
    let options = ctx.login_options_for(&closed.name);
    let stranger = format!("{}.stranger", closed.admitted);
    let status = refusal(&ctx, &options.initiator(&stranger)).await?;
    best_status(LoginStatus::AUTHORIZATION_FAILURE, status)
}

async fn access_admitted(ctx: Context) -> Result<(), Finding> {
    let closed = ctx.closed_target();
    let options = ctx
        .login_options_for(&closed.name)
        .initiator(&closed.admitted);
    let mut session = Session::login(ctx.addr(), &options).await?;
    Ok(session.nop(b"let in").await?)
}

async fn half_open(ctx: Context) -> Result<(), Finding> {
    let mut waiting = Vec::new();
    for which in 0..100_u8 {
        let options = beside(ctx.login_options(), 1);
        let mut exchange = Exchange::open(&ctx, &options).await?;
        // Some say nothing at all, some stop in the middle of the negotiation.
        if which % 2 == 0 {
            let text = exchange.named(&[]);
            exchange.send(OPERATIONAL, None, &text).await?;
        }
        waiting.push(exchange);
    }
    let mut session = ctx.session().await?;
    session.nop(b"let in beside them").await?;
    session.idle(SILENCE / 4).await?;
    drop(waiting);
    Ok(())
}
