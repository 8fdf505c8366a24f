//! READ(10) and READ(16): what they return, what they refuse, and how the data is cut.

use initiator_sim::{Command, Direction, Outcome, Session, cdb};
use iscsi::Ttt;

use super::by_hand::{ReadStory, read_story};
use super::judge::{
    INVALID_FIELD_IN_CDB, LBA_OUT_OF_RANGE, blocks_of, good, holds, last_lba, refused, same,
    witness,
};
use crate::context::Context;
use crate::scenario;
use crate::scenario::{Finding, Scenario, expect, expect_eq};

/// All scenarios of this family.
pub fn scenarios() -> Vec<Scenario> {
    SCENARIOS.to_vec()
}

static SCENARIOS: &[Scenario] = &[
    scenario! {
        "read.sizes", "SBC-3 5.11",
        "READ(10) and READ(16) of any length return the blocks asked for, and no others.",
        needs [Destructive];
        async |ctx| { sizes(ctx).await }
    },
    scenario! {
        "read.last-block", "SBC-3 5.11",
        "The last block that READ CAPACITY reports can be read.",
        needs [];
        async |ctx| {
            let mut session = ctx.session().await?;
            let last = ctx.blocks() - 1;
            good("READ(16) of the last block", &session.read16(ctx.lun(), last, 1).await?)?;
            let last = last_lba(&ctx)?;
            let outcome = session.read(ctx.lun(), last, 1).await?;
            good("READ(10) of the last block", &outcome)?;
            expect_eq("bytes returned", session.block_size as usize, outcome.data.len())
        }
    },
    scenario! {
        "read.past-the-end", "SBC-3 5.11",
        "A READ that begins past the last block, or reaches beyond it, is refused with LOGICAL \
         BLOCK ADDRESS OUT OF RANGE.",
        needs [];
        async |ctx| { past_the_end(ctx).await }
    },
    scenario! {
        "read.no-blocks", "SBC-3 5.11",
        "A TRANSFER LENGTH of zero is no error: GOOD, and no data.",
        needs [];
        async |ctx| {
            let mut session = ctx.session().await?;
            for lba in [0, last_lba(&ctx)?] {
                let outcome = session.read(ctx.lun(), lba, 0).await?;
                good("READ(10) of no blocks", &outcome)?;
                expect_eq("bytes returned", 0, outcome.data.len())?;
                let outcome = session.read16(ctx.lun(), lba.into(), 0).await?;
                good("READ(16) of no blocks", &outcome)?;
                expect_eq("bytes returned", 0, outcome.data.len())?;
            }
            Ok(())
        }
    },
    scenario! {
        "read.above-maximum-transfer", "SBC-3 6.6.4",
        "A READ of more blocks than the Block Limits page allows is refused with INVALID FIELD \
         IN CDB.",
        needs [];
        async |ctx| {
            let mut session = ctx.session().await?;
            let most = maximum_transfer(&mut session, &ctx).await?;
            let outcome = session.read16(ctx.lun(), 0, most + 1).await?;
            refused("READ(16) above the maximum", &outcome, INVALID_FIELD_IN_CDB)
        }
    },
    scenario! {
        "read.maximum-transfer", "SBC-3 6.6.4",
        "A READ of exactly as many blocks as the Block Limits page allows is carried out.",
        needs [EightMebibytes];
        async |ctx| {
            let mut session = ctx.session().await?;
            let most = maximum_transfer(&mut session, &ctx).await?;
            let outcome = session.read16(ctx.lun(), 0, most).await?;
            good("READ(16) of the maximum", &outcome)?;
            let bytes = most as usize * session.block_size as usize;
            expect_eq("bytes returned", bytes, outcome.data.len())
        }
    },
    scenario! {
        "read.lba-of-64-bits", "SBC-3 5.13",
        "READ(16) heeds all 64 bits of the LOGICAL BLOCK ADDRESS: 2^32 is not block 0.",
        needs [];
        async |ctx| {
            if ctx.blocks() > 1 << 32 {
                return Err(Finding::Skip("the disk has a block 2^32".into()));
            }
            let mut session = ctx.session().await?;
            for lba in [1 << 32, 1 << 63, u64::MAX] {
                let outcome = session.read16(ctx.lun(), lba, 1).await?;
                refused(&format!("READ(16) of block {lba:#x}"), &outcome, LBA_OUT_OF_RANGE)?;
            }
            Ok(())
        }
    },
    scenario! {
        "read.rdprotect", "SBC-3 5.11",
        "A disk without protection information refuses RDPROTECT other than zero with INVALID \
         FIELD IN CDB.",
        needs [];
        async |ctx| {
            let mut session = ctx.session().await?;
            without_protection(&mut session, &ctx).await?;
            let edtl = session.block_size;
            for rdprotect in [1u8, 3, 5] {
                let mut ten = cdb::read10(0, 1, false);
                ten[1] |= rdprotect << 5;
                let outcome = session.run(Command::read(ctx.lun(), &ten, edtl)).await?;
                refused("READ(10) with RDPROTECT", &outcome, INVALID_FIELD_IN_CDB)?;
                let mut sixteen = cdb::read16(0, 1, false);
                sixteen[1] |= rdprotect << 5;
                let outcome = session.run(Command::read(ctx.lun(), &sixteen, edtl)).await?;
                refused("READ(16) with RDPROTECT", &outcome, INVALID_FIELD_IN_CDB)?;
            }
            Ok(())
        }
    },
    scenario! {
        "read.fua-and-dpo", "SBC-3 5.11",
        "A disk whose DPOFUA bit is one accepts FUA and DPO, and returns what another nexus \
         wrote just before.",
        needs [Destructive];
        async |ctx| { fua_and_dpo(ctx).await }
    },
    scenario! {
        "read.never-written", "SBC-3 4.7",
        "Blocks never written read the same every time, and on a fresh disk they are zeros: \
         never what somebody left in memory.",
        needs [EightMebibytes];
        async |ctx| {
            let mut session = ctx.session().await?;
            let blocks = u32::try_from(ctx.blocks().min(256)).expect("at most 256");
            let from = ctx.blocks() - u64::from(blocks);
            let first = session.read16(ctx.lun(), from, blocks).await?;
            good("READ(16) of blocks never written", &first)?;
            let again = session.read16(ctx.lun(), from, blocks).await?;
            same("the second READ", &first.data, &again.data, session.block_size as usize)?;
            let zero = first.data.iter().all(|byte| *byte == 0);
            expect(zero, "zeros in blocks never written", "other bytes")
        }
    },
    scenario! {
        "read.data-in.cut", "RFC 7143 13.12, 13.13, 11.7",
        "Data-In PDUs keep to MaxRecvDataSegmentLength, their sequences to MaxBurstLength with \
         F at the end of each; DataSN counts from 0 and buffer offsets rise without a gap.",
        needs [];
        async |ctx| {
            let options = ctx
                .login_options()
                .key("MaxRecvDataSegmentLength", "4096")
                .key("FirstBurstLength", "8192")
                .key("MaxBurstLength", "14336");
            let mut session = ctx.session_with(options).await?;
            let blocks = u16::try_from(57_344 / session.block_size).expect("512 or more");
            let edtl = u32::from(blocks) * session.block_size;
            let ten = cdb::read10(0, blocks, false);
            let command = session.scsi_command(ctx.lun(), &ten, Direction::Read, edtl);
            let story = read_story(&mut session, command).await?;
            is_well_cut(&session, &story, edtl)
        }
    },
    scenario! {
        "read.data-in.odd-segments", "RFC 7143 13.12, 11.7.7",
        "A MaxRecvDataSegmentLength that is no multiple of anything is kept, and only the last \
         PDU of a sequence should end off a four byte boundary.",
        needs [];
        async |ctx| {
            let options = ctx.login_options().key("MaxRecvDataSegmentLength", "1001");
            let mut session = ctx.session_with(options).await?;
            let blocks = u16::try_from((8192 / session.block_size).max(1)).expect("few");
            let edtl = u32::from(blocks) * session.block_size;
            let ten = cdb::read10(0, blocks, false);
            let command = session.scsi_command(ctx.lun(), &ten, Direction::Read, edtl);
            let story = read_story(&mut session, command).await?;
            is_well_cut(&session, &story, edtl)?;
            match story.data_ins.iter().find(|(pdu, data)| !pdu.is_final && data.len() % 4 != 0)
            {
                Some((_, data)) => Err(Finding::weak(
                    "segments before the last are whole words",
                    format!("a segment of {} bytes", data.len()),
                )),
                None => Ok(()),
            }
        }
    },
    scenario! {
        "read.data-in.fields", "RFC 7143 11.7.3, 11.7.4, 11.4.8",
        "S comes only together with F; without the A bit the Target Transfer Tag is reserved; \
         a separate SCSI Response counts the Data-Ins in ExpDataSN.",
        needs [];
        async |ctx| { data_in_fields(ctx).await }
    },
    scenario! {
        "read.parallel", "RFC 7143 4.2.5.2",
        "Many READs in flight each get their own data, in whatever order they are answered.",
        needs [Destructive];
        async |ctx| { parallel(ctx).await }
    },
    scenario! {
        "read.many-sessions", "SAM-5 4.9",
        "READs of several nexuses at once each get the same data.",
        needs [Destructive];
        async |ctx| { many_sessions(ctx).await }
    },
];

async fn sizes(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let block = session.block_size;
    // One block, a ticket of ours or a page, and a block beside each; then more than a burst.
    let sizes = [1, 2, 7, 8, 9, 127, 128, 129, 2048, 2049];
    let total = 2304.min(u32::try_from(ctx.blocks()).unwrap_or(u32::MAX));
    let image = blocks_of(&session, 0x5121, total);
    for (index, piece) in image.chunks(256 * block as usize).enumerate() {
        let lba = u64::from(256 * u32::try_from(index).expect("few"));
        good("WRITE(16)", &session.write16(ctx.lun(), lba, piece).await?)?;
    }
    for blocks in sizes {
        for lba in [0, 3, 250] {
            if lba + blocks > total || blocks * block > 2 << 20 {
                continue;
            }
            let from = (lba * block) as usize;
            let due = &image[from..from + (blocks * block) as usize];
            let short = u16::try_from(blocks).expect("few");
            let what = format!("{blocks} blocks from {lba} on");
            let outcome = session.read(ctx.lun(), lba, short).await?;
            good(&format!("READ(10) of {what}"), &outcome)?;
            same(&what, due, &outcome.data, block as usize)?;
            let outcome = session.read16(ctx.lun(), lba.into(), blocks).await?;
            good(&format!("READ(16) of {what}"), &outcome)?;
            same(&what, due, &outcome.data, block as usize)?;
        }
    }
    Ok(())
}

async fn past_the_end(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let end = ctx.blocks();
    let cases = [
        ("the first block past the end", end, 1),
        ("two blocks around the end", end - 1, 2),
        ("a hundred blocks of which one is there", end - 1, 100),
        ("a block far past the end", end + (end / 2), 1),
        ("no blocks, far past the end", end + 1, 0),
    ];
    for (what, lba, blocks) in cases {
        let outcome = session.read16(ctx.lun(), lba, blocks).await?;
        refused(&format!("READ(16) of {what}"), &outcome, LBA_OUT_OF_RANGE)?;
        expect_eq("bytes returned", 0, outcome.data.len())?;
        let Ok(lba) = u32::try_from(lba) else {
            continue;
        };
        let blocks = u16::try_from(blocks).expect("few");
        let outcome = session.read(ctx.lun(), lba, blocks).await?;
        refused(&format!("READ(10) of {what}"), &outcome, LBA_OUT_OF_RANGE)?;
        expect_eq("bytes returned", 0, outcome.data.len())?;
    }
    good(
        "the last block after all that",
        &session.read16(ctx.lun(), end - 1, 1).await?,
    )
}

async fn fua_and_dpo(ctx: Context) -> Result<(), Finding> {
    const DPO: u8 = 0x10;
    const FUA: u8 = 0x08;
    let mut session = ctx.session().await?;
    let mut other = witness(&ctx).await?;
    let block = session.block_size;
    let dpofua = dpofua(&mut session, &ctx).await?;
    for (round, bits) in [FUA, DPO, FUA | DPO].into_iter().enumerate() {
        let data = blocks_of(&other, 0xf0a + round as u64, 1);
        good(
            "WRITE(10) of the other nexus",
            &other.write(ctx.lun(), 5, &data).await?,
        )?;
        let mut ten = cdb::read10(5, 1, false);
        ten[1] |= bits;
        let outcome = session.run(Command::read(ctx.lun(), &ten, block)).await?;
        if !dpofua && !outcome.is_good() {
            refused("READ(10) with FUA or DPO", &outcome, INVALID_FIELD_IN_CDB)?;
            continue;
        }
        good("READ(10) with FUA or DPO", &outcome)?;
        same(
            "the block written by the other nexus",
            &data,
            &outcome.data,
            block as usize,
        )?;
    }
    Ok(())
}

/// The DPOFUA bit of the mode parameter header (SBC-3 6.5.1).
pub(super) async fn dpofua(session: &mut Session, ctx: &Context) -> Result<bool, Finding> {
    let command = Command::read(ctx.lun(), &cdb::mode_sense6(0x3f, 0, 255), 255);
    let outcome = session.run(command).await?;
    good("MODE SENSE(6)", &outcome)?;
    Ok(outcome
        .data
        .get(2)
        .is_some_and(|parameter| parameter & 0x10 != 0))
}

/// MAXIMUM TRANSFER LENGTH of the Block Limits page, when it can be exceeded on this disk.
pub(super) async fn maximum_transfer(session: &mut Session, ctx: &Context) -> Result<u32, Finding> {
    let outcome = session.inquiry(ctx.lun(), Some(0xb0)).await?;
    let most = match outcome.data.get(8..12) {
        Some(&[a, b, c, d]) if outcome.is_good() => u32::from_be_bytes([a, b, c, d]),
        _ => 0,
    };
    let room = u32::try_from(ctx.blocks()).unwrap_or(u32::MAX);
    match most {
        0 => Err(Finding::Skip(
            "the device reports no MAXIMUM TRANSFER LENGTH".into(),
        )),
        most if most >= room => Err(Finding::Skip(format!(
            "MAXIMUM TRANSFER LENGTH is {most} blocks and the disk has {room}"
        ))),
        most if most > 65_536 => Err(Finding::Skip(format!(
            "MAXIMUM TRANSFER LENGTH is {most} blocks: too much for a quick scenario"
        ))),
        most => Ok(most),
    }
}

/// Skips where PROT_EN says that the disk has protection information (SBC-3 5.17.2).
pub(super) async fn without_protection(
    session: &mut Session,
    ctx: &Context,
) -> Result<(), Finding> {
    let command = Command::read(ctx.lun(), &cdb::read_capacity16(32), 32);
    let outcome = session.run(command).await?;
    good("READ CAPACITY(16)", &outcome)?;
    match outcome.data.get(12) {
        Some(protection) if protection & 1 != 0 => {
            Err(Finding::Skip("the disk has protection information".into()))
        }
        _ => Ok(()),
    }
}

/// Lengths, order and F bits of the Data-Ins of one READ.
fn is_well_cut(session: &Session, story: &ReadStory, edtl: u32) -> Result<(), Finding> {
    let params = session.params();
    expect(story.ended.is_good(), "READ: GOOD", &story.ended)?;
    expect_eq("bytes returned", edtl as usize, story.data().len())?;
    let limit = params.own_max_recv_data_segment as usize;
    let (mut offset, mut burst) = (0, 0);
    for (due, (pdu, data)) in (0..).zip(&story.data_ins) {
        expect_eq("DataSN", due, pdu.data_sn)?;
        expect_eq("Buffer Offset", offset, pdu.buffer_offset)?;
        let what = format!("a Data-In of at most {limit} bytes (MaxRecvDataSegmentLength)");
        expect(data.len() <= limit, &what, data.len())?;
        offset += u32::try_from(data.len()).expect("a segment is short");
        burst += data.len();
        let what = format!(
            "a sequence of at most {} bytes (MaxBurstLength)",
            params.max_burst
        );
        expect(burst <= params.max_burst as usize, &what, burst)?;
        if pdu.is_final {
            burst = 0;
        }
    }
    let last_is_final = story.data_ins.last().is_none_or(|(pdu, _)| pdu.is_final);
    expect(last_is_final, "F on the last Data-In of a command", "F=0")
}

async fn data_in_fields(ctx: Context) -> Result<(), Finding> {
    let options = ctx.login_options().key("MaxRecvDataSegmentLength", "4096");
    let mut session = ctx.session_with(options).await?;
    let lun = ctx.lun();
    for blocks in [1u16, 8, 40] {
        let edtl = u32::from(blocks) * session.block_size;
        let ten = cdb::read10(0, blocks, false);
        let command = session.scsi_command(lun, &ten, Direction::Read, edtl);
        let story = read_story(&mut session, command).await?;
        expect(story.ended.is_good(), "READ(10): GOOD", &story.ended)?;
        for (pdu, _) in &story.data_ins {
            expect(
                !pdu.has_status || pdu.is_final,
                "S only together with F",
                "S=1, F=0",
            )?;
            if !pdu.acknowledge {
                expect_eq(
                    "Target Transfer Tag without the A bit",
                    Ttt::RESERVED,
                    pdu.ttt,
                )?;
            }
            if session.params().erl == 0 {
                expect(!pdu.acknowledge, "no A bit at ErrorRecoveryLevel 0", "A=1")?;
            }
        }
        if let Some(pdu) = story.ended.pdu {
            let count = u32::try_from(story.data_ins.len()).expect("few");
            expect_eq("ExpDataSN of the SCSI Response", count, pdu.exp_data_sn)?;
        }
    }
    Ok(())
}

async fn parallel(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let block = session.block_size as usize;
    let image = blocks_of(&session, 0x9a7a, 64 * 8);
    for (index, piece) in image.chunks(128 * block).enumerate() {
        good(
            "WRITE(16)",
            &session
                .write16(ctx.lun(), index as u64 * 128, piece)
                .await?,
        )?;
    }
    let mut flying = Vec::new();
    for index in 0..64u32 {
        // Long and short ones by turns, so that a short one may overtake.
        let blocks = if index % 3 == 0 { 8 } else { 1 };
        let lba = index * 8;
        let command = session.read_command(ctx.lun(), lba, blocks);
        flying.push((session.queue(command), lba as usize, blocks as usize));
    }
    for (itt, lba, blocks) in flying {
        let outcome = session.wait(itt).await?;
        good("READ(10) among others", &outcome)?;
        let due = &image[lba * block..(lba + blocks) * block];
        same(
            &format!("{blocks} blocks from {lba} on"),
            due,
            &outcome.data,
            block,
        )?;
    }
    Ok(())
}

async fn many_sessions(ctx: Context) -> Result<(), Finding> {
    let mut writer = ctx.session().await?;
    let image = blocks_of(&writer, 0x4a5, 64);
    good("WRITE(16)", &writer.write16(ctx.lun(), 0, &image).await?)?;
    let mut readers = Vec::new();
    for qualifier in 1..=4 {
        let ctx = ctx.clone();
        let image = image.clone();
        readers.push(async move {
            let mut session = ctx
                .session_with(ctx.login_options().qualifier(qualifier))
                .await?;
            for _ in 0..8 {
                holds(&mut session, &ctx, 0, &image).await?;
            }
            Ok::<(), Finding>(())
        });
    }
    let [a, b, c, d] = <[_; 4]>::try_from(readers).ok().expect("four readers");
    tokio::try_join!(a, b, c, d)?;
    let still: Outcome = writer.tur(ctx.lun()).await?;
    good("TEST UNIT READY of the writer", &still)
}
