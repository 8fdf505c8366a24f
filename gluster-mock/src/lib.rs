//! The fake Gluster: one model of a volume, pure and seeded, and the faces through which programs
//! meet it.
//!
//! The model knows no threads, no clock and no files: time is an argument, chance comes from one
//! seed, stable storage is a [`medium::Medium`], and every decision goes into a [`trace::Trace`].
//! Its faces: [`face_block`], a store in virtual time; `face_c`, a shared object with libgfapi's
//! symbols; `serve`, one cluster for several processes.

mod brick;
pub mod call;
pub mod chance;
mod client;
pub mod command;
#[cfg(feature = "contract")]
pub mod contract;
pub mod errno;
pub mod face_block;
#[cfg(feature = "face-c")]
pub mod face_c;
mod flight;
pub mod kind;
mod land;
mod legs;
mod link;
mod locks;
pub mod marks;
pub mod medium;
mod names;
mod outside;
pub mod plan;
#[cfg(feature = "serve")]
pub mod serve;
pub mod settings;
pub mod trace;
mod turn;
#[cfg(feature = "face-c")]
pub mod versioned;
mod volfile;
pub mod volume;

pub use call::XattrMode;
pub use call::{Answer, Call, Moment, OpKind, Reply, Submitted, SyncKind, Ticket};
pub use command::Command;
pub use errno::Errno;
pub use kind::Kind;
pub use locks::Mandatory;
pub use marks::Mark;
pub use names::root_handle;
pub use settings::Settings;
pub use volume::Volume;
