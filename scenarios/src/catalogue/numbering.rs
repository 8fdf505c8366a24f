//! CmdSN, StatSN and the command window (RFC 7143 4.2.2).

use initiator_sim::{Received, Session};
use iscsi::{Itt, Opcode, Response, Serial};

use super::exchange::{SILENCE, ping};
use crate::context::Context;
use crate::scenario;
use crate::scenario::{Finding, Scenario, expect, expect_eq};

/// All of this family.
pub fn scenarios() -> Vec<Scenario> {
    SCENARIOS.to_vec()
}

static SCENARIOS: &[Scenario] = &[
    scenario! {
        "numbering.stat-sn", "RFC 7143 4.2.2.2",
        "StatSN grows by one with every response, whatever it responds to.",
        needs [];
        async |ctx| { stat_sn(ctx).await }
    },
    scenario! {
        "numbering.immediate", "RFC 7143 4.2.2.1",
        "Immediate commands do not advance ExpCmdSN; others do, by one.",
        needs [];
        async |ctx| { immediate(ctx).await }
    },
    scenario! {
        "numbering.window", "RFC 7143 4.2.2.1",
        "MaxCmdSN is never below ExpCmdSN - 1, and neither goes back.",
        needs [];
        async |ctx| { window(ctx).await }
    },
    scenario! {
        "numbering.above-window", "RFC 7143 4.2.2.1",
        "A command above MaxCmdSN is silently ignored.",
        needs [];
        async |ctx| { above_window(ctx).await }
    },
    scenario! {
        "numbering.below-window", "RFC 7143 4.2.2.1",
        "A command below ExpCmdSN, as one sent twice is, is silently ignored.",
        needs [];
        async |ctx| { below_window(ctx).await }
    },
    scenario! {
        "numbering.gap", "RFC 7143 4.2.2.1",
        "A command whose predecessor is missing is held back until that has come.",
        needs [];
        async |ctx| { gap(ctx).await }
    },
    scenario! {
        "numbering.duplicate-in-gap", "RFC 7143 4.2.2.1",
        "A second command with the CmdSN of one that is held back is silently ignored.",
        needs [];
        async |ctx| { duplicate_in_gap(ctx).await }
    },
    scenario! {
        "numbering.reversed", "RFC 7143 4.2.2.1",
        "Commands that arrive in reverse order are all carried out once the first is there.",
        needs [];
        async |ctx| { reversed(ctx).await }
    },
    scenario! {
        "numbering.full-window", "RFC 7143 4.2.2.1",
        "As many commands as the window holds are taken at once.",
        needs [];
        async |ctx| { full_window(ctx).await }
    },
    scenario! {
        "numbering.wrap", "RFC 7143 4.2.2.1",
        "CmdSN wraps from 0xffffffff to 0.",
        needs [];
        async |ctx| { wrap(ctx).await }
    },
    scenario! {
        "numbering.exp-stat-sn", "RFC 7143 4.2.2.2",
        "An ExpStatSN far from the truth at worst ends the session it is sent in.",
        needs [];
        async |ctx| { wrong_exp_stat_sn(ctx).await }
    },
];

/// A NOP-Out that takes its place in the command order: CmdSN matters, and nothing else does.
async fn ordered(session: &mut Session, itt: Itt, cmd_sn: Serial) -> Result<(), Finding> {
    let mut bhs = ping(itt, cmd_sn, session.numbering().exp_stat_sn);
    bhs.0[0] = Opcode::NOP_OUT.0;
    Ok(session.conn().send_bhs(bhs, &[], b"in order").await?)
}

/// The same for immediate delivery.
async fn at_once(session: &mut Session, itt: Itt) -> Result<(), Finding> {
    let numbering = *session.numbering();
    let bhs = ping(itt, numbering.cmd_sn, numbering.exp_stat_sn);
    Ok(session.conn().send_bhs(bhs, &[], b"at once").await?)
}

async fn echo_of(session: &mut Session, itt: Itt) -> Result<Received, Finding> {
    let received = session.recv().await?;
    expect(
        matches!(received.response, Response::NopIn(_)) && received.header.itt == itt,
        &format!("NOP-In for {itt}"),
        format!(
            "{} for {}",
            received.bhs.opcode().name(),
            received.header.itt
        ),
    )?;
    Ok(received)
}

/// Nothing comes, and the connection stays.
async fn silent(session: &mut Session) -> Result<(), Finding> {
    match session.conn().expect_silence(SILENCE).await? {
        None => Ok(()),
        Some(received) => {
            let name = received.bhs.opcode().name();
            Err(Finding::fail(
                "silence",
                format!("{name} for {}", received.header.itt),
            ))
        }
    }
}

async fn stat_sn(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let mut due = session.numbering().exp_stat_sn;
    for which in 0..4 {
        at_once(&mut session, Itt(0x100 + which)).await?;
        let received = echo_of(&mut session, Itt(0x100 + which)).await?;
        expect_eq("StatSN", due, received.header.stat_sn)?;
        let outcome = session.tur(ctx.lun()).await?;
        expect(outcome.is_good(), "GOOD", outcome)?;
        session.text(b"X-com.example.key=1\0").await?;
        due = due.plus(3);
    }
    expect_eq("StatSN due", due, session.numbering().exp_stat_sn)
}

async fn immediate(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let before = session.numbering().cmd_sn;
    for which in 0..3 {
        at_once(&mut session, Itt(0x110 + which)).await?;
        let received = echo_of(&mut session, Itt(0x110 + which)).await?;
        expect_eq(
            "ExpCmdSN after an immediate command",
            before,
            received.header.exp_cmd_sn,
        )?;
    }
    ordered(&mut session, Itt(0x120), before).await?;
    let received = echo_of(&mut session, Itt(0x120)).await?;
    expect_eq(
        "ExpCmdSN after an ordered command",
        before.next(),
        received.header.exp_cmd_sn,
    )
}

async fn window(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let mut cmd_sn = session.numbering().cmd_sn;
    let mut last: Option<(Serial, Serial)> = None;
    for which in 0..100 {
        ordered(&mut session, Itt(0x200 + which), cmd_sn).await?;
        cmd_sn = cmd_sn.next();
        let header = echo_of(&mut session, Itt(0x200 + which)).await?.header;
        let (exp, max) = (header.exp_cmd_sn, header.max_cmd_sn);
        expect(
            !max.is_before(exp.minus(1)),
            "MaxCmdSN ≥ ExpCmdSN - 1",
            format!("ExpCmdSN {exp}, MaxCmdSN {max}"),
        )?;
        if let Some((exp_before, max_before)) = last {
            let forward = !exp.is_before(exp_before) && !max.is_before(max_before);
            expect(
                forward,
                "a window that moves forward",
                format!("{exp} to {max}"),
            )?;
        }
        last = Some((exp, max));
    }
    Ok(())
}

/// A wrong target answers, rejects, closes the connection, or keeps the command for later: when
/// its number has come, the one sent then is answered, and no other.
async fn above_window(ctx: Context) -> Result<(), Finding> {
    const WINDOW_MAX: i32 = 1024;
    let mut session = ctx.session().await?;
    let numbering = *session.numbering();
    let above = numbering.max_cmd_sn.next();
    for (itt, cmd_sn) in [(Itt(0x300), above), (Itt(0x301), above.plus(1000))] {
        ordered(&mut session, itt, cmd_sn).await?;
    }
    silent(&mut session).await?;
    let room = numbering.cmd_sn.distance_to(above);
    if room > WINDOW_MAX {
        ordered(&mut session, Itt(0x310), numbering.cmd_sn).await?;
        return echo_of(&mut session, Itt(0x310)).await.map(drop);
    }
    let mut cmd_sn = numbering.cmd_sn;
    for which in 0..=u32::try_from(room).unwrap_or(0) {
        ordered(&mut session, Itt(0x1000 + which), cmd_sn).await?;
        echo_of(&mut session, Itt(0x1000 + which)).await?;
        cmd_sn = cmd_sn.next();
    }
    Ok(())
}

async fn below_window(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let cmd_sn = session.numbering().cmd_sn;
    ordered(&mut session, Itt(0x320), cmd_sn).await?;
    echo_of(&mut session, Itt(0x320)).await?;
    // Its double, and one from long ago.
    ordered(&mut session, Itt(0x321), cmd_sn).await?;
    ordered(&mut session, Itt(0x322), cmd_sn.minus(500)).await?;
    silent(&mut session).await?;
    ordered(&mut session, Itt(0x323), cmd_sn.next()).await?;
    echo_of(&mut session, Itt(0x323)).await.map(drop)
}

async fn gap(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let cmd_sn = session.numbering().cmd_sn;
    ordered(&mut session, Itt(0x331), cmd_sn.next()).await?;
    silent(&mut session).await?;
    // What is for immediate delivery does not wait.
    at_once(&mut session, Itt(0x332)).await?;
    let received = echo_of(&mut session, Itt(0x332)).await?;
    expect_eq(
        "ExpCmdSN while the first is missing",
        cmd_sn,
        received.header.exp_cmd_sn,
    )?;
    ordered(&mut session, Itt(0x330), cmd_sn).await?;
    both(&mut session, Itt(0x330), Itt(0x331)).await?;
    at_once(&mut session, Itt(0x333)).await?;
    let received = echo_of(&mut session, Itt(0x333)).await?;
    expect_eq(
        "ExpCmdSN once the gap is closed",
        cmd_sn.plus(2),
        received.header.exp_cmd_sn,
    )
}

/// Both are answered; commands are delivered in order, their answers may come in any.
async fn both(session: &mut Session, one: Itt, other: Itt) -> Result<(), Finding> {
    let mut seen = [
        session.recv().await?.header.itt,
        session.recv().await?.header.itt,
    ];
    seen.sort_unstable();
    expect_eq("tasks answered", [one, other], seen)
}

async fn duplicate_in_gap(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let cmd_sn = session.numbering().cmd_sn;
    ordered(&mut session, Itt(0x341), cmd_sn.next()).await?;
    ordered(&mut session, Itt(0x342), cmd_sn.next()).await?;
    ordered(&mut session, Itt(0x340), cmd_sn).await?;
    both(&mut session, Itt(0x340), Itt(0x341)).await?;
    silent(&mut session).await?;
    ordered(&mut session, Itt(0x343), cmd_sn.plus(2)).await?;
    echo_of(&mut session, Itt(0x343)).await.map(drop)
}

async fn reversed(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let numbering = *session.numbering();
    let room = numbering.cmd_sn.distance_to(numbering.max_cmd_sn);
    let count = 8.min(u32::try_from(room).unwrap_or(0) + 1);
    for which in (0..count).rev() {
        ordered(
            &mut session,
            Itt(0x350 + which),
            numbering.cmd_sn.plus(which),
        )
        .await?;
    }
    let mut seen = Vec::new();
    for _ in 0..count {
        seen.push(session.recv().await?.header.itt);
    }
    seen.sort_unstable();
    let due: Vec<Itt> = (0..count).map(|which| Itt(0x350 + which)).collect();
    expect_eq("tasks answered", due, seen)
}

/// Sent last to first, so that the target must keep them all.
async fn full_window(ctx: Context) -> Result<(), Finding> {
    const MOST: u32 = 512;
    let mut session = ctx.session().await?;
    let numbering = *session.numbering();
    let room = numbering.cmd_sn.distance_to(numbering.max_cmd_sn) + 1;
    let count = u32::try_from(room).unwrap_or(0).min(MOST);
    for which in (0..count).rev() {
        let cmd_sn = numbering.cmd_sn.plus(which);
        let mut bhs = ping(Itt(0x1000 + which), cmd_sn, numbering.exp_stat_sn);
        bhs.0[0] = Opcode::NOP_OUT.0;
        let bytes = session.conn().encode(bhs, &[], b"");
        session.conn().queue_raw(&bytes);
    }
    session.conn().flush().await?;
    let mut seen = Vec::new();
    for _ in 0..count {
        seen.push(session.recv().await?.header.itt.0);
    }
    seen.sort_unstable();
    let due: Vec<u32> = (0..count).map(|which| 0x1000 + which).collect();
    expect(
        seen == due,
        "every command answered once",
        format!("{} of {count}", seen.len()),
    )
}

async fn wrap(ctx: Context) -> Result<(), Finding> {
    let mut options = ctx.login_options();
    options.cmd_sn = Serial(0xffff_fffe);
    let mut session = Session::login(ctx.addr(), &options).await?;
    for (which, cmd_sn) in [0xffff_fffe, 0xffff_ffff, 0, 1].into_iter().enumerate() {
        ordered(&mut session, Itt(0x360 + which as u32), Serial(cmd_sn)).await?;
        let received = echo_of(&mut session, Itt(0x360 + which as u32)).await?;
        expect_eq(
            "ExpCmdSN",
            Serial(cmd_sn).next(),
            received.header.exp_cmd_sn,
        )?;
    }
    Ok(())
}

async fn wrong_exp_stat_sn(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let numbering = *session.numbering();
    for (which, exp_stat_sn) in [0x4000_0000, 0x8000_0000, 0xffff_0000]
        .into_iter()
        .enumerate()
    {
        let wrong = numbering.exp_stat_sn.plus(exp_stat_sn);
        let bhs = ping(Itt(0x370 + which as u32), numbering.cmd_sn, wrong);
        session.conn().send_bhs(bhs, &[], b"").await?;
        match session.recv().await {
            Ok(_) => {}
            Err(error) if error.is_lost() => break,
            Err(error) => return Err(error.into()),
        }
    }
    let mut session = ctx.session().await?;
    Ok(session.nop(b"the next session").await?)
}
