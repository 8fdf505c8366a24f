//! What happened in a world: one number for all of it, and, where somebody wants to read it, the
//! PDUs and notes themselves.

use initiator_sim::Flow;
use iscsi::{Bhs, Digests};

use super::Note;
use super::places::{Party, date};
use super::plan::Moment;
use super::wire::Caller;
use crate::record::{Event, Pdu, What};

#[derive(Debug)]
pub(super) struct Journal {
    hash: u64,
    keeps: bool,
    recording: Vec<Event>,
    notes: Vec<Note>,
}

impl Journal {
    pub(super) fn new(keeps: bool) -> Self {
        Self {
            hash: 0xcbf2_9ce4_8422_2325,
            keeps,
            recording: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn into_parts(self) -> (Vec<Event>, Vec<Note>) {
        (self.recording, self.notes)
    }

    /// One word of what happened. FNV-1a over words.
    pub(super) fn mix(&mut self, word: u64) {
        self.hash = (self.hash ^ word).wrapping_mul(0x0100_0000_01b3);
        self.hash ^= self.hash >> 29;
    }

    /// Something for people.
    pub(super) fn note(&mut self, now: Moment, what: impl FnOnce() -> String) {
        if self.keeps {
            self.notes.push(Note {
                at: now,
                after: self.recording.len(),
                what: what(),
            });
        }
    }

    pub(super) fn opened(&mut self, wire: usize, now: Moment, caller: Caller, host: u8) {
        self.mix(now.0 ^ wire as u64);
        let from = match caller {
            Caller::Peer(number) => Party::Initiator(number),
            Caller::Deviant(number) => Party::Deviant(number),
        };
        let local = from.at(40_000 + (wire as u16 % 20_000));
        let peer = Party::Target(host).at(3260);
        self.keep(wire, now, || What::Opened { local, peer });
    }

    pub(super) fn closed(&mut self, wire: usize, now: Moment) {
        self.mix(now.0.rotate_left(7) ^ wire as u64);
        self.keep(wire, now, || What::Closed);
    }

    /// A PDU at the initiator's end.
    pub(super) fn pdu(
        &mut self,
        (wire, now): (usize, Moment),
        flow: Flow,
        bhs: &Bhs,
        data: &[u8],
        digests: Digests,
    ) {
        self.mix(now.0 ^ (wire as u64) << 48 ^ flow as u64);
        let (words, _) = bhs.0.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        if let Some(first) = data.first_chunk::<8>() {
            self.mix(u64::from_le_bytes(*first));
        }
        if let Some(last) = data.last_chunk::<8>() {
            self.mix(u64::from_le_bytes(*last) ^ data.len() as u64);
        }
        self.keep(wire, now, || {
            let mut bhs = *bhs;
            bhs.set_data_segment_len(data.len() as u32);
            What::Pdu(Pdu {
                flow,
                bhs,
                ahs: Vec::new(),
                data: data.to_vec(),
                digests,
            })
        });
    }

    /// Bytes that were not built as a PDU.
    pub(super) fn raw(&mut self, wire: usize, now: Moment, bytes: &[u8]) {
        self.mix(now.0 ^ bytes.len() as u64);
        self.keep(wire, now, || What::Raw(bytes.to_vec()));
    }

    fn keep(&mut self, wire: usize, now: Moment, what: impl FnOnce() -> What) {
        if self.keeps {
            self.recording.push(Event {
                conn: wire as u64,
                at: date(now),
                what: what(),
            });
        }
    }
}
