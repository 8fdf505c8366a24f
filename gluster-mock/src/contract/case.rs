//! A case, the stage it plays on, and how what was seen is compared with what the case states.

use std::fmt::Debug;
use std::ops::RangeBounds;
use std::sync::Arc;
use std::time::{Duration, Instant};

use glfs_sys::Api;
use glfs_sys::types::O_RDWR;

use super::client::{Address, Answer, Handle, Mount, Refusal};
use super::differences;
use super::ground::{Ground, GroundError, Kind, Volume, Wish};
use crate::errno::Errno;

/// Within three seconds on an idle machine.
const RECONNECT_LIMIT: Duration = Duration::from_secs(60);

/// Something real Gluster does, and how to see it.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its name, `theme.what`.
    pub id: &'static str,
    /// Where it was seen first, and what is stated.
    pub clause: &'static str,
    /// The volume it wants.
    pub wish: Wish,
    /// Who else is on that volume.
    pub company: Company,
    /// Does it and compares.
    pub body: fn(&Stage) -> Verdict,
}

/// Who else may use the volume of a case meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// Other cases, each with its own files.
    Shared,
    /// Nobody: the case does things to it.
    Own,
    /// Nobody on the whole ground: the case does things to the server.
    Alone,
}

/// A volume of this kind as we recommend it.
pub(super) const fn a(kind: Kind) -> Wish {
    with(kind, &[])
}

/// The same with options.
pub(super) const fn with(kind: Kind, options: &'static [(&'static str, &'static str)]) -> Wish {
    Wish {
        kind,
        options,
        room: None,
    }
}

/// A case.
pub(super) const fn case(
    company: Company,
    wish: Wish,
    id: &'static str,
    clause: &'static str,
    body: fn(&Stage) -> Verdict,
) -> Case {
    Case {
        id,
        clause,
        wish,
        company,
        body,
    }
}

/// Nothing to say when all was as stated.
pub type Verdict = Result<(), Fault>;

/// Why a case did not pass.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Something else was seen.
    Seen(String),
    /// The ground cannot do what the case needs.
    NotYet(&'static str),
    /// The ground failed.
    Ground(String),
}

impl From<GroundError> for Fault {
    fn from(error: GroundError) -> Self {
        match error {
            GroundError::NotYet(what) => Self::NotYet(what),
            GroundError::Failed(why) => Self::Ground(why),
        }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Seen(format!("{}: {}", refusal.call, refusal.errno))
    }
}

/// A volume in use by cases, and the client that those share that need none of their own.
pub(super) struct Site {
    pub(super) volume: Box<dyn Volume>,
    mount: Arc<Mount>,
}

impl Site {
    /// Waits until a client finds the bricks: those that run may not have told their ports yet.
    pub(super) fn open(api: &'static Api, volume: Box<dyn Volume>) -> Result<Self, GroundError> {
        let address = Address {
            servers: &[volume.server()],
            volume: volume.name(),
            options: &[],
        };
        let mount = eventually(RECONNECT_LIMIT, || Mount::connect(api, &address));
        let mount = mount.map_err(|refusal| {
            GroundError::Failed(format!(
                "a fresh volume: {}: {}",
                refusal.call, refusal.errno
            ))
        })?;
        Ok(Self {
            volume,
            mount: Arc::new(mount),
        })
    }
}

/// What a case gets.
pub struct Stage {
    pub(super) api: &'static Api,
    pub(super) ground: Arc<dyn Ground>,
    pub(super) site: Arc<Site>,
    pub(super) case: Case,
}

impl Stage {
    /// The kind of its volume.
    pub(super) fn kind(&self) -> Kind {
        self.case.wish.kind
    }

    /// Whether the ground's version has a difference for this case.
    pub(super) fn differs(&self) -> bool {
        differences::of(self.case.id, self.ground.version()).is_some()
    }

    /// Its volume, to do things to.
    pub(super) fn volume(&self) -> &dyn Volume {
        self.site.volume.as_ref()
    }

    /// A path nobody else uses.
    pub(super) fn path(&self, name: &str) -> String {
        format!("/{}.{name}", self.case.id)
    }

    /// The client that all cases of the volume share.
    pub(super) fn mount(&self) -> Arc<Mount> {
        Arc::clone(&self.site.mount)
    }

    /// A client of its own, with options of its own.
    pub(super) fn client(&self, options: &[(&str, &str, &str)]) -> Answer<Mount> {
        let address = Address {
            servers: &[self.volume().server()],
            volume: self.volume().name(),
            options,
        };
        Mount::connect(self.api, &address)
    }

    /// A new file, open for reading and writing, by the shared client.
    pub(super) fn file(&self, name: &str) -> Answer<Handle> {
        self.mount().create(&self.path(name), O_RDWR)
    }

    /// A new file with that in it.
    pub(super) fn filled(&self, name: &str, data: &[u8]) -> Answer<Handle> {
        let file = self.file(name)?;
        file.pwrite(data, 0)?;
        Ok(file)
    }
}

/// Waits until that client has found every brick of a file again, as its path says. It looks for a
/// brick that came back every few seconds, and has its handles open there before it says so.
pub(super) fn reconnected(stage: &Stage, mount: &Mount, path: &str) -> Verdict {
    let bricks = stage.kind().bricks();
    let deadline = Instant::now() + RECONNECT_LIMIT;
    loop {
        let told = mount.getxattr(path, "trusted.glusterfs.pathinfo", 16 << 10);
        let told = told.map(|(_, text)| String::from_utf8_lossy(&text).into_owned());
        if told.as_ref().map(|text| text.matches("<POSIX(").count()) == Ok(bricks) {
            // AFR takes its locks there right after.
            std::thread::sleep(Duration::from_secs(1));
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Fault::Seen(format!("not all bricks are back: {told:?}")));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Bytes that differ from each other and from those of another seed.
pub(super) fn pattern(seed: u8, length: usize) -> Vec<u8> {
    let byte = |at: usize| (at % 251) as u8 ^ (at >> 8) as u8 ^ seed.wrapping_mul(37);
    (0..length).map(byte).collect()
}

/// The two are equal.
pub(super) fn equal<T: PartialEq + Debug>(what: &str, seen: T, stated: T) -> Verdict {
    match seen == stated {
        true => Ok(()),
        false => Err(Fault::Seen(format!("{what}: {seen:?}, not {stated:?}"))),
    }
}

/// It holds.
pub(super) fn holds(what: &str, truth: bool) -> Verdict {
    match truth {
        true => Ok(()),
        false => Err(Fault::Seen(format!("not so: {what}"))),
    }
}

/// Byte for byte the same; tells where they part.
pub(super) fn same(what: &str, seen: &[u8], stated: &[u8]) -> Verdict {
    equal(&format!("{what}: length"), seen.len(), stated.len())?;
    let parted = seen.iter().zip(stated).position(|(a, b)| a != b);
    match parted {
        None => Ok(()),
        Some(at) => Err(Fault::Seen(format!(
            "{what}: byte {at} is {}, not {}",
            seen[at], stated[at]
        ))),
    }
}

/// It failed with that number.
pub(super) fn refused<T>(what: &str, answer: Answer<T>, errno: Errno) -> Verdict {
    match answer {
        Err(refusal) if refusal.errno == errno => Ok(()),
        Err(refusal) => Err(Fault::Seen(format!(
            "{what}: {}, not {errno}",
            refusal.errno
        ))),
        Ok(_) => Err(Fault::Seen(format!("{what}: done, not {errno}"))),
    }
}

/// It took as long as stated, in milliseconds.
pub(super) fn took(what: &str, time: Duration, stated: impl RangeBounds<u128> + Debug) -> Verdict {
    match stated.contains(&time.as_millis()) {
        true => Ok(()),
        false => Err(Fault::Seen(format!("{what}: {time:?}, not {stated:?} ms"))),
    }
}

/// The result, and how long it took.
pub(super) fn timed<T>(doing: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    let result = doing();
    (result, begin.elapsed())
}

/// Asks again until it succeeds or the time is up; the last refusal if it never did.
pub(super) fn eventually<T>(limit: Duration, mut ask: impl FnMut() -> Answer<T>) -> Answer<T> {
    let deadline = Instant::now() + limit;
    loop {
        match ask() {
            Err(_) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(50));
            }
            last => return last,
        }
    }
}
