//! A device that dies or is stopped and comes back, and sessions that are lost while storage still
//! works for them (RFC 7143 6.3.5, 7.6; README, "What an answer means").

use std::time::Duration;

use initiator_sim::{Command, Patience, Reconnecting, Session, cdb};
use tokio::time::sleep;

use super::judge::{blocks_of, good, holds, pattern, witness};
use super::survival::{PROMPT, write_all};
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
        "restart.killed", "SBC-3 6.6.4; README, What an answer means",
        "A device without a volatile cache that is killed under load and started again holds every \
         write it acknowledged, and its initiator goes on.",
        needs [Restart];
        async |ctx| { killed(ctx).await }
    },
    scenario! {
        "restart.stopped", "RFC 7143 11.9.1; README, What an answer means",
        "A device that is stopped in order asks its initiators to log out and loses nothing of \
         its volatile cache.",
        needs [Restart];
        async |ctx| { stopped(ctx).await }
    },
    scenario! {
        "restart.attention", "SAM-5 5.14, 6.2",
        "The first command after a device started again is told so: UNIT ATTENTION, POWER ON, \
         RESET, OR BUS DEVICE RESET OCCURRED or one of its kinds.",
        needs [Restart];
        async |ctx| {
            let (rig, ctx) = ctx.rig(Setup::write_through()).await?;
            ctx.session().await?;
            rig.kill().await?;
            rig.start().await?;
            let mut session = Session::login(ctx.addr(), &ctx.login_options()).await?;
            let outcome = session.tur(ctx.lun()).await?;
            let told = outcome.sense.is_some_and(|sense| (sense.key, sense.asc) == (0x06, 0x29));
            expect(told, "CHECK CONDITION, 6h/29h", outcome)
        }
    },
    scenario! {
        "reinstatement.session.write-in-storage", "RFC 7143 6.3.5; README, What an answer means",
        "After a login took the place of a session, nothing of a WRITE that storage still worked \
         on for that session lands any more.",
        needs [Faults];
        async |ctx| {
            let (rig, ctx) = ctx.rig(Setup::write_through()).await?;
            let mut old = ctx.session().await?;
            let slow = PROMPT;
            let rule = format!("write {} latency={}ms", rig.image(0), slow.as_millis());
            rig.plan(&rule).await?;
            start_write(&mut old, &ctx).await?;
            let mut new = ctx.session().await?;
            let found = new.read(ctx.lun(), LBA, 8).await?.good()?;
            sleep(2 * slow).await;
            unchanged(&mut new, &ctx, &found).await?;
            rig.plan("").await?;
            afterwards(&mut new, &ctx).await
        }
    },
    scenario! {
        "reinstatement.connection-lost.write-hangs", "RFC 7143 6.3.5, 7.6",
        "A connection is lost while a WRITE of it hangs in storage: another session is served \
         meanwhile, and once the initiator is logged in again nothing of that WRITE lands.",
        needs [Faults];
        async |ctx| { lost_while_hanging(ctx).await }
    },
];

const LBA: u32 = 40;

/// A WRITE that nobody waits for, in storage when this returns.
async fn start_write(session: &mut Session, ctx: &Context) -> Result<(), Finding> {
    let data = blocks_of(session, 0x1a7e, 8);
    session
        .start(session.write_command(ctx.lun(), LBA, data))
        .await?;
    sleep(Duration::from_millis(100)).await;
    Ok(())
}

/// The blocks of that WRITE are what they were a while ago.
async fn unchanged(session: &mut Session, ctx: &Context, found: &[u8]) -> Result<(), Finding> {
    let now = session.read(ctx.lun(), LBA, 8).await?.good()?;
    let expected = "nothing of the old session lands after the new login is answered";
    expect(now == found, expected, "the blocks of its WRITE changed")
}

/// The disk serves on, and what it now takes stays.
async fn afterwards(session: &mut Session, ctx: &Context) -> Result<(), Finding> {
    let data = blocks_of(session, 0xaf7e4, 8);
    let outcome = session.write(ctx.lun(), LBA, &data).await?;
    good("WRITE(10) afterwards", &outcome)?;
    sleep(Duration::from_millis(100)).await;
    holds(session, ctx, LBA.into(), &data).await
}

/// A connection lost takes its tasks along; the initiator logs in with the same ISID. A target that
/// lets it in at once is wrong only if something changes afterwards.
async fn lost_while_hanging(ctx: Context) -> Result<(), Finding> {
    let (rig, ctx) = ctx.rig(Setup::write_through()).await?;
    let mut old = ctx.session().await?;
    let mut other = witness(&ctx).await?;
    rig.plan(&format!("write {} nth=1 hang", rig.image(0)))
        .await?;
    start_write(&mut old, &ctx).await?;
    old.cut();
    let data = blocks_of(&other, 0x07e4, 8);
    other.conn().set_timeout(PROMPT);
    let outcome = other.write(ctx.lun(), LBA + 8, &data).await?;
    good("WRITE(10) of another session", &outcome)?;
    holds(&mut other, &ctx, u64::from(LBA) + 8, &data).await?;

    let again = ctx.clone();
    let login = tokio::spawn(async move { again.session().await });
    sleep(PROMPT).await;
    let mut early = None;
    let session = match login.is_finished() {
        true => {
            let mut session = login.await.expect("a login does not panic")?;
            early = Some(session.read(ctx.lun(), LBA, 8).await?);
            rig.plan("").await?;
            sleep(PROMPT).await;
            session
        }
        false => {
            rig.plan("").await?;
            login.await.expect("a login does not panic")?
        }
    };
    let mut session = session;
    if let Some(early) = early.filter(|early| early.is_good()) {
        unchanged(&mut session, &ctx, &early.data).await?;
    }
    afterwards(&mut session, &ctx).await
}

/// Writes one round after the other, each round elsewhere, until the device has died and is back.
async fn killed(ctx: Context) -> Result<(), Finding> {
    const DEPTH: u32 = 32;
    let (rig, ctx) = ctx.rig(Setup::write_through()).await?;
    let block = ctx.block_size() as usize;
    let data = |lba: u32| pattern(u64::from(lba), block);
    let patience = Patience::default();
    let mut initiator = Reconnecting::connect(ctx.addr(), &ctx.login_options(), patience).await?;
    let victim = rig.clone();
    let killer = tokio::spawn(async move {
        sleep(Duration::from_millis(100)).await;
        victim.kill().await?;
        victim.start().await
    });
    let rounds_max = u32::try_from(ctx.blocks()).expect("a small disk") / DEPTH;
    let mut rounds = 0;
    while rounds < rounds_max && (!killer.is_finished() || initiator.reconnects() == 0) {
        let lbas = rounds * DEPTH..(rounds + 1) * DEPTH;
        let commands = lbas.map(|lba| {
            let cdb = cdb::write10(lba, 1, false);
            Command::write(ctx.lun(), &cdb, data(lba))
        });
        for outcome in initiator.run_all(commands.collect()).await? {
            good("WRITE(10)", &outcome)?;
        }
        rounds += 1;
    }
    killer.await.expect("nobody panics here")?;
    expect(
        initiator.reconnects() > 0,
        "a connection that was lost",
        "it was not",
    )?;
    drop(initiator);
    let mut session = ctx.session().await?;
    let all: Vec<u8> = (0..rounds * DEPTH).flat_map(data).collect();
    holds(&mut session, &ctx, 0, &all).await
}

async fn stopped(ctx: Context) -> Result<(), Finding> {
    let (rig, ctx) = ctx.rig(Setup::write_back().losing_all()).await?;
    let mut session = ctx.session().await?;
    let data = blocks_of(&session, 0x5709, 64);
    write_all(&mut session, &ctx, LBA, &data).await?;
    let stopping = rig.clone();
    let stopped = tokio::spawn(async move { stopping.stop().await });
    while session.take_asyncs().is_empty() {
        expect(
            !stopped.is_finished(),
            "a request to log out",
            "the device ended without one",
        )?;
        session.idle(Duration::from_millis(20)).await?;
    }
    session.logout().await?;
    let stopped = stopped.await.expect("nobody panics here");
    stopped.map_err(|why| Finding::fail("an end in order", why))?;
    rig.start().await?;
    holds(&mut ctx.session().await?, &ctx, LBA.into(), &data).await
}
