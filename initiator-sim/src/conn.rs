//! One TCP connection at PDU level. It has no opinion: it sends what it is told and shows what
//! comes.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use iscsi::{Bhs, Data, Digests, Framer, Malformed, Outbox, Payload, Request, Response};
use tokio::io::Interest;
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::time::{Instant, timeout, timeout_at};

pub use crate::machine::Header;
use crate::machine::{Outgoing, PduSink};
use crate::observe::{Flow, Observer, Seen};

/// The largest data segment we are ready to read: all that 24 bits can say.
const DATA_SEGMENT_MAX: u32 = 0x00ff_ffff;
/// Bytes received and not yet asked for, above which sending parses them out of the way.
const UNPARSED_MAX: usize = 64 * 1024;

/// How a connection is made.
#[derive(Clone)]
pub struct ConnOptions {
    /// The longest any single wait may take.
    pub timeout: Duration,
    /// Is shown every PDU.
    pub observer: Option<Arc<dyn Observer>>,
    /// Size of the receive buffer.
    pub receive_bytes: usize,
}

impl Default for ConnOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            observer: None,
            receive_bytes: 256 * 1024,
        }
    }
}

/// What ends a conversation.
#[derive(Debug, thiserror::Error)]
pub enum ConnError {
    /// Nothing came, or nothing could be sent, in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The peer closed the connection (FIN).
    #[error("closed by the peer")]
    Closed,
    /// The connection should have been closed and is not.
    #[error("still open after {0:?}")]
    StillOpen(Duration),
    /// The peer sent something that is not a PDU for an initiator.
    #[error("malformed PDU: {0}")]
    Malformed(#[from] Malformed),
    /// The operating system says no; a reset connection is one of these.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl ConnError {
    /// Is the connection gone, by FIN, RST or otherwise?
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Closed | Self::Io(_))
    }
}

/// A PDU from the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The header as it came.
    pub bhs: Bhs,
    /// What it means.
    pub response: Response,
    /// The counters of the header.
    pub header: Header,
    /// The data segment.
    pub data: Vec<u8>,
    /// The data digest, if there was one, fits.
    pub data_digest_ok: bool,
}

/// Which digest to spoil.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CorruptDigest {
    /// The header digest.
    Header,
    /// The data digest; without data there is none.
    Data,
}

/// A connection.
pub struct Conn {
    stream: TcpStream,
    framer: Framer<Vec<u8>>,
    out: Outgoing,
    inbox: VecDeque<Received>,
    at_end: bool,
    timeout: Duration,
    watch: Watch,
    local: SocketAddr,
    peer: SocketAddr,
}

impl Conn {
    /// Connect with the ordinary options.
    pub async fn connect(addr: impl ToSocketAddrs) -> Result<Self, ConnError> {
        Self::connect_with(addr, &ConnOptions::default()).await
    }

    /// Connect.
    pub async fn connect_with(
        addr: impl ToSocketAddrs,
        options: &ConnOptions,
    ) -> Result<Self, ConnError> {
        let stream = timeout(options.timeout, TcpStream::connect(addr))
            .await
            .map_err(|_| ConnError::Timeout(options.timeout))??;
        stream.set_nodelay(true)?;
        Self::from_stream(stream, options)
    }

    /// Speak over a connection that exists.
    pub fn from_stream(stream: TcpStream, options: &ConnOptions) -> Result<Self, ConnError> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let (local, peer) = (stream.local_addr()?, stream.peer_addr()?);
        if let Some(observer) = &options.observer {
            observer.opened(id, SystemTime::now(), local, peer);
        }
        Ok(Self {
            stream,
            framer: Framer::new(DATA_SEGMENT_MAX, options.receive_bytes),
            out: Outgoing {
                outbox: Outbox::new(),
                digests: Digests::default(),
            },
            inbox: VecDeque::new(),
            at_end: false,
            timeout: options.timeout,
            watch: Watch {
                id,
                observer: options.observer.clone(),
            },
            local,
            peer,
        })
    }

    /// The number observers know this connection by.
    pub fn id(&self) -> u64 {
        self.watch.id
    }

    /// Our address.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The target's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// The longest any single wait may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Change that.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Digests of everything sent and received from now on.
    pub fn set_digests(&mut self, digests: Digests) {
        self.out.digests = digests;
        self.framer.set_digests(digests);
    }

    /// Digests in force.
    pub fn digests(&self) -> Digests {
        self.out.digests
    }

    /// Send one PDU.
    pub async fn send(
        &mut self,
        request: &Request,
        data: impl AsRef<[u8]>,
    ) -> Result<(), ConnError> {
        self.send_bhs(request.encode(), &[], data).await
    }

    /// Send one PDU from its header; the lengths are set to what follows. `ahs` is whole words.
    pub async fn send_bhs(
        &mut self,
        bhs: Bhs,
        ahs: &[u8],
        data: impl AsRef<[u8]>,
    ) -> Result<(), ConnError> {
        self.pdu(bhs, ahs, Bytes::copy_from_slice(data.as_ref()));
        self.flush().await
    }

    /// Send bytes as they are.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> Result<(), ConnError> {
        self.queue_raw(bytes);
        self.flush().await
    }

    /// Send one PDU with a wrong digest. The digest must be switched on.
    pub async fn send_corrupt(
        &mut self,
        request: &Request,
        data: impl AsRef<[u8]>,
        which: CorruptDigest,
    ) -> Result<(), ConnError> {
        let mut bytes = self.encode(request.encode(), &[], data.as_ref());
        let at = match which {
            CorruptDigest::Header => 48,
            CorruptDigest::Data => bytes.len() - 1,
        };
        bytes[at] ^= 0x01;
        self.send_raw(&bytes).await
    }

    /// Queue a PDU for the next [`Conn::flush`]: several then leave in one segment.
    pub fn queue(&mut self, request: &Request, data: impl AsRef<[u8]>) {
        self.pdu(request.encode(), &[], Bytes::copy_from_slice(data.as_ref()));
    }

    /// Queue bytes as they are.
    pub fn queue_raw(&mut self, bytes: &[u8]) {
        if let Some(observer) = &self.watch.observer {
            observer.raw(self.watch.id, SystemTime::now(), bytes);
        }
        self.out.outbox.push_raw(bytes);
    }

    /// The bytes of one PDU, padding and the digests in force included; nothing is sent.
    pub fn encode(&self, bhs: Bhs, ahs: &[u8], data: &[u8]) -> Vec<u8> {
        let mut outbox: Outbox<Bytes> = Outbox::new();
        outbox.push_with_ahs(bhs, ahs, Payload::Inline(data), self.out.digests);
        let mut slices = Vec::new();
        outbox.slices(&mut slices);
        slices
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect()
    }

    /// Send what is queued, reading meanwhile so that neither side waits for the other.
    pub async fn flush(&mut self) -> Result<(), ConnError> {
        let deadline = Instant::now() + self.timeout;
        loop {
            self.write_some()?;
            if self.out.outbox.is_empty() {
                return Ok(());
            }
            let mut interest = Interest::WRITABLE;
            if !self.at_end {
                interest |= Interest::READABLE;
            }
            let ready = timeout_at(deadline, self.stream.ready(interest))
                .await
                .map_err(|_| ConnError::Timeout(self.timeout))??;
            if ready.is_readable() && !self.at_end {
                self.read_some()?;
                while self.framer.unparsed() > UNPARSED_MAX {
                    let Some(received) = self.parse()? else { break };
                    self.inbox.push_back(received);
                }
            }
        }
    }

    /// The next PDU, within the timeout.
    pub async fn recv(&mut self) -> Result<Received, ConnError> {
        self.recv_timeout(self.timeout).await
    }

    /// The next PDU, within `within`.
    pub async fn recv_timeout(&mut self, within: Duration) -> Result<Received, ConnError> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(received) = self.inbox.pop_front() {
                return Ok(received);
            }
            if let Some(received) = self.parse()? {
                return Ok(received);
            }
            if self.at_end {
                return Err(ConnError::Closed);
            }
            timeout_at(deadline, self.stream.readable())
                .await
                .map_err(|_| ConnError::Timeout(within))??;
            self.read_some()?;
        }
    }

    /// Nothing comes for this long and the connection stays open.
    pub async fn expect_silence(
        &mut self,
        during: Duration,
    ) -> Result<Option<Received>, ConnError> {
        match self.recv_timeout(during).await {
            Ok(received) => Ok(Some(received)),
            Err(ConnError::Timeout(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The target closes (FIN or RST) within `within`; what it sent before is returned.
    pub async fn expect_close(&mut self, within: Duration) -> Result<Vec<Received>, ConnError> {
        let deadline = Instant::now() + within;
        let mut before = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.recv_timeout(left).await {
                Ok(received) => before.push(received),
                Err(ConnError::Timeout(_)) => return Err(ConnError::StillOpen(within)),
                Err(error) if error.is_lost() => return Ok(before),
                Err(error) => return Err(error),
            }
        }
    }

    /// Send FIN; the target can still be read.
    pub fn shutdown(&mut self) -> Result<(), ConnError> {
        Ok(socket2::SockRef::from(&self.stream).shutdown(std::net::Shutdown::Write)?)
    }

    /// Send RST and be gone.
    pub fn reset(self) -> Result<(), ConnError> {
        Ok(socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?)
    }

    /// The socket, for its options.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    fn write_some(&mut self) -> Result<(), ConnError> {
        while !self.out.outbox.is_empty() {
            let mut slices: Vec<IoSlice<'_>> = Vec::new();
            self.out.outbox.slices(&mut slices);
            match self.stream.try_write_vectored(&slices) {
                Ok(sent) => {
                    drop(slices);
                    self.out.outbox.advance(sent, drop);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn read_some(&mut self) -> Result<(), ConnError> {
        match self.stream.try_read(self.framer.space()) {
            Ok(0) => self.at_end = true,
            Ok(len) => self.framer.filled(len),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn parse(&mut self) -> Result<Option<Received>, ConnError> {
        let digests = self.out.digests;
        let Some(frame) = self.framer.next(|_| None)? else {
            return Ok(None);
        };
        let data = match &frame.data {
            Data::Inline(bytes) => bytes.to_vec(),
            Data::Placed { buffer, at, len } => buffer[*at..*at + *len].to_vec(),
        };
        if let Some(observer) = &self.watch.observer {
            observer.pdu(&Seen {
                conn: self.watch.id,
                flow: Flow::Received,
                at: SystemTime::now(),
                bhs: &frame.bhs,
                ahs: frame.ahs,
                data: &data,
                digests,
            });
        }
        Ok(Some(Received {
            bhs: frame.bhs,
            response: Response::decode(&frame.bhs)?,
            header: Header::of(&frame.bhs),
            data,
            data_digest_ok: frame.data_digest_ok,
        }))
    }

    /// Take the connection apart: the socket, and the framer with what is received and not read.
    pub(crate) fn into_parts(self) -> io::Result<(std::net::TcpStream, Framer<Vec<u8>>, Digests)> {
        let stream = self.stream.into_std()?;
        Ok((stream, self.framer, self.out.digests))
    }
}

/// Tells the observer when the connection is over, however that comes about.
struct Watch {
    id: u64,
    observer: Option<Arc<dyn Observer>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(observer) = &self.observer {
            observer.closed(self.id, SystemTime::now());
        }
    }
}

impl PduSink for Conn {
    fn pdu(&mut self, mut bhs: Bhs, ahs: &[u8], data: Bytes) {
        bhs.set_data_segment_len(u32::try_from(data.len()).expect("a data segment is short"));
        bhs.set_total_ahs_words(u8::try_from(ahs.len() / 4).expect("an AHS is short"));
        if let Some(observer) = &self.watch.observer {
            observer.pdu(&Seen {
                conn: self.watch.id,
                flow: Flow::Sent,
                at: SystemTime::now(),
                bhs: &bhs,
                ahs,
                data: &data,
                digests: self.out.digests,
            });
        }
        self.out.pdu(bhs, ahs, data);
    }
}
