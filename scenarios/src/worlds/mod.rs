//! Worlds: real engines, simulated initiators, the fake Gluster and the network between them, on one
//! thread, in virtual time, from one seed.
//!
//! - [`plan`] is what is going to happen, [`draw`] makes one from a seed.
//! - [`play`] plays it: `host` is a target process, `peer` an initiator, `wire` a connection between
//!   them. The engine, the units and the storage crew are the code that ships.
//! - [`history`] is what the initiators were told, [`oracle`] judges it; the protocol monitor, the
//!   ledger of tickets, leaks and the deadline of the end judge the rest.
//! - `gate`, in the planted build only, looks for bugs made on purpose.
//! - [`shrink`] makes a failing plan small, [`campaign`] plays many, [`conversation`] is one for
//!   people; `text` is a plan as a file.
//!
//! Knows no clock, no thread, no file and no hash order.

mod agenda;
mod around;
pub mod campaign;
mod clears;
pub mod conversation;
mod deviant;
pub mod draw;
#[cfg(glint_planted)]
pub mod gate;
pub mod history;
mod host;
mod journal;
mod ledger;
pub mod marks;
pub mod oracle;
mod peer;
pub mod places;
pub mod plan;
pub mod shrink;
mod stamp;
mod store;
mod text;
mod wire;
mod world;

pub use marks::{Mark, Marks};
pub use plan::Plan;

/// What came of a world.
#[derive(Clone, Debug, Default)]
pub struct Played {
    /// What is wrong; empty where nothing is.
    pub complaints: Vec<Complaint>,
    /// A hash of everything that happened, in order.
    pub hash: u64,
    /// Coverage marks that were reached.
    pub marks: Marks,
    /// Commands that initiators sent.
    pub commands: u64,
    /// Those among them that carried data to or fro.
    pub transfers: u64,
    /// Sessions that were opened.
    pub sessions: u64,
    /// Whether a fault of the plan took effect.
    pub troubled: bool,
    /// Bytes of data of those commands.
    pub bytes: u64,
    /// Virtual nanoseconds it lasted.
    pub lasted: u64,
    /// Every PDU, where that was asked for.
    pub recording: Vec<crate::record::Event>,
    /// What else happened (crashes, sessions, complaints), where that was asked for.
    pub notes: Vec<Note>,
}

/// Something that happened and is no PDU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// When.
    pub at: plan::Moment,
    /// After how many entries of the recording: at one moment much can happen.
    pub after: usize,
    /// In words.
    pub what: String,
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Which oracle says so; what two complaints must share to count as the same failure.
    pub oracle: Oracle,
    /// What is wrong, for people.
    pub what: String,
}

/// Who complains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Oracle {
    /// A sector was read as it cannot have been at that moment.
    Linearizable,
    /// A sector lost what was durable, or a flush was GOOD that cannot be.
    Durable,
    /// A function was answered "complete" and a task of it had a ticket in flight, or got one.
    Aborted,
    /// The protocol monitor, or an initiator, saw a rule broken.
    Protocol,
    /// A task, ticket, buffer, session or call was left over.
    Leak,
    /// Something did not finish in time after everything was healed.
    Live,
    /// A panic.
    Panic,
}

/// Plays a plan; `record` asks for the recording and the notes.
pub fn play(plan: &Plan, record: bool) -> Played {
    world::play(plan, record)
}
