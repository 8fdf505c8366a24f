//! The protocol monitor: watches every conversation and says what the target did that RFC 7143
//! does not allow, whatever the scenario at hand was about.
//!
//! [`Conversation`] is the monitor of one connection and pure: it is fed PDUs, live or from a
//! capture. [`Monitor`] hangs it on live connections. It judges the target only, and only by what
//! it has seen: where the initiator misbehaved beyond recognition it keeps silent.

mod conversation;
mod negotiation;
mod task;

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use initiator_sim::{Flow, Observer, Seen};
use iscsi::{Data, Framer};

pub use conversation::Conversation;

use crate::capture::{self, Direction};

/// The largest data segment that can be said.
const DATA_SEGMENT_MAX: u32 = 0x00ff_ffff;
/// Breaches kept per scenario: the first ones tell, the rest is noise.
const BREACHES_MAX: usize = 16;

/// A rule the target broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Where the rule stands.
    pub clause: &'static str,
    /// The rule.
    pub rule: &'static str,
    /// What was seen instead.
    pub seen: String,
}

impl Breach {
    fn new(clause: &'static str, rule: &'static str, seen: impl Into<String>) -> Self {
        Self {
            clause,
            rule,
            seen: seen.into(),
        }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; seen: {}", self.clause, self.rule, self.seen)
    }
}

/// What the monitor has to say about a captured conversation.
pub fn judge(captured: &capture::Conversation) -> Vec<Breach> {
    let mut conversation = Conversation::default();
    let mut breaches = Vec::new();
    for pdu in &captured.pdus {
        match pdu.direction {
            Direction::ToTarget => conversation.sent(&pdu.bhs, &pdu.data),
            Direction::ToInitiator => {
                breaches.extend(conversation.received(&pdu.bhs, &pdu.data));
            }
        }
    }
    breaches
}

/// Watches live connections.
#[derive(Default)]
pub struct Monitor {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    watched: HashMap<u64, Watched>,
    breaches: Vec<Breach>,
}

/// One connection, and the bytes sent on it that were not built as PDUs.
struct Watched {
    conversation: Conversation,
    raw: Framer<Vec<u8>>,
}

impl Default for Watched {
    fn default() -> Self {
        Self {
            conversation: Conversation::default(),
            raw: Framer::new(DATA_SEGMENT_MAX, 64 * 1024),
        }
    }
}

impl Monitor {
    /// A monitor that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was seen so far, in order, the first few.
    pub fn breaches(&self) -> Vec<Breach> {
        self.state().breaches.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Monitor {
    fn opened(&self, conn: u64, _: SystemTime, _: SocketAddr, _: SocketAddr) {
        self.state().watched.insert(conn, Watched::default());
    }

    fn pdu(&self, seen: &Seen<'_>) {
        let mut state = self.state();
        let state = &mut *state;
        let watched = state.watched.entry(seen.conn).or_default();
        match seen.flow {
            Flow::Sent => watched.sent(seen),
            Flow::Received => {
                let found = watched.conversation.received(seen.bhs, seen.data);
                let room = BREACHES_MAX.saturating_sub(state.breaches.len());
                state.breaches.extend(found.into_iter().take(room));
            }
        }
    }

    fn raw(&self, conn: u64, _: SystemTime, bytes: &[u8]) {
        self.state()
            .watched
            .entry(conn)
            .or_default()
            .sent_raw(bytes);
    }

    fn closed(&self, conn: u64, _: SystemTime) {
        self.state().watched.remove(&conn);
    }
}

impl Watched {
    fn sent(&mut self, seen: &Seen<'_>) {
        if self.raw.unparsed() > 0 {
            // In the middle of what the target takes for another PDU.
            self.conversation.lose_track();
        }
        self.conversation.sent(seen.bhs, seen.data);
    }

    /// Bytes may make up whole PDUs in the end, as when a scenario sends one byte at a time.
    fn sent_raw(&mut self, mut bytes: &[u8]) {
        self.raw.set_digests(self.conversation.digests());
        while !bytes.is_empty() {
            let space = self.raw.space();
            let len = bytes.len().min(space.len());
            space[..len].copy_from_slice(&bytes[..len]);
            self.raw.filled(len);
            bytes = &bytes[len..];
            loop {
                match self.raw.next(|_| None) {
                    Ok(None) => break,
                    Ok(Some(frame)) => {
                        let data = match frame.data {
                            Data::Inline(data) => data,
                            Data::Placed { .. } => &[],
                        };
                        if !frame.data_digest_ok {
                            self.conversation.lose_track();
                        }
                        self.conversation.sent(&frame.bhs, data);
                    }
                    Err(_) => {
                        self.conversation.lose_track();
                        return;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
