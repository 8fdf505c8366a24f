//! Readiness, caches, sense data and unit attentions, and how a disk refuses (SPC-4, SBC-3, SAM-5).

use initiator_sim::{Command, Direction, LoginOptions, Outcome, Sense, Session, cdb};

use super::by_hand::{self, Heard, ending};
use super::judge::{
    INVALID_FIELD_IN_CDB, INVALID_OPCODE, LBA_OUT_OF_RANGE, LUN_NOT_SUPPORTED, blocks_of, good,
    holds, refused, witness,
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
        "scsi.test-unit-ready", "SPC-4 6.37",
        "A disk in service answers TEST UNIT READY with GOOD, whatever the task attribute.",
        needs [];
        async |ctx| {
            use iscsi::TaskAttribute as Attribute;
            let mut session = ctx.session().await?;
            let attributes = [
                Attribute::UNTAGGED,
                Attribute::SIMPLE,
                Attribute::ORDERED,
                Attribute::HEAD_OF_QUEUE,
            ];
            for attribute in attributes {
                let command = Command::none(ctx.lun(), &cdb::test_unit_ready());
                let outcome = session.run(Command { attribute, ..command }).await?;
                good(&format!("TEST UNIT READY, {attribute}"), &outcome)?;
            }
            Ok(())
        }
    },
    scenario! {
        "scsi.synchronize-cache", "SBC-3 5.26, 5.27",
        "SYNCHRONIZE CACHE of the whole disk or of a range ends GOOD, and what was written is \
         there afterwards.",
        needs [Destructive];
        async |ctx| { synchronize_cache(ctx).await }
    },
    scenario! {
        "scsi.synchronize-cache.immediate", "SBC-3 5.26",
        "SYNCHRONIZE CACHE with IMMED ends GOOD, or is refused with INVALID FIELD IN CDB by a \
         disk that cannot.",
        needs [Destructive];
        async |ctx| {
            let mut session = ctx.session().await?;
            let data = blocks_of(&session, 0x133d, 4);
            good("WRITE(10)", &session.write(ctx.lun(), 0, &data).await?)?;
            for cdb in [
                cdb::synchronize_cache10(0, 0, true).to_vec(),
                cdb::synchronize_cache16(0, 4, true).to_vec(),
            ] {
                let outcome = session.run(Command::none(ctx.lun(), &cdb)).await?;
                if !outcome.is_good() {
                    refused("SYNCHRONIZE CACHE, IMMED", &outcome, INVALID_FIELD_IN_CDB)?;
                }
            }
            holds(&mut session, &ctx, 0, &data).await
        }
    },
    scenario! {
        "scsi.synchronize-cache.past-the-end", "SBC-3 5.26, 5.27",
        "SYNCHRONIZE CACHE of blocks past the last one is refused with LOGICAL BLOCK ADDRESS \
         OUT OF RANGE.",
        needs [];
        async |ctx| {
            let mut session = ctx.session().await?;
            let end = ctx.blocks();
            for (lba, blocks) in [(end, 1), (end - 1, 2), (end + end / 2, 0)] {
                let sixteen = cdb::synchronize_cache16(lba, blocks, false);
                let outcome = session.run(Command::none(ctx.lun(), &sixteen)).await?;
                let what = format!("SYNCHRONIZE CACHE(16) of {blocks} from {lba} on");
                refused(&what, &outcome, LBA_OUT_OF_RANGE)?;
                let Ok(lba) = u32::try_from(lba) else { continue };
                let blocks = u16::try_from(blocks).expect("few");
                let ten = cdb::synchronize_cache10(lba, blocks, false);
                let outcome = session.run(Command::none(ctx.lun(), &ten)).await?;
                let what = format!("SYNCHRONIZE CACHE(10) of {blocks} from {lba} on");
                refused(&what, &outcome, LBA_OUT_OF_RANGE)?;
            }
            Ok(())
        }
    },
    scenario! {
        "scsi.request-sense", "SPC-4 6.29",
        "REQUEST SENSE ends GOOD and, when nothing is pending, says NO SENSE in fixed format.",
        needs [];
        async |ctx| {
            let mut session = ctx.session().await?;
            let six = cdb::request_sense(252);
            let outcome = session.run(Command::read(ctx.lun(), &six, 252)).await?;
            good("REQUEST SENSE", &outcome)?;
            let code = outcome.data.first().map(|byte| byte & 0x7f);
            expect_eq("response code", Some(0x70), code)?;
            expect_eq("sense key", Some(0), Sense::parse(&outcome.data).map(|sense| sense.key))
        }
    },
    scenario! {
        "scsi.sense-data", "RFC 7143 11.4.7, SPC-4 4.5.3",
        "CHECK CONDITION comes with SenseLength and that many bytes of sense data, as long as \
         the sense data itself says.",
        needs [];
        async |ctx| { sense_data(ctx).await }
    },
    scenario! {
        "scsi.unit-attention.once", "SAM-5 5.14",
        "A unit attention waits for a command that reports it, is told once, and does not stop \
         INQUIRY or REPORT LUNS.",
        needs [];
        async |ctx| { unit_attention_once(ctx).await }
    },
    scenario! {
        "scsi.unit-attention.request-sense", "SAM-5 5.14, SPC-4 6.29",
        "REQUEST SENSE ends GOOD while a unit attention is pending; one that it reports in its \
         data is told and does not come again.",
        needs [];
        async |ctx| {
            let mut session = Session::login(ctx.addr(), &stranger(&ctx, "sense")).await?;
            let six = cdb::request_sense(252);
            let mut told = Vec::new();
            for _ in 0..6 {
                let outcome = session.run(Command::read(ctx.lun(), &six, 252)).await?;
                good("REQUEST SENSE", &outcome)?;
                match Sense::parse(&outcome.data) {
                    Some(sense) if sense.key == 0x06 => told.push(sense),
                    _ => break,
                }
            }
            // It may report other sense data and preserve the unit attention instead.
            let outcome = session.tur(ctx.lun()).await?;
            match outcome.sense {
                Some(sense) if outcome.is_unit_attention() => told.push(sense),
                _ => good("TEST UNIT READY after REQUEST SENSE", &outcome)?,
            }
            told_once(&told)
        }
    },
    scenario! {
        "scsi.unknown-opcode", "SPC-4 4.2.5.1",
        "An operation code the disk does not have is refused with INVALID COMMAND OPERATION \
         CODE, with and without data.",
        needs [];
        async |ctx| {
            let mut session = ctx.session().await?;
            let six = [0xc7, 0, 0, 0, 0, 0];
            let outcome = session.run(Command::none(ctx.lun(), &six)).await?;
            refused("operation code C7h", &outcome, INVALID_OPCODE)?;
            let outcome = session.run(Command::read(ctx.lun(), &six, 512)).await?;
            refused("operation code C7h with Data-In", &outcome, INVALID_OPCODE)?;
            let data = vec![0xc7; 100_000];
            let outcome = session.run(Command::write(ctx.lun(), &six, data)).await?;
            refused("operation code C7h with Data-Out", &outcome, INVALID_OPCODE)?;
            good("TEST UNIT READY afterwards", &session.tur(ctx.lun()).await?)
        }
    },
    scenario! {
        "scsi.absent-lun.commands", "SAM-5 5.11, SPC-4 6.37",
        "At a LUN that is not there TEST UNIT READY, READ and WRITE are refused with LOGICAL \
         UNIT NOT SUPPORTED, however the data travels.",
        needs [];
        async |ctx| { absent_lun(ctx).await }
    },
    scenario! {
        "scsi.absent-lun.inquiry", "SPC-4 6.4.2",
        "INQUIRY at a LUN that is not there ends GOOD with peripheral qualifier 011b and type \
         1Fh.",
        needs [];
        async |ctx| {
            let mut session = ctx.session().await?;
            let outcome = session.inquiry(ctx.absent_lun(), None).await?;
            good("INQUIRY at an absent LUN", &outcome)?;
            expect_eq("byte 0 of INQUIRY data", Some(0x7f), outcome.data.first().copied())
        }
    },
    scenario! {
        "scsi.absent-lun.request-sense", "SPC-4 6.29",
        "REQUEST SENSE at a LUN that is not there ends GOOD with LOGICAL UNIT NOT SUPPORTED in \
         its data.",
        needs [];
        async |ctx| {
            let mut session = ctx.session().await?;
            let six = cdb::request_sense(252);
            let outcome = session.run(Command::read(ctx.absent_lun(), &six, 252)).await?;
            good("REQUEST SENSE at an absent LUN", &outcome)?;
            expect_eq("sense", Some(LUN_NOT_SUPPORTED), Sense::parse(&outcome.data))
        }
    },
];

async fn synchronize_cache(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let last = ctx.blocks() - 1;
    let data = blocks_of(&session, 0x5bc, 16);
    good("WRITE(10)", &session.write(ctx.lun(), 4, &data).await?)?;
    good(
        "SYNCHRONIZE CACHE(10) of all",
        &session.sync(ctx.lun()).await?,
    )?;
    for cdb in [
        cdb::synchronize_cache10(4, 16, false).to_vec(),
        cdb::synchronize_cache10(4, 0, false).to_vec(),
        cdb::synchronize_cache16(0, 0, false).to_vec(),
        cdb::synchronize_cache16(4, 16, false).to_vec(),
        cdb::synchronize_cache16(last, 1, false).to_vec(),
    ] {
        let outcome = session.run(Command::none(ctx.lun(), &cdb)).await?;
        good(&format!("SYNCHRONIZE CACHE {cdb:02x?}"), &outcome)?;
    }
    holds(&mut witness(&ctx).await?, &ctx, 4, &data).await
}

async fn sense_data(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let edtl = session.block_size;
    let sixteen = cdb::read16(ctx.blocks(), 1, false);
    let command = session.scsi_command(ctx.lun(), &sixteen, Direction::Read, edtl);
    session.conn().send(&command.into(), []).await?;
    let end = ending(&mut session, command.itt).await?;
    let Heard::Ended(by_hand::Ended {
        status,
        segment,
        sense,
        ..
    }) = &end.last
    else {
        return Err(Finding::fail(
            "a SCSI Response with CHECK CONDITION",
            &end.last,
        ));
    };
    expect_eq("status", Outcome::CHECK_CONDITION, *status)?;
    let [high, low, bytes @ ..] = segment.as_slice() else {
        return Err(Finding::fail(
            "SenseLength",
            format!("{} bytes", segment.len()),
        ));
    };
    let len = usize::from(u16::from_be_bytes([*high, *low]));
    expect(
        len >= 18,
        "a SenseLength of at least 18 for fixed format",
        len,
    )?;
    expect(
        len <= bytes.len(),
        &format!("{len} bytes of sense data"),
        bytes.len(),
    )?;
    match bytes[0] & 0x7f {
        0x70 => expect_eq("ADDITIONAL SENSE LENGTH", len - 8, bytes[7].into())?,
        0x72 => {
            let text = "fixed format sense data unless D_SENSE says otherwise";
            return Err(Finding::Info(format!("descriptor format, {text}")));
        }
        code => {
            return Err(Finding::fail(
                "current sense data, 70h or 72h",
                format!("{code:#x}"),
            ));
        }
    }
    expect_eq("sense", Some(LBA_OUT_OF_RANGE), *sense)
}

/// A login under a name of its own: a nexus the disk has never met.
fn stranger(ctx: &Context, name: &str) -> LoginOptions {
    ctx.login_options()
        .initiator(&format!("iqn.2026-11.org.glint:stranger-{name}"))
}

/// No attention was told twice.
fn told_once(told: &[Sense]) -> Result<(), Finding> {
    let mut sorted = told.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let text = told
        .iter()
        .map(Sense::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    expect(sorted.len() == told.len(), "each unit attention once", text)
}

async fn unit_attention_once(ctx: Context) -> Result<(), Finding> {
    let mut session = Session::login(ctx.addr(), &stranger(&ctx, "attention")).await?;
    good(
        "INQUIRY of a new nexus",
        &session.inquiry(ctx.lun(), None).await?,
    )?;
    let luns = Command::read(ctx.lun(), &cdb::report_luns(8192), 8192);
    good("REPORT LUNS of a new nexus", &session.run(luns).await?)?;
    let mut told = Vec::new();
    for _ in 0..6 {
        let outcome = session.tur(ctx.lun()).await?;
        match outcome.sense {
            Some(sense) if outcome.is_unit_attention() => told.push(sense),
            _ => {
                good("TEST UNIT READY after the unit attentions", &outcome)?;
                return told_once(&told);
            }
        }
    }
    let text = told
        .iter()
        .map(Sense::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    Err(Finding::fail(
        "an end to the unit attentions of a new nexus",
        text,
    ))
}

async fn absent_lun(ctx: Context) -> Result<(), Finding> {
    let absent = ctx.absent_lun();
    for (immediate, initial_r2t) in [(true, false), (true, true), (false, false), (false, true)] {
        let options = super::judge::short_bursts(&ctx, immediate, initial_r2t);
        let mut session = ctx.session_with(options).await?;
        let outcome = session.tur(absent).await?;
        refused(
            "TEST UNIT READY at an absent LUN",
            &outcome,
            LUN_NOT_SUPPORTED,
        )?;
        let outcome = session.read(absent, 0, 8).await?;
        refused("READ(10) at an absent LUN", &outcome, LUN_NOT_SUPPORTED)?;
        let block = session.block_size;
        for blocks in [1, 8192 / block + 1, 65_536 / block] {
            let data = blocks_of(&session, 0xab5, blocks);
            let outcome = session.write(absent, 0, &data).await?;
            refused("WRITE(10) at an absent LUN", &outcome, LUN_NOT_SUPPORTED)?;
        }
        good(
            "TEST UNIT READY at the LUN that is there",
            &session.tur(ctx.lun()).await?,
        )?;
    }
    Ok(())
}
