//! Calls in flight.

use crate::call::{Answer, Call, ClientId, Moment, Submitted, Ticket};
use crate::command::Command;
use crate::errno::Errno;
use crate::volume::Volume;

impl Volume {
    /// Hands a call in, at a moment that never goes back. One that need not wait is answered at
    /// once.
    pub fn submit(&mut self, now: Moment, client: ClientId, call: Call) -> Submitted {
        let _ = (now, client, call);
        Submitted::Answered(Err(Errno::EOPNOTSUPP))
    }

    /// Carries out what is due by `now`.
    pub fn advance(&mut self, now: Moment) {
        let _ = now;
    }

    /// When something is due next; `None` where only a call or a command can change anything.
    pub fn next_due(&self) -> Option<Moment> {
        None
    }

    /// Takes the answers of calls that were pending, in the order they came about.
    pub fn answers(&mut self) -> Vec<(Ticket, Answer)> {
        Vec::new()
    }

    /// Does something to the cluster from outside; the answer is for people, a failure too.
    pub fn command(&mut self, now: Moment, command: &Command) -> Result<String, String> {
        let _ = (now, command);
        Ok(String::new())
    }
}
