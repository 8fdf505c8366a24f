//! AFR's inode lock: one client at a time changes a replicated file, keeps the lock eagerly while it
//! has changes under way and for the post-op delay after them (`cluster.eager-lock`,
//! `cluster.post-op-delay-secs`). A mandatory lock does not push it aside, so a new owner's first
//! change can stall behind the old owner (fencing.md §6). Changes of one client that overlap go one
//! after the other, in the order they came (afr-transaction.c, `afr_has_lock_conflict`), or replicas
//! would end up with different ones.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use crate::call::{Call, ClientId, Ino, Moment, Ticket};
use crate::flight::{Due, Flight};
use crate::kind::Kind;
use crate::marks::Mark;
use crate::volume::Volume;

/// A file's inode lock.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    pub(crate) holder: Option<ClientId>,
    /// Changes of the holder under way.
    pub(crate) running: u32,
    /// When the last of them ended.
    idle_since: Moment,
    pub(crate) waiting: VecDeque<Ticket>,
}

/// Whether a call needs the inode lock.
pub(crate) fn takes_turn(call: &Call) -> bool {
    matches!(
        call,
        Call::Write { .. }
            | Call::Truncate { .. }
            | Call::Discard { .. }
            | Call::Zerofill { .. }
            | Call::Fallocate { .. }
    )
}

/// The bytes a change is about.
pub(crate) fn changed(call: &Call) -> Range<u64> {
    match call {
        Call::Write { at, bytes, .. } => *at..*at + bytes.len() as u64,
        Call::Discard { range, .. }
        | Call::Zerofill { range, .. }
        | Call::Fallocate { range, .. } => range.clone(),
        Call::Truncate { size, .. } => *size..u64::MAX,
        _ => 0..0,
    }
}

fn meet(one: &Range<u64>, other: &Range<u64>) -> bool {
    one.start < other.end && other.start < one.end
}

impl Volume {
    /// The client's post-op delay; dispersed volumes hand over at once.
    fn post_op_delay(&self, client: ClientId) -> Duration {
        if self.settings.kind == Kind::Disperse {
            return Duration::ZERO;
        }
        let own = self.clients.get(&client).and_then(|c| c.post_op_delay);
        own.unwrap_or(self.settings.post_op_delay)
    }

    /// Takes the file's inode lock for one change, or queues for it.
    pub(crate) fn take_turn(
        &mut self,
        now: Moment,
        ticket: Ticket,
        client: ClientId,
        (file, range): (Ino, &Range<u64>),
    ) -> bool {
        self.pass_turn(now, file);
        let still = |volume: &Self, holder| {
            let holder = volume.clients.get(&holder);
            holder.is_none_or(|holder| holder.still.is_some())
        };
        let Some(node) = self.nodes.get(&file) else {
            return true;
        };
        match node.turn.holder {
            Some(holder) if holder != client => {
                let stalled = still(self, holder);
                self.marks.hit(Mark::TurnWaited);
                if stalled {
                    self.marks.hit(Mark::TurnStalled);
                }
                let due = node.turn.idle_since.after(self.post_op_delay(holder));
                let idle = node.turn.running == 0;
                if let Some(node) = self.nodes.get_mut(&file) {
                    node.turn.waiting.push_back(ticket);
                }
                if idle && !stalled {
                    self.schedule(due, Due::Turn(file));
                }
                // It asks every brick for the lock, so it notices one that is silent.
                for brick in 0..self.bricks.len() {
                    let cut = self.link(client, brick).is_some_and(|l| l.cut.is_some());
                    if cut || self.bricks[brick].hung.is_some() {
                        self.watch(now, ticket, client, brick);
                    }
                }
                false
            }
            _ => {
                let queues = self.overlaps(client, file, range);
                let Some(node) = self.nodes.get_mut(&file) else {
                    return true;
                };
                if queues {
                    self.marks.hit(Mark::TurnOverlap);
                    node.turn.waiting.push_back(ticket);
                    return false;
                }
                node.turn.holder = Some(client);
                node.turn.running += 1;
                true
            }
        }
    }

    /// Whether a change of this client that is under way, or waits for its turn, is about some of
    /// these bytes.
    fn overlaps(&self, client: ClientId, file: Ino, range: &Range<u64>) -> bool {
        let Some(node) = self.nodes.get(&file) else {
            return false;
        };
        let under_way = self.flights.values();
        let mut under_way = under_way.filter(|flight| flight.file == file && flight.is_in_turn());
        let waiting = node.turn.waiting.iter();
        let mut waiting = waiting.filter_map(|ticket| self.flights.get(ticket));
        let meets =
            |flight: &Flight| flight.client == client && meet(&changed(&flight.call), range);
        under_way.any(meets) || waiting.any(meets)
    }

    /// The first that waits, may go on, and overlaps nothing before it.
    fn next_in_turn(&self, file: Ino) -> Option<usize> {
        let node = self.nodes.get(&file)?;
        let mut before: Vec<(ClientId, Range<u64>)> = self
            .flights
            .values()
            .filter(|flight| flight.file == file && flight.is_in_turn())
            .map(|flight| (flight.client, changed(&flight.call)))
            .collect();
        for (place, ticket) in node.turn.waiting.iter().enumerate() {
            let Some(flight) = self.flights.get(ticket) else {
                return Some(place);
            };
            let mine = node
                .turn
                .holder
                .is_none_or(|holder| holder == flight.client);
            let range = changed(&flight.call);
            let mut own = before.iter().filter(|(client, _)| *client == flight.client);
            if mine && !own.any(|(_, other)| meet(other, &range)) {
                return Some(place);
            }
            before.push((flight.client, range));
        }
        None
    }

    /// A change of the holder has ended.
    pub(crate) fn end_turn(&mut self, now: Moment, client: ClientId, file: Ino) {
        let delay = self.post_op_delay(client);
        let Some(node) = self.nodes.get_mut(&file) else {
            return;
        };
        let turn = &mut node.turn;
        if turn.holder != Some(client) {
            return;
        }
        turn.running = turn.running.saturating_sub(1);
        turn.idle_since = now;
        if !turn.waiting.is_empty() {
            let idle = turn.running == 0;
            self.schedule(now, Due::Turn(file));
            if idle && !delay.is_zero() {
                self.schedule(now.after(delay), Due::Turn(file));
            }
        }
    }

    /// The holder lets go where its delay is over.
    fn pass_turn(&mut self, now: Moment, file: Ino) {
        let Some(node) = self.nodes.get(&file) else {
            return;
        };
        let Some(holder) = node.turn.holder else {
            return;
        };
        let over = node.turn.idle_since.after(self.post_op_delay(holder)) <= now;
        let awake = self.clients.get(&holder).is_some_and(|c| c.still.is_none());
        if node.turn.running == 0
            && over
            && awake
            && let Some(node) = self.nodes.get_mut(&file)
        {
            node.turn.holder = None;
        }
    }

    /// Whoever waits may go on, if the lock is free now.
    pub(crate) fn serve_turn(&mut self, now: Moment, file: Ino) {
        self.pass_turn(now, file);
        let free = |volume: &mut Self| {
            let place = volume.next_in_turn(file)?;
            let node = volume.nodes.get_mut(&file)?;
            let next = node.turn.waiting.remove(place)?;
            let client = volume.flights.get(&next).map(|flight| flight.client);
            Some((next, client))
        };
        while let Some((ticket, client)) = free(self) {
            let Some(client) = client else { continue };
            if let Some(node) = self.nodes.get_mut(&file) {
                if node.turn.holder.is_none() {
                    self.marks.hit(Mark::TurnHandedOver);
                }
                node.turn.holder = Some(client);
                node.turn.running += 1;
            }
            self.resume(now, ticket, true);
        }
    }

    /// The bricks let go of a client's inode locks.
    pub(crate) fn drop_turns(&mut self, now: Moment, client: ClientId) {
        let held = self.nodes.iter_mut();
        let held = held.filter(|(_, node)| node.turn.holder == Some(client));
        let mut files = Vec::new();
        for (file, node) in held {
            node.turn.holder = None;
            node.turn.running = 0;
            files.push(*file);
        }
        for file in files {
            self.schedule(now, Due::Turn(file));
        }
    }
}
