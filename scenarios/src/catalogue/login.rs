//! Login: its stages, its bits, its counters, and every way to be turned away (RFC 7143 6.3,
//! 11.12, 11.13).

use initiator_sim::Route;
use iscsi::pdu::{LogoutRequest, NopOut, ScsiCommand, TextRequest};
use iscsi::{
    Cid, Itt, LoginStatus, LogoutReason, Lun, Opcode, Request, Response, Serial, Stage,
    TaskAttribute, Ttt,
};

use super::exchange::{CLOSING, Exchange, Heard, closes, exact_status, ping, text};
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
        "login.stages.security-then-operational", "RFC 7143 6.3",
        "A login may negotiate security, then operational keys, then enter full feature phase.",
        needs [];
        async |ctx| { by_route(ctx, Route::SecurityThenOperational).await }
    },
    scenario! {
        "login.stages.operational-only", "RFC 7143 6.3",
        "A login without authentication may start in the operational stage.",
        needs [];
        async |ctx| { by_route(ctx, Route::OperationalOnly).await }
    },
    scenario! {
        "login.stages.security-only", "RFC 7143 6.3",
        "A login may go from the security stage straight to full feature phase.",
        needs [];
        async |ctx| { by_route(ctx, Route::SecurityOnly).await }
    },
    scenario! {
        "login.stages.defaults", "RFC 7143 13",
        "A login that negotiates nothing works with the default of every key.",
        needs [];
        async |ctx| { defaults(ctx).await }
    },
    scenario! {
        "login.stages.reserved", "RFC 7143 11.12.3",
        "Stage 2 is reserved: neither as current nor as next stage is it taken.",
        needs [];
        async |ctx| { reserved_stages(ctx).await }
    },
    scenario! {
        "login.stages.backwards", "RFC 7143 6.3.1",
        "Stages follow each other only as both sides agreed: never backwards, never unasked.",
        needs [];
        async |ctx| { wrong_order(ctx).await }
    },
    scenario! {
        "login.transit.only-when-asked", "RFC 7143 11.13.2",
        "The target sets T in a response only if T was set in the request.",
        needs [];
        async |ctx| { transit_when_asked(ctx).await }
    },
    scenario! {
        "login.continue.with-transit", "RFC 7143 11.12.2",
        "A Login Request with the C bit has the T bit 0; one with both is not taken.",
        needs [];
        async |ctx| { continue_and_transit(ctx).await }
    },
    scenario! {
        "login.continue.split", "RFC 7143 6.1",
        "Text may be spread over several PDUs and be cut inside a key and inside a value.",
        needs [];
        async |ctx| { split_text(ctx).await }
    },
    scenario! {
        "login.continue.empty-answer", "RFC 7143 6.2",
        "A request with the C bit is answered by a Login Response without text.",
        needs [];
        async |ctx| { answer_while_incomplete(ctx).await }
    },
    scenario! {
        "login.text.8192-bytes", "RFC 7143 6.2",
        "At least 8192 bytes of key=value text are taken in one negotiation.",
        needs [];
        async |ctx| { much_text(ctx).await }
    },
    scenario! {
        "login.text.endless", "robustness",
        "Text that never ends is given up on before it fills the memory.",
        needs [];
        async |ctx| { endless_text(ctx).await }
    },
    scenario! {
        "login.first.nop-out", "RFC 7143 6.3",
        "A NOP-Out before the first Login Request ends the connection at once.",
        needs [];
        async |ctx| { first_pdu(ctx, nop_out()).await }
    },
    scenario! {
        "login.first.scsi-command", "RFC 7143 6.3",
        "A SCSI Command before the first Login Request ends the connection at once.",
        needs [];
        async |ctx| { let lun = ctx.lun(); first_pdu(ctx, test_unit_ready(lun)).await }
    },
    scenario! {
        "login.first.text", "RFC 7143 6.3",
        "A Text Request before the first Login Request ends the connection at once.",
        needs [];
        async |ctx| { first_pdu(ctx, text_request()).await }
    },
    scenario! {
        "login.first.logout", "RFC 7143 6.3",
        "A Logout Request before the first Login Request ends the connection at once.",
        needs [];
        async |ctx| { first_pdu(ctx, logout_request()).await }
    },
    scenario! {
        "login.during.scsi-command", "RFC 7143 6.3",
        "A SCSI Command during login is answered with status 020b and the end of the connection.",
        needs [];
        async |ctx| { let lun = ctx.lun(); pdu_during_login(ctx, test_unit_ready(lun)).await }
    },
    scenario! {
        "login.during.nop-out", "RFC 7143 6.3",
        "A NOP-Out during login is answered with status 020b and the end of the connection.",
        needs [];
        async |ctx| { pdu_during_login(ctx, nop_out()).await }
    },
    scenario! {
        "login.numbering.cmd-sn", "RFC 7143 11.12.8",
        "Login Requests do not use up a CmdSN: the first command carries that of the login.",
        needs [];
        async |ctx| { cmd_sn_of_login(ctx).await }
    },
    scenario! {
        "login.numbering.stat-sn", "RFC 7143 11.13.4",
        "StatSN grows by one with every Login Response and on into full feature phase.",
        needs [];
        async |ctx| { stat_sn_of_login(ctx).await }
    },
    scenario! {
        "login.echo", "RFC 7143 11.13",
        "Every Login Response carries the Initiator Task Tag and the ISID of the request.",
        needs [];
        async |ctx| { echo(ctx).await }
    },
];

async fn by_route(ctx: Context, route: Route) -> Result<(), Finding> {
    let mut session = ctx.session_with(ctx.login_options().route(route)).await?;
    session.nop(b"in full feature phase").await?;
    let objections = &session.record().objections;
    expect(
        objections.is_empty(),
        "answers that fit the offers",
        objections.join("; "),
    )
}

/// A wrong target would go by its own limits, and send more than 8192 bytes in one Data-In.
async fn defaults(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session_with(ctx.login_options().only_keys(&[])).await?;
    let blocks = (65536 / session.block_size) as u16;
    let outcome = session.read(ctx.lun(), 0, blocks).await?;
    expect(outcome.is_good(), "GOOD", &outcome)?;
    expect(
        outcome.data_ins >= 8,
        "Data-Ins of at most 8192 bytes",
        outcome.data_ins,
    )
}

async fn reserved_stages(ctx: Context) -> Result<(), Finding> {
    for (csg, nsg) in [(Stage(2), FULL_FEATURE), (OPERATIONAL, Stage(2))] {
        let mut exchange = Exchange::open(&ctx, &ctx.login_options()).await?;
        let text = exchange.named(&[]);
        exchange.send(csg, Some(nsg), &text).await?;
        exchange.refused("stage 2 is not taken").await?;
    }
    Ok(())
}

async fn wrong_order(ctx: Context) -> Result<(), Finding> {
    // From operational back to security, which is no transition there is.
    let mut exchange = Exchange::open(&ctx, &ctx.login_options()).await?;
    let text = exchange.named(&[]);
    exchange.send(OPERATIONAL, Some(SECURITY), &text).await?;
    exchange
        .refused("no way from the operational stage to security")
        .await?;
    // Into the operational stage although the target was not asked to leave security.
    let mut exchange = Exchange::open(&ctx, &ctx.login_options()).await?;
    let text = exchange.named(&[("AuthMethod", "None")]);
    exchange.ask(SECURITY, None, &text).await?;
    exchange.send(OPERATIONAL, Some(FULL_FEATURE), b"").await?;
    exchange
        .refused("no stage change that was not agreed on")
        .await
}

async fn transit_when_asked(ctx: Context) -> Result<(), Finding> {
    let mut exchange = Exchange::open(&ctx, &ctx.login_options()).await?;
    let text = exchange.named(&[]);
    let answer = exchange.ask(OPERATIONAL, None, &text).await?;
    expect(
        !answer.response.transit,
        "T = 0",
        "T = 1 although it was not asked for",
    )?;
    let answer = exchange.ask(OPERATIONAL, Some(FULL_FEATURE), b"").await?;
    // The target may have more to negotiate, but then it says what.
    let moved = answer.response.transit && answer.response.nsg == FULL_FEATURE;
    expect(
        moved || !answer.text.is_empty(),
        "a transition, or keys",
        "T = 0 and no keys",
    )
}

async fn continue_and_transit(ctx: Context) -> Result<(), Finding> {
    let mut exchange = Exchange::open(&ctx, &ctx.login_options()).await?;
    let mut request = exchange.next(OPERATIONAL, Some(FULL_FEATURE));
    request.cont = true;
    let text = exchange.named(&[]);
    exchange.conn.send(&request.into(), text).await?;
    exchange.refused("C and T do not go together").await
}

/// The text of a login in three pieces, cut inside a key and inside a value.
fn pieces(exchange: &Exchange) -> [Vec<u8>; 3] {
    let mut first = exchange.named(&[("MaxBurstLength", "65536"), ("X-com.example.odd", "1")]);
    let value = first
        .windows(4)
        .position(|bytes| bytes == b"5536")
        .unwrap_or(first.len() / 2);
    let third = first.split_off(value);
    let second = first.split_off("Initiator".len());
    [first, second, third]
}

/// A wrong target would read "Initiator" and "Name=…" as two keys, or 6 as MaxBurstLength.
async fn split_text(ctx: Context) -> Result<(), Finding> {
    let mut exchange = Exchange::open(&ctx, &ctx.login_options()).await?;
    let [first, second, third] = pieces(&exchange);
    exchange.begin(OPERATIONAL, &first).await?;
    exchange.answer().await?;
    exchange.begin(OPERATIONAL, &second).await?;
    exchange.answer().await?;
    let answer = exchange
        .ask(OPERATIONAL, Some(FULL_FEATURE), &third)
        .await?;
    let burst = answer
        .value("MaxBurstLength")?
        .and_then(iscsi::keys::number);
    let fits = burst.is_some_and(|burst| (512..=65536).contains(&burst));
    expect(
        fits,
        "MaxBurstLength from 512 to 65536",
        format!("{burst:?}"),
    )?;
    let odd = answer.value("X-com.example.odd")?;
    expect_eq("X-com.example.odd", Some("NotUnderstood"), odd)
}

async fn answer_while_incomplete(ctx: Context) -> Result<(), Finding> {
    let mut exchange = Exchange::open(&ctx, &ctx.login_options()).await?;
    let [first, second, third] = pieces(&exchange);
    for piece in [first, second] {
        exchange.begin(OPERATIONAL, &piece).await?;
        let answer = exchange.answer().await?;
        expect(
            answer.text.is_empty(),
            "no text",
            format!("{} bytes", answer.text.len()),
        )?;
        expect(!answer.response.transit, "T = 0", "T = 1")?;
        expect(!answer.response.cont, "C = 0", "C = 1")?;
    }
    exchange
        .ask(OPERATIONAL, Some(FULL_FEATURE), &third)
        .await
        .map(drop)
}

async fn much_text(ctx: Context) -> Result<(), Finding> {
    const TOTAL: usize = 8192;
    let mut exchange = Exchange::open(&ctx, &ctx.login_options()).await?;
    let mut all = exchange.named(&[]);
    let mut keys = 0;
    while all.len() + 300 < TOTAL {
        all.extend(text([(
            format!("X-com.example.pad{keys}").as_str(),
            "0".repeat(250).as_str(),
        )]));
        keys += 1;
    }
    let last = "X-com.example.last";
    let left = TOTAL - all.len() - last.len() - 2;
    all.extend(text([(last, "0".repeat(left.min(255)).as_str())]));
    let answer = exchange.ask(OPERATIONAL, Some(FULL_FEATURE), &all).await?;
    if answer.response.cont {
        // More to answer than fits one response: legal, and shown elsewhere.
        return Ok(());
    }
    let understood = answer
        .keys()?
        .iter()
        .filter(|(_, value)| *value == "NotUnderstood")
        .count();
    expect_eq("keys answered NotUnderstood", keys + 1, understood)
}

async fn endless_text(ctx: Context) -> Result<(), Finding> {
    const PIECE: [u8; 4096] = [b'x'; 4096];
    let mut exchange = Exchange::open(&ctx, &ctx.login_options()).await?;
    let mut taken = 0;
    while taken < 1 << 20 {
        exchange.begin(OPERATIONAL, &PIECE).await?;
        match exchange.hear().await? {
            Heard::Answer(_) => taken += PIECE.len(),
            Heard::Refusal(_) => return closes(&mut exchange.conn).await,
            Heard::Closed => return Ok(()),
        }
    }
    Err(Finding::weak(
        "an end to patience",
        format!("{taken} bytes of one key taken"),
    ))
}

fn nop_out() -> Request {
    Request::NopOut(NopOut {
        immediate: true,
        lun: Lun(0),
        itt: Itt(1),
        ttt: Ttt::RESERVED,
        cmd_sn: Serial(1),
        exp_stat_sn: Serial(0),
    })
}

fn test_unit_ready(lun: Lun) -> Request {
    Request::ScsiCommand(ScsiCommand {
        immediate: false,
        is_final: true,
        read: false,
        write: false,
        attribute: TaskAttribute::SIMPLE,
        lun,
        itt: Itt(1),
        edtl: 0,
        cmd_sn: Serial(1),
        exp_stat_sn: Serial(0),
        cdb: [0; 16],
    })
}

fn text_request() -> Request {
    Request::Text(TextRequest {
        immediate: true,
        is_final: true,
        cont: false,
        lun: Lun(0),
        itt: Itt(1),
        ttt: Ttt::RESERVED,
        cmd_sn: Serial(1),
        exp_stat_sn: Serial(0),
    })
}

fn logout_request() -> Request {
    Request::Logout(LogoutRequest {
        immediate: true,
        reason: LogoutReason::CLOSE_SESSION,
        itt: Itt(1),
        cid: Cid(0),
        cmd_sn: Serial(1),
        exp_stat_sn: Serial(0),
    })
}

/// A wrong target would look for the session of the connection and find none, or crash: hence the
/// login afterwards.
async fn first_pdu(ctx: Context, request: Request) -> Result<(), Finding> {
    let mut conn = ctx.connect().await?;
    let data: &[u8] = if matches!(request, Request::Text(_)) {
        b"SendTargets=All\0"
    } else {
        b""
    };
    conn.send(&request, data).await?;
    let said = conn.expect_close(CLOSING).await;
    let said = said.map_err(|error| Finding::fail("the connection is closed", error))?;
    ctx.session().await?;
    match said.first() {
        None => Ok(()),
        Some(pdu) => Err(Finding::weak(
            "closed without a word",
            pdu.bhs.opcode().name(),
        )),
    }
}

async fn pdu_during_login(ctx: Context, request: Request) -> Result<(), Finding> {
    let mut exchange = Exchange::open(&ctx, &ctx.login_options()).await?;
    let text = exchange.named(&[]);
    exchange.ask(OPERATIONAL, None, &text).await?;
    exchange.conn.send(&request, b"").await?;
    match exchange.hear().await? {
        Heard::Refusal(response) => {
            exact_status(LoginStatus::INVALID_DURING_LOGIN, response.status)?;
        }
        Heard::Answer(_) => return Err(Finding::fail("status 020b", "the login goes on")),
        Heard::Closed => return Err(Finding::fail("status 020b", "closed without a word")),
    }
    closes(&mut exchange.conn).await
}

async fn cmd_sn_of_login(ctx: Context) -> Result<(), Finding> {
    let mut options = ctx.login_options();
    options.cmd_sn = Serial(0x0102_0304);
    let mut exchange = Exchange::open(&ctx, &options).await?;
    let text = exchange.named(&[]);
    let first = exchange.ask(OPERATIONAL, None, &text).await?.response;
    let last = exchange
        .ask(OPERATIONAL, Some(FULL_FEATURE), b"")
        .await?
        .response;
    for response in [first, last] {
        expect_eq("ExpCmdSN", options.cmd_sn, response.exp_cmd_sn)?;
    }
    // Not immediate: a target that counted the logins would take this for an old command.
    let mut nop = ping(Itt(0x77), options.cmd_sn, exchange.request.exp_stat_sn);
    nop.0[0] = Opcode::NOP_OUT.0;
    exchange.conn.send_bhs(nop, &[], b"").await?;
    let received = exchange.conn.recv().await?;
    expect(
        matches!(received.response, Response::NopIn(_)),
        "NOP-In",
        received.bhs.opcode().name(),
    )?;
    expect_eq(
        "ExpCmdSN after one command",
        options.cmd_sn.next(),
        received.header.exp_cmd_sn,
    )
}

async fn stat_sn_of_login(ctx: Context) -> Result<(), Finding> {
    let mut exchange = Exchange::open(&ctx, &ctx.login_options()).await?;
    let text = exchange.named(&[]);
    let mut due = exchange
        .ask(OPERATIONAL, None, &text)
        .await?
        .response
        .stat_sn
        .next();
    for (to, what) in [
        (None, b"".as_slice()),
        (None, b"InitialR2T=Yes\0"),
        (Some(FULL_FEATURE), b""),
    ] {
        let response = exchange.ask(OPERATIONAL, to, what).await?.response;
        expect_eq("StatSN", due, response.stat_sn)?;
        due = due.next();
    }
    let nop = ping(Itt(0x77), exchange.request.cmd_sn, due);
    exchange.conn.send_bhs(nop, &[], b"").await?;
    let received = exchange.conn.recv().await?;
    expect_eq(
        "StatSN of the first response after login",
        due,
        received.header.stat_sn,
    )
}

async fn echo(ctx: Context) -> Result<(), Finding> {
    let mut options = ctx.login_options();
    options.isid.0[2] ^= 0x5a;
    let mut exchange = Exchange::open(&ctx, &options).await?;
    exchange.request.itt = Itt(0xcafe_0001);
    let text = exchange.named(&[]);
    let first = exchange.ask(OPERATIONAL, None, &text).await?.response;
    let last = exchange
        .ask(OPERATIONAL, Some(FULL_FEATURE), b"")
        .await?
        .response;
    for response in [first, last] {
        expect_eq("Initiator Task Tag", Itt(0xcafe_0001), response.itt)?;
        expect_eq("ISID", options.isid, response.isid)?;
    }
    Ok(())
}
