//! The tickets in flight of all targets, with the write each of them is of: what no initiator sees,
//! and what "complete" is about.
//!
//! Invariant: from the moment its initiator is told that a write is over, no ticket of it is in
//! flight and none is submitted.

use std::collections::{BTreeMap, BTreeSet};

use block::{Completion, Op, Ticket};
use engine::SessionId;

use super::history::WriteId;
use super::plan::Moment;
use super::stamp;

/// A ticket, wherever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    host: u8,
    session: SessionId,
    ticket: Ticket,
}

/// What is known of a ticket.
#[derive(Clone, Copy, Debug)]
struct Flight {
    unit: usize,
    since: Moment,
    write: Option<WriteId>,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    in_flight: BTreeMap<Key, Flight>,
    /// Calls to the volume for a write, by target, unit and number. A target that says that a ticket
    /// has ended may be wrong about that.
    calls: BTreeMap<(u8, usize, u64), WriteId>,
    over: BTreeSet<WriteId>,
}

impl Ledger {
    /// A target calls the volume for an operation.
    pub(super) fn called(&mut self, call: (u8, usize, u64), op: &Op) {
        if let Some(write) = write_of(op) {
            self.calls.insert(call, write);
        }
    }

    /// The call is over.
    pub(super) fn returned(&mut self, call: (u8, usize, u64)) {
        self.calls.remove(&call);
    }

    /// A session gives an operation to storage. The write, where it must not.
    pub(super) fn submitted(
        &mut self,
        now: Moment,
        (host, unit): (u8, usize),
        (session, ticket): (SessionId, Ticket),
        op: &Op,
    ) -> Option<WriteId> {
        let write = write_of(op);
        let key = Key {
            host,
            session,
            ticket,
        };
        let since = now;
        self.in_flight.insert(key, Flight { unit, since, write });
        write.filter(|write| self.over.contains(write))
    }

    /// Storage answered; whether it may.
    pub(super) fn completed(
        &mut self,
        host: u8,
        session: SessionId,
        completion: &Completion,
    ) -> bool {
        let key = Key {
            host,
            session,
            ticket: completion.ticket,
        };
        match completion.ends_ticket() {
            true => self.in_flight.remove(&key).is_some(),
            false => self.in_flight.contains_key(&key),
        }
    }

    /// An initiator was told that nothing of these writes lands any more. Those of which something
    /// can.
    pub(super) fn over(&mut self, writes: impl IntoIterator<Item = WriteId>) -> Vec<WriteId> {
        let mut alive = Vec::new();
        for write in writes {
            self.over.insert(write);
            let mut tickets = self.in_flight.values();
            let mut calls = self.calls.values();
            if tickets.any(|flight| flight.write == Some(write)) || calls.any(|call| *call == write)
            {
                alive.push(write);
            }
        }
        alive
    }

    /// Tickets in flight on a unit that storage got before that moment.
    pub(super) fn older(&self, host: u8, unit: usize, than: Moment) -> usize {
        let all = self
            .in_flight
            .iter()
            .filter(|(key, flight)| key.host == host && flight.unit == unit && flight.since < than);
        all.count()
    }

    /// A target is gone; the writes it had under way.
    pub(super) fn crashed(&mut self, host: u8) -> Vec<WriteId> {
        self.calls.retain(|(other, ..), _| *other != host);
        let gone: Vec<Key> = self
            .in_flight
            .keys()
            .filter(|key| key.host == host)
            .copied()
            .collect();
        gone.iter()
            .filter_map(|key| self.in_flight.remove(key)?.write)
            .collect()
    }

    /// Tickets in flight.
    pub(super) fn len(&self) -> usize {
        self.in_flight.len()
    }
}

fn write_of(op: &Op) -> Option<WriteId> {
    match op {
        Op::Write { buffer, .. } => stamp::write_of(buffer.bytes()),
        _ => None,
    }
}
