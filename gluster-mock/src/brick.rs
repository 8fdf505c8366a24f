//! One brick: a page cache over stable storage. A write lands in the cache; a sync moves the file's
//! un-synced pages to stable storage. Meanwhile the kernel may have written some of them, or parts
//! of them, of its own accord: that fate is drawn when the page is written, so that whatever
//! happens to the process, stable storage holds what a power cut would leave.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::call::{Ino, Moment};
use crate::chance::Chance;
use crate::errno::Errno;
use crate::legs::Landing;
use crate::locks::Locks;
use crate::marks::{Mark, Marks};
use crate::medium::{Medium, PAGE, Page, pieces};
use crate::settings::Settings;
use crate::trace::{Event, Trace};

const PAGE_BYTES: u64 = PAGE as u64;
const SECTOR: usize = PAGE / 8;

/// What a brick needs to decide and to tell.
pub(crate) struct Desk<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) chance: &'a mut Chance,
    pub(crate) trace: &'a mut Trace,
    pub(crate) marks: &'a mut Marks,
}

/// One brick of the replica set.
pub(crate) struct Brick {
    index: u32,
    pub(crate) medium: Box<dyn Medium>,
    files: BTreeMap<Ino, Cached>,
    pub(crate) up: bool,
    /// Files that changed while the brick was down.
    pub(crate) stale: BTreeSet<Ino>,
    /// Of these, files that only disagree about a change which failed: as good as another copy where
    /// no other is left.
    doubtful: BTreeSet<Ino>,
    held_pages: u64,
    /// It stands still since then.
    pub(crate) hung: Option<Moment>,
    /// From the locks to the disk.
    pub(crate) latency: Duration,
    /// Changes fail so.
    pub(crate) error: Option<Errno>,
    /// Not a byte is left.
    pub(crate) full: bool,
    pub(crate) locks: Locks,
    /// Counts its processes.
    pub(crate) life: u64,
    /// What was inside when it stood still.
    pub(crate) backlog: Vec<Landing>,
}

/// One file as the brick's page cache sees it.
#[derive(Default)]
struct Cached {
    size: u64,
    stable_size: u64,
    /// Un-synced pages; `None` is a hole.
    dirty: BTreeMap<u64, Option<Page>>,
    held: Bitmap,
}

impl Brick {
    /// A brick on that medium, up and healthy.
    pub(crate) fn new(index: u32, medium: Box<dyn Medium>) -> Self {
        Self {
            index,
            medium,
            files: BTreeMap::new(),
            up: true,
            stale: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            held_pages: 0,
            hung: None,
            latency: Duration::ZERO,
            error: None,
            full: false,
            locks: Locks::default(),
            life: 0,
            backlog: Vec::new(),
        }
    }

    /// Whether it answers.
    pub(crate) fn is_serving(&self) -> bool {
        self.up && self.hung.is_none()
    }

    /// Another process on the same disk and under the same kernel: what was inside is gone, and so
    /// are its locks.
    pub(crate) fn restart(&mut self) {
        self.hung = None;
        self.locks = Locks::default();
        self.life += 1;
        self.backlog.clear();
    }

    /// Takes a file's shape from stable storage; forgets what was not synced.
    pub(crate) fn load(&mut self, file: Ino) -> Result<(), Errno> {
        let (size, extents) = self.medium.extents(file)?;
        let mut held = Bitmap::default();
        for page in extents.into_iter().flatten() {
            held.set(page, true);
        }
        if let Some(before) = self.files.remove(&file) {
            self.held_pages -= before.held.count;
        }
        self.held_pages += held.count;
        let cached = Cached {
            size,
            stable_size: size,
            dirty: BTreeMap::new(),
            held,
        };
        self.files.insert(file, cached);
        Ok(())
    }

    /// It missed a change that was made.
    pub(crate) fn missed(&mut self, file: Ino) {
        self.stale.insert(file);
        self.doubtful.remove(&file);
    }

    /// A change failed, and what it has of that is not what the others are left with.
    pub(crate) fn disagrees(&mut self, file: Ino) {
        if self.stale.insert(file) {
            self.doubtful.insert(file);
        }
    }

    /// Its copy is as good as any.
    pub(crate) fn is_right(&mut self, file: Ino) {
        self.stale.remove(&file);
        self.doubtful.remove(&file);
    }

    /// Whether its copy may stand for the file: it missed no change that was made.
    pub(crate) fn may_stand(&self, file: Ino) -> bool {
        !self.stale.contains(&file) || self.doubtful.contains(&file)
    }

    /// The file has no name and no handle any more.
    pub(crate) fn forget(&mut self, file: Ino) {
        if let Some(cached) = self.files.remove(&file) {
            self.held_pages -= cached.held.count;
        }
        self.is_right(file);
        self.locks.forget(file);
        self.medium.forget(file);
    }

    pub(crate) fn size(&self, file: Ino) -> u64 {
        self.files.get(&file).map_or(0, |cached| cached.size)
    }

    pub(crate) fn held_bytes(&self, file: Ino) -> u64 {
        self.files
            .get(&file)
            .map_or(0, |cached| cached.held.count * PAGE_BYTES)
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        self.held_pages * PAGE_BYTES
    }

    /// Fills `into`, zeros past the end.
    pub(crate) fn read(&mut self, file: Ino, at: u64, into: &mut [u8]) -> Result<(), Errno> {
        let cached = self.files.get(&file).ok_or(Errno::ESTALE)?;
        let end = at + into.len() as u64;
        let pages = at / PAGE_BYTES..end.div_ceil(PAGE_BYTES);
        if cached.dirty.range(pages).next().is_none() {
            return self.medium.read(file, at, into);
        }
        for (page, within, part) in pieces(at, into.len()) {
            let into = &mut into[part];
            match cached.dirty.get(&page) {
                Some(Some(bytes)) => into.copy_from_slice(&bytes[within..within + into.len()]),
                Some(None) => into.fill(0),
                None => self
                    .medium
                    .read(file, page * PAGE_BYTES + within as u64, into)?,
            }
        }
        Ok(())
    }

    /// Whether the pages of the range could all be allocated.
    fn check_room(&self, file: Ino, pages: Range<u64>, desk: &mut Desk<'_>) -> Result<(), Errno> {
        let capacity = match (self.full, desk.settings.capacity) {
            (true, _) => 0,
            (false, Some(capacity)) => capacity,
            (false, None) => return Ok(()),
        };
        let cached = self.files.get(&file).ok_or(Errno::ESTALE)?;
        let more = pages.filter(|&page| !cached.held.get(page)).count() as u64;
        let fits = (self.held_pages + more) * PAGE_BYTES <= capacity;
        if more == 0 || fits {
            Ok(())
        } else {
            desk.marks.hit(Mark::BrickFull);
            Err(Errno::ENOSPC)
        }
    }

    /// Stores bytes in the page cache.
    pub(crate) fn write(
        &mut self,
        file: Ino,
        at: u64,
        bytes: &Bytes,
        desk: &mut Desk<'_>,
    ) -> Result<(), Errno> {
        let end = at + bytes.len() as u64;
        self.check_room(file, at / PAGE_BYTES..end.div_ceil(PAGE_BYTES), desk)?;
        self.grow(file, end)?;
        for (page, within, part) in pieces(at, bytes.len()) {
            let bytes = bytes.slice(part);
            match bytes.len() {
                PAGE => self.put_page(file, page, bytes)?,
                len => self.change_page(file, page, |page| {
                    page[within..within + len].copy_from_slice(&bytes);
                })?,
            }
            self.draw_fate(file, page, desk)?;
        }
        Ok(())
    }

    /// Writes zeros, or a hole where whole pages are meant and `hole` says so. Never grows a file.
    pub(crate) fn zero(
        &mut self,
        file: Ino,
        range: Range<u64>,
        hole: bool,
        desk: &mut Desk<'_>,
    ) -> Result<(), Errno> {
        if !hole {
            let pages = range.start / PAGE_BYTES..range.end.div_ceil(PAGE_BYTES);
            self.check_room(file, pages, desk)?;
        }
        let mut at = range.start;
        while at < range.end {
            let page = at / PAGE_BYTES;
            let next = ((page + 1) * PAGE_BYTES).min(range.end);
            let (first, last) = (at % PAGE_BYTES, next - page * PAGE_BYTES);
            let whole = first == 0 && (last == PAGE_BYTES || next == self.size(file));
            if hole && (whole || !self.holds(file, page)) {
                let cached = self.files.get_mut(&file).ok_or(Errno::ESTALE)?;
                if cached.held.set(page, false) {
                    self.held_pages -= 1;
                    cached.dirty.insert(page, None);
                }
            } else {
                self.change_page(file, page, |bytes| {
                    bytes[first as usize..last as usize].fill(0);
                })?;
                self.draw_fate(file, page, desk)?;
            }
            at = next;
        }
        Ok(())
    }

    /// Allocates pages that are holes, without changing what is read.
    pub(crate) fn allocate(
        &mut self,
        file: Ino,
        range: Range<u64>,
        desk: &mut Desk<'_>,
    ) -> Result<(), Errno> {
        let pages = range.start / PAGE_BYTES..range.end.div_ceil(PAGE_BYTES);
        self.check_room(file, pages.clone(), desk)?;
        for page in pages {
            if !self.holds(file, page) {
                self.change_page(file, page, |_| ())?;
            }
        }
        Ok(())
    }

    /// A longer file, for now in the cache only.
    pub(crate) fn grow(&mut self, file: Ino, size: u64) -> Result<(), Errno> {
        let cached = self.files.get_mut(&file).ok_or(Errno::ESTALE)?;
        cached.size = cached.size.max(size);
        Ok(())
    }

    /// Cuts or grows a file; an inode change, durable at once like names are.
    pub(crate) fn set_len(&mut self, file: Ino, size: u64) -> Result<(), Errno> {
        let cached = self.files.get_mut(&file).ok_or(Errno::ESTALE)?;
        let end = size.div_ceil(PAGE_BYTES);
        let _beyond = cached.dirty.split_off(&end);
        let tail = (size % PAGE_BYTES) as usize;
        if tail > 0
            && let Some(Some(page)) = cached.dirty.get_mut(&(end - 1))
        {
            *page = changed(page, |bytes| bytes[tail..].fill(0));
        }
        self.held_pages -= cached.held.cut(end);
        cached.size = size;
        cached.stable_size = size;
        self.medium.set_len(file, size)
    }

    /// Makes the data the file's cache holds durable, unless this brick only says so.
    pub(crate) fn sync_data(&mut self, file: Ino, desk: &mut Desk<'_>) -> Result<(), Errno> {
        match desk.settings.sync {
            true => self.sync_all(file, desk),
            false => Ok(()),
        }
    }

    /// Makes everything the file's cache holds durable.
    pub(crate) fn sync_all(&mut self, file: Ino, desk: &mut Desk<'_>) -> Result<(), Errno> {
        let cached = self.files.get_mut(&file).ok_or(Errno::ESTALE)?;
        let pages = cached.dirty.len() as u64;
        for (page, content) in std::mem::take(&mut cached.dirty) {
            let at = page * PAGE_BYTES;
            match content {
                Some(bytes) if at + PAGE_BYTES <= cached.size => {
                    self.medium.write_page(file, page, &bytes)?;
                }
                Some(bytes) if at < cached.size => {
                    let len = (cached.size - at) as usize;
                    self.medium.write(file, at, &bytes[..len])?;
                }
                // Allocated past the end: nothing of it can be read.
                Some(_) => {}
                None => self.medium.punch(file, page..page + 1)?,
            }
        }
        if cached.stable_size != cached.size {
            self.medium.set_len(file, cached.size)?;
            cached.stable_size = cached.size;
        }
        desk.trace.push(Event::Synced {
            brick: self.index,
            file,
            pages,
        });
        Ok(())
    }

    /// Whether any file has something that is not durable.
    pub(crate) fn owes(&self) -> bool {
        let mut files = self.files.values();
        files.any(|file| !file.dirty.is_empty() || file.size != file.stable_size)
    }

    /// Drops what was not synced, as a failed writeback does.
    pub(crate) fn lose(&mut self, file: Ino, desk: &mut Desk<'_>) -> Result<(), Errno> {
        let pages = self
            .files
            .get(&file)
            .map_or(0, |cached| cached.dirty.len() as u64);
        if pages == 0
            && self
                .files
                .get(&file)
                .is_some_and(|c| c.size == c.stable_size)
        {
            return Ok(());
        }
        desk.trace.push(Event::Lost {
            brick: self.index,
            file,
            pages,
        });
        self.load(file)
    }

    /// The power fails: nothing is left of any cache.
    pub(crate) fn power_cut(&mut self, desk: &mut Desk<'_>) -> Result<(), Errno> {
        let files: Vec<Ino> = self.files.keys().copied().collect();
        files.into_iter().try_for_each(|file| self.lose(file, desk))
    }

    /// Makes everything durable that any cache holds.
    pub(crate) fn write_back(&mut self, desk: &mut Desk<'_>) -> Result<(), Errno> {
        let dirty = self
            .files
            .iter()
            .filter(|(_, cached)| !cached.dirty.is_empty() || cached.size != cached.stable_size);
        let dirty: Vec<Ino> = dirty.map(|(&file, _)| file).collect();
        dirty
            .into_iter()
            .try_for_each(|file| self.sync_all(file, desk))
    }

    /// The first byte at or after `at` that is data (or, `hole`, that is none); at most the size.
    pub(crate) fn next(&self, file: Ino, at: u64, hole: bool) -> u64 {
        let Some(cached) = self.files.get(&file) else {
            return at;
        };
        let mut page = at / PAGE_BYTES;
        while page * PAGE_BYTES < cached.size && cached.held.get(page) == hole {
            page += 1;
        }
        at.max(page * PAGE_BYTES).min(cached.size)
    }

    /// Takes over a file from a brick that has it right.
    pub(crate) fn heal(
        &mut self,
        file: Ino,
        good: &mut Brick,
        desk: &mut Desk<'_>,
    ) -> Result<(), Errno> {
        let size = good.size(file);
        self.set_len(file, 0)?;
        self.set_len(file, size)?;
        let mut page = 0;
        let mut bytes = [0; PAGE];
        while page * PAGE_BYTES < size {
            if good.holds(file, page) {
                good.read(file, page * PAGE_BYTES, &mut bytes)?;
                self.put_page(file, page, Bytes::copy_from_slice(&bytes))?;
            }
            page += 1;
        }
        self.sync_all(file, desk)?;
        self.is_right(file);
        desk.trace.push(Event::Healed {
            brick: self.index,
            file,
        });
        Ok(())
    }

    fn holds(&self, file: Ino, page: u64) -> bool {
        self.files
            .get(&file)
            .is_some_and(|cached| cached.held.get(page))
    }

    /// A whole page, un-synced from now on.
    fn put_page(&mut self, file: Ino, page: u64, bytes: Page) -> Result<(), Errno> {
        let cached = self.files.get_mut(&file).ok_or(Errno::ESTALE)?;
        cached.dirty.insert(page, Some(bytes));
        if !cached.held.set(page, true) {
            self.held_pages += 1;
        }
        Ok(())
    }

    /// Changes a page, un-synced from now on.
    fn change_page(
        &mut self,
        file: Ino,
        page: u64,
        change: impl FnOnce(&mut [u8]),
    ) -> Result<(), Errno> {
        let cached = self.files.get_mut(&file).ok_or(Errno::ESTALE)?;
        let held = match cached.dirty.get_mut(&page) {
            Some(Some(held)) => changed(held, change),
            hole => {
                let mut bytes = vec![0; PAGE];
                if hole.is_none() && cached.held.get(page) {
                    self.medium.read(file, page * PAGE_BYTES, &mut bytes)?;
                }
                change(&mut bytes);
                Bytes::from(bytes)
            }
        };
        self.put_page(file, page, held)
    }

    /// Which sectors of a page just written reach stable storage before any sync.
    fn draw_fate(&mut self, file: Ino, page: u64, desk: &mut Desk<'_>) -> Result<(), Errno> {
        let lost = u64::from(desk.settings.lost_percent);
        let torn = u64::from(desk.settings.torn_percent);
        let sectors = match desk.chance.below(100) {
            roll if roll < lost => 0,
            // Neither none nor all of them.
            roll if roll < lost + torn => 1 + desk.chance.below(254) as u8,
            _ => u8::MAX,
        };
        match sectors {
            0 => desk.marks.hit(Mark::PageLost),
            u8::MAX => {}
            _ => desk.marks.hit(Mark::PageTorn),
        }
        desk.trace.push(Event::Fate {
            brick: self.index,
            file,
            page,
            sectors,
        });
        let cached = self.files.get_mut(&file).ok_or(Errno::ESTALE)?;
        let Some(Some(bytes)) = cached.dirty.get(&page) else {
            return Ok(());
        };
        if sectors == u8::MAX && (page + 1) * PAGE_BYTES <= cached.size {
            cached.stable_size = cached.stable_size.max((page + 1) * PAGE_BYTES);
            return self.medium.write_page(file, page, bytes);
        }
        let mut first = 0;
        while first < 8 {
            let run = (sectors >> first).trailing_ones().min(8 - first);
            let at = page * PAGE_BYTES + u64::from(first) * SECTOR as u64;
            if run > 0 && at < cached.size {
                let from = first as usize * SECTOR;
                let len = (run as usize * SECTOR).min((cached.size - at) as usize);
                self.medium.write(file, at, &bytes[from..from + len])?;
                cached.stable_size = cached.stable_size.max(at + len as u64);
            }
            first += run + 1;
        }
        Ok(())
    }
}

/// The page with a change; copied only where somebody else has it too.
fn changed(page: &mut Page, change: impl FnOnce(&mut [u8])) -> Page {
    let mut bytes = BytesMut::from(std::mem::take(page));
    change(&mut bytes);
    bytes.freeze()
}

/// Which pages of a file are allocated.
#[derive(Default)]
struct Bitmap {
    words: Vec<u64>,
    count: u64,
}

impl Bitmap {
    fn get(&self, page: u64) -> bool {
        let word = self.words.get((page / 64) as usize);
        word.is_some_and(|word| word >> (page % 64) & 1 == 1)
    }

    /// Sets it, and tells what it was.
    fn set(&mut self, page: u64, held: bool) -> bool {
        let index = (page / 64) as usize;
        if index >= self.words.len() {
            if !held {
                return false;
            }
            self.words.resize(index + 1, 0);
        }
        let before = self.get(page);
        if before != held {
            self.words[index] ^= 1 << (page % 64);
            self.count = if held { self.count + 1 } else { self.count - 1 };
        }
        before
    }

    /// Clears everything from `end` on, and tells how many there were.
    fn cut(&mut self, end: u64) -> u64 {
        let before = self.count;
        for page in end..self.words.len() as u64 * 64 {
            self.set(page, false);
        }
        before - self.count
    }
}
