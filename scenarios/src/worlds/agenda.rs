//! What is to happen when: the one list a world is played from.
//!
//! Invariant: of two things at the same moment the one that was entered first happens first, so the
//! order never depends on anything but the plan and its chance.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use engine::{ConnId, SessionId};

use super::host::Mail;
use super::plan::{Moment, Way};

/// Something to happen.
#[derive(Debug)]
pub(super) enum Due {
    /// An event of the plan, by its place there.
    Event(usize),
    /// Bytes or an end may be there, for the reader of one direction of a connection.
    Arrive(usize, Way),
    /// Its writer may have room, or learns that nobody reads any more.
    Room(usize, Way),
    /// Something within a target, in one of its lives.
    Errand(Life, Errand),
    /// A target starts, or goes on starting.
    Start(u8),
    /// An initiator looks at what it has to do.
    Peer(u8),
    /// A hostile peer goes on.
    Deviant(u8),
    /// Everything is mended.
    Heal,
    /// It has to be over by now.
    End,
}

/// A target process, from its start until it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) host: u8,
    /// How often it was killed before.
    pub(super) number: u32,
}

/// Something to happen within a target.
#[derive(Debug)]
pub(super) enum Errand {
    /// A message of one entity reaches another.
    Mail(Box<Mail>),
    /// A login asked to be woken, or its connection is to be given up.
    LoginClock(ConnId),
    /// A session asked to be woken, or a connection of it is to be given up.
    SessionClock(SessionId),
    /// Answers of storage reach a session.
    Completions(SessionId),
    /// A thread of an image's crew looks for work.
    Hand(usize),
    /// A thread comes back from the call of that number.
    Return(usize, u64),
    /// A crew looks at its deadlines.
    Tick(usize),
}

#[derive(Debug)]
struct Entry {
    at: Moment,
    order: u64,
    due: Due,
}

impl Entry {
    fn key(&self) -> (Moment, u64) {
        (self.at, self.order)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// The list.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Reverse<Entry>>,
    entered: u64,
}

impl Agenda {
    pub(super) fn enter(&mut self, at: Moment, due: Due) {
        self.entered += 1;
        let order = self.entered;
        self.heap.push(Reverse(Entry { at, order, due }));
    }

    /// When the next thing happens.
    pub(super) fn next(&self) -> Option<Moment> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    pub(super) fn pop(&mut self) -> Option<(Moment, Due)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.due))
    }
}
