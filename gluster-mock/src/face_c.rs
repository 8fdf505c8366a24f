//! libgfapi's symbols over the model, so that an unmodified program meets the fake.
//!
//! CLUSTER, whose layout [`crate::serve`] has, is the volfile server where that is an absolute path
//! (transport `unix`), else the environment's `GLUSTER_MOCK_DIR`. A volume whose folder is missing
//! does not exist (ENOENT). Where the cluster has a server, the volume is there, shared with whoever
//! else mounts it; else it is in this process.
//!
//! Caches live in one process only: `kill -9` of one that has the volume itself, or its exit without
//! `glfs_fini`, is a power cut of client and bricks at once, and the next process finds what was
//! synced, plus what the seed let reach the disk early, torn pages included. After the last
//! `glfs_fini` nothing is lost: bricks outlive their clients. Without a server one process at a time
//! may hold a volume; another waits a little, then gets ENOTCONN. At a server, `kill -9` is the death
//! of the client.
//!
//! Handles are numbers, never addresses: a stale one earns EBADF instead of undefined behaviour.
//! No panic crosses the boundary: it becomes EIO.
#![allow(unsafe_code)]

mod boundary;
mod completion;
mod data;
mod directory;
mod door;
mod lifecycle;
mod lock;
mod mount;
mod names;
mod remote;
#[cfg(test)]
mod tests;
mod xattr;

pub use door::ROOT_VARIABLE;
