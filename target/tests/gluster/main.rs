//! The Gluster store on a real volume, given as `GLINT_GLUSTER=SERVER/VOLUME`: one to write to and
//! throw away. Images stay in it.
//!
//! Built only with the feature `real-gluster`; then a missing volume or library is a failure.

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
    let volume = std::env::var("GLINT_GLUSTER")
        .map_err(|_| "needs a scratch volume: GLINT_GLUSTER=SERVER/VOLUME".to_owned());
    Trial::test(name, move || {
        glfs_sys::Api::load().map_err(|why| why.to_string())?;
        body(&volume?)
    })
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
