//! Task management while storage hangs: what is called aborted and what still lands (RFC 7143 11.5,
//! 11.6; README, "What an answer means").

use std::time::Duration;

use initiator_sim::{Command, Outcome, Session, SessionError, cdb};
use iscsi::{TmfFunction, TmfResponse};
use tokio::time::sleep;

use super::judge::{blocks_of, holds, witness};
use super::survival::{PROMPT, old_or_new, write_all};
use crate::context::Context;
use crate::rig::{Rig, Setup};
use crate::scenario;
use crate::scenario::{Finding, Scenario, expect};

/// All scenarios of this family.
pub fn scenarios() -> Vec<Scenario> {
    SCENARIOS.to_vec()
}

static SCENARIOS: &[Scenario] = &[
    scenario! {
        "storage.hung-write.abort-task", "RFC 7143 11.5.1, 11.6.1",
        "ABORT TASK of a WRITE that hangs in storage is answered in bounded time: complete only \
         if the WRITE can no longer land.",
        needs [Faults];
        async |ctx| { hung_and_managed(ctx, TmfFunction::ABORT_TASK).await }
    },
    scenario! {
        "storage.hung-write.lun-reset", "RFC 7143 11.5.1, SAM-5 7.7",
        "LOGICAL UNIT RESET while a WRITE of another session hangs in storage is answered in \
         bounded time: complete only if that WRITE can no longer land.",
        needs [Faults];
        async |ctx| { hung_and_managed(ctx, TmfFunction::LOGICAL_UNIT_RESET).await }
    },
];

/// A task management function that storage holds up is answered within this: well before an
/// initiator gives the session up (open-iscsi: 15 s for an abort, 30 s for a reset).
const BOUNDED: Duration = Duration::from_secs(12);

const LBA: u32 = 40;

/// A WRITE hangs, without end for all anybody knows, and is to be aborted.
async fn hung_and_managed(ctx: Context, function: TmfFunction) -> Result<(), Finding> {
    let (rig, ctx) = ctx.rig(Setup::write_through()).await?;
    let mut victim = ctx.session().await?;
    let mut other = witness(&ctx).await?;
    let old = blocks_of(&victim, 0x01d, 8);
    write_all(&mut victim, &ctx, LBA, &old).await?;
    rig.plan(&format!("write {} nth=1 hang", rig.image(0)))
        .await?;
    let late = blocks_of(&victim, 0x1a7e, 8);
    let hung = victim
        .start(victim.write_command(ctx.lun(), LBA, late.clone()))
        .await?;
    sleep(Duration::from_millis(100)).await;
    let one_task = function == TmfFunction::ABORT_TASK;
    let asking = if one_task { &mut victim } else { &mut other };
    asking.conn().set_timeout(BOUNDED);
    let response = asking
        .task_management(function, ctx.lun(), one_task.then_some(hung))
        .await?;
    landed_or_not(&rig, &ctx, response, (&old, &late)).await?;
    for session in [&mut victim, &mut other] {
        session.clear_attention(ctx.lun()).await?;
        let data = blocks_of(session, 0xaf7e4, 8);
        write_all(session, &ctx, LBA, &data).await?;
        holds(session, &ctx, LBA.into(), &data).await?;
    }
    Ok(())
}

/// The hang ends after the answer: what lands then belies "complete".
async fn landed_or_not(
    rig: &Rig,
    ctx: &Context,
    response: TmfResponse,
    (old, late): (&[u8], &[u8]),
) -> Result<(), Finding> {
    let options = ctx.login_options().qualifier(0x1a7e);
    rig.plan("").await?;
    sleep(PROMPT / 2).await;
    let mut session = ctx.session_with(options).await?;
    match response {
        TmfResponse::COMPLETE => {
            let now = read_past_attention(&mut session, ctx).await?;
            let expected = "nothing of a WRITE lands once its abort is answered complete";
            expect(now.data == old, expected, "its blocks changed")
        }
        TmfResponse::REJECTED => old_or_new(&mut session, ctx, LBA.into(), old, late)
            .await
            .map(drop),
        other => Err(Finding::fail(
            "complete, or rejected in bounded time",
            other,
        )),
    }
}

async fn read_past_attention(
    session: &mut Session,
    ctx: &Context,
) -> Result<Outcome, SessionError> {
    let command = Command::read(
        ctx.lun(),
        &cdb::read10(LBA, 8, false),
        8 * session.block_size,
    );
    match session.run(command.clone()).await? {
        attention if attention.is_unit_attention() => session.run(command).await,
        outcome => Ok(outcome),
    }
}
