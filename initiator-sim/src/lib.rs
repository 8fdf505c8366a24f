//! The other end of the wire: an iSCSI initiator, honest and deviant.
//!
//! - [`machine`] is the protocol without I/O: login, numbering, commands in flight.
//! - [`Conn`] is one TCP connection at PDU level; it sends whatever it is told to, right or wrong.
//! - [`Session`] speaks the honest verbs (`read`, `write`, `sync`, …) over a [`Conn`] and lets a
//!   test reach below them at any time. [`Reconnecting`] survives the death of its target.
//! - [`deviant`] is a seeded hostile peer, [`mod@bench`] a load generator.
//!
//! CDBs are built here by hand ([`cdb`]) and not with the target's SCSI crate, so that a
//! misreading of SPC or SBC there cannot be answered by the same misreading here.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod bench;
pub mod cdb;
mod conn;
pub mod deviant;
pub mod machine;
pub mod observe;
mod reconnect;
mod session;
mod url;
mod verbs;

pub use conn::{Conn, ConnError, ConnOptions, CorruptDigest, Header, Received};
pub use machine::{
    Auth, Chap, Command, Direction, LoginOptions, LoginRecord, Mutual, Outcome, Residual, Route,
    Sense, SessionType, Violation, WritePolicy,
};
pub use observe::{Flow, Observer, Seen};
pub use reconnect::{Patience, Reconnecting};
pub use session::{LoginCause, LoginError, Parts, Session, SessionError};
pub use url::{IscsiUrl, UrlError};
pub use verbs::{Capacity, TargetRecord};
