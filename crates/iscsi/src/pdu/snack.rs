//! SNACK Request.

use zerocopy::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, transmute};

use super::{FINAL, expect};
use crate::bhs::BHS_BYTES;
use crate::{Bhs, Itt, Lun, Malformed, Opcode, Serial, Ttt};

/// RFC 7143 11.16.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawSnack {
    opcode: u8,
    flags: u8,
    reserved1: [u8; 2],
    lengths: [u8; 4],
    lun: U64,
    itt: U32,
    ttt: U32,
    reserved2: [u8; 4],
    exp_stat_sn: U32,
    reserved3: [u8; 8],
    beg_run: U32,
    run_length: U32,
}

const _: () = assert!(size_of::<RawSnack>() == BHS_BYTES);

/// SNACK Request: send again, or take note (RFC 7143 11.16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snack {
    /// Type: 0 Data/R2T, 1 Status, 2 DataACK, 3 R-Data.
    pub kind: u8,
    /// Logical unit.
    pub lun: Lun,
    /// Initiator Task Tag.
    pub itt: Itt,
    /// Target Transfer Tag or SNACK Tag.
    pub ttt: Ttt,
    /// ExpStatSN: all below it has arrived.
    pub exp_stat_sn: Serial,
    /// First number of the run.
    pub beg_run: u32,
    /// How many; zero for all that follow.
    pub run_length: u32,
}

impl Snack {
    /// Reads the header; one of another opcode is refused.
    pub fn decode(bhs: &Bhs) -> Result<Self, Malformed> {
        expect(bhs, Opcode::SNACK)?;
        let raw: RawSnack = transmute!(bhs.0);
        Ok(Self {
            kind: raw.flags & KIND,
            lun: Lun(raw.lun.get()),
            itt: Itt(raw.itt.get()),
            ttt: Ttt(raw.ttt.get()),
            exp_stat_sn: Serial(raw.exp_stat_sn.get()),
            beg_run: raw.beg_run.get(),
            run_length: raw.run_length.get(),
        })
    }

    /// The header, its lengths zero.
    pub fn encode(&self) -> Bhs {
        let raw = RawSnack {
            opcode: Opcode::SNACK.0,
            flags: FINAL | self.kind & KIND,
            reserved1: Default::default(),
            lengths: Default::default(),
            lun: U64::new(self.lun.0),
            itt: U32::new(self.itt.0),
            ttt: U32::new(self.ttt.0),
            reserved2: Default::default(),
            exp_stat_sn: U32::new(self.exp_stat_sn.0),
            reserved3: Default::default(),
            beg_run: U32::new(self.beg_run),
            run_length: U32::new(self.run_length),
        };
        Bhs(transmute!(raw))
    }
}

const KIND: u8 = 0x0f;
