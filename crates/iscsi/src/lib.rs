//! iSCSI as bytes, after RFC 7143: PDUs, framing, digests, text keys and CHAP, both directions.
//!
//! It knows no sessions, no sockets, no clock and no disks; whoever holds those is above it.
//! Invariant: nothing a peer can send makes this crate panic, over-read or wait for more than
//! the limits it was given.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`bhs`], [`pdu`], [`ahs`], [`codes`] | the 48 byte headers as layouts and as meaning |
//! | [`frame`] | bytes in, whole PDUs out |
//! | [`outbox`] | PDUs in, a gather list out |
//! | [`digest`] | CRC32C as it stands on the wire |
//! | [`keys`] | text negotiation: one row per key, result functions, continuation |
//! | [`chap`] | the CHAP arithmetic, verified in constant time |

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod ahs;
pub mod bhs;
pub mod chap;
pub mod codes;
pub mod digest;
pub mod frame;
mod ids;
pub mod keys;
pub mod malformed;
mod name;
pub mod outbox;
pub mod pdu;

pub use bhs::{Bhs, Opcode};
pub use codes::{
    AsyncEvent, LoginStatus, LogoutReason, LogoutResult, RejectReason, Stage, TaskAttribute,
    TmfFunction, TmfResponse,
};
pub use digest::Digests;
pub use frame::{Data, Frame, Framer, Placement};
pub use ids::{Cid, Isid, Itt, Lun, Serial, Tpgt, Tsih, Ttt};
pub use malformed::Malformed;
pub use name::IscsiName;
pub use outbox::{Outbox, Payload};
pub use pdu::{Request, Response};
