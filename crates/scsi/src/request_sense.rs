//! REQUEST SENSE: a pending unit attention as data, and thereby done with.

use crate::opcodes::Call;
use crate::{Cdb, Plan, Sense};

pub(crate) fn decode(call: Call<'_>) -> Result<Plan, Sense> {
    let sense = call
        .unit
        .attentions
        .take(call.nexus)
        .unwrap_or(Sense::NO_SENSE);
    Ok(answer(call.cdb, sense))
}

/// `sense` as parameter data, in the format the DESC bit asks for.
pub(crate) fn answer(cdb: &Cdb, sense: Sense) -> Plan {
    let data = if cdb.bit(1, 0) {
        sense.to_descriptor()
    } else {
        sense.to_fixed().to_vec()
    };
    Plan::data_in(data, cdb.byte(4))
}
