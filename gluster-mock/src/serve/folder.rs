//! A volume as a folder: where it is found, who may have it, and stable storage in real files.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, SeekFrom};

use crate::call::{Answer, Call, ClientId, Ino, Moment, Reply, Submitted};
use crate::errno::Errno;
use crate::medium::{Entry, Medium, PAGE};
use crate::settings::Settings;
use crate::volume::Volume;

/// How long a predecessor that is just dying may keep a volume.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);

/// A volume's folder in a cluster's.
pub(crate) fn find(cluster: &Path, volume: &str) -> Result<PathBuf, Errno> {
    if !cluster.is_dir() {
        return Err(Errno::ENOTCONN);
    }
    let folder = cluster.join(volume);
    if is_name(volume) && folder.is_dir() {
        Ok(folder)
    } else {
        Err(Errno::ENOENT)
    }
}

/// Whether a volume may be called so.
pub(crate) fn is_name(volume: &str) -> bool {
    let starts = volume.starts_with(|first: char| first.is_ascii_alphanumeric());
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    starts && volume.chars().all(fits)
}

/// Takes the volume for this process and opens the model on what is there.
pub(crate) fn open(folder: &Path) -> Result<(Volume, File), Errno> {
    let lock = lock(folder)?;
    let mut settings = settings(folder)?;
    // Every life of the volume has its own fates, all of them from the one seed.
    settings.seed = settings.seed.wrapping_add(count_life(folder)? << 32);
    let media = (0..settings.bricks).map(|brick| {
        let files = Files::open(&folder.join("bricks"), brick)?;
        Ok(Box::new(files) as Box<dyn Medium>)
    });
    let volume = Volume::open(settings, media.collect::<Result<_, Errno>>()?)?;
    Ok((volume, lock))
}

/// What the volume in that folder is like.
fn settings(folder: &Path) -> Result<Settings, Errno> {
    let text = match fs::read_to_string(folder.join("settings")) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(errno(&error)),
    };
    Settings::parse(&text).map_err(|error| {
        complain(folder, "settings", &error);
        Errno::EINVAL
    })
}

/// One call on a volume that no process has mounted, for whoever looks after it: as an
/// administrator would make it through a mount. Nothing is lost after that, as after the last
/// `glfs_fini`.
pub fn at_rest(folder: &Path, call: Call) -> Answer {
    let (mut volume, _lock) = open(folder)?;
    let mut now = Moment::default();
    let mut make = |volume: &mut Volume, client: ClientId, call: Call| -> Answer {
        let ticket = match volume.submit(now, client, call) {
            Submitted::Answered(answer) => return answer,
            Submitted::Pending(ticket) => ticket,
        };
        loop {
            // Nobody waits: the time is whatever the model wants it to be.
            now = volume.next_due().ok_or(Errno::EIO)?;
            volume.advance(now);
            let mut answers = volume.answers().into_iter();
            if let Some((_, answer)) = answers.find(|(answered, _)| *answered == ticket) {
                return answer;
            }
        }
    };
    let options = Vec::new();
    let init = make(&mut volume, ClientId(0), Call::Init { options })?;
    let Reply::Client(client) = init else {
        return Err(Errno::EIO);
    };
    let answer = make(&mut volume, client, call)?;
    make(&mut volume, client, Call::Fini)?;
    volume.settle()?;
    Ok(answer)
}

fn lock(folder: &Path) -> Result<File, Errno> {
    let options = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .clone();
    let file = options
        .open(folder.join("lock"))
        .map_err(|error| errno(&error))?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(errno(&error)),
            Err(TryLockError::WouldBlock) if start.elapsed() > LOCK_PATIENCE => {
                complain(folder, "lock", "another process has this volume");
                return Err(Errno::ENOTCONN);
            }
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn count_life(folder: &Path) -> Result<u64, Errno> {
    let path = folder.join("lives");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let lives = text.trim().parse().unwrap_or(0_u64) + 1;
    fs::write(&path, format!("{lives}\n")).map_err(|error| errno(&error))?;
    Ok(lives)
}

/// Tells whoever set the fake up what is wrong with it: it has no other channel.
#[allow(clippy::print_stderr)]
pub(crate) fn complain(folder: &Path, file: &str, message: &str) {
    eprintln!("gluster-mock: {}: {message}", folder.join(file).display());
}

/// The number of a host's error, EIO where it has none.
pub(crate) fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno)
}

/// Stable storage of one brick in files under their own names.
struct Files {
    root: PathBuf,
    xattrs: PathBuf,
    open: BTreeMap<Ino, File>,
    /// Attributes by path, as the file beside the brick has them.
    attributes: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    entries: Vec<Entry>,
    /// Files of several names that were found, by the host's number.
    linked: BTreeMap<u64, Ino>,
}

impl Files {
    fn open(bricks: &Path, index: u32) -> Result<Self, Errno> {
        let root = bricks.join(index.to_string());
        fs::create_dir_all(&root).map_err(|error| errno(&error))?;
        let xattrs = bricks.join(format!("{index}.xattrs"));
        let attributes = read_attributes(&xattrs).unwrap_or_default();
        let mut files = Self {
            root,
            xattrs,
            open: BTreeMap::new(),
            attributes,
            entries: Vec::new(),
            linked: BTreeMap::new(),
        };
        files.walk("")?;
        Ok(files)
    }

    fn host(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn walk(&mut self, parent: &str) -> Result<(), Errno> {
        let read = fs::read_dir(self.host(parent)).map_err(|error| errno(&error))?;
        let mut names: Vec<String> = read
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        // The host lists in any order; numbers must not depend on it.
        names.sort();
        for name in names {
            let path = format!("{parent}/{name}");
            let host = self.host(&path);
            let metadata = fs::symlink_metadata(&host).map_err(|error| errno(&error))?;
            let mut file = Ino(self.entries.len() as u64 + 1);
            if metadata.is_file() && metadata.nlink() > 1 {
                file = *self.linked.entry(metadata.ino()).or_insert(file);
            }
            let entry = Entry {
                file,
                path: path.clone(),
                directory: metadata.is_dir(),
                mode: metadata.mode() & 0o7777,
                xattrs: self.attributes.get(&path).cloned().unwrap_or_default(),
            };
            if metadata.is_file() {
                self.keep_open(entry.file, &host)?;
            }
            self.entries.push(entry);
            if metadata.is_dir() {
                self.walk(&path)?;
            }
        }
        Ok(())
    }

    fn keep_open(&mut self, file: Ino, host: &Path) -> Result<(), Errno> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true);
        let opened = options.open(host).map_err(|error| errno(&error))?;
        self.open.insert(file, opened);
        Ok(())
    }

    fn file(&self, file: Ino) -> Result<&File, Errno> {
        self.open.get(&file).ok_or(Errno::EISDIR)
    }

    fn write_attributes(&self) -> Result<(), Errno> {
        let mut text = String::new();
        for (path, attributes) in &self.attributes {
            for (name, value) in attributes {
                let line = [path.as_bytes(), name.as_bytes(), value].map(hex).join(" ");
                text.push_str(&line);
                text.push('\n');
            }
        }
        let fresh = self.xattrs.with_extension("xattrs.new");
        let written = fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, &self.xattrs));
        written.map_err(|error| errno(&error))
    }
}

impl Medium for Files {
    fn entries(&mut self) -> Result<Vec<Entry>, Errno> {
        Ok(std::mem::take(&mut self.entries))
    }

    fn extents(&mut self, file: Ino) -> Result<(u64, Vec<Range<u64>>), Errno> {
        let Some(file) = self.open.get(&file) else {
            return Ok((0, Vec::new()));
        };
        let size = file.metadata().map_err(|error| errno(&error))?.len();
        let mut extents = Vec::new();
        let mut at = 0;
        while let Ok(data) = rustix::fs::seek(file, SeekFrom::Data(at)) {
            let end = rustix::fs::seek(file, SeekFrom::Hole(data)).unwrap_or(size);
            extents.push(data / PAGE as u64..end.div_ceil(PAGE as u64));
            at = end.max(data + 1);
        }
        Ok((size, extents))
    }

    fn create(&mut self, entry: &Entry) -> Result<(), Errno> {
        let host = self.host(&entry.path);
        if entry.directory {
            fs::create_dir(&host).map_err(|error| errno(&error))
        } else {
            self.keep_open(entry.file, &host)?;
            // Whatever the mode says, the fake itself must be able to open it again.
            let mode = fs::Permissions::from_mode(entry.mode | 0o600);
            fs::set_permissions(&host, mode).map_err(|error| errno(&error))
        }
    }

    fn remove(&mut self, _file: Ino, path: &str, directory: bool) -> Result<(), Errno> {
        let host = self.host(path);
        let removed = if directory {
            fs::remove_dir(host)
        } else {
            fs::remove_file(host)
        };
        removed.map_err(|error| errno(&error))?;
        match self.attributes.remove(path) {
            Some(_) => self.write_attributes(),
            None => Ok(()),
        }
    }

    fn forget(&mut self, file: Ino) {
        self.open.remove(&file);
    }

    fn link(&mut self, from: &str, to: &str) -> Result<(), Errno> {
        fs::hard_link(self.host(from), self.host(to)).map_err(|error| errno(&error))?;
        match self.attributes.get(from).cloned() {
            Some(held) => self.set_xattrs(to, &held),
            None => Ok(()),
        }
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), Errno> {
        fs::rename(self.host(from), self.host(to)).map_err(|error| errno(&error))?;
        let attributes = std::mem::take(&mut self.attributes).into_iter();
        self.attributes = attributes
            .map(|(path, held)| (crate::medium::moved(&path, from, to).unwrap_or(path), held))
            .collect();
        self.write_attributes()
    }

    fn set_xattrs(&mut self, path: &str, xattrs: &BTreeMap<String, Vec<u8>>) -> Result<(), Errno> {
        self.attributes.insert(path.to_owned(), xattrs.clone());
        self.write_attributes()
    }

    fn read(&mut self, file: Ino, at: u64, into: &mut [u8]) -> Result<(), Errno> {
        let file = self.file(file)?;
        let mut done = 0;
        while done < into.len() {
            match file.read_at(&mut into[done..], at + done as u64) {
                Ok(0) => break,
                Ok(len) => done += len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(errno(&error)),
            }
        }
        into[done..].fill(0);
        Ok(())
    }

    fn write(&mut self, file: Ino, at: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.file(file)?
            .write_all_at(bytes, at)
            .map_err(|error| errno(&error))
    }

    fn punch(&mut self, file: Ino, pages: Range<u64>) -> Result<(), Errno> {
        let (at, len) = (
            pages.start * PAGE as u64,
            (pages.end - pages.start) * PAGE as u64,
        );
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let file = self.file(file)?;
        match rustix::fs::fallocate(file, flags, at, len) {
            // A host without holes: zeros read the same.
            Err(rustix::io::Errno::OPNOTSUPP) => {
                let end = file.metadata().map_err(|error| errno(&error))?.len();
                let zeros = vec![0; (at + len).min(end).saturating_sub(at) as usize];
                file.write_all_at(&zeros, at).map_err(|error| errno(&error))
            }
            result => result.map_err(|error| Errno(error.raw_os_error())),
        }
    }

    fn set_len(&mut self, file: Ino, len: u64) -> Result<(), Errno> {
        self.file(file)?.set_len(len).map_err(|error| errno(&error))
    }
}

fn read_attributes(path: &Path) -> Option<BTreeMap<String, BTreeMap<String, Vec<u8>>>> {
    let mut attributes: BTreeMap<String, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
    for line in fs::read_to_string(path).ok()?.lines() {
        let mut words = line.split(' ').map(unhex);
        let (file, name, value) = (words.next()??, words.next()??, words.next()??);
        let held = attributes.entry(String::from_utf8(file).ok()?).or_default();
        held.insert(String::from_utf8(name).ok()?, value);
    }
    Some(attributes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let starts = (0..text.len()).step_by(2);
    starts
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect()
}
