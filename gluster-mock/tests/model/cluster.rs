//! A cluster on virtual time with several clients, for tests of the model.

use std::cell::RefCell;
use std::time::Duration;

use gluster_mock::call::{
    Attributes, ClientId, Handle, LockCall, LockType, LockVerb, Place, XattrMode,
};
use gluster_mock::marks::Marks;
use gluster_mock::medium::{Medium, Memory, PAGE};
use gluster_mock::{
    Answer, Call, Command, Errno, Moment, Reply, Settings, Submitted, SyncKind, Ticket, Volume,
};

pub(crate) const RDWR: i32 = 0o2;
pub(crate) const DSYNC: i32 = 0o10000;
pub(crate) const DISK: &str = "/disk";
pub(crate) const ENFORCE: &str = "trusted.glusterfs.enforce-mandatory-lock";

/// A volume and what time it is there.
pub(crate) struct Cluster {
    pub(crate) volume: Volume,
    pub(crate) now: Moment,
    answers: Vec<(Ticket, Answer)>,
}

thread_local! {
    static MARKS: RefCell<Marks> = RefCell::default();
}

/// What every cluster of this thread has passed.
pub(crate) fn marks() -> Marks {
    MARKS.with_borrow(Marks::clone)
}

/// Adds what a volume has passed.
pub(crate) fn collect(volume: &Volume) {
    MARKS.with_borrow_mut(|all| all.merge(&volume.marks));
}

impl Drop for Cluster {
    fn drop(&mut self) {
        collect(&self.volume);
    }
}

/// A client with the file open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mount {
    pub(crate) client: ClientId,
    pub(crate) handle: Handle,
}

/// A call that was handed in.
#[derive(Debug)]
pub(crate) struct Under {
    since: Moment,
    what: Submitted,
}

impl Cluster {
    pub(crate) fn new(settings: &str) -> Self {
        let settings = Settings::parse(settings).expect("settings");
        let media = (0..settings.bricks).map(|_| Box::new(Memory::default()) as Box<dyn Medium>);
        let mut volume = Volume::open(settings.clone(), media.collect()).expect("a volume");
        volume.trace.keep();
        Self {
            volume,
            now: Moment(0),
            answers: Vec::new(),
        }
    }

    /// A client; `options` as `xlator key value`.
    pub(crate) fn attach(&mut self, options: &[&str]) -> Answer {
        let words = |text: &&str| {
            let mut words = text.split(' ').map(str::to_owned);
            [(); 3].map(|()| words.next().expect("three words"))
        };
        let options = options.iter().map(words).collect();
        let under = self.begin(ClientId(0), Call::Init { options });
        self.finish(under).expect("an answer").0
    }

    /// A client with the file open, with these options.
    pub(crate) fn mount_with(&mut self, options: &[&str]) -> Mount {
        let Ok(Reply::Client(client)) = self.attach(options) else {
            panic!("no client");
        };
        let handle = self.create(client, DISK);
        Mount { client, handle }
    }

    /// The same, with nothing written behind.
    pub(crate) fn mount(&mut self) -> Mount {
        self.mount_with(&["*-write-behind pass-through true"])
    }

    pub(crate) fn create(&mut self, client: ClientId, path: &str) -> Handle {
        let create = Call::Create {
            path: path.to_owned(),
            flags: RDWR,
            mode: 0o600,
        };
        match self.call(client, create) {
            Ok(Reply::Handle(handle)) => handle,
            other => panic!("{other:?}"),
        }
    }

    /// The file again, by another handle.
    pub(crate) fn reopen(&mut self, mount: Mount) -> Mount {
        let handle = self.create(mount.client, DISK);
        Mount { handle, ..mount }
    }

    pub(crate) fn begin(&mut self, client: ClientId, call: Call) -> Under {
        let what = self.volume.submit(self.now, client, call);
        Under {
            since: self.now,
            what,
        }
    }

    /// The answer and how long it took; `None` where nothing would ever bring it.
    pub(crate) fn finish(&mut self, under: Under) -> Option<(Answer, Duration)> {
        let ticket = match under.what {
            Submitted::Answered(answer) => return Some((answer, Duration::ZERO)),
            Submitted::Pending(ticket) => ticket,
        };
        for _ in 0..10_000 {
            self.answers.extend(self.volume.answers());
            if let Some(index) = self.answers.iter().position(|(one, _)| *one == ticket) {
                let (_, answer) = self.answers.swap_remove(index);
                let took = Duration::from_nanos(self.now.0 - under.since.0);
                return Some((answer, took));
            }
            self.now = self.volume.next_due()?.max(self.now);
            self.volume.advance(self.now);
        }
        panic!("still busy after 10,000 steps");
    }

    /// What is answered by now, without waiting.
    pub(crate) fn peek(&mut self, under: &Under) -> Option<Answer> {
        self.answers.extend(self.volume.answers());
        match &under.what {
            Submitted::Answered(answer) => Some(answer.clone()),
            Submitted::Pending(ticket) => {
                let found = self.answers.iter().find(|(one, _)| one == ticket);
                found.map(|(_, answer)| answer.clone())
            }
        }
    }

    pub(crate) fn call(&mut self, client: ClientId, call: Call) -> Answer {
        let what = format!("{call:?}");
        let under = self.begin(client, call);
        self.finish(under)
            .unwrap_or_else(|| panic!("never: {what}"))
            .0
    }

    /// The answer and how long it took.
    pub(crate) fn timed(&mut self, client: ClientId, call: Call) -> (Answer, Duration) {
        let under = self.begin(client, call);
        self.finish(under).expect("an answer")
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.now = self.now.after(time);
        self.volume.advance(self.now);
    }

    pub(crate) fn command(&mut self, line: &str) -> String {
        let command = Command::parse(line).expect(line);
        self.volume.command(self.now, &command).expect(line)
    }

    /// Bricks come back, and clients find them.
    pub(crate) fn start(&mut self, bricks: &[usize]) {
        for brick in bricks {
            self.command(&format!("brick start {brick}"));
        }
        self.wait(Duration::from_secs(1));
    }

    /// Asks for enforcement of the file's locks.
    pub(crate) fn enforce(&mut self, mount: Mount) -> Answer {
        let set = Call::SetXattr {
            place: Place::Handle(mount.handle),
            name: ENFORCE.to_owned(),
            value: b"set".to_vec(),
            mode: XattrMode::Any,
        };
        self.call(mount.client, set)
    }

    pub(crate) fn lock(&mut self, mount: Mount) -> (Answer, Duration) {
        self.timed(
            mount.client,
            lock_call(mount, LockVerb::Set, LockType::Write),
        )
    }

    pub(crate) fn write(
        &mut self,
        mount: Mount,
        at: u64,
        value: u8,
    ) -> (Result<(), Errno>, Duration) {
        let (answer, took) = self.timed(mount.client, write_call(mount, at, value));
        (answer.map(|_| ()), took)
    }

    pub(crate) fn sync(&mut self, mount: Mount) -> Result<(), Errno> {
        let call = Call::Sync {
            handle: mount.handle,
            kind: SyncKind::Data,
        };
        self.call(mount.client, call).map(|_| ())
    }

    /// The first byte of the page there; `None` behind the end.
    pub(crate) fn read(&mut self, mount: Mount, at: u64) -> Result<Option<u8>, Errno> {
        match self.call(mount.client, read_call(mount, at)) {
            Ok(Reply::Bytes(bytes)) => Ok(bytes.first().copied()),
            Ok(other) => panic!("{other:?}"),
            Err(errno) => Err(errno),
        }
    }

    pub(crate) fn stat(&mut self, mount: Mount) -> Result<Attributes, Errno> {
        let place = Place::Handle(mount.handle);
        match self.call(mount.client, Call::Stat { place })? {
            Reply::Attributes(found) => Ok(found),
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn write_call(mount: Mount, at: u64, value: u8) -> Call {
    Call::Write {
        handle: mount.handle,
        at,
        flags: 0,
        bytes: vec![value; PAGE].into(),
        owner: None,
    }
}

pub(crate) fn read_call(mount: Mount, at: u64) -> Call {
    Call::Read {
        handle: mount.handle,
        at,
        len: PAGE,
    }
}

pub(crate) fn lock_call(mount: Mount, verb: LockVerb, kind: LockType) -> Call {
    Call::Lock {
        handle: mount.handle,
        lock: LockCall {
            verb,
            kind,
            range: 0..u64::MAX,
            mandatory: true,
            owner: None,
        },
    }
}

pub(crate) fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}
