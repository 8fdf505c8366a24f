//! A conversation, recorded: a proxy on loopback that passes bytes on and writes them down as TCP
//! segments, for Wireshark's dissectors. No privileges, no lost packets, no guessing at checksums.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// The port the recorded target seems to listen on: Wireshark knows it for iSCSI.
const ISCSI_PORT: u16 = 3260;

/// Link type LINKTYPE_RAW: packets begin with their IP header.
const LINKTYPE_RAW: u32 = 101;

/// Well below what an IPv4 length field holds.
const SEGMENT_MAX: usize = 32 * 1024;

/// Listens in front of `target` for good and records what passes; gives the address to talk to.
pub(crate) fn record(target: &str, file: &Path) -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let capture = Arc::new(Mutex::new(Capture::create(file)?));
    let target = target.to_owned();
    thread::spawn(move || {
        for (client_port, client) in (50_000..).zip(listener.incoming().map_while(Result::ok)) {
            // A target that does not answer shows as a closed connection, which the test sees.
            if let Ok(server) = TcpStream::connect(&target) {
                let _ = pass_both_ways(client, server, client_port, &capture);
            }
        }
    });
    Ok(address)
}

fn pass_both_ways(
    client: TcpStream,
    server: TcpStream,
    client_port: u16,
    capture: &Arc<Mutex<Capture>>,
) -> io::Result<()> {
    let flow = Arc::new(Mutex::new(Flow {
        client_port,
        sequence: [1, 1],
    }));
    lock(capture).handshake(client_port)?;
    let directions = [
        (Side::Client, client.try_clone()?, server.try_clone()?),
        (Side::Server, server, client),
    ];
    for (side, from, to) in directions {
        let (flow, capture) = (Arc::clone(&flow), Arc::clone(capture));
        thread::spawn(move || pass(side, from, to, &flow, &capture));
    }
    Ok(())
}

/// Until one side closes; what was received is recorded before it is passed on, so that an answer
/// is never recorded ahead of its question.
fn pass(
    side: Side,
    mut from: TcpStream,
    mut to: TcpStream,
    flow: &Mutex<Flow>,
    capture: &Mutex<Capture>,
) -> io::Result<()> {
    let mut buffer = vec![0; SEGMENT_MAX];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return to.shutdown(std::net::Shutdown::Write);
        }
        lock(capture).data(&mut lock(flow), side, &buffer[..count])?;
        to.write_all(&buffer[..count])?;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

/// One TCP connection as recorded: how many bytes each side has sent, plus its SYN.
struct Flow {
    client_port: u16,
    sequence: [u32; 2],
}

struct Capture {
    file: BufWriter<File>,
    microseconds: u32,
}

impl Capture {
    const SYN: u8 = 0x02;
    const ACK: u8 = 0x10;
    const PUSH: u8 = 0x08;

    fn create(path: &Path) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(&0xa1b2_c3d4_u32.to_le_bytes())?;
        for version in [2_u16, 4] {
            file.write_all(&version.to_le_bytes())?;
        }
        for word in [0, 0, 0x4_0000, LINKTYPE_RAW] {
            file.write_all(&word.to_le_bytes())?;
        }
        Ok(Self {
            file,
            microseconds: 0,
        })
    }

    fn handshake(&mut self, client: u16) -> io::Result<()> {
        self.packet(client, ISCSI_PORT, (0, 0), Self::SYN, &[])?;
        self.packet(ISCSI_PORT, client, (0, 1), Self::SYN | Self::ACK, &[])?;
        self.packet(client, ISCSI_PORT, (1, 1), Self::ACK, &[])
    }

    fn data(&mut self, flow: &mut Flow, side: Side, bytes: &[u8]) -> io::Result<()> {
        let (from, to, ours, theirs) = match side {
            Side::Client => (flow.client_port, ISCSI_PORT, 0, 1),
            Side::Server => (ISCSI_PORT, flow.client_port, 1, 0),
        };
        let numbers = (flow.sequence[ours], flow.sequence[theirs]);
        self.packet(from, to, numbers, Self::PUSH | Self::ACK, bytes)?;
        let count = u32::try_from(bytes.len()).expect("a segment is small");
        flow.sequence[ours] = flow.sequence[ours].wrapping_add(count);
        Ok(())
    }

    fn packet(
        &mut self,
        from: u16,
        to: u16,
        (sequence, acknowledged): (u32, u32),
        flags: u8,
        payload: &[u8],
    ) -> io::Result<()> {
        let total = u16::try_from(40 + payload.len()).expect("a segment is small");
        self.microseconds += 1;
        for word in [0, self.microseconds, u32::from(total), u32::from(total)] {
            self.file.write_all(&word.to_le_bytes())?;
        }
        let mut header = vec![0x45, 0];
        header.extend(total.to_be_bytes());
        // Identification, no fragments, TTL, TCP, no checksum (Wireshark does not mind by default).
        header.extend([0, 0, 0x40, 0, 64, 6, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
        header.extend(from.to_be_bytes());
        header.extend(to.to_be_bytes());
        header.extend(sequence.to_be_bytes());
        header.extend(acknowledged.to_be_bytes());
        header.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        self.file.write_all(&header)?;
        self.file.write_all(payload)?;
        self.file.flush()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
