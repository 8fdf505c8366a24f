//! Discovery sessions and SendTargets (RFC 7143 4.3, appendix C).

use initiator_sim::{LoginError, Session, SessionError, TargetRecord};
use iscsi::pdu::{ScsiCommand, TaskManagementRequest, TextRequest};
use iscsi::{
    Cid, Itt, LogoutReason, LogoutResult, Lun, Request, Response, Serial, TaskAttribute,
    TmfFunction, Ttt, keys,
};

use super::exchange::ping;
use crate::context::Context;
use crate::scenario;
use crate::scenario::{Finding, Scenario, expect, expect_eq};

/// All of this family.
pub fn scenarios() -> Vec<Scenario> {
    SCENARIOS.to_vec()
}

static SCENARIOS: &[Scenario] = &[
    scenario! {
        "discovery.all", "RFC 7143 C",
        "SendTargets=All in a discovery session names the targets, each with its addresses.",
        needs [];
        async |ctx| { all(ctx).await }
    },
    scenario! {
        "discovery.portal-group", "RFC 7143 13.8",
        "Every TargetAddress in a SendTargets answer ends with a portal group tag.",
        needs [];
        async |ctx| { tags(ctx).await }
    },
    scenario! {
        "discovery.by-name", "RFC 7143 C",
        "SendTargets with a name in a discovery session answers with that target alone.",
        needs [];
        async |ctx| { by_name(ctx).await }
    },
    scenario! {
        "discovery.by-name.unknown", "RFC 7143 C",
        "SendTargets with the name of no target names no target.",
        needs [];
        async |ctx| { by_unknown_name(ctx).await }
    },
    scenario! {
        "discovery.own", "RFC 7143 C",
        "SendTargets without a value in a normal session answers with the session's own target.",
        needs [];
        async |ctx| { own(ctx).await }
    },
    scenario! {
        "discovery.all.in-normal-session", "RFC 7143 C",
        "SendTargets=All is not supported in a normal session.",
        needs [];
        async |ctx| { all_in_normal_session(ctx).await }
    },
    scenario! {
        "discovery.long-answer", "RFC 7143 11.11",
        "An answer longer than the initiator's segment is continued, each PDU within the segment.",
        needs [];
        async |ctx| { long_answer(ctx).await }
    },
    scenario! {
        "discovery.only.scsi-command", "RFC 7143 4.3",
        "A discovery session takes no SCSI Command.",
        needs [];
        async |ctx| { not_taken(ctx, Other::ScsiCommand).await }
    },
    scenario! {
        "discovery.only.task-management", "RFC 7143 4.3",
        "A discovery session takes no task management function.",
        needs [];
        async |ctx| { not_taken(ctx, Other::TaskManagement).await }
    },
    scenario! {
        "discovery.only.nop-out", "RFC 7143 4.3",
        "A discovery session takes text with SendTargets and a logout, and so no ping.",
        needs [];
        async |ctx| { not_taken(ctx, Other::NopOut).await }
    },
    scenario! {
        "discovery.irrelevant-keys", "RFC 7143 13",
        "Keys about data transfer are irrelevant in the login of a discovery session.",
        needs [];
        async |ctx| { irrelevant_keys(ctx).await }
    },
    scenario! {
        "discovery.logout", "RFC 7143 4.3",
        "A discovery session is closed by a logout that closes the session.",
        needs [];
        async |ctx| { logout(ctx).await }
    },
    scenario! {
        "discovery.logout.other-reasons", "RFC 7143 4.3",
        "A logout for another reason than closing the session is not carried out.",
        needs [];
        async |ctx| { logout_for_recovery(ctx).await }
    },
];

/// A discovery session; a target may keep those for who has credentials.
async fn discover(ctx: &Context) -> Result<Session, Finding> {
    match Session::login(ctx.addr(), &ctx.discovery_options()).await {
        Ok(session) => Ok(session),
        Err(LoginError {
            status: Some(status),
            ..
        }) if status.class() == 2 => Err(Finding::Skip(format!("no discovery session: {status}"))),
        Err(error) => Err(error.into()),
    }
}

async fn all_targets(ctx: &Context) -> Result<Vec<TargetRecord>, Finding> {
    Ok(discover(ctx).await?.send_targets("All").await?)
}

async fn all(ctx: Context) -> Result<(), Finding> {
    let targets = all_targets(&ctx).await?;
    let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
    expect(
        names.contains(&ctx.target()),
        "the target among those listed",
        names.join(", "),
    )?;
    let mut once = names.clone();
    once.sort_unstable();
    once.dedup();
    expect_eq("targets, each once", once.len(), names.len())
}

async fn tags(ctx: Context) -> Result<(), Finding> {
    for target in all_targets(&ctx).await? {
        for address in &target.addresses {
            let tag = address
                .rsplit_once(',')
                .and_then(|(_, tag)| keys::number(tag));
            let fits = tag.is_some_and(|tag| tag <= 0xffff);
            expect(fits, "host[:port],portal-group-tag", address)?;
        }
    }
    Ok(())
}

async fn by_name(ctx: Context) -> Result<(), Finding> {
    let targets = discover(&ctx).await?.send_targets(ctx.target()).await?;
    let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
    expect_eq("targets", vec![ctx.target()], names)?;
    let addresses = targets[0].addresses.len();
    expect(addresses >= 1, "an address", "none")
}

async fn by_unknown_name(ctx: Context) -> Result<(), Finding> {
    let mut session = discover(&ctx).await?;
    match session
        .text(b"SendTargets=iqn.2026-11.example.nowhere:nothing\0")
        .await
    {
        Ok(answer) => {
            let named = answer.windows(11).any(|bytes| bytes == b"TargetName=");
            let text = String::from_utf8_lossy(&answer).into_owned();
            expect(!named, "no target", text)
        }
        Err(SessionError::Rejected(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn own(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let targets = session.send_targets("").await?;
    let others: Vec<&str> = targets
        .iter()
        .map(|target| target.name.as_str())
        .filter(|name| *name != ctx.target())
        .collect();
    expect(others.is_empty(), "no other target", others.join(", "))?;
    expect(!targets.is_empty(), "the session's own target", "nothing")
}

async fn all_in_normal_session(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    match session.text(b"SendTargets=All\0").await {
        Ok(answer) => {
            let listed = answer.windows(11).any(|bytes| bytes == b"TargetName=");
            expect(
                !listed,
                "no list of targets",
                String::from_utf8_lossy(&answer),
            )?;
        }
        Err(SessionError::Rejected(_)) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(session.nop(b"the session lives on").await?)
}

/// A wrong target sends more than fits, or ends a pair at the end of the PDU.
async fn long_answer(ctx: Context) -> Result<(), Finding> {
    const SEGMENT: usize = 512;
    let whole = discover(&ctx).await?.text(b"SendTargets=All\0").await?;
    let options = ctx
        .discovery_options()
        .key("MaxRecvDataSegmentLength", "512");
    let mut session = Session::login(ctx.addr(), &options).await?;
    let (mut together, mut pdus, mut ttt) = (Vec::new(), 0, Ttt::RESERVED);
    let itt = session.client().take_itt();
    loop {
        let numbering = *session.numbering();
        let request = TextRequest {
            immediate: true,
            is_final: true,
            cont: false,
            lun: Lun(0),
            itt,
            ttt,
            cmd_sn: numbering.cmd_sn,
            exp_stat_sn: numbering.exp_stat_sn,
        };
        let text: &[u8] = if pdus == 0 { b"SendTargets=All\0" } else { b"" };
        session.conn().send(&request.into(), text).await?;
        let received = session.recv().await?;
        let Response::Text(response) = received.response else {
            return Err(Finding::fail("Text Response", received.bhs.opcode().name()));
        };
        let len = received.data.len();
        expect(len <= SEGMENT, "at most 512 bytes in a PDU", len)?;
        together.extend_from_slice(&received.data);
        pdus += 1;
        if response.is_final {
            expect(!response.cont, "C = 0 with F = 1", "C = 1")?;
            expect_eq(
                "Target Transfer Tag at the end",
                Ttt::RESERVED,
                response.ttt,
            )?;
            break;
        }
        expect(
            response.ttt != Ttt::RESERVED,
            "a tag to go on with",
            response.ttt,
        )?;
        expect(pdus < 1000, "an end", "a thousand PDUs")?;
        ttt = response.ttt;
    }
    expect(
        together == whole,
        "the same list",
        String::from_utf8_lossy(&together),
    )?;
    if whole.len() <= SEGMENT {
        return Err(Finding::Skip(format!(
            "the whole list is {} bytes short",
            whole.len()
        )));
    }
    Ok(())
}

/// What a discovery session is not for.
enum Other {
    ScsiCommand,
    TaskManagement,
    NopOut,
}

/// The target rejects it; ending the connection is a way of not taking it too, if a weak one.
async fn not_taken(ctx: Context, what: Other) -> Result<(), Finding> {
    let mut session = discover(&ctx).await?;
    let itt = session.client().take_itt();
    let numbering = *session.numbering();
    match what {
        Other::ScsiCommand => {
            let request = test_unit_ready(itt, numbering.cmd_sn, numbering.exp_stat_sn);
            session.conn().send(&request, b"").await?;
        }
        Other::TaskManagement => {
            let request = reset(itt, numbering.cmd_sn, numbering.exp_stat_sn);
            session.conn().send(&request, b"").await?;
        }
        Other::NopOut => {
            let bhs = ping(itt, numbering.cmd_sn, numbering.exp_stat_sn);
            session.conn().send_bhs(bhs, &[], b"").await?;
        }
    }
    match session.recv().await {
        Ok(received) => {
            let name = received.bhs.opcode().name();
            expect(
                matches!(received.response, Response::Reject(_)),
                "Reject",
                name,
            )?;
        }
        Err(SessionError::Conn(error)) if error.is_lost() => {
            return Err(Finding::weak("Reject", "the connection was closed"));
        }
        Err(error) => return Err(error.into()),
    }
    // A rejected PDU ends nothing: the list can still be had.
    session.send_targets("All").await?;
    Ok(())
}

fn test_unit_ready(itt: Itt, cmd_sn: Serial, exp_stat_sn: Serial) -> Request {
    Request::ScsiCommand(ScsiCommand {
        immediate: true,
        is_final: true,
        read: false,
        write: false,
        attribute: TaskAttribute::SIMPLE,
        lun: Lun(0),
        itt,
        edtl: 0,
        cmd_sn,
        exp_stat_sn,
        cdb: [0; 16],
    })
}

fn reset(itt: Itt, cmd_sn: Serial, exp_stat_sn: Serial) -> Request {
    Request::TaskManagement(TaskManagementRequest {
        immediate: true,
        function: TmfFunction::LOGICAL_UNIT_RESET,
        lun: Lun(0),
        itt,
        rtt: Itt::RESERVED,
        cmd_sn,
        exp_stat_sn,
        ref_cmd_sn: Serial(0),
        exp_data_sn: 0,
    })
}

async fn irrelevant_keys(ctx: Context) -> Result<(), Finding> {
    const KEYS: [(&str, &str); 6] = [
        ("MaxConnections", "1"),
        ("InitialR2T", "Yes"),
        ("ImmediateData", "Yes"),
        ("MaxBurstLength", "65536"),
        ("FirstBurstLength", "65536"),
        ("MaxOutstandingR2T", "1"),
    ];
    let mut options = ctx.discovery_options();
    options = KEYS
        .iter()
        .fold(options, |options, (key, value)| options.key(key, value));
    let mut session = Session::login(ctx.addr(), &options).await?;
    session.send_targets("All").await?;
    let mut others = Vec::new();
    for (key, _) in KEYS {
        match session.answer(key) {
            Some("Irrelevant") => {}
            Some("NotUnderstood") => return Err(Finding::fail(key, "NotUnderstood")),
            other => others.push(format!("{key}={}", other.unwrap_or("(no answer)"))),
        }
    }
    match others.is_empty() {
        true => Ok(()),
        false => Err(Finding::weak("Irrelevant", others.join(", "))),
    }
}

async fn logout(ctx: Context) -> Result<(), Finding> {
    let response = discover(&ctx).await?.logout().await?;
    expect_eq("Logout Response", LogoutResult::CLOSED, response.result)
}

async fn logout_for_recovery(ctx: Context) -> Result<(), Finding> {
    let mut session = discover(&ctx).await?;
    match session
        .logout_request(LogoutReason::REMOVE_FOR_RECOVERY, Cid(0))
        .await
    {
        Ok(response) => {
            expect(
                response.result != LogoutResult::CLOSED,
                "not carried out",
                response.result,
            )?;
        }
        Err(SessionError::Rejected(_)) => {}
        Err(error) => return Err(error.into()),
    }
    session.send_targets("All").await?;
    Ok(())
}
