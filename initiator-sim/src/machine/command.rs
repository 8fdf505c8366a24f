//! A SCSI command as the initiator thinks of it, and what became of it.

use bytes::Bytes;
use iscsi::{Lun, TaskAttribute};

/// Which way the data goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// No data.
    None,
    /// Target to initiator.
    Read,
    /// Initiator to target.
    Write,
}

/// A command to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Logical unit.
    pub lun: Lun,
    /// The CDB; above 16 bytes the rest goes into an extended CDB AHS (RFC 7143 §11.2.2.3).
    pub cdb: Vec<u8>,
    /// Direction.
    pub direction: Direction,
    /// Expected Data Transfer Length.
    pub edtl: u32,
    /// Data to write; missing bytes up to `edtl` are zeros.
    pub data: Bytes,
    /// Task attribute.
    pub attribute: TaskAttribute,
    /// Immediate delivery.
    pub immediate: bool,
}

impl Command {
    /// A command without data.
    pub fn none(lun: Lun, cdb: &[u8]) -> Self {
        Self {
            lun,
            cdb: cdb.to_vec(),
            direction: Direction::None,
            edtl: 0,
            data: Bytes::new(),
            attribute: TaskAttribute::SIMPLE,
            immediate: false,
        }
    }

    /// A command that expects `edtl` bytes.
    pub fn read(lun: Lun, cdb: &[u8], edtl: u32) -> Self {
        Self {
            direction: Direction::Read,
            edtl,
            ..Self::none(lun, cdb)
        }
    }

    /// A command that brings `data`.
    pub fn write(lun: Lun, cdb: &[u8], data: impl Into<Bytes>) -> Self {
        let data = data.into();
        let edtl = u32::try_from(data.len()).expect("a command carries less than 4 GiB");
        Self {
            direction: Direction::Write,
            edtl,
            data,
            ..Self::none(lun, cdb)
        }
    }

    /// Bring the data to exactly `edtl` bytes: what lies beyond is padding nobody chose.
    pub(super) fn fit_data(&mut self) {
        let edtl = self.edtl as usize;
        if self.direction == Direction::Write && self.data.len() != edtl {
            let mut whole = self.data.to_vec();
            whole.resize(edtl, 0);
            self.data = whole.into();
        }
    }
}

/// Sense data, the part that is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sense {
    /// Sense key.
    pub key: u8,
    /// Additional sense code.
    pub asc: u8,
    /// Additional sense code qualifier.
    pub ascq: u8,
}

impl Sense {
    /// From sense bytes, fixed (70h, 71h) or descriptor format (72h, 73h), SPC-4 §4.5.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let at = |index: usize| bytes.get(index).copied();
        match at(0)? & 0x7f {
            0x70 | 0x71 => Some(Self {
                key: at(2)? & 0x0f,
                asc: at(12).unwrap_or(0),
                ascq: at(13).unwrap_or(0),
            }),
            0x72 | 0x73 => Some(Self {
                key: at(1)? & 0x0f,
                asc: at(2)?,
                ascq: at(3)?,
            }),
            _ => None,
        }
    }
}

impl std::fmt::Display for Sense {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:X}h/{:02X}h/{:02X}h", self.key, self.asc, self.ascq)
    }
}

/// Residual count (RFC 7143 §11.4.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Residual {
    /// Neither O nor U.
    None,
    /// U: bytes expected and not transferred.
    Underflow(u32),
    /// O: bytes that would have been transferred had more been expected.
    Overflow(u32),
}

impl Residual {
    /// Underflow positive, overflow negative.
    pub fn signed(self) -> i64 {
        match self {
            Self::None => 0,
            Self::Underflow(count) => i64::from(count),
            Self::Overflow(count) => -i64::from(count),
        }
    }

    pub(super) fn from_bits(overflow: bool, underflow: bool, count: u32) -> Self {
        match (overflow, underflow) {
            (true, _) => Self::Overflow(count),
            (false, true) => Self::Underflow(count),
            (false, false) => Self::None,
        }
    }
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// iSCSI response code; 0 is "command completed at target".
    pub response: u8,
    /// SCSI status.
    pub status: u8,
    /// Decoded sense, if any came.
    pub sense: Option<Sense>,
    /// The sense bytes as they came.
    pub sense_bytes: Vec<u8>,
    /// Data-In, as much as arrived.
    pub data: Vec<u8>,
    /// Residual.
    pub residual: Residual,
    /// R2Ts answered.
    pub r2ts: u32,
    /// Data-In PDUs received.
    pub data_ins: u32,
    /// Did the status ride on the last Data-In (S bit)?
    pub status_in_data: bool,
}

impl Outcome {
    /// SCSI status GOOD.
    pub const GOOD: u8 = 0x00;
    /// SCSI status CHECK CONDITION.
    pub const CHECK_CONDITION: u8 = 0x02;
    /// SCSI status BUSY.
    pub const BUSY: u8 = 0x08;
    /// SCSI status RESERVATION CONFLICT.
    pub const RESERVATION_CONFLICT: u8 = 0x18;
    /// SCSI status TASK SET FULL.
    pub const TASK_SET_FULL: u8 = 0x28;
    /// SCSI status TASK ABORTED.
    pub const TASK_ABORTED: u8 = 0x40;

    /// Completed at the target with GOOD.
    pub fn is_good(&self) -> bool {
        self.response == 0 && self.status == Self::GOOD
    }

    /// CHECK CONDITION with UNIT ATTENTION.
    pub fn is_unit_attention(&self) -> bool {
        self.status == Self::CHECK_CONDITION && self.sense.is_some_and(|sense| sense.key == 6)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "response {:#04x}, status {:#04x}",
            self.response, self.status
        )?;
        if let Some(sense) = self.sense {
            write!(f, ", sense {sense}")?;
        }
        match self.residual {
            Residual::None => write!(f, ", {} bytes", self.data.len()),
            Residual::Underflow(count) => write!(f, ", {} bytes, {count} short", self.data.len()),
            Residual::Overflow(count) => write!(f, ", {} bytes, {count} over", self.data.len()),
        }
    }
}
