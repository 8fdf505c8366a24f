//! Where everything meets: conformance scenarios, the devices they are played against, and the
//! verdicts.
//!
//! - [`mod@scenario`] is what a scenario is, [`catalogue`] all of them, [`context`] what one is handed.
//! - [`dut`] is what they are played against, [`runner`] who plays them, [`verdict`] what comes out,
//!   [`report`] what remains.
//! - [`monitor`] watches every conversation for what no scenario asks about, [`record`] keeps it.
//! - [`binaries`] builds the programs under test, [`server`] starts them for witnesses and benches,
//!   [`contest`] measures them, [`fake`] is a volume they find their images on, [`mod@rig`] a device
//!   that one scenario may kill, [`powercut`] takes the current away again and again.
//! - [`foreign`] are other people's programs as judges; `cluster`, a feature, is real Gluster.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod binaries;
pub mod capture;
pub mod catalogue;
#[cfg(feature = "clusters")]
pub mod cluster;
pub mod contest;
pub mod context;
pub mod dut;
pub mod fake;
pub mod foreign;
pub mod monitor;
pub mod powercut;
mod process;
pub mod record;
pub mod report;
pub mod rig;
pub mod runner;
pub mod scenario;
pub mod server;
mod tgtd;
pub mod verdict;
pub mod worlds;
