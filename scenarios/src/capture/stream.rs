//! TCP connections put together from their segments, each direction a byte stream whose bytes
//! know the frame they came with.
//!
//! Retransmitted bytes count once, with the frame that first filled their place. Bytes that came
//! too early count from the frame that closed the gap before them: only then did the receiver
//! have them, and only then could it answer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::Frame;
use super::packet::Segment;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From the initiator, which opened the connection.
    ToTarget,
    /// From the target.
    ToInitiator,
}

/// How a connection ended, as far as was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It did not: the capture ends first.
    Open,
    /// With a FIN from either side.
    Fin,
    /// With a RST.
    Reset,
}

/// Bytes of a stream that arrived together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Where they start in the stream.
    pub start: usize,
    /// The frame that brought them, or made them readable.
    pub frame: u32,
    /// When that was.
    pub at: Duration,
}

/// One direction of a connection.
#[derive(Debug, Clone, Default)]
pub struct Stream {
    /// All bytes that can be read without a gap.
    pub bytes: Vec<u8>,
    /// Where the bytes came from, in order.
    pub pieces: Vec<Piece>,
    /// Sequence number of the byte that comes next; unknown until something was heard.
    next: Option<u32>,
    /// Bytes ahead of a gap, by their place in the stream.
    early: BTreeMap<usize, Vec<u8>>,
}

impl Stream {
    /// The piece that holds the byte at `offset`.
    pub fn piece(&self, offset: usize) -> Option<&Piece> {
        let after = self.pieces.partition_point(|piece| piece.start <= offset);
        self.pieces.get(after.checked_sub(1)?)
    }

    /// Bytes that were captured behind a gap that nothing filled.
    pub fn beyond_gap(&self) -> usize {
        self.early.values().map(Vec::len).sum()
    }

    fn take(&mut self, frame: &Frame<'_>, segment: &Segment<'_>) {
        // SYN takes a sequence number of its own.
        let sequence = segment.sequence.wrapping_add(u32::from(segment.syn));
        let next = *self.next.get_or_insert(sequence);
        if segment.payload.is_empty() {
            return;
        }
        let distance = sequence.wrapping_sub(next).cast_signed();
        match usize::try_from(distance) {
            Ok(0) => self.append(frame, segment.payload),
            Ok(ahead) => {
                let early = self.early.entry(self.bytes.len() + ahead).or_default();
                if early.len() < segment.payload.len() {
                    *early = segment.payload.to_vec();
                }
                return;
            }
            Err(_) => {
                let known = distance.unsigned_abs() as usize;
                self.append(frame, segment.payload.get(known..).unwrap_or_default());
            }
        }
        self.close_gaps(frame);
    }

    fn close_gaps(&mut self, frame: &Frame<'_>) {
        while let Some(entry) = self.early.first_entry() {
            let Some(known) = self.bytes.len().checked_sub(*entry.key()) else {
                break;
            };
            let bytes = entry.remove();
            self.append(frame, bytes.get(known..).unwrap_or_default());
        }
    }

    fn append(&mut self, frame: &Frame<'_>, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self
            .pieces
            .last()
            .is_none_or(|piece| piece.frame != frame.number)
        {
            let start = self.bytes.len();
            self.pieces.push(Piece {
                start,
                frame: frame.number,
                at: frame.at,
            });
        }
        self.bytes.extend_from_slice(bytes);
        self.next = self.next.map(|next| next.wrapping_add(bytes.len() as u32));
    }
}

/// A TCP connection.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Who opened it.
    pub initiator: SocketAddr,
    /// Who was called.
    pub target: SocketAddr,
    /// The number of its first frame.
    pub first_frame: u32,
    /// When its first frame was captured.
    pub opened: Duration,
    /// How it ended.
    pub ending: Ending,
    /// What the initiator sent.
    pub to_target: Stream,
    /// What the target sent.
    pub to_initiator: Stream,
}

impl Connection {
    /// One of the two streams.
    pub fn stream(&self, direction: Direction) -> &Stream {
        match direction {
            Direction::ToTarget => &self.to_target,
            Direction::ToInitiator => &self.to_initiator,
        }
    }

    /// The pieces of both streams in the order of their frames, each with its bytes.
    pub fn pieces(&self) -> impl Iterator<Item = (Direction, &Piece, &[u8])> {
        let of = |direction| {
            let stream = self.stream(direction);
            stream.pieces.iter().enumerate().map(move |(index, piece)| {
                let end = stream
                    .pieces
                    .get(index + 1)
                    .map_or(stream.bytes.len(), |next| next.start);
                (direction, piece, &stream.bytes[piece.start..end])
            })
        };
        let mut all: Vec<_> = of(Direction::ToTarget)
            .chain(of(Direction::ToInitiator))
            .collect();
        all.sort_by_key(|(_, piece, _)| piece.frame);
        all.into_iter()
    }
}

/// Sorts segments into connections.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    connections: Vec<Connection>,
}

impl Tracker {
    pub(super) fn take(&mut self, frame: &Frame<'_>, segment: &Segment<'_>) {
        // The same ports may serve once more; a repeated SYN is no new connection.
        let opens = segment.syn && !segment.ack;
        let both_ways = [(segment.from, segment.to), (segment.to, segment.from)];
        let known = self.connections.iter().rposition(|connection| {
            both_ways.contains(&(connection.initiator, connection.target))
                && !(opens && connection.ending != Ending::Open)
        });
        let index = known.unwrap_or_else(|| {
            self.connections.push(opened(frame, segment));
            self.connections.len() - 1
        });
        let connection = &mut self.connections[index];
        if segment.rst {
            connection.ending = Ending::Reset;
        } else if segment.fin && connection.ending == Ending::Open {
            connection.ending = Ending::Fin;
        }
        let stream = if connection.initiator == segment.from {
            &mut connection.to_target
        } else {
            &mut connection.to_initiator
        };
        stream.take(frame, segment);
    }

    pub(super) fn into_connections(self) -> Vec<Connection> {
        self.connections
    }
}

/// The port that targets listen on (RFC 7143 14.1).
const ISCSI_PORT: u16 = 3260;

/// A connection known from its first segment. Where the SYN is missing the port decides.
fn opened(frame: &Frame<'_>, segment: &Segment<'_>) -> Connection {
    let answer = if segment.syn {
        segment.ack
    } else {
        segment.from.port() == ISCSI_PORT
    };
    let (initiator, target) = if answer {
        (segment.to, segment.from)
    } else {
        (segment.from, segment.to)
    };
    Connection {
        initiator,
        target,
        first_frame: frame.number,
        opened: frame.at,
        ending: Ending::Open,
        to_target: Stream::default(),
        to_initiator: Stream::default(),
    }
}

#[cfg(test)]
mod tests;
