//! The Gluster store on a real volume, given as `GLINT_GLUSTER=SERVER/VOLUME`: one to write to and
//! throw away. Images stay in it.
//!
//! Without a volume or libgfapi every trial is listed as ignored, with what is missing as its kind;
//! under `CI=true` it fails instead.

mod images;
mod refusals;

use std::sync::Arc;
use std::time::{Duration, Instant};

use block::{BlockSize, Buffer, Completion, Op, Ticket};
use libtest_mimic::{Arguments, Failed, Trial};
use target::StoreSpec;
use target::inbox::Completions;
use target::store::{OpenError, Settings, Store};

const SETTINGS: Settings = Settings {
    block_size: BlockSize::B512,
    read_only: false,
    volatile_cache: false,
};

fn main() -> std::process::ExitCode {
    let arguments = Arguments::from_args();
    let trials = [images::trials(), refusals::trials()];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}

/// A trial that is given the volume.
fn trial(name: &str, body: fn(&str) -> Result<(), Failed>) -> Trial {
    let volume = match (std::env::var("GLINT_GLUSTER"), glfs_sys::Api::load()) {
        (Ok(volume), Ok(_)) => volume,
        (_, Err(why)) => return missing(name, why.to_string()),
        (Err(_), _) => {
            let what = "needs a scratch volume: GLINT_GLUSTER=SERVER/VOLUME";
            return missing(name, what.to_owned());
        }
    };
    Trial::test(name, move || body(&volume))
}

/// A missing judge is not a verdict.
fn missing(name: &str, reason: String) -> Trial {
    if std::env::var_os("CI").is_some_and(|value| value == "true") {
        return Trial::test(name, move || Err(Failed::from(reason)));
    }
    Trial::test(name, || Ok(()))
        .with_kind(reason)
        .with_ignored_flag(true)
}

/// The place of an image no other run has.
fn place(volume: &str, name: &str) -> String {
    format!("gluster://{volume}/{name}-{}.img", std::process::id())
}

fn open(store: &str, settings: &Settings) -> Result<Arc<dyn Store>, OpenError> {
    StoreSpec::parse(store).expect("a store").open(settings)
}

/// Submits a batch and waits for all its answers, by ticket.
fn run(store: &dyn Store, ops: Vec<Op>) -> Vec<Completion> {
    let reply = Arc::new(Completions::default());
    let count = ops.len();
    let mut batch: Vec<_> = (0..).map(Ticket).zip(ops).collect();
    let mut done = Vec::new();
    store.submit(&mut batch, &mut done, &reply);
    let end = Instant::now() + Duration::from_secs(60);
    while done.len() < count {
        assert!(Instant::now() < end, "{} of {count} answered", done.len());
        reply.take(&mut done);
        std::thread::sleep(Duration::from_millis(1));
    }
    done.sort_by_key(|completion| completion.ticket);
    done
}

fn filled(len: usize, byte: u8) -> Buffer {
    let mut buffer = Buffer::zeroed(len);
    buffer.bytes_mut().fill(byte);
    buffer
}

fn write(at: u64, len: usize, byte: u8, durable: bool) -> Op {
    let buffer = filled(len, byte);
    Op::Write {
        at,
        buffer,
        durable,
    }
}

fn read(at: u64, len: usize) -> Op {
    let buffer = filled(len, 0xff);
    Op::Read { at, buffer }
}
