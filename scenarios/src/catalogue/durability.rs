//! What GOOD promises when the power fails (SBC-3 5.26, 5.27, 5.36, 5.38, and README, "What an
//! answer means"). A power cut takes all that was not synced, so that a promise not kept is seen.

use initiator_sim::{Command, Session, cdb};

use super::judge::{INVALID_FIELD_IN_CDB, blocks_of, good, holds, short_bursts, witness};
use super::survival::{PROMPT, cut, old_or_new, sync10, write_all};
use crate::context::Context;
use crate::rig::Setup;
use crate::scenario;
use crate::scenario::{Finding, Scenario, expect, expect_eq};

/// All scenarios of this family.
pub fn scenarios() -> Vec<Scenario> {
    SCENARIOS.to_vec()
}

static SCENARIOS: &[Scenario] = &[
    scenario! {
        "durability.synchronize-cache-10", "SBC-3 5.26",
        "What was written before SYNCHRONIZE CACHE(10) of the whole disk ended GOOD survives a \
         power cut.",
        needs [PowerCut];
        async |ctx| { flushed(ctx, &cdb::synchronize_cache10(0, 0, false)).await }
    },
    scenario! {
        "durability.synchronize-cache-10.range", "SBC-3 5.26",
        "What was written to a range survives a power cut after SYNCHRONIZE CACHE(10) of that \
         range; every block beside it is as it was before or as it was written.",
        needs [PowerCut];
        async |ctx| { flushed(ctx, &cdb::synchronize_cache10(FIRST, BLOCKS, false)).await }
    },
    scenario! {
        "durability.synchronize-cache-10.to-the-end", "SBC-3 5.26",
        "NUMBER OF LOGICAL BLOCKS zero in SYNCHRONIZE CACHE(10) means all blocks from the address \
         on: they survive a power cut.",
        needs [PowerCut];
        async |ctx| { flushed(ctx, &cdb::synchronize_cache10(FIRST, 0, false)).await }
    },
    scenario! {
        "durability.synchronize-cache-16", "SBC-3 5.27",
        "What was written to a range survives a power cut after SYNCHRONIZE CACHE(16) of that \
         range.",
        needs [PowerCut];
        async |ctx| {
            let cdb = cdb::synchronize_cache16(FIRST.into(), BLOCKS.into(), false);
            flushed(ctx, &cdb).await
        }
    },
    scenario! {
        "durability.synchronize-cache.other-session", "SBC-3 5.26",
        "SYNCHRONIZE CACHE covers what another session wrote before it: that survives a power \
         cut as well.",
        needs [PowerCut];
        async |ctx| {
            let (rig, ctx) = ctx.rig(Setup::write_back().losing_all()).await?;
            let (mut writer, mut flusher) = (ctx.session().await?, witness(&ctx).await?);
            let data = blocks_of(&writer, 0x0745e7, 32);
            write_all(&mut writer, &ctx, FIRST, &data).await?;
            good("SYNCHRONIZE CACHE(10)", &flusher.sync(ctx.lun()).await?)?;
            cut(&rig).await?;
            holds(&mut ctx.session().await?, &ctx, FIRST.into(), &data).await
        }
    },
    scenario! {
        "durability.synchronize-cache.immediate", "SBC-3 5.26",
        "SYNCHRONIZE CACHE with IMMED is answered before storage has synced; one without IMMED \
         after it is not, and then everything survives a power cut.",
        needs [PowerCut, Faults];
        async |ctx| { immediate(ctx).await }
    },
    scenario! {
        "durability.fua.write-10", "SBC-3 5.36",
        "A WRITE(10) with FUA that ended GOOD survives a power cut, volatile cache or not.",
        needs [PowerCut];
        async |ctx| { forced(ctx, |lba, blocks| cdb::write10(lba, blocks, true).to_vec()).await }
    },
    scenario! {
        "durability.fua.write-16", "SBC-3 5.38",
        "A WRITE(16) with FUA that ended GOOD survives a power cut, volatile cache or not.",
        needs [PowerCut];
        async |ctx| {
            forced(ctx, |lba, blocks| cdb::write16(lba.into(), blocks.into(), true).to_vec()).await
        }
    },
    scenario! {
        "durability.write-through", "SBC-3 6.6.4; README, What an answer means",
        "With WCE zero a WRITE that ended GOOD survives a power cut.",
        needs [PowerCut];
        async |ctx| {
            let (rig, ctx) = ctx.rig(Setup::write_through().losing_all()).await?;
            let mut session = ctx.session().await?;
            expect_eq("WCE", false, has_volatile_cache(&mut session, &ctx).await?)?;
            let data = blocks_of(&session, 0x7470, 64);
            write_all(&mut session, &ctx, FIRST, &data[..data.len() / 2]).await?;
            let rest = &data[data.len() / 2..];
            let outcome = session.write16(ctx.lun(), u64::from(FIRST) + 32, rest).await?;
            good("WRITE(16)", &outcome)?;
            cut(&rig).await?;
            holds(&mut ctx.session().await?, &ctx, FIRST.into(), &data).await
        }
    },
    scenario! {
        "durability.write-through.data-modes", "RFC 7143 12.10, 12.11; README, What an answer means",
        "With WCE zero it makes no difference how the data came: immediate, unsolicited or asked \
         for, it survives a power cut.",
        needs [PowerCut];
        async |ctx| { data_modes(ctx).await }
    },
    scenario! {
        "durability.write-back.old-or-new", "SBC-3 6.6.4; README, What an answer means",
        "With WCE one a power cut may take what was written since the last SYNCHRONIZE CACHE, but \
         each block is then as it was before or as it was written, whole.",
        needs [PowerCut];
        async |ctx| { old_or_new_blocks(ctx).await }
    },
];

/// Where most of this plays: not on a page boundary.
const FIRST: u32 = 1003;
const BLOCKS: u16 = 64;

/// WCE of the Caching mode page (SBC-3 6.6.4).
async fn has_volatile_cache(session: &mut Session, ctx: &Context) -> Result<bool, Finding> {
    let command = Command::read(ctx.lun(), &cdb::mode_sense6(0x08, 0, 255), 255);
    let data = session.run(command).await?.good()?;
    let wce = data.get(6).map(|byte| byte & 0x04 != 0);
    wce.ok_or_else(|| Finding::fail("a Caching mode page", format!("{} bytes", data.len())))
}

/// What lies in the range of `flush` must survive, its neighbours need not.
async fn flushed(ctx: Context, flush: &[u8]) -> Result<(), Finding> {
    let (rig, ctx) = ctx.rig(Setup::write_back().losing_all()).await?;
    let mut session = ctx.session().await?;
    expect_eq("WCE", true, has_volatile_cache(&mut session, &ctx).await?)?;
    let before = session.read(ctx.lun(), 0, 64).await?.good()?;
    let beside = blocks_of(&session, 0xbe51de, 64);
    let data = blocks_of(&session, 0xf1a5, BLOCKS.into());
    write_all(&mut session, &ctx, 0, &beside).await?;
    write_all(&mut session, &ctx, FIRST, &data).await?;
    let outcome = session.run(Command::none(ctx.lun(), flush)).await?;
    good("SYNCHRONIZE CACHE", &outcome)?;
    cut(&rig).await?;
    let mut session = ctx.session().await?;
    holds(&mut session, &ctx, FIRST.into(), &data).await?;
    match flush.iter().skip(2).all(|byte| *byte == 0) {
        true => holds(&mut session, &ctx, 0, &beside).await,
        false => old_or_new(&mut session, &ctx, 0, &before, &beside)
            .await
            .map(drop),
    }
}

async fn immediate(ctx: Context) -> Result<(), Finding> {
    let (rig, ctx) = ctx.rig(Setup::write_back().losing_all()).await?;
    let mut session = ctx.session().await?;
    let data = blocks_of(&session, 0x1333, 32);
    write_all(&mut session, &ctx, FIRST, &data).await?;
    let slow = 2 * PROMPT;
    let rule = format!("fsync {} latency={}ms", rig.image(0), slow.as_millis());
    rig.plan(&rule).await?;
    let asked = std::time::Instant::now();
    let outcome = sync10(&mut session, &ctx, (0, 0), true).await?;
    if outcome.sense == Some(INVALID_FIELD_IN_CDB) {
        return Err(Finding::Skip("IMMED is not supported".into()));
    }
    good("SYNCHRONIZE CACHE(10) with IMMED", &outcome)?;
    let took = asked.elapsed();
    expect(
        took < slow,
        "an answer before storage has synced",
        format!("{took:?}"),
    )?;
    let asked = std::time::Instant::now();
    let outcome = sync10(&mut session, &ctx, (0, 0), false).await?;
    good("SYNCHRONIZE CACHE(10) without IMMED", &outcome)?;
    let took = asked.elapsed();
    expect(
        took >= slow / 2,
        "an answer after storage has synced",
        format!("{took:?}"),
    )?;
    cut(&rig).await?;
    rig.plan("").await?;
    holds(&mut ctx.session().await?, &ctx, FIRST.into(), &data).await
}

async fn forced(ctx: Context, write: impl Fn(u32, u16) -> Vec<u8>) -> Result<(), Finding> {
    let (rig, ctx) = ctx.rig(Setup::write_back().losing_all()).await?;
    let mut session = ctx.session().await?;
    expect_eq("WCE", true, has_volatile_cache(&mut session, &ctx).await?)?;
    let before = session.read(ctx.lun(), 0, 64).await?.good()?;
    let beside = blocks_of(&session, 0xbe51de, 64);
    let data = blocks_of(&session, 0xf0a, BLOCKS.into());
    // What is not forced is no matter of this command.
    write_all(&mut session, &ctx, 0, &beside).await?;
    let command = Command::write(ctx.lun(), &write(FIRST, BLOCKS), data.clone());
    good("WRITE with FUA", &session.run(command).await?)?;
    cut(&rig).await?;
    let mut session = ctx.session().await?;
    holds(&mut session, &ctx, FIRST.into(), &data).await?;
    let beside = old_or_new(&mut session, &ctx, 0, &before, &beside).await;
    beside.map(drop)
}

async fn data_modes(ctx: Context) -> Result<(), Finding> {
    let (rig, ctx) = ctx.rig(Setup::write_through().losing_all()).await?;
    let mut written = Vec::new();
    for (index, (immediate_data, initial_r2t)) in
        [(true, true), (true, false), (false, false), (false, true)]
            .into_iter()
            .enumerate()
    {
        let options = short_bursts(&ctx, immediate_data, initial_r2t);
        let mut session = ctx.session_with(options).await?;
        let lba = FIRST + 100 * index as u32;
        let data = blocks_of(&session, u64::from(lba), 96);
        let outcome = session.write(ctx.lun(), lba, &data).await?;
        let what = format!("WRITE(10), ImmediateData={immediate_data}, InitialR2T={initial_r2t}");
        good(&what, &outcome)?;
        written.push((lba, data));
        session.logout().await?;
    }
    cut(&rig).await?;
    let mut session = ctx.session().await?;
    for (lba, data) in written {
        holds(&mut session, &ctx, lba.into(), &data).await?;
    }
    Ok(())
}

async fn old_or_new_blocks(ctx: Context) -> Result<(), Finding> {
    // By chance, and the same chance every time, some of what was not synced survives, some of it
    // whole pages, some not.
    let (rig, ctx) = ctx.rig(Setup::write_back()).await?;
    let mut session = ctx.session().await?;
    let untouched = session.read(ctx.lun(), 0, 64).await?.good()?;
    let old = blocks_of(&session, 0x01d, 512);
    write_all(&mut session, &ctx, FIRST, &old).await?;
    good("SYNCHRONIZE CACHE(10)", &session.sync(ctx.lun()).await?)?;
    let mut new = blocks_of(&session, 0x0e3, 512);
    write_all(&mut session, &ctx, FIRST, &new[..new.len() / 2]).await?;
    let kept = new.len() / 2;
    new[kept..].copy_from_slice(&old[kept..]);
    cut(&rig).await?;
    let mut session = ctx.session().await?;
    old_or_new(&mut session, &ctx, FIRST.into(), &old, &new).await?;
    holds(&mut session, &ctx, 0, &untouched).await
}
