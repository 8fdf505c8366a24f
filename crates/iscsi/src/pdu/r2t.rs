//! Ready To Transfer.

use zerocopy::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, transmute};

use super::{FINAL, expect};
use crate::bhs::BHS_BYTES;
use crate::{Bhs, Itt, Lun, Malformed, Opcode, Serial, Ttt};

/// RFC 7143 11.8.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawR2t {
    opcode: u8,
    flags: u8,
    reserved: [u8; 2],
    lengths: [u8; 4],
    lun: U64,
    itt: U32,
    ttt: U32,
    stat_sn: U32,
    exp_cmd_sn: U32,
    max_cmd_sn: U32,
    r2t_sn: U32,
    buffer_offset: U32,
    desired_len: U32,
}

const _: () = assert!(size_of::<RawR2t>() == BHS_BYTES);

/// Ready To Transfer: the target asks for data (RFC 7143 11.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct R2t {
    /// Logical unit.
    pub lun: Lun,
    /// Initiator Task Tag.
    pub itt: Itt,
    /// Tag that the Data-Out PDUs must carry.
    pub ttt: Ttt,
    /// The next StatSN; an R2T does not use it up.
    pub stat_sn: Serial,
    /// ExpCmdSN: the next command the target waits for.
    pub exp_cmd_sn: Serial,
    /// MaxCmdSN: the last command it would take.
    pub max_cmd_sn: Serial,
    /// R2TSN within the command.
    pub r2t_sn: u32,
    /// First byte asked for.
    pub buffer_offset: u32,
    /// Desired Data Transfer Length, in bytes.
    pub desired_len: u32,
}

impl R2t {
    /// Reads the header; one of another opcode is refused.
    pub fn decode(bhs: &Bhs) -> Result<Self, Malformed> {
        expect(bhs, Opcode::R2T)?;
        let raw: RawR2t = transmute!(bhs.0);
        Ok(Self {
            lun: Lun(raw.lun.get()),
            itt: Itt(raw.itt.get()),
            ttt: Ttt(raw.ttt.get()),
            stat_sn: Serial(raw.stat_sn.get()),
            exp_cmd_sn: Serial(raw.exp_cmd_sn.get()),
            max_cmd_sn: Serial(raw.max_cmd_sn.get()),
            r2t_sn: raw.r2t_sn.get(),
            buffer_offset: raw.buffer_offset.get(),
            desired_len: raw.desired_len.get(),
        })
    }

    /// The header, its lengths zero.
    pub fn encode(&self) -> Bhs {
        let raw = RawR2t {
            opcode: Opcode::R2T.0,
            flags: FINAL,
            reserved: Default::default(),
            lengths: Default::default(),
            lun: U64::new(self.lun.0),
            itt: U32::new(self.itt.0),
            ttt: U32::new(self.ttt.0),
            stat_sn: U32::new(self.stat_sn.0),
            exp_cmd_sn: U32::new(self.exp_cmd_sn.0),
            max_cmd_sn: U32::new(self.max_cmd_sn.0),
            r2t_sn: U32::new(self.r2t_sn),
            buffer_offset: U32::new(self.buffer_offset),
            desired_len: U32::new(self.desired_len),
        };
        Bhs(transmute!(raw))
    }
}
