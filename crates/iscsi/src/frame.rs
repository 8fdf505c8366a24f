//! Bytes in, whole PDUs out; the receiving half of a connection, for either side.
//!
//! It knows how long PDUs are and how digests are made, not what PDUs mean. Large payloads can
//! be placed: the caller says where they belong and reads them from the socket straight there.
//! Invariant: between two calls the receive buffer holds less than one PDU, and a PDU is refused
//! for its length before a byte of it is waited for.

use crate::bhs::BHS_BYTES;
use crate::digest::{self, DIGEST_BYTES};
use crate::{Bhs, Digests, Malformed};

/// Payloads below this are cheaper to copy out of the receive buffer than to read on their own.
pub const PLACE_MIN: usize = 16 * 1024;

/// Below this much room a read is not worth its system call.
const SPACE_MIN: usize = 4 * 1024;

/// Where a payload shall go: `buffer[at..at + len]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement<B> {
    /// The memory.
    pub buffer: B,
    /// Where the payload starts in it.
    pub at: usize,
}

/// One whole PDU (RFC 7143 11.2).
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a, B> {
    /// Basic Header Segment.
    pub bhs: Bhs,
    /// Additional Header Segments.
    pub ahs: &'a [u8],
    /// Data segment, without padding and digest.
    pub data: Data<'a, B>,
    /// False when there was a data digest and it did not match (RFC 7143 7.8).
    pub data_digest_ok: bool,
}

/// A data segment.
#[derive(Debug, PartialEq, Eq)]
pub enum Data<'a, B> {
    /// In the receive buffer.
    Inline(&'a [u8]),
    /// Where the caller wanted it, who gets the memory back here.
    Placed {
        /// The memory of the [`Placement`].
        buffer: B,
        /// Where the payload starts in it.
        at: usize,
        /// How long the payload is.
        len: usize,
    },
}

/// Cuts a byte stream into PDUs.
#[derive(Debug)]
pub struct Framer<B> {
    memory: Vec<u8>,
    /// The unparsed bytes are `memory[start..end]`.
    start: usize,
    end: usize,
    /// What `memory` has when nothing large is under way.
    ordinary_bytes: usize,
    /// What the last PDU had in `memory`.
    last_bytes: usize,
    max_data_segment: u32,
    digests: Digests,
    /// The PDU at `start`, once its header was found good.
    current: Option<Layout>,
    placing: Option<Placing<B>>,
    failed: Option<Malformed>,
}

/// How the PDU at `start` is laid out.
#[derive(Debug, Clone, Copy)]
struct Layout {
    /// BHS, AHS and header digest.
    head: usize,
    ahs: usize,
    data: usize,
    /// Padding and data digest.
    tail: usize,
    digests: Digests,
    /// Whether the caller was asked for a place.
    asked: bool,
    /// Whether the header digest was checked.
    verified: bool,
}

#[derive(Debug)]
struct Placing<B> {
    buffer: B,
    at: usize,
    filled: usize,
    /// Of the bytes filled, so that they are read while they are in the cache.
    crc: u32,
}

impl Layout {
    fn of(bhs: &Bhs, digests: Digests) -> Self {
        let ahs = usize::from(bhs.total_ahs_words()) * 4;
        let data = bhs.data_segment_len() as usize;
        let header_digest = if digests.header { DIGEST_BYTES } else { 0 };
        let data_digest = if digests.data && data > 0 {
            DIGEST_BYTES
        } else {
            0
        };
        let pad = data.next_multiple_of(4) - data;
        Self {
            head: BHS_BYTES + ahs + header_digest,
            ahs,
            data,
            tail: pad + data_digest,
            digests,
            asked: false,
            verified: !digests.header,
        }
    }

    /// Bytes in the receive buffer, of which a placed payload is none.
    fn buffered(&self, placed: bool) -> usize {
        self.head + if placed { 0 } else { self.data } + self.tail
    }
}

impl<B: AsMut<[u8]>> Framer<B> {
    /// For a connection that may receive `max_data_segment` bytes of data per PDU, with a
    /// receive buffer of about `receive_bytes`. It grows for a PDU that does not fit, up to the
    /// length of that PDU, and shrinks again after it.
    pub fn new(max_data_segment: u32, receive_bytes: usize) -> Self {
        let ordinary_bytes = receive_bytes.max(BHS_BYTES + DIGEST_BYTES);
        Self {
            memory: vec![0; ordinary_bytes],
            start: 0,
            end: 0,
            ordinary_bytes,
            last_bytes: 0,
            max_data_segment,
            digests: Digests::default(),
            current: None,
            placing: None,
            failed: None,
        }
    }

    /// Makes the receive buffer at least `receive_bytes` long from now on: what a login gets by
    /// with is too small for full feature phase.
    pub fn reserve(&mut self, receive_bytes: usize) {
        self.ordinary_bytes = self.ordinary_bytes.max(receive_bytes);
        if self.memory.len() < self.ordinary_bytes {
            self.memory.resize(self.ordinary_bytes, 0);
        }
    }

    /// Which digests PDUs carry, from the next header on.
    pub fn set_digests(&mut self, digests: Digests) {
        self.digests = digests;
    }

    /// How much data a PDU may carry, from the next header on.
    pub fn set_max_data_segment(&mut self, bytes: u32) {
        self.max_data_segment = bytes;
    }

    /// The memory of a payload that was under way when the connection went; its owner wants it back.
    pub fn into_placed(self) -> Option<B> {
        self.placing.map(|placing| placing.buffer)
    }

    /// Bytes received and not yet returned.
    pub fn unparsed(&self) -> usize {
        self.end - self.start + self.placing.as_ref().map_or(0, |placing| placing.filled)
    }

    /// Where the next bytes go; never empty. While a payload is being placed this is what is
    /// left of its place. Call [`Self::next`] until it has nothing more before asking again,
    /// lest the receive buffer grow.
    pub fn space(&mut self) -> &mut [u8] {
        let missing = self.missing();
        if missing == 0 {
            self.make_room();
        }
        match &mut self.placing {
            Some(placing) if missing > 0 => {
                let from = placing.at + placing.filled;
                &mut placing.buffer.as_mut()[from..from + missing]
            }
            _ => &mut self.memory[self.end..],
        }
    }

    /// The first `count` bytes of [`Self::space`] have been received.
    ///
    /// # Panics
    /// When the space was smaller.
    pub fn filled(&mut self, count: usize) {
        let missing = self.missing();
        match (&mut self.placing, self.current) {
            (Some(placing), Some(layout)) if missing > 0 => {
                assert!(count <= missing, "more bytes than there was space");
                placing.took(count, layout.digests.data);
            }
            _ => {
                assert!(
                    count <= self.memory.len() - self.end,
                    "more bytes than there was space"
                );
                self.end += count;
            }
        }
    }

    /// The next whole PDU, if there is one.
    ///
    /// `place` is asked at most once per PDU, and only when its payload has at least
    /// [`PLACE_MIN`] bytes and has not all arrived: where shall it go? After an error the
    /// stream has lost its step, and every further call returns that error.
    ///
    /// # Panics
    /// When the placement is smaller than the payload.
    pub fn next(
        &mut self,
        place: impl FnOnce(&Bhs) -> Option<Placement<B>>,
    ) -> Result<Option<Frame<'_, B>>, Malformed> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        match self.advance(place) {
            Ok(Some(layout)) => Ok(Some(self.take(layout))),
            Ok(None) => Ok(None),
            Err(error) => {
                self.failed = Some(error);
                (self.start, self.end) = (0, 0);
                (self.current, self.placing) = (None, None);
                Err(error)
            }
        }
    }

    /// Goes as far as the bytes allow; the layout of the PDU at `start` if it is whole.
    fn advance(
        &mut self,
        place: impl FnOnce(&Bhs) -> Option<Placement<B>>,
    ) -> Result<Option<Layout>, Malformed> {
        let Some(mut layout) = self.header()? else {
            return Ok(None);
        };
        if !layout.asked && layout.data >= PLACE_MIN && self.available() < layout.head + layout.data
        {
            layout.asked = true;
            if let Some(placement) = place(&self.bhs()) {
                self.start_placing(placement, layout);
            }
        }
        self.current = Some(layout);
        let placed = self
            .placing
            .as_ref()
            .is_none_or(|placing| placing.filled == layout.data);
        let whole = placed && self.available() >= layout.buffered(self.placing.is_some());
        Ok(whole.then_some(layout))
    }

    /// The layout of the PDU at `start`, when its header segments are there and good.
    fn header(&mut self) -> Result<Option<Layout>, Malformed> {
        if self.available() < BHS_BYTES {
            return Ok(None);
        }
        let mut layout = match self.current {
            Some(layout) => layout,
            None => {
                let layout = Layout::of(&self.bhs(), self.digests);
                let got = layout.data as u32;
                if got > self.max_data_segment {
                    return Err(Malformed::DataSegmentTooLong {
                        got,
                        max: self.max_data_segment,
                    });
                }
                layout
            }
        };
        self.current = Some(layout);
        if self.available() < layout.head {
            return Ok(None);
        }
        if !layout.verified {
            let (covered, received) =
                self.memory[self.start..self.start + layout.head].split_at(BHS_BYTES + layout.ahs);
            if !digest::matches(received, digest::crc32c(covered)) {
                return Err(Malformed::HeaderDigest);
            }
            layout.verified = true;
        }
        Ok(Some(layout))
    }

    /// Moves what has arrived of the payload to its place. All that was received after the head
    /// belongs to it, so the padding and digest will follow the head in the receive buffer.
    fn start_placing(&mut self, placement: Placement<B>, layout: Layout) {
        let Placement { mut buffer, at } = placement;
        let room = buffer.as_mut().len();
        assert!(
            at + layout.data <= room,
            "a payload of {} at {at} in {room} bytes",
            layout.data
        );
        let payload = self.start + layout.head;
        let arrived = self.end - payload;
        buffer.as_mut()[at..at + arrived].copy_from_slice(&self.memory[payload..self.end]);
        self.end = payload;
        let mut placing = Placing {
            buffer,
            at,
            filled: 0,
            crc: 0,
        };
        placing.took(arrived, layout.digests.data);
        self.placing = Some(placing);
    }

    /// Hands out the whole PDU at `start` and steps behind it.
    fn take(&mut self, layout: Layout) -> Frame<'_, B> {
        let bhs = self.bhs();
        let placing = self.placing.take();
        let begin = self.start;
        self.last_bytes = layout.buffered(placing.is_some());
        self.start += self.last_bytes;
        self.current = None;

        let (head, rest) = self.memory[begin..self.start].split_at(layout.head);
        let ahs = &head[BHS_BYTES..BHS_BYTES + layout.ahs];
        let inline_len = if placing.is_some() { 0 } else { layout.data };
        let (inline, tail) = rest.split_at(inline_len);
        let data_digest_ok = !layout.digests.data || layout.data == 0 || {
            let (pad, received) = tail.split_at(tail.len() - DIGEST_BYTES);
            let crc = placing
                .as_ref()
                .map_or_else(|| digest::crc32c(inline), |placing| placing.crc);
            digest::matches(received, digest::crc32c_append(crc, pad))
        };
        let data = match placing {
            None => Data::Inline(inline),
            Some(Placing { buffer, at, .. }) => Data::Placed {
                buffer,
                at,
                len: layout.data,
            },
        };
        Frame {
            bhs,
            ahs,
            data,
            data_digest_ok,
        }
    }

    /// Sees to it that the receive buffer has space and will hold the PDU under way.
    fn make_room(&mut self) {
        let wanted = self
            .current
            .map_or(BHS_BYTES, |layout| layout.buffered(self.placing.is_some()));
        // After an error nothing more is parsed, so nothing more is kept.
        if self.start == self.end || self.failed.is_some() {
            (self.start, self.end) = (0, 0);
            self.shrink();
        }
        let fits = self.start + wanted <= self.memory.len();
        let room = self.memory.len() - self.end;
        if self.start > 0 && (!fits || room < SPACE_MIN.min(self.ordinary_bytes / 4)) {
            self.memory.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let needed = if self.end < self.memory.len() {
            wanted
        } else {
            wanted.max(self.end + SPACE_MIN)
        };
        if self.memory.len() < needed {
            self.memory.reserve_exact(needed - self.memory.len());
            self.memory.resize(needed, 0);
        }
    }

    /// Gives back what a large PDU needed, once ordinary ones come again: a stream of large ones
    /// must not pay for memory each time.
    fn shrink(&mut self) {
        if self.memory.len() > self.ordinary_bytes && self.last_bytes <= self.ordinary_bytes {
            self.memory.truncate(self.ordinary_bytes);
            self.memory.shrink_to_fit();
        }
    }

    /// Bytes of the payload being placed that have not arrived.
    fn missing(&self) -> usize {
        match (&self.placing, &self.current) {
            (Some(placing), Some(layout)) => layout.data - placing.filled,
            _ => 0,
        }
    }

    fn available(&self) -> usize {
        self.end - self.start
    }

    fn bhs(&self) -> Bhs {
        let mut bhs = Bhs::default();
        bhs.0
            .copy_from_slice(&self.memory[self.start..self.start + BHS_BYTES]);
        bhs
    }
}

impl<B: AsMut<[u8]>> Placing<B> {
    fn took(&mut self, count: usize, digest: bool) {
        let from = self.at + self.filled;
        self.filled += count;
        if digest {
            let arrived = &self.buffer.as_mut()[from..from + count];
            self.crc = digest::crc32c_append(self.crc, arrived);
        }
    }
}

#[cfg(test)]
mod tests;
