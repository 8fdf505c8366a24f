//! Blocks in memory, for trials and for measuring the protocol: gone when the process ends.
//!
//! Memory is taken when it is first written: a chunk is allocated zeroed and the system backs only
//! the pages that were touched. Reads and writes of one block never tear: a chunk is a whole number
//! of blocks and has one lock.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use block::{Caps, Completion, Fault, Op, Space, Span, Thin, Ticket};

use super::thin;
use super::{Settings, Store, caps};
use crate::inbox::Completions;

/// Memory can do everything.
const THIN: Thin = Thin {
    unmap: true,
    unmapped_zero: true,
    quick_zeroes: true,
    extents: true,
    space: true,
};

/// A disk in memory.
#[derive(Debug)]
pub struct MemStore {
    caps: Caps,
    groups: Vec<OnceLock<Group>>,
}

type Group = Box<[RwLock<Option<Box<[u8]>>>]>;

const CHUNK_BYTES: usize = 1 << 20;

/// Chunks whose locks are allocated together: 1 GiB worth.
const GROUP_CHUNKS: usize = 1024;

impl MemStore {
    /// A disk of `bytes` zeros, whole blocks of `settings.block_size`.
    pub fn new(bytes: u64, settings: &Settings) -> Self {
        let groups = bytes.div_ceil((CHUNK_BYTES * GROUP_CHUNKS) as u64);
        Self {
            caps: caps(bytes, settings, THIN),
            groups: (0..groups).map(|_| OnceLock::new()).collect(),
        }
    }

    fn perform(&self, op: &mut Op) -> Result<(), Fault> {
        self.caps.admit(op)?;
        match op {
            Op::Read { at, buffer } => self.read(*at, buffer.bytes_mut()),
            Op::Write { at, buffer, .. } => self.write(*at, buffer.bytes()),
            Op::Unmap { span, .. } | Op::WriteZeroes { span, .. } => self.clear(*span),
            Op::Extents { span, found } => {
                let next = |at, hole| Ok::<_, Fault>(self.next(at, hole));
                *found = thin::extents(*span, self.caps.block_size, next)?;
            }
            Op::Space { found } => *found = Some(self.space()),
            Op::Flush => {}
        }
        Ok(())
    }

    /// Zeros; a chunk that is all zeros takes no memory.
    fn clear(&self, span: Span) {
        let mut at = span.at;
        while at < span.end() {
            let (group, chunk, offset) = place(at);
            let len = (span.end() - at).min((CHUNK_BYTES - offset) as u64);
            if let Some(chunks) = self.groups[group].get() {
                let mut memory = chunks[chunk]
                    .write()
                    .unwrap_or_else(PoisonError::into_inner);
                match memory.as_deref_mut() {
                    Some(_) if len == CHUNK_BYTES as u64 => *memory = None,
                    Some(bytes) => bytes[offset..offset + len as usize].fill(0),
                    None => {}
                }
            }
            at += len;
        }
    }

    fn is_allocated(&self, at: u64) -> bool {
        let (group, chunk, _) = place(at);
        let chunks = self.groups[group].get();
        chunks.is_some_and(|chunks| {
            let memory = chunks[chunk].read().unwrap_or_else(PoisonError::into_inner);
            memory.is_some()
        })
    }

    /// The next byte with memory of its own, or without.
    fn next(&self, at: u64, hole: bool) -> Option<u64> {
        let rest = at / CHUNK_BYTES as u64 + 1..self.caps.bytes.div_ceil(CHUNK_BYTES as u64);
        std::iter::once(at)
            .chain(rest.map(|chunk| chunk * CHUNK_BYTES as u64))
            .find(|at| self.is_allocated(*at) != hole)
    }

    fn space(&self) -> Space {
        let chunks = self.groups.iter().filter_map(OnceLock::get).flatten();
        let taken = chunks.filter(|chunk| {
            let memory = chunk.read().unwrap_or_else(PoisonError::into_inner);
            memory.is_some()
        });
        let allocated = (taken.count() * CHUNK_BYTES) as u64;
        let total = self.caps.bytes.next_multiple_of(CHUNK_BYTES as u64);
        Space {
            total,
            free: total - allocated,
            allocated: Some(allocated),
        }
    }

    fn read(&self, mut at: u64, mut out: &mut [u8]) {
        while !out.is_empty() {
            let (group, chunk, offset) = place(at);
            let (part, rest) = out.split_at_mut(out.len().min(CHUNK_BYTES - offset));
            match self.groups[group].get() {
                Some(chunks) => {
                    let memory = chunks[chunk].read().unwrap_or_else(PoisonError::into_inner);
                    match memory.as_deref() {
                        Some(bytes) => part.copy_from_slice(&bytes[offset..offset + part.len()]),
                        None => part.fill(0),
                    }
                }
                None => part.fill(0),
            }
            at += part.len() as u64;
            out = rest;
        }
    }

    fn write(&self, mut at: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (group, chunk, offset) = place(at);
            let (part, rest) = bytes.split_at(bytes.len().min(CHUNK_BYTES - offset));
            let chunks = self.groups[group]
                .get_or_init(|| (0..GROUP_CHUNKS).map(|_| RwLock::new(None)).collect());
            let mut memory = chunks[chunk]
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let memory = memory.get_or_insert_with(|| vec![0; CHUNK_BYTES].into_boxed_slice());
            memory[offset..offset + part.len()].copy_from_slice(part);
            at += part.len() as u64;
            bytes = rest;
        }
    }
}

impl Store for MemStore {
    fn caps(&self) -> Caps {
        self.caps
    }

    fn submit(
        &self,
        batch: &mut Vec<(Ticket, Op)>,
        done: &mut Vec<Completion>,
        _reply: &Arc<Completions>,
    ) {
        done.extend(batch.drain(..).map(|(ticket, mut op)| {
            let outcome = self.perform(&mut op);
            Completion::of(ticket, op, outcome)
        }));
    }

    fn sync(&self) -> Result<(), Fault> {
        Ok(())
    }
}

/// Group, chunk within it, offset within that.
fn place(at: u64) -> (usize, usize, usize) {
    let chunk = (at / CHUNK_BYTES as u64) as usize;
    let offset = (at % CHUNK_BYTES as u64) as usize;
    (chunk / GROUP_CHUNKS, chunk % GROUP_CHUNKS, offset)
}

#[cfg(test)]
mod tests {
    use block::{BlockSize, Buffer};

    use super::*;

    const SETTINGS: Settings = Settings {
        block_size: BlockSize::B512,
        read_only: false,
        volatile_cache: false,
        storage_timeout: std::time::Duration::from_secs(20),
    };

    #[test]
    fn it_keeps_the_contract() {
        for block_size in [BlockSize::B512, BlockSize::B4096] {
            let settings = Settings {
                block_size,
                ..SETTINGS
            };
            let store = MemStore::new(8 << 20, &settings);
            block::contract::check(&mut block::contract::Subject {
                caps: store.caps(),
                run: &mut |mut batch| {
                    let mut done = Vec::new();
                    store.submit(&mut batch, &mut done, &Arc::default());
                    done
                },
            });
        }
    }

    fn submit(store: &MemStore, op: Op) -> Completion {
        let mut done = Vec::new();
        store.submit(&mut vec![(Ticket(1), op)], &mut done, &Arc::default());
        assert_eq!(done.len(), 1);
        done.remove(0)
    }

    fn pattern(len: usize, seed: u8) -> Buffer {
        let mut buffer = Buffer::zeroed(len);
        for (i, byte) in buffer.bytes_mut().iter_mut().enumerate() {
            *byte = (i as u8).wrapping_mul(31).wrapping_add(seed);
        }
        buffer
    }

    #[test]
    fn what_was_written_is_read_across_chunks_and_groups() {
        let gib = 1 << 30;
        let store = MemStore::new(4 * gib, &SETTINGS);
        for at in [0, CHUNK_BYTES as u64 - 512, gib - 1024, 4 * gib - 8192] {
            let written = pattern(8192, at as u8);
            let expected = written.bytes().to_vec();
            let write = submit(
                &store,
                Op::Write {
                    at,
                    buffer: written,
                    durable: false,
                },
            );
            assert_eq!(write.outcome, Ok(()));
            let read = submit(
                &store,
                Op::Read {
                    at,
                    buffer: Buffer::zeroed(8192),
                },
            );
            assert_eq!(read.buffer.expect("comes back").bytes(), expected);
        }
    }

    #[test]
    fn what_was_never_written_is_zero() {
        let store = MemStore::new(1 << 40, &SETTINGS);
        let read = submit(
            &store,
            Op::Read {
                at: 1 << 39,
                buffer: pattern(4096, 1),
            },
        );
        assert_eq!(read.buffer.expect("comes back").bytes(), [0; 4096]);
    }

    #[test]
    fn beyond_the_end_and_write_protection_are_refused() {
        let store = MemStore::new(1 << 20, &SETTINGS);
        let at = (1 << 20) - 512;
        let read = submit(
            &store,
            Op::Read {
                at,
                buffer: Buffer::zeroed(1024),
            },
        );
        assert_eq!(read.outcome, Err(Fault::OutOfRange));
        let read = submit(
            &store,
            Op::Read {
                at: u64::MAX - 511,
                buffer: Buffer::zeroed(512),
            },
        );
        assert_eq!(read.outcome, Err(Fault::OutOfRange));
        let store = MemStore::new(
            1 << 20,
            &Settings {
                read_only: true,
                ..SETTINGS
            },
        );
        let op = Op::Write {
            at: 0,
            buffer: Buffer::zeroed(512),
            durable: false,
        };
        assert_eq!(submit(&store, op).outcome, Err(Fault::ReadOnly));
    }

    #[test]
    fn a_block_never_tears() {
        let store = MemStore::new(1 << 20, &SETTINGS);
        std::thread::scope(|scope| {
            for fill in [0x11_u8, 0xee] {
                let store = &store;
                scope.spawn(move || {
                    for _ in 0..2000 {
                        let mut buffer = Buffer::zeroed(512);
                        buffer.bytes_mut().fill(fill);
                        submit(
                            store,
                            Op::Write {
                                at: 4096,
                                buffer,
                                durable: false,
                            },
                        );
                    }
                });
            }
            for _ in 0..2000 {
                let read = submit(
                    &store,
                    Op::Read {
                        at: 4096,
                        buffer: Buffer::zeroed(512),
                    },
                );
                let buffer = read.buffer.expect("comes back");
                let first = buffer.bytes()[0];
                assert!(buffer.bytes().iter().all(|&byte| byte == first));
            }
        });
    }
}
