//! Finding and making the file behind an image, and what is done to it.

use std::ffi::{CStr, CString};
use std::io;
use std::sync::Arc;

use block::{Buffer, Fault, Op};
use rustix::io::Errno;

use super::calls::{Access, Fs, GlusterFile};
use super::crew::Work;
use super::errno::fault;
use super::flush::Flushes;
use super::{GlusterError, Place};
use crate::store::Settings;

/// An open file of known size.
pub(super) struct Image {
    file: GlusterFile,
    flushes: Flushes,
    read_only: bool,
    pub(super) volume: Arc<Fs>,
    pub(super) bytes: u64,
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
        let found = file.size().map_err(failed("its size is not to be had"))?;
        let mut bytes = found.ok_or_else(|| GlusterError::NotAnImage {
            place: place.to_string(),
        })?;
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
        let direct = open_direct(&volume, &path, settings);
        Ok(Self {
            direct: direct.is_some(),
            file: direct.unwrap_or(file),
            flushes: Flushes::new(settings.volatile_cache),
            read_only: settings.read_only,
            volume,
            bytes,
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
    };
    match GlusterFile::open(volume, path, access) {
        Ok(file) => Ok((file, false)),
        Err(why) if missing(&why) && create_bytes.is_some() && !settings.read_only => {
            match GlusterFile::create(volume, path) {
                Ok(file) => Ok((file, true)),
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
    };
    let file = GlusterFile::open(volume, path, access).ok()?;
    let mut block = Buffer::zeroed(settings.block_size.bytes() as usize);
    let got = file.read_at(block.bytes_mut(), 0);
    got.is_ok_and(|got| got == block.len()).then_some(file)
}

impl Work for Image {
    fn perform(&self, op: &mut Op) -> Result<(), Fault> {
        match op {
            Op::Read { at, buffer } => self
                .read(*at, buffer.bytes_mut())
                .map_err(|why| fault(&why, false)),
            Op::Write {
                at,
                buffer,
                durable,
            } => {
                let written = self.write(*at, buffer.bytes(), *durable);
                let outcome = written.map_err(|why| fault(&why, true));
                match durable {
                    true => self.flushes.durable_write(outcome),
                    false => outcome,
                }
            }
            Op::Flush if self.read_only => Ok(()),
            Op::Flush => {
                let sync = || self.file.sync_data().map_err(|why| fault(&why, true));
                self.flushes.flush(sync)
            }
        }
    }
}

impl Image {
    fn read(&self, mut at: u64, mut into: &mut [u8]) -> io::Result<()> {
        while !into.is_empty() {
            match self.file.read_at(into, at)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                got => {
                    at += got as u64;
                    into = &mut into[got..];
                }
            }
        }
        Ok(())
    }

    fn write(&self, mut at: u64, mut from: &[u8], durable: bool) -> io::Result<()> {
        while !from.is_empty() {
            match self.file.write_at(from, at, durable)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                put => {
                    at += put as u64;
                    from = &from[put..];
                }
            }
        }
        Ok(())
    }
}
