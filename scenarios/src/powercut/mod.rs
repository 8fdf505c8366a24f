//! The power cut: `glintd` on a fake volume, several sessions at work, SIGKILL at a moment that a
//! seed draws, and what is there afterwards held against what was promised.
//!
//! A seed draws what is sent, what goes wrong in storage and when the cut comes; how threads
//! interleave it does not, so a round that fails may take a few repetitions to fail again.

mod campaign;
mod hand;
mod history;
mod load;
mod oracle;
mod planted;
mod round;
mod stamp;
mod trouble;

pub use campaign::{Progress, Summary, Try, rounds, run};
pub use oracle::{Complaint, Findings};
pub use planted::{BUGS, Bug};
pub use round::{Cache, Played, Round};

use stamp::Held;
