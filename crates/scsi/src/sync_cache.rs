//! SYNCHRONIZE CACHE(10) and (16).

use crate::opcodes::Call;
use crate::{Plan, Sense, transfer};

pub(crate) fn decode10(call: Call<'_>) -> Result<Plan, Sense> {
    plan(&call, call.cdb.be32(2).into(), call.cdb.be16(7).into())
}

pub(crate) fn decode16(call: Call<'_>) -> Result<Plan, Sense> {
    plan(&call, call.cdb.be64(2), call.cdb.be32(10).into())
}

/// The range is checked but not narrowed: storage flushes whole images. Zero blocks means all from
/// the LBA on.
fn plan(call: &Call<'_>, lba: u64, blocks: u64) -> Result<Plan, Sense> {
    transfer::span(call.unit, lba, blocks)?;
    Ok(Plan::Flush {
        immediate: call.cdb.bit(1, 1),
    })
}
