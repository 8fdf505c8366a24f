//! Who an image is: its record in the volume, `.glint/images/NUMBER.toml`. Knows nothing of SCSI.
//!
//! A record is found by the number of the image's file, which a rename keeps and a copy does not
//! have. Invariant: a record is whole and durable before it gets its name, nobody overwrites one that says
//! anything, and of several who make it at the same time all go by the one that got the name.

use std::ffi::{CStr, CString};
use std::io;
use std::sync::Arc;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::calls::{Access, Found, Fs, GlusterFile};
use super::{GlusterError, Place};
use crate::{clock, entropy};

/// The folder of what glintd itself keeps in a volume.
pub(super) const OWN_FOLDER: &str = ".glint";

const FOLDERS: [&CStr; 2] = [c".glint", c".glint/images"];

/// Far more than a record has.
const BYTES_MAX: usize = 64 << 10;

/// The format of records.
const VERSION: u32 = 1;

/// An image that knows who it is, whatever it is called and whoever serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageId {
    /// The volume's identifier.
    pub volume: [u8; 16],
    /// The number of its file in the volume.
    pub number: u64,
    /// What its record says, or would say if there were one.
    pub id: [u8; 16],
}

/// What is on record about an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    version: u32,
    id: String,
    /// What it was called when the record was made.
    pub(super) path: String,
    /// Its bytes at that time.
    pub(super) size: u64,
    /// When that was.
    pub(super) created: String,
}

/// What to do about an image that has no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// Make one.
    Make,
    /// Leave the volume as it is.
    Leave,
}

/// What was found where a record should be.
#[derive(Debug, PartialEq, Eq)]
enum Kept {
    Nothing,
    /// A file with nothing in it: bricks that said it was durable lost what it held. The id that
    /// glintd had put there is derived again; one that was put there by hand is lost in any case.
    Blank,
    Whole(Record),
}

/// Who the image at `place` is, whose file is `file`, and its record, if it has one in the end.
pub(super) fn identify(
    fs: &Arc<Fs>,
    place: &Place,
    file: &Found,
    missing: Missing,
) -> Result<(ImageId, Option<Record>), GlusterError> {
    let volume = fs
        .id()
        .map_err(|why| GlusterError::io(place, "its volume does not say which one it is", why))?;
    let shelf = Shelf {
        fs,
        place,
        number: file.number,
    };
    let derived = derive(&volume, file.number);
    let record = match (shelf.find()?, missing) {
        (Kept::Whole(record), _) => Some(record),
        (Kept::Nothing | Kept::Blank, Missing::Leave) => None,
        (kept, Missing::Make) => {
            let record = Record {
                version: VERSION,
                id: hex(&derived),
                path: place.path.clone(),
                size: file.bytes,
                created: humantime::format_rfc3339_seconds(clock::wall()).to_string(),
            };
            Some(shelf.make(&record, kept)?)
        }
    };
    let id = match &record {
        Some(record) => record.id().map_err(|what| shelf.damaged(what))?,
        None => derived,
    };
    let number = file.number;
    Ok((ImageId { volume, number, id }, record))
}

/// Forgets the image whose file had that number.
pub(super) fn remove(fs: &Arc<Fs>, place: &Place, number: u64) -> Result<(), GlusterError> {
    let shelf = Shelf { fs, place, number };
    match fs.remove(&shelf.path()) {
        Err(why) if Errno::from_io_error(&why) != Some(Errno::NOENT) => {
            Err(shelf.failed("removed", why))
        }
        _ => Ok(()),
    }
}

/// The id an image gets: always the same for one file, so that it is the same image before it has
/// a record, to those who only read it, and should a record be lost.
fn derive(volume: &[u8; 16], number: u64) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(b"glint image 1");
    hash.update(volume);
    hash.update(number.to_be_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&hash.finalize()[..16]);
    id
}

impl Record {
    /// Reads a record. Says what is wrong with it.
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is no text".to_owned())?;
        let record: Self = toml::from_str(text).map_err(|why| {
            let message = why.message().trim().replace('\n', ", ");
            format!("it is no whole record: {message}")
        })?;
        if record.version != VERSION {
            return Err(format!(
                "it has version {}, and this glintd knows {VERSION}",
                record.version
            ));
        }
        record.id()?;
        Ok(record)
    }

    fn id(&self) -> Result<[u8; 16], String> {
        unhex(&self.id).ok_or_else(|| format!("its id \"{}\" is not 32 hex digits", self.id))
    }

    fn text(&self) -> Result<String, toml::ser::Error> {
        let fields = toml::to_string(self)?;
        Ok(format!(
            "# Who this image is to initiators: serial number and NAA come from the id. Keep it.\n\
             {fields}"
        ))
    }
}

/// Where the record of the image with that number is.
pub(super) fn path(number: u64) -> CString {
    c_string(name(number))
}

fn name(number: u64) -> String {
    format!("{OWN_FOLDER}/images/{number:016x}.toml")
}

/// One image's record, there or not.
struct Shelf<'a> {
    fs: &'a Arc<Fs>,
    place: &'a Place,
    number: u64,
}

impl Shelf<'_> {
    fn path(&self) -> CString {
        path(self.number)
    }

    fn find(&self) -> Result<Kept, GlusterError> {
        let access = Access {
            write: false,
            direct: false,
            sync: false,
        };
        let file = match GlusterFile::open(self.fs, &self.path(), access) {
            Ok(file) => file,
            Err(why) if Errno::from_io_error(&why) == Some(Errno::NOENT) => {
                return Ok(Kept::Nothing);
            }
            Err(why) => return Err(self.failed("read", why)),
        };
        let bytes = read_all(&file).map_err(|why| self.failed("read", why))?;
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(Kept::Blank);
        }
        let record = Record::parse(&bytes).map_err(|what| self.damaged(what))?;
        Ok(Kept::Whole(record))
    }

    /// The record, made of `record` unless somebody else was first.
    fn make(&self, record: &Record, kept: Kept) -> Result<Record, GlusterError> {
        let failed = |why| self.failed("written", why);
        for folder in FOLDERS {
            match self.fs.make_folder(folder) {
                Err(why) if Errno::from_io_error(&why) != Some(Errno::EXIST) => {
                    return Err(failed(why));
                }
                _ => {}
            }
        }
        let text = record.text().map_err(|why| failed(io::Error::other(why)))?;
        let draft = self.draft().map_err(failed)?;
        let blank = kept == Kept::Blank;
        if blank {
            let (place, name) = (self.place, name(self.number));
            tracing::warn!("{place}: its record {name} was lost by the bricks and is made again");
        }
        let published = self.publish(&draft, text.as_bytes(), blank);
        // One that stays is never read: only the name without a suffix counts.
        if let Err(why) = self.fs.remove(&draft) {
            tracing::debug!("{}: {why}", draft.to_string_lossy());
        }
        published.map_err(failed)?;
        match self.find()? {
            Kept::Whole(record) => Ok(record),
            Kept::Nothing | Kept::Blank => Err(failed(io::Error::other("it was lost at once"))),
        }
    }

    /// A name no other draft has, on this node or another.
    fn draft(&self) -> io::Result<CString> {
        let chance = entropy::for_name()
            .ok_or_else(|| io::Error::other("the system has no random numbers"))?;
        Ok(c_string(format!(
            "{}.{}.new",
            name(self.number),
            hex(&chance)
        )))
    }

    /// Makes the record durable, then gives it its name, then makes the name durable: a sync of a
    /// file writes the change of its link count, and with it the name that was part of that change.
    fn publish(&self, draft: &CStr, text: &[u8], blank: bool) -> io::Result<()> {
        let file = GlusterFile::create(self.fs, draft)?;
        let mut at = 0;
        while at < text.len() {
            match file.write_at(&text[at..], at as u64, false)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                put => at += put,
            }
        }
        file.sync_all()?;
        if blank {
            // Several who do this put the same id there.
            return self
                .fs
                .replace(draft, &self.path())
                .and_then(|()| file.sync_all());
        }
        match self.fs.link(draft, &self.path()) {
            // Somebody else's, as whole as this one.
            Err(why) if Errno::from_io_error(&why) == Some(Errno::EXIST) => Ok(()),
            linked => linked.and_then(|()| file.sync_all()),
        }
    }

    fn damaged(&self, what: String) -> GlusterError {
        GlusterError::RecordDamaged {
            place: self.place.to_string(),
            record: name(self.number),
            what,
        }
    }

    fn failed(&self, what: &'static str, why: io::Error) -> GlusterError {
        GlusterError::Record {
            place: self.place.to_string(),
            record: name(self.number),
            what,
            why,
        }
    }
}

fn read_all(file: &GlusterFile) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; BYTES_MAX];
    let mut end = 0;
    while end < bytes.len() {
        match file.read_at(&mut bytes[end..], end as u64)? {
            0 => break,
            got => end += got,
        }
    }
    bytes.truncate(end);
    Ok(bytes)
}

fn c_string(name: String) -> CString {
    CString::new(name).expect("no zero in a name of ours")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            version: VERSION,
            id: "00112233445566778899aabbccddeeff".to_owned(),
            path: "vm/a \"b\".img".to_owned(),
            size: 10 << 30,
            created: "2026-01-02T03:04:05Z".to_owned(),
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let text = record().text().expect("text");
        assert_eq!(Record::parse(text.as_bytes()), Ok(record()));
        assert!(text.contains("size = 10737418240\n"), "{text}");
    }

    /// Whatever part of it reached the disk: nothing short of all of it passes for a record.
    #[test]
    fn no_part_of_a_record_is_one() {
        let text = record().text().expect("text");
        let whole = text.trim_end().len();
        for end in 0..whole {
            assert!(Record::parse(&text.as_bytes()[..end]).is_err(), "{end}");
        }
        assert!(Record::parse(&vec![0; text.len()]).is_err());
    }

    #[test]
    fn what_is_wrong_is_said() {
        let text = record().text().expect("text");
        let newer = text.replace("version = 1", "version = 2");
        let why = Record::parse(newer.as_bytes()).expect_err("another format");
        assert!(why.contains("version 2"), "{why}");
        let short = text.replace("00112233", "");
        let why = Record::parse(short.as_bytes()).expect_err("no id");
        assert!(why.contains("32 hex digits"), "{why}");
    }

    /// Initiators remember disks by what comes of this. Computed apart from this code.
    #[test]
    fn the_derivation_does_not_change() {
        let volume = *b"0123456789abcdef";
        let id = derive(&volume, 0x8000_1234_5678_9abc);
        assert_eq!(hex(&id), "19fd307d16b0af5f797d438ef47401a8");
        assert_ne!(id, derive(&volume, 0x8000_1234_5678_9abd));
        assert_ne!(id, derive(b"0123456789abcdeg", 0x8000_1234_5678_9abc));
    }
}
