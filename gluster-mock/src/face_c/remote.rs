//! A volume at the cluster's server: one connection a mount, many calls in flight on it.

use std::collections::BTreeMap;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::call::{Answer, Call, ClientId, Reply};
use crate::errno::Errno;
use crate::serve::folder;
use crate::serve::hosted::Then;
use crate::serve::wire::{self, Hello, Purpose, Request, Response, What};

use super::door::Door;

/// The connection. Dropped, it is closed.
pub(super) struct Remote {
    line: Arc<Line>,
    writer: Mutex<UnixStream>,
    next: AtomicU64,
}

struct Line {
    stream: UnixStream,
    /// Whom the answers are for; `None` when there will be no more.
    waiting: Mutex<Option<BTreeMap<u64, Then>>>,
}

impl Remote {
    /// Mounts at the server of that cluster, where one is alive.
    pub(super) fn connect(cluster: &Path, volume: &str) -> Result<Option<Self>, Errno> {
        let Ok(stream) = UnixStream::connect(cluster.join(wire::SOCKET)) else {
            return Ok(None);
        };
        let open = |mut stream: UnixStream| -> io::Result<Self> {
            let purpose = Purpose::Mount(volume.to_owned());
            wire::send(&mut stream, &Hello::new(purpose))?;
            let line = Arc::new(Line {
                stream: stream.try_clone()?,
                waiting: Mutex::new(Some(BTreeMap::new())),
            });
            let (hearer, reader) = (Arc::clone(&line), stream.try_clone()?);
            let thread = thread::Builder::new().name("glfs_rpc".to_owned());
            thread.spawn(move || hearer.hear(reader))?;
            Ok(Self {
                line,
                writer: Mutex::new(stream),
                next: AtomicU64::new(0),
            })
        };
        match open(stream) {
            Ok(remote) => Ok(Some(remote)),
            Err(error) => {
                folder::complain(cluster, wire::SOCKET, &error.to_string());
                Err(Errno::ENOTCONN)
            }
        }
    }

    fn ask(&self, what: What, then: Then) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let Ok(frame) = wire::frame(&Request { id, what }) else {
            return then(Err(Errno::EINVAL));
        };
        match &mut *self.line.waiting() {
            Some(waiting) => drop(waiting.insert(id, then)),
            None => return then(Err(Errno::ENOTCONN)),
        }
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if io::Write::write_all(&mut *writer, &frame).is_err() {
            self.line.end();
        }
    }
}

impl Door for Remote {
    fn submit(&self, _client: ClientId, call: Call, then: Then) {
        // The server knows who this is by the connection.
        self.ask(What::Call(call), then);
    }

    fn describe(&self) -> Result<String, Errno> {
        let (tell, told) = sync_channel(1);
        let then = move |answer: Answer| {
            // Whoever asked is below, waiting.
            let _ = tell.send(answer);
        };
        self.ask(What::Describe, Box::new(then));
        match told.recv().unwrap_or(Err(Errno::EIO))? {
            Reply::Bytes(text) => String::from_utf8(text).map_err(|_| Errno::EIO),
            _ => Err(Errno::EIO),
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.line.end();
    }
}

impl Line {
    fn waiting(&self) -> MutexGuard<'_, Option<BTreeMap<u64, Then>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands answers out until the server hangs up, or talks nonsense.
    fn hear(&self, stream: UnixStream) {
        let mut stream = io::BufReader::new(stream);
        while let Ok(Response { id, answer }) = wire::receive(&mut stream) {
            let then = self.waiting().as_mut().and_then(|all| all.remove(&id));
            if let Some(then) = then {
                then(answer);
            }
        }
        self.end();
    }

    /// Nothing more is said; whoever waits is told so.
    fn end(&self) {
        // It fails only where the server was quicker.
        let _ = self.stream.shutdown(Shutdown::Both);
        let waiting = self.waiting().take();
        for then in waiting.into_iter().flat_map(BTreeMap::into_values) {
            then(Err(Errno::ENOTCONN));
        }
    }
}
