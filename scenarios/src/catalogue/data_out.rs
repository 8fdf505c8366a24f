//! Data-Outs that break the rules: whatever the target makes of them, it must not say GOOD to data
//! it does not have, and nothing may land where the command does not point.

use initiator_sim::Session;
use iscsi::pdu::{DataOut, R2t, ScsiCommand};
use iscsi::{Itt, Opcode, Ttt};

use super::by_hand::{
    self, Ending, Heard, QUIET, SOON, ending, hear, hear_r2t, solicited, unsolicited,
};
use super::judge::{
    INCORRECT_AMOUNT_OF_DATA, PROTOCOL_SERVICE_CRC_ERROR, UNEXPECTED_UNSOLICITED_DATA, blocks_of,
    good, holds, short_bursts, witness,
};
use crate::context::Context;
use crate::scenario;
use crate::scenario::{Finding, Scenario, expect};

/// All scenarios of this family.
pub fn scenarios() -> Vec<Scenario> {
    SCENARIOS.to_vec()
}

static SCENARIOS: &[Scenario] = &[
    scenario! {
        "data-out.unsolicited-forbidden", "RFC 7143 11.4.7.2, 4.2.5.2",
        "With InitialR2T=Yes a Data-Out nobody asked for ends the command with ABORTED COMMAND, \
         UNEXPECTED UNSOLICITED DATA, or the connection.",
        needs [Destructive];
        async |ctx| {
            for immediate in [true, false] {
                let mut session =
                    ctx.session_with(short_bursts(&ctx, immediate, true)).await?;
                let data = blocks_of(&session, 0xf0, 2);
                let command = open(&mut session, &ctx, 2, &[], false).await?;
                let pdu = unsolicited(&mut session, command.itt, 0, 0, true);
                session.conn().send(&pdu.into(), &data).await?;
                let end = ending(&mut session, command.itt).await?;
                end.is_refusal(&[UNEXPECTED_UNSOLICITED_DATA])?;
            }
            serves_others(&ctx).await
        }
    },
    scenario! {
        "data-out.immediate-forbidden", "RFC 7143 13.11, 11.4.7.2",
        "With ImmediateData=No and InitialR2T=Yes, immediate data is rejected: ABORTED COMMAND, \
         UNEXPECTED UNSOLICITED DATA, or the connection closed.",
        needs [Destructive];
        async |ctx| {
            let mut session = ctx.session_with(short_bursts(&ctx, false, true)).await?;
            if session.params().immediate_data {
                return Err(Finding::Skip("the target insists on ImmediateData=Yes".into()));
            }
            let data = blocks_of(&session, 0xf1, 1);
            let command = open(&mut session, &ctx, 1, &data, true).await?;
            let end = ending(&mut session, command.itt).await?;
            end.is_refusal(&[UNEXPECTED_UNSOLICITED_DATA])?;
            serves_others(&ctx).await
        }
    },
    scenario! {
        "data-out.over-first-burst", "RFC 7143 13.14, 4.2.5.2, 11.4.7.2",
        "More unsolicited data than FirstBurstLength does not end GOOD, whether it comes with \
         the command or in Data-Outs.",
        needs [Destructive, UnsolicitedData];
        async |ctx| { over_first_burst(ctx).await }
    },
    scenario! {
        "data-out.too-little-unsolicited", "RFC 7143 11.4.7.2",
        "Unsolicited Data-Outs that end before FirstBurstLength though the command carries \
         more are reported as an incorrect amount of data.",
        needs [Destructive, UnsolicitedData];
        async |ctx| { too_little_unsolicited(ctx).await }
    },
    scenario! {
        "data-out.past-the-expected-length", "RFC 7143 11.3.4, 13.10",
        "Data beyond the Expected Data Transfer Length is never written.",
        needs [Destructive, UnsolicitedData];
        async |ctx| { past_the_expected_length(ctx).await }
    },
    scenario! {
        "data-out.less-than-asked", "RFC 7143 11.4.7.2, 11.8.4",
        "An answer to an R2T that ends early is reported as an incorrect amount of data, never \
         as GOOD.",
        needs [Destructive];
        async |ctx| {
            let (mut session, r2t, data) = asked_for(&ctx, 4).await?;
            let short = r2t.desired_len - session.block_size;
            let pdu = solicited(&mut session, &r2t, 0, 0, true);
            session.conn().send(&pdu.into(), &data[..short as usize]).await?;
            let end = ending(&mut session, r2t.itt).await?;
            asked_again_is_weak(&end, "an incorrect amount of data reported at once")?;
            end.is_refusal(&[INCORRECT_AMOUNT_OF_DATA])?;
            serves_others(&ctx).await
        }
    },
    scenario! {
        "data-out.more-than-asked", "RFC 7143 11.4.7.2, 11.8.4",
        "An answer that goes beyond what the R2T asked for does not end GOOD.",
        needs [Destructive];
        async |ctx| { more_than_asked(ctx).await }
    },
    scenario! {
        "data-out.wrong-offset", "RFC 7143 11.7.6, 13.18",
        "With DataPDUInOrder=Yes, a Data-Out whose buffer offset leaves a gap, overlaps or lies \
         outside the R2T does not end GOOD.",
        needs [Destructive];
        async |ctx| { wrong_offset(ctx).await }
    },
    scenario! {
        "data-out.wrong-data-sn", "RFC 7143 7.9, 11.7.5",
        "A Data-Out whose DataSN is out of order stands for one that was lost: the task does \
         not end GOOD unless the data is asked for again.",
        needs [Destructive];
        async |ctx| { wrong_data_sn(ctx).await }
    },
    scenario! {
        "data-out.wrong-transfer-tag", "RFC 7143 11.7.4, 11.17.1, 7.3",
        "A Data-Out with a Target Transfer Tag nobody gave out is rejected, its data is not \
         used, and the task it names lives on until a response ends it.",
        needs [Destructive];
        async |ctx| { wrong_transfer_tag(ctx).await }
    },
    scenario! {
        "data-out.unknown-task", "RFC 7143 11.17.1",
        "A Data-Out for a task that does not exist is rejected, and the session goes on.",
        needs [];
        async |ctx| { unknown_task(ctx).await }
    },
    scenario! {
        "data-out.missing-final", "RFC 7143 11.7.1",
        "Data-Outs that bring all an R2T asks for without the F bit are not the end of the \
         sequence; with F the WRITE ends.",
        needs [Destructive];
        async |ctx| { missing_final(ctx).await }
    },
];

/// Sends a WRITE(10) of `blocks` at block 0 with `data` on board.
async fn open(
    session: &mut Session,
    ctx: &Context,
    blocks: u16,
    data: &[u8],
    is_final: bool,
) -> Result<ScsiCommand, Finding> {
    let mut command = by_hand::write_command(session, ctx.lun(), 0, blocks);
    command.is_final = is_final;
    session.conn().send(&command.into(), data).await?;
    Ok(command)
}

/// A session in which a WRITE of `blocks` waits for the answer to its only R2T.
async fn asked_for(ctx: &Context, blocks: u16) -> Result<(Session, R2t, Vec<u8>), Finding> {
    let mut session = ctx.session_with(short_bursts(ctx, false, true)).await?;
    let data = blocks_of(&session, 0xda7a, u32::from(blocks) + 2);
    let command = open(&mut session, ctx, blocks, &[], true).await?;
    let r2t = hear_r2t(&mut session, command.itt).await?;
    let whole = u32::from(blocks) * session.block_size;
    if r2t.buffer_offset != 0 || r2t.desired_len != whole {
        return Err(Finding::Skip(format!(
            "the target cuts an R2T for {whole} bytes"
        )));
    }
    Ok((session, r2t, data))
}

/// Bad data on one session is nothing to others.
async fn serves_others(ctx: &Context) -> Result<(), Finding> {
    let mut other = witness(ctx).await?;
    let data = blocks_of(&other, 0x07e4, 1);
    good(
        "WRITE(10) on another session",
        &other.write(ctx.lun(), 0, &data).await?,
    )?;
    holds(&mut other, ctx, 0, &data).await
}

/// Asking for the rest is not what the standard says, and does no harm.
fn asked_again_is_weak(end: &Ending, expected: &str) -> Result<(), Finding> {
    match end.r2ts.first() {
        Some(r2t) => Err(Finding::weak(expected, Heard::R2t(*r2t))),
        None => Ok(()),
    }
}

async fn over_first_burst(ctx: Context) -> Result<(), Finding> {
    let senses = [UNEXPECTED_UNSOLICITED_DATA, INCORRECT_AMOUNT_OF_DATA];
    let mut session = ctx.session_with(short_bursts(&ctx, true, false)).await?;
    let params = session.params().clone();
    let block = session.block_size;
    let first = params.first_burst;
    let blocks = u16::try_from(2 * first / block + 2).expect("few");
    let data = blocks_of(&session, 0x0f1, blocks.into());
    // All in Data-Outs, the last of them one block too long.
    let command = open(&mut session, &ctx, blocks, &[], false).await?;
    let limit = params.peer_max_recv_data_segment.min(first);
    let (mut from, mut sn) = (0, 0);
    while from < first + block {
        let to = (from + limit).min(first + block);
        let pdu = unsolicited(&mut session, command.itt, sn, from, to == first + block);
        session
            .conn()
            .queue(&pdu.into(), &data[from as usize..to as usize]);
        (from, sn) = (to, sn + 1);
    }
    let _closed_already = session.conn().flush().await;
    let end = ending(&mut session, command.itt).await?;
    asked_again_is_weak(&end, "too much unsolicited data reported")?;
    end.is_refusal(&senses)?;
    // All on board of the command.
    if params.immediate_data && params.peer_max_recv_data_segment >= first + block {
        let mut session = ctx.session_with(short_bursts(&ctx, true, false)).await?;
        let on_board = &data[..(first + block) as usize];
        let command = open(&mut session, &ctx, blocks, on_board, true).await?;
        let end = ending(&mut session, command.itt).await?;
        asked_again_is_weak(&end, "too much immediate data reported")?;
        end.is_refusal(&senses)?;
    }
    serves_others(&ctx).await
}

async fn too_little_unsolicited(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session_with(short_bursts(&ctx, true, false)).await?;
    let block = session.block_size;
    let blocks = u16::try_from(2 * session.params().first_burst / block).expect("few");
    let data = blocks_of(&session, 0x717, blocks.into());
    let command = open(&mut session, &ctx, blocks, &[], false).await?;
    let pdu = unsolicited(&mut session, command.itt, 0, 0, true);
    session
        .conn()
        .send(&pdu.into(), &data[..block as usize])
        .await?;
    let end = ending(&mut session, command.itt).await?;
    if end.r2ts.is_empty() {
        end.is_refusal(&[INCORRECT_AMOUNT_OF_DATA])?;
        return serves_others(&ctx).await;
    }
    // A target that asks for the rest must at least store it.
    let mut next = Heard::R2t(end.r2ts[0]);
    loop {
        match next {
            Heard::R2t(r2t) => by_hand::answer(&mut session, &r2t, &data).await?,
            Heard::Ended(ended) if ended.is_good() => break,
            _ => return Ok(()),
        }
        next = hear(&mut session, command.itt, SOON).await?;
    }
    holds(&mut session, &ctx, 0, &data).await?;
    Err(Finding::weak(
        "an incorrect amount of data reported",
        "the rest asked for, and GOOD",
    ))
}

async fn past_the_expected_length(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session_with(short_bursts(&ctx, true, false)).await?;
    let mut other = witness(&ctx).await?;
    let block = session.block_size as usize;
    let before = blocks_of(&session, 0x9a5, 3);
    good("WRITE(10)", &other.write(ctx.lun(), 0, &before).await?)?;
    let data = blocks_of(&session, 0x9a6, 2);
    // The CDB names two blocks, the expected length one, and two come.
    let mut command = by_hand::write_command(&mut session, ctx.lun(), 0, 2);
    command.edtl = session.block_size;
    command.is_final = false;
    session.conn().send(&command.into(), []).await?;
    let pdu = unsolicited(&mut session, command.itt, 0, 0, true);
    session.conn().send(&pdu.into(), &data).await?;
    let end = ending(&mut session, command.itt).await?;
    holds(&mut other, &ctx, 1, &before[block..]).await?;
    match &end.last {
        Heard::Ended(ended) if ended.is_good() => Err(Finding::weak(
            "data beyond the expected length reported",
            ended,
        )),
        Heard::Silence if end.r2ts.is_empty() && end.rejects.is_empty() => Err(Finding::Hang(
            "no answer to data beyond the expected length".into(),
        )),
        _ => Ok(()),
    }
}

async fn more_than_asked(ctx: Context) -> Result<(), Finding> {
    let (mut session, r2t, data) = asked_for(&ctx, 4).await?;
    let mut other = witness(&ctx).await?;
    let before = blocks_of(&other, 0x303e, 1);
    good("WRITE(10)", &other.write(ctx.lun(), 4, &before).await?)?;
    let pdu = solicited(&mut session, &r2t, 0, 0, true);
    let long = r2t.desired_len + session.block_size;
    session
        .conn()
        .send(&pdu.into(), &data[..long as usize])
        .await?;
    let end = ending(&mut session, r2t.itt).await?;
    holds(&mut other, &ctx, 4, &before).await?;
    asked_again_is_weak(&end, "an incorrect amount of data reported")?;
    end.is_refusal(&[INCORRECT_AMOUNT_OF_DATA, UNEXPECTED_UNSOLICITED_DATA])
}

async fn wrong_offset(ctx: Context) -> Result<(), Finding> {
    // Where the pieces go, in quarters of the answer; 0, 1, 2, 3 would be right. All but the last
    // end where an answer should, so that nothing but the offsets is wrong.
    let cases: [(&str, &[u32]); 5] = [
        ("a gap", &[0, 1, 3]),
        ("an overlap", &[0, 1, 1, 2, 3]),
        ("pieces out of order", &[0, 2, 1, 3]),
        ("a piece that is not first", &[1, 0, 2, 3]),
        ("a piece outside of the R2T", &[0, 1, 2, 4]),
    ];
    for (what, places) in cases {
        let (mut session, r2t, data) = asked_for(&ctx, 4).await?;
        let quarter = r2t.desired_len / 4;
        for (sn, place) in (0..).zip(places) {
            let is_final = sn as usize == places.len() - 1;
            let pdu = solicited(&mut session, &r2t, sn, place * quarter, is_final);
            let from = (place * quarter) as usize;
            session
                .conn()
                .queue(&pdu.into(), &data[from..from + quarter as usize]);
        }
        let _closed_already = session.conn().flush().await;
        let end = ending(&mut session, r2t.itt).await?;
        any_refusal(&end, what)?;
    }
    serves_others(&ctx).await
}

async fn wrong_data_sn(ctx: Context) -> Result<(), Finding> {
    let cases = [
        ("a gap (0, 2)", [0, 2]),
        ("a duplicate (0, 0)", [0, 0]),
        ("a first PDU that is not 0 (1, 2)", [1, 2]),
        ("backwards (1, 0)", [1, 0]),
    ];
    for (what, numbers) in cases {
        let (mut session, r2t, data) = asked_for(&ctx, 4).await?;
        let half = r2t.desired_len / 2;
        for (index, sn) in (0..).zip(numbers) {
            let pdu = solicited(&mut session, &r2t, sn, index * half, index == 1);
            let from = (index * half) as usize;
            session
                .conn()
                .queue(&pdu.into(), &data[from..from + half as usize]);
        }
        let _closed_already = session.conn().flush().await;
        let end = ending(&mut session, r2t.itt).await?;
        any_refusal(&end, what)?;
    }
    serves_others(&ctx).await
}

/// Anything but GOOD: the standard names no one sense for it. An R2T asks for the data again.
fn any_refusal(end: &Ending, what: &str) -> Result<(), Finding> {
    let expected = format!("anything but GOOD to {what}");
    match &end.last {
        Heard::Ended(ended) if ended.is_good() => Err(Finding::fail(expected, ended)),
        Heard::Silence if end.r2ts.is_empty() => {
            Err(Finding::Hang(format!("{expected}: nothing came")))
        }
        Heard::Ended(ended) if ended.sense.is_none() => {
            Err(Finding::fail(format!("{expected}, with sense data"), ended))
        }
        // 7.9 sends a wrong DataSN to 7.8, which names this one; others are as clear.
        Heard::Ended(ended) => match ended.sense {
            Some(sense) if sense.key == PROTOCOL_SERVICE_CRC_ERROR.key => Ok(()),
            _ => Err(Finding::weak(format!("{expected}: ABORTED COMMAND"), ended)),
        },
        _ => Ok(()),
    }
}

async fn wrong_transfer_tag(ctx: Context) -> Result<(), Finding> {
    let (mut session, r2t, data) = asked_for(&ctx, 4).await?;
    let mut bad = solicited(&mut session, &r2t, 0, 0, true);
    bad.ttt = other_than(r2t.ttt);
    let wrong = vec![0xee; r2t.desired_len as usize];
    session.conn().send(&bad.into(), &wrong).await?;
    let mut rejected = false;
    match hear(&mut session, r2t.itt, SOON / 2).await? {
        Heard::Rejected(_, bhs) => {
            expect(
                bhs.opcode() == Opcode::DATA_OUT && bhs.itt() == r2t.itt,
                "the header of the rejected Data-Out in the Reject",
                bhs.opcode().name(),
            )?;
            rejected = true;
        }
        Heard::Closed => return serves_others(&ctx).await,
        Heard::Ended(ended) if !ended.is_good() => return serves_others(&ctx).await,
        Heard::Silence => {}
        other => return Err(Finding::fail("a Reject of the Data-Out", other)),
    }
    by_hand::answer(&mut session, &r2t, &data).await?;
    let end = ending(&mut session, r2t.itt).await?;
    match &end.last {
        Heard::Ended(ended) if ended.is_good() => {
            holds(&mut session, &ctx, 0, &data[..r2t.desired_len as usize]).await?;
        }
        Heard::Ended(_) | Heard::Closed => {}
        Heard::Silence => {
            let text = "a Reject must not end a task that is active, and no response came";
            return Err(Finding::Hang(text.into()));
        }
        other => return Err(Finding::fail("a SCSI Response", other)),
    }
    match rejected || !end.rejects.is_empty() {
        true => Ok(()),
        false => Err(Finding::weak("a Reject of the Data-Out", "nothing")),
    }
}

/// A tag that is neither this one nor reserved.
fn other_than(ttt: Ttt) -> Ttt {
    let other = Ttt(ttt.0 ^ 0x5a5a_5a5a);
    if other == Ttt::RESERVED {
        Ttt(0x0bad_cafe)
    } else {
        other
    }
}

async fn unknown_task(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let data = blocks_of(&session, 0x404, 1);
    let itt = Itt(0x7fff_ff01);
    let pdu = DataOut {
        is_final: true,
        lun: ctx.lun(),
        itt,
        ttt: Ttt(0x0bad_cafe),
        exp_stat_sn: session.numbering().exp_stat_sn,
        data_sn: 0,
        buffer_offset: 0,
    };
    session.conn().send(&pdu.into(), &data).await?;
    let heard = hear(&mut session, itt, SOON / 2).await?;
    match heard {
        Heard::Rejected(_, bhs) if bhs.itt() == itt => session.nop(b"still here").await?,
        Heard::Closed => return serves_others(&ctx).await,
        Heard::Silence => {
            session.nop(b"still here").await?;
            return Err(Finding::weak("a Reject of the Data-Out", "nothing"));
        }
        other => return Err(Finding::fail("a Reject of the Data-Out", other)),
    }
    good("TEST UNIT READY afterwards", &session.tur(ctx.lun()).await?)
}

async fn missing_final(ctx: Context) -> Result<(), Finding> {
    let (mut session, r2t, data) = asked_for(&ctx, 2).await?;
    let whole = &data[..r2t.desired_len as usize];
    let pdu = solicited(&mut session, &r2t, 0, 0, false);
    session.conn().send(&pdu.into(), whole).await?;
    match hear(&mut session, r2t.itt, QUIET).await? {
        Heard::Silence => {}
        // Some count bytes and do not wait; what they say of the data must still be true.
        Heard::Ended(ended) if ended.is_good() => {
            holds(&mut session, &ctx, 0, whole).await?;
            return Err(Finding::weak(
                "no response before the Data-Out with F",
                ended,
            ));
        }
        Heard::Ended(_) | Heard::Closed | Heard::Rejected(..) => return serves_others(&ctx).await,
        other => return Err(Finding::fail("no R2T for data that is there", other)),
    }
    let pdu = solicited(&mut session, &r2t, 1, r2t.desired_len, true);
    session.conn().send(&pdu.into(), []).await?;
    let end = ending(&mut session, r2t.itt).await?;
    match &end.last {
        Heard::Ended(ended) if ended.is_good() => holds(&mut session, &ctx, 0, whole).await,
        other => Err(Finding::fail(
            "WRITE(10) ended by an empty Data-Out with F: GOOD",
            other,
        )),
    }
}
