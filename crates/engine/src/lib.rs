//! The target's protocol mind: iSCSI sessions without I/O.
//!
//! Three entities, [`Node`], [`Login`] and [`Session`], each with a mailbox. Something happens to
//! one of them ([`Input`], with the time it happened), it changes once, and what it wants done
//! comes out as [`Action`]s, which the caller drains before the next input. Actions address other
//! entities, sockets, storage and the clock; delivery between two entities is first in, first out,
//! and otherwise unordered. Whoever drives these, tokio or a simulated world, only moves messages,
//! bytes, tickets and moments.
//!
//! Knows nothing of sockets, files, tokio or Gluster; never waits, and never asks for the time.

pub mod action;
pub mod config;
pub mod event;
pub mod input;
pub mod limits;
pub mod login;
pub mod node;
pub mod session;
mod task;
pub mod units;

pub use action::{Action, Actions, Body};
pub use config::{ChapCredential, InitiatorAccess, NodeConfig, PortalAddress, TargetConfig};
pub use event::Event;
pub use input::{ConnId, Handover, Input, Moment, SessionId, ToLogin, ToNode, ToSession};
pub use login::Login;
pub use node::Node;
pub use session::Session;
pub use units::{UnitId, Units};
