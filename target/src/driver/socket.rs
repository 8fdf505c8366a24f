//! One TCP connection and what is to be sent on it.
//!
//! Knows bytes, not PDUs' meaning. Reads go straight into the caller's memory, writes straight out
//! of storage buffers.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use block::Slice;
use engine::limits::CLOSE_WAIT;
use engine::{Body, ConnId, Moment};
use iscsi::{Bhs, Digests, Outbox, Payload};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

pub(super) struct Socket {
    pub(super) conn: ConnId,
    pub(super) peer: SocketAddr,
    stream: TcpStream,
    outbox: Outbox<Slice>,
    /// Reused from write to write; empty in between.
    slices: Vec<IoSlice<'static>>,
    /// Once set, nothing is read any more, and what is queued must be out by then.
    closing: Option<Moment>,
    /// Bytes the peer may leave unread before it counts as gone.
    outbox_max: usize,
    overflowed: bool,
}

/// What a read brought.
pub(super) enum Got {
    Bytes(usize),
    /// The peer closed, or the connection broke.
    End,
}

impl Socket {
    pub(super) fn new(
        conn: ConnId,
        stream: TcpStream,
        peer: SocketAddr,
        session_memory_bytes: usize,
    ) -> Self {
        Self {
            conn,
            peer,
            stream,
            outbox: Outbox::new(),
            slices: Vec::new(),
            closing: None,
            outbox_max: outbox_max(session_memory_bytes),
            overflowed: false,
        }
    }

    /// The session it ended up with may have other limits than those it was accepted under.
    pub(super) fn belongs_to(&mut self, session_memory_bytes: usize) {
        self.outbox_max = outbox_max(session_memory_bytes);
    }

    /// Queues a PDU. A payload that can no longer be sent is given back.
    pub(super) fn push(&mut self, bhs: Bhs, body: Body, digests: Digests) -> Option<Slice> {
        if self.closing.is_some() || self.overflowed {
            return match body {
                Body::Shared(slice) => Some(slice),
                Body::Inline(_) | Body::Empty => None,
            };
        }
        match body {
            Body::Empty => self.outbox.push(bhs, Payload::None, digests),
            Body::Inline(bytes) => self.outbox.push(bhs, Payload::Inline(&bytes), digests),
            Body::Shared(slice) => self.outbox.push(bhs, Payload::Shared(slice), digests),
        }
        self.overflowed = self.outbox.len() > self.outbox_max;
        None
    }

    /// Whether the peer left more unread than anybody honest would.
    pub(super) fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// Reads nothing more; what is queued is sent until `now` plus [`CLOSE_WAIT`].
    pub(super) fn close(&mut self, now: Moment) {
        self.closing.get_or_insert(now.plus(CLOSE_WAIT));
    }

    /// By when a closing connection is given up.
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.closing
    }

    pub(super) fn is_open(&self) -> bool {
        self.closing.is_none()
    }

    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, space: &mut [u8]) -> Poll<Got> {
        let mut buffer = ReadBuf::new(space);
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
        Poll::Ready(match (result, buffer.filled().len()) {
            (Ok(()), bytes @ 1..) => Got::Bytes(bytes),
            _ => Got::End,
        })
    }

    /// Sends as much as goes. Payloads that are out go to `done`.
    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        mut done: impl FnMut(Slice),
    ) -> io::Result<()> {
        while !self.outbox.is_empty() {
            let mut slices = recycle(std::mem::take(&mut self.slices));
            self.outbox.slices(&mut slices);
            let sent = Pin::new(&mut self.stream).poll_write_vectored(cx, &slices);
            self.slices = recycle(slices);
            match sent {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(bytes)) => self.outbox.advance(bytes, &mut done),
                Poll::Ready(Err(why)) => return Err(why),
                Poll::Pending => break,
            }
        }
        Ok(())
    }

    /// Whether a closing connection has nothing left to wait for.
    pub(super) fn is_done(&self, now: Moment) -> bool {
        self.closing
            .is_some_and(|until| self.outbox.is_empty() || now >= until)
    }

    /// Gives up what was not sent; its payloads go to `done`.
    pub(super) fn discard(&mut self, done: impl FnMut(Slice)) {
        self.outbox.advance(self.outbox.len(), done);
    }

    /// Lets go of the connection so that the peer still gets what was sent: closing a socket with
    /// unread bytes would reset it, and the peer's system may then drop our last answer.
    ///
    /// Payloads that were not sent in time go to `done`; then there is nothing left to wait for.
    pub(super) fn finish(mut self, done: impl FnMut(Slice)) {
        if !self.outbox.is_empty() {
            return self.discard(done);
        }
        if let Ok(place) = LINGERING.try_acquire() {
            tokio::spawn(async move {
                tokio::time::timeout(LINGER_WAIT, linger(self.stream))
                    .await
                    .ok();
                drop(place);
            });
        }
    }
}

/// All of a session's buffers, and as much again in small PDUs as 8 MiB can hold.
fn outbox_max(session_memory_bytes: usize) -> usize {
    session_memory_bytes + (8 << 20)
}

/// Connections whose last bytes may still be on their way. Beyond that they are just closed.
static LINGERING: Semaphore = Semaphore::const_new(512);

/// How long one of them may take.
const LINGER_WAIT: Duration = Duration::from_secs(1);

async fn linger(mut stream: TcpStream) {
    let shut = std::future::poll_fn(|cx| Pin::new(&mut stream).poll_shutdown(cx)).await;
    let mut nobody_reads = [0; 4096];
    while shut.is_ok() && matches!(stream.read(&mut nobody_reads).await, Ok(1..)) {}
}

/// The same allocation for slices of another lifetime.
fn recycle<'b>(mut slices: Vec<IoSlice<'_>>) -> Vec<IoSlice<'b>> {
    slices.clear();
    slices.into_iter().map(|_| IoSlice::new(&[])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_keep_their_allocation() {
        let mut slices: Vec<IoSlice<'static>> = Vec::with_capacity(64);
        let bytes = [1_u8, 2];
        let address = slices.as_ptr().addr();
        slices.push(IoSlice::new(&[]));
        let mut again = recycle(slices);
        again.push(IoSlice::new(&bytes));
        assert_eq!((again.as_ptr().addr(), again.capacity()), (address, 64));
    }
}
