//! PDUs in, a gather list out; the sending half of a connection, for either side.
//!
//! Headers and small payloads are copied one behind the other; large ones stay where they are
//! and are handed back when their last byte is out.
//! Invariant: the pieces, in order, are exactly the bytes that are still to be sent.

use std::collections::VecDeque;
use std::io::IoSlice;

use crate::digest::{self, DIGEST_BYTES};
use crate::{Bhs, Digests};

/// Most slices one system call takes (IOV_MAX on Linux).
pub const SLICES_MAX: usize = 1024;

/// Copied bytes that are out are kept until they are worth moving the rest for.
const COMPACT_MIN: usize = 64 * 1024;

/// The data segment of a PDU to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload<'a, S> {
    /// No data segment.
    None,
    /// Bytes to copy.
    Inline(&'a [u8]),
    /// Memory to send from.
    Shared(S),
}

/// Bytes on their way out.
#[derive(Debug)]
pub struct Outbox<S> {
    /// Copied bytes; those before `copied_start` are out.
    copied: Vec<u8>,
    copied_start: usize,
    pieces: VecDeque<Piece<S>>,
    pending: usize,
}

#[derive(Debug)]
enum Piece<S> {
    /// That many bytes of `copied`.
    Copied(usize),
    /// Memory of which the first `sent` bytes are out.
    Shared { memory: S, sent: usize },
}

impl<S> Default for Outbox<S> {
    fn default() -> Self {
        Self {
            copied: Vec::new(),
            copied_start: 0,
            pieces: VecDeque::new(),
            pending: 0,
        }
    }
}

impl<S: AsRef<[u8]>> Outbox<S> {
    /// An empty outbox.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a PDU: sets its DataSegmentLength, adds padding and digests.
    ///
    /// # Panics
    /// When the payload is longer than 24 bits can say.
    pub fn push(&mut self, bhs: Bhs, payload: Payload<'_, S>, digests: Digests) {
        self.push_with_ahs(bhs, &[], payload, digests);
    }

    /// Appends a PDU with Additional Header Segments, padded to whole words by the caller.
    ///
    /// # Panics
    /// When the payload or the additional headers are longer than a header can say, or not whole
    /// words.
    pub fn push_with_ahs(
        &mut self,
        mut bhs: Bhs,
        ahs: &[u8],
        payload: Payload<'_, S>,
        digests: Digests,
    ) {
        let bytes = match &payload {
            Payload::None => &[],
            Payload::Inline(bytes) => *bytes,
            Payload::Shared(memory) => memory.as_ref(),
        };
        let len = u32::try_from(bytes.len()).expect("a data segment has 24 bits");
        let ahs_words = u8::try_from(ahs.len() / 4).expect("additional headers have 255 words");
        assert!(
            ahs.len().is_multiple_of(4),
            "additional headers are whole words"
        );
        bhs.set_data_segment_len(len);
        bhs.set_total_ahs_words(ahs_words);

        let pad = &[0; 3][..bytes.len().next_multiple_of(4) - bytes.len()];
        let data_digest =
            (digests.data && !bytes.is_empty()).then(|| digest::crc32c_parts(&[bytes, pad]));

        self.copy(&bhs.0);
        self.copy(ahs);
        if digests.header {
            self.copy_digest(digest::crc32c_parts(&[&bhs.0, ahs]));
        }
        match payload {
            Payload::None => {}
            Payload::Inline(bytes) => self.copy(bytes),
            Payload::Shared(memory) => self.share(memory),
        }
        self.copy(pad);
        if let Some(crc) = data_digest {
            self.copy_digest(crc);
        }
    }

    /// Appends bytes as they are, for senders that mean to break the rules.
    pub fn push_raw(&mut self, bytes: &[u8]) {
        self.copy(bytes);
    }

    /// Bytes still to be sent.
    pub fn len(&self) -> usize {
        self.pending
    }

    /// Whether all is sent.
    pub fn is_empty(&self) -> bool {
        self.pending == 0
    }

    /// Appends to `out` what is to be sent, in order, as far as [`SLICES_MAX`] slices go.
    pub fn slices<'a>(&'a self, out: &mut Vec<IoSlice<'a>>) {
        let mut at = self.copied_start;
        let left = SLICES_MAX.saturating_sub(out.len());
        let slices = self.pieces.iter().map(|piece| match piece {
            Piece::Copied(len) => {
                at += len;
                &self.copied[at - len..at]
            }
            Piece::Shared { memory, sent } => &memory.as_ref()[*sent..],
        });
        out.extend(
            slices
                .filter(|slice| !slice.is_empty())
                .take(left)
                .map(IoSlice::new),
        );
    }

    /// `count` bytes are out. Shared memory that is no longer needed goes to `done`.
    ///
    /// # Panics
    /// When there were not so many.
    pub fn advance(&mut self, count: usize, mut done: impl FnMut(S)) {
        assert!(
            count <= self.pending,
            "{count} bytes sent of {}",
            self.pending
        );
        self.pending -= count;
        let mut left = count;
        while let Some(piece) = self.pieces.front_mut() {
            let (step, finished) = match piece {
                Piece::Copied(len) => {
                    let step = left.min(*len);
                    *len -= step;
                    self.copied_start += step;
                    (step, *len == 0)
                }
                Piece::Shared { memory, sent } => {
                    let len = memory.as_ref().len();
                    let step = left.min(len - *sent);
                    *sent += step;
                    (step, *sent == len)
                }
            };
            left -= step;
            if !finished {
                break;
            }
            if let Some(Piece::Shared { memory, .. }) = self.pieces.pop_front() {
                done(memory);
            }
        }
        self.compact();
    }

    fn copy(&mut self, bytes: &[u8]) {
        self.copied.extend_from_slice(bytes);
        self.pending += bytes.len();
        match self.pieces.back_mut() {
            Some(Piece::Copied(len)) => *len += bytes.len(),
            _ if bytes.is_empty() => {}
            _ => self.pieces.push_back(Piece::Copied(bytes.len())),
        }
    }

    fn copy_digest(&mut self, crc: u32) {
        const _: () = assert!(DIGEST_BYTES == size_of::<u32>());
        self.copy(&digest::to_wire(crc));
    }

    fn share(&mut self, memory: S) {
        self.pending += memory.as_ref().len();
        self.pieces.push_back(Piece::Shared { memory, sent: 0 });
    }

    /// Drops copied bytes that are out, when it costs less than they do.
    fn compact(&mut self) {
        if self.copied_start == self.copied.len() {
            self.copied.clear();
            self.copied_start = 0;
        } else if self.copied_start >= COMPACT_MIN.max(self.copied.len() / 2) {
            self.copied.drain(..self.copied_start);
            self.copied_start = 0;
        }
    }
}

#[cfg(test)]
mod tests;
