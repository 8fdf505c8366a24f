//! libgfapi's symbols over the model, so that an unmodified program meets the fake.
//!
//! A cluster is a folder, a volume a folder in it:
//!
//! ```text
//! CLUSTER/VOLUME/settings     what the volume is like (see `Settings`); may be missing
//! CLUSTER/VOLUME/plan         faults (see `plan`); read again whenever it changes
//! CLUSTER/VOLUME/bricks/0/…   stable storage, file by file under its own name
//! ```
//! CLUSTER is the volfile server where that is an absolute path (transport `unix`), else the
//! environment's `GLUSTER_MOCK_DIR`. A volume whose folder is missing does not exist (ENOENT).
//!
//! Caches live in the process only: `kill -9`, or an exit without `glfs_fini`, is a power cut of
//! client and bricks at once, and the next process finds what was synced, plus what the seed let
//! reach the disk early, torn pages included. After the last `glfs_fini` nothing is lost: bricks
//! outlive their clients. One process at a time may hold a volume; another waits a little, then gets ENOTCONN.
//!
//! Handles are numbers, never addresses: a stale one earns EBADF instead of undefined behaviour.
//! No panic crosses the boundary: it becomes EIO.
#![allow(unsafe_code)]

mod boundary;
mod completion;
mod data;
mod directory;
mod folder;
mod lifecycle;
mod mount;
mod names;
#[cfg(test)]
mod tests;
mod xattr;

pub use folder::{ROOT_VARIABLE, at_rest};
