//! A WRITE: immediate and unsolicited data and R2Ts in, tickets out (RFC 7143 11.7, 11.8).
//!
//! Data is gathered in chunks of at most one ticket each; a chunk is given to storage as soon as
//! it is full. No R2T crosses a chunk, so a Data-Out always belongs to exactly one buffer.
//! Invariant: every byte is accepted at most once, in order within its sequence.

use std::collections::VecDeque;

use block::{BlockSize, Buffer, Span};
use iscsi::pdu::DataOut;
use iscsi::{Data, Ttt};
use planted::{Bug, has};
use scsi::Sense;

use super::Verdict;
use crate::limits::TICKET_BYTES_MAX;

/// Progress of one WRITE.
#[derive(Debug)]
pub(crate) struct WriteWork {
    /// What the command names, in the image.
    pub(crate) span: Span,
    /// Bytes we take from the initiator.
    pub(crate) total: u64,
    pub(crate) durable: bool,
    /// Buffers being filled, by their place in the command's data.
    chunks: VecDeque<Chunk>,
    /// The sequence the initiator sends unasked, if any is still to come.
    unsolicited: Option<Sequence>,
    /// R2Ts not yet answered in full.
    asked: VecDeque<Sequence>,
    /// First byte not yet received, asked for, or announced.
    next_ask: u64,
    pub(crate) r2t_sn: u32,
    /// Bytes storage has, or that were dropped because they fill no block.
    settled: u64,
    /// The first thing that went wrong; nothing more is stored or asked for.
    pub(crate) failed: Option<Verdict>,
}

/// Part of the command's data, being gathered.
#[derive(Debug)]
struct Chunk {
    start: u64,
    len: usize,
    got: usize,
    /// Absent while the framer reads into it.
    buffer: Option<Buffer>,
}

/// Data-Out PDUs that belong together: one R2T's answer, or the unsolicited data.
#[derive(Debug)]
struct Sequence {
    ttt: Ttt,
    end: u64,
    next: u64,
    data_sn: u32,
}

/// A full chunk on its way to storage.
#[derive(Debug)]
pub(crate) struct Filled {
    /// Byte offset in the image.
    pub(crate) at: u64,
    pub(crate) buffer: Buffer,
}

/// What to ask for next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) offset: u64,
    pub(crate) len: u32,
}

impl WriteWork {
    pub(crate) fn new(span: Span, total: u64, durable: bool) -> Self {
        Self {
            span,
            total,
            durable,
            chunks: VecDeque::new(),
            unsolicited: None,
            asked: VecDeque::new(),
            next_ask: 0,
            r2t_sn: 0,
            settled: 0,
            failed: None,
        }
    }

    /// Length of the chunk that `offset` belongs to, where it starts a new one.
    pub(crate) fn chunk_len(total: u64, offset: u64) -> usize {
        (total - offset).min(TICKET_BYTES_MAX as u64) as usize
    }

    /// Takes the first chunk, `got` bytes of which came with the command, and announces the
    /// unsolicited data that follows. `expected`: how many bytes come unasked, those included.
    pub(crate) fn begin(&mut self, buffer: Buffer, got: usize, expected: Option<u64>) {
        let len = buffer.len();
        self.chunks.push_back(Chunk {
            start: 0,
            len,
            got: got.min(len),
            buffer: Some(buffer),
        });
        self.next_ask = (got as u64).min(self.total);
        if let Some(end) = expected {
            let next = got as u64;
            self.unsolicited = Some(Sequence {
                ttt: Ttt::RESERVED,
                end,
                next,
                data_sn: 0,
            });
            self.next_ask = end.min(self.total);
        }
    }

    /// Whether `offset` needs a chunk that is not there yet, and how long it is.
    pub(crate) fn wants_chunk(&self) -> Option<usize> {
        let offset = self.next_ask;
        let here = self.failed.is_none() && offset < self.total;
        let covered = self.chunks.iter().any(|chunk| chunk.contains(offset));
        (here && !covered).then(|| Self::chunk_len(self.total, offset))
    }

    /// The chunk that [`Self::wants_chunk`] asked for.
    pub(crate) fn add_chunk(&mut self, buffer: Buffer) {
        let len = buffer.len();
        let start = self.next_ask;
        self.chunks.push_back(Chunk {
            start,
            len,
            got: 0,
            buffer: Some(buffer),
        });
    }

    /// The next R2T, once a chunk is there for it. RFC 7143 11.8: at most `burst` bytes each and
    /// `outstanding` of them, in order.
    pub(crate) fn ask(&mut self, ttt: Ttt, burst: u32, outstanding: usize) -> Option<Ask> {
        if !self.may_ask(outstanding) {
            return None;
        }
        let offset = self.next_ask;
        let chunk = self.chunks.iter().find(|chunk| chunk.contains(offset))?;
        let len = (chunk.end() - offset).min(u64::from(burst));
        self.next_ask += len;
        self.asked.push_back(Sequence {
            ttt,
            end: offset + len,
            next: offset,
            data_sn: 0,
        });
        Some(Ask {
            offset,
            len: len as u32,
        })
    }

    /// Whether there is something to ask for, and room among the `outstanding` R2Ts.
    pub(crate) fn may_ask(&self, outstanding: usize) -> bool {
        let idle = self.failed.is_none() && self.unsolicited.is_none();
        idle && self.asked.len() < outstanding && self.next_ask < self.total
    }

    /// Whether no Data-Out is owed to us.
    pub(crate) fn is_quiet(&self) -> bool {
        self.asked.is_empty() && self.unsolicited.is_none()
    }

    /// Whether everything came, so that nothing but storage is waited for.
    pub(crate) fn is_complete(&self) -> bool {
        self.is_quiet() && self.next_ask >= self.total
    }

    /// Whether everything came and was stored, or something failed and nothing is owed any more.
    pub(crate) fn verdict(&self, tickets: u32) -> Option<Verdict> {
        let given = has(Bug::AckBeforeWritten) && self.is_complete() && self.chunks.is_empty();
        if !given && (!self.is_quiet() || tickets > 0) {
            return None;
        }
        self.failed
            .or((given || self.settled >= self.total).then_some(Verdict::GOOD))
    }

    /// Where the payload of this PDU should go, if it is what we wait for. The buffer comes back
    /// with the PDU.
    pub(crate) fn place(&mut self, pdu: &DataOut, len: u32) -> Option<(Buffer, usize)> {
        let (at, end) = (
            u64::from(pdu.buffer_offset),
            u64::from(pdu.buffer_offset) + u64::from(len),
        );
        let sequence = self.sequence(pdu.ttt)?;
        let fits = sequence.next == at && end <= sequence.end && sequence.data_sn == pdu.data_sn;
        if !fits || self.failed.is_some() {
            return None;
        }
        let chunk = self.chunks.iter_mut().find(|chunk| chunk.contains(at))?;
        if end > chunk.end() {
            return None;
        }
        let offset = (at - chunk.start) as usize;
        chunk.buffer.take().map(|buffer| (buffer, offset))
    }

    /// Whether a Data-Out with this tag may come: that of an R2T, or none, which is unsolicited.
    pub(crate) fn expects(&self, ttt: Ttt) -> bool {
        ttt == Ttt::RESERVED || self.asked.iter().any(|sequence| sequence.ttt == ttt)
    }

    /// Takes the payload of one Data-Out that is expected, or fails for what is wrong with it.
    /// RFC 7143 11.7.5: with DataPDUInOrder and DataSequenceInOrder, offsets and DataSN only grow.
    /// `sound`: the data digest was right. A buffer that belongs nowhere any more comes back.
    pub(crate) fn accept(
        &mut self,
        pdu: &DataOut,
        data: Data<'_, Buffer>,
        sound: bool,
    ) -> Option<Buffer> {
        let at = u64::from(pdu.buffer_offset);
        let (bytes, stray) = self.put_back(data, at);
        let len = bytes.len();
        let Some(sequence) = self.sequence(pdu.ttt) else {
            // Unsolicited data nobody announced (RFC 7143 11.4.7.2).
            self.fail(Sense::UNEXPECTED_UNSOLICITED_DATA);
            return stray;
        };
        let problem = if pdu.data_sn != sequence.data_sn || at != sequence.next {
            Some(Sense::DATA_PHASE_ERROR)
        } else if at + len > sequence.end {
            Some(match pdu.ttt {
                Ttt::RESERVED => Sense::UNEXPECTED_UNSOLICITED_DATA,
                _ => Sense::NOT_ENOUGH_UNSOLICITED_DATA,
            })
        } else if pdu.is_final && at + len < sequence.end {
            Some(Sense::NOT_ENOUGH_UNSOLICITED_DATA)
        } else if !sound && !has(Bug::DigestErrorAccepted) {
            Some(Sense::PROTOCOL_SERVICE_CRC_ERROR)
        } else {
            None
        };
        sequence.data_sn = pdu.data_sn.wrapping_add(1);
        sequence.next = (at + len).min(sequence.end);
        match problem {
            Some(sense) => self.fail(sense),
            None if self.failed.is_none() => self.store(at, &bytes, len),
            None => {}
        }
        if pdu.is_final {
            self.close_sequence(pdu.ttt);
        }
        stray
    }

    /// The next full chunk, cut to whole blocks. What fills no block is dropped.
    pub(crate) fn take_filled(&mut self, block: BlockSize) -> Option<Filled> {
        if self.failed.is_some() {
            return None;
        }
        let place = self
            .chunks
            .iter()
            .position(|chunk| chunk.got == chunk.len && chunk.buffer.is_some() && chunk.len > 0)?;
        let chunk = self.chunks.remove(place)?;
        let mut buffer = chunk.buffer?;
        let whole = block.blocks_in(chunk.len as u64) * u64::from(block.bytes());
        self.settled += chunk.len as u64 - whole;
        buffer.truncate(whole as usize);
        Some(Filled {
            at: self.span.at + chunk.start,
            buffer,
        })
    }

    /// Storage has these bytes.
    pub(crate) fn settle(&mut self, len: usize) {
        self.settled += len as u64;
    }

    /// Nothing more is stored; the first reason stays.
    pub(crate) fn fail(&mut self, sense: Sense) {
        self.failed.get_or_insert(Verdict::check(sense));
    }

    pub(crate) fn fail_with(&mut self, verdict: Verdict) {
        self.failed.get_or_insert(verdict);
    }

    /// The buffers, for the pool.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Buffer> + '_ {
        self.chunks.drain(..).filter_map(|chunk| chunk.buffer)
    }

    /// A payload that was placed gives its chunk the buffer back, if that still waits for it.
    fn put_back<'a>(&mut self, data: Data<'a, Buffer>, at: u64) -> (Payload<'a>, Option<Buffer>) {
        match data {
            Data::Inline(bytes) => (Payload::Inline(bytes), None),
            Data::Placed { buffer, len, .. } => {
                let mut waiting = self.chunks.iter_mut();
                let waiting = waiting.find(|chunk| chunk.contains(at) && chunk.buffer.is_none());
                let stray = match waiting {
                    Some(chunk) => {
                        chunk.buffer = Some(buffer);
                        None
                    }
                    None => Some(buffer),
                };
                (Payload::InPlace(len as u64), stray)
            }
        }
    }

    fn sequence(&mut self, ttt: Ttt) -> Option<&mut Sequence> {
        match ttt {
            Ttt::RESERVED => self.unsolicited.as_mut(),
            _ => self.asked.iter_mut().find(|sequence| sequence.ttt == ttt),
        }
    }

    fn close_sequence(&mut self, ttt: Ttt) {
        match ttt {
            Ttt::RESERVED => self.unsolicited = None,
            _ => self.asked.retain(|sequence| sequence.ttt != ttt),
        }
    }

    /// Copies bytes into their chunk; bytes beyond what the command names are dropped.
    fn store(&mut self, at: u64, bytes: &Payload<'_>, len: u64) {
        let Some(chunk) = self.chunks.iter_mut().find(|chunk| chunk.contains(at)) else {
            return;
        };
        let offset = (at - chunk.start) as usize;
        let kept = (len as usize).min(chunk.len - offset);
        if let (Payload::Inline(bytes), Some(buffer)) = (bytes, &mut chunk.buffer) {
            buffer.bytes_mut()[offset..offset + kept].copy_from_slice(&bytes[..kept]);
        }
        chunk.got += kept;
    }
}

enum Payload<'a> {
    Inline(&'a [u8]),
    InPlace(u64),
}

impl Payload<'_> {
    fn len(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::InPlace(len) => *len,
        }
    }
}

impl Chunk {
    fn end(&self) -> u64 {
        self.start + self.len as u64
    }

    fn contains(&self, offset: u64) -> bool {
        (self.start..self.end()).contains(&offset)
    }
}
