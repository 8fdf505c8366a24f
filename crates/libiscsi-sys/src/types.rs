//! The C types of libiscsi 1.19 that cross the boundary, field for field.
//!
//! `cargo run -p ci -- header-check` compares sizes, offsets, constants and every function's
//! signature with the installed C headers.

use std::ffi::{c_char, c_int, c_uchar, c_uint, c_void};

/// `struct iscsi_context`: opaque, one initiator.
#[repr(C)]
pub struct Context {
    _opaque: [u8; 0],
}

/// `iscsi_command_cb`: context, status, data of the answer, the caller's own pointer.
pub type CommandCallback =
    unsafe extern "C" fn(iscsi: *mut Context, status: c_int, data: *mut c_void, own: *mut c_void);

/// `enum iscsi_session_type`.
pub type SessionType = c_uint;
/// A session that may only ask which targets there are.
pub const ISCSI_SESSION_DISCOVERY: SessionType = 1;
/// A session that carries SCSI commands.
pub const ISCSI_SESSION_NORMAL: SessionType = 2;

/// `enum iscsi_header_digest`: what the initiator offers, in its order of preference.
pub type HeaderDigest = c_uint;
/// Only `None`.
pub const ISCSI_HEADER_DIGEST_NONE: HeaderDigest = 0;
/// `None,CRC32C`.
pub const ISCSI_HEADER_DIGEST_NONE_CRC32C: HeaderDigest = 1;
/// `CRC32C,None`.
pub const ISCSI_HEADER_DIGEST_CRC32C_NONE: HeaderDigest = 2;
/// Only `CRC32C`.
pub const ISCSI_HEADER_DIGEST_CRC32C: HeaderDigest = 3;

/// `enum iscsi_immediate_data`.
pub type ImmediateData = c_uint;
/// `enum iscsi_initial_r2t`.
pub type InitialR2t = c_uint;
/// `enum iscsi_task_mgmt_funcs`.
pub type TaskMgmtFunction = c_uint;
/// ABORT TASK SET.
pub const ISCSI_TM_ABORT_TASK_SET: TaskMgmtFunction = 2;
/// CLEAR TASK SET.
pub const ISCSI_TM_CLEAR_TASK_SET: TaskMgmtFunction = 4;
/// LOGICAL UNIT RESET.
pub const ISCSI_TM_LUN_RESET: TaskMgmtFunction = 5;

/// `enum scsi_status`: SAM's status codes, and libiscsi's own above them.
pub type ScsiStatus = c_int;
/// GOOD.
pub const SCSI_STATUS_GOOD: ScsiStatus = 0;
/// CHECK CONDITION; the sense is in the task.
pub const SCSI_STATUS_CHECK_CONDITION: ScsiStatus = 2;
/// The library gave the task up.
pub const SCSI_STATUS_CANCELLED: ScsiStatus = 0x0f00_0000;
/// The connection failed.
pub const SCSI_STATUS_ERROR: ScsiStatus = 0x0f00_0001;
/// The library's own timeout passed.
pub const SCSI_STATUS_TIMEOUT: ScsiStatus = 0x0f00_0002;

/// `enum scsi_residual`.
pub type Residual = c_uint;
/// Exactly the expected length moved.
pub const SCSI_RESIDUAL_NO_RESIDUAL: Residual = 0;
/// Less than the expected length moved.
pub const SCSI_RESIDUAL_UNDERFLOW: Residual = 1;
/// The command wanted to move more than the expected length.
pub const SCSI_RESIDUAL_OVERFLOW: Residual = 2;

/// `struct iscsi_target_portal`: a list of addresses.
#[repr(C)]
pub struct TargetPortal {
    /// The next portal, or null.
    pub next: *mut TargetPortal,
    /// `address:port,group`.
    pub portal: *const c_char,
}

/// `struct iscsi_discovery_address`: a list of targets.
#[repr(C)]
pub struct DiscoveryAddress {
    /// The next target, or null.
    pub next: *mut DiscoveryAddress,
    /// The target's iSCSI name.
    pub target_name: *const c_char,
    /// Where it can be reached.
    pub portals: *mut TargetPortal,
}

/// `struct scsi_sense`.
#[repr(C)]
pub struct Sense {
    /// Response code of the sense data.
    pub error_type: c_uchar,
    /// Sense key (`enum scsi_sense_key`).
    pub key: c_uint,
    /// ASC in the high byte, ASCQ in the low one.
    pub ascq: c_int,
    /// The three one-bit fields `sense_specific`, `ill_param_in_cdb`, `bit_pointer_valid`.
    pub flags: c_uchar,
    /// Bit pointer of the sense-key specific field.
    pub bit_pointer: c_uchar,
    /// Field pointer of the sense-key specific field.
    pub field_pointer: u16,
}

/// `struct scsi_data`.
#[repr(C)]
pub struct Data {
    /// Bytes received.
    pub size: c_int,
    /// The bytes; owned by the task.
    pub data: *mut c_uchar,
}

/// The first fields of `struct scsi_task`, up to the data a command brought in. Only ever used
/// behind a pointer, so the rest need not be known.
#[repr(C)]
pub struct Task {
    /// Status of the command.
    pub status: ScsiStatus,
    /// Length of the CDB.
    pub cdb_size: c_int,
    /// `enum scsi_xfer_dir`.
    pub xfer_dir: c_int,
    /// Expected data transfer length.
    pub expxferlen: c_int,
    /// The CDB.
    pub cdb: [c_uchar; 16],
    /// Which way the length was missed, if it was.
    pub residual_status: Residual,
    /// By how many bytes.
    pub residual: usize,
    /// Sense, after CHECK CONDITION.
    pub sense: Sense,
    /// Data-In.
    pub datain: Data,
    /// The library's own bookkeeping.
    pub mem: *mut c_void,
}
