//! libiscsi's synchronous API, loaded at run time: a foreign initiator as a judge of our target.
//!
//! [`Api`] is the raw table of functions, [`types`] the few C structures they exchange, and
//! [`Initiator`] the thin safe handle tests use. The library is looked for when first needed and
//! never unloaded; where it is missing, [`Api::load`] names the package to install.
#![allow(unsafe_code)]

mod api;
mod initiator;
mod overtake;
pub mod types;

pub use api::{Api, LoadError, SIGNATURES, Signature};
pub use initiator::{Initiator, Lun, Outcome, Refused, TargetFound};
pub use overtake::Overtaken;
