//! Residuals: what is reported when the command and the expected length disagree, and that no byte
//! past the expected length moves (RFC 7143 11.4.5).

use initiator_sim::{Command, Direction, Outcome, Residual, Session, cdb};
use iscsi::Lun;

use super::judge::{blocks_of, good, holds, same, witness};
use crate::context::Context;
use crate::scenario;
use crate::scenario::{Finding, Scenario, expect, expect_eq};

/// All scenarios of this family.
pub fn scenarios() -> Vec<Scenario> {
    SCENARIOS.to_vec()
}

static SCENARIOS: &[Scenario] = &[
    scenario! {
        "residuals.none", "RFC 7143 11.4.5.1",
        "A command that moves exactly what was expected signals neither underflow nor overflow.",
        needs [Destructive];
        async |ctx| {
            let mut session = ctx.session().await?;
            let data = blocks_of(&session, 0x4e50, 3);
            let write = session.write(ctx.lun(), 0, &data).await?;
            good("WRITE(10)", &write)?;
            expect_eq("residual of WRITE(10)", Residual::None, write.residual)?;
            let read = session.read(ctx.lun(), 0, 3).await?;
            good("READ(10)", &read)?;
            expect_eq("residual of READ(10)", Residual::None, read.residual)?;
            let tur = session.tur(ctx.lun()).await?;
            expect_eq("residual of TEST UNIT READY", Residual::None, tur.residual)
        }
    },
    scenario! {
        "residuals.read-underflow", "RFC 7143 11.4.5.1",
        "A READ that returns less than expected ends GOOD with U and the difference.",
        needs [];
        async |ctx| {
            let mut session = ctx.session().await?;
            let block = session.block_size;
            for (blocks, spare) in [(1, block), (1, 1), (8, 3 * block), (0, block)] {
                let edtl = u32::from(blocks) * block + spare;
                let outcome = read(&mut session, ctx.lun(), blocks, edtl).await?;
                good("READ(10) shorter than expected", &outcome)?;
                let due = usize::from(blocks) * block as usize;
                expect_eq("bytes returned", due, outcome.data.len())?;
                expect_eq("residual", Residual::Underflow(spare), outcome.residual)?;
            }
            Ok(())
        }
    },
    scenario! {
        "residuals.read-overflow", "RFC 7143 11.4.5.1",
        "A READ that has more than expected ends GOOD with O and what did not fit, and sends \
         not a byte past the expected length.",
        needs [Destructive];
        async |ctx| { read_overflow(ctx).await }
    },
    scenario! {
        "residuals.write-underflow", "RFC 7143 11.4.5.1",
        "A WRITE that names less than the initiator brings signals U and the difference, and \
         writes only the blocks it names.",
        needs [Destructive];
        async |ctx| { write_underflow(ctx).await }
    },
    scenario! {
        "residuals.write-overflow", "RFC 7143 11.4.5.1, SBC-3 5.36",
        "A WRITE that names more than the initiator brings signals O and the difference, or is \
         refused; blocks without data are left alone either way.",
        needs [Destructive];
        async |ctx| { write_overflow(ctx).await }
    },
    scenario! {
        "residuals.nothing-expected", "RFC 7143 11.3.4, 11.4.5.1",
        "With an expected length of zero a READ moves no data and signals all of it as \
         overflow; a WRITE leaves the disk alone.",
        needs [Destructive];
        async |ctx| { nothing_expected(ctx).await }
    },
    scenario! {
        "residuals.allocation-length", "RFC 7143 11.4.5.2",
        "Commands with an allocation length report residuals too: U when they have less, O \
         when the expected length is below what they would return.",
        needs [];
        async |ctx| { allocation_length(ctx).await }
    },
    scenario! {
        "residuals.report-luns", "RFC 7143 11.4.5.3",
        "What REPORT LUNS cuts off at its own allocation length is no overflow.",
        needs [];
        async |ctx| {
            let mut session = ctx.session().await?;
            let twelve = cdb::report_luns(16);
            let outcome = session.run(Command::read(Lun(0), &twelve, 16)).await?;
            good("REPORT LUNS of 16 bytes", &outcome)?;
            expect_eq("bytes returned", 16, outcome.data.len())?;
            expect_eq("residual", Residual::None, outcome.residual)
        }
    },
    scenario! {
        "residuals.check-condition", "RFC 7143 11.4.5.1",
        "Where a command that failed signals a residual, it is that of what really moved.",
        needs [];
        async |ctx| {
            let mut session = ctx.session().await?;
            let block = session.block_size;
            let outcome = session.read16(ctx.lun(), ctx.blocks(), 4).await?;
            expect_eq("status", Outcome::CHECK_CONDITION, outcome.status)?;
            expect_eq("bytes returned", 0, outcome.data.len())?;
            match outcome.residual {
                Residual::None => Ok(()),
                residual => expect_eq("residual", Residual::Underflow(4 * block), residual),
            }
        }
    },
];

/// READ(10) of `blocks` at block 0 with an expected length of its own.
async fn read(session: &mut Session, lun: Lun, blocks: u16, edtl: u32) -> Result<Outcome, Finding> {
    let ten = cdb::read10(0, blocks, false);
    Ok(session.run(Command::read(lun, &ten, edtl)).await?)
}

async fn read_overflow(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let block = session.block_size;
    let data = blocks_of(&session, 0x0f10, 8);
    good("WRITE(10)", &session.write(ctx.lun(), 0, &data).await?)?;
    for (blocks, edtl) in [(2, block), (8, block + 1), (8, 8 * block - 1), (1, 3)] {
        let outcome = read(&mut session, ctx.lun(), blocks, edtl).await?;
        good("READ(10) longer than expected", &outcome)?;
        same(
            "the bytes that fit",
            &data[..edtl as usize],
            &outcome.data,
            block as usize,
        )?;
        let over = u32::from(blocks) * block - edtl;
        expect_eq("residual", Residual::Overflow(over), outcome.residual)?;
    }
    Ok(())
}

async fn write_underflow(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let mut other = witness(&ctx).await?;
    let block = session.block_size as usize;
    // With unsolicited data, and once with more than any first burst.
    for (lba, blocks, brought) in [(0, 1, 2), (8, 2, 9), (64, 1, 1024)] {
        let mut image = blocks_of(&session, 0x0d40 + u64::from(lba), brought);
        good("WRITE(10)", &other.write(ctx.lun(), lba, &image).await?)?;
        let data = blocks_of(&session, 0x0d41 + u64::from(lba), brought);
        let ten = cdb::write10(lba, blocks, false);
        let outcome = session
            .run(Command::write(ctx.lun(), &ten, data.clone()))
            .await?;
        if outcome.status == Outcome::CHECK_CONDITION {
            holds(&mut other, &ctx, lba.into(), &image).await?;
            continue;
        }
        good("WRITE(10) of less than was brought", &outcome)?;
        let named = usize::from(blocks) * block;
        let spare = u32::try_from(data.len() - named).expect("small");
        expect_eq("residual", Residual::Underflow(spare), outcome.residual)?;
        image[..named].copy_from_slice(&data[..named]);
        holds(&mut other, &ctx, lba.into(), &image).await?;
    }
    Ok(())
}

async fn write_overflow(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let mut other = witness(&ctx).await?;
    let block = session.block_size as usize;
    for (lba, blocks, brought) in [(0u32, 2u16, 1u32), (8, 9, 2), (64, 1024, 600)] {
        let before = blocks_of(&session, 0x0e40 + u64::from(lba), blocks.into());
        good("WRITE(10)", &other.write(ctx.lun(), lba, &before).await?)?;
        let data = blocks_of(&session, 0x0e41 + u64::from(lba), brought);
        let ten = cdb::write10(lba, blocks, false);
        let outcome = session
            .run(Command::write(ctx.lun(), &ten, data.clone()))
            .await?;
        let there = if outcome.is_good() {
            let over = u32::try_from(before.len() - data.len()).expect("small");
            expect_eq("residual", Residual::Overflow(over), outcome.residual)?;
            data.clone()
        } else {
            let is_check = outcome.status == Outcome::CHECK_CONDITION && outcome.sense.is_some();
            expect(
                is_check,
                "GOOD with overflow, or CHECK CONDITION with sense",
                &outcome,
            )?;
            Vec::new()
        };
        // What was not brought is as it was, down to the block.
        holds(&mut other, &ctx, lba.into(), &there).await?;
        let rest = u64::from(lba) + u64::from(brought);
        holds(&mut other, &ctx, rest, &before[brought as usize * block..]).await?;
    }
    Ok(())
}

async fn nothing_expected(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let block = session.block_size;
    let before = blocks_of(&session, 0x2e40, 2);
    good("WRITE(10)", &session.write(ctx.lun(), 0, &before).await?)?;
    let ten = cdb::read10(0, 2, false);
    let outcome = session
        .command(ctx.lun(), &ten, Direction::Read, 0, &[])
        .await?;
    good("READ(10) with nothing expected", &outcome)?;
    expect_eq("bytes returned", 0, outcome.data.len())?;
    expect_eq(
        "residual of READ(10)",
        Residual::Overflow(2 * block),
        outcome.residual,
    )?;
    // With neither R nor W there is no direction the residual could be of.
    let outcome = session
        .command(ctx.lun(), &ten, Direction::None, 0, &[])
        .await?;
    expect_eq("bytes returned", 0, outcome.data.len())?;
    for direction in [Direction::Write, Direction::None] {
        let ten = cdb::write10(0, 2, false);
        let outcome = session.command(ctx.lun(), &ten, direction, 0, &[]).await?;
        if outcome.is_good() && direction == Direction::Write {
            let due = Residual::Overflow(2 * block);
            expect_eq("residual of WRITE(10)", due, outcome.residual)?;
        }
        holds(&mut session, &ctx, 0, &before).await?;
    }
    Ok(())
}

async fn allocation_length(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let lun = ctx.lun();
    let ten = cdb::read_capacity10();
    let whole = session.run(Command::read(lun, &ten, 8)).await?;
    good("READ CAPACITY(10)", &whole)?;
    let roomy = session.run(Command::read(lun, &ten, 20)).await?;
    expect_eq("bytes of READ CAPACITY(10)", 8, roomy.data.len())?;
    expect_eq("residual", Residual::Underflow(12), roomy.residual)?;
    let tight = session.run(Command::read(lun, &ten, 5)).await?;
    same(
        "READ CAPACITY(10) cut to 5 bytes",
        &whole.data[..5],
        &tight.data,
        8,
    )?;
    expect_eq("residual", Residual::Overflow(3), tight.residual)?;
    let six = cdb::inquiry(None, 36);
    let whole = session.run(Command::read(lun, &six, 36)).await?;
    good("INQUIRY", &whole)?;
    expect_eq("residual of INQUIRY", Residual::None, whole.residual)?;
    let tight = session.run(Command::read(lun, &six, 8)).await?;
    same("INQUIRY cut to 8 bytes", &whole.data[..8], &tight.data, 36)?;
    expect_eq(
        "residual of INQUIRY",
        Residual::Overflow(28),
        tight.residual,
    )?;
    let roomy = session.run(Command::read(lun, &six, 255)).await?;
    expect_eq(
        "residual of INQUIRY",
        Residual::Underflow(219),
        roomy.residual,
    )
}
