//! Who takes whose place: reinstatement of sessions and connections (RFC 7143 6.3.4, 6.3.5).

use initiator_sim::{ConnError, Direction, LoginError, LoginOptions, Session, SessionError};

use super::exchange::{CLOSING, beside, joining};
use crate::context::Context;
use crate::scenario;
use crate::scenario::{Finding, Scenario, expect};

/// All of this family.
pub fn scenarios() -> Vec<Scenario> {
    SCENARIOS.to_vec()
}

static SCENARIOS: &[Scenario] = &[
    scenario! {
        "reinstatement.session.closes", "RFC 7143 6.3.5",
        "A login with the ISID of a session and TSIH 0 logs that session out and takes its place.",
        needs [];
        async |ctx| { old_session_is_closed(ctx).await }
    },
    scenario! {
        "reinstatement.session.tasks", "RFC 7143 6.3.5",
        "Session reinstatement ends the tasks of the old session.",
        needs [Destructive];
        async |ctx| { old_tasks_end(ctx).await }
    },
    scenario! {
        "reinstatement.connection", "RFC 7143 6.3.4",
        "A login with ISID, TSIH and CID of a connection takes that connection's place.",
        needs [];
        async |ctx| { connection(ctx).await }
    },
    scenario! {
        "reinstatement.not.another-isid", "RFC 7143 6.3.1",
        "A login with another ISID is a session beside the first, with a TSIH of its own.",
        needs [];
        async |ctx| { let options = beside(ctx.login_options(), 1); both_live(ctx, options).await }
    },
    scenario! {
        "reinstatement.not.another-initiator", "RFC 7143 6.3.1",
        "The same ISID from another initiator is a session beside the first.",
        needs [];
        async |ctx| {
            let options = ctx.login_options();
            let other = format!("{}.other", options.initiator_name);
            both_live(ctx, options.initiator(&other)).await
        }
    },
];

/// The connection of the old session ends.
async fn is_closed(old: &mut Session) -> Result<(), Finding> {
    match old.conn().expect_close(CLOSING).await {
        Ok(_) => Ok(()),
        Err(ConnError::StillOpen(time)) => Err(Finding::fail(
            "the old connection is closed",
            format!("it is still open {time:?} after it was logged out"),
        )),
        Err(error) => Err(error.into()),
    }
}

async fn old_session_is_closed(ctx: Context) -> Result<(), Finding> {
    let mut old = ctx.session().await?;
    let mut new = ctx.session().await?;
    is_closed(&mut old).await?;
    new.nop(b"in its place").await?;
    let outcome = new.tur(ctx.lun()).await?;
    expect(outcome.is_good(), "a session that works", outcome)
}

/// The old session has a write that waits for its data. A wrong target keeps the task, and
/// answers for it on the new connection or writes what it has.
async fn old_tasks_end(ctx: Context) -> Result<(), Finding> {
    let options = ctx.login_options().write_mode(false, true);
    let mut old = ctx.session_with(options.clone()).await?;
    let before = old.read(ctx.lun(), 8, 16).await?.good()?;
    let data = vec![0xa5; 16 * old.block_size as usize];
    let command = old.write_command(ctx.lun(), 8, data);
    let cdb = command.cdb.clone();
    let write = old.scsi_command(ctx.lun(), &cdb, Direction::Write, command.edtl);
    old.conn().send(&write.into(), b"").await?;
    let asked = old.recv().await?;
    expect(
        matches!(asked.response, iscsi::Response::R2t(_)),
        "R2T",
        asked.bhs.opcode().name(),
    )?;
    let mut new = ctx.session_with(options).await?;
    is_closed(&mut old).await?;
    // Any PDU about the old task would be a violation to this session.
    let after = new.read(ctx.lun(), 8, 16).await?.good()?;
    expect(
        before == after,
        "blocks as they were",
        "blocks changed by the old write",
    )?;
    let data = vec![0x5a; 16 * new.block_size as usize];
    let outcome = new.write(ctx.lun(), 8, &data).await?;
    expect(outcome.is_good(), "GOOD", outcome)
}

/// Below ErrorRecoveryLevel 2 a target SHOULD take the second connection this needs.
async fn connection(ctx: Context) -> Result<(), Finding> {
    let mut old = ctx.session().await?;
    let mut options = joining(ctx.login_options(), old.tsih());
    // The command stream of the session goes on (RFC 7143 11.12.8).
    options.cmd_sn = old.numbering().cmd_sn;
    let mut new = match Session::login(ctx.addr(), &options).await {
        Ok(new) => new,
        Err(LoginError {
            status: Some(status),
            ..
        }) => {
            return Err(Finding::weak("connection reinstatement", status));
        }
        Err(error) => return Err(error.into()),
    };
    expect(
        new.tsih() == old.tsih(),
        "the TSIH of the session",
        new.tsih(),
    )?;
    is_closed(&mut old).await?;
    let outcome = match new.tur(ctx.lun()).await? {
        attention if attention.is_unit_attention() => new.tur(ctx.lun()).await?,
        outcome => outcome,
    };
    expect(outcome.is_good(), "a connection that works", outcome)
}

async fn both_live(ctx: Context, options: LoginOptions) -> Result<(), Finding> {
    let mut first = ctx.session().await?;
    let mut second = ctx.session_with(options).await?;
    for session in [&mut first, &mut second] {
        match session.nop(b"beside the other").await {
            Ok(()) => {}
            Err(SessionError::Conn(error)) if error.is_lost() => {
                return Err(Finding::fail("two sessions", "one took the other's place"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    // With two initiators the handles may be equal: they are the target's own business.
    let same_initiator = first.options().initiator_name == second.options().initiator_name;
    let distinct = !same_initiator || first.tsih() != second.tsih();
    expect(distinct, "a TSIH of its own", first.tsih())
}
