//! Stable storage of one brick: what is still there after a power cut. Names and attributes are
//! durable at once; of data only what the model decided to write here.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::call::Ino;
use crate::errno::Errno;

/// Bytes in a page, the unit of caching.
pub const PAGE: usize = 4096;

/// The bytes of a page, shared by who only reads them.
pub type Page = Bytes;

/// One name found on a brick when the volume is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The number it shall have.
    pub file: Ino,
    /// Absolute path in the volume.
    pub path: String,
    /// Whether it is a directory.
    pub directory: bool,
    /// Permission bits.
    pub mode: u32,
    /// Extended attributes.
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

/// Where a brick's durable bytes are.
pub trait Medium: Send {
    /// Everything that is there, parents before children; files are known by these numbers after.
    fn entries(&mut self) -> Result<Vec<Entry>, Errno>;
    /// Length of a file, and its allocated parts in pages.
    fn extents(&mut self, file: Ino) -> Result<(u64, Vec<Range<u64>>), Errno>;
    /// A new file or directory.
    fn create(&mut self, entry: &Entry) -> Result<(), Errno>;
    /// Takes a name away; an open file's bytes stay until [`Medium::forget`].
    fn remove(&mut self, file: Ino, path: &str, directory: bool) -> Result<(), Errno>;
    /// The file has neither name nor handle any more.
    fn forget(&mut self, file: Ino);
    /// One more name for a file; nothing has it yet.
    fn link(&mut self, from: &str, to: &str) -> Result<(), Errno>;
    /// A new name for the old; what had the new one is gone already.
    fn rename(&mut self, from: &str, to: &str) -> Result<(), Errno>;
    /// The extended attributes of a path, all of them.
    fn set_xattrs(&mut self, path: &str, xattrs: &BTreeMap<String, Vec<u8>>) -> Result<(), Errno>;
    /// Fills `into`; past the end and in holes with zeros.
    fn read(&mut self, file: Ino, at: u64, into: &mut [u8]) -> Result<(), Errno>;
    /// Stores bytes, growing the file where need be.
    fn write(&mut self, file: Ino, at: u64, bytes: &[u8]) -> Result<(), Errno>;
    /// Stores a whole page, which may be kept as it is.
    fn write_page(&mut self, file: Ino, page: u64, bytes: &Page) -> Result<(), Errno> {
        self.write(file, page * PAGE as u64, bytes)
    }
    /// Makes whole pages a hole.
    fn punch(&mut self, file: Ino, pages: Range<u64>) -> Result<(), Errno>;
    /// Cuts or grows a file.
    fn set_len(&mut self, file: Ino, len: u64) -> Result<(), Errno>;
}

/// Stable storage in memory, for worlds.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// By path.
    entries: BTreeMap<String, Entry>,
    files: BTreeMap<Ino, Stored>,
}

#[derive(Clone, Debug, Default)]
struct Stored {
    len: u64,
    pages: BTreeMap<u64, Page>,
}

impl Memory {
    fn stored(&mut self, file: Ino) -> &mut Stored {
        self.files.entry(file).or_default()
    }
}

impl Medium for Memory {
    fn entries(&mut self) -> Result<Vec<Entry>, Errno> {
        Ok(self.entries.values().cloned().collect())
    }

    fn extents(&mut self, file: Ino) -> Result<(u64, Vec<Range<u64>>), Errno> {
        let stored = self.stored(file);
        let pages = stored.pages.keys().map(|&page| page..page + 1).collect();
        Ok((stored.len, pages))
    }

    fn create(&mut self, entry: &Entry) -> Result<(), Errno> {
        self.entries.insert(entry.path.clone(), entry.clone());
        Ok(())
    }

    fn remove(&mut self, _file: Ino, path: &str, _directory: bool) -> Result<(), Errno> {
        self.entries.remove(path);
        Ok(())
    }

    fn forget(&mut self, file: Ino) {
        self.files.remove(&file);
    }

    fn link(&mut self, from: &str, to: &str) -> Result<(), Errno> {
        let mut entry = self.entries.get(from).cloned().ok_or(Errno::ENOENT)?;
        entry.path = to.to_owned();
        self.entries.insert(entry.path.clone(), entry);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), Errno> {
        let entries = std::mem::take(&mut self.entries).into_values();
        self.entries = entries
            .map(|entry| {
                let path = moved(&entry.path, from, to).unwrap_or(entry.path);
                (path.clone(), Entry { path, ..entry })
            })
            .collect();
        Ok(())
    }

    fn set_xattrs(&mut self, path: &str, xattrs: &BTreeMap<String, Vec<u8>>) -> Result<(), Errno> {
        let found = self.entries.get_mut(path);
        found.ok_or(Errno::ENOENT)?.xattrs = xattrs.clone();
        Ok(())
    }

    fn read(&mut self, file: Ino, at: u64, into: &mut [u8]) -> Result<(), Errno> {
        let stored = self.stored(file);
        for (page, within, part) in pieces(at, into.len()) {
            let into = &mut into[part];
            match stored.pages.get(&page) {
                Some(bytes) => into.copy_from_slice(&bytes[within..within + into.len()]),
                None => into.fill(0),
            }
        }
        Ok(())
    }

    fn write(&mut self, file: Ino, at: u64, bytes: &[u8]) -> Result<(), Errno> {
        let stored = self.stored(file);
        for (page, within, part) in pieces(at, bytes.len()) {
            let bytes = &bytes[part];
            let held = stored
                .pages
                .entry(page)
                .or_insert_with(|| Bytes::from(vec![0; PAGE]));
            let mut page = BytesMut::from(std::mem::take(held));
            page[within..within + bytes.len()].copy_from_slice(bytes);
            *held = page.freeze();
        }
        stored.len = stored.len.max(at + bytes.len() as u64);
        Ok(())
    }

    fn write_page(&mut self, file: Ino, page: u64, bytes: &Page) -> Result<(), Errno> {
        let stored = self.stored(file);
        stored.pages.insert(page, bytes.clone());
        stored.len = stored.len.max((page + 1) * PAGE as u64);
        Ok(())
    }

    fn punch(&mut self, file: Ino, pages: Range<u64>) -> Result<(), Errno> {
        let stored = self.stored(file);
        let gone: Vec<u64> = stored.pages.range(pages).map(|(&page, _)| page).collect();
        for page in gone {
            stored.pages.remove(&page);
        }
        Ok(())
    }

    fn set_len(&mut self, file: Ino, len: u64) -> Result<(), Errno> {
        let stored = self.stored(file);
        stored.len = len;
        let end = len.div_ceil(PAGE as u64);
        let _beyond = stored.pages.split_off(&end);
        let tail = (len % PAGE as u64) as usize;
        if tail > 0
            && let Some(page) = stored.pages.get_mut(&(end - 1))
        {
            let mut bytes = BytesMut::from(std::mem::take(page));
            bytes[tail..].fill(0);
            *page = bytes.freeze();
        }
        Ok(())
    }
}

/// Where `path` is after `from` was renamed `to`; `None` if that does not move it.
pub(crate) fn moved(path: &str, from: &str, to: &str) -> Option<String> {
    let rest = path.strip_prefix(from)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| format!("{to}{rest}"))
}

/// The pages a range of bytes touches: number, offset within the page, part of the buffer.
pub(crate) fn pieces(at: u64, len: usize) -> impl Iterator<Item = (u64, usize, Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let here = at + done as u64;
        let within = (here % PAGE as u64) as usize;
        let part = done..len.min(done + PAGE - within);
        done = part.end;
        (!part.is_empty()).then_some((here / PAGE as u64, within, part))
    })
}
