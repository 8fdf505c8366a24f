//! The `*_async` calls: handed in at once, however many there are, and answered by a callback on a
//! thread of ours. Bytes to write are copied when
//! the call is made, buffers to read are filled when it is answered, and a handle closed in between
//! gets no answer at all, as with the real library.

use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use glfs_sys::types::{GlfsFd, GlfsStat};

use crate::call::{self, Call, Reply, SyncKind};
use crate::errno::Errno;

use super::boundary::{Piece, bytes, gather, guard, set_errno, unsigned, vector};
use super::data::{self, range};
use super::mount::{self, OpenFile};

/// `glfs_io_cbk`.
type Callback = unsafe extern "C" fn(*mut GlfsFd, isize, *mut GlfsStat, *mut GlfsStat, *mut c_void);

/// Whom to tell, and with what.
struct Answer {
    fd: *mut GlfsFd,
    callback: Option<Callback>,
    data: *mut c_void,
}

// SAFETY: the pointers are handed back to the caller, never followed here; the callback may run on
// any thread, by libgfapi's contract.
unsafe impl Send for Answer {}

type Job = Box<dyn FnOnce() + Send>;

/// As many as a client with default settings has.
const THREADS: usize = 4;

fn queue() -> Result<&'static Sender<Job>, Errno> {
    static QUEUE: OnceLock<Option<Sender<Job>>> = OnceLock::new();
    let queue = QUEUE.get_or_init(|| {
        let (sender, receiver) = channel::<Job>();
        let receiver = Arc::new(Mutex::new(receiver));
        for index in 0..THREADS {
            let receiver = Arc::clone(&receiver);
            let thread = thread::Builder::new().name(format!("glfs_epoll{index:03}"));
            let work = move || {
                loop {
                    let job = receiver
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .recv();
                    let Ok(job) = job else { return };
                    // A job that panics has told EIO already; the thread goes on.
                    let _told = catch_unwind(AssertUnwindSafe(job));
                }
            };
            thread.spawn(work).ok()?;
        }
        Some(sender)
    });
    queue.as_ref().ok_or(Errno::EAGAIN)
}

impl Answer {
    /// Hands the call in; another thread tells how it went, and how much of it.
    fn submit(
        self,
        call: impl FnOnce(&OpenFile) -> Result<Call, Errno>,
        done: impl FnOnce(&Reply) -> Result<usize, Errno> + Send + 'static,
    ) -> c_int {
        guard(|| {
            let file = mount::file(self.fd)?;
            let (call, queue) = (call(&file)?, queue()?);
            let live = file.live.clone();
            let then = move |answer: call::Answer| {
                let job = move || {
                    let done = catch_unwind(AssertUnwindSafe(|| done(&answer?)));
                    self.tell(done.unwrap_or(Err(Errno::EIO)));
                };
                // Its threads live as long as the process.
                let _ = queue.send(Box::new(job));
            };
            live.door.submit(live.client, call, Box::new(then));
            Ok(0)
        })
    }

    fn tell(self, done: Result<usize, Errno>) {
        let Some(callback) = self.callback.filter(|_| mount::file(self.fd).is_ok()) else {
            return;
        };
        // The mask is zero: nothing is known, as after an answer of write-behind.
        let (mut before, mut after) = (GlfsStat::default(), GlfsStat::default());
        let ret = match done {
            Ok(done) => done as isize,
            Err(errno) => {
                set_errno(errno);
                -1
            }
        };
        // SAFETY: the caller's function, of the type its prototype asks for; both stats live on
        // this stack until it returns.
        unsafe { callback(self.fd, ret, &raw mut before, &raw mut after, self.data) }
    }
}

fn read(answer: Answer, at: Result<u64, Errno>, pieces: Result<Vec<Piece>, Errno>) -> c_int {
    guard(|| {
        let (at, pieces) = (at?, pieces?);
        let len = data::total(&pieces);
        let done = move |reply: &Reply| {
            let pieces = pieces;
            data::read(reply, &pieces)
        };
        Ok(answer.submit(|file| file.read_call(at, len), done))
    })
}

fn write(
    answer: Answer,
    at: Result<u64, Errno>,
    whole: Result<Vec<u8>, Errno>,
    flags: c_int,
) -> c_int {
    guard(|| {
        let (at, whole) = (at?, whole?);
        Ok(answer.submit(|file| file.write_call(at, whole, flags), data::count))
    })
}

fn sync(answer: Answer, kind: SyncKind) -> c_int {
    let call = |file: &OpenFile| {
        let handle = file.handle()?;
        Ok(Call::Sync { handle, kind })
    };
    answer.submit(call, data::count)
}

/// The offset of a call that has none, which moves by what is asked for.
fn advance(fd: *mut GlfsFd, len: usize) -> Result<u64, Errno> {
    let file = mount::file(fd)?;
    let mut position = file.position.lock().map_err(|_| Errno::EIO)?;
    let at = *position;
    *position += len as u64;
    Ok(at)
}

fn total(pieces: &Result<Vec<Piece>, Errno>) -> usize {
    pieces.as_deref().map_or(0, data::total)
}

/// An exported call: its own arguments, then what all of them have.
macro_rules! asynchronous {
    ($(fn $name:ident($fd:ident, $answer:ident $(, $arg:ident: $type:ty)*) $body:block)*) => {$(
        #[unsafe(no_mangle)]
        pub(super) extern "C" fn $name(
            $fd: *mut GlfsFd, $($arg: $type,)* callback: Option<Callback>, data: *mut c_void,
        ) -> c_int {
            let $answer = Answer { fd: $fd, callback, data };
            $body
        }
    )*};
}

asynchronous! {
    fn glfs_pread_async(
        fd, answer, buffer: *mut c_void, count: usize, offset: i64, _flags: c_int
    ) {
        read(answer, unsigned(offset), Ok(vec![Piece(buffer, count)]))
    }

    fn glfs_preadv_async(
        fd, answer, iov: *const libc::iovec, count: c_int, offset: i64, _flags: c_int
    ) {
        read(answer, unsigned(offset), vector(iov, count))
    }

    fn glfs_read_async(fd, answer, buffer: *mut c_void, count: usize, _flags: c_int) {
        read(answer, advance(fd, count), Ok(vec![Piece(buffer, count)]))
    }

    fn glfs_readv_async(fd, answer, iov: *const libc::iovec, count: c_int, _flags: c_int) {
        let pieces = vector(iov, count);
        read(answer, advance(fd, total(&pieces)), pieces)
    }

    fn glfs_pwrite_async(
        fd, answer, buffer: *const c_void, count: c_int, offset: i64, flags: c_int
    ) {
        let whole = usize::try_from(count).map_err(|_| Errno::EINVAL);
        let whole = whole.and_then(|len| bytes(buffer, len).map(<[u8]>::to_vec));
        write(answer, unsigned(offset), whole, flags)
    }

    fn glfs_pwritev_async(
        fd, answer, iov: *const libc::iovec, count: c_int, offset: i64, flags: c_int
    ) {
        write(answer, unsigned(offset), vector(iov, count).and_then(|all| gather(&all)), flags)
    }

    fn glfs_write_async(fd, answer, buffer: *const c_void, count: usize, flags: c_int) {
        let whole = bytes(buffer, count).map(<[u8]>::to_vec);
        write(answer, advance(fd, count), whole, flags)
    }

    fn glfs_writev_async(fd, answer, iov: *const libc::iovec, count: c_int, flags: c_int) {
        let pieces = vector(iov, count);
        write(answer, advance(fd, total(&pieces)), pieces.and_then(|all| gather(&all)), flags)
    }

    fn glfs_fsync_async(fd, answer) { sync(answer, SyncKind::All) }

    fn glfs_fdatasync_async(fd, answer) { sync(answer, SyncKind::Data) }

    fn glfs_ftruncate_async(fd, answer, length: i64) {
        let call = |file: &OpenFile| {
            let (place, size) = (file.place(), unsigned(length)?);
            Ok(Call::Truncate { place, size })
        };
        answer.submit(call, data::count)
    }

    fn glfs_discard_async(fd, answer, offset: i64, len: usize) {
        let call = |file: &OpenFile| {
            let (handle, range) = (file.handle()?, range(offset, len as u64)?);
            Ok(Call::Discard { handle, range })
        };
        answer.submit(call, data::count)
    }

    fn glfs_zerofill_async(fd, answer, offset: i64, len: i64) {
        let call = |file: &OpenFile| {
            let (handle, range) = (file.handle()?, range(offset, unsigned(len)?)?);
            Ok(Call::Zerofill { handle, range })
        };
        answer.submit(call, data::count)
    }
}
