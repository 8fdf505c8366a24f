//! START STOP UNIT for a unit that has nothing to spin.

use crate::opcodes::Call;
use crate::{Plan, Sense};

/// Stopping makes the cache durable and leaves the unit ready: there is no state in which its
/// blocks could not be reached.
pub(crate) fn decode(call: Call<'_>) -> Result<Plan, Sense> {
    let cdb = call.cdb;
    if cdb.byte(4) >> 4 != 0 {
        return Err(Sense::invalid_bits(4, 7)); // no power conditions
    }
    if cdb.bit(4, 1) {
        return Err(Sense::invalid_bits(4, 1)); // the medium is not removable
    }
    let (start, no_flush) = (cdb.bit(4, 0), cdb.bit(4, 2));
    Ok(match start || no_flush {
        true => Plan::Good,
        false => Plan::Flush {
            immediate: cdb.bit(1, 0),
        },
    })
}
