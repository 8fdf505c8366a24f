//! Task management of whole task sets: what a reset promises to the one who asks and to everybody
//! else (RFC 7143 11.5, 4.2.3; SAM-5 7).

use initiator_sim::{Command, ConnError, Outcome, Sense, Session, SessionError, cdb};
use iscsi::{Itt, Lun, Response, Serial, TmfFunction, TmfResponse};

use super::by_hand::{Heard, QUIET, ending, hear, solicited};
use super::judge::{blocks_of, good, holds, witness};
use super::task_management::{Answer, Waiting, hear_management, manage, request};
use crate::context::Context;
use crate::scenario;
use crate::scenario::{Finding, Scenario, expect};

/// All scenarios of this family.
pub fn scenarios() -> Vec<Scenario> {
    SCENARIOS.to_vec()
}

static SCENARIOS: &[Scenario] = &[
    scenario! {
        "task-management.abort-task-set.own-tasks-only", "RFC 7143 11.5.1, SAM-5 7.3",
        "ABORT TASK SET ends the tasks of the session that asks on that logical unit, and \
         those of another session go on to GOOD.",
        needs [Destructive];
        async |ctx| { abort_task_set(ctx).await }
    },
    scenario! {
        "task-management.abort-task-set.waits-for-data", "RFC 7143 4.2.3.2, 11.6.2",
        "Before it answers ABORT TASK SET the target waits for the answers to the R2Ts it has \
         sent for those tasks.",
        needs [Destructive];
        async |ctx| { waits_for_data(ctx).await }
    },
    scenario! {
        "task-management.clear-task-set.tells-others", "SAM-5 7.5, 5.14",
        "CLEAR TASK SET ends the tasks of every nexus; a nexus that loses one hears COMMANDS \
         CLEARED BY ANOTHER INITIATOR once, or TASK ABORTED status.",
        needs [Destructive];
        async |ctx| { clear_task_set(ctx).await }
    },
    scenario! {
        "task-management.lun-reset.tells-others", "SAM-5 6.3.3, 7.7",
        "LOGICAL UNIT RESET establishes a unit attention for every other nexus, told once: BUS \
         DEVICE RESET FUNCTION OCCURRED, or the general POWER ON, RESET, OR BUS DEVICE RESET \
         OCCURRED.",
        needs [];
        async |ctx| { lun_reset_tells_others(ctx).await }
    },
    scenario! {
        "task-management.lun-reset.ends-tasks", "RFC 7143 11.5.1, SAM-5 7.7",
        "After LOGICAL UNIT RESET is answered nothing of the tasks before it follows, on any \
         session, and the disk serves on.",
        needs [Destructive];
        async |ctx| { lun_reset_ends_tasks(ctx).await }
    },
];

async fn abort_task_set(ctx: Context) -> Result<(), Finding> {
    let mut one = Waiting::at(&ctx, 0x21, 0).await?;
    let mut two = Waiting::at(&ctx, 0x22, 8).await?;
    let function = TmfFunction::ABORT_TASK_SET;
    let request = request(
        &mut one.session,
        function,
        ctx.lun(),
        Itt::RESERVED,
        Serial(0),
    );
    one.session.conn().send(&request.into(), []).await?;
    // The target waits for this before it answers (RFC 7143 4.2.3.2).
    one.answer().await?;
    hear_management(&mut one.session, request.itt)
        .await?
        .completed(function)?;
    one.is_over().await?;
    two.answer().await?;
    let end = ending(&mut two.session, two.r2t.itt).await?;
    match &end.last {
        Heard::Ended(ended) if ended.is_good() => {}
        other => return Err(Finding::fail("the other session's WRITE: GOOD", other)),
    }
    holds(&mut two.session, &ctx, 8, &two.data).await?;
    good(
        "TEST UNIT READY afterwards",
        &one.session.tur(ctx.lun()).await?,
    )
}

async fn waits_for_data(ctx: Context) -> Result<(), Finding> {
    let mut waiting = Waiting::at(&ctx, 0, 0).await?;
    let function = TmfFunction::ABORT_TASK_SET;
    let request = request(
        &mut waiting.session,
        function,
        ctx.lun(),
        Itt::RESERVED,
        Serial(0),
    );
    waiting.session.conn().send(&request.into(), []).await?;
    match waiting.session.recv_timeout(QUIET).await {
        Err(SessionError::Conn(ConnError::Timeout(_))) => {}
        Ok(received) => match received.response {
            Response::TaskManagement(pdu) if pdu.response == TmfResponse::NOT_SUPPORTED => {
                return Err(Finding::Skip("ABORT TASK SET is not supported".into()));
            }
            other => {
                let expected = "no answer before the data that an R2T asked for";
                return Err(Finding::fail(expected, other.opcode().name()));
            }
        },
        Err(error) => return Err(error.into()),
    }
    waiting.answer().await?;
    hear_management(&mut waiting.session, request.itt)
        .await?
        .completed(function)?;
    waiting.is_over().await
}

/// TST of the Control mode page: zero is one task set for all nexuses (SPC-4 7.5.8).
async fn task_set_is_shared(session: &mut Session, lun: Lun) -> Result<bool, Finding> {
    let outcome = session
        .run(Command::read(lun, &cdb::mode_sense6(0x0a, 0, 255), 255))
        .await?;
    Ok(outcome.data.get(6).is_none_or(|byte| byte >> 5 == 0))
}

async fn clear_task_set(ctx: Context) -> Result<(), Finding> {
    const CLEARED: Sense = Sense {
        key: 0x06,
        asc: 0x2f,
        ascq: 0x00,
    };
    let mut one = ctx.session().await?;
    if !task_set_is_shared(&mut one, ctx.lun()).await? {
        return Err(Finding::Skip(
            "every nexus has a task set of its own".into(),
        ));
    }
    let mut two = Waiting::at(&ctx, 0x31, 0).await?;
    let function = TmfFunction::CLEAR_TASK_SET;
    let request = request(&mut one, function, ctx.lun(), Itt::RESERVED, Serial(0));
    one.conn().send(&request.into(), []).await?;
    // The target may wait for this (RFC 7143 4.2.3.2).
    tokio::time::sleep(QUIET / 4).await;
    two.answer().await?;
    hear_management(&mut one, request.itt)
        .await?
        .completed(function)?;
    let aborted_status = match hear(&mut two.session, two.r2t.itt, QUIET).await? {
        Heard::Silence => false,
        Heard::Ended(ended) if ended.status == Outcome::TASK_ABORTED => true,
        other => {
            return Err(Finding::fail(
                "no end but TASK ABORTED for a cleared task",
                other,
            ));
        }
    };
    let told = attentions(&mut two.session, ctx.lun()).await?;
    let due = if aborted_status { 0 } else { 1 };
    let count = told.iter().filter(|sense| **sense == CLEARED).count();
    let all = names(&told);
    let what = format!("{CLEARED} {due} times on the other nexus");
    expect(count == due, &what, all)?;
    good(
        "TEST UNIT READY of the one that cleared",
        &one.tur(ctx.lun()).await?,
    )
}

/// Unit attentions as text.
fn names(told: &[Sense]) -> String {
    match told {
        [] => "nothing".to_owned(),
        told => told
            .iter()
            .map(Sense::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// The unit attentions TEST UNIT READY reports until it ends GOOD.
async fn attentions(session: &mut Session, lun: Lun) -> Result<Vec<Sense>, Finding> {
    let mut told = Vec::new();
    for _ in 0..6 {
        let outcome = session.tur(lun).await?;
        match outcome.sense {
            Some(sense) if outcome.is_unit_attention() => told.push(sense),
            _ => {
                good("TEST UNIT READY after the unit attentions", &outcome)?;
                return Ok(told);
            }
        }
    }
    Err(Finding::fail(
        "an end to the unit attentions",
        format!("{} of them", told.len()),
    ))
}

async fn lun_reset_tells_others(ctx: Context) -> Result<(), Finding> {
    let mut one = ctx.session().await?;
    let mut two = witness(&ctx).await?;
    let function = TmfFunction::LOGICAL_UNIT_RESET;
    let managed = manage(&mut one, function, ctx.lun(), Itt::RESERVED, Serial(0)).await?;
    Answer::Response(managed).completed(function)?;
    let is_reset = |sense: &&Sense| sense.asc == 0x29 && matches!(sense.ascq, 0x00 | 0x03);
    let told = attentions(&mut two, ctx.lun()).await?;
    let all = names(&told);
    let once = told.iter().filter(is_reset).count() == 1;
    expect(
        once,
        "6h/29h/03h or 6h/29h/00h once on the other nexus",
        all,
    )?;
    // The one that asked may hear of it too (SAM-5 6.3.3); then it goes on.
    let own = attentions(&mut one, ctx.lun()).await?;
    let once = own.iter().filter(is_reset).count() == own.len() && own.len() <= 1;
    let all = names(&own);
    expect(
        once,
        "at most one reset attention for the nexus that asked",
        all,
    )
}

async fn lun_reset_ends_tasks(ctx: Context) -> Result<(), Finding> {
    let mut one = Waiting::at(&ctx, 0x41, 0).await?;
    let mut two = Waiting::at(&ctx, 0x42, 8).await?;
    let function = TmfFunction::LOGICAL_UNIT_RESET;
    let request = request(
        &mut one.session,
        function,
        ctx.lun(),
        Itt::RESERVED,
        Serial(0),
    );
    one.session.conn().send(&request.into(), []).await?;
    tokio::time::sleep(QUIET / 4).await;
    one.answer().await?;
    two.answer().await?;
    hear_management(&mut one.session, request.itt)
        .await?
        .completed(function)?;
    one.is_over().await?;
    match hear(&mut two.session, two.r2t.itt, QUIET).await? {
        Heard::Silence => {}
        Heard::Ended(ended) if ended.status == Outcome::TASK_ABORTED => {}
        other => {
            return Err(Finding::fail(
                "no end but TASK ABORTED for a reset task",
                other,
            ));
        }
    }
    for waiting in [&mut one, &mut two] {
        attentions(&mut waiting.session, ctx.lun()).await?;
        let data = blocks_of(&waiting.session, 0x4e5e7, 2);
        let outcome = waiting.session.write(ctx.lun(), 0, &data).await?;
        good("WRITE(10) after the reset", &outcome)?;
        holds(&mut waiting.session, &ctx, 0, &data).await?;
    }
    // A Data-Out for a task that is gone stays without effect.
    let late = solicited(&mut one.session, &one.r2t, 0, 0, true);
    let before = one.session.read(ctx.lun(), 0, 2).await?;
    one.session.conn().send(&late.into(), &one.data).await?;
    one.is_over().await?;
    holds(&mut two.session, &ctx, 0, &before.data).await
}
