//! What everybody in a world shares: the time, the agenda, the network, the volume, and what is
//! written down about them.

use std::collections::BTreeSet;
use std::io::IoSlice;
use std::time::Duration;

use gluster_mock::Volume;
use gluster_mock::chance::Chance;
use gluster_mock::marks::Mark as VolumeMark;

use super::agenda::{Agenda, Due, Life};
use super::clears::Clears;
use super::history::{Fate, History, Loss, NEVER, WriteId};
use super::journal::Journal;
use super::ledger::Ledger;
use super::marks::{Mark, Marks};
use super::plan::{Moment, Way, WireSetting};
use super::wire::{Caller, Wire};
use super::{Complaint, Oracle};

/// Complaints that are kept; the first ones tell.
const COMPLAINTS_MAX: usize = 8;

pub(super) struct Around {
    pub(super) now: Moment,
    pub(super) agenda: Agenda,
    pub(super) wires: Vec<Wire>,
    pub(super) wire: WireSetting,
    pub(super) volume: Volume,
    /// Somebody asked something of the volume: it may have answered others.
    pub(super) volume_moved: bool,
    pub(super) ledger: Ledger,
    pub(super) clears: Clears,
    pub(super) history: History,
    pub(super) marks: Marks,
    pub(super) journal: Journal,
    pub(super) complaints: Vec<Complaint>,
    /// Everything is mended.
    pub(super) healed: bool,
    /// Bricks were silent or away: a change that failed may still be carried out somewhere.
    pub(super) shaky: bool,
    /// Connections that were made and not accepted yet.
    pub(super) new_wires: Vec<usize>,
    pub(super) commands: u64,
    /// Those that carry data.
    pub(super) transfers: u64,
    pub(super) bytes: u64,
    pub(super) sessions: u64,
    /// Writes that were under way when their target was killed.
    crashed: BTreeSet<WriteId>,
    seed: u64,
    /// Losses of the volume that are in the history.
    losses: u64,
}

/// Streams of chance that do not depend on each other.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stream {
    Wire(u32),
    Peer(u8),
    Host(Life),
    Store(Life, usize),
}

impl Around {
    pub(super) fn new(seed: u64, wire: WireSetting, volume: Volume, journal: Journal) -> Self {
        Self {
            now: Moment::default(),
            agenda: Agenda::default(),
            wires: Vec::new(),
            wire,
            volume,
            volume_moved: false,
            ledger: Ledger::default(),
            clears: Clears::default(),
            history: History::default(),
            marks: Marks::default(),
            journal,
            complaints: Vec::new(),
            healed: false,
            shaky: false,
            new_wires: Vec::new(),
            commands: 0,
            transfers: 0,
            bytes: 0,
            sessions: 0,
            crashed: BTreeSet::new(),
            seed,
            losses: 0,
        }
    }

    /// A stream of its own for somebody.
    pub(super) fn chance(&self, stream: Stream) -> Chance {
        let (kind, number) = match stream {
            Stream::Wire(number) => (1, u64::from(number)),
            Stream::Peer(number) => (2, u64::from(number)),
            Stream::Host(Life { host, number }) => (3, u64::from(host) << 32 | u64::from(number)),
            Stream::Store(Life { host, number }, unit) => {
                let life = u64::from(host) << 48 | u64::from(number) << 16;
                (4, life | unit as u64)
            }
        };
        let salt = (number << 8 | kind).wrapping_mul(0xd6e8_feb8_6659_fd93);
        Chance::new(self.seed ^ salt.rotate_left(23))
    }

    pub(super) fn complain(&mut self, oracle: Oracle, what: String) {
        self.journal.note(self.now, || format!("COMPLAINT: {what}"));
        if self.complaints.len() < COMPLAINTS_MAX {
            self.complaints.push(Complaint { oracle, what });
        }
    }

    /// A new connection; both ends have it at once.
    pub(super) fn connect(&mut self, caller: Caller, host: u8, life: u32) -> usize {
        let number = self.wires.len();
        let chance = self.chance(Stream::Wire(number as u32));
        self.wires.push(Wire::new(caller, host, life, chance));
        self.journal.opened(number, self.now, caller, host);
        number
    }

    /// Sends at most so many bytes; how many it was.
    pub(super) fn send(
        &mut self,
        wire: usize,
        way: Way,
        slices: &[IoSlice<'_>],
        most: usize,
    ) -> usize {
        let what = (slices, most);
        let (at, count) = self.wires[wire].send(self.now, way, &self.wire, what);
        self.agenda.enter(at, Due::Arrive(wire, way));
        count
    }

    /// Sends bytes, whether there is room or not.
    pub(super) fn send_raw(&mut self, wire: usize, way: Way, bytes: &[u8]) {
        self.send(wire, way, &[IoSlice::new(bytes)], bytes.len());
    }

    /// Bytes that a connection takes in one direction now.
    pub(super) fn room(&mut self, wire: usize, way: Way) -> usize {
        let buffer = self.wire.buffer;
        self.wires[wire].pipe(way).room(buffer)
    }

    /// Bytes for the reader of one direction.
    pub(super) fn read(&mut self, wire: usize, way: Way, space: &mut [u8]) -> usize {
        let count = self.wires[wire].read(self.now, way, &self.wire, space);
        let pipe = self.wires[wire].pipe(way);
        if count > 0 && std::mem::take(&mut pipe.wanted) {
            self.agenda.enter(self.now, Due::Room(wire, way));
        }
        count
    }

    pub(super) fn is_at_end(&mut self, wire: usize, way: Way) -> bool {
        let now = self.now;
        self.wires[wire].pipe(way).is_at_end(now)
    }

    /// One end of a connection is closed: its bytes still arrive, nobody reads at it any more.
    pub(super) fn close(&mut self, wire: usize, sends: Way) {
        let at = self.wires[wire].close(self.now, sends, &self.wire);
        self.agenda.enter(at, Due::Arrive(wire, sends));
        let other = match sends {
            Way::In => Way::Out,
            Way::Out => Way::In,
        };
        self.wires[wire].pipe(other).abandon();
        // Whoever still sends notices.
        self.agenda.enter(at, Due::Room(wire, other));
    }

    /// A connection breaks.
    pub(super) fn reset(&mut self, wire: usize) {
        self.wires[wire].reset(self.now);
        for way in [Way::In, Way::Out] {
            self.agenda.enter(self.now, Due::Arrive(wire, way));
            self.agenda.enter(self.now, Due::Room(wire, way));
        }
    }

    /// The initiator's end of a connection stops sending; it still listens.
    pub(super) fn half_close(&mut self, wire: usize) {
        let at = self.wires[wire].close(self.now, Way::In, &self.wire);
        self.agenda.enter(at, Due::Arrive(wire, Way::In));
    }

    /// Nothing arrives in one direction for a while.
    pub(super) fn stall(&mut self, wire: usize, way: Way, time: Duration) {
        let until = self.now.plus(time);
        self.wires[wire].pipe(way).stall(until);
        self.agenda.enter(until, Due::Arrive(wire, way));
    }

    /// Nothing is stalled any more.
    pub(super) fn release_all(&mut self) {
        for wire in 0..self.wires.len() {
            for way in [Way::In, Way::Out] {
                self.wires[wire].pipe(way).release(self.now);
                self.agenda.enter(self.now, Due::Arrive(wire, way));
            }
        }
    }

    /// A write has its answer, or was taken away.
    pub(super) fn end_write(&mut self, write: WriteId, fate: Fate) {
        let sure = matches!(fate, Fate::Good | Fate::Refused) || !self.shaky;
        let now = self.now;
        let crashed = self.is_crashed(write);
        // On a sharded volume a write is made durable by a sync that follows it, and a brick that lost
        // power in between and is back answers that as if nothing had been.
        let apart = self.volume.settings().shard > 0;
        let write = &mut self.history.writes[write as usize];
        let mut losses = self.history.losses.iter();
        write.durable &= !(apart && losses.any(|loss| loss.until >= write.sent));
        write.fate = fate;
        if !crashed {
            write.ended = now;
            write.settled = if sure { now } else { NEVER };
        }
    }

    /// Nobody will answer this write; it is over all the same.
    pub(super) fn end_open_write(&mut self, write: WriteId) {
        if self.history.writes[write as usize].fate == Fate::Open {
            self.end_write(write, Fate::Open);
        }
    }

    /// Its target was killed: a brick may have it in its queue.
    pub(super) fn crash_write(&mut self, write: WriteId) {
        self.crashed.insert(write);
        let write = &mut self.history.writes[write as usize];
        (write.ended, write.settled) = (NEVER, NEVER);
    }

    pub(super) fn is_crashed(&self, write: WriteId) -> bool {
        self.crashed.contains(&write)
    }

    /// What the volume lost since the last look, as the history has it.
    pub(super) fn note_losses(&mut self) {
        let marks = &self.volume.marks;
        let losing = [
            VolumeMark::SyncLost,
            VolumeMark::PowerCutAll,
            VolumeMark::PowerCutBrick,
            VolumeMark::BehindLost,
        ];
        let losses = losing.iter().map(|mark| marks.count(*mark)).sum();
        if losses > self.losses {
            self.losses = losses;
            self.marks.hit(Mark::Loss);
            let loss = Loss {
                image: None,
                from: self.now,
                until: self.now,
                // A flush that was sent may still wait: on the wire, behind slow calls, for a
                // new graph. The bricks it then meets say nothing of what they were before.
                unnoticed: true,
            };
            self.history.losses.push(loss);
        }
    }
}
