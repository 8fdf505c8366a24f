//! Pooled, owned memory that travels ticket → reply → socket → pool without being copied.
//!
//! A [`Buffer`] has one owner who may write. Turned into [`Slice`]s it is read-only and shared;
//! when the last slice is handed to [`Pool::reclaim`] the memory is used again. No locks: a pool
//! belongs to one session.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Buffers start at this alignment, which satisfies O_DIRECT on every supported volume.
const ALIGN: usize = 4096;

/// Pool size classes, in bytes. Above the last, memory is allocated for the occasion.
const CLASSES: [usize; 5] = [4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];

/// Memory with one owner, aligned to 4096 bytes. Length is fixed when it is taken.
pub struct Buffer {
    memory: Arc<Vec<u8>>,
    start: usize,
    len: usize,
}

/// How long it is: what is in it is somebody's data, and a megabyte of it.
impl fmt::Debug for Buffer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} bytes", self.len)
    }
}

impl Buffer {
    /// Zeroed memory of its own, outside any pool's classes.
    pub fn zeroed(len: usize) -> Self {
        let memory = vec![0_u8; len + ALIGN - 1];
        let start = match memory.as_ptr().align_offset(ALIGN) {
            offset if offset < ALIGN => offset,
            _ => 0,
        };
        Self {
            memory: Arc::new(memory),
            start,
            len,
        }
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds no byte.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Makes it shorter; longer than it is changes nothing.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// The bytes, to be written. A buffer is never shared, so this cannot fail.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let memory = Arc::get_mut(&mut self.memory).expect("a Buffer has one owner");
        &mut memory[self.start..self.start + self.len]
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }

    /// Gives up the right to write; the whole of it as one slice.
    pub fn share(self) -> Slice {
        Slice {
            start: self.start,
            len: self.len,
            memory: self.memory,
        }
    }

    /// What stands in for it where it cannot be given back: see [`Stead`].
    pub fn stead(&self) -> Stead {
        Stead {
            capacity: self.capacity(),
            len: self.len,
        }
    }

    fn capacity(&self) -> usize {
        self.memory.len() - (ALIGN - 1)
    }
}

/// The measure of a buffer that foreign code may go on using after its operation was answered: a
/// pool is paid back with new memory of the same size, and the old stays where it is.
#[derive(Clone, Copy, Debug)]
pub struct Stead {
    capacity: usize,
    len: usize,
}

impl Stead {
    /// Memory of that size, zeroed.
    pub fn buffer(self) -> Buffer {
        let mut buffer = Buffer::zeroed(self.capacity);
        buffer.truncate(self.len);
        buffer
    }
}

impl AsMut<[u8]> for Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        self.bytes_mut()
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}

/// A read-only view of a shared buffer.
#[derive(Clone, Debug)]
pub struct Slice {
    memory: Arc<Vec<u8>>,
    start: usize,
    len: usize,
}

impl Slice {
    /// A part of it.
    ///
    /// # Panics
    /// When `range` is not within the slice.
    pub fn part(&self, range: Range<usize>) -> Self {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "slice out of bounds"
        );
        Self {
            memory: Arc::clone(&self.memory),
            start: self.start + range.start,
            len: range.end - range.start,
        }
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds no byte.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl AsRef<[u8]> for Slice {
    fn as_ref(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }
}

/// Free buffers of one session, by size class, and how many bytes are out.
#[derive(Debug)]
pub struct Pool {
    free: [Vec<Buffer>; CLASSES.len()],
    out_bytes: usize,
    budget_bytes: usize,
    kept_bytes: usize,
}

/// Free memory a pool keeps for later; the rest goes back to the allocator.
const KEPT_BYTES_MAX: usize = 4 << 20;

impl Pool {
    /// A pool that hands out at most `budget_bytes` at a time.
    pub fn new(budget_bytes: usize) -> Self {
        Self {
            free: Default::default(),
            out_bytes: 0,
            budget_bytes,
            kept_bytes: 0,
        }
    }

    /// A buffer of `len` bytes, or `None` when the budget is spent. Its content is unspecified but
    /// was never another session's.
    pub fn take(&mut self, len: usize) -> Option<Buffer> {
        let class = CLASSES.iter().position(|&size| size >= len);
        let size = class.map_or(len, |class| CLASSES[class]);
        // The first buffer is always granted, else one command could be larger than the budget.
        if self.out_bytes > 0 && self.out_bytes + size > self.budget_bytes {
            return None;
        }
        self.out_bytes += size;
        let mut buffer = match class.and_then(|class| self.free[class].pop()) {
            Some(buffer) => {
                self.kept_bytes -= size;
                buffer
            }
            None => Buffer::zeroed(size),
        };
        buffer.len = len;
        Some(buffer)
    }

    /// Takes back a buffer that [`Pool::take`] gave.
    pub fn put(&mut self, mut buffer: Buffer) {
        let size = buffer.capacity();
        self.out_bytes = self.out_bytes.saturating_sub(size);
        if let Some(class) = CLASSES.iter().position(|&class| class == size)
            && self.kept_bytes + size <= KEPT_BYTES_MAX
        {
            self.kept_bytes += size;
            buffer.len = size;
            self.free[class].push(buffer);
        }
    }

    /// Takes back a slice; the memory returns to the pool with its last slice.
    pub fn reclaim(&mut self, slice: Slice) {
        let Slice { mut memory, .. } = slice;
        if Arc::get_mut(&mut memory).is_some() {
            let offset = memory.as_ptr().align_offset(ALIGN);
            let start = if offset < ALIGN { offset } else { 0 };
            self.put(Buffer {
                memory,
                start,
                len: 0,
            });
        }
    }

    /// Bytes handed out and not yet back.
    pub fn out_bytes(&self) -> usize {
        self.out_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_sized() {
        let mut pool = Pool::new(1 << 20);
        for len in [1, 512, 4096, 4097, 300_000] {
            let mut buffer = pool.take(len).expect("within budget");
            assert_eq!(buffer.len(), len);
            assert_eq!(buffer.bytes_mut().as_ptr().align_offset(ALIGN), 0);
            pool.put(buffer);
        }
        assert_eq!(pool.out_bytes(), 0);
    }

    #[test]
    fn memory_returns_with_the_last_slice() {
        let mut pool = Pool::new(1 << 20);
        let mut buffer = pool.take(8192).expect("within budget");
        buffer.bytes_mut()[4096] = 7;
        let address = buffer.bytes().as_ptr();
        let whole = buffer.share();
        let part = whole.part(4096..8192);
        assert_eq!(part.as_ref()[0], 7);
        pool.reclaim(whole);
        assert_ne!(pool.out_bytes(), 0);
        pool.reclaim(part);
        assert_eq!(pool.out_bytes(), 0);
        assert_eq!(pool.take(10_000).expect("reused").bytes().as_ptr(), address);
    }

    #[test]
    fn a_stead_pays_a_pool_back() {
        let mut pool = Pool::new(1 << 20);
        let pinned = pool.take(512).expect("within budget");
        let stead = pinned.stead().buffer();
        assert_eq!(stead.len(), 512);
        assert_ne!(stead.bytes().as_ptr(), pinned.bytes().as_ptr());
        pool.put(stead);
        assert_eq!(pool.out_bytes(), 0);
    }

    #[test]
    fn budget_refuses_all_but_the_first() {
        let mut pool = Pool::new(64 << 10);
        let big = pool.take(1 << 20).expect("the first is always granted");
        assert!(pool.take(512).is_none());
        pool.put(big);
        assert!(pool.take(512).is_some());
    }
}
