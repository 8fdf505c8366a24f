//! Login, both ways.

use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, transmute};

use super::{CONTINUE, FINAL, expect, flag, request_byte};
use crate::bhs::BHS_BYTES;
use crate::{Bhs, Cid, Isid, Itt, LoginStatus, Malformed, Opcode, Serial, Stage, Tsih};

/// RFC 7143 11.12.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawLoginRequest {
    opcode: u8,
    flags: u8,
    version_max: u8,
    version_min: u8,
    lengths: [u8; 4],
    isid: [u8; 6],
    tsih: U16,
    itt: U32,
    cid: U16,
    reserved1: [u8; 2],
    cmd_sn: U32,
    exp_stat_sn: U32,
    reserved2: [u8; 16],
}

const _: () = assert!(size_of::<RawLoginRequest>() == BHS_BYTES);

/// Login Request (RFC 7143 11.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginRequest {
    /// The I bit as received; it is always sent as one.
    pub immediate: bool,
    /// The T bit: ready for the next stage.
    pub transit: bool,
    /// The C bit: the text goes on in the next PDU.
    pub cont: bool,
    /// Current stage.
    pub csg: Stage,
    /// Next stage, when `transit` is set.
    pub nsg: Stage,
    /// Version-max.
    pub version_max: u8,
    /// Version-min.
    pub version_min: u8,
    /// Initiator part of the session identifier.
    pub isid: Isid,
    /// The session to join; zero for a new one.
    pub tsih: Tsih,
    /// Initiator Task Tag.
    pub itt: Itt,
    /// Connection identifier.
    pub cid: Cid,
    /// CmdSN.
    pub cmd_sn: Serial,
    /// ExpStatSN: all below it has arrived.
    pub exp_stat_sn: Serial,
}

impl LoginRequest {
    /// Reads the header; one of another opcode is refused.
    pub fn decode(bhs: &Bhs) -> Result<Self, Malformed> {
        expect(bhs, Opcode::LOGIN_REQUEST)?;
        let raw: RawLoginRequest = transmute!(bhs.0);
        Ok(Self {
            immediate: bhs.is_immediate(),
            transit: bhs.is_final(),
            cont: raw.flags & CONTINUE != 0,
            csg: Stage(raw.flags >> 2 & STAGE),
            nsg: Stage(raw.flags & STAGE),
            version_max: raw.version_max,
            version_min: raw.version_min,
            isid: Isid(raw.isid),
            tsih: Tsih(raw.tsih.get()),
            itt: Itt(raw.itt.get()),
            cid: Cid(raw.cid.get()),
            cmd_sn: Serial(raw.cmd_sn.get()),
            exp_stat_sn: Serial(raw.exp_stat_sn.get()),
        })
    }

    /// The header, its lengths zero.
    pub fn encode(&self) -> Bhs {
        let raw = RawLoginRequest {
            opcode: request_byte(Opcode::LOGIN_REQUEST, true),
            flags: flag(self.transit, FINAL)
                | flag(self.cont, CONTINUE)
                | (self.csg.0 & STAGE) << 2
                | self.nsg.0 & STAGE,
            version_max: self.version_max,
            version_min: self.version_min,
            lengths: Default::default(),
            isid: self.isid.0,
            tsih: U16::new(self.tsih.0),
            itt: U32::new(self.itt.0),
            cid: U16::new(self.cid.0),
            reserved1: Default::default(),
            cmd_sn: U32::new(self.cmd_sn.0),
            exp_stat_sn: U32::new(self.exp_stat_sn.0),
            reserved2: Default::default(),
        };
        Bhs(transmute!(raw))
    }
}

/// RFC 7143 11.13.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawLoginResponse {
    opcode: u8,
    flags: u8,
    version_max: u8,
    version_active: u8,
    lengths: [u8; 4],
    isid: [u8; 6],
    tsih: U16,
    itt: U32,
    reserved1: [u8; 4],
    stat_sn: U32,
    exp_cmd_sn: U32,
    max_cmd_sn: U32,
    status: U16,
    reserved2: [u8; 10],
}

const _: () = assert!(size_of::<RawLoginResponse>() == BHS_BYTES);

/// Login Response (RFC 7143 11.13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginResponse {
    /// The T bit: ready for the next stage.
    pub transit: bool,
    /// The C bit: the text goes on in the next PDU.
    pub cont: bool,
    /// Current stage.
    pub csg: Stage,
    /// Next stage, when `transit` is set.
    pub nsg: Stage,
    /// Version-max.
    pub version_max: u8,
    /// Version-active.
    pub version_active: u8,
    /// Initiator part of the session identifier.
    pub isid: Isid,
    /// The session; zero until the last response of a new one.
    pub tsih: Tsih,
    /// Initiator Task Tag.
    pub itt: Itt,
    /// StatSN.
    pub stat_sn: Serial,
    /// ExpCmdSN: the next command the target waits for.
    pub exp_cmd_sn: Serial,
    /// MaxCmdSN: the last command it would take.
    pub max_cmd_sn: Serial,
    /// Status-Class and Status-Detail.
    pub status: LoginStatus,
}

impl LoginResponse {
    /// Reads the header; one of another opcode is refused.
    pub fn decode(bhs: &Bhs) -> Result<Self, Malformed> {
        expect(bhs, Opcode::LOGIN_RESPONSE)?;
        let raw: RawLoginResponse = transmute!(bhs.0);
        Ok(Self {
            transit: bhs.is_final(),
            cont: raw.flags & CONTINUE != 0,
            csg: Stage(raw.flags >> 2 & STAGE),
            nsg: Stage(raw.flags & STAGE),
            version_max: raw.version_max,
            version_active: raw.version_active,
            isid: Isid(raw.isid),
            tsih: Tsih(raw.tsih.get()),
            itt: Itt(raw.itt.get()),
            stat_sn: Serial(raw.stat_sn.get()),
            exp_cmd_sn: Serial(raw.exp_cmd_sn.get()),
            max_cmd_sn: Serial(raw.max_cmd_sn.get()),
            status: LoginStatus(raw.status.get()),
        })
    }

    /// The header, its lengths zero.
    pub fn encode(&self) -> Bhs {
        let raw = RawLoginResponse {
            opcode: Opcode::LOGIN_RESPONSE.0,
            flags: flag(self.transit, FINAL)
                | flag(self.cont, CONTINUE)
                | (self.csg.0 & STAGE) << 2
                | self.nsg.0 & STAGE,
            version_max: self.version_max,
            version_active: self.version_active,
            lengths: Default::default(),
            isid: self.isid.0,
            tsih: U16::new(self.tsih.0),
            itt: U32::new(self.itt.0),
            reserved1: Default::default(),
            stat_sn: U32::new(self.stat_sn.0),
            exp_cmd_sn: U32::new(self.exp_cmd_sn.0),
            max_cmd_sn: U32::new(self.max_cmd_sn.0),
            status: U16::new(self.status.0),
            reserved2: Default::default(),
        };
        Bhs(transmute!(raw))
    }
}

/// CSG, shifted down, and NSG.
const STAGE: u8 = 0x03;
