//! REPORT SUPPORTED OPERATION CODES (SPC-4): the opcode table, told to the initiator.

use crate::opcodes::{self, Call, Row, TABLE};
use crate::{Plan, Sense};

pub(crate) fn decode(call: Call<'_>) -> Result<Plan, Sense> {
    let cdb = call.cdb;
    let timeouts = cdb.bit(2, 7);
    let (opcode, action) = (cdb.byte(3), cdb.be16(4));
    let rows = opcodes::rows(opcode);
    let has_service_actions = rows.iter().any(|row| row.has_service_action);
    let with_action = || {
        rows.iter()
            .find(|row| row.service_action().map(u16::from) == Some(action))
    };
    let data = match cdb.byte(2) & 7 {
        0 => all(timeouts),
        1 if has_service_actions => return Err(Sense::invalid_bits(2, 2)),
        1 => one(rows.first(), timeouts),
        2 if !rows.is_empty() && !has_service_actions => return Err(Sense::invalid_bits(2, 2)),
        2 => one(with_action(), timeouts),
        3 if has_service_actions => one(with_action(), timeouts),
        3 => one(rows.first().filter(|_| action == 0), timeouts),
        _ => return Err(Sense::invalid_bits(2, 2)),
    };
    Ok(Plan::data_in(data, cdb.be32(6)))
}

/// The all_commands parameter data.
fn all(timeouts: bool) -> Vec<u8> {
    let mut data = vec![0; 4];
    for row in TABLE {
        let flags = u8::from(timeouts) << 1 | u8::from(row.has_service_action);
        let action = row.service_action().unwrap_or(0);
        data.extend([
            row.opcode(),
            0,
            0,
            action,
            0,
            flags,
            0,
            row.usage.len() as u8,
        ]);
        if timeouts {
            data.extend(TIMEOUTS);
        }
    }
    let length = (data.len() - 4) as u32;
    data[..4].copy_from_slice(&length.to_be_bytes());
    data
}

/// The one_command parameter data; `None` is a command that is not supported.
fn one(row: Option<&Row>, timeouts: bool) -> Vec<u8> {
    let Some(row) = row else {
        return vec![0, 0x01, 0, 0];
    };
    let mut data = vec![0, u8::from(timeouts) << 7 | 0x03, 0, row.usage.len() as u8];
    data.extend(row.usage);
    if timeouts {
        data.extend(TIMEOUTS);
    }
    data
}

/// A command timeouts descriptor that recommends nothing: how long storage takes is not ours to
/// promise.
const TIMEOUTS: [u8; 12] = [0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[cfg(test)]
mod tests;
