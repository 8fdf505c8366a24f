//! Volumes to play on, real or not, and the store as its sessions see it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use block::{Buffer, Completion, Op, Ticket};
use libtest_mimic::{Failed, Trial};
use scenarios::binaries;
use target::StoreSpec;
use target::inbox::Completions;
use target::store::{OpenError, Settings, Store};

/// Names the real volume, where there is one.
pub(crate) const REAL: &str = "GLINT_GLUSTER";

/// Where the fake finds its volumes.
pub(crate) const CLUSTER: &str = "GLUSTER_MOCK_DIR";

/// How long a trial waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A volume in glintd's words, `SERVER/VOLUME`.
#[derive(Clone)]
pub(crate) struct Volume(pub(crate) String);

impl Volume {
    /// The real one, or a fresh one of the fake.
    pub(crate) fn any() -> Self {
        match std::env::var(REAL) {
            Ok(volume) => Self(volume),
            Err(_) => Self::fake("replica = 3\n"),
        }
    }

    /// A fresh volume of the fake.
    pub(crate) fn fake(settings: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("vol-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let volume = Self(format!("localhost/{name}"));
        fs::create_dir(volume.folder()).expect("a folder in the cluster");
        fs::write(volume.folder().join("settings"), settings).expect("settings");
        volume
    }

    /// Of the fake: where it is.
    pub(crate) fn folder(&self) -> PathBuf {
        let cluster = std::env::var_os(CLUSTER).expect("this is the fake");
        PathBuf::from(cluster).join(self.0.rsplit('/').next().unwrap_or_default())
    }

    /// Of the fake: the faults from now on, counted from now on, noticed within a few milliseconds.
    pub(crate) fn plan(&self, rules: &str) {
        // A rule that stands word for word in the plan before would go on counting.
        static PLANS: AtomicU32 = AtomicU32::new(1);
        let spaces = PLANS.fetch_add(1, Ordering::Relaxed) as usize;
        let rules = rules.replace(" * ", &format!(" *{:spaces$} ", ""));
        let fresh = self.folder().join("plan.new");
        fs::write(&fresh, rules).expect("a plan");
        fs::rename(fresh, self.folder().join("plan")).expect("in one step");
        std::thread::sleep(Duration::from_millis(20));
    }

    /// The place of an image no other run has.
    pub(crate) fn image(&self, name: &str) -> String {
        format!(
            "gluster://{}/store-{name}-{}.img",
            self.0,
            std::process::id()
        )
    }

    /// A fresh image of 8 MiB.
    pub(crate) fn open(
        &self,
        name: &str,
        settings: &Settings,
    ) -> Result<Arc<dyn Store>, OpenError> {
        open(&format!("{}?size=8MiB", self.image(name)), settings)
    }
}

/// A trial.
pub(crate) fn trial(name: &str, body: fn() -> Result<(), Failed>) -> Trial {
    Trial::test(name, body)
}

pub(crate) fn open(store: &str, settings: &Settings) -> Result<Arc<dyn Store>, OpenError> {
    StoreSpec::parse(store).expect("a store").open(settings)
}

/// The unmodified program.
pub(crate) fn glintd() -> Command {
    Command::new(binaries::glintd().expect("glintd builds"))
}

/// Submits a batch and waits until every ticket has ended; a moment more, lest there be answers that
/// nobody asked for.
pub(crate) fn run_batch(store: &dyn Store, mut batch: Vec<(Ticket, Op)>) -> Vec<Completion> {
    let reply = Arc::new(Completions::default());
    let count = batch.len();
    let mut done = Vec::new();
    store.submit(&mut batch, &mut done, &reply);
    assert!(batch.is_empty(), "a store takes all of a batch");
    wait(&reply, &mut done, |done| {
        done.iter().filter(|each| each.ends_ticket()).count() >= count
    });
    reply.take(&mut done);
    done
}

/// As [`run_batch`], by ticket.
pub(crate) fn run(store: &dyn Store, ops: Vec<Op>) -> Vec<Completion> {
    let mut done = run_batch(store, (0..).map(Ticket).zip(ops).collect());
    done.sort_by_key(|completion| completion.ticket);
    done
}

pub(crate) fn wait(
    reply: &Completions,
    done: &mut Vec<Completion>,
    enough: impl Fn(&[Completion]) -> bool,
) {
    let end = Instant::now() + PATIENCE;
    while !enough(done) {
        assert!(Instant::now() < end, "answered until now: {}", done.len());
        reply.take(done);
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn filled(len: usize, byte: u8) -> Buffer {
    let mut buffer = Buffer::zeroed(len);
    buffer.bytes_mut().fill(byte);
    buffer
}

pub(crate) fn write(at: u64, len: usize, byte: u8, durable: bool) -> Op {
    let buffer = filled(len, byte);
    Op::Write {
        at,
        buffer,
        durable,
    }
}

pub(crate) fn read(at: u64, len: usize) -> Op {
    let buffer = filled(len, 0xff);
    Op::Read { at, buffer }
}
