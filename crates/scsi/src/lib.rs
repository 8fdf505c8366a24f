//! What a disk says, whatever carried the question: CDBs in, status, sense and data out.
//!
//! Refuses to know: iSCSI, sockets, sessions, files. It does no I/O either: [`Unit::plan`] answers
//! a command on the spot or says what to ask of storage, and [`fault::map`] turns storage's
//! failures into what the initiator is told. Standards: SAM-5, SPC-4, SBC-3.

pub mod absent;
pub mod fault;

mod attention;
mod capacity;
mod cdb;
mod flight;
mod identity;
mod inquiry;
mod limits;
mod luns;
mod mode;
mod opcodes;
mod plan;
mod request_sense;
mod sense;
mod start_stop;
mod status;
mod supported;
mod sync_cache;
mod transfer;
mod unit;

pub use cdb::Cdb;
pub use flight::{Drained, Ended, Generation, Waiter};
pub use identity::{Identity, Nexus, TargetPort};
pub use limits::{OPTIMAL_TRANSFER_BYTES, SERIAL_CHARS_MAX, TRANSFER_BYTES_MAX};
pub use plan::Plan;
pub use sense::{FieldPointer, Key, Sense};
pub use status::Status;
pub use unit::Unit;

#[cfg(test)]
mod tests;
