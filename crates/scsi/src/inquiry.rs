//! INQUIRY: standard data and vital product data.

mod standard;
mod vpd;

use crate::opcodes::Call;
use crate::{Cdb, Plan, Sense};

pub(crate) fn decode(call: Call<'_>) -> Result<Plan, Sense> {
    let data = match page(call.cdb)? {
        None => standard::data(call.unit.identity()),
        Some(code) => vpd::page(code, call.unit, call.target)?,
    };
    Ok(Plan::data_in(data, call.cdb.be16(3)))
}

/// What a LUN without a logical unit answers: peripheral qualifier 011b, device type 1Fh.
pub(crate) fn absent(cdb: &Cdb) -> Result<Plan, Sense> {
    let data = match page(cdb)? {
        None => standard::absent(),
        Some(vpd::SUPPORTED_PAGES) => vpd::absent(),
        Some(_) => return Err(Sense::invalid_byte(2)),
    };
    Ok(Plan::data_in(data, cdb.be16(3)))
}

/// The page asked for; `None` is the standard data.
fn page(cdb: &Cdb) -> Result<Option<u8>, Sense> {
    if cdb.bit(1, 1) {
        return Err(Sense::invalid_bits(1, 1)); // CMDDT, obsolete
    }
    match (cdb.bit(1, 0), cdb.byte(2)) {
        (true, code) => Ok(Some(code)),
        (false, 0) => Ok(None),
        (false, _) => Err(Sense::invalid_byte(2)),
    }
}

#[cfg(test)]
mod tests;
