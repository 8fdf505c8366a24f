//! READ CAPACITY(10) and (16).

use crate::opcodes::Call;
use crate::{Plan, Sense};

pub(crate) fn read10(call: Call<'_>) -> Result<Plan, Sense> {
    // FFFFFFFFh sends the initiator to READ CAPACITY(16).
    let last = u32::try_from(last_lba(&call)).unwrap_or(u32::MAX);
    let mut data = last.to_be_bytes().to_vec();
    data.extend(call.unit.caps().block_size.bytes().to_be_bytes());
    Ok(Plan::Data(data))
}

pub(crate) fn read16(call: Call<'_>) -> Result<Plan, Sense> {
    let mut data = Vec::with_capacity(32);
    data.extend(last_lba(&call).to_be_bytes());
    data.extend(call.unit.caps().block_size.bytes().to_be_bytes());
    data.push(0); // no protection information
    // LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT, a field of four bits
    data.push(call.unit.physical_exponent() as u8 & 0x0f);
    data.resize(32, 0); // fully provisioned (LBPME=0); physical blocks aligned to LBA 0
    Ok(Plan::data_in(data, call.cdb.be32(10)))
}

/// The address of the last block. A unit without any is never exported.
fn last_lba(call: &Call<'_>) -> u64 {
    call.unit.blocks().saturating_sub(1)
}

#[cfg(test)]
mod tests;
