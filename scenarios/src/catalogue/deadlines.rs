//! Storage that hangs for longer than it is waited for: who is told what, and what becomes of it
//! (SAM-5 5.3.1; README, "What an answer means").

use std::time::{Duration, Instant};

use initiator_sim::Outcome;
use iscsi::Lun;
use tokio::time::sleep;

use super::judge::{blocks_of, good, holds, witness};
use super::storage::neighbour;
use super::survival::{PROMPT, old_or_new, write_all};
use crate::context::Context;
use crate::rig::Setup;
use crate::scenario;
use crate::scenario::{Finding, Scenario, expect};

/// All scenarios of this family.
pub fn scenarios() -> Vec<Scenario> {
    SCENARIOS.to_vec()
}

static SCENARIOS: &[Scenario] = &[
    scenario! {
        "storage.hung-read", "SAM-5 5.3.1; README, What an answer means",
        "A READ that hangs beyond the time storage is waited for ends in BUSY; another logical \
         unit is served meanwhile, and so is this one when the hang is over.",
        needs [Faults];
        async |ctx| { hung_read(ctx).await }
    },
    scenario! {
        "storage.hung-write", "SAM-5 5.3.1; README, What an answer means",
        "A WRITE that hangs beyond the time storage is waited for ends in BUSY; whatever of its \
         blocks is answered GOOD before it can no longer land, stays so when it could.",
        needs [Faults];
        async |ctx| { hung_write(ctx).await }
    },
];

/// How long storage is waited for where a scenario waits for the end of it.
const DEADLINE: Duration = Duration::from_secs(1);
/// From there to the answer.
const MARGIN: Duration = Duration::from_secs(2);
const LBA: u32 = 40;

/// The command ended in BUSY, when it was time to give up and not before.
fn busy(what: &str, outcome: &Outcome, took: Duration) -> Result<(), Finding> {
    let is_busy = outcome.response == 0 && outcome.status == Outcome::BUSY;
    expect(is_busy, &format!("{what}: BUSY"), outcome)?;
    let in_time = (DEADLINE / 2..DEADLINE + MARGIN).contains(&took);
    let expected = format!("{what}: BUSY after about {DEADLINE:?}");
    expect(in_time, &expected, format!("after {took:?}"))
}

async fn hung_read(ctx: Context) -> Result<(), Finding> {
    let (rig, ctx) = ctx
        .rig(Setup::write_through().luns(2).deadline(DEADLINE))
        .await?;
    let mut session = ctx.session().await?;
    session.clear_attention(Lun::from_number(1)).await?;
    let data = blocks_of(&session, 0x4ead, 8);
    write_all(&mut session, &ctx, LBA, &data).await?;
    rig.plan(&format!("read {} hang", rig.image(0))).await?;
    let started = Instant::now();
    let itt = session
        .start(session.read_command(ctx.lun(), LBA, 8))
        .await?;
    neighbour(&mut session).await?;
    let outcome = session.wait(itt).await?;
    busy("READ(10) that hangs", &outcome, started.elapsed())?;
    neighbour(&mut session).await?;
    rig.plan("").await?;
    holds(&mut session, &ctx, LBA.into(), &data).await
}

async fn hung_write(ctx: Context) -> Result<(), Finding> {
    let (rig, ctx) = ctx.rig(Setup::write_through().deadline(DEADLINE)).await?;
    let mut session = ctx.session().await?;
    let mut other = witness(&ctx).await?;
    let old = blocks_of(&session, 0x01d, 8);
    write_all(&mut session, &ctx, LBA, &old).await?;
    rig.plan(&format!("write {} nth=1 hang", rig.image(0)))
        .await?;
    let late = blocks_of(&session, 0x1a7e, 8);
    let started = Instant::now();
    let outcome = session.write(ctx.lun(), LBA, &late).await?;
    busy("WRITE(10) that hangs", &outcome, started.elapsed())?;

    // It may still land. Nothing about its blocks may be answered that this would belie.
    let read = other.read(ctx.lun(), LBA, 8).await?;
    let newer = blocks_of(&session, 0x0e3e4, 8);
    let written = other.write(ctx.lun(), LBA, &newer).await?;
    let beside = other.write(ctx.lun(), LBA + 8, &newer).await?;
    good("WRITE(10) beside the blocks of one that hangs", &beside)?;
    rig.plan("").await?;
    sleep(PROMPT / 2).await;

    holds(&mut other, &ctx, u64::from(LBA) + 8, &newer).await?;
    let now = other.read(ctx.lun(), LBA, 8).await?;
    good("READ(10) when the hang is over", &now)?;
    if written.is_good() {
        let expected = "a WRITE answered GOOD is not undone by an older one that hung";
        expect(now.data == newer, expected, "other bytes")?;
    } else if read.is_good() {
        let expected = "blocks as they were read after the WRITE that hung had ended in BUSY";
        expect(now.data == read.data, expected, "other bytes")?;
    } else {
        old_or_new(&mut other, &ctx, LBA.into(), &old, &late).await?;
    }
    write_all(&mut session, &ctx, LBA, &newer).await?;
    holds(&mut other, &ctx, LBA.into(), &newer).await
}
