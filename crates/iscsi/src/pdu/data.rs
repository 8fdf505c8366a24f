//! SCSI data, both ways.

use zerocopy::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, transmute};

use super::{FINAL, expect, flag};
use crate::bhs::BHS_BYTES;
use crate::{Bhs, Itt, Lun, Malformed, Opcode, Serial, Ttt};

/// RFC 7143 11.7.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawDataOut {
    opcode: u8,
    flags: u8,
    reserved1: [u8; 2],
    lengths: [u8; 4],
    lun: U64,
    itt: U32,
    ttt: U32,
    reserved2: [u8; 4],
    exp_stat_sn: U32,
    reserved3: [u8; 4],
    data_sn: U32,
    buffer_offset: U32,
    reserved4: [u8; 4],
}

const _: () = assert!(size_of::<RawDataOut>() == BHS_BYTES);

/// SCSI Data-Out (RFC 7143 11.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataOut {
    /// The F bit: last of its sequence.
    pub is_final: bool,
    /// Logical unit.
    pub lun: Lun,
    /// Initiator Task Tag.
    pub itt: Itt,
    /// Tag of the R2T that asked; reserved for unsolicited data.
    pub ttt: Ttt,
    /// ExpStatSN: all below it has arrived.
    pub exp_stat_sn: Serial,
    /// DataSN within the sequence.
    pub data_sn: u32,
    /// Where the data belongs, in bytes.
    pub buffer_offset: u32,
}

impl DataOut {
    /// Reads the header; one of another opcode is refused.
    pub fn decode(bhs: &Bhs) -> Result<Self, Malformed> {
        expect(bhs, Opcode::DATA_OUT)?;
        let raw: RawDataOut = transmute!(bhs.0);
        Ok(Self {
            is_final: bhs.is_final(),
            lun: Lun(raw.lun.get()),
            itt: Itt(raw.itt.get()),
            ttt: Ttt(raw.ttt.get()),
            exp_stat_sn: Serial(raw.exp_stat_sn.get()),
            data_sn: raw.data_sn.get(),
            buffer_offset: raw.buffer_offset.get(),
        })
    }

    /// The header, its lengths zero.
    pub fn encode(&self) -> Bhs {
        let raw = RawDataOut {
            opcode: Opcode::DATA_OUT.0,
            flags: flag(self.is_final, FINAL),
            reserved1: Default::default(),
            lengths: Default::default(),
            lun: U64::new(self.lun.0),
            itt: U32::new(self.itt.0),
            ttt: U32::new(self.ttt.0),
            reserved2: Default::default(),
            exp_stat_sn: U32::new(self.exp_stat_sn.0),
            reserved3: Default::default(),
            data_sn: U32::new(self.data_sn),
            buffer_offset: U32::new(self.buffer_offset),
            reserved4: Default::default(),
        };
        Bhs(transmute!(raw))
    }
}

/// RFC 7143 11.7.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawDataIn {
    opcode: u8,
    flags: u8,
    reserved: [u8; 1],
    status: u8,
    lengths: [u8; 4],
    lun: U64,
    itt: U32,
    ttt: U32,
    stat_sn: U32,
    exp_cmd_sn: U32,
    max_cmd_sn: U32,
    data_sn: U32,
    buffer_offset: U32,
    residual: U32,
}

const _: () = assert!(size_of::<RawDataIn>() == BHS_BYTES);

/// SCSI Data-In, possibly with the status of the command (RFC 7143 11.7).
/// Without `has_status` the fields of a status are carried as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataIn {
    /// The F bit: last of its sequence.
    pub is_final: bool,
    /// The A bit: wants a DataACK SNACK.
    pub acknowledge: bool,
    /// The O bit: `residual` did not fit the expected length.
    pub overflow: bool,
    /// The U bit: `residual` was expected and did not come.
    pub underflow: bool,
    /// The S bit: the command ends here.
    pub has_status: bool,
    /// SCSI status.
    pub status: u8,
    /// Logical unit.
    pub lun: Lun,
    /// Initiator Task Tag.
    pub itt: Itt,
    /// Tag for the DataACK; otherwise reserved.
    pub ttt: Ttt,
    /// StatSN.
    pub stat_sn: Serial,
    /// ExpCmdSN: the next command the target waits for.
    pub exp_cmd_sn: Serial,
    /// MaxCmdSN: the last command it would take.
    pub max_cmd_sn: Serial,
    /// DataSN.
    pub data_sn: u32,
    /// Where the data belongs, in bytes.
    pub buffer_offset: u32,
    /// Residual Count.
    pub residual: u32,
}

impl DataIn {
    /// Reads the header; one of another opcode is refused.
    pub fn decode(bhs: &Bhs) -> Result<Self, Malformed> {
        expect(bhs, Opcode::DATA_IN)?;
        let raw: RawDataIn = transmute!(bhs.0);
        Ok(Self {
            is_final: bhs.is_final(),
            acknowledge: raw.flags & ACKNOWLEDGE != 0,
            overflow: raw.flags & OVERFLOW != 0,
            underflow: raw.flags & UNDERFLOW != 0,
            has_status: raw.flags & STATUS != 0,
            status: raw.status,
            lun: Lun(raw.lun.get()),
            itt: Itt(raw.itt.get()),
            ttt: Ttt(raw.ttt.get()),
            stat_sn: Serial(raw.stat_sn.get()),
            exp_cmd_sn: Serial(raw.exp_cmd_sn.get()),
            max_cmd_sn: Serial(raw.max_cmd_sn.get()),
            data_sn: raw.data_sn.get(),
            buffer_offset: raw.buffer_offset.get(),
            residual: raw.residual.get(),
        })
    }

    /// The header, its lengths zero.
    pub fn encode(&self) -> Bhs {
        let raw = RawDataIn {
            opcode: Opcode::DATA_IN.0,
            flags: flag(self.is_final, FINAL)
                | flag(self.acknowledge, ACKNOWLEDGE)
                | flag(self.overflow, OVERFLOW)
                | flag(self.underflow, UNDERFLOW)
                | flag(self.has_status, STATUS),
            reserved: Default::default(),
            status: self.status,
            lengths: Default::default(),
            lun: U64::new(self.lun.0),
            itt: U32::new(self.itt.0),
            ttt: U32::new(self.ttt.0),
            stat_sn: U32::new(self.stat_sn.0),
            exp_cmd_sn: U32::new(self.exp_cmd_sn.0),
            max_cmd_sn: U32::new(self.max_cmd_sn.0),
            data_sn: U32::new(self.data_sn),
            buffer_offset: U32::new(self.buffer_offset),
            residual: U32::new(self.residual),
        };
        Bhs(transmute!(raw))
    }
}

/// The A, O, U and S bits of Data-In.
const ACKNOWLEDGE: u8 = 0x40;
const OVERFLOW: u8 = 0x04;
const UNDERFLOW: u8 = 0x02;
const STATUS: u8 = 0x01;
