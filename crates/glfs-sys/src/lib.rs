//! libgfapi's declarations, loaded at run time: the way to a Gluster volume without FUSE.
//!
//! The signatures are those of symbol version GFAPI_6.0, which a plain lookup finds on Gluster 6
//! and later. The library is looked for when first needed and never unloaded: its threads outlive
//! `glfs_fini`.
#![allow(unsafe_code)]

mod api;
pub mod types;

pub use api::{Api, LoadError, SIGNATURES, Signature};
