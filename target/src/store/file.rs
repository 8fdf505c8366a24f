//! Blocks in a file (or a block device) of this machine, served by a bounded pool of threads.
//!
//! Every worker has a descriptor of its own: the kernel reports a failed write-back once per
//! descriptor, so a shared one would let one write swallow another's error.
//! Invariant: a write that is answered as durable has been synced by an operation that started
//! after it; a failed flush stays failed.

mod durability;
mod errno;
mod image;
mod space;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use block::{Caps, Completion, Fault, Op, Ticket};
use rustix::io::{Errno, ReadWriteFlags};

use super::pending::Pending;
use super::{OpenError, Settings, Store, caps};
use crate::inbox::Completions;

use durability::Durability;
use errno::fault;
use image::Image;

/// Reads up to this size are tried without waiting, on the session's own thread: copying more out
/// of the page cache would hold up its other commands longer than a hand-over costs.
const READ_NOW_BYTES_MAX: usize = 64 << 10;

/// An image in a file.
pub struct FileStore {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

struct Shared {
    caps: Caps,
    file: File,
    durability: Durability,
    /// Whether a write can be made durable by itself (RWF_DSYNC).
    dsync: bool,
    /// Whether this file system answers RWF_NOWAIT; found out by trying.
    read_now: AtomicBool,
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    pending: VecDeque<Pending>,
    idle: usize,
    closing: bool,
}

impl FileStore {
    /// Opens the image at `path`; with `create_bytes`, makes it when there is none and refuses one
    /// of another size.
    pub fn open(
        path: &Path,
        create_bytes: Option<u64>,
        settings: &Settings,
    ) -> Result<Self, OpenError> {
        let image = Image::open(path, create_bytes, settings)?;
        let threads = std::thread::available_parallelism().map_or(4, |n| n.get().clamp(4, 8));
        let files = image.worker_files(threads)?;
        let shared = Arc::new(Shared {
            caps: caps(image.bytes, settings, space::thin(&image.file, image.bytes)),
            // A descriptor of its own per worker is what makes a synced write trustworthy.
            dsync: image.dsync && files.separate,
            file: image.file,
            durability: Durability::default(),
            read_now: AtomicBool::new(true),
            queue: Mutex::default(),
            wake: Condvar::new(),
        });
        // Built around the threads started so far: where one cannot start, the others end.
        let mut store = Self {
            shared,
            workers: Vec::with_capacity(threads),
        };
        for file in files.files {
            let shared = Arc::clone(&store.shared);
            let worker = std::thread::Builder::new()
                .name("glintd-file".to_owned())
                .spawn(move || shared.work(&file))
                .map_err(|why| OpenError::io(path, why))?;
            store.workers.push(worker);
        }
        Ok(store)
    }
}

impl Store for FileStore {
    fn caps(&self) -> Caps {
        self.shared.caps
    }

    fn submit(
        &self,
        batch: &mut Vec<(Ticket, Op)>,
        done: &mut Vec<Completion>,
        reply: &Arc<Completions>,
    ) {
        let shared = &*self.shared;
        let at_once = batch.extract_if(.., |(_, op)| shared.read_at_once(op));
        done.extend(at_once.map(|(ticket, op)| Completion::of(ticket, op, Ok(()))));
        if batch.is_empty() {
            return;
        }
        let wanted = batch.len();
        let idle = {
            let mut queue = shared.lock();
            let pending = batch
                .drain(..)
                .map(|(ticket, op)| Pending::new(ticket, op, reply));
            queue.pending.extend(pending);
            queue.idle
        };
        match wanted < idle {
            true => (0..wanted).for_each(|_| shared.wake.notify_one()),
            false => shared.wake.notify_all(),
        }
    }

    fn sync(&self) -> Result<(), Fault> {
        match self.shared.caps.read_only {
            true => Ok(()),
            false => self.shared.durability.sync(&self.shared.file),
        }
    }
}

impl Drop for FileStore {
    /// The image drains before it closes.
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.wake.notify_all();
        for worker in self.workers.drain(..) {
            // A worker does not panic, and if it did there is nothing left to be done about it.
            worker.join().ok();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One worker's life: until the store closes and the queue is empty.
    fn work(&self, file: &File) {
        while let Some(mut pending) = self.next() {
            match catch_unwind(AssertUnwindSafe(|| self.perform(file, pending.op()))) {
                Ok(outcome) => pending.answer(outcome),
                // Dropped unanswered, the ticket answers by itself.
                Err(_) => tracing::error!("bug: a storage operation panicked"),
            }
        }
    }

    fn next(&self) -> Option<Pending> {
        let mut queue = self.lock();
        loop {
            if let Some(pending) = queue.pending.pop_front() {
                return Some(pending);
            }
            if queue.closing {
                return None;
            }
            queue.idle += 1;
            queue = self
                .wake
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }

    fn perform(&self, file: &File, op: &mut Op) -> Result<(), Fault> {
        self.caps.admit(op)?;
        match op {
            Op::Read { at, buffer } => file
                .read_exact_at(buffer.bytes_mut(), *at)
                .map_err(|why| fault(&why, false)),
            Op::Write {
                at,
                buffer,
                durable,
            } => self.write(file, *at, buffer.bytes(), *durable),
            Op::Unmap { span, durable } => {
                space::unmap(file, *span)?;
                if *durable { self.sync() } else { Ok(()) }
            }
            Op::WriteZeroes { span, durable } => {
                space::write_zeroes(file, *span)?;
                if *durable { self.sync() } else { Ok(()) }
            }
            Op::Extents { span, found } => {
                *found = space::extents(file, *span, self.caps.block_size)?;
                Ok(())
            }
            Op::Space { found } => {
                *found = Some(space::left(file)?);
                Ok(())
            }
            Op::Flush => self.sync(),
        }
    }

    fn sync(&self) -> Result<(), Fault> {
        match self.caps.read_only {
            true => Ok(()),
            false => self.durability.sync(&self.file),
        }
    }

    fn write(&self, file: &File, at: u64, bytes: &[u8], durable: bool) -> Result<(), Fault> {
        // Where plain writes may be cached, a failed sync could be about one of those: then it has
        // to stick, which only a sync of its own can tell.
        if durable && self.dsync && !self.caps.volatile_cache {
            return write_synced(file, at, bytes);
        }
        file.write_all_at(bytes, at)
            .map_err(|why| fault(&why, true))?;
        if durable { self.sync() } else { Ok(()) }
    }

    /// Fills a small read from the page cache, if all of it is there.
    fn read_at_once(&self, op: &mut Op) -> bool {
        if !self.read_now.load(Ordering::Relaxed) || self.caps.admit(op).is_err() {
            return false;
        }
        let Op::Read { at, buffer } = op else {
            return false;
        };
        if buffer.len() > READ_NOW_BYTES_MAX {
            return false;
        }
        let (at, len) = (*at, buffer.len());
        let mut slices = [IoSliceMut::new(buffer.bytes_mut())];
        match rustix::io::preadv2(&self.file, &mut slices, at, ReadWriteFlags::NOWAIT) {
            Ok(got) => got == len,
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                self.read_now.store(false, Ordering::Relaxed);
                false
            }
            Err(_) => false,
        }
    }
}

/// Writes so that it survives a power cut, without a sync of the whole file.
fn write_synced(file: &File, mut at: u64, mut bytes: &[u8]) -> Result<(), Fault> {
    while !bytes.is_empty() {
        match rustix::io::pwritev2(file, &[IoSlice::new(bytes)], at, ReadWriteFlags::DSYNC) {
            Ok(0) => return Err(Fault::WriteFailed),
            Ok(written) => {
                at += written as u64;
                bytes = &bytes[written..];
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(fault(&errno.into(), true)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
