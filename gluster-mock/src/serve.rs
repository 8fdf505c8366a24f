//! Volumes that run by the host's clock on the host's files, and the server that lends them to
//! several processes.
//!
//! A cluster is a folder, a volume a folder in it:
//!
//! ```text
//! CLUSTER/socket              where the server listens, while there is one
//! CLUSTER/VOLUME/settings     what the volume is like (see `Settings`); may be missing
//! CLUSTER/VOLUME/plan         faults (see `plan`); read again whenever it changes
//! CLUSTER/VOLUME/bricks/0/…   stable storage, file by file under its own name
//! ```
//! Caches live in the process that has the volume, a client's own or the server: `kill -9` of it is
//! a power cut, of the server one of all bricks and clients.

mod connection;
mod control;
pub(crate) mod folder;
pub(crate) mod hosted;
mod server;
pub(crate) mod wire;

pub use control::{ask, create, volumes};
pub use folder::at_rest;
pub use server::{Daemon, Server};
pub use wire::{Ask, Order};
