//! The fake Gluster: one model of a volume, pure and seeded, and the faces through which programs
//! meet it.
//!
//! The model knows no threads, no clock and no files: time is an argument, chance comes from one
//! seed, stable storage is a [`medium::Medium`], and every decision goes into a [`trace::Trace`].
//! [`face_c`] is the edge: a shared object with libgfapi's symbols over a folder.

pub mod brick;
pub mod call;
pub mod chance;
pub mod client;
pub mod command;
mod data;
pub mod errno;
#[cfg(feature = "face-c")]
pub mod face_c;
mod flight;
pub mod medium;
mod names;
pub mod plan;
pub mod settings;
pub mod trace;
#[cfg(feature = "face-c")]
pub mod versioned;
mod volfile;
pub mod volume;

pub use call::XattrMode;
pub use call::{Moment, OpKind, SyncKind};
pub use errno::Errno;
pub use settings::Settings;
pub use volume::Volume;
