//! An iSCSI conversation: the PDUs of a TCP connection in the order they were complete on the
//! wire, read as a listener must who cannot ask: from the login it learns which digests follow.

use std::time::Duration;

use iscsi::bhs::DATA_SEGMENT_MAX;
use iscsi::frame::Data;
use iscsi::keys::{self, Assembler, Params};
use iscsi::pdu::{LoginRequest, LoginResponse};
use iscsi::{Bhs, Digests, Framer, LoginStatus, Malformed, Opcode, Stage};

use super::{Connection, Direction};

/// A captured PDU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pdu {
    /// Who sent it.
    pub direction: Direction,
    /// Where its first byte is in its stream.
    pub offset: usize,
    /// How many bytes it has there, padding and digests included.
    pub len: usize,
    /// The frame that brought its first byte.
    pub first_frame: u32,
    /// The frame that brought its last byte: with it the receiver could act.
    pub frame: u32,
    /// When that was.
    pub at: Duration,
    /// Basic Header Segment.
    pub bhs: Bhs,
    /// Additional Header Segments.
    pub ahs: Vec<u8>,
    /// Data segment.
    pub data: Vec<u8>,
    /// Which digests it carried; a data digest only with data.
    pub digests: Digests,
    /// Whether the data digest matched; true when there was none.
    pub data_digest_ok: bool,
}

/// Bytes of a stream that belong to no PDU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Whose stream.
    pub direction: Direction,
    /// From where on.
    pub offset: usize,
    /// How many.
    pub len: usize,
    /// What is wrong with them; nothing when the stream ends within a PDU.
    pub error: Option<Malformed>,
}

/// What two peers said to each other.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// On which connection.
    pub connection: Connection,
    /// Their PDUs, in the order of their last bytes.
    pub pdus: Vec<Pdu>,
    /// What could not be read.
    pub lost: Vec<Lost>,
    /// What they agreed on, as the initiator would see it.
    pub params: Params,
    /// Answers of the target that are no result of the initiator's offer.
    pub objections: Vec<String>,
}

impl Conversation {
    /// Reads a connection.
    pub fn read(connection: Connection) -> Self {
        let mut listener = Listener::new();
        for (direction, _, bytes) in connection.pieces() {
            listener.hear(&connection, direction, bytes);
        }
        let lost = listener.lost(&connection);
        let Listener { pdus, login, .. } = listener;
        Self {
            connection,
            pdus,
            lost,
            params: login.params,
            objections: login.objections,
        }
    }
}

/// One side's half of the listening.
struct Half {
    framer: Framer<Vec<u8>>,
    /// Bytes of the stream that were given to the framer.
    heard: usize,
    /// Bytes of the stream that were returned as PDUs.
    parsed: usize,
    error: Option<Malformed>,
}

impl Half {
    fn new() -> Self {
        let framer = Framer::new(DATA_SEGMENT_MAX, 64 * 1024);
        Self {
            framer,
            heard: 0,
            parsed: 0,
            error: None,
        }
    }
}

struct Listener {
    to_target: Half,
    to_initiator: Half,
    digests: Digests,
    login: Login,
    pdus: Vec<Pdu>,
}

impl Listener {
    fn new() -> Self {
        Self {
            to_target: Half::new(),
            to_initiator: Half::new(),
            digests: Digests::default(),
            login: Login::default(),
            pdus: Vec::new(),
        }
    }

    fn half(&mut self, direction: Direction) -> &mut Half {
        match direction {
            Direction::ToTarget => &mut self.to_target,
            Direction::ToInitiator => &mut self.to_initiator,
        }
    }

    fn hear(&mut self, connection: &Connection, direction: Direction, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let half = self.half(direction);
            if half.error.is_some() {
                return;
            }
            let space = half.framer.space();
            let (now, later) = bytes.split_at(space.len().min(bytes.len()));
            space[..now.len()].copy_from_slice(now);
            half.framer.filled(now.len());
            half.heard += now.len();
            bytes = later;
            while let Some(pdu) = self.next(connection, direction) {
                self.follow_login(&pdu);
                self.pdus.push(pdu);
            }
        }
    }

    fn next(&mut self, connection: &Connection, direction: Direction) -> Option<Pdu> {
        let digests = self.digests;
        let half = self.half(direction);
        let (bhs, ahs, data, data_digest_ok) = match half.framer.next(|_| None) {
            Ok(None) => return None,
            Err(error) => {
                half.error = Some(error);
                return None;
            }
            Ok(Some(frame)) => {
                let Data::Inline(data) = frame.data else {
                    unreachable!("nothing is placed")
                };
                (
                    frame.bhs,
                    frame.ahs.to_vec(),
                    data.to_vec(),
                    frame.data_digest_ok,
                )
            }
        };
        let offset = half.parsed;
        half.parsed = half.heard - half.framer.unparsed();
        let len = half.parsed - offset;
        let stream = connection.stream(direction);
        let last = stream
            .piece(offset + len - 1)
            .expect("every byte came with a frame");
        let first = stream.piece(offset).expect("every byte came with a frame");
        let digests = Digests {
            data: digests.data && !data.is_empty(),
            ..digests
        };
        Some(Pdu {
            direction,
            offset,
            len,
            first_frame: first.frame,
            frame: last.frame,
            at: last.at,
            bhs,
            ahs,
            data,
            digests,
            data_digest_ok,
        })
    }

    /// Digests start with the PDU that follows the last Login Response, in both directions:
    /// until it has that response the initiator has nothing more to say.
    fn follow_login(&mut self, pdu: &Pdu) {
        let done = match pdu.bhs.opcode() {
            Opcode::LOGIN_REQUEST => {
                self.login.request(pdu);
                false
            }
            Opcode::LOGIN_RESPONSE => self.login.response(pdu),
            _ => false,
        };
        if done {
            self.digests = self.login.params.digests;
            self.to_target.framer.set_digests(self.digests);
            self.to_initiator.framer.set_digests(self.digests);
        }
    }

    fn lost(&self, connection: &Connection) -> Vec<Lost> {
        let of = |direction, half: &Half| {
            let len = connection.stream(direction).bytes.len() - half.parsed;
            (len > 0).then_some(Lost {
                direction,
                offset: half.parsed,
                len,
                error: half.error,
            })
        };
        let both = [
            of(Direction::ToTarget, &self.to_target),
            of(Direction::ToInitiator, &self.to_initiator),
        ];
        both.into_iter().flatten().collect()
    }
}

/// What was said in the login so far.
#[derive(Default)]
struct Login {
    requested: Assembler,
    answered: Assembler,
    sent: Vec<(String, String)>,
    params: Params,
    objections: Vec<String>,
}

impl Login {
    /// Notes what is offered. A login never ends with a request.
    fn request(&mut self, pdu: &Pdu) -> bool {
        let Ok(request) = LoginRequest::decode(&pdu.bhs) else {
            return false;
        };
        for (key, value) in gather(&mut self.requested, pdu, request.cont) {
            self.sent.push((key, value));
        }
        false
    }

    /// Notes what is agreed, and whether this is the last of the login.
    fn response(&mut self, pdu: &Pdu) -> bool {
        let Ok(response) = LoginResponse::decode(&pdu.bhs) else {
            return false;
        };
        let answered = gather(&mut self.answered, pdu, response.cont);
        let answered: Vec<_> = answered
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        self.objections
            .extend(keys::adopt(&mut self.params, &self.sent, &answered));
        response.status == LoginStatus::SUCCESS
            && response.transit
            && response.nsg == Stage::FULL_FEATURE
    }
}

/// The pairs of a text, when its last PDU has come; none of one that is malformed.
fn gather(assembler: &mut Assembler, pdu: &Pdu, more: bool) -> Vec<(String, String)> {
    if assembler.push(&pdu.data).is_err() || more {
        return Vec::new();
    }
    let text = assembler.take();
    let pairs = keys::parse(&text).unwrap_or_default();
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}
