//! Finding and making the file behind an image, and what is done to it.

mod space;

use std::ffi::{CStr, CString};
use std::io;
use std::sync::Arc;

use block::{BlockSize, Buffer, Fault, Op, Thin};
use rustix::io::Errno;

use super::calls::{Access, Found, Fs, GlusterFile, Kind};
use super::crew::{Deadline, Work};
use super::errno::{bricks_were_away, fault, handle_is_bad};
use super::flush::Flushes;
use super::standing::Standing;
use super::{GlusterError, Place};
use crate::planted;
use crate::store::Settings;

/// An open file of known size.
pub(super) struct Image {
    standing: Standing,
    flushes: Flushes,
    read_only: bool,
    block_size: BlockSize,
    pub(super) volume: Arc<Fs>,
    pub(super) bytes: u64,
    pub(super) thin: Thin,
    /// What its file was when it was opened.
    pub(super) found: Found,
    /// Opened with O_DIRECT.
    pub(super) direct: bool,
}

impl Image {
    /// Opens the image at `place`, or makes it.
    pub(super) fn open(
        volume: Arc<Fs>,
        place: &Place,
        create_bytes: Option<u64>,
        settings: &Settings,
    ) -> Result<Self, GlusterError> {
        let failed = |what| move |why| GlusterError::io(place, what, why);
        let path = CString::new(place.path.as_str())
            .map_err(|why| GlusterError::io(place, "a zero byte in it", why.into()))?;
        let (file, new) = open_or_make(&volume, &path, place, create_bytes, settings)?;
        let mut found = file.look().map_err(failed("its size is not to be had"))?;
        if found.kind != Kind::File {
            return Err(GlusterError::NotAnImage {
                place: place.to_string(),
            });
        }
        let mut bytes = found.bytes;
        // An empty file is what a crash between making and sizing it leaves behind.
        if let Some(wanted) = create_bytes
            && (new || (bytes == 0 && !settings.read_only))
        {
            file.set_size(wanted)
                .and_then(|()| file.sync_data())
                .map_err(failed("it does not take its size"))?;
            bytes = wanted;
        }
        check_size(place, bytes, create_bytes, settings)?;
        found.bytes = bytes;
        // A brick's page cache forgets a page it cannot write after telling one of those who sync. The
        // others of a set make good for that; a brick on its own must write past its cache.
        let direct = match volume.nature.redundant {
            true => None,
            false => open_direct(&volume, &path, settings),
        };
        let access = Access {
            write: !settings.read_only,
            direct: direct.is_some(),
            sync: !settings.volatile_cache && !settings.read_only && !planted::drops_durable(false),
        };
        let file = match direct {
            Some(file) => file,
            None if access.sync => GlusterFile::open(&volume, &path, access)
                .map_err(failed("it does not open for synced writes"))?,
            None => file,
        };
        let thin = space::thin(&file, &volume.nature, bytes, settings.read_only);
        let thin = thin.map_err(failed("its size is not kept"))?;
        Ok(Self {
            direct: access.direct,
            standing: Standing::new(Arc::clone(&volume), path, access, found, file),
            flushes: Flushes::new(settings.volatile_cache),
            read_only: settings.read_only,
            block_size: settings.block_size,
            volume,
            bytes,
            thin,
            found,
        })
    }
}

/// The file, and whether it is new.
fn open_or_make(
    volume: &Arc<Fs>,
    path: &CStr,
    place: &Place,
    create_bytes: Option<u64>,
    settings: &Settings,
) -> Result<(GlusterFile, bool), GlusterError> {
    let failed = |why| GlusterError::io(place, "it does not open", why);
    let missing = |why: &io::Error| Errno::from_io_error(why) == Some(Errno::NOENT);
    let access = Access {
        write: !settings.read_only,
        direct: false,
        sync: false,
    };
    match GlusterFile::open(volume, path, access) {
        Ok(file) => Ok((file, false)),
        Err(why) if missing(&why) && create_bytes.is_some() && !settings.read_only => {
            match GlusterFile::create(volume, path) {
                Ok(file) => Ok((file, true)),
                // Another node was faster, and made the same.
                Err(why) if Errno::from_io_error(&why) == Some(Errno::EXIST) => {
                    let file = GlusterFile::open(volume, path, access).map_err(failed)?;
                    Ok((file, false))
                }
                Err(why) if missing(&why) => Err(GlusterError::NoFolder {
                    place: place.to_string(),
                }),
                Err(why) => Err(failed(why)),
            }
        }
        Err(why) if missing(&why) => Err(GlusterError::Missing {
            place: place.to_string(),
        }),
        Err(why) if Errno::from_io_error(&why) == Some(Errno::ISDIR) => {
            Err(GlusterError::NotAnImage {
                place: place.to_string(),
            })
        }
        Err(why) => Err(failed(why)),
    }
}

fn check_size(
    place: &Place,
    bytes: u64,
    wanted: Option<u64>,
    settings: &Settings,
) -> Result<(), GlusterError> {
    let place = || place.to_string();
    if let Some(wanted) = wanted
        && wanted != bytes
    {
        return Err(GlusterError::SizeMismatch {
            place: place(),
            bytes,
            wanted,
        });
    }
    let block_bytes = settings.block_size.bytes();
    match bytes {
        0 => Err(GlusterError::Empty { place: place() }),
        _ if !bytes.is_multiple_of(u64::from(block_bytes)) => Err(GlusterError::Uneven {
            place: place(),
            bytes,
            block_bytes,
        }),
        _ => Ok(()),
    }
}

/// The file past the bricks' page caches, if they let us read one block that way: the smallest
/// and least aligned operation there will be.
fn open_direct(volume: &Arc<Fs>, path: &CStr, settings: &Settings) -> Option<GlusterFile> {
    let access = Access {
        write: !settings.read_only,
        direct: true,
        sync: false,
    };
    let file = GlusterFile::open(volume, path, access).ok()?;
    let mut block = Buffer::zeroed(settings.block_size.bytes() as usize);
    let got = file.read_at(block.bytes_mut(), 0);
    got.is_ok_and(|got| got == block.len()).then_some(file)
}

impl Work for Image {
    fn perform(&self, op: &mut Op, deadline: Deadline) -> Result<(), Fault> {
        match op {
            Op::Read { at, buffer } => self.call(false, |file| read(file, *at, buffer.bytes_mut())),
            Op::Write {
                at,
                buffer,
                durable,
            } => self.write(*at, buffer.bytes(), *durable),
            Op::Unmap { span, durable } => {
                self.unmap(*span, deadline)?;
                self.changed(*durable)
            }
            Op::WriteZeroes { span, durable } => {
                self.write_zeroes(*span, deadline)?;
                self.changed(*durable)
            }
            Op::Extents { span, found } => {
                *found = self.extents(*span, deadline)?;
                Ok(())
            }
            Op::Space { found } => {
                *found = Some(self.space()?);
                Ok(())
            }
            Op::Flush => self.flush(),
        }
    }
}

impl Image {
    /// One call, or several that belong together, on the file as it is now.
    fn call<T>(
        &self,
        changes: bool,
        call: impl FnOnce(&GlusterFile) -> io::Result<T>,
    ) -> Result<T, Fault> {
        let file = self.standing.current()?;
        call(&file).map_err(|why| self.failed(&file, &why, changes))
    }

    fn failed(&self, file: &Arc<GlusterFile>, why: &io::Error, changes: bool) -> Fault {
        if handle_is_bad(why) {
            // What the old graph's last fsync said is known to nobody.
            self.flushes.shaken();
            let reopened = self.standing.reopen(file);
            return reopened.map_or_else(|fault| fault, |()| Fault::Unreachable);
        }
        if bricks_were_away(why) {
            self.flushes.shaken();
        }
        fault(why, changes)
    }

    fn write(&self, at: u64, bytes: &[u8], durable: bool) -> Result<(), Fault> {
        // Beyond the first shard the bricks do not heed O_DSYNC.
        let apart = self.volume.nature.sharded;
        let durable = durable && !planted::drops_durable(self.flushes.is_volatile());
        let sync = durable && !apart;
        let written = self.call(true, |file| write(file, at, bytes, sync));
        match sync {
            true => self.flushes.durable_write(written),
            false => written.and_then(|()| self.changed(durable)),
        }
    }

    /// A change was made, and nothing has synced it yet.
    fn changed(&self, durable: bool) -> Result<(), Fault> {
        self.flushes.cache();
        if durable { self.flush() } else { Ok(()) }
    }

    fn flush(&self) -> Result<(), Fault> {
        if self.read_only {
            return Ok(());
        }
        let sync = |file: &GlusterFile| planted::sync(|| file.sync_data());
        self.flushes.flush(|| self.call(true, sync))
    }
}

fn read(file: &GlusterFile, mut at: u64, mut into: &mut [u8]) -> io::Result<()> {
    while !into.is_empty() {
        match file.read_at(into, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            got => {
                at += got as u64;
                into = &mut into[got..];
            }
        }
    }
    Ok(())
}

fn write(file: &GlusterFile, mut at: u64, mut from: &[u8], sync: bool) -> io::Result<()> {
    while !from.is_empty() {
        match file.write_at(from, at, sync)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            put => {
                at += put as u64;
                from = &from[put..];
            }
        }
    }
    Ok(())
}
