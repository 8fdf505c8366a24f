//! Data that was asked for, sent as it should be: R2Ts, and Data-Outs in all legal shapes.

use super::by_hand::{self, Heard, QUIET, SOON, ending, hear, hear_r2t, solicited};
use super::judge::{blocks_of, holds, short_bursts};
use crate::context::Context;
use crate::scenario;
use crate::scenario::{Finding, Scenario, expect, expect_eq};

/// All scenarios of this family.
pub fn scenarios() -> Vec<Scenario> {
    SCENARIOS.to_vec()
}

static SCENARIOS: &[Scenario] = &[
    scenario! {
        "write.r2t.fields", "RFC 7143 11.8",
        "R2Ts name the task and its LUN, carry a Target Transfer Tag that is not reserved, \
         count R2TSN from 0, and ask for all data in order, at most MaxBurstLength each.",
        needs [Destructive];
        async |ctx| { r2t_fields(ctx).await }
    },
    scenario! {
        "write.r2t.outstanding", "RFC 7143 13.17",
        "No more R2Ts of a task are unanswered at a time than MaxOutstandingR2T says.",
        needs [Destructive];
        async |ctx| {
            outstanding(&ctx, "1").await?;
            outstanding(&ctx, "3").await
        }
    },
    scenario! {
        "write.r2t.parallel-tasks", "RFC 7143 4.2.5.2, 11.7",
        "Data-Outs of two tasks may come interleaved, the later task's first: each lands where \
         its own task says.",
        needs [Destructive];
        async |ctx| { parallel_tasks(ctx).await }
    },
    scenario! {
        "write.data-out.empty", "RFC 7143 11.7.7",
        "A Data-Out without data is received properly: it counts in DataSN and changes nothing \
         else.",
        needs [Destructive];
        async |ctx| { empty_data_out(ctx).await }
    },
    scenario! {
        "write.data-out.small-pieces", "RFC 7143 11.7",
        "Data-Outs may be as small as the initiator likes, down to one byte and off every \
         boundary.",
        needs [Destructive];
        async |ctx| { small_pieces(ctx).await }
    },
];

async fn r2t_fields(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session_with(short_bursts(&ctx, false, true)).await?;
    let max_burst = session.params().max_burst;
    let blocks = u16::try_from(60 * 1024 / session.block_size).expect("few");
    let data = blocks_of(&session, 0x42d, blocks.into());
    let command = by_hand::write_command(&mut session, ctx.lun(), 0, blocks);
    session.conn().send(&command.into(), []).await?;
    let (mut due, mut count) = (0, 0);
    let ended = loop {
        match hear(&mut session, command.itt, SOON).await? {
            Heard::R2t(r2t) => {
                expect(
                    r2t.ttt != iscsi::Ttt::RESERVED,
                    "a Target Transfer Tag in the R2T",
                    "the reserved value",
                )?;
                expect_eq("LUN of the R2T", ctx.lun(), r2t.lun)?;
                expect_eq("R2TSN", count, r2t.r2t_sn)?;
                expect_eq("Buffer Offset of the R2T", due, r2t.buffer_offset)?;
                let what = format!("Desired Data Transfer Length from 1 to {max_burst}");
                let fits = (1..=max_burst).contains(&r2t.desired_len);
                expect(fits, &what, r2t.desired_len)?;
                due += r2t.desired_len;
                count += 1;
                expect(
                    due <= command.edtl,
                    "no R2T beyond the expected length",
                    due,
                )?;
                by_hand::answer(&mut session, &r2t, &data).await?;
            }
            Heard::Ended(ended) => break ended,
            other => return Err(Finding::fail("R2Ts and a SCSI Response", other)),
        }
    };
    expect(ended.is_good(), "WRITE(10): GOOD", &ended)?;
    expect_eq("bytes asked for", command.edtl, due)?;
    holds(&mut session, &ctx, 0, &data).await
}

async fn outstanding(ctx: &Context, most: &str) -> Result<(), Finding> {
    let options = short_bursts(ctx, false, true)
        .key("MaxBurstLength", "8192")
        .key("MaxOutstandingR2T", most);
    let mut session = ctx.session_with(options).await?;
    let agreed = usize::from(session.params().max_outstanding_r2t);
    let blocks = u16::try_from(64 * 1024 / session.block_size).expect("few");
    let data = blocks_of(&session, 0x0c7, blocks.into());
    let command = by_hand::write_command(&mut session, ctx.lun(), 0, blocks);
    session.conn().send(&command.into(), []).await?;
    let mut unanswered = std::collections::VecDeque::new();
    let mut patience = QUIET;
    let ended = loop {
        let wait = if unanswered.is_empty() {
            SOON
        } else {
            patience
        };
        match hear(&mut session, command.itt, wait).await? {
            Heard::R2t(r2t) => unanswered.push_back(r2t),
            Heard::Silence if unanswered.is_empty() => {
                return Err(Finding::Hang(
                    "neither an R2T nor a response to a WRITE".into(),
                ));
            }
            // All that may come unanswered has come.
            Heard::Silence => {
                let r2t = unanswered.pop_front().expect("just seen not to be empty");
                by_hand::answer(&mut session, &r2t, &data).await?;
                patience = QUIET / 6;
            }
            Heard::Ended(ended) => break ended,
            other => return Err(Finding::fail("R2Ts and a SCSI Response", other)),
        }
        let what = format!("at most {agreed} R2Ts unanswered (MaxOutstandingR2T)");
        expect(unanswered.len() <= agreed, &what, unanswered.len())?;
    };
    expect(ended.is_good(), "WRITE(10): GOOD", &ended)?;
    expect_eq("R2Ts unanswered at the end", 0, unanswered.len())?;
    holds(&mut session, ctx, 0, &data).await
}

async fn parallel_tasks(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session_with(short_bursts(&ctx, false, true)).await?;
    let block = session.block_size as usize;
    let data = [blocks_of(&session, 0x9a1, 2), blocks_of(&session, 0x9a2, 2)];
    let mut r2ts = Vec::new();
    for lba in [0, 2] {
        let command = by_hand::write_command(&mut session, ctx.lun(), lba, 2);
        session.conn().send(&command.into(), []).await?;
        r2ts.push(hear_r2t(&mut session, command.itt).await?);
    }
    for r2t in &r2ts {
        expect_eq("bytes asked for", 2 * session.block_size, r2t.desired_len)?;
    }
    expect(
        r2ts[0].ttt != r2ts[1].ttt || r2ts[0].lun != r2ts[1].lun,
        "Target Transfer Tags that tell two R2Ts apart",
        "the same tag",
    )?;
    for (half, is_final) in [(0, false), (1, true)] {
        for task in [1, 0] {
            let offset = u32::try_from(half * block).expect("small");
            let sn = u32::try_from(half).expect("small");
            let pdu = solicited(&mut session, &r2ts[task], sn, offset, is_final);
            let piece = &data[task][half * block..(half + 1) * block];
            session.conn().send(&pdu.into(), piece).await?;
        }
    }
    // The answers may come in any order, so the two are heard together.
    let mut open = vec![r2ts[0].itt, r2ts[1].itt];
    while !open.is_empty() {
        let received = session.recv().await?;
        match received.response {
            iscsi::Response::ScsiResponse(pdu) if open.contains(&pdu.itt) => {
                expect_eq("status of WRITE(10)", 0, pdu.status)?;
                open.retain(|itt| *itt != pdu.itt);
            }
            iscsi::Response::NopIn(_) => {}
            other => {
                return Err(Finding::fail("two SCSI Responses", other.opcode().name()));
            }
        }
    }
    holds(&mut session, &ctx, 0, &data.concat()).await
}

async fn empty_data_out(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session_with(short_bursts(&ctx, false, true)).await?;
    let data = blocks_of(&session, 0xe3, 2);
    let half = session.block_size;
    let command = by_hand::write_command(&mut session, ctx.lun(), 4, 2);
    session.conn().send(&command.into(), []).await?;
    let r2t = hear_r2t(&mut session, command.itt).await?;
    expect_eq("bytes asked for", 2 * half, r2t.desired_len)?;
    let cuts = [
        (0, 0),
        (0, half),
        (half, half),
        (half, 2 * half),
        (2 * half, 2 * half),
    ];
    for (sn, (from, to)) in (0..).zip(cuts) {
        let is_final = sn == 4;
        let pdu = solicited(&mut session, &r2t, sn, from, is_final);
        session
            .conn()
            .send(&pdu.into(), &data[from as usize..to as usize])
            .await?;
    }
    let end = ending(&mut session, command.itt).await?;
    match &end.last {
        Heard::Ended(ended) if ended.is_good() => {}
        other => return Err(Finding::fail("WRITE(10) with empty Data-Outs: GOOD", other)),
    }
    holds(&mut session, &ctx, 4, &data).await
}

async fn small_pieces(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session_with(short_bursts(&ctx, false, true)).await?;
    let data = blocks_of(&session, 0x5ba11, 2);
    let command = by_hand::write_command(&mut session, ctx.lun(), 8, 2);
    session.conn().send(&command.into(), []).await?;
    let r2t = hear_r2t(&mut session, command.itt).await?;
    expect_eq("bytes asked for", command.edtl, r2t.desired_len)?;
    let (mut from, mut sn, mut len) = (0, 0, 1);
    while from < command.edtl {
        let to = (from + len).min(command.edtl);
        let pdu = solicited(&mut session, &r2t, sn, from, to == command.edtl);
        session
            .conn()
            .queue(&pdu.into(), &data[from as usize..to as usize]);
        (from, sn, len) = (to, sn + 1, len % 13 + 2);
    }
    session.conn().flush().await?;
    let end = ending(&mut session, command.itt).await?;
    match &end.last {
        Heard::Ended(ended) if ended.is_good() => {}
        other => return Err(Finding::fail("WRITE(10) in small pieces: GOOD", other)),
    }
    holds(&mut session, &ctx, 8, &data).await
}
