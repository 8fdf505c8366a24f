//! WRITE(10) and WRITE(16): all data modes, all edges, and what other nexuses see of it.

use initiator_sim::{Command, cdb};

use super::by_hand::{self, Heard, QUIET, SOON, ending, hear, unsolicited};
use super::judge::{
    INVALID_FIELD_IN_CDB, LBA_OUT_OF_RANGE, blocks_of, good, holds, last_lba, refused,
    short_bursts, witness,
};
use super::read::{dpofua, maximum_transfer, without_protection};
use crate::context::Context;
use crate::scenario;
use crate::scenario::{Finding, Scenario, expect, expect_eq};

/// All scenarios of this family.
pub fn scenarios() -> Vec<Scenario> {
    SCENARIOS.to_vec()
}

static SCENARIOS: &[Scenario] = &[
    scenario! {
        "write.mode.immediate-and-unsolicited", "RFC 7143 13.10, 13.11",
        "With ImmediateData=Yes and InitialR2T=No, WRITEs of every length around FirstBurst \
         and MaxBurst store what was sent, without an R2T up to FirstBurstLength.",
        needs [Destructive, UnsolicitedData];
        async |ctx| { mode(ctx, true, false).await }
    },
    scenario! {
        "write.mode.immediate", "RFC 7143 13.10, 13.11",
        "With ImmediateData=Yes and InitialR2T=Yes, WRITEs of every length around FirstBurst \
         and MaxBurst store what was sent.",
        needs [Destructive];
        async |ctx| { mode(ctx, true, true).await }
    },
    scenario! {
        "write.mode.unsolicited", "RFC 7143 13.10, 13.11",
        "With ImmediateData=No and InitialR2T=No, WRITEs of every length around FirstBurst and \
         MaxBurst store what was sent, without an R2T up to FirstBurstLength.",
        needs [Destructive, UnsolicitedData];
        async |ctx| { mode(ctx, false, false).await }
    },
    scenario! {
        "write.mode.solicited", "RFC 7143 13.10, 13.11",
        "With ImmediateData=No and InitialR2T=Yes, WRITEs of every length around FirstBurst \
         and MaxBurst store what was sent, every byte of it asked for.",
        needs [Destructive];
        async |ctx| { mode(ctx, false, true).await }
    },
    scenario! {
        "write.mode.less-than-allowed", "RFC 7143 13.11, 11.3.1",
        "An initiator may leave out what InitialR2T=No and ImmediateData=Yes allow: F on the \
         command says that no unsolicited data follows, and the rest is asked for.",
        needs [Destructive];
        async |ctx| { less_than_allowed(ctx).await }
    },
    scenario! {
        "write.last-block", "SBC-3 5.36",
        "The last block that READ CAPACITY reports can be written.",
        needs [Destructive];
        async |ctx| {
            let mut session = ctx.session().await?;
            let last = ctx.blocks() - 1;
            let data = blocks_of(&session, 0x1a57, 1);
            good("WRITE(16) of the last block", &session.write16(ctx.lun(), last, &data).await?)?;
            holds(&mut session, &ctx, last, &data).await?;
            let data = blocks_of(&session, 0x1a58, 1);
            let lba = last_lba(&ctx)?;
            good("WRITE(10) of the last block", &session.write(ctx.lun(), lba, &data).await?)?;
            holds(&mut session, &ctx, last, &data).await
        }
    },
    scenario! {
        "write.past-the-end", "SBC-3 5.36",
        "A WRITE that begins past the last block, or reaches beyond it, is refused with LOGICAL \
         BLOCK ADDRESS OUT OF RANGE, and changes nothing.",
        needs [Destructive];
        async |ctx| { past_the_end(ctx).await }
    },
    scenario! {
        "write.no-blocks", "SBC-3 5.36",
        "A TRANSFER LENGTH of zero is no error: GOOD, and nothing changes.",
        needs [Destructive];
        async |ctx| {
            let mut session = ctx.session().await?;
            let data = blocks_of(&session, 0x2e50, 1);
            good("WRITE(10)", &session.write(ctx.lun(), 0, &data).await?)?;
            good("WRITE(10) of no blocks", &session.write(ctx.lun(), 0, &[]).await?)?;
            good("WRITE(16) of no blocks", &session.write16(ctx.lun(), 0, &[]).await?)?;
            holds(&mut session, &ctx, 0, &data).await
        }
    },
    scenario! {
        "write.above-maximum-transfer", "SBC-3 6.6.4",
        "A WRITE of more blocks than the Block Limits page allows is refused with INVALID FIELD \
         IN CDB, and changes nothing.",
        needs [Destructive];
        async |ctx| {
            let mut session = ctx.session().await?;
            let most = maximum_transfer(&mut session, &ctx).await?;
            let before = blocks_of(&session, 0xab0, 1);
            good("WRITE(10)", &session.write(ctx.lun(), 0, &before).await?)?;
            let data = vec![0x5a; ((most + 1) * session.block_size) as usize];
            let sixteen = cdb::write16(0, most + 1, false);
            let outcome = session.run(Command::write(ctx.lun(), &sixteen, data)).await?;
            refused("WRITE(16) above the maximum", &outcome, INVALID_FIELD_IN_CDB)?;
            holds(&mut session, &ctx, 0, &before).await
        }
    },
    scenario! {
        "write.lba-of-64-bits", "SBC-3 5.38",
        "WRITE(16) heeds all 64 bits of the LOGICAL BLOCK ADDRESS: 2^32 is not block 0.",
        needs [Destructive];
        async |ctx| {
            if ctx.blocks() > 1 << 32 {
                return Err(Finding::Skip("the disk has a block 2^32".into()));
            }
            let mut session = ctx.session().await?;
            let before = blocks_of(&session, 0x64, 1);
            good("WRITE(10)", &session.write(ctx.lun(), 0, &before).await?)?;
            let data = blocks_of(&session, 0x65, 1);
            for lba in [1 << 32, 1 << 63, u64::MAX] {
                let outcome = session.write16(ctx.lun(), lba, &data).await?;
                refused(&format!("WRITE(16) of block {lba:#x}"), &outcome, LBA_OUT_OF_RANGE)?;
            }
            holds(&mut session, &ctx, 0, &before).await
        }
    },
    scenario! {
        "write.wrprotect", "SBC-3 5.36",
        "A disk without protection information refuses WRPROTECT other than zero with INVALID \
         FIELD IN CDB, and changes nothing.",
        needs [Destructive];
        async |ctx| {
            let mut session = ctx.session().await?;
            without_protection(&mut session, &ctx).await?;
            let before = blocks_of(&session, 0x3e0, 1);
            good("WRITE(10)", &session.write(ctx.lun(), 0, &before).await?)?;
            let data = blocks_of(&session, 0x3e1, 1);
            for wrprotect in [1u8, 3, 5] {
                let mut ten = cdb::write10(0, 1, false);
                ten[1] |= wrprotect << 5;
                let outcome = session.run(Command::write(ctx.lun(), &ten, data.clone())).await?;
                refused("WRITE(10) with WRPROTECT", &outcome, INVALID_FIELD_IN_CDB)?;
                let mut sixteen = cdb::write16(0, 1, false);
                sixteen[1] |= wrprotect << 5;
                let command = Command::write(ctx.lun(), &sixteen, data.clone());
                let outcome = session.run(command).await?;
                refused("WRITE(16) with WRPROTECT", &outcome, INVALID_FIELD_IN_CDB)?;
            }
            holds(&mut session, &ctx, 0, &before).await
        }
    },
    scenario! {
        "write.fua-and-dpo", "SBC-3 5.36",
        "A disk whose DPOFUA bit is one accepts FUA and DPO in WRITE(10) and WRITE(16).",
        needs [Destructive];
        async |ctx| { fua_and_dpo(ctx).await }
    },
    scenario! {
        "write.error-waits-for-data", "RFC 7143 11.4.2",
        "When a WRITE fails while data is still to come, the response waits for the Data-Out \
         with the F bit.",
        needs [UnsolicitedData];
        async |ctx| { error_waits_for_data(ctx).await }
    },
    scenario! {
        "write.parallel", "RFC 7143 4.2.5.2",
        "Many WRITEs in flight, each with R2Ts of its own, all store what was sent.",
        needs [Destructive];
        async |ctx| {
            let mut session = ctx.session_with(short_bursts(&ctx, false, true)).await?;
            let block = session.block_size as usize;
            let per_command = 80;
            let image = blocks_of(&session, 0x9a7b, 24 * per_command);
            let mut flying = Vec::new();
            for (index, piece) in image.chunks(per_command as usize * block).enumerate() {
                let lba = u32::try_from(index).expect("few") * per_command;
                let command = session.write_command(ctx.lun(), lba, piece.to_vec());
                flying.push(session.queue(command));
            }
            for itt in flying {
                good("WRITE(10) among others", &session.wait(itt).await?)?;
            }
            let mut other = witness(&ctx).await?;
            holds(&mut other, &ctx, 0, &image).await
        }
    },
    scenario! {
        "write.seen-by-others", "SAM-5 4.9",
        "What ended GOOD on one nexus is what every other nexus reads from then on.",
        needs [Destructive];
        async |ctx| {
            let mut session = ctx.session().await?;
            let mut other = witness(&ctx).await?;
            for round in 0..16 {
                let data = blocks_of(&session, 0x5ee0 + round, 3);
                good("WRITE(10)", &session.write(ctx.lun(), 11, &data).await?)?;
                holds(&mut other, &ctx, 11, &data).await?;
                std::mem::swap(&mut session, &mut other);
            }
            Ok(())
        }
    },
    scenario! {
        "write.overlapping", "SBC-3 4.7",
        "Of WRITEs to the same blocks at the same time, each block ends with the data of \
         exactly one of them.",
        needs [Destructive];
        async |ctx| { overlapping(ctx).await }
    },
];

async fn mode(ctx: Context, immediate: bool, initial_r2t: bool) -> Result<(), Finding> {
    let mut session = ctx
        .session_with(short_bursts(&ctx, immediate, initial_r2t))
        .await?;
    let params = session.params().clone();
    if (params.immediate_data, params.initial_r2t) != (immediate, initial_r2t) {
        return Err(Finding::Skip(format!(
            "the target works with ImmediateData={}, InitialR2T={}",
            params.immediate_data, params.initial_r2t
        )));
    }
    let block = session.block_size;
    let (first, most) = (params.first_burst / block, params.max_burst / block);
    let long = (1 << 20) / block + 1;
    let sizes = [
        1,
        first.saturating_sub(1),
        first,
        first + 1,
        most - 1,
        most,
        most + 1,
        long,
    ];
    let room = ctx.blocks();
    let mut image = Vec::new();
    for (round, blocks) in (0..).zip(sizes) {
        let lba = image.len() as u64 / u64::from(block);
        if blocks == 0 || lba + u64::from(blocks) > room {
            continue;
        }
        let data = blocks_of(&session, 0x30de + round, blocks);
        let outcome = match round % 2 {
            0 => session.write16(ctx.lun(), lba, &data).await?,
            _ => {
                session
                    .write(ctx.lun(), u32::try_from(lba).expect("small"), &data)
                    .await?
            }
        };
        let what = format!("WRITE of {blocks} blocks");
        good(&what, &outcome)?;
        let unasked = match (initial_r2t, immediate) {
            (false, _) => params.first_burst,
            (true, true) => params.first_burst.min(params.peer_max_recv_data_segment),
            (true, false) => 0,
        };
        let asked = (blocks * block).saturating_sub(unasked);
        let least = asked.div_ceil(params.max_burst);
        expect(
            outcome.r2ts >= least && (asked > 0 || outcome.r2ts == 0),
            &format!("{what}: R2Ts for {asked} bytes, at least {least}"),
            format!("{} R2Ts", outcome.r2ts),
        )?;
        image.extend_from_slice(&data);
    }
    // At the end, so that nothing written is changed by what was written beside it.
    let mut other = witness(&ctx).await?;
    holds(&mut other, &ctx, 0, &image).await
}

async fn less_than_allowed(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session_with(short_bursts(&ctx, true, false)).await?;
    let block = session.block_size;
    let data = blocks_of(&session, 0x1e55, 24 * 1024 / block);
    let image = data.len();
    for (round, immediate) in [0, block.min(512), 511, 1].into_iter().enumerate() {
        let lba = u32::try_from(round * image).expect("small") / block;
        let mut command = by_hand::write_command(
            &mut session,
            ctx.lun(),
            lba,
            u16::try_from(image / block as usize).expect("few"),
        );
        command.is_final = true;
        let immediate = match session.params().immediate_data {
            true => immediate as usize,
            false => 0,
        };
        session
            .conn()
            .send(&command.into(), &data[..immediate])
            .await?;
        let mut due = u32::try_from(immediate).expect("small");
        let ended = loop {
            match hear(&mut session, command.itt, SOON).await? {
                Heard::R2t(r2t) => {
                    expect_eq("Buffer Offset of the R2T", due, r2t.buffer_offset)?;
                    due += r2t.desired_len;
                    by_hand::answer(&mut session, &r2t, &data).await?;
                }
                Heard::Ended(ended) => break ended,
                other => return Err(Finding::fail("R2Ts and a SCSI Response", other)),
            }
        };
        expect(ended.is_good(), "WRITE(10): GOOD", &ended)?;
        holds(&mut session, &ctx, lba.into(), &data).await?;
    }
    Ok(())
}

async fn past_the_end(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let end = ctx.blocks();
    let before = blocks_of(&session, 0xbad, 1);
    good(
        "WRITE(16)",
        &session.write16(ctx.lun(), end - 1, &before).await?,
    )?;
    let cases = [
        ("the first block past the end", end, 1),
        ("two blocks around the end", end - 1, 2),
        ("1000 blocks of which one is there", end - 1, 1000),
        ("a block far past the end", end + end / 2, 1),
    ];
    for (what, lba, blocks) in cases {
        let data = blocks_of(&session, 0xbae, blocks);
        let outcome = session.write16(ctx.lun(), lba, &data).await?;
        refused(&format!("WRITE(16) of {what}"), &outcome, LBA_OUT_OF_RANGE)?;
        let Ok(lba) = u32::try_from(lba) else {
            continue;
        };
        let outcome = session.write(ctx.lun(), lba, &data).await?;
        refused(&format!("WRITE(10) of {what}"), &outcome, LBA_OUT_OF_RANGE)?;
    }
    holds(&mut session, &ctx, end - 1, &before).await
}

async fn fua_and_dpo(ctx: Context) -> Result<(), Finding> {
    const DPO: u8 = 0x10;
    const FUA: u8 = 0x08;
    let mut session = ctx.session().await?;
    let dpofua = dpofua(&mut session, &ctx).await?;
    for (round, bits) in (0..).zip([FUA, DPO, FUA | DPO]) {
        for (what, mut cdb) in [
            ("WRITE(10)", cdb::write10(9, 4, false).to_vec()),
            ("WRITE(16)", cdb::write16(9, 4, false).to_vec()),
        ] {
            cdb[1] |= bits;
            let data = blocks_of(&session, 0xf0b + round * 2 + cdb.len() as u64, 4);
            let outcome = session
                .run(Command::write(ctx.lun(), &cdb, data.clone()))
                .await?;
            if !dpofua && !outcome.is_good() {
                refused(what, &outcome, INVALID_FIELD_IN_CDB)?;
                continue;
            }
            good(&format!("{what} with FUA or DPO"), &outcome)?;
            holds(&mut session, &ctx, 9, &data).await?;
        }
    }
    Ok(())
}

async fn error_waits_for_data(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session_with(short_bursts(&ctx, true, false)).await?;
    if session.params().initial_r2t {
        return Err(Finding::Skip("the target insists on InitialR2T=Yes".into()));
    }
    let past = u32::try_from(ctx.blocks())
        .map_err(|_| Finding::Skip("a ten byte CDB cannot name a block past the end".into()))?;
    let block = session.block_size as usize;
    let data = blocks_of(&session, 0xe44, 2);
    let mut command = by_hand::write_command(&mut session, ctx.lun(), past, 2);
    command.is_final = false;
    session.conn().send(&command.into(), []).await?;
    let early = hear(&mut session, command.itt, QUIET).await?;
    let quiet = matches!(early, Heard::Silence);
    expect(quiet, "no response before the Data-Out with F", &early)?;
    let pdu = unsolicited(&mut session, command.itt, 0, 0, false);
    session.conn().send(&pdu.into(), &data[..block]).await?;
    let early = hear(&mut session, command.itt, QUIET).await?;
    let quiet = matches!(early, Heard::Silence);
    expect(quiet, "no response before the Data-Out with F", &early)?;
    let offset = session.block_size;
    let pdu = unsolicited(&mut session, command.itt, 1, offset, true);
    session.conn().send(&pdu.into(), &data[block..]).await?;
    let end = ending(&mut session, command.itt).await?;
    match &end.last {
        Heard::Ended(ended) if ended.sense == Some(LBA_OUT_OF_RANGE) => {}
        other => {
            return Err(Finding::fail(
                format!("CHECK CONDITION {LBA_OUT_OF_RANGE}"),
                other,
            ));
        }
    }
    good("TEST UNIT READY afterwards", &session.tur(ctx.lun()).await?)
}

async fn overlapping(ctx: Context) -> Result<(), Finding> {
    const BLOCKS: u16 = 32;
    const ROUNDS: u8 = 12;
    let mut one = ctx.session_with(short_bursts(&ctx, true, false)).await?;
    let mut two = witness(&ctx).await?;
    let block = one.block_size as usize;
    let len = usize::from(BLOCKS) * block;
    for round in 0..ROUNDS {
        // Every byte of a block names its writer.
        let stamps = [2 * round + 1, 2 * round + 2];
        let first = one.write_command(ctx.lun(), 0, vec![stamps[0]; len]);
        let second = two.write_command(ctx.lun(), 0, vec![stamps[1]; len]);
        let (left, right) = tokio::join!(one.run(first), two.run(second));
        good("WRITE(10)", &left?)?;
        good("WRITE(10) of the other nexus", &right?)?;
        let outcome = one.read(ctx.lun(), 0, BLOCKS).await?;
        good("READ(10)", &outcome)?;
        for (index, bytes) in outcome.data.chunks(block).enumerate() {
            let whole = stamps
                .iter()
                .any(|stamp| bytes.iter().all(|byte| byte == stamp));
            let what = format!("block {index} holds the data of one of the two WRITEs");
            expect(whole, &what, "a mixture, or something older")?;
        }
    }
    Ok(())
}
