//! Text in full feature phase: its bits and tags, and what may still be negotiated
//! (RFC 7143 6.2, 6.4, 11.10, 11.11).

use initiator_sim::{Received, Session, SessionError};
use iscsi::pdu::{TextRequest, TextResponse};
use iscsi::{Itt, Lun, Response, Ttt, keys};

use crate::context::Context;
use crate::scenario;
use crate::scenario::{Finding, Scenario, expect, expect_eq};

/// All of this family.
pub fn scenarios() -> Vec<Scenario> {
    SCENARIOS.to_vec()
}

static SCENARIOS: &[Scenario] = &[
    scenario! {
        "text.unknown-key", "RFC 7143 6.2",
        "A key that is not known is answered with NotUnderstood in full feature phase too.",
        needs [];
        async |ctx| { unknown_key(ctx).await }
    },
    scenario! {
        "text.fields", "RFC 7143 11.11",
        "A Text Response carries the tag of the request; with F its transfer tag is reserved.",
        needs [];
        async |ctx| { fields(ctx).await }
    },
    scenario! {
        "text.not-final", "RFC 7143 11.11.1",
        "A request without F is not answered with F, but with a tag to go on with.",
        needs [];
        async |ctx| { not_final(ctx).await }
    },
    scenario! {
        "text.continued", "RFC 7143 11.10.2",
        "A request with C is answered without text, and its pairs are put together.",
        needs [];
        async |ctx| { continued(ctx).await }
    },
    scenario! {
        "text.segment-length", "RFC 7143 13.12",
        "MaxRecvDataSegmentLength may be declared anew, and holds from then on.",
        needs [EightMebibytes];
        async |ctx| { new_segment_length(ctx).await }
    },
    scenario! {
        "text.login-only-key", "RFC 7143 13",
        "Keys that only a login may carry change nothing in full feature phase.",
        needs [];
        async |ctx| { login_only_key(ctx).await }
    },
    scenario! {
        "text.empty", "RFC 7143 11.11",
        "A Text Request without text is answered with a Text Response without text.",
        needs [];
        async |ctx| { empty(ctx).await }
    },
];

async fn unknown_key(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let answer = session.text(b"X-com.example.unknown=1\0").await?;
    let pairs = keys::parse(&answer).map_err(|error| Finding::fail("pairs", error))?;
    expect_eq(
        "answer",
        vec![("X-com.example.unknown", "NotUnderstood")],
        pairs,
    )
}

fn request(session: &mut Session, itt: Itt) -> TextRequest {
    let numbering = *session.numbering();
    TextRequest {
        immediate: true,
        is_final: true,
        cont: false,
        lun: Lun(0),
        itt,
        ttt: Ttt::RESERVED,
        cmd_sn: numbering.cmd_sn,
        exp_stat_sn: numbering.exp_stat_sn,
    }
}

async fn exchange(
    session: &mut Session,
    request: TextRequest,
    text: &[u8],
) -> Result<(TextResponse, Received), Finding> {
    session.conn().send(&request.into(), text).await?;
    let received = session.recv().await?;
    match received.response {
        Response::Text(response) => {
            expect_eq("Initiator Task Tag", request.itt, response.itt)?;
            Ok((response, received))
        }
        _ => Err(Finding::fail("Text Response", received.bhs.opcode().name())),
    }
}

async fn fields(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let request = request(&mut session, Itt(0xbeef_0002));
    let (response, _) = exchange(&mut session, request, b"X-com.example.key=1\0").await?;
    expect(response.is_final, "F = 1", "F = 0")?;
    expect(!response.cont, "C = 0", "C = 1")?;
    expect_eq("Target Transfer Tag", Ttt::RESERVED, response.ttt)
}

/// A wrong target ends the exchange that the initiator has not ended.
async fn not_final(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let first = TextRequest {
        is_final: false,
        ..request(&mut session, Itt(0x81))
    };
    let (response, _) = exchange(&mut session, first, b"X-com.example.one=1\0").await?;
    expect(!response.is_final, "F = 0", "F = 1")?;
    expect(
        response.ttt != Ttt::RESERVED,
        "a tag to go on with",
        response.ttt,
    )?;
    let last = TextRequest {
        ttt: response.ttt,
        ..request(&mut session, Itt(0x81))
    };
    let (response, _) = exchange(&mut session, last, b"").await?;
    expect(response.is_final, "F = 1", "F = 0")?;
    expect_eq("Target Transfer Tag", Ttt::RESERVED, response.ttt)
}

async fn continued(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let first = TextRequest {
        is_final: false,
        cont: true,
        ..request(&mut session, Itt(0x82))
    };
    let (response, received) = exchange(&mut session, first, b"X-com.exam").await?;
    expect(
        received.data.is_empty(),
        "no text",
        String::from_utf8_lossy(&received.data),
    )?;
    expect(
        !response.is_final && !response.cont,
        "F = 0 and C = 0",
        format!("{response:?}"),
    )?;
    let last = TextRequest {
        ttt: response.ttt,
        ..request(&mut session, Itt(0x82))
    };
    let (_, received) = exchange(&mut session, last, b"ple.split=1\0").await?;
    let pairs = keys::parse(&received.data).map_err(|error| Finding::fail("pairs", error))?;
    expect_eq(
        "answer",
        vec![("X-com.example.split", "NotUnderstood")],
        pairs,
    )
}

async fn new_segment_length(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let request = request(&mut session, Itt(0x83));
    exchange(&mut session, request, b"MaxRecvDataSegmentLength=512\0").await?;
    let blocks = (16384 / session.block_size) as u16;
    let outcome = session.read(ctx.lun(), 0, blocks).await?;
    expect(outcome.is_good(), "GOOD", &outcome)?;
    // 16384 bytes in no more than 512 at a time.
    expect(
        outcome.data_ins >= 32,
        "at least 32 Data-Ins",
        outcome.data_ins,
    )
}

/// Rejected as a PDU or as a key; the parameter keeps its value either way.
async fn login_only_key(ctx: Context) -> Result<(), Finding> {
    for offered in [
        "HeaderDigest=CRC32C",
        "MaxConnections=1",
        "MaxBurstLength=512",
    ] {
        let mut session = ctx.session().await?;
        match session.text(format!("{offered}\0").as_bytes()).await {
            Ok(answer) => {
                let pairs = keys::parse(&answer).map_err(|error| Finding::fail("pairs", error))?;
                let turned_down = pairs
                    .iter()
                    .all(|(_, value)| ["Reject", "Irrelevant"].contains(value));
                expect(
                    turned_down && !pairs.is_empty(),
                    &format!("{offered} turned down"),
                    format!("{pairs:?}"),
                )?;
            }
            Err(SessionError::Rejected(_)) => {}
            Err(SessionError::Conn(error)) if error.is_lost() => continue,
            Err(error) => return Err(error.into()),
        }
        // A header digest that is suddenly there would be seen now.
        session.nop(b"as before").await?;
    }
    Ok(())
}

async fn empty(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let answer = session.text(b"").await?;
    expect(
        answer.is_empty(),
        "no text",
        String::from_utf8_lossy(&answer),
    )
}
