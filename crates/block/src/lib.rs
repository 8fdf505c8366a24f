//! What storage promises, in types: the waist between a SCSI unit and whatever holds its blocks.
//!
//! Knows neither SCSI nor files. Every operation carries the memory it works on and gives it back:
//! a [`Ticket`] is answered by one [`Completion`], and that completion holds the buffer.

pub mod buffer;
#[cfg(feature = "contract")]
pub mod contract;
pub mod fault;
pub mod op;
pub mod size;

pub use buffer::{Buffer, Pool, Slice, Stead};
pub use fault::Fault;
pub use op::{Caps, Completion, Found, Op, Stage, Thin, Ticket};
pub use size::{BlockSize, Extent, Lba, Space, Span};
