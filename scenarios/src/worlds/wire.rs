//! One TCP connection between an initiator and a target, in virtual time: bytes arrive in order,
//! late, in pieces cut anywhere, or not at all.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::time::Duration;

use gluster_mock::chance::Chance;

use super::plan::{Moment, Way, WireSetting};

/// Copied bytes that were read are kept until they are worth moving the rest for.
const COMPACT_MIN: usize = 64 << 10;

/// Room for the bytes of one direction to begin with.
const ROOM: usize = 16 << 10;

/// Who is at the initiator's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    Peer(u8),
    Deviant(u8),
}

/// A connection.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) caller: Caller,
    pub(super) host: u8,
    /// The life of the target it was made in.
    pub(super) life: u32,
    chance: Chance,
    to_target: Pipe,
    to_initiator: Pipe,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    bytes: Vec<u8>,
    head: usize,
    /// Bytes on their way: when they arrive and how many.
    coming: VecDeque<(Moment, usize)>,
    /// Of the bytes from `head` on, how many have arrived.
    arrived: usize,
    last: Moment,
    stalled: Moment,
    /// The sender has closed; after all bytes, from that moment on, the receiver sees the end.
    end: Option<Moment>,
    /// Nobody reads it any more, or it was reset: nothing goes in.
    dead: bool,
    /// Its writer waits for room.
    pub(super) wanted: bool,
}

impl Wire {
    pub(super) fn new(caller: Caller, host: u8, life: u32, chance: Chance) -> Self {
        Self {
            caller,
            host,
            life,
            chance,
            to_target: Pipe::new(),
            to_initiator: Pipe::new(),
        }
    }

    pub(super) fn pipe(&mut self, way: Way) -> &mut Pipe {
        match way {
            Way::In => &mut self.to_target,
            Way::Out => &mut self.to_initiator,
        }
    }

    /// Puts bytes on their way, at most `most`; tells when they arrive, and how many.
    pub(super) fn send(
        &mut self,
        now: Moment,
        way: Way,
        setting: &WireSetting,
        (slices, most): (&[IoSlice<'_>], usize),
    ) -> (Moment, usize) {
        let delay = up_to(&mut self.chance, setting.latency);
        let pipe = self.pipe(way);
        let at = now.plus(delay).max(pipe.last).max(pipe.stalled);
        pipe.last = at;
        let mut count = 0;
        for slice in slices {
            let part = slice.len().min(most - count);
            pipe.bytes.extend_from_slice(&slice[..part]);
            count += part;
        }
        pipe.coming.push_back((at, count));
        (at, count)
    }

    /// The sender closes its direction; tells when the other end sees it.
    pub(super) fn close(&mut self, now: Moment, way: Way, setting: &WireSetting) -> Moment {
        let delay = up_to(&mut self.chance, setting.latency);
        let pipe = self.pipe(way);
        let at = now.plus(delay).max(pipe.last).max(pipe.stalled);
        pipe.end.get_or_insert(at);
        at
    }

    /// Both directions end at once; of what is under way some may still arrive.
    pub(super) fn reset(&mut self, now: Moment) {
        for way in [Way::In, Way::Out] {
            let under_way = self.pipe(way).queued() as u64;
            let kept = self.chance.below(under_way + 1) as usize;
            self.pipe(way).break_off(now, kept);
        }
    }

    /// Bytes are given to the reader of one direction; how many, 0 where none are there.
    pub(super) fn read(
        &mut self,
        now: Moment,
        way: Way,
        setting: &WireSetting,
        space: &mut [u8],
    ) -> usize {
        let pipe = self.pipe(way);
        pipe.arrive(now);
        let there = pipe.arrived.min(space.len());
        if there == 0 {
            return 0;
        }
        let most = match setting.chops && self.chance.below(4) == 0 {
            true => 1 + self.chance.below(96) as usize,
            false => there,
        };
        let count = there.min(most);
        let pipe = self.pipe(way);
        space[..count].copy_from_slice(&pipe.bytes[pipe.head..pipe.head + count]);
        pipe.take(count);
        count
    }
}

impl Pipe {
    fn new() -> Self {
        Self {
            bytes: Vec::with_capacity(ROOM),
            ..Self::default()
        }
    }

    /// Bytes the sender may still put in.
    pub(super) fn room(&mut self, buffer: usize) -> usize {
        let room = match self.dead || self.end.is_some() {
            true => 0,
            false => buffer.saturating_sub(self.queued()),
        };
        self.wanted |= room == 0;
        room
    }

    /// Whether what is sent reaches nobody.
    pub(super) fn is_dead(&self) -> bool {
        self.dead
    }

    /// Whether the reader has had everything there will be.
    pub(super) fn is_at_end(&mut self, now: Moment) -> bool {
        self.arrive(now);
        self.queued() == 0 && self.end.is_some_and(|end| end <= now.max(self.stalled))
    }

    /// Nothing arrives before `until`; tells when what was to arrive does.
    pub(super) fn stall(&mut self, until: Moment) {
        self.stalled = self.stalled.max(until);
        for (at, _) in &mut self.coming {
            *at = (*at).max(until);
        }
        self.last = self.last.max(until);
        if let Some(end) = &mut self.end {
            *end = (*end).max(until);
        }
    }

    /// What holds it up is over.
    pub(super) fn release(&mut self, now: Moment) {
        self.stalled = Moment::default();
        for (at, _) in &mut self.coming {
            *at = now;
        }
        self.last = now;
        if let Some(end) = &mut self.end {
            *end = now;
        }
    }

    /// The reader is gone.
    pub(super) fn abandon(&mut self) {
        self.dead = true;
        self.bytes.clear();
        self.head = 0;
        self.arrived = 0;
        self.coming.clear();
    }

    fn break_off(&mut self, now: Moment, kept: usize) {
        let kept = kept.min(self.queued());
        self.bytes.truncate(self.head + kept);
        self.arrived = kept;
        self.coming.clear();
        self.end = Some(now);
        self.dead = true;
    }

    fn queued(&self) -> usize {
        self.bytes.len() - self.head
    }

    fn arrive(&mut self, now: Moment) {
        while let Some(&(at, count)) = self.coming.front()
            && at <= now
        {
            self.arrived += count;
            self.coming.pop_front();
        }
    }

    fn take(&mut self, count: usize) {
        self.head += count;
        self.arrived -= count;
        if self.head == self.bytes.len() {
            self.bytes.clear();
            self.head = 0;
        } else if self.head >= COMPACT_MIN {
            self.bytes.drain(..self.head);
            self.head = 0;
        }
    }
}

/// Evenly a time up to `bound`.
pub(super) fn up_to(chance: &mut Chance, bound: Duration) -> Duration {
    let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX - 1);
    match nanos {
        0 => Duration::ZERO,
        _ => Duration::from_nanos(chance.below(nanos + 1)),
    }
}
