//! What a disk may hold after its device died: the question of the durability and storage families,
//! asked block by block.

use std::time::Duration;

use initiator_sim::{Command, Outcome, Session, SessionError, cdb};

use super::judge::good;
use crate::context::Context;
use crate::rig::Rig;
use crate::scenario::Finding;

/// A device that has nothing to wait for answers within this, however busy the machine is.
pub(super) const PROMPT: Duration = Duration::from_millis(700);

/// The power fails, or at least the process dies; the device comes back on what was durable.
pub(super) async fn cut(rig: &Rig) -> Result<(), Finding> {
    rig.kill().await?;
    Ok(rig.start().await?)
}

/// Every block from `lba` on is as in `old` or as in `new`, never a mixture or anything else.
/// Tells how many are new and not old.
pub(super) async fn old_or_new(
    session: &mut Session,
    ctx: &Context,
    lba: u64,
    old: &[u8],
    new: &[u8],
) -> Result<usize, Finding> {
    let size = session.block_size as usize;
    let mut renewed = 0;
    let stride = 64 * size;
    let pieces = old.chunks(stride).zip(new.chunks(stride));
    for (index, (old, new)) in pieces.enumerate() {
        let at = lba + (index * 64) as u64;
        let blocks = u32::try_from(old.len() / size).expect("a stride is short");
        let outcome = session.read16(ctx.lun(), at, blocks).await?;
        good("READ(16) to compare", &outcome)?;
        let found = outcome.data.chunks(size);
        for (number, (found, (old, new))) in found
            .zip(old.chunks(size).zip(new.chunks(size)))
            .enumerate()
        {
            if found != old && found != new {
                return Err(Finding::fail(
                    "a block as it was before or as it was written",
                    format!("block {} is neither", at + number as u64),
                ));
            }
            renewed += usize::from(found == new && old != new);
        }
    }
    Ok(renewed)
}

/// SYNCHRONIZE CACHE(10) of a range; zero blocks: to the end.
pub(super) async fn sync10(
    session: &mut Session,
    ctx: &Context,
    (lba, blocks): (u32, u16),
    immediate: bool,
) -> Result<Outcome, SessionError> {
    let cdb = cdb::synchronize_cache10(lba, blocks, immediate);
    session.run(Command::none(ctx.lun(), &cdb)).await
}

/// Writes blocks by WRITE(10), a few at a time, each answered GOOD.
pub(super) async fn write_all(
    session: &mut Session,
    ctx: &Context,
    lba: u32,
    data: &[u8],
) -> Result<(), Finding> {
    let size = session.block_size as usize;
    for (index, piece) in data.chunks(8 * size).enumerate() {
        let at = lba + 8 * index as u32;
        let outcome = session.write(ctx.lun(), at, piece).await?;
        good(&format!("WRITE(10) at block {at}"), &outcome)?;
    }
    Ok(())
}
