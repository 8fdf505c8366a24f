//! PDUs as bytes: lengths, padding, reserved fields, and peers that stop in the middle
//! (RFC 7143 11.1, 11.2).

use std::time::Duration;

use initiator_sim::{Conn, Session};
use iscsi::{Itt, Opcode, RejectReason, Response};

use super::exchange::{CLOSING, Exchange, SILENCE, beside, closes, ping};
use crate::context::Context;
use crate::scenario;
use crate::scenario::{Finding, Scenario, expect, expect_eq};

/// All of this family.
pub fn scenarios() -> Vec<Scenario> {
    SCENARIOS.to_vec()
}

static SCENARIOS: &[Scenario] = &[
    scenario! {
        "framing.byte-by-byte", "RFC 7143 11.1",
        "A PDU is the same whether its bytes come together or one by one.",
        needs [];
        async |ctx| { byte_by_byte(ctx).await }
    },
    scenario! {
        "framing.many-at-once", "RFC 7143 11.1",
        "PDUs that come together are taken one after the other, each at its own length.",
        needs [];
        async |ctx| { many_at_once(ctx).await }
    },
    scenario! {
        "framing.padding.sent", "RFC 7143 11.1",
        "The target pads data segments to four bytes with zeros that DataSegmentLength leaves out.",
        needs [];
        async |ctx| { padding_of_answers(ctx).await }
    },
    scenario! {
        "framing.padding.ignored", "RFC 7143 11.1",
        "What the padding of a received data segment contains does not matter.",
        needs [];
        async |ctx| { padding_of_requests(ctx).await }
    },
    scenario! {
        "framing.reserved.ignored", "RFC 7143 11",
        "Reserved fields of a received PDU do not matter.",
        needs [];
        async |ctx| { reserved_of_requests(ctx).await }
    },
    scenario! {
        "framing.reserved.zero", "RFC 7143 11",
        "Reserved fields of a PDU the target sends are zero.",
        needs [];
        async |ctx| { reserved_of_answers(ctx).await }
    },
    scenario! {
        "framing.unknown-opcode", "RFC 7143 11.17.1",
        "A PDU with an unassigned opcode is rejected as not supported; the session lives.",
        needs [];
        async |ctx| { unknown_opcode(ctx).await }
    },
    scenario! {
        "framing.unknown-ahs", "RFC 7143 11.2.1.5",
        "TotalAHSLength says where the data segment begins, whatever the AHS is.",
        needs [];
        async |ctx| { unknown_ahs(ctx).await }
    },
    scenario! {
        "framing.too-long", "RFC 7143 13.12",
        "A data segment above what the target declared to receive does no harm to others.",
        needs [];
        async |ctx| { too_long(ctx).await }
    },
    scenario! {
        "framing.cut.fin", "robustness",
        "A peer that closes in the middle of a PDU is let go, and does no harm to others.",
        needs [];
        async |ctx| { cut_off(ctx, false).await }
    },
    scenario! {
        "framing.cut.rst", "robustness",
        "A peer that resets in the middle of a PDU is let go, and does no harm to others.",
        needs [];
        async |ctx| { cut_off(ctx, true).await }
    },
    scenario! {
        "framing.no-iscsi", "robustness",
        "A peer that does not speak iSCSI at all is turned away, and does no harm to others.",
        needs [];
        async |ctx| { no_iscsi(ctx).await }
    },
];

/// The bytes of a ping with `data`.
fn ping_bytes(session: &mut Session, itt: Itt, data: &[u8]) -> Vec<u8> {
    let numbering = *session.numbering();
    let mut bhs = ping(itt, numbering.cmd_sn, numbering.exp_stat_sn);
    bhs.set_data_segment_len(data.len() as u32);
    session.conn().encode(bhs, &[], data)
}

/// The next PDU is the echo of `data` for `itt`.
async fn is_echo(session: &mut Session, itt: Itt, data: &[u8]) -> Result<(), Finding> {
    let received = session.recv().await?;
    let Response::NopIn(pdu) = received.response else {
        return Err(Finding::fail("NOP-In", received.bhs.opcode().name()));
    };
    expect_eq("Initiator Task Tag", itt, pdu.itt)?;
    expect(
        received.data == data,
        "the data of the ping",
        format!("{:02x?}", received.data),
    )
}

async fn byte_by_byte(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let bytes = ping_bytes(&mut session, Itt(0x51), b"one by one");
    for byte in &bytes {
        session.conn().send_raw(std::slice::from_ref(byte)).await?;
        // Without a pause the kernel puts them together again.
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    is_echo(&mut session, Itt(0x51), b"one by one").await
}

async fn many_at_once(ctx: Context) -> Result<(), Finding> {
    const COUNT: u32 = 8;
    let mut session = ctx.session().await?;
    for which in 0..COUNT {
        let data = vec![which as u8; which as usize];
        let bytes = ping_bytes(&mut session, Itt(0x60 + which), &data);
        session.conn().queue_raw(&bytes);
    }
    session.conn().flush().await?;
    for which in 0..COUNT {
        let data = vec![which as u8; which as usize];
        is_echo(&mut session, Itt(0x60 + which), &data).await?;
    }
    Ok(())
}

/// The framer takes any padding, so that the raw bytes are looked at here.
async fn padding_of_answers(ctx: Context) -> Result<(), Finding> {
    let mut exchange = Exchange::open(&ctx, &ctx.login_options()).await?;
    exchange.finish().await?;
    for (which, len) in [1_usize, 2, 3, 5].into_iter().enumerate() {
        let itt = Itt(0x70 + which as u32);
        let bhs = ping(itt, exchange.request.cmd_sn, exchange.request.exp_stat_sn);
        exchange.conn.send_bhs(bhs, &[], vec![0xff; len]).await?;
        let mut bytes = vec![0; 48 + len.next_multiple_of(4)];
        read_exactly(&exchange.conn, &mut bytes).await?;
        expect_eq("opcode", Opcode::NOP_IN.0, bytes[0] & 0x3f)?;
        let said = usize::from(bytes[7]);
        expect_eq("DataSegmentLength", len, said)?;
        let (data, padding) = bytes[48..].split_at(len);
        expect(
            data.iter().all(|byte| *byte == 0xff),
            "the data",
            format!("{data:02x?}"),
        )?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(Finding::weak("padding of zeros", format!("{padding:02x?}")));
        }
        exchange.request.exp_stat_sn = exchange.request.exp_stat_sn.next();
    }
    Ok(())
}

/// Straight from the socket, past the framer.
async fn read_exactly(conn: &Conn, mut into: &mut [u8]) -> Result<(), Finding> {
    let deadline = tokio::time::Instant::now() + conn.timeout();
    while !into.is_empty() {
        let readable = tokio::time::timeout_at(deadline, conn.stream().readable()).await;
        match readable {
            Err(_) => return Err(Finding::Hang("no answer to a ping".to_owned())),
            Ok(Err(error)) => return Err(Finding::fail("an answer", error)),
            Ok(Ok(())) => {}
        }
        match conn.stream().try_read(into) {
            Ok(0) => return Err(Finding::fail("an answer", "closed by the target")),
            Ok(len) => into = &mut into[len..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(Finding::fail("an answer", error)),
        }
    }
    Ok(())
}

async fn padding_of_requests(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let mut bytes = ping_bytes(&mut session, Itt(0x52), b"padme");
    let len = bytes.len();
    bytes[len - 3..].copy_from_slice(&[0xde, 0xad, 0xbe]);
    session.conn().send_raw(&bytes).await?;
    is_echo(&mut session, Itt(0x52), b"padme").await?;
    Ok(session
        .nop(b"and the next is read at the right place")
        .await?)
}

async fn reserved_of_requests(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let mut bytes = ping_bytes(&mut session, Itt(0x53), b"");
    // NOP-Out: bits 1 to 7 of byte 1, bytes 2 and 3, and all after ExpStatSN (11.18).
    bytes[1] |= 0x7f;
    bytes[2..4].fill(0xff);
    bytes[32..48].fill(0xff);
    session.conn().send_raw(&bytes).await?;
    is_echo(&mut session, Itt(0x53), b"").await
}

async fn reserved_of_answers(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let bytes = ping_bytes(&mut session, Itt(0x54), b"x");
    session.conn().send_raw(&bytes).await?;
    let received = session.recv().await?;
    let bhs = received.bhs.0;
    expect_eq("NOP-In: byte 0", Opcode::NOP_IN.0, bhs[0])?;
    expect_eq("NOP-In: byte 1", 0x80, bhs[1])?;
    expect(
        bhs[2..5] == [0; 3],
        "bytes 2 to 4 zero",
        format!("{:02x?}", &bhs[2..5]),
    )?;
    expect(
        bhs[36..] == [0; 12],
        "bytes 36 to 47 zero",
        format!("{:02x?}", &bhs[36..]),
    )
}

async fn unknown_opcode(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    // 0x1b is not assigned, and not one of the vendors' codes either (11.2.1.2).
    let mut bytes = ping_bytes(&mut session, Itt(0x55), b"what is this");
    bytes[0] = 0x40 | 0x1b;
    session.conn().send_raw(&bytes).await?;
    let received = session.recv().await?;
    let Response::Reject(reject) = received.response else {
        return Err(Finding::fail("Reject", received.bhs.opcode().name()));
    };
    expect_eq("reason", RejectReason::NOT_SUPPORTED, reject.reason)?;
    let header = received.data.get(..48);
    expect(
        header == Some(&bytes[..48]),
        "the whole header",
        format!("{header:02x?}"),
    )?;
    Ok(session.nop(b"the session lives on").await?)
}

/// A wrong target takes the AHS for data, or the data for the next PDU. Refusing the PDU is as
/// good as ignoring the AHS.
async fn unknown_ahs(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let numbering = *session.numbering();
    let bhs = ping(Itt(0x56), numbering.cmd_sn, numbering.exp_stat_sn);
    // AHSLength 5, an AHS type that is not assigned, five bytes, padding.
    let ahs = [0, 5, 0x3f, 0, 1, 2, 3, 4];
    session.conn().send_bhs(bhs, &ahs, b"data").await?;
    let received = session.recv().await;
    match received {
        Ok(received) => match received.response {
            Response::NopIn(_) => {
                expect(
                    received.data == b"data",
                    "the data",
                    format!("{:02x?}", received.data),
                )?;
            }
            Response::Reject(_) => {}
            _ => {
                return Err(Finding::fail(
                    "NOP-In or Reject",
                    received.bhs.opcode().name(),
                ));
            }
        },
        Err(error) if error.is_lost() => {
            ctx.session().await?;
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    }
    Ok(session
        .nop(b"and the next is read at the right place")
        .await?)
}

async fn too_long(ctx: Context) -> Result<(), Finding> {
    let mut beside = ctx.session_with(beside(ctx.login_options(), 1)).await?;
    let mut session = ctx.session().await?;
    let limit = session.params().peer_max_recv_data_segment as usize;
    if limit > 4 << 20 {
        return Err(Finding::Skip(format!(
            "the target takes segments of {limit} bytes"
        )));
    }
    let bytes = ping_bytes(&mut session, Itt(0x57), &vec![0x5a; limit + 4]);
    // The target may be gone before all of it is sent.
    let sent = session.conn().send_raw(&bytes).await;
    let answer = match sent {
        Ok(()) => session.recv().await,
        Err(error) => Err(error.into()),
    };
    beside.nop(b"unharmed").await?;
    match answer {
        Ok(received) => match received.response {
            Response::Reject(_) => Ok(()),
            _ => Err(Finding::weak("a refusal", received.bhs.opcode().name())),
        },
        Err(error) if error.is_lost() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn cut_off(ctx: Context, reset: bool) -> Result<(), Finding> {
    let mut beside = ctx.session_with(beside(ctx.login_options(), 1)).await?;
    let mut session = ctx.session().await?;
    let bytes = ping_bytes(&mut session, Itt(0x58), &[0x5a; 512]);
    session.conn().send_raw(&bytes[..100]).await?;
    if reset {
        session.cut();
    } else {
        session.conn().shutdown()?;
        closes(session.conn()).await?;
    }
    beside.nop(b"unharmed").await?;
    ctx.session().await?;
    Ok(())
}

/// Read as a PDU header, an HTTP request has opcode 07h, which is not assigned.
async fn no_iscsi(ctx: Context) -> Result<(), Finding> {
    let mut beside = ctx.session().await?;
    let mut conn = ctx.connect().await?;
    let request =
        b"GET / HTTP/1.1\r\nHost: storage.example\r\nAccept: */*\r\nUser-Agent: glint\r\n\r\n";
    conn.send_raw(request).await?;
    let refused = conn.expect_close(CLOSING).await;
    beside.nop(b"unharmed").await?;
    beside.idle(SILENCE / 4).await?;
    match refused {
        Ok(_) => Ok(()),
        Err(error) => Err(Finding::weak("the connection is closed", error)),
    }
}
