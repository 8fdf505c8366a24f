//! The recorder: keeps every conversation and writes it as pcapng with TCP framing made up around
//! it, so that Wireshark opens it and everything here that reads captures does.
//!
//! What was sent is what left; what was received is put together again from its parts, so a digest
//! the target got wrong is not seen here (the connection that received it complains).

mod frame;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use initiator_sim::{Flow, Observer, Seen};
use iscsi::{Bhs, Digests, digest};
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::{PcapNgBlock, PcapNgWriter};
use pcap_file::{DataLink, PcapError};

use frame::Wire;

/// Data kept per recording; what comes after it is not recorded.
const RECORDING_BYTES_MAX: usize = 128 << 20;
/// Timestamps count nanoseconds: if_tsresol of pcapng.
const NANOSECONDS: u8 = 9;

/// Something that happened on a connection.
#[derive(Clone, Debug)]
pub struct Event {
    /// Which connection.
    pub conn: u64,
    /// When.
    pub at: SystemTime,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum What {
    /// The connection was made.
    Opened {
        /// The initiator's end.
        local: SocketAddr,
        /// The target's end.
        peer: SocketAddr,
    },
    /// A PDU went by.
    Pdu(Pdu),
    /// Bytes left that were not built as a PDU.
    Raw(Vec<u8>),
    /// The connection ended.
    Closed,
}

/// A PDU that went by.
#[derive(Clone, Debug)]
pub struct Pdu {
    /// Which way.
    pub flow: Flow,
    /// Its header.
    pub bhs: Bhs,
    /// Its additional header segments.
    pub ahs: Vec<u8>,
    /// Its data segment.
    pub data: Vec<u8>,
    /// Which digests it had.
    pub digests: Digests,
}

/// Keeps what it is shown.
#[derive(Debug, Default)]
pub struct Recorder {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    events: Vec<Event>,
    bytes: usize,
}

impl Recorder {
    /// A recorder that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was recorded so far; the recorder starts anew.
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.state()).events
    }

    fn keep(&self, conn: u64, at: SystemTime, bytes: usize, what: impl FnOnce() -> What) {
        let mut state = self.state();
        state.bytes = state.bytes.saturating_add(bytes);
        if state.bytes <= RECORDING_BYTES_MAX {
            state.events.push(Event {
                conn,
                at,
                what: what(),
            });
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Recorder {
    fn opened(&self, conn: u64, at: SystemTime, local: SocketAddr, peer: SocketAddr) {
        self.keep(conn, at, 0, || What::Opened { local, peer });
    }

    fn pdu(&self, seen: &Seen<'_>) {
        self.keep(seen.conn, seen.at, seen.data.len(), || {
            What::Pdu(Pdu {
                flow: seen.flow,
                bhs: *seen.bhs,
                ahs: seen.ahs.to_vec(),
                data: seen.data.to_vec(),
                digests: seen.digests,
            })
        });
    }

    fn raw(&self, conn: u64, at: SystemTime, bytes: &[u8]) {
        self.keep(conn, at, bytes.len(), || What::Raw(bytes.to_vec()));
    }

    fn closed(&self, conn: u64, at: SystemTime) {
        self.keep(conn, at, 0, || What::Closed);
    }
}

impl Pdu {
    /// The bytes on the wire (RFC 7143 11.2): header segments, digest, data, padding, digest.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes =
            Vec::with_capacity(self.bhs.0.len() + self.ahs.len() + self.data.len() + 12);
        bytes.extend_from_slice(&self.bhs.0);
        bytes.extend_from_slice(&self.ahs);
        if self.digests.header {
            let crc = digest::crc32c(&bytes);
            bytes.extend_from_slice(&digest::to_wire(crc));
        }
        let data_at = bytes.len();
        bytes.extend_from_slice(&self.data);
        bytes.resize(data_at + self.data.len().next_multiple_of(4), 0);
        if self.digests.data && !self.data.is_empty() {
            let crc = digest::crc32c(&bytes[data_at..]);
            bytes.extend_from_slice(&digest::to_wire(crc));
        }
        bytes
    }
}

/// Writes a recording as a pcapng file.
pub fn write_pcapng(path: &Path, events: &[Event]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut out = BufWriter::new(File::create(path)?);
    packets(&mut out, events).map_err(|error| match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other),
    })?;
    out.flush()
}

fn packets(out: &mut impl Write, events: &[Event]) -> Result<(), PcapError> {
    let mut writer = PcapNgWriter::new(out)?;
    let interface = InterfaceDescriptionBlock {
        linktype: DataLink::ETHERNET,
        snaplen: 0,
        options: vec![InterfaceDescriptionOption::IfTsResol(NANOSECONDS)],
    };
    writer.write_block(&interface.into_block())?;
    let mut wires: HashMap<u64, Wire> = HashMap::new();
    for event in events {
        let frames = match &event.what {
            What::Opened { local, peer } => {
                let (wire, handshake) = Wire::open(*local, *peer);
                wires.insert(event.conn, wire);
                handshake
            }
            What::Pdu(pdu) => match wires.get_mut(&event.conn) {
                Some(wire) => wire.carry(pdu.flow, &pdu.bytes()),
                None => continue,
            },
            What::Raw(bytes) => match wires.get_mut(&event.conn) {
                Some(wire) => wire.carry(Flow::Sent, bytes),
                None => continue,
            },
            What::Closed => match wires.remove(&event.conn) {
                Some(wire) => wire.close(),
                None => continue,
            },
        };
        for frame in frames {
            let packet = EnhancedPacketBlock {
                interface_id: 0,
                timestamp: event
                    .at
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or(Duration::ZERO),
                original_len: u32::try_from(frame.len()).expect("a frame is at most 64 KiB"),
                data: Cow::Owned(frame),
                options: Vec::new(),
            };
            writer.write_block(&packet.into_block())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
