//! Task management of one task, and the functions a target does not have (RFC 7143 11.5, 11.6).

use std::time::Duration;

use initiator_sim::{ConnError, Session, SessionError, cdb};
use iscsi::pdu::{R2t, TaskManagementRequest};
use iscsi::{Itt, Lun, Opcode, RejectReason, Response, Serial, TmfFunction, TmfResponse};

use super::by_hand::{self, Heard, QUIET, hear, hear_r2t, long_gone};
use super::judge::{blocks_of, expect_named, good, holds, short_bursts, witness};
use crate::context::Context;
use crate::scenario;
use crate::scenario::{Finding, Scenario};

/// A reset may take this long.
const PATIENCE: Duration = Duration::from_secs(3);

/// All scenarios of this family.
pub fn scenarios() -> Vec<Scenario> {
    SCENARIOS.to_vec()
}

static SCENARIOS: &[Scenario] = &[
    scenario! {
        "task-management.abort-task.unknown", "RFC 7143 11.6.1",
        "ABORT TASK of a tag that is not there, its RefCmdSN outside the command window, is \
         answered \"Task does not exist\".",
        needs [];
        async |ctx| {
            let mut session = ctx.session().await?;
            let gone = long_gone(&mut session);
            let (function, itt) = (TmfFunction::ABORT_TASK, Itt(0x7fff_fff0));
            let managed = manage(&mut session, function, ctx.lun(), itt, gone).await?;
            expect_named("response", TmfResponse::TASK_DOES_NOT_EXIST, managed)?;
            good("TEST UNIT READY afterwards", &session.tur(ctx.lun()).await?)
        }
    },
    scenario! {
        "task-management.abort-task.completed", "RFC 7143 11.6.1",
        "ABORT TASK of a task that was answered before is answered \"Task does not exist\".",
        needs [];
        async |ctx| {
            let mut session = ctx.session().await?;
            let cmd_sn = session.numbering().cmd_sn;
            let itt = session.start(session.read_command(ctx.lun(), 0, 1)).await?;
            good("READ(10)", &session.wait(itt).await?)?;
            let function = TmfFunction::ABORT_TASK;
            let managed = manage(&mut session, function, ctx.lun(), itt, cmd_sn).await?;
            expect_named("response", TmfResponse::TASK_DOES_NOT_EXIST, managed)
        }
    },
    scenario! {
        "task-management.abort-task.ahead-of-its-task", "RFC 7143 11.6.1, 11.5.5",
        "ABORT TASK of a command that has not arrived, its RefCmdSN in the window, is answered \
         \"Function complete\", and the CmdSN counts as received: the command is dropped when \
         it comes.",
        needs [];
        async |ctx| { ahead_of_its_task(ctx).await }
    },
    scenario! {
        "task-management.abort-task.write-waiting-for-data", "RFC 7143 11.5.1, 11.6.1",
        "ABORT TASK of a WRITE that waits for data is answered \"Function complete\"; nothing \
         of the task follows, late Data-Outs are swallowed, the disk is as before, and the \
         session goes on.",
        needs [Destructive];
        async |ctx| { write_waiting_for_data(ctx).await }
    },
    scenario! {
        "task-management.abort-task.under-load", "RFC 7143 11.5.1, 11.6.1",
        "ABORT TASK among many READs: either the READ is answered first, or nothing of it comes \
         after \"Function complete\"; its neighbours all end GOOD.",
        needs [];
        async |ctx| { under_load(ctx).await }
    },
    scenario! {
        "task-management.absent-lun", "RFC 7143 11.6.1",
        "A function for a LUN that is not there is answered \"LUN does not exist\".",
        needs [];
        async |ctx| {
            let mut session = ctx.session().await?;
            for function in [
                TmfFunction::LOGICAL_UNIT_RESET,
                TmfFunction::ABORT_TASK_SET,
                TmfFunction::CLEAR_TASK_SET,
            ] {
                let lun = ctx.absent_lun();
                let managed =
                    manage(&mut session, function, lun, Itt::RESERVED, Serial(0)).await?;
                let what = format!("response to {function}");
                if managed == TmfResponse::NOT_SUPPORTED {
                    continue;
                }
                expect_named(&what, TmfResponse::LUN_DOES_NOT_EXIST, managed)?;
            }
            good("TEST UNIT READY afterwards", &session.tur(ctx.lun()).await?)
        }
    },
    scenario! {
        "task-management.task-reassign", "RFC 7143 11.6.1, 7.2.2",
        "At ErrorRecoveryLevel 0 TASK REASSIGN is answered \"Task allegiance reassignment not \
         supported\".",
        needs [];
        async |ctx| {
            let mut session = ctx.session().await?;
            let gone = long_gone(&mut session);
            let (function, itt) = (TmfFunction::TASK_REASSIGN, Itt(0x7fff_fff1));
            let managed = manage(&mut session, function, ctx.lun(), itt, gone).await?;
            match managed {
                TmfResponse::REASSIGN_NOT_SUPPORTED => Ok(()),
                // Also true: the whole function is missing, or the task is.
                TmfResponse::NOT_SUPPORTED | TmfResponse::TASK_DOES_NOT_EXIST => {
                    let due = TmfResponse::REASSIGN_NOT_SUPPORTED;
                    Err(Finding::weak(due.to_string(), managed))
                }
                other => Err(Finding::fail("a refusal of TASK REASSIGN", other)),
            }
        }
    },
    scenario! {
        "task-management.unknown-function", "RFC 7143 11.6.1, 11.17.1",
        "A function code nobody assigned is answered \"Task management function not \
         supported\", or rejected; the session goes on.",
        needs [];
        async |ctx| {
            let mut session = ctx.session().await?;
            let request =
                request(&mut session, TmfFunction(0x63), ctx.lun(), Itt::RESERVED, Serial(0));
            session.conn().send(&request.into(), []).await?;
            match hear_management(&mut session, request.itt).await? {
                Answer::Response(TmfResponse::REJECTED) => {
                    let due = TmfResponse::NOT_SUPPORTED.to_string();
                    return Err(Finding::weak(due, TmfResponse::REJECTED));
                }
                Answer::Response(response) => {
                    expect_named("response", TmfResponse::NOT_SUPPORTED, response)?;
                }
                Answer::Rejected(
                    RejectReason::INVALID_FIELD
                    | RejectReason::NOT_SUPPORTED
                    | RejectReason::PROTOCOL_ERROR,
                ) => {}
                Answer::Rejected(reason) => {
                    return Err(Finding::weak("Reject for what is wrong", reason));
                }
            }
            good("TEST UNIT READY afterwards", &session.tur(ctx.lun()).await?)
        }
    },
    scenario! {
        "task-management.not-immediate", "RFC 7143 11.5, 4.2.2.1",
        "A task management request may come in its place in the command order instead of \
         immediately, and takes a CmdSN like any command.",
        needs [];
        async |ctx| {
            let mut session = ctx.session().await?;
            let gone = long_gone(&mut session);
            let (function, itt) = (TmfFunction::ABORT_TASK, Itt(0x7fff_fff2));
            let mut request = request(&mut session, function, ctx.lun(), itt, gone);
            request.immediate = false;
            request.cmd_sn = session.numbering().take_cmd_sn(false);
            session.conn().send(&request.into(), []).await?;
            match hear_management(&mut session, request.itt).await? {
                Answer::Response(response) => {
                    expect_named("response", TmfResponse::TASK_DOES_NOT_EXIST, response)?;
                }
                Answer::Rejected(reason) => {
                    return Err(Finding::fail("a response in its turn", reason));
                }
            }
            good("TEST UNIT READY afterwards", &session.tur(ctx.lun()).await?)
        }
    },
];

/// What came of a task management request.
pub(super) enum Answer {
    /// Its response.
    Response(TmfResponse),
    /// It was rejected.
    Rejected(RejectReason),
}

impl Answer {
    /// "Function complete"; a target without the function cannot be judged.
    pub(super) fn completed(self, function: TmfFunction) -> Result<(), Finding> {
        match self {
            Self::Response(TmfResponse::NOT_SUPPORTED) => {
                Err(Finding::Skip(format!("{function} is not supported")))
            }
            Self::Response(response) => expect_named("response", TmfResponse::COMPLETE, response),
            Self::Rejected(reason) => Err(Finding::fail("a response, no Reject", reason)),
        }
    }
}

/// An immediate request with a tag of its own.
pub(super) fn request(
    session: &mut Session,
    function: TmfFunction,
    lun: Lun,
    rtt: Itt,
    ref_cmd_sn: Serial,
) -> TaskManagementRequest {
    TaskManagementRequest {
        immediate: true,
        function,
        lun,
        itt: session.client().take_itt(),
        rtt,
        cmd_sn: session.numbering().take_cmd_sn(true),
        exp_stat_sn: session.numbering().exp_stat_sn,
        ref_cmd_sn,
        exp_data_sn: 0,
    }
}

/// Hears PDUs until the request is answered; SCSI Responses on the way are those of tasks that
/// ended before it, and legal.
pub(super) async fn hear_management(session: &mut Session, itt: Itt) -> Result<Answer, Finding> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        let received = match session.recv_timeout(left).await {
            Err(SessionError::Conn(ConnError::Timeout(_))) => {
                return Err(Finding::Hang(
                    "no answer to a task management request".into(),
                ));
            }
            other => other?,
        };
        match received.response {
            Response::TaskManagement(pdu) if pdu.itt == itt => {
                return Ok(Answer::Response(pdu.response));
            }
            Response::Reject(pdu) => {
                let header = received
                    .data
                    .first_chunk::<48>()
                    .map(|bytes| iscsi::Bhs(*bytes));
                if header.is_some_and(|bhs| bhs.itt() == itt) {
                    return Ok(Answer::Rejected(pdu.reason));
                }
            }
            Response::ScsiResponse(_) | Response::DataIn(_) => {}
            Response::NopIn(_) | Response::Async(_) | Response::R2t(_) => {}
            other => {
                let actual = other.opcode().name();
                return Err(Finding::fail("a Task Management Function Response", actual));
            }
        }
    }
}

/// Sends an immediate request and hears its response.
pub(super) async fn manage(
    session: &mut Session,
    function: TmfFunction,
    lun: Lun,
    rtt: Itt,
    ref_cmd_sn: Serial,
) -> Result<TmfResponse, Finding> {
    let request = request(session, function, lun, rtt, ref_cmd_sn);
    session.conn().send(&request.into(), []).await?;
    match hear_management(session, request.itt).await? {
        Answer::Response(response) => Ok(response),
        Answer::Rejected(reason) => Err(Finding::fail("a response, not a Reject", reason)),
    }
}

/// A session in which a WRITE of two blocks at `lba` waits for the answer to its R2T.
pub(super) struct Waiting {
    /// Its session.
    pub(super) session: Session,
    /// CmdSN of the WRITE.
    pub(super) cmd_sn: Serial,
    /// What it waits for.
    pub(super) r2t: R2t,
    /// What it would write.
    pub(super) data: Vec<u8>,
}

impl Waiting {
    /// Opens a session of its own and brings the WRITE to that point.
    pub(super) async fn at(ctx: &Context, qualifier: u16, lba: u32) -> Result<Self, Finding> {
        let options = short_bursts(ctx, false, true).qualifier(qualifier);
        let mut session = ctx.session_with(options).await?;
        let data = blocks_of(&session, 0x3a17 + u64::from(lba), 2);
        let command = by_hand::write_command(&mut session, ctx.lun(), lba, 2);
        session.conn().send(&command.into(), []).await?;
        let r2t = hear_r2t(&mut session, command.itt).await?;
        Ok(Self {
            session,
            cmd_sn: command.cmd_sn,
            r2t,
            data,
        })
    }

    /// Sends the data the R2T asks for.
    pub(super) async fn answer(&mut self) -> Result<(), Finding> {
        by_hand::answer(&mut self.session, &self.r2t, &self.data).await
    }

    /// Nothing of the task comes any more.
    pub(super) async fn is_over(&mut self) -> Result<(), Finding> {
        match hear(&mut self.session, self.r2t.itt, QUIET).await? {
            Heard::Silence => Ok(()),
            Heard::Rejected(_, bhs) if bhs.opcode() == Opcode::DATA_OUT => Ok(()),
            other => Err(Finding::fail("nothing of a task that was aborted", other)),
        }
    }
}

async fn ahead_of_its_task(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let edtl = session.block_size;
    let direction = initiator_sim::Direction::Read;
    // Its number is taken, so that the request comes after it in order, and it is not sent yet.
    let late = session.scsi_command(ctx.lun(), &cdb::read10(0, 1, false), direction, edtl);
    let function = TmfFunction::ABORT_TASK;
    let managed = manage(&mut session, function, ctx.lun(), late.itt, late.cmd_sn).await?;
    expect_named("response", TmfResponse::COMPLETE, managed)?;
    session.conn().send(&late.into(), []).await?;
    match hear(&mut session, late.itt, QUIET).await? {
        Heard::Silence => {}
        other => {
            return Err(Finding::fail(
                "nothing of a command aborted in advance",
                other,
            ));
        }
    }
    // Were its number not counted as received, this one would wait for it for ever.
    good("TEST UNIT READY afterwards", &session.tur(ctx.lun()).await?)
}

async fn write_waiting_for_data(ctx: Context) -> Result<(), Finding> {
    let mut other = witness(&ctx).await?;
    let before = blocks_of(&other, 0xbef0, 2);
    good("WRITE(10)", &other.write(ctx.lun(), 0, &before).await?)?;
    let mut waiting = Waiting::at(&ctx, 0, 0).await?;
    let (itt, cmd_sn) = (waiting.r2t.itt, waiting.cmd_sn);
    let session = &mut waiting.session;
    let managed = manage(session, TmfFunction::ABORT_TASK, ctx.lun(), itt, cmd_sn).await?;
    expect_named("response", TmfResponse::COMPLETE, managed)?;
    waiting.is_over().await?;
    waiting.answer().await?;
    waiting.is_over().await?;
    holds(&mut other, &ctx, 0, &before).await?;
    let mut session = waiting.session;
    session.nop(b"after an abort").await?;
    let data = blocks_of(&session, 0xaf7e4, 2);
    good(
        "WRITE(10) afterwards",
        &session.write(ctx.lun(), 0, &data).await?,
    )?;
    holds(&mut other, &ctx, 0, &data).await
}

async fn under_load(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let victim_at = 7;
    let mut flying = Vec::new();
    for index in 0..24u32 {
        let blocks = u16::try_from(32 * 1024 / session.block_size).expect("few");
        let command = session.read_command(ctx.lun(), index % 4, blocks);
        flying.push(session.queue(command));
    }
    let victim = flying.remove(victim_at);
    let managed = session
        .task_management(TmfFunction::ABORT_TASK, ctx.lun(), Some(victim))
        .await?;
    for itt in flying {
        good("READ(10) beside an aborted one", &session.wait(itt).await?)?;
    }
    match managed {
        // The session takes anything that still comes for the victim as a violation.
        TmfResponse::COMPLETE => session.idle(QUIET).await?,
        TmfResponse::TASK_DOES_NOT_EXIST => {
            good(
                "READ(10) that was over before",
                &session.wait(victim).await?,
            )?;
        }
        other => return Err(Finding::fail("complete, or no such task", other)),
    }
    good("TEST UNIT READY afterwards", &session.tur(ctx.lun()).await?)
}
