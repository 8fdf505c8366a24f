//! Text, both ways.

use zerocopy::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, transmute};

use super::{CONTINUE, FINAL, expect, flag, request_byte};
use crate::bhs::BHS_BYTES;
use crate::{Bhs, Itt, Lun, Malformed, Opcode, Serial, Ttt};

/// RFC 7143 11.10.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawTextRequest {
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

const _: () = assert!(size_of::<RawTextRequest>() == BHS_BYTES);

/// Text Request (RFC 7143 11.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextRequest {
    /// The I bit: for immediate delivery, without a place in the CmdSN order.
    pub immediate: bool,
    /// The F bit: ready to end the exchange.
    pub is_final: bool,
    /// The C bit: the text goes on in the next PDU.
    pub cont: bool,
    /// Logical unit.
    pub lun: Lun,
    /// Initiator Task Tag.
    pub itt: Itt,
    /// Tag of the response this goes on from; reserved at the start.
    pub ttt: Ttt,
    /// CmdSN.
    pub cmd_sn: Serial,
    /// ExpStatSN: all below it has arrived.
    pub exp_stat_sn: Serial,
}

impl TextRequest {
    /// Reads the header; one of another opcode is refused.
    pub fn decode(bhs: &Bhs) -> Result<Self, Malformed> {
        expect(bhs, Opcode::TEXT_REQUEST)?;
        let raw: RawTextRequest = transmute!(bhs.0);
        Ok(Self {
            immediate: bhs.is_immediate(),
            is_final: bhs.is_final(),
            cont: raw.flags & CONTINUE != 0,
            lun: Lun(raw.lun.get()),
            itt: Itt(raw.itt.get()),
            ttt: Ttt(raw.ttt.get()),
            cmd_sn: Serial(raw.cmd_sn.get()),
            exp_stat_sn: Serial(raw.exp_stat_sn.get()),
        })
    }

    /// The header, its lengths zero.
    pub fn encode(&self) -> Bhs {
        let raw = RawTextRequest {
            opcode: request_byte(Opcode::TEXT_REQUEST, self.immediate),
            flags: flag(self.is_final, FINAL) | flag(self.cont, CONTINUE),
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

/// RFC 7143 11.11.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawTextResponse {
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

const _: () = assert!(size_of::<RawTextResponse>() == BHS_BYTES);

/// Text Response (RFC 7143 11.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextResponse {
    /// The F bit: the exchange ends.
    pub is_final: bool,
    /// The C bit: the text goes on in the next PDU.
    pub cont: bool,
    /// Logical unit.
    pub lun: Lun,
    /// Initiator Task Tag.
    pub itt: Itt,
    /// Tag by which the exchange goes on; reserved at its end.
    pub ttt: Ttt,
    /// StatSN.
    pub stat_sn: Serial,
    /// ExpCmdSN: the next command the target waits for.
    pub exp_cmd_sn: Serial,
    /// MaxCmdSN: the last command it would take.
    pub max_cmd_sn: Serial,
}

impl TextResponse {
    /// Reads the header; one of another opcode is refused.
    pub fn decode(bhs: &Bhs) -> Result<Self, Malformed> {
        expect(bhs, Opcode::TEXT_RESPONSE)?;
        let raw: RawTextResponse = transmute!(bhs.0);
        Ok(Self {
            is_final: bhs.is_final(),
            cont: raw.flags & CONTINUE != 0,
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
        let raw = RawTextResponse {
            opcode: Opcode::TEXT_RESPONSE.0,
            flags: flag(self.is_final, FINAL) | flag(self.cont, CONTINUE),
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
