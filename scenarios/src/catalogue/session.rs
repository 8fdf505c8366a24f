//! What a session does besides disks: ping, log out, reject (RFC 7143 11.14 to 11.19).

use initiator_sim::{Conn, Direction, Received, Session, SessionError, cdb};
use iscsi::pdu::{LoginRequest, LogoutRequest, NopIn, ScsiCommand, Snack};
use iscsi::{
    Cid, Itt, LoginStatus, LogoutReason, LogoutResult, Lun, Opcode, RejectReason, Response, Stage,
    Ttt,
};

use super::exchange::{CLOSING, SILENCE, closes, exact_status, joining, ping, refusal};
use crate::context::Context;
use crate::scenario;
use crate::scenario::{Finding, Scenario, expect, expect_eq};

/// All of this family.
pub fn scenarios() -> Vec<Scenario> {
    SCENARIOS.to_vec()
}

static SCENARIOS: &[Scenario] = &[
    scenario! {
        "session.nop.echo", "RFC 7143 11.18",
        "A ping is answered with its own data, whatever its length.",
        needs [];
        async |ctx| { echo(ctx).await }
    },
    scenario! {
        "session.nop.fields", "RFC 7143 11.19",
        "The answer to a ping carries its Initiator Task Tag and the reserved Target Transfer Tag.",
        needs [];
        async |ctx| { fields_of_an_answer(ctx).await }
    },
    scenario! {
        "session.nop.truncated", "RFC 7143 11.18",
        "Of more ping data than the initiator can receive, the first part comes back.",
        needs [];
        async |ctx| { truncated_echo(ctx).await }
    },
    scenario! {
        "session.nop.no-answer-wanted", "RFC 7143 11.18.1",
        "A NOP-Out with the reserved Initiator Task Tag is not answered.",
        needs [];
        async |ctx| { unanswered(ctx).await }
    },
    scenario! {
        "session.logout.close-session", "RFC 7143 11.15",
        "A logout that closes the session is answered, and the connection is closed after it.",
        needs [];
        async |ctx| { close(ctx, LogoutReason::CLOSE_SESSION).await }
    },
    scenario! {
        "session.logout.close-connection", "RFC 7143 11.15",
        "A logout that closes the connection it is sent on is answered before the close.",
        needs [];
        async |ctx| { close(ctx, LogoutReason::CLOSE_CONNECTION).await }
    },
    scenario! {
        "session.logout.unknown-cid", "RFC 7143 11.15.1",
        "A logout of a connection that the session does not have is answered with 1.",
        needs [];
        async |ctx| { unknown_cid(ctx).await }
    },
    scenario! {
        "session.logout.recovery", "RFC 7143 11.15.1",
        "Below ErrorRecoveryLevel 2, removing a connection for recovery is answered with 2.",
        needs [];
        async |ctx| { remove_for_recovery(ctx).await }
    },
    scenario! {
        "session.logout.ends-tasks", "RFC 7143 11.14",
        "Logout ends the tasks under way: nothing more comes for them.",
        needs [Destructive];
        async |ctx| { logout_ends_tasks(ctx).await }
    },
    scenario! {
        "session.logout.nothing-after", "RFC 7143 11.14",
        "What is sent behind a logout is not carried out.",
        needs [Destructive];
        async |ctx| { nothing_after_logout(ctx).await }
    },
    scenario! {
        "session.logout.forgotten", "RFC 7143 11.14",
        "After a logout the TSIH of the session means nothing any more.",
        needs [];
        async |ctx| { forgotten(ctx).await }
    },
    scenario! {
        "session.reject.stat-sn", "RFC 7143 11.17",
        "A Reject carries the StatSN that is due, and uses it up.",
        needs [];
        async |ctx| { reject_counts(ctx).await }
    },
    scenario! {
        "session.reject.tasks-live", "RFC 7143 7.3",
        "Rejecting a PDU does not end the tasks under way.",
        needs [Destructive];
        async |ctx| { tasks_survive_a_reject(ctx).await }
    },
    scenario! {
        "session.snack", "RFC 7143 11.16",
        "At ErrorRecoveryLevel 0 a SNACK is rejected, and the session lives on.",
        needs [];
        async |ctx| { snack(ctx).await }
    },
    scenario! {
        "session.login-request", "RFC 7143 6.3",
        "Login Requests belong to the login: in full feature phase one is refused.",
        needs [];
        async |ctx| { login_in_full_feature(ctx).await }
    },
    scenario! {
        "session.initiator-opcode", "RFC 7143 11.2.1.2",
        "A PDU that only targets send is not taken from an initiator.",
        needs [];
        async |ctx| { opcode_of_a_target(ctx).await }
    },
];

async fn echo(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let params = session.params();
    let most = params
        .peer_max_recv_data_segment
        .min(params.own_max_recv_data_segment) as usize;
    for len in [0, 1, 2, 3, 4, 5, 511, 512, 513, 4095, most] {
        let data: Vec<u8> = (0..len.min(most)).map(|at| (at * 7 + len) as u8).collect();
        session.nop(&data).await?;
    }
    Ok(())
}

async fn fields_of_an_answer(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let pdu = ping_for(&mut session, Itt(0xfeed_0001), b"").await?;
    expect_eq("Initiator Task Tag", Itt(0xfeed_0001), pdu.itt)?;
    expect_eq("Target Transfer Tag", Ttt::RESERVED, pdu.ttt)
}

/// Ping, and whatever NOP-In comes back.
async fn ping_for(session: &mut Session, itt: Itt, data: &[u8]) -> Result<NopIn, Finding> {
    let numbering = *session.numbering();
    let bhs = ping(itt, numbering.cmd_sn, numbering.exp_stat_sn);
    session.conn().send_bhs(bhs, &[], data).await?;
    let received = session.recv().await?;
    match received.response {
        Response::NopIn(pdu) => Ok(pdu),
        _ => Err(unexpected("NOP-In", &received)),
    }
}

fn unexpected(due: &str, received: &Received) -> Finding {
    Finding::fail(due, received.bhs.opcode().name())
}

async fn truncated_echo(ctx: Context) -> Result<(), Finding> {
    let options = ctx.login_options().key("MaxRecvDataSegmentLength", "512");
    let mut session = ctx.session_with(options).await?;
    let len = 2000.min(session.params().peer_max_recv_data_segment as usize);
    let data: Vec<u8> = (0..len).map(|at| (at % 247) as u8).collect();
    let numbering = *session.numbering();
    let bhs = ping(Itt(0x90), numbering.cmd_sn, numbering.exp_stat_sn);
    session.conn().send_bhs(bhs, &[], &data).await?;
    let received = session.recv().await?;
    expect(
        matches!(received.response, Response::NopIn(_)),
        "NOP-In",
        received.bhs.opcode().name(),
    )?;
    expect_eq("bytes that come back", 512, received.data.len())?;
    expect(
        received.data == data[..512],
        "the first 512 bytes",
        "other bytes",
    )
}

async fn unanswered(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let numbering = *session.numbering();
    let bhs = ping(Itt::RESERVED, numbering.cmd_sn, numbering.exp_stat_sn);
    session
        .conn()
        .send_bhs(bhs, &[], b"just so you know")
        .await?;
    if let Some(received) = session.conn().expect_silence(SILENCE).await? {
        return Err(unexpected("silence", &received));
    }
    Ok(session.nop(b"and this one is answered").await?)
}

async fn close(ctx: Context, reason: LogoutReason) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let cid = session.options().cid;
    let response = session.logout_request(reason, cid).await?;
    expect_eq("Logout Response", LogoutResult::CLOSED, response.result)?;
    let said = session.conn().expect_close(CLOSING).await;
    let said = said.map_err(|error| Finding::fail("the connection is closed", error))?;
    match said.first() {
        None => Ok(()),
        Some(received) => Err(unexpected("nothing after the Logout Response", received)),
    }
}

async fn unknown_cid(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let response = session
        .logout_request(LogoutReason::CLOSE_CONNECTION, Cid(4711))
        .await?;
    expect_eq(
        "Logout Response",
        LogoutResult::CID_NOT_FOUND,
        response.result,
    )?;
    Ok(session.nop(b"the session lives on").await?)
}

async fn remove_for_recovery(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx
        .session_with(ctx.login_options().key("ErrorRecoveryLevel", "0"))
        .await?;
    let cid = session.options().cid;
    let response = session
        .logout_request(LogoutReason::REMOVE_FOR_RECOVERY, cid)
        .await?;
    expect_eq(
        "Logout Response",
        LogoutResult::RECOVERY_NOT_SUPPORTED,
        response.result,
    )
}

/// A write of 16 blocks that waits for its data, and its R2T.
async fn waiting_write(
    session: &mut Session,
    ctx: &Context,
) -> Result<(ScsiCommand, Received), Finding> {
    let edtl = 16 * session.block_size;
    let cdb = cdb::write10(32, 16, false);
    let command = session.scsi_command(ctx.lun(), &cdb, Direction::Write, edtl);
    session.conn().send(&command.into(), b"").await?;
    let received = session.recv().await?;
    match received.response {
        Response::R2t(_) => Ok((command, received)),
        _ => Err(unexpected("R2T", &received)),
    }
}

async fn logout_ends_tasks(ctx: Context) -> Result<(), Finding> {
    let options = ctx.login_options().write_mode(false, true);
    let mut session = ctx.session_with(options).await?;
    let (command, _) = waiting_write(&mut session, &ctx).await?;
    let numbering = *session.numbering();
    let logout = LogoutRequest {
        immediate: true,
        reason: LogoutReason::CLOSE_SESSION,
        itt: Itt(0x91),
        cid: session.options().cid,
        cmd_sn: numbering.cmd_sn,
        exp_stat_sn: numbering.exp_stat_sn,
    };
    session.conn().send(&logout.into(), b"").await?;
    let said = session.conn().expect_close(CLOSING).await;
    let said = said.map_err(|error| Finding::fail("the connection is closed", error))?;
    let about: Vec<&str> = said
        .iter()
        .filter(|received| received.header.itt == command.itt)
        .map(|received| received.bhs.opcode().name())
        .collect();
    let answered = said
        .iter()
        .any(|received| matches!(received.response, Response::Logout(_)));
    expect(
        answered,
        "Logout Response",
        "the connection was closed without one",
    )?;
    // Its end may still be told before the Logout Response, its data may not be asked for.
    expect(
        !about.contains(&Opcode::R2T.name()),
        "no R2T any more",
        about.join(", "),
    )
}

/// A wrong target carries out the write that came in the same segment.
async fn nothing_after_logout(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let before = session.read(ctx.lun(), 48, 1).await?.good()?;
    let numbering = *session.numbering();
    let logout = LogoutRequest {
        immediate: true,
        reason: LogoutReason::CLOSE_SESSION,
        itt: Itt(0x92),
        cid: session.options().cid,
        cmd_sn: numbering.cmd_sn,
        exp_stat_sn: numbering.exp_stat_sn,
    };
    let block = session.block_size;
    let data: Vec<u8> = before.iter().map(|byte| !byte).collect();
    let cdb = cdb::write10(48, 1, false);
    let write = session.scsi_command(ctx.lun(), &cdb, Direction::Write, block);
    let conn: &mut Conn = session.conn();
    conn.queue(&logout.into(), b"");
    conn.queue(&write.into(), &data);
    conn.flush().await?;
    closes(conn).await?;
    let mut session = ctx.session().await?;
    let after = session.read(ctx.lun(), 48, 1).await?.good()?;
    // The initiator must not send it; what the target does then is not said in as many words.
    match before == after {
        true => Ok(()),
        false => Err(Finding::weak(
            "the block as it was",
            "the block written after the logout",
        )),
    }
}

async fn forgotten(ctx: Context) -> Result<(), Finding> {
    let session = ctx.session().await?;
    let mut options = joining(ctx.login_options(), session.tsih());
    options.cid = Cid(1);
    session.logout().await?;
    let status = refusal(&ctx, &options).await?;
    exact_status(LoginStatus::SESSION_DOES_NOT_EXIST, status)
}

/// A PDU that must be rejected; its Reject.
async fn rejected(session: &mut Session, bytes: &[u8]) -> Result<iscsi::pdu::Reject, Finding> {
    session.conn().send_raw(bytes).await?;
    let received = session.recv().await?;
    let Response::Reject(reject) = received.response else {
        return Err(unexpected("Reject", &received));
    };
    let header = received.data.get(..48);
    expect(
        header == Some(&bytes[..48]),
        "the whole header",
        format!("{header:02x?}"),
    )?;
    Ok(reject)
}

/// A PDU with an opcode that nobody assigned, for immediate delivery.
fn nonsense(session: &mut Session, itt: Itt) -> Vec<u8> {
    let numbering = *session.numbering();
    let mut bhs = ping(itt, numbering.cmd_sn, numbering.exp_stat_sn);
    bhs.0[0] = 0x40 | 0x1b;
    bhs.0.to_vec()
}

async fn reject_counts(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    for which in 0..3 {
        let due = session.numbering().exp_stat_sn;
        let bytes = nonsense(&mut session, Itt(0xa0 + which));
        let reject = rejected(&mut session, &bytes).await?;
        expect_eq("StatSN of the Reject", due, reject.stat_sn)?;
        let pdu = ping_for(&mut session, Itt(0xb0 + which), b"").await?;
        expect_eq("StatSN after the Reject", due.next(), pdu.stat_sn)?;
    }
    Ok(())
}

async fn tasks_survive_a_reject(ctx: Context) -> Result<(), Finding> {
    let options = ctx.login_options().write_mode(false, true);
    let mut session = ctx.session_with(options).await?;
    let (command, asked) = waiting_write(&mut session, &ctx).await?;
    let bytes = nonsense(&mut session, Itt(0xc0));
    rejected(&mut session, &bytes).await?;
    let Response::R2t(r2t) = asked.response else {
        return Err(unexpected("R2T", &asked));
    };
    let data = vec![0x3c; 16 * session.block_size as usize];
    expect_eq("bytes asked for", command.edtl, r2t.desired_len)?;
    let pdu = iscsi::pdu::DataOut {
        is_final: true,
        lun: command.lun,
        itt: command.itt,
        ttt: r2t.ttt,
        exp_stat_sn: session.numbering().exp_stat_sn,
        data_sn: 0,
        buffer_offset: 0,
    };
    session.conn().send(&pdu.into(), &data).await?;
    let received = session.recv().await?;
    let Response::ScsiResponse(response) = received.response else {
        return Err(unexpected("SCSI Response", &received));
    };
    expect_eq("SCSI status", 0, response.status)?;
    let read = session.read(ctx.lun(), 32, 16).await?.good()?;
    expect(read == data, "the data written", "other data")
}

async fn snack(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx
        .session_with(ctx.login_options().key("ErrorRecoveryLevel", "0"))
        .await?;
    let request = Snack {
        kind: 1,
        lun: Lun(0),
        itt: Itt::RESERVED,
        ttt: Ttt::RESERVED,
        exp_stat_sn: session.numbering().exp_stat_sn,
        beg_run: 0,
        run_length: 0,
    };
    let reject = rejected(&mut session, &request.encode().0).await?;
    let reasons = [
        RejectReason::SNACK,
        RejectReason::PROTOCOL_ERROR,
        RejectReason::NOT_SUPPORTED,
    ];
    expect(
        reasons.contains(&reject.reason),
        "reason 03, 04 or 05",
        reject.reason,
    )?;
    Ok(session.nop(b"the session lives on").await?)
}

/// A Reject or the end of the connection; a wrong target logs the session in again.
async fn login_in_full_feature(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let numbering = *session.numbering();
    let options = session.options().clone();
    let request = LoginRequest {
        immediate: true,
        transit: true,
        cont: false,
        csg: Stage::OPERATIONAL,
        nsg: Stage::FULL_FEATURE,
        version_max: 0,
        version_min: 0,
        isid: options.isid,
        tsih: session.tsih(),
        itt: Itt(0x93),
        cid: options.cid,
        cmd_sn: numbering.cmd_sn,
        exp_stat_sn: numbering.exp_stat_sn,
    };
    session.conn().send(&request.into(), b"").await?;
    refused_or_closed(&mut session).await
}

async fn refused_or_closed(session: &mut Session) -> Result<(), Finding> {
    match session.recv().await {
        Ok(received) => match received.response {
            Response::Reject(_) => Ok(()),
            Response::Login(response) if response.status.class() != 0 => Ok(()),
            _ => Err(unexpected(
                "Reject, or the end of the connection",
                &received,
            )),
        },
        Err(SessionError::Conn(error)) if error.is_lost() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn opcode_of_a_target(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let numbering = *session.numbering();
    let mut bhs = ping(Itt(0x94), numbering.cmd_sn, numbering.exp_stat_sn);
    bhs.0[0] = Opcode::SCSI_RESPONSE.0;
    session.conn().send_bhs(bhs, &[], b"").await?;
    refused_or_closed(&mut session).await?;
    let mut session = ctx.session().await?;
    Ok(session.nop(b"the next session").await?)
}
