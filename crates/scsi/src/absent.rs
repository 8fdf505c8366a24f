//! A LUN without a logical unit behind it: INQUIRY, REPORT LUNS and
//! REQUEST SENSE still answer (SPC-4).

use crate::{Cdb, Plan, Sense, TargetPort, inquiry, luns, opcodes, request_sense};

/// What is to be done about a command to a LUN that does not exist.
pub fn plan(cdb: &Cdb, target: &TargetPort<'_>) -> Plan {
    let Ok(row) = opcodes::find(cdb) else {
        return Plan::Check(Sense::LOGICAL_UNIT_NOT_SUPPORTED);
    };
    match row.opcode() {
        0x03 => request_sense::answer(cdb, Sense::LOGICAL_UNIT_NOT_SUPPORTED),
        0x12 => inquiry::absent(cdb).into(),
        0xa0 => luns::answer(cdb, target).into(),
        _ => Plan::Check(Sense::LOGICAL_UNIT_NOT_SUPPORTED),
    }
}
