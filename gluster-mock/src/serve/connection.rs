//! One connection: a mount with its calls, or one order. What a peer says is believed to be anything;
//! nonsense ends its connection and nothing else.

use std::io::{BufReader, Write};
use std::net::Shutdown;
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::call::{Answer, Call, ClientId, Reply};
use crate::command::{Command, Stop};
use crate::errno::Errno;

use super::server::{Cluster, Served};
use super::wire::{self, Hello, Purpose, Request, Response, What};

/// Serves a connection to its end.
pub(super) fn serve(cluster: &Cluster, stream: UnixStream) {
    let Ok(reader) = stream.try_clone() else {
        return;
    };
    let mut reader = BufReader::new(reader);
    match Hello::receive(&mut reader) {
        Ok(Purpose::Mount(volume)) => mount(cluster, volume, stream, reader),
        Ok(Purpose::Control(order)) => {
            // Whoever does not listen to the answer does not want it.
            let _ = wire::send(&mut &stream, &cluster.obey(&order));
        }
        Err(_) => {}
    }
}

fn mount(cluster: &Cluster, volume: String, stream: UnixStream, mut reader: BufReader<UnixStream>) {
    let (say, said) = channel();
    let Ok(speaker) = stream.try_clone() else {
        return;
    };
    let thread = thread::Builder::new().name("answers".to_owned());
    if thread.spawn(move || speak(speaker, said)).is_err() {
        return;
    }
    let session = Arc::new(Session {
        volume,
        stream,
        say,
        member: Mutex::new(Member::Nobody),
    });
    while let Ok(request) = wire::receive(&mut reader) {
        session.take(cluster, request);
    }
    session.end();
}

/// Says what is to be said until there is nobody to say it, or to hear it.
fn speak(mut stream: UnixStream, said: Receiver<Vec<u8>>) {
    while let Ok(frame) = said.recv() {
        if stream.write_all(&frame).is_err() {
            break;
        }
    }
    // It fails only where the client was quicker.
    let _ = stream.shutdown(Shutdown::Both);
}

/// A `glfs_t` from the other side.
struct Session {
    volume: String,
    stream: UnixStream,
    say: Sender<Vec<u8>>,
    member: Mutex<Member>,
}

/// Who the peer is.
enum Member {
    /// It has not called `glfs_init`, or that failed.
    Nobody,
    /// `glfs_init` is in flight.
    Coming,
    Client(Arc<Served>, ClientId),
    /// `glfs_fini` was called, or the connection has ended.
    Gone,
}

impl Session {
    fn member(&self) -> MutexGuard<'_, Member> {
        self.member.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, id: u64, answer: Answer) {
        if let Ok(frame) = wire::frame(&Response { id, answer }) {
            // Nobody hears it: then the connection has ended.
            let _ = self.say.send(frame);
        }
    }

    fn take(self: &Arc<Self>, cluster: &Cluster, Request { id, what }: Request) {
        let done = match what {
            What::Call(Call::Init { options }) => self.init(cluster, id, options),
            What::Call(call) => self.call(id, call),
            What::Describe => self.describe().map(|text| self.tell(id, Ok(text))),
        };
        if let Err(errno) = done {
            self.tell(id, Err(errno));
        }
    }

    fn describe(&self) -> Result<Reply, Errno> {
        let Member::Client(served, _) = &*self.member() else {
            return Err(Errno::ENOTCONN);
        };
        let text = served.hosted.describe(&self.volume)?;
        Ok(Reply::Bytes(text.into_bytes()))
    }

    fn init(
        self: &Arc<Self>,
        cluster: &Cluster,
        id: u64,
        options: Vec<[String; 3]>,
    ) -> Result<(), Errno> {
        cluster.ask_daemon()?;
        let served = cluster.volume(&self.volume)?;
        if served.is_stopped() {
            // No brick has a port that could be told.
            return Err(Errno::EIO);
        }
        match &mut *self.member() {
            member @ Member::Nobody => *member = Member::Coming,
            _ => return Err(Errno::EINVAL),
        }
        let (session, at) = (Arc::clone(self), Arc::clone(&served));
        let then = move |answer: Answer| {
            session.come(at, &answer);
            session.tell(id, answer);
        };
        let call = Call::Init { options };
        served.hosted.submit(ClientId(0), call, Box::new(then));
        Ok(())
    }

    fn come(&self, served: Arc<Served>, answer: &Answer) {
        let mut member = self.member();
        let Ok(Reply::Client(client)) = *answer else {
            *member = Member::Nobody;
            return;
        };
        match (&*member, self.stream.try_clone()) {
            (Member::Coming, Ok(stream)) => {
                served.enter(client, stream);
                *member = Member::Client(served, client);
            }
            _ => {
                drop(member);
                die(&served, client);
            }
        }
    }

    fn call(self: &Arc<Self>, id: u64, call: Call) -> Result<(), Errno> {
        let mut member = self.member();
        let Member::Client(served, client) = &*member else {
            return Err(Errno::ENOTCONN);
        };
        let (served, client) = (Arc::clone(served), *client);
        check(&call, client)?;
        if call == Call::Fini {
            *member = Member::Gone;
            served.leave(client);
        }
        drop(member);
        let session = Arc::clone(self);
        let then = move |answer| session.tell(id, answer);
        served.hosted.submit(client, call, Box::new(then));
        Ok(())
    }

    /// The peer's process is gone, unless it took its leave.
    fn end(&self) {
        // It fails only where the client was quicker.
        let _ = self.stream.shutdown(Shutdown::Both);
        let member = std::mem::replace(&mut *self.member(), Member::Gone);
        if let Member::Client(served, client) = member {
            served.leave(client);
            die(&served, client);
        }
    }
}

/// What becomes of a client whose process dies.
fn die(served: &Served, client: ClientId) {
    // It fails only for one that is dead already.
    let _ = served
        .hosted
        .command(&Command::PowerCut(Stop::Client(client.0)));
}

/// What libgfapi lets through in one transfer.
const TRANSFER_MAX: usize = 1 << 30;

/// What the C face makes sure of, and a stranger may not.
fn check(call: &Call, client: ClientId) -> Result<(), Errno> {
    if call.handle().is_some_and(|handle| handle.client != client) {
        return Err(Errno::EBADF);
    }
    let paths = match call {
        Call::Link { from, to } | Call::Rename { from, to } => [Some(&**from), Some(&**to)],
        _ => [call.path(), None],
    };
    let at = match call {
        Call::Read { at, len, .. } => end(*at, *len)?,
        Call::Write { at, bytes, .. } => end(*at, bytes.len())?,
        Call::Seek { at, .. } => *at,
        Call::Truncate { size, .. } => *size,
        Call::Discard { range, .. }
        | Call::Zerofill { range, .. }
        | Call::Fallocate { range, .. } => ordered(range)?,
        Call::Lock { lock, .. } if lock.range.end == u64::MAX => lock.range.start,
        Call::Lock { lock, .. } => ordered(&lock.range)?,
        _ => 0,
    };
    let fits = i64::try_from(at).is_ok();
    match fits && paths.into_iter().flatten().all(is_canonical) {
        true => Ok(()),
        false => Err(Errno::EINVAL),
    }
}

fn end(at: u64, len: usize) -> Result<u64, Errno> {
    let end = at.checked_add(len as u64).filter(|_| len <= TRANSFER_MAX);
    end.ok_or(Errno::EINVAL)
}

fn ordered(range: &Range<u64>) -> Result<u64, Errno> {
    let end = (range.start <= range.end).then_some(range.end);
    end.ok_or(Errno::EINVAL)
}

/// An absolute path that leads nowhere but down.
fn is_canonical(path: &str) -> bool {
    let part = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    match path.strip_prefix('/') {
        Some("") => true,
        Some(rest) => rest.split('/').all(part),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Handle, Ino, LockCall, LockType, LockVerb};

    fn handle(client: u32) -> Handle {
        Handle {
            id: 1,
            client: ClientId(client),
            file: Ino(1),
            sync: false,
            direct: false,
            readable: true,
            writable: true,
        }
    }

    #[test]
    fn what_no_face_would_say_is_refused() {
        let check = |call: Call| super::check(&call, ClientId(1));
        let path = |path: &str| Call::Unlink {
            path: path.to_owned(),
        };
        for good in ["/", "/a", "/a/..b"] {
            assert_eq!(check(path(good)), Ok(()), "{good}");
        }
        for bad in ["", "a", "/..", "/a/../b", "//", "/a/", "/a\0"] {
            assert_eq!(check(path(bad)), Err(Errno::EINVAL), "{bad}");
        }
        let rename = Call::Rename {
            from: "/a".to_owned(),
            to: "/../a".to_owned(),
        };
        assert_eq!(check(rename), Err(Errno::EINVAL));
        let read = |client, at, len| Call::Read {
            handle: handle(client),
            at,
            len,
        };
        assert_eq!(check(read(1, 0, 4096)), Ok(()));
        assert_eq!(check(read(2, 0, 4096)), Err(Errno::EBADF));
        assert_eq!(check(read(1, 0, usize::MAX)), Err(Errno::EINVAL));
        assert_eq!(check(read(1, u64::MAX, 1)), Err(Errno::EINVAL));
        let lock = |range| Call::Lock {
            handle: handle(1),
            lock: LockCall {
                verb: LockVerb::Set,
                kind: LockType::Write,
                range,
                mandatory: true,
                owner: None,
            },
        };
        assert_eq!(check(lock(0..u64::MAX)), Ok(()));
        #[allow(clippy::reversed_empty_ranges)]
        let backwards = lock(9..8);
        assert_eq!(check(backwards), Err(Errno::EINVAL));
        assert_eq!(check(lock(u64::MAX..u64::MAX)), Err(Errno::EINVAL));
    }
}
