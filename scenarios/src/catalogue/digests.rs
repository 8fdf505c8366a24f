//! Header and data digests: all combinations in use, and what becomes of PDUs that arrive damaged
//! (RFC 7143 13.1, 7.8).

use initiator_sim::{Command, ConnError, CorruptDigest, LoginOptions, Session, SessionError, cdb};
use iscsi::pdu::NopOut;
use iscsi::{Lun, Opcode, RejectReason, Request, Ttt};

use super::by_hand::{self, Heard, QUIET, SOON, ending, hear, hear_r2t, solicited};
use super::judge::{
    PROTOCOL_SERVICE_CRC_ERROR, blocks_of, expect_named, good, holds, same, short_bursts, witness,
};
use crate::context::Context;
use crate::scenario;
use crate::scenario::{Finding, Scenario, expect, expect_eq};

/// All scenarios of this family.
pub fn scenarios() -> Vec<Scenario> {
    SCENARIOS.to_vec()
}

static SCENARIOS: &[Scenario] = &[
    scenario! {
        "digests.none", "RFC 7143 13.1",
        "With neither digest, commands without data, with odd lengths and with long data work.",
        needs [Destructive];
        async |ctx| { combination(ctx, false, false).await }
    },
    scenario! {
        "digests.header", "RFC 7143 13.1",
        "With HeaderDigest=CRC32C alone, commands without data, with odd lengths and with long \
         data work, and every digest of the target is right.",
        needs [Destructive, HeaderDigest];
        async |ctx| { combination(ctx, true, false).await }
    },
    scenario! {
        "digests.data", "RFC 7143 13.1",
        "With DataDigest=CRC32C alone, commands without data, with odd lengths and with long \
         data work, and every digest of the target is right.",
        needs [Destructive, DataDigest];
        async |ctx| { combination(ctx, false, true).await }
    },
    scenario! {
        "digests.both", "RFC 7143 13.1",
        "With both digests, commands without data, with odd lengths and with long data work, \
         and every digest of the target is right.",
        needs [Destructive, HeaderDigest, DataDigest];
        async |ctx| { combination(ctx, true, true).await }
    },
    scenario! {
        "digests.damaged-header", "RFC 7143 7.8",
        "A command whose header digest is wrong is never executed: the target discards it or \
         closes the connection.",
        needs [Destructive, HeaderDigest];
        async |ctx| { damaged_header(ctx).await }
    },
    scenario! {
        "digests.damaged-command-data", "RFC 7143 7.8, 7.3",
        "A WRITE whose immediate data arrives damaged is rejected with \"data digest error\" \
         and not executed; its CmdSN stays open, and the same PDU sent again is carried out.",
        needs [Destructive, DataDigest];
        async |ctx| { damaged_command_data(ctx).await }
    },
    scenario! {
        "digests.damaged-data-out", "RFC 7143 7.8, 11.4.7.2",
        "A damaged Data-Out is rejected with \"data digest error\"; the task asks for the data \
         again, or ends after the last Data-Out with PROTOCOL SERVICE CRC ERROR, never GOOD.",
        needs [Destructive, DataDigest];
        async |ctx| { damaged_data_out(ctx).await }
    },
    scenario! {
        "digests.damaged-ping", "RFC 7143 7.8",
        "A NOP-Out whose data arrives damaged is rejected with \"data digest error\", and not \
         echoed.",
        needs [DataDigest];
        async |ctx| { damaged_ping(ctx).await }
    },
];

/// The bytes of a PDU one of whose data bits was turned over on the way.
fn damaged(session: &mut Session, request: &Request, data: &[u8]) -> Vec<u8> {
    let header = if session.conn().digests().header {
        48 + 4
    } else {
        48
    };
    let mut bytes = session.conn().encode(request.encode(), &[], data);
    bytes[header] ^= 0x10;
    bytes
}

fn options(ctx: &Context, header: bool, data: bool) -> LoginOptions {
    short_bursts(ctx, true, true).digests(header, data)
}

async fn combination(ctx: Context, header: bool, data: bool) -> Result<(), Finding> {
    let mut session = ctx.session_with(options(&ctx, header, data)).await?;
    let agreed = session.params().digests;
    expect_eq("HeaderDigest in force", header, agreed.header)?;
    expect_eq("DataDigest in force", data, agreed.data)?;
    let lun = ctx.lun();
    good("TEST UNIT READY", &session.tur(lun).await?)?;
    // Every remainder of four, so that padding is in every digest.
    for len in 36..44u16 {
        let command = Command::read(lun, &cdb::inquiry(None, len), len.into());
        good(
            &format!("INQUIRY of {len} bytes"),
            &session.run(command).await?,
        )?;
        session.nop(&vec![0xa5; usize::from(len)]).await?;
    }
    let many = 256 * 1024 / session.block_size;
    for blocks in [1, 8192 / session.block_size, many] {
        let data = blocks_of(&session, 0xd16 + u64::from(blocks), blocks);
        good("WRITE(16)", &session.write16(lun, 0, &data).await?)?;
        let outcome = session.read16(lun, 0, blocks).await?;
        good("READ(16)", &outcome)?;
        same(
            "what was written",
            &data,
            &outcome.data,
            session.block_size as usize,
        )?;
    }
    Ok(())
}

async fn damaged_header(ctx: Context) -> Result<(), Finding> {
    let mut other = witness(&ctx).await?;
    let before = blocks_of(&other, 0xdead, 1);
    good("WRITE(10)", &other.write(ctx.lun(), 0, &before).await?)?;
    let mut session = ctx.session_with(options(&ctx, true, false)).await?;
    let data = blocks_of(&session, 0xdeae, 1);
    let command = by_hand::write_command(&mut session, ctx.lun(), 0, 1);
    let data = if session.params().immediate_data {
        data
    } else {
        Vec::new()
    };
    session
        .conn()
        .send_corrupt(&command.into(), &data, CorruptDigest::Header)
        .await?;
    match hear(&mut session, command.itt, QUIET).await? {
        Heard::Closed | Heard::Silence => {}
        other => {
            let expected = "the PDU discarded without a word, or the connection closed";
            return Err(Finding::fail(expected, other));
        }
    }
    holds(&mut other, &ctx, 0, &before).await
}

async fn damaged_command_data(ctx: Context) -> Result<(), Finding> {
    let mut other = witness(&ctx).await?;
    let before = blocks_of(&other, 0xdada, 1);
    good("WRITE(10)", &other.write(ctx.lun(), 0, &before).await?)?;
    let mut session = ctx.session_with(options(&ctx, false, true)).await?;
    if !session.params().immediate_data {
        return Err(Finding::Skip("the target takes no immediate data".into()));
    }
    let data = blocks_of(&session, 0xdadb, 1);
    let command = by_hand::write_command(&mut session, ctx.lun(), 0, 1);
    let bytes = damaged(&mut session, &command.into(), &data);
    session.conn().send_raw(&bytes).await?;
    let heard = hear(&mut session, command.itt, SOON).await?;
    holds(&mut other, &ctx, 0, &before).await?;
    match heard {
        // Session recovery is always a way out.
        Heard::Closed => return Ok(()),
        Heard::Rejected(reject, bhs) => {
            expect_eq(
                "reason of the Reject",
                RejectReason::DATA_DIGEST,
                reject.reason,
            )?;
            let is_ours = bhs.opcode() == Opcode::SCSI_COMMAND && bhs.itt() == command.itt;
            expect(
                is_ours,
                "the header of the command in the Reject",
                bhs.opcode().name(),
            )?;
            expect_eq(
                "ExpCmdSN after the Reject",
                command.cmd_sn,
                reject.exp_cmd_sn,
            )?;
        }
        Heard::Silence => return Err(Finding::Hang("no Reject for damaged data".into())),
        other => return Err(Finding::fail("a Reject for damaged data", other)),
    }
    session.conn().send(&command.into(), &data).await?;
    let end = ending(&mut session, command.itt).await?;
    match &end.last {
        Heard::Ended(ended) if ended.is_good() => {}
        other => return Err(Finding::fail("the command sent again: GOOD", other)),
    }
    holds(&mut other, &ctx, 0, &data).await
}

async fn damaged_data_out(ctx: Context) -> Result<(), Finding> {
    let options = short_bursts(&ctx, false, true).digests(false, true);
    let mut session = ctx.session_with(options).await?;
    let block = session.block_size as usize;
    let data = blocks_of(&session, 0xdada0, 2);
    let command = by_hand::write_command(&mut session, ctx.lun(), 0, 2);
    session.conn().send(&command.into(), []).await?;
    let r2t = hear_r2t(&mut session, command.itt).await?;
    expect_eq("bytes asked for", command.edtl, r2t.desired_len)?;
    let bad = solicited(&mut session, &r2t, 0, 0, false);
    let bytes = damaged(&mut session, &bad.into(), &data[..block]);
    session.conn().send_raw(&bytes).await?;
    match hear(&mut session, command.itt, SOON).await? {
        Heard::Closed => return Ok(()),
        Heard::Rejected(reject, bhs) => {
            expect_eq(
                "reason of the Reject",
                RejectReason::DATA_DIGEST,
                reject.reason,
            )?;
            expect_named("opcode of the rejected PDU", Opcode::DATA_OUT, bhs.opcode())?;
        }
        other => return Err(Finding::fail("a Reject for a damaged Data-Out", other)),
    }
    let mut asked_again = false;
    match hear(&mut session, command.itt, QUIET).await? {
        Heard::Silence => {}
        // The way of ErrorRecoveryLevel 1.
        Heard::R2t(again) => {
            asked_again = true;
            by_hand::answer(&mut session, &again, &data).await?;
        }
        other => {
            return Err(Finding::fail(
                "no response before the Data-Out with F",
                other,
            ));
        }
    }
    let rest = solicited(
        &mut session,
        &r2t,
        1,
        u32::try_from(block).expect("small"),
        true,
    );
    session.conn().send(&rest.into(), &data[block..]).await?;
    loop {
        match hear(&mut session, command.itt, SOON).await? {
            Heard::R2t(again) => {
                asked_again = true;
                by_hand::answer(&mut session, &again, &data).await?;
            }
            Heard::Closed => return Ok(()),
            Heard::Ended(ended) if ended.is_good() && asked_again => {
                return holds(&mut session, &ctx, 0, &data).await;
            }
            Heard::Ended(ended) => {
                let expected = format!("CHECK CONDITION {PROTOCOL_SERVICE_CRC_ERROR}");
                let named = ended.sense == Some(PROTOCOL_SERVICE_CRC_ERROR);
                expect(named, &expected, &ended)?;
                return good("TEST UNIT READY afterwards", &session.tur(ctx.lun()).await?);
            }
            other => return Err(Finding::fail("an R2T or a SCSI Response", other)),
        }
    }
}

async fn damaged_ping(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session_with(options(&ctx, false, true)).await?;
    let itt = session.client().take_itt();
    let ping = NopOut {
        immediate: true,
        lun: Lun(0),
        itt,
        ttt: Ttt::RESERVED,
        cmd_sn: session.numbering().take_cmd_sn(true),
        exp_stat_sn: session.numbering().exp_stat_sn,
    };
    let data = b"sixteen bytes...";
    let bytes = damaged(&mut session, &ping.into(), data);
    session.conn().send_raw(&bytes).await?;
    let received = match session.recv().await {
        Ok(received) => received,
        Err(SessionError::Conn(error)) if error.is_lost() => return Ok(()),
        Err(SessionError::Conn(ConnError::Timeout(_))) => {
            return Err(Finding::Hang("no Reject for a damaged ping".into()));
        }
        Err(error) => return Err(error.into()),
    };
    match received.response {
        iscsi::Response::Reject(reject) => {
            expect_eq(
                "reason of the Reject",
                RejectReason::DATA_DIGEST,
                reject.reason,
            )?;
        }
        other => return Err(Finding::fail("a Reject", other.opcode().name())),
    }
    session.nop(b"and a sound one").await?;
    good("TEST UNIT READY afterwards", &session.tur(ctx.lun()).await?)
}
