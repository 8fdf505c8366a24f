//! NOP-Out and NOP-In.

use zerocopy::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, transmute};

use super::{FINAL, expect, request_byte};
use crate::bhs::BHS_BYTES;
use crate::{Bhs, Itt, Lun, Malformed, Opcode, Serial, Ttt};

/// RFC 7143 11.18.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawNopOut {
    opcode: u8,
    flags: u8,
    reserved1: [u8; 2],
    lengths: [u8; 4],
    lun: U64,
    itt: U32,
    ttt: U32,
    cmd_sn: U32,
    exp_stat_sn: U32,
    reserved2: [u8; 16],
}

const _: () = assert!(size_of::<RawNopOut>() == BHS_BYTES);

/// NOP-Out: a ping, or the answer to one (RFC 7143 11.18).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NopOut {
    /// The I bit: for immediate delivery, without a place in the CmdSN order.
    pub immediate: bool,
    /// Logical unit.
    pub lun: Lun,
    /// Initiator Task Tag; reserved when no answer is wanted.
    pub itt: Itt,
    /// Tag of the NOP-In that this answers; otherwise reserved.
    pub ttt: Ttt,
    /// CmdSN.
    pub cmd_sn: Serial,
    /// ExpStatSN: all below it has arrived.
    pub exp_stat_sn: Serial,
}

impl NopOut {
    /// Reads the header; one of another opcode is refused.
    pub fn decode(bhs: &Bhs) -> Result<Self, Malformed> {
        expect(bhs, Opcode::NOP_OUT)?;
        let raw: RawNopOut = transmute!(bhs.0);
        Ok(Self {
            immediate: bhs.is_immediate(),
            lun: Lun(raw.lun.get()),
            itt: Itt(raw.itt.get()),
            ttt: Ttt(raw.ttt.get()),
            cmd_sn: Serial(raw.cmd_sn.get()),
            exp_stat_sn: Serial(raw.exp_stat_sn.get()),
        })
    }

    /// The header, its lengths zero.
    pub fn encode(&self) -> Bhs {
        let raw = RawNopOut {
            opcode: request_byte(Opcode::NOP_OUT, self.immediate),
            flags: FINAL,
            reserved1: Default::default(),
            lengths: Default::default(),
            lun: U64::new(self.lun.0),
            itt: U32::new(self.itt.0),
            ttt: U32::new(self.ttt.0),
            cmd_sn: U32::new(self.cmd_sn.0),
            exp_stat_sn: U32::new(self.exp_stat_sn.0),
            reserved2: Default::default(),
        };
        Bhs(transmute!(raw))
    }
}

/// RFC 7143 11.19.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawNopIn {
    opcode: u8,
    flags: u8,
    reserved1: [u8; 2],
    lengths: [u8; 4],
    lun: U64,
    itt: U32,
    ttt: U32,
    stat_sn: U32,
    exp_cmd_sn: U32,
    max_cmd_sn: U32,
    reserved2: [u8; 12],
}

const _: () = assert!(size_of::<RawNopIn>() == BHS_BYTES);

/// NOP-In: a ping, or the answer to one (RFC 7143 11.19).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NopIn {
    /// Logical unit.
    pub lun: Lun,
    /// Tag of the NOP-Out that this answers; otherwise reserved.
    pub itt: Itt,
    /// Target Transfer Tag; reserved when no answer is wanted.
    pub ttt: Ttt,
    /// StatSN.
    pub stat_sn: Serial,
    /// ExpCmdSN: the next command the target waits for.
    pub exp_cmd_sn: Serial,
    /// MaxCmdSN: the last command it would take.
    pub max_cmd_sn: Serial,
}

impl NopIn {
    /// Reads the header; one of another opcode is refused.
    pub fn decode(bhs: &Bhs) -> Result<Self, Malformed> {
        expect(bhs, Opcode::NOP_IN)?;
        let raw: RawNopIn = transmute!(bhs.0);
        Ok(Self {
            lun: Lun(raw.lun.get()),
            itt: Itt(raw.itt.get()),
            ttt: Ttt(raw.ttt.get()),
            stat_sn: Serial(raw.stat_sn.get()),
            exp_cmd_sn: Serial(raw.exp_cmd_sn.get()),
            max_cmd_sn: Serial(raw.max_cmd_sn.get()),
        })
    }

    /// The header, its lengths zero.
    pub fn encode(&self) -> Bhs {
        let raw = RawNopIn {
            opcode: Opcode::NOP_IN.0,
            flags: FINAL,
            reserved1: Default::default(),
            lengths: Default::default(),
            lun: U64::new(self.lun.0),
            itt: U32::new(self.itt.0),
            ttt: U32::new(self.ttt.0),
            stat_sn: U32::new(self.stat_sn.0),
            exp_cmd_sn: U32::new(self.exp_cmd_sn.0),
            max_cmd_sn: U32::new(self.max_cmd_sn.0),
            reserved2: Default::default(),
        };
        Bhs(transmute!(raw))
    }
}
