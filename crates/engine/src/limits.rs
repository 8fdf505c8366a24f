//! Every bound of the engine, each with its reason. Units come last in the names.

use std::time::Duration;

/// Login exchanges before a login counts as stalling. The longest honest one seen (mutual CHAP with
/// keys in separate steps) takes 7.
pub const LOGIN_EXCHANGES_MAX: u32 = 32;

/// Data segment accepted during login, RFC 7143 13.12: the default until negotiated.
pub const LOGIN_SEGMENT_BYTES: u32 = 8192;

/// Receive buffer of a connection in login: one PDU of ordinary size; it grows up to the limit.
pub const LOGIN_RECEIVE_BYTES: usize = 2048;

/// Receive buffer in full feature phase: a batch of 32 commands with 4 KiB of immediate data would
/// fill it twice.
pub const SESSION_RECEIVE_BYTES: usize = 64 << 10;

/// Largest single storage operation; larger commands are cut into several.
pub const TICKET_BYTES_MAX: usize = 1 << 20;

/// Widest CmdSN window. Linux asks for at most 2048 commands per session, and every command in
/// progress costs us memory of our own.
pub const QUEUE_DEPTH_MAX: u32 = 4096;

/// Immediate commands in progress at a time (RFC 7143 4.2.2.1 asks for at least one TMF and one
/// other); more are rejected with reason 06.
pub const IMMEDIATE_TASKS_MAX: usize = 16;

/// Task management functions in progress at a time.
pub const TMF_PENDING_MAX: usize = 16;

/// After aborting a task set we wait this long for answers to R2Ts already sent; then their data
/// is swallowed whenever it comes. RFC 7143 4.2.3.3 sets no bound, an initiator that fell silent
/// must not get one for free.
pub const R2T_ANSWER_WAIT: Duration = Duration::from_secs(2);

/// A task management function whose tickets do not end within this is refused, below the 15 s
/// after which Linux escalates; so is a logout.
pub const TMF_DEADLINE: Duration = Duration::from_secs(10);

/// Aborted writes whose late Data-Out is swallowed instead of rejected.
pub const GHOSTS_MAX: usize = 256;

/// A connection we closed is dropped when its peer has not read our last bytes within this.
pub const CLOSE_WAIT: Duration = Duration::from_secs(5);
