//! SCSI Command and SCSI Response.

use zerocopy::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, transmute};

use super::{FINAL, expect, flag, request_byte};
use crate::bhs::BHS_BYTES;
use crate::{Bhs, Itt, Lun, Malformed, Opcode, Serial, TaskAttribute};

/// RFC 7143 11.3.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawScsiCommand {
    opcode: u8,
    flags: u8,
    reserved: [u8; 2],
    lengths: [u8; 4],
    lun: U64,
    itt: U32,
    edtl: U32,
    cmd_sn: U32,
    exp_stat_sn: U32,
    cdb: [u8; 16],
}

const _: () = assert!(size_of::<RawScsiCommand>() == BHS_BYTES);

/// SCSI Command (RFC 7143 11.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScsiCommand {
    /// The I bit: for immediate delivery, without a place in the CmdSN order.
    pub immediate: bool,
    /// The F bit: no unsolicited Data-Out follows.
    pub is_final: bool,
    /// The R bit: data is expected.
    pub read: bool,
    /// The W bit: data is to come.
    pub write: bool,
    /// Task attribute.
    pub attribute: TaskAttribute,
    /// Logical unit.
    pub lun: Lun,
    /// Initiator Task Tag.
    pub itt: Itt,
    /// Expected Data Transfer Length, in bytes.
    pub edtl: u32,
    /// CmdSN.
    pub cmd_sn: Serial,
    /// ExpStatSN: all below it has arrived.
    pub exp_stat_sn: Serial,
    /// The first sixteen bytes of the CDB.
    pub cdb: [u8; 16],
}

impl ScsiCommand {
    /// Reads the header; one of another opcode is refused.
    pub fn decode(bhs: &Bhs) -> Result<Self, Malformed> {
        expect(bhs, Opcode::SCSI_COMMAND)?;
        let raw: RawScsiCommand = transmute!(bhs.0);
        Ok(Self {
            immediate: bhs.is_immediate(),
            is_final: bhs.is_final(),
            read: raw.flags & READ != 0,
            write: raw.flags & WRITE != 0,
            attribute: TaskAttribute(raw.flags & ATTRIBUTE),
            lun: Lun(raw.lun.get()),
            itt: Itt(raw.itt.get()),
            edtl: raw.edtl.get(),
            cmd_sn: Serial(raw.cmd_sn.get()),
            exp_stat_sn: Serial(raw.exp_stat_sn.get()),
            cdb: raw.cdb,
        })
    }

    /// The header, its lengths zero.
    pub fn encode(&self) -> Bhs {
        let raw = RawScsiCommand {
            opcode: request_byte(Opcode::SCSI_COMMAND, self.immediate),
            flags: flag(self.is_final, FINAL)
                | flag(self.read, READ)
                | flag(self.write, WRITE)
                | self.attribute.0 & ATTRIBUTE,
            reserved: Default::default(),
            lengths: Default::default(),
            lun: U64::new(self.lun.0),
            itt: U32::new(self.itt.0),
            edtl: U32::new(self.edtl),
            cmd_sn: U32::new(self.cmd_sn.0),
            exp_stat_sn: U32::new(self.exp_stat_sn.0),
            cdb: self.cdb,
        };
        Bhs(transmute!(raw))
    }
}

/// RFC 7143 11.4.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawScsiResponse {
    opcode: u8,
    flags: u8,
    response: u8,
    status: u8,
    lengths: [u8; 4],
    reserved: [u8; 8],
    itt: U32,
    snack_tag: U32,
    stat_sn: U32,
    exp_cmd_sn: U32,
    max_cmd_sn: U32,
    exp_data_sn: U32,
    bidi_residual: U32,
    residual: U32,
}

const _: () = assert!(size_of::<RawScsiResponse>() == BHS_BYTES);

/// SCSI Response (RFC 7143 11.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScsiResponse {
    /// The o bit: `bidi_residual` did not fit the expected length.
    pub bidi_overflow: bool,
    /// The u bit: `bidi_residual` was expected and did not come.
    pub bidi_underflow: bool,
    /// The O bit: `residual` did not fit the expected length.
    pub overflow: bool,
    /// The U bit: `residual` was expected and did not come.
    pub underflow: bool,
    /// Response: 0 completed at target, 1 target failure (11.4.3).
    pub response: u8,
    /// SCSI status, when completed (11.4.2).
    pub status: u8,
    /// Initiator Task Tag.
    pub itt: Itt,
    /// SNACK Tag, or reserved.
    pub snack_tag: u32,
    /// StatSN.
    pub stat_sn: Serial,
    /// ExpCmdSN: the next command the target waits for.
    pub exp_cmd_sn: Serial,
    /// MaxCmdSN: the last command it would take.
    pub max_cmd_sn: Serial,
    /// Data-In and R2T PDUs the target has sent for this command.
    pub exp_data_sn: u32,
    /// Bidirectional Read Residual Count.
    pub bidi_residual: u32,
    /// Residual Count.
    pub residual: u32,
}

impl ScsiResponse {
    /// Reads the header; one of another opcode is refused.
    pub fn decode(bhs: &Bhs) -> Result<Self, Malformed> {
        expect(bhs, Opcode::SCSI_RESPONSE)?;
        let raw: RawScsiResponse = transmute!(bhs.0);
        Ok(Self {
            bidi_overflow: raw.flags & BIDI_OVERFLOW != 0,
            bidi_underflow: raw.flags & BIDI_UNDERFLOW != 0,
            overflow: raw.flags & OVERFLOW != 0,
            underflow: raw.flags & UNDERFLOW != 0,
            response: raw.response,
            status: raw.status,
            itt: Itt(raw.itt.get()),
            snack_tag: raw.snack_tag.get(),
            stat_sn: Serial(raw.stat_sn.get()),
            exp_cmd_sn: Serial(raw.exp_cmd_sn.get()),
            max_cmd_sn: Serial(raw.max_cmd_sn.get()),
            exp_data_sn: raw.exp_data_sn.get(),
            bidi_residual: raw.bidi_residual.get(),
            residual: raw.residual.get(),
        })
    }

    /// The header, its lengths zero.
    pub fn encode(&self) -> Bhs {
        let raw = RawScsiResponse {
            opcode: Opcode::SCSI_RESPONSE.0,
            flags: FINAL
                | flag(self.bidi_overflow, BIDI_OVERFLOW)
                | flag(self.bidi_underflow, BIDI_UNDERFLOW)
                | flag(self.overflow, OVERFLOW)
                | flag(self.underflow, UNDERFLOW),
            response: self.response,
            status: self.status,
            lengths: Default::default(),
            reserved: Default::default(),
            itt: U32::new(self.itt.0),
            snack_tag: U32::new(self.snack_tag),
            stat_sn: U32::new(self.stat_sn.0),
            exp_cmd_sn: U32::new(self.exp_cmd_sn.0),
            max_cmd_sn: U32::new(self.max_cmd_sn.0),
            exp_data_sn: U32::new(self.exp_data_sn),
            bidi_residual: U32::new(self.bidi_residual),
            residual: U32::new(self.residual),
        };
        Bhs(transmute!(raw))
    }
}

/// The R and W bits and ATTR of a command.
const READ: u8 = 0x40;
const WRITE: u8 = 0x20;
const ATTRIBUTE: u8 = 0x07;
/// The o, u, O and U bits of a response.
const BIDI_OVERFLOW: u8 = 0x10;
const BIDI_UNDERFLOW: u8 = 0x08;
const OVERFLOW: u8 = 0x04;
const UNDERFLOW: u8 = 0x02;
