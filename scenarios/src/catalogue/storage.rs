//! What an initiator sees when storage fails, is full, slow, or goes away for a while
//! (SPC-4 4.5.6, SAM-5 5.3.1; README, "What an answer means").

use std::time::Instant;

use initiator_sim::{Sense, Session};
use iscsi::Lun;

use super::judge::{blocks_of, good, holds, refused};
use super::survival::{PROMPT, cut, old_or_new, sync10, write_all};
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
        "storage.flush-fails", "SBC-3 5.26; README, What an answer means",
        "A sync that fails ends SYNCHRONIZE CACHE in MEDIUM ERROR, WRITE ERROR, and the next one \
         does not pretend; started again, the device holds each block as it was or as it was \
         written, and syncs.",
        needs [Faults, PowerCut];
        async |ctx| { flush_fails(ctx).await }
    },
    scenario! {
        "storage.flush-fails.immediate", "SBC-3 5.26, SPC-4 4.5.7; README, What an answer means",
        "A sync that fails behind a SYNCHRONIZE CACHE with IMMED, which was answered before, is \
         told to the next one without it.",
        needs [Faults];
        async |ctx| { flush_fails_unseen(ctx).await }
    },
    scenario! {
        "storage.full", "SBC-3 4.7, SPC-4 4.5.6",
        "A WRITE that finds no space ends in DATA PROTECT, SPACE ALLOCATION FAILED WRITE PROTECT; \
         blocks that have space go on being read and written.",
        needs [Faults];
        async |ctx| { full(ctx).await }
    },
    scenario! {
        "storage.slow.pings", "RFC 7143 11.18, 11.19",
        "Pings are answered, and sent, while storage holds up more commands than it has threads \
         for; the commands all end GOOD.",
        needs [Faults];
        async |ctx| { pings(ctx).await }
    },
    scenario! {
        "storage.slow.other-lun", "SAM-5 4.5; README, What an answer means",
        "A logical unit whose storage hangs holds up no other one, on the same volume and in the \
         same session.",
        needs [Faults];
        async |ctx| { other_lun(ctx).await }
    },
    scenario! {
        "storage.quorum", "SAM-5 5.3.1; README, What an answer means",
        "While too few bricks are there commands wait; when they are back within the time storage \
         is waited for, the commands end GOOD and the session goes on.",
        needs [Faults];
        async |ctx| { quorum(ctx).await }
    },
];

/// MEDIUM ERROR, WRITE ERROR.
const WRITE_ERROR: Sense = Sense {
    key: 0x03,
    asc: 0x0c,
    ascq: 0x00,
};
/// DATA PROTECT, SPACE ALLOCATION FAILED WRITE PROTECT.
const SPACE_ALLOCATION_FAILED: Sense = Sense {
    key: 0x07,
    asc: 0x27,
    ascq: 0x07,
};

const LBA: u32 = 40;

async fn flush_fails(ctx: Context) -> Result<(), Finding> {
    let (rig, ctx) = ctx.rig(Setup::write_back().losing_all()).await?;
    let mut session = ctx.session().await?;
    let old = blocks_of(&session, 0x01d, 64);
    write_all(&mut session, &ctx, LBA, &old).await?;
    good("SYNCHRONIZE CACHE(10)", &session.sync(ctx.lun()).await?)?;
    let new = blocks_of(&session, 0x0e3, 64);
    write_all(&mut session, &ctx, LBA, &new).await?;
    rig.plan(&format!("fsync {} nth=1 lose", rig.image(0)))
        .await?;
    let failed = session.sync(ctx.lun()).await?;
    refused(
        "SYNCHRONIZE CACHE(10) whose sync fails",
        &failed,
        WRITE_ERROR,
    )?;
    let next = session.sync(ctx.lun()).await?;
    refused("SYNCHRONIZE CACHE(10) after it", &next, WRITE_ERROR)?;
    old_or_new(&mut session, &ctx, LBA.into(), &old, &new).await?;

    cut(&rig).await?;
    rig.plan("").await?;
    let mut session = ctx.session().await?;
    old_or_new(&mut session, &ctx, LBA.into(), &old, &new).await?;
    write_all(&mut session, &ctx, LBA, &new).await?;
    let outcome = session.sync(ctx.lun()).await?;
    good(
        "SYNCHRONIZE CACHE(10) of the device started again",
        &outcome,
    )?;
    cut(&rig).await?;
    holds(&mut ctx.session().await?, &ctx, LBA.into(), &new).await
}

async fn flush_fails_unseen(ctx: Context) -> Result<(), Finding> {
    let (rig, ctx) = ctx.rig(Setup::write_back()).await?;
    let mut session = ctx.session().await?;
    let data = blocks_of(&session, 0x0e3, 16);
    write_all(&mut session, &ctx, LBA, &data).await?;
    rig.plan(&format!("fsync {} nth=1 lose", rig.image(0)))
        .await?;
    let outcome = sync10(&mut session, &ctx, (0, 0), true).await?;
    let immediate = outcome.is_good();
    // One that was not answered early tells of it itself.
    if !immediate {
        refused("SYNCHRONIZE CACHE(10) with IMMED", &outcome, WRITE_ERROR)?;
    }
    let next = sync10(&mut session, &ctx, (0, 0), false).await?;
    refused("SYNCHRONIZE CACHE(10) without IMMED", &next, WRITE_ERROR)
}

async fn full(ctx: Context) -> Result<(), Finding> {
    const PIECE: u32 = 128;
    let setup = Setup::write_through().volume("capacity = 1048576\n");
    let (_rig, ctx) = ctx.rig(setup).await?;
    let mut session = ctx.session().await?;
    let data = |session: &Session, lba: u32| blocks_of(session, u64::from(lba) + 0xf011, PIECE);
    let mut taken = 0;
    let no_space = loop {
        let piece = data(&session, taken * PIECE);
        let outcome = session.write(ctx.lun(), taken * PIECE, &piece).await?;
        if !outcome.is_good() {
            break outcome;
        }
        taken += 1;
        expect(
            taken < 32,
            "a WRITE that finds no space",
            "2 MiB went into 1 MiB",
        )?;
    };
    refused(
        "WRITE(10) that finds no space",
        &no_space,
        SPACE_ALLOCATION_FAILED,
    )?;
    expect(
        taken > 4,
        "some WRITEs that find space",
        format!("{taken} of them"),
    )?;
    let piece = data(&session, taken * PIECE);
    let before = vec![0; piece.len()];
    let untaken = u64::from(taken * PIECE);
    old_or_new(&mut session, &ctx, untaken, &before, &piece).await?;
    for index in 0..taken {
        let lba = index * PIECE;
        let piece = data(&session, lba);
        holds(&mut session, &ctx, lba.into(), &piece).await?;
    }
    let again = blocks_of(&session, 0xa6a13, PIECE);
    let outcome = session.write(ctx.lun(), 0, &again).await?;
    good("WRITE(10) to blocks that have space", &outcome)?;
    holds(&mut session, &ctx, 0, &again).await?;
    let outcome = session.write(ctx.lun(), taken * PIECE, &piece).await?;
    refused("the WRITE(10) again", &outcome, SPACE_ALLOCATION_FAILED)?;
    good("SYNCHRONIZE CACHE(10)", &session.sync(ctx.lun()).await?)
}

async fn pings(ctx: Context) -> Result<(), Finding> {
    // More than any pool has threads for.
    const FLIGHT: u32 = 80;
    let setup = Setup::write_through().node("ping_interval = \"200ms\"\nping_timeout = \"1s\"\n");
    let (rig, ctx) = ctx.rig(setup).await?;
    let mut session = ctx.session().await?;
    let slow = PROMPT;
    let rule = format!("* {} latency={}ms", rig.image(0), slow.as_millis());
    rig.plan(&rule).await?;
    let mut flight = Vec::new();
    for lba in 0..FLIGHT {
        let data = blocks_of(&session, lba.into(), 1);
        flight.push(session.queue(session.write_command(ctx.lun(), lba, data)));
    }
    let started = Instant::now();
    for number in 0..4 {
        let asked = Instant::now();
        session.nop(b"is anybody there").await?;
        let took = asked.elapsed();
        let what = format!("the answer to ping {number} while storage is slow");
        expect(took < slow / 2, &what, format!("after {took:?}"))?;
    }
    let early = started.elapsed() < slow;
    expect(
        early,
        "four answers before storage has any",
        format!("{:?}", started.elapsed()),
    )?;
    session.idle(slow / 2).await?;
    let pings = session.pings_answered();
    for itt in flight {
        good("WRITE(10) that took its time", &session.wait(itt).await?)?;
    }
    expect(pings > 0, "a ping of the target within 350 ms", "none came")?;
    rig.plan("").await?;
    for lba in 0..FLIGHT {
        let data = blocks_of(&session, lba.into(), 1);
        holds(&mut session, &ctx, lba.into(), &data).await?;
    }
    Ok(())
}

/// A WRITE, a READ and a sync of LUN 1, each as quick as if nothing were wrong with LUN 0.
pub(super) async fn neighbour(session: &mut Session) -> Result<(), Finding> {
    let lun = Lun::from_number(1);
    let timeout = session.conn().timeout();
    session.conn().set_timeout(PROMPT);
    let data = blocks_of(session, 0x0e18, 8);
    let outcome = session.write(lun, LBA, &data).await?;
    good("WRITE(10) to the other logical unit", &outcome)?;
    let outcome = session.read(lun, LBA, 8).await?;
    good("READ(10) of the other logical unit", &outcome)?;
    expect(outcome.data == data, "what was written", "other bytes")?;
    let outcome = session.sync(lun).await?;
    good("SYNCHRONIZE CACHE(10) of the other logical unit", &outcome)?;
    session.conn().set_timeout(timeout);
    Ok(())
}

async fn other_lun(ctx: Context) -> Result<(), Finding> {
    let (rig, ctx) = ctx.rig(Setup::write_through().luns(2)).await?;
    let mut session = ctx.session().await?;
    session.clear_attention(Lun::from_number(1)).await?;
    rig.plan(&format!("* {} hang", rig.image(0))).await?;
    let mut flight = Vec::new();
    for lba in 0..80 {
        flight.push(
            session
                .start(session.read_command(ctx.lun(), lba, 1))
                .await?,
        );
    }
    neighbour(&mut session).await?;
    rig.plan("").await?;
    for itt in flight {
        good("READ(10) that hung for a while", &session.wait(itt).await?)?;
    }
    Ok(())
}

async fn quorum(ctx: Context) -> Result<(), Finding> {
    let (rig, ctx) = ctx.rig(Setup::write_through()).await?;
    let mut session = ctx.session().await?;
    let before = blocks_of(&session, 0xbef0, 8);
    write_all(&mut session, &ctx, LBA, &before).await?;
    rig.plan(&format!("* {} errno=ENOTCONN", rig.image(0)))
        .await?;
    let data = blocks_of(&session, 0xd0, 8);
    let write = session
        .start(session.write_command(ctx.lun(), LBA + 8, data.clone()))
        .await?;
    let read = session
        .start(session.read_command(ctx.lun(), LBA, 8))
        .await?;
    session.idle(PROMPT).await?;
    let waiting = session.outstanding();
    expect(
        waiting == 2,
        "two commands that wait for bricks",
        format!("{waiting} of them"),
    )?;
    rig.plan("").await?;
    good("WRITE(10) that waited", &session.wait(write).await?)?;
    let outcome = session.wait(read).await?;
    good("READ(10) that waited", &outcome)?;
    expect(
        outcome.data == before,
        "what was written before",
        "other bytes",
    )?;
    holds(&mut session, &ctx, u64::from(LBA) + 8, &data).await?;
    write_all(&mut session, &ctx, LBA, &data).await?;
    cut(&rig).await?;
    let mut session = ctx.session().await?;
    holds(&mut session, &ctx, LBA.into(), &data).await?;
    holds(&mut session, &ctx, u64::from(LBA) + 8, &data).await
}
