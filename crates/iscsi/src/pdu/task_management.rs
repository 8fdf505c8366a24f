//! Task management, both ways.

use zerocopy::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, transmute};

use super::{FINAL, expect, request_byte};
use crate::bhs::BHS_BYTES;
use crate::{Bhs, Itt, Lun, Malformed, Opcode, Serial, TmfFunction, TmfResponse};

/// RFC 7143 11.5.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawTaskManagementRequest {
    opcode: u8,
    flags: u8,
    reserved1: [u8; 2],
    lengths: [u8; 4],
    lun: U64,
    itt: U32,
    rtt: U32,
    cmd_sn: U32,
    exp_stat_sn: U32,
    ref_cmd_sn: U32,
    exp_data_sn: U32,
    reserved2: [u8; 8],
}

const _: () = assert!(size_of::<RawTaskManagementRequest>() == BHS_BYTES);

/// Task Management Function Request (RFC 7143 11.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskManagementRequest {
    /// The I bit: for immediate delivery, without a place in the CmdSN order.
    pub immediate: bool,
    /// What to do.
    pub function: TmfFunction,
    /// Logical unit.
    pub lun: Lun,
    /// Initiator Task Tag.
    pub itt: Itt,
    /// Referenced Task Tag: the task to abort or reassign; otherwise reserved.
    pub rtt: Itt,
    /// CmdSN.
    pub cmd_sn: Serial,
    /// ExpStatSN: all below it has arrived.
    pub exp_stat_sn: Serial,
    /// RefCmdSN: CmdSN of the task to abort.
    pub ref_cmd_sn: Serial,
    /// ExpDataSN of the task to reassign.
    pub exp_data_sn: u32,
}

impl TaskManagementRequest {
    /// Reads the header; one of another opcode is refused.
    pub fn decode(bhs: &Bhs) -> Result<Self, Malformed> {
        expect(bhs, Opcode::TASK_MANAGEMENT_REQUEST)?;
        let raw: RawTaskManagementRequest = transmute!(bhs.0);
        Ok(Self {
            immediate: bhs.is_immediate(),
            function: TmfFunction(raw.flags & FUNCTION),
            lun: Lun(raw.lun.get()),
            itt: Itt(raw.itt.get()),
            rtt: Itt(raw.rtt.get()),
            cmd_sn: Serial(raw.cmd_sn.get()),
            exp_stat_sn: Serial(raw.exp_stat_sn.get()),
            ref_cmd_sn: Serial(raw.ref_cmd_sn.get()),
            exp_data_sn: raw.exp_data_sn.get(),
        })
    }

    /// The header, its lengths zero.
    pub fn encode(&self) -> Bhs {
        let raw = RawTaskManagementRequest {
            opcode: request_byte(Opcode::TASK_MANAGEMENT_REQUEST, self.immediate),
            flags: FINAL | self.function.0 & FUNCTION,
            reserved1: Default::default(),
            lengths: Default::default(),
            lun: U64::new(self.lun.0),
            itt: U32::new(self.itt.0),
            rtt: U32::new(self.rtt.0),
            cmd_sn: U32::new(self.cmd_sn.0),
            exp_stat_sn: U32::new(self.exp_stat_sn.0),
            ref_cmd_sn: U32::new(self.ref_cmd_sn.0),
            exp_data_sn: U32::new(self.exp_data_sn),
            reserved2: Default::default(),
        };
        Bhs(transmute!(raw))
    }
}

/// RFC 7143 11.6.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawTaskManagementResponse {
    opcode: u8,
    flags: u8,
    response: u8,
    reserved1: [u8; 1],
    lengths: [u8; 4],
    reserved2: [u8; 8],
    itt: U32,
    reserved3: [u8; 4],
    stat_sn: U32,
    exp_cmd_sn: U32,
    max_cmd_sn: U32,
    reserved4: [u8; 12],
}

const _: () = assert!(size_of::<RawTaskManagementResponse>() == BHS_BYTES);

/// Task Management Function Response (RFC 7143 11.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskManagementResponse {
    /// How it went.
    pub response: TmfResponse,
    /// Initiator Task Tag.
    pub itt: Itt,
    /// StatSN.
    pub stat_sn: Serial,
    /// ExpCmdSN: the next command the target waits for.
    pub exp_cmd_sn: Serial,
    /// MaxCmdSN: the last command it would take.
    pub max_cmd_sn: Serial,
}

impl TaskManagementResponse {
    /// Reads the header; one of another opcode is refused.
    pub fn decode(bhs: &Bhs) -> Result<Self, Malformed> {
        expect(bhs, Opcode::TASK_MANAGEMENT_RESPONSE)?;
        let raw: RawTaskManagementResponse = transmute!(bhs.0);
        Ok(Self {
            response: TmfResponse(raw.response),
            itt: Itt(raw.itt.get()),
            stat_sn: Serial(raw.stat_sn.get()),
            exp_cmd_sn: Serial(raw.exp_cmd_sn.get()),
            max_cmd_sn: Serial(raw.max_cmd_sn.get()),
        })
    }

    /// The header, its lengths zero.
    pub fn encode(&self) -> Bhs {
        let raw = RawTaskManagementResponse {
            opcode: Opcode::TASK_MANAGEMENT_RESPONSE.0,
            flags: FINAL,
            response: self.response.0,
            reserved1: Default::default(),
            lengths: Default::default(),
            reserved2: Default::default(),
            itt: U32::new(self.itt.0),
            reserved3: Default::default(),
            stat_sn: U32::new(self.stat_sn.0),
            exp_cmd_sn: U32::new(self.exp_cmd_sn.0),
            max_cmd_sn: U32::new(self.max_cmd_sn.0),
            reserved4: Default::default(),
        };
        Bhs(transmute!(raw))
    }
}

const FUNCTION: u8 = 0x7f;
