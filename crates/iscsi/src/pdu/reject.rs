//! Reject.

use zerocopy::big_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, transmute};

use super::{FINAL, expect};
use crate::bhs::BHS_BYTES;
use crate::{Bhs, Itt, Malformed, Opcode, RejectReason, Serial};

/// RFC 7143 11.17.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawReject {
    opcode: u8,
    flags: u8,
    reason: u8,
    reserved1: [u8; 1],
    lengths: [u8; 4],
    reserved2: [u8; 8],
    tag: U32,
    reserved3: [u8; 4],
    stat_sn: U32,
    exp_cmd_sn: U32,
    max_cmd_sn: U32,
    data_sn: U32,
    reserved4: [u8; 8],
}

const _: () = assert!(size_of::<RawReject>() == BHS_BYTES);

/// Reject; the header of the rejected PDU is its data segment (RFC 7143 11.17).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reject {
    /// Why.
    pub reason: RejectReason,
    /// StatSN.
    pub stat_sn: Serial,
    /// ExpCmdSN: the next command the target waits for.
    pub exp_cmd_sn: Serial,
    /// MaxCmdSN: the last command it would take.
    pub max_cmd_sn: Serial,
    /// DataSN or R2TSN that comes next, when data was rejected.
    pub data_sn: u32,
}

impl Reject {
    /// Reads the header; one of another opcode is refused.
    pub fn decode(bhs: &Bhs) -> Result<Self, Malformed> {
        expect(bhs, Opcode::REJECT)?;
        let raw: RawReject = transmute!(bhs.0);
        Ok(Self {
            reason: RejectReason(raw.reason),
            stat_sn: Serial(raw.stat_sn.get()),
            exp_cmd_sn: Serial(raw.exp_cmd_sn.get()),
            max_cmd_sn: Serial(raw.max_cmd_sn.get()),
            data_sn: raw.data_sn.get(),
        })
    }

    /// The header, its lengths zero.
    pub fn encode(&self) -> Bhs {
        let raw = RawReject {
            opcode: Opcode::REJECT.0,
            flags: FINAL,
            reason: self.reason.0,
            reserved1: Default::default(),
            lengths: Default::default(),
            reserved2: Default::default(),
            tag: U32::new(Itt::RESERVED.0),
            reserved3: Default::default(),
            stat_sn: U32::new(self.stat_sn.0),
            exp_cmd_sn: U32::new(self.exp_cmd_sn.0),
            max_cmd_sn: U32::new(self.max_cmd_sn.0),
            data_sn: U32::new(self.data_sn),
            reserved4: Default::default(),
        };
        Bhs(transmute!(raw))
    }
}
