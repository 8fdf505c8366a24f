//! `glintd`, the iSCSI target, as a library: the edges around the pure [`engine`].
//!
//! Here live sockets, threads, files, the clock and the dice; every decision about the protocol is
//! the engine's. [`Server`] runs a target inside any tokio runtime; [`cli`] is the program.

pub mod cli;
pub mod clock;
pub mod config;
mod driver;
pub mod entropy;
pub mod gluster;
pub mod identity;
pub mod inbox;
pub mod observe;
mod planted;
mod server;
pub mod store;
pub mod units;

pub use config::{LunSpec, ServerConfig, TargetSpec};
pub use server::{Reloaded, Server, Startup, Unchanged};
pub use store::StoreSpec;
