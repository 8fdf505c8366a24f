//! The one table of commands: what dispatch decodes and what REPORT SUPPORTED OPERATION CODES
//! tells are the same rows.

use crate::{Cdb, Nexus, Plan, Sense, TargetPort, Unit};
use crate::{capacity, inquiry, luns, mode, request_sense, start_stop, supported};
use crate::{sync_cache, transfer};

/// A command on its way through the table.
pub(crate) struct Call<'a> {
    pub(crate) unit: &'a mut Unit,
    pub(crate) nexus: Nexus,
    pub(crate) cdb: &'a Cdb,
    pub(crate) target: &'a TargetPort<'a>,
}

/// What a pending unit attention does to a command (SAM-5 5.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attention {
    /// It is reported instead of carrying the command out.
    Reported,
    /// The command neither sees nor clears it: INQUIRY, REPORT LUNS; or returns it as data:
    /// REQUEST SENSE.
    Unseen,
}

/// One command.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) attention: Attention,
    /// Whether byte 1 holds a SERVICE ACTION, which then is the one in `usage`.
    pub(crate) has_service_action: bool,
    /// CDB USAGE DATA: the opcode, the service action, and a one for every other
    /// bit that is looked at. As long as the CDB.
    pub(crate) usage: &'static [u8],
    pub(crate) decode: fn(Call<'_>) -> Result<Plan, Sense>,
}

impl Row {
    pub(crate) fn opcode(&self) -> u8 {
        self.usage[0]
    }

    pub(crate) fn service_action(&self) -> Option<u8> {
        self.has_service_action.then_some(self.usage[1] & 0x1f)
    }
}

const fn row(
    name: &'static str,
    usage: &'static [u8],
    decode: fn(Call<'_>) -> Result<Plan, Sense>,
) -> Row {
    Row {
        name,
        attention: Attention::Reported,
        has_service_action: false,
        usage,
        decode,
    }
}

impl Row {
    const fn past_attention(mut self) -> Self {
        self.attention = Attention::Unseen;
        self
    }

    const fn with_service_action(mut self) -> Self {
        self.has_service_action = true;
        self
    }
}

/// The CONTROL byte: only NACA is looked at.
const C: u8 = 0x04;

/// Every supported command, ascending by opcode and service action.
pub(crate) static TABLE: &[Row] = &[
    row("TEST UNIT READY", &[0x00, 0, 0, 0, 0, C], |_| {
        Ok(Plan::Good)
    }),
    row(
        "REQUEST SENSE",
        &[0x03, 0x01, 0, 0, 0xff, C],
        request_sense::decode,
    )
    .past_attention(),
    row(
        "READ(6)",
        &[0x08, 0x1f, 0xff, 0xff, 0xff, C],
        transfer::read6,
    ),
    row(
        "WRITE(6)",
        &[0x0a, 0x1f, 0xff, 0xff, 0xff, C],
        transfer::write6,
    ),
    row(
        "INQUIRY",
        &[0x12, 0x03, 0xff, 0xff, 0xff, C],
        inquiry::decode,
    )
    .past_attention(),
    row(
        "MODE SENSE(6)",
        &[0x1a, 0x08, 0xff, 0xff, 0xff, C],
        mode::sense6,
    ),
    row(
        "START STOP UNIT",
        &[0x1b, 0x01, 0, 0, 0xf7, C],
        start_stop::decode,
    ),
    row(
        "READ CAPACITY(10)",
        &[0x25, 0, 0, 0, 0, 0, 0, 0, 0, C],
        capacity::read10,
    ),
    row(
        "READ(10)",
        &[0x28, 0xf8, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, C],
        transfer::read10,
    ),
    row(
        "WRITE(10)",
        &[0x2a, 0xf8, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, C],
        transfer::write10,
    ),
    row(
        "SYNCHRONIZE CACHE(10)",
        &[0x35, 0x02, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, C],
        sync_cache::decode10,
    ),
    row(
        "MODE SENSE(10)",
        &[0x5a, 0x18, 0xff, 0xff, 0, 0, 0, 0xff, 0xff, C],
        mode::sense10,
    ),
    row(
        "READ(16)",
        &[
            0x88, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0,
            C,
        ],
        transfer::read16,
    ),
    row(
        "WRITE(16)",
        &[
            0x8a, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0,
            C,
        ],
        transfer::write16,
    ),
    row(
        "SYNCHRONIZE CACHE(16)",
        &[
            0x91, 0x02, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0,
            C,
        ],
        sync_cache::decode16,
    ),
    row(
        "READ CAPACITY(16)",
        &[
            0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, C,
        ],
        capacity::read16,
    )
    .with_service_action(),
    row(
        "REPORT LUNS",
        &[0xa0, 0, 0xff, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, C],
        luns::decode,
    )
    .past_attention(),
    row(
        "REPORT SUPPORTED OPERATION CODES",
        &[
            0xa3, 0x0c, 0x87, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, C,
        ],
        supported::decode,
    )
    .with_service_action(),
    row(
        "READ(12)",
        &[
            0xa8, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, C,
        ],
        transfer::read12,
    ),
    row(
        "WRITE(12)",
        &[
            0xaa, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, C,
        ],
        transfer::write12,
    ),
];

/// Where each opcode's rows begin in [`TABLE`], so that finding one costs the same for all.
static FIRST: [u8; 256] = {
    let mut first = [u8::MAX; 256];
    let mut at = TABLE.len();
    while at > 0 {
        at -= 1;
        first[TABLE[at].usage[0] as usize] = at as u8;
    }
    first
};

/// The rows of one opcode: none, one, or one for each service action.
pub(crate) fn rows(opcode: u8) -> &'static [Row] {
    let from = TABLE
        .get(usize::from(FIRST[usize::from(opcode)])..)
        .unwrap_or_default();
    let count = from.iter().take_while(|row| row.opcode() == opcode).count();
    &from[..count]
}

/// The row of a command whose opcode, service action and CONTROL byte are supported.
pub(crate) fn find(cdb: &Cdb) -> Result<&'static Row, Sense> {
    let row = match rows(cdb.opcode()) {
        [] => return Err(Sense::INVALID_COMMAND_OPERATION_CODE),
        [row] if !row.has_service_action => row,
        rows => rows
            .iter()
            .find(|row| row.service_action() == Some(cdb.service_action()))
            .ok_or(Sense::INVALID_COMMAND_OPERATION_CODE)?,
    };
    let control = row.usage.len() - 1;
    if cdb.bit(control, 2) {
        // NACA=1, and the INQUIRY data says NORMACA=0 (SAM-5 5.2).
        return Err(Sense::invalid_bits(control as u8, 2));
    }
    Ok(row)
}

#[cfg(test)]
mod tests;
