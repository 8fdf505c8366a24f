//! READ and WRITE of 6, 10, 12 and 16 bytes: which bytes of the image, if any.

use block::{BlockSize, Lba, Span};

use crate::opcodes::Call;
use crate::{Plan, Sense, TRANSFER_BYTES_MAX, Unit};

/// The fields all READs and WRITEs share.
struct Transfer {
    lba: u64,
    blocks: u64,
    /// First byte of the TRANSFER LENGTH field, to point at.
    length_byte: u8,
    fua: bool,
}

pub(crate) fn read6(call: Call<'_>) -> Result<Plan, Sense> {
    read(&call, Transfer::cdb6(&call))
}

pub(crate) fn write6(call: Call<'_>) -> Result<Plan, Sense> {
    write(&call, Transfer::cdb6(&call))
}

pub(crate) fn read10(call: Call<'_>) -> Result<Plan, Sense> {
    read(&call, Transfer::cdb10(&call)?)
}

pub(crate) fn write10(call: Call<'_>) -> Result<Plan, Sense> {
    write(&call, Transfer::cdb10(&call)?)
}

pub(crate) fn read12(call: Call<'_>) -> Result<Plan, Sense> {
    read(&call, Transfer::cdb12(&call)?)
}

pub(crate) fn write12(call: Call<'_>) -> Result<Plan, Sense> {
    write(&call, Transfer::cdb12(&call)?)
}

pub(crate) fn read16(call: Call<'_>) -> Result<Plan, Sense> {
    read(&call, Transfer::cdb16(&call)?)
}

pub(crate) fn write16(call: Call<'_>) -> Result<Plan, Sense> {
    write(&call, Transfer::cdb16(&call)?)
}

fn read(call: &Call<'_>, transfer: Transfer) -> Result<Plan, Sense> {
    // FUA needs nothing more: what was written before is what storage returns.
    let span = transfer.span(call.unit)?;
    Ok(if span.len == 0 {
        Plan::Good
    } else {
        Plan::Read { span }
    })
}

fn write(call: &Call<'_>, transfer: Transfer) -> Result<Plan, Sense> {
    let span = transfer.span(call.unit)?;
    if call.unit.caps().read_only {
        return Err(Sense::WRITE_PROTECTED);
    }
    let durable = transfer.fua || call.unit.is_write_through();
    Ok(if span.len == 0 {
        Plan::Good
    } else {
        Plan::Write { span, durable }
    })
}

impl Transfer {
    /// The 6-byte CDBs have no flags, and no room for a length of zero: it means 256.
    fn cdb6(call: &Call<'_>) -> Self {
        let blocks = match call.cdb.byte(4) {
            0 => 256,
            blocks => u64::from(blocks),
        };
        let lba = u64::from(call.cdb.be32(0) & 0x001f_ffff);
        Self {
            lba,
            blocks,
            length_byte: 4,
            fua: false,
        }
    }

    fn cdb10(call: &Call<'_>) -> Result<Self, Sense> {
        Self::flagged(call, call.cdb.be32(2).into(), call.cdb.be16(7).into(), 7)
    }

    fn cdb12(call: &Call<'_>) -> Result<Self, Sense> {
        Self::flagged(call, call.cdb.be32(2).into(), call.cdb.be32(6).into(), 6)
    }

    fn cdb16(call: &Call<'_>) -> Result<Self, Sense> {
        Self::flagged(call, call.cdb.be64(2), call.cdb.be32(10).into(), 10)
    }

    /// Byte 1 of the longer CDBs: RDPROTECT or WRPROTECT, DPO, FUA.
    fn flagged(call: &Call<'_>, lba: u64, blocks: u64, length_byte: u8) -> Result<Self, Sense> {
        // The unit is not formatted with protection information: SBC-3 allows only 000b.
        if call.cdb.byte(1) & 0xe0 != 0 {
            return Err(Sense::invalid_bits(1, 7));
        }
        Ok(Self {
            lba,
            blocks,
            length_byte,
            fua: call.cdb.bit(1, 3),
        })
    }

    fn span(&self, unit: &Unit) -> Result<Span, Sense> {
        let span = span(unit, self.lba, self.blocks)?;
        if span.len > u64::from(TRANSFER_BYTES_MAX) {
            return Err(Sense::invalid_byte(self.length_byte));
        }
        Ok(span)
    }
}

/// The bytes of `blocks` blocks from `lba` on, all of them on the unit.
///
/// An LBA that does not exist is refused even for zero blocks, the first one past the end
/// included: it is not the address of any logical block.
pub(crate) fn span(unit: &Unit, lba: u64, blocks: u64) -> Result<Span, Sense> {
    let capacity = unit.blocks();
    if lba >= capacity {
        return Err(Sense::LBA_OUT_OF_RANGE.at(lba));
    }
    if blocks > capacity - lba {
        return Err(Sense::LBA_OUT_OF_RANGE.at(capacity));
    }
    let block_size: BlockSize = unit.caps().block_size;
    block_size
        .span(Lba(lba), blocks)
        .ok_or(Sense::LBA_OUT_OF_RANGE.at(lba))
}

#[cfg(test)]
mod tests;
