//! REPORT LUNS.

use crate::opcodes::Call;
use crate::{Cdb, Plan, Sense, TargetPort};

/// Whoever has seen the list need no longer be told that it changed (SPC-4), by no unit of the
/// target; the others are the caller's.
pub(crate) fn decode(call: Call<'_>) -> Result<Plan, Sense> {
    let plan = answer(call.cdb, call.target)?;
    call.unit
        .attention_heeded(call.nexus, Sense::REPORTED_LUNS_DATA_HAS_CHANGED);
    Ok(plan)
}

/// The LUNs of the target; the same whether the LUN asked exists or not.
pub(crate) fn answer(cdb: &Cdb, target: &TargetPort<'_>) -> Result<Plan, Sense> {
    let luns = match cdb.byte(2) {
        0x00 | 0x02 => target.luns,
        0x01 => &[], // only well known logical units, of which there are none
        _ => return Err(Sense::invalid_byte(2)),
    };
    let allocation_length = cdb.be32(6);
    if allocation_length < 16 {
        return Err(Sense::invalid_byte(6));
    }
    let mut data = Vec::with_capacity(8 + 8 * luns.len());
    data.extend((8 * luns.len() as u32).to_be_bytes());
    data.extend([0; 4]);
    for lun in luns {
        data.extend(address(*lun));
        data.extend([0; 6]);
    }
    Ok(Plan::data_in(data, allocation_length))
}

/// First level addressing (SAM-5): peripheral device below 256, flat space above.
fn address(lun: u16) -> [u8; 2] {
    let method = if lun < 256 { 0x0000 } else { 0x4000 };
    (method | (lun & 0x3fff)).to_be_bytes()
}

#[cfg(test)]
mod tests;
