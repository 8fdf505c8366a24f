//! Logout, both ways.

use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, transmute};

use super::{FINAL, expect, request_byte};
use crate::bhs::BHS_BYTES;
use crate::{Bhs, Cid, Itt, LogoutReason, LogoutResult, Malformed, Opcode, Serial};

/// RFC 7143 11.14.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawLogoutRequest {
    opcode: u8,
    flags: u8,
    reserved1: [u8; 2],
    lengths: [u8; 4],
    reserved2: [u8; 8],
    itt: U32,
    cid: U16,
    reserved3: [u8; 2],
    cmd_sn: U32,
    exp_stat_sn: U32,
    reserved4: [u8; 16],
}

const _: () = assert!(size_of::<RawLogoutRequest>() == BHS_BYTES);

/// Logout Request (RFC 7143 11.14).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogoutRequest {
    /// The I bit: for immediate delivery, without a place in the CmdSN order.
    pub immediate: bool,
    /// What to close.
    pub reason: LogoutReason,
    /// Initiator Task Tag.
    pub itt: Itt,
    /// The connection to close, where one is meant.
    pub cid: Cid,
    /// CmdSN.
    pub cmd_sn: Serial,
    /// ExpStatSN: all below it has arrived.
    pub exp_stat_sn: Serial,
}

impl LogoutRequest {
    /// Reads the header; one of another opcode is refused.
    pub fn decode(bhs: &Bhs) -> Result<Self, Malformed> {
        expect(bhs, Opcode::LOGOUT_REQUEST)?;
        let raw: RawLogoutRequest = transmute!(bhs.0);
        Ok(Self {
            immediate: bhs.is_immediate(),
            reason: LogoutReason(raw.flags & REASON),
            itt: Itt(raw.itt.get()),
            cid: Cid(raw.cid.get()),
            cmd_sn: Serial(raw.cmd_sn.get()),
            exp_stat_sn: Serial(raw.exp_stat_sn.get()),
        })
    }

    /// The header, its lengths zero.
    pub fn encode(&self) -> Bhs {
        let raw = RawLogoutRequest {
            opcode: request_byte(Opcode::LOGOUT_REQUEST, self.immediate),
            flags: FINAL | self.reason.0 & REASON,
            reserved1: Default::default(),
            lengths: Default::default(),
            reserved2: Default::default(),
            itt: U32::new(self.itt.0),
            cid: U16::new(self.cid.0),
            reserved3: Default::default(),
            cmd_sn: U32::new(self.cmd_sn.0),
            exp_stat_sn: U32::new(self.exp_stat_sn.0),
            reserved4: Default::default(),
        };
        Bhs(transmute!(raw))
    }
}

/// RFC 7143 11.15.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawLogoutResponse {
    opcode: u8,
    flags: u8,
    result: u8,
    reserved1: [u8; 1],
    lengths: [u8; 4],
    reserved2: [u8; 8],
    itt: U32,
    reserved3: [u8; 4],
    stat_sn: U32,
    exp_cmd_sn: U32,
    max_cmd_sn: U32,
    reserved4: [u8; 4],
    time2wait: U16,
    time2retain: U16,
    reserved5: [u8; 4],
}

const _: () = assert!(size_of::<RawLogoutResponse>() == BHS_BYTES);

/// Logout Response (RFC 7143 11.15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogoutResponse {
    /// How it went.
    pub result: LogoutResult,
    /// Initiator Task Tag.
    pub itt: Itt,
    /// StatSN.
    pub stat_sn: Serial,
    /// ExpCmdSN: the next command the target waits for.
    pub exp_cmd_sn: Serial,
    /// MaxCmdSN: the last command it would take.
    pub max_cmd_sn: Serial,
    /// Seconds before a reconnect makes sense.
    pub time2wait: u16,
    /// Seconds after that for which the tasks are kept.
    pub time2retain: u16,
}

impl LogoutResponse {
    /// Reads the header; one of another opcode is refused.
    pub fn decode(bhs: &Bhs) -> Result<Self, Malformed> {
        expect(bhs, Opcode::LOGOUT_RESPONSE)?;
        let raw: RawLogoutResponse = transmute!(bhs.0);
        Ok(Self {
            result: LogoutResult(raw.result),
            itt: Itt(raw.itt.get()),
            stat_sn: Serial(raw.stat_sn.get()),
            exp_cmd_sn: Serial(raw.exp_cmd_sn.get()),
            max_cmd_sn: Serial(raw.max_cmd_sn.get()),
            time2wait: raw.time2wait.get(),
            time2retain: raw.time2retain.get(),
        })
    }

    /// The header, its lengths zero.
    pub fn encode(&self) -> Bhs {
        let raw = RawLogoutResponse {
            opcode: Opcode::LOGOUT_RESPONSE.0,
            flags: FINAL,
            result: self.result.0,
            reserved1: Default::default(),
            lengths: Default::default(),
            reserved2: Default::default(),
            itt: U32::new(self.itt.0),
            reserved3: Default::default(),
            stat_sn: U32::new(self.stat_sn.0),
            exp_cmd_sn: U32::new(self.exp_cmd_sn.0),
            max_cmd_sn: U32::new(self.max_cmd_sn.0),
            reserved4: Default::default(),
            time2wait: U16::new(self.time2wait),
            time2retain: U16::new(self.time2retain),
            reserved5: Default::default(),
        };
        Bhs(transmute!(raw))
    }
}

const REASON: u8 = 0x7f;
