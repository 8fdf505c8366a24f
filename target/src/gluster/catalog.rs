//! The images of a volume as an operator handles them: made, listed, looked at, renamed, removed. Serves
//! nothing.
//!
//! Invariant: every call answers in bounded time, however many images there are; what is made is
//! durable when it is answered, and where making fails nothing of it is left.

use std::ffi::CString;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use super::calls::{Found, Fs, GlusterFile, Kind};
use super::image::Image;
use super::record::{self, ImageId, Missing, OWN_FOLDER};
use super::{GlusterError, OPEN_WAIT, Place, claim, volume, watch};
use crate::store::Settings;

/// How long one call, or a few on one image, may take: longer than a hung brick holds up a volume
/// with the default ping-timeout of 42 s, which is up to twice that.
const CALL_WAIT: Duration = Duration::from_secs(90);

/// Reserved at once: a call that large is done in time on any disk.
const RESERVE_BYTES: u64 = 256 << 20;

/// The images below a place of a volume.
pub struct Catalog {
    fs: Arc<Fs>,
    place: Place,
}

/// An image among others.
#[derive(Debug)]
pub struct Listed {
    /// Its path in the volume.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// How much of it has room of its own.
    pub allocated: u64,
    /// Who it is.
    pub id: Result<ImageId, GlusterError>,
}

/// Everything there is to say about an image.
#[derive(Clone, Debug)]
pub struct Details {
    /// Its size.
    pub bytes: u64,
    /// How much of it has room of its own.
    pub allocated: u64,
    /// Who it is.
    pub id: ImageId,
    /// When its record was made; `None` without one.
    pub created: Option<String>,
    /// What it was called then.
    pub created_as: Option<String>,
    /// Whether the bricks take O_DIRECT for blocks of 512 bytes.
    pub direct: bool,
    /// Whether somebody is known to serve it.
    pub served: bool,
    /// Bytes of the volume.
    pub volume_bytes: u64,
    /// How many of them are free.
    pub free_bytes: u64,
}

impl Catalog {
    /// Connects to the volume of `place`: an image, or a folder that holds some.
    pub fn open(place: &Place) -> Result<Self, GlusterError> {
        let there = place.clone();
        // Not as for serving: what is unsafe to serve from can still be looked at.
        let opened = watch::within("glintd-open", OPEN_WAIT, move || volume::connect(&there));
        let (fs, _) = opened
            .map_err(|why| GlusterError::no_answer(place, OPEN_WAIT, why))
            .flatten()?;
        let (fs, place) = (Arc::new(fs), place.clone());
        Ok(Self { fs, place })
    }

    /// Makes the image, and the folders to it: sparse, or with room reserved for all of it.
    pub fn create(&self, bytes: u64, preallocate: bool) -> Result<ImageId, GlusterError> {
        if preallocate {
            // Found out by filling it up, a lack of room would be everybody's.
            self.ask(move |fs, place| has_room(fs, place, bytes))?;
        }
        let file = Arc::new(self.ask(make)?);
        let made = match preallocate {
            true => self.reserve(&file, bytes),
            false => self.ask({
                let file = Arc::clone(&file);
                move |_, place| {
                    let sized = file.set_size(bytes);
                    sized.map_err(|why| GlusterError::io(place, "it does not take its size", why))
                }
            }),
        };
        let known = made.and_then(|()| {
            self.ask(move |fs, place| {
                let failed = |what| move |why| GlusterError::io(place, what, why);
                file.sync_all()
                    .map_err(failed("it cannot be made durable"))?;
                let found = file.look().map_err(failed("it is gone"))?;
                Ok(record::identify(fs, place, &found, Missing::Make)?.0)
            })
        });
        known.inspect_err(|_| self.undo())
    }

    fn reserve(&self, file: &Arc<GlusterFile>, bytes: u64) -> Result<(), GlusterError> {
        let mut at = 0;
        while at < bytes {
            let (file, len) = (Arc::clone(file), RESERVE_BYTES.min(bytes - at));
            self.ask(move |_, place| {
                file.allocate(at, len).map_err(|why| match full(&why) {
                    true => no_room(place, bytes),
                    false => GlusterError::io(place, "room for it cannot be reserved", why),
                })
            })?;
            at += len;
        }
        Ok(())
    }

    /// Takes a half-made image away again.
    fn undo(&self) {
        let removed = self.ask(|fs, place| {
            let path = c_path(place)?;
            fs.remove(&path)
                .map_err(|why| GlusterError::io(place, "what is half made stays", why))
        });
        if let Err(why) = removed {
            tracing::warn!("{why}");
        }
    }

    /// Calls `each` with every image below the place, folder by folder, in order.
    pub fn list(&self, each: &mut dyn FnMut(Listed)) -> Result<(), GlusterError> {
        let mut folders = vec![self.place.path.clone()];
        while let Some(folder) = folders.pop() {
            let path = folder.clone();
            let names = self.ask(move |fs, place| list(fs, place, &path))?;
            let mut inner = Vec::new();
            for name in names {
                let path = match folder.is_empty() {
                    true => name,
                    false => format!("{folder}/{name}"),
                };
                if path == OWN_FOLDER {
                    continue;
                }
                let there = Place {
                    path: path.clone(),
                    ..self.place.clone()
                };
                match self.ask(move |fs, _| known(fs, &there))? {
                    None => {}
                    Some((found, _)) if found.kind == Kind::Folder => inner.push(path),
                    Some((found, id)) => each(Listed {
                        path,
                        bytes: found.bytes,
                        allocated: found.allocated,
                        id,
                    }),
                }
            }
            // The last one pushed is the next one read.
            folders.extend(inner.into_iter().rev());
        }
        Ok(())
    }

    /// Looks at the image.
    pub fn details(&self) -> Result<Details, GlusterError> {
        self.ask(|fs, place| {
            let settings = Settings {
                read_only: true,
                ..Settings::default()
            };
            let image = Image::open(Arc::clone(fs), place, None, &settings)?;
            let (id, record) = record::identify(fs, place, &image.found, Missing::Leave)?;
            let (volume_bytes, free_bytes) = fs
                .room()
                .map_err(|why| GlusterError::io(place, "its volume's room is not known", why))?;
            let (created, created_as) = record.map(|record| (record.created, record.path)).unzip();
            Ok(Details {
                bytes: image.bytes,
                allocated: image.found.allocated,
                id,
                created,
                created_as,
                direct: image.direct,
                served: claim::is_claimed(fs, id.number),
                volume_bytes,
                free_bytes,
            })
        })
    }

    /// Removes the image and its record, unless somebody is known to serve it.
    pub fn remove(&self) -> Result<(), GlusterError> {
        self.ask(|fs, place| {
            let found = free(fs, place)?;
            let path = c_path(place)?;
            fs.remove(&path)
                .map_err(|why| GlusterError::io(place, "it cannot be removed", why))?;
            // Last: a record that stays behind is found by nobody, for no number is given twice.
            record::remove(fs, place, found.number)
        })
    }

    /// Gives the image another name in its volume, unless something has that name or somebody is
    /// known to serve it: whoever does looks for it under the old one.
    pub fn rename(&self, to: &Place) -> Result<(), GlusterError> {
        let to = to.clone();
        self.ask(move |fs, place| {
            free(fs, place)?;
            make_folders(fs, &to)?;
            let (old, new) = (c_path(place)?, c_path(&to)?);
            // Not glfs_rename, which would take the place of what is there.
            fs.link(&old, &new).map_err(|why| exists(&to, why))?;
            fs.remove(&old)
                .map_err(|why| GlusterError::io(place, "its old name stays", why))
        })
    }

    fn ask<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Arc<Fs>, &Place) -> Result<T, GlusterError> + Send + 'static,
    ) -> Result<T, GlusterError> {
        let (fs, place) = (Arc::clone(&self.fs), self.place.clone());
        let done = watch::within("glintd-image", CALL_WAIT, move || call(&fs, &place));
        done.map_err(|why| GlusterError::no_answer(&self.place, CALL_WAIT, why))
            .flatten()
    }
}

impl Drop for Catalog {
    fn drop(&mut self) {
        volume::leave(Arc::clone(&self.fs));
    }
}

/// The image, which nobody is known to serve.
fn free(fs: &Arc<Fs>, place: &Place) -> Result<Found, GlusterError> {
    let found = fs
        .look(&c_path(place)?)
        .map_err(|why| not_there(place, why))?;
    let place = || place.to_string();
    if found.kind != Kind::File {
        return Err(GlusterError::NotAnImage { place: place() });
    }
    match claim::is_claimed(fs, found.number) {
        true => Err(GlusterError::Served { place: place() }),
        false => Ok(found),
    }
}

/// A new file at the place, in folders that are made where they are missing.
fn make(fs: &Arc<Fs>, place: &Place) -> Result<GlusterFile, GlusterError> {
    make_folders(fs, place)?;
    GlusterFile::create(fs, &c_path(place)?).map_err(|why| exists(place, why))
}

fn make_folders(fs: &Arc<Fs>, place: &Place) -> Result<(), GlusterError> {
    for (end, _) in place.path.match_indices('/') {
        let folder = c_string(place, &place.path[..end])?;
        match fs.make_folder(&folder) {
            Err(why) if !is(&why, Errno::EXIST) => {
                return Err(GlusterError::io(place, "its folder cannot be made", why));
            }
            _ => {}
        }
    }
    Ok(())
}

fn exists(place: &Place, why: io::Error) -> GlusterError {
    match is(&why, Errno::EXIST) {
        true => GlusterError::Exists {
            place: place.to_string(),
        },
        false => GlusterError::io(place, "it cannot be made", why),
    }
}

fn has_room(fs: &Arc<Fs>, place: &Place, bytes: u64) -> Result<(), GlusterError> {
    let failed = |why| GlusterError::io(place, "its volume's room is not known", why);
    match fs.room().map_err(failed)?.1 {
        free if free < bytes => Err(no_room(place, bytes)),
        _ => Ok(()),
    }
}

fn no_room(place: &Place, wanted: u64) -> GlusterError {
    GlusterError::NoRoom {
        place: place.to_string(),
        wanted,
    }
}

/// The names in a folder of the volume.
fn list(fs: &Arc<Fs>, place: &Place, folder: &str) -> Result<Vec<String>, GlusterError> {
    let names = fs
        .list(&c_string(place, &format!("/{folder}"))?)
        .map_err(|why| GlusterError::io(place, "it cannot be listed", why))?;
    // A name that is no text cannot be an image's: there is no way to write it.
    Ok(names.into_iter().flat_map(CString::into_string).collect())
}

type Known = (Found, Result<ImageId, GlusterError>);

/// What a name turns out to be; `None` if it is gone, or neither a folder nor an image.
fn known(fs: &Arc<Fs>, place: &Place) -> Result<Option<Known>, GlusterError> {
    let found = match fs.look(&c_path(place)?) {
        Ok(found) if found.kind == Kind::Other => return Ok(None),
        Ok(found) => found,
        Err(why) if is(&why, Errno::NOENT) => return Ok(None),
        Err(why) => return Err(not_there(place, why)),
    };
    let id = record::identify(fs, place, &found, Missing::Leave).map(|(id, _)| id);
    Ok(Some((found, id)))
}

fn not_there(place: &Place, why: io::Error) -> GlusterError {
    match is(&why, Errno::NOENT) {
        true => GlusterError::Missing {
            place: place.to_string(),
        },
        false => GlusterError::io(place, "it cannot be looked at", why),
    }
}

fn full(why: &io::Error) -> bool {
    is(why, Errno::NOSPC) || is(why, Errno::DQUOT)
}

fn is(why: &io::Error, errno: Errno) -> bool {
    Errno::from_io_error(why) == Some(errno)
}

fn c_path(place: &Place) -> Result<CString, GlusterError> {
    c_string(place, &place.path)
}

fn c_string(place: &Place, path: &str) -> Result<CString, GlusterError> {
    CString::new(path).map_err(|why| GlusterError::io(place, "a zero byte in it", why.into()))
}
