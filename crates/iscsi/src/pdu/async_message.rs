//! Asynchronous Message.

use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, transmute};

use super::{FINAL, expect};
use crate::bhs::BHS_BYTES;
use crate::{AsyncEvent, Bhs, Itt, Lun, Malformed, Opcode, Serial};

/// RFC 7143 11.9.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawAsyncMessage {
    opcode: u8,
    flags: u8,
    reserved1: [u8; 2],
    lengths: [u8; 4],
    lun: U64,
    tag: U32,
    reserved2: [u8; 4],
    stat_sn: U32,
    exp_cmd_sn: U32,
    max_cmd_sn: U32,
    event: u8,
    vcode: u8,
    parameter1: U16,
    parameter2: U16,
    parameter3: U16,
    reserved3: [u8; 4],
}

const _: () = assert!(size_of::<RawAsyncMessage>() == BHS_BYTES);

/// Asynchronous Message (RFC 7143 11.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsyncMessage {
    /// Logical unit.
    pub lun: Lun,
    /// StatSN.
    pub stat_sn: Serial,
    /// ExpCmdSN: the next command the target waits for.
    pub exp_cmd_sn: Serial,
    /// MaxCmdSN: the last command it would take.
    pub max_cmd_sn: Serial,
    /// What happened.
    pub event: AsyncEvent,
    /// AsyncVCode, of a vendor event.
    pub vcode: u8,
    /// Parameter1: a CID, or a time in seconds.
    pub parameter1: u16,
    /// Parameter2: Time2Wait, in seconds.
    pub parameter2: u16,
    /// Parameter3: Time2Retain, in seconds.
    pub parameter3: u16,
}

impl AsyncMessage {
    /// Reads the header; one of another opcode is refused.
    pub fn decode(bhs: &Bhs) -> Result<Self, Malformed> {
        expect(bhs, Opcode::ASYNC_MESSAGE)?;
        let raw: RawAsyncMessage = transmute!(bhs.0);
        Ok(Self {
            lun: Lun(raw.lun.get()),
            stat_sn: Serial(raw.stat_sn.get()),
            exp_cmd_sn: Serial(raw.exp_cmd_sn.get()),
            max_cmd_sn: Serial(raw.max_cmd_sn.get()),
            event: AsyncEvent(raw.event),
            vcode: raw.vcode,
            parameter1: raw.parameter1.get(),
            parameter2: raw.parameter2.get(),
            parameter3: raw.parameter3.get(),
        })
    }

    /// The header, its lengths zero.
    pub fn encode(&self) -> Bhs {
        let raw = RawAsyncMessage {
            opcode: Opcode::ASYNC_MESSAGE.0,
            flags: FINAL,
            reserved1: Default::default(),
            lengths: Default::default(),
            lun: U64::new(self.lun.0),
            tag: U32::new(Itt::RESERVED.0),
            reserved2: Default::default(),
            stat_sn: U32::new(self.stat_sn.0),
            exp_cmd_sn: U32::new(self.exp_cmd_sn.0),
            max_cmd_sn: U32::new(self.max_cmd_sn.0),
            event: self.event.0,
            vcode: self.vcode,
            parameter1: U16::new(self.parameter1),
            parameter2: U16::new(self.parameter2),
            parameter3: U16::new(self.parameter3),
            reserved3: Default::default(),
        };
        Bhs(transmute!(raw))
    }
}
