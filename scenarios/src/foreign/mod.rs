//! Programs written by others, as judges: found, run within bounds, and read.
//!
//! Knows no target of its own: whoever asks says where it listens. A judge that is missing, gives
//! up or breaks down has not said yes.

pub mod cunit;
pub mod image;
pub mod program;
pub mod testcu;
pub mod tools;

/// Why a judge did not say yes.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
