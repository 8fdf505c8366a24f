use std::time::{Duration, Instant};

use block::{BlockSize, Buffer};
use tempfile::TempDir;

use super::*;

const SETTINGS: Settings = Settings {
    block_size: BlockSize::B512,
    read_only: false,
    volatile_cache: false,
    storage_timeout: Duration::from_secs(20),
};
const SIZE: u64 = 8 << 20;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn open(folder: &TempDir, create_bytes: Option<u64>) -> Result<FileStore, OpenError> {
    FileStore::open(&folder.path().join("disk.img"), create_bytes, &SETTINGS)
}

/// Submits a batch and waits for all its answers, at once or later, by ticket.
fn run(store: &FileStore, ops: Vec<Op>) -> Vec<Completion> {
    run_batch(store, (0..).map(Ticket).zip(ops).collect())
}

fn run_batch(store: &FileStore, mut batch: Vec<(Ticket, Op)>) -> Vec<Completion> {
    let reply = Arc::new(Completions::default());
    let count = batch.len();
    let mut done = Vec::new();
    store.submit(&mut batch, &mut done, &reply);
    assert!(batch.is_empty());
    let deadline = Instant::now() + Duration::from_secs(20);
    while done.len() < count {
        assert!(
            Instant::now() < deadline,
            "{} of {count} answered",
            done.len()
        );
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
    Op::Write {
        at,
        buffer: filled(len, byte),
        durable,
    }
}

#[test]
fn a_missing_file_is_made_only_with_a_size() {
    let folder = folder();
    assert!(matches!(
        open(&folder, None),
        Err(OpenError::Missing { .. })
    ));
    let store = open(&folder, Some(SIZE)).expect("made");
    assert_eq!(store.caps().bytes, SIZE);
    drop(store);
    use std::os::unix::fs::MetadataExt;
    let metadata = folder
        .path()
        .join("disk.img")
        .metadata()
        .expect("it is there");
    assert_eq!(metadata.len(), SIZE);
    assert!(metadata.blocks() * 512 < SIZE / 2, "sparse");
    assert_eq!(open(&folder, None).expect("found").caps().bytes, SIZE);
}

#[test]
fn another_size_is_refused_and_nothing_is_changed() {
    let folder = folder();
    drop(open(&folder, Some(SIZE)).expect("made"));
    let Err(refusal) = open(&folder, Some(2 * SIZE)) else {
        panic!("must be refused")
    };
    let text = refusal.to_string();
    assert!(
        text.contains("8388608 bytes") && text.contains("?size=16MiB"),
        "{text}"
    );
    assert_eq!(open(&folder, None).expect("unchanged").caps().bytes, SIZE);
}

#[test]
fn a_partial_last_block_is_refused() {
    let folder = folder();
    std::fs::write(folder.path().join("disk.img"), [0; 700]).expect("written");
    assert!(matches!(
        open(&folder, None),
        Err(OpenError::Uneven { bytes: 700, .. })
    ));
}

#[test]
fn one_file_has_one_server() {
    let folder = folder();
    let first = open(&folder, Some(SIZE)).expect("made");
    assert!(matches!(open(&folder, None), Err(OpenError::InUse { .. })));
    drop(first);
    open(&folder, None).expect("free again");
}

#[test]
fn what_was_written_is_read_after_reopening() {
    let folder = folder();
    let store = open(&folder, Some(SIZE)).expect("made");
    let writes = (0..64)
        .map(|i| write(i * 65536, 65536, i as u8 + 1, i % 2 == 0))
        .collect();
    assert!(run(&store, writes).iter().all(|done| done.outcome.is_ok()));
    assert_eq!(run(&store, vec![Op::Flush])[0].outcome, Ok(()));
    drop(store);
    let store = open(&folder, None).expect("opened");
    let reads = (0..64)
        .map(|i| Op::Read {
            at: i * 65536,
            buffer: filled(65536, 0xff),
        })
        .collect();
    for (i, done) in run(&store, reads).into_iter().enumerate() {
        let buffer = done.buffer.expect("comes back");
        assert!(
            buffer.bytes().iter().all(|&byte| byte == i as u8 + 1),
            "block {i}"
        );
    }
}

#[test]
fn large_reads_and_writes_go_through_the_pool() {
    let folder = folder();
    let store = open(&folder, Some(SIZE)).expect("made");
    assert_eq!(
        run(&store, vec![write(0, 1 << 20, 7, true)])[0].outcome,
        Ok(())
    );
    let read = run(
        &store,
        vec![Op::Read {
            at: 0,
            buffer: filled(1 << 20, 0),
        }],
    )
    .remove(0);
    assert!(
        read.buffer
            .expect("comes back")
            .bytes()
            .iter()
            .all(|&byte| byte == 7)
    );
}

#[test]
fn faults_come_back_with_their_buffer() {
    let folder = folder();
    let store = open(&folder, Some(SIZE)).expect("made");
    let done = run(
        &store,
        vec![write(SIZE, 512, 1, true), write(SIZE - 512, 1024, 1, false)],
    );
    for completion in done {
        assert_eq!(completion.outcome, Err(Fault::OutOfRange));
        assert!(completion.buffer.is_some());
    }
    drop(store);
    let read_only = Settings {
        read_only: true,
        ..SETTINGS
    };
    let path = folder.path().join("disk.img");
    let store = FileStore::open(&path, None, &read_only).expect("opened");
    assert_eq!(
        run(&store, vec![write(0, 512, 1, true)])[0].outcome,
        Err(Fault::ReadOnly)
    );
    assert_eq!(run(&store, vec![Op::Flush])[0].outcome, Ok(()));
}

#[test]
fn a_file_that_shrank_under_us_is_a_read_error() {
    let folder = folder();
    let store = open(&folder, Some(SIZE)).expect("made");
    let path = folder.path().join("disk.img");
    std::fs::OpenOptions::new()
        .write(true)
        .open(path)
        .expect("ours")
        .set_len(512)
        .expect("cut");
    let done = run(
        &store,
        vec![Op::Read {
            at: 4096,
            buffer: filled(4096, 0),
        }],
    );
    assert_eq!(done[0].outcome, Err(Fault::ReadFailed));
}

#[test]
fn the_queue_drains_before_the_image_closes() {
    let folder = folder();
    let store = open(&folder, Some(SIZE)).expect("made");
    let reply = Arc::new(Completions::default());
    let mut batch: Vec<_> = (0..200)
        .map(|i| (Ticket(i), write(i * 4096, 4096, 3, false)))
        .collect();
    store.submit(&mut batch, &mut Vec::new(), &reply);
    drop(store);
    let mut done = Vec::new();
    reply.take(&mut done);
    assert_eq!(done.len(), 200);
    assert!(done.iter().all(|completion| completion.outcome.is_ok()));
}

#[test]
fn it_keeps_the_contract() {
    for volatile_cache in [false, true] {
        for block_size in [BlockSize::B512, BlockSize::B4096] {
            let (folder, settings) = (
                folder(),
                Settings {
                    block_size,
                    volatile_cache,
                    ..SETTINGS
                },
            );
            let path = folder.path().join("disk.img");
            let store = FileStore::open(&path, Some(SIZE), &settings).expect("made");
            block::contract::check(&mut block::contract::Subject {
                caps: store.caps(),
                run: &mut |batch| run_batch(&store, batch),
            });
        }
    }
}

/// What unmapping is for.
#[test]
fn what_is_unmapped_takes_no_space() {
    let folder = folder();
    let store = open(&folder, Some(SIZE)).expect("made");
    let allocated = || match run(&store, vec![Op::Space { found: None }]).remove(0).found {
        block::Found::Space(space) => space.allocated.expect("files know"),
        other => panic!("{other:?}"),
    };
    run(
        &store,
        vec![write(0, 1 << 20, 7, true), write(1 << 20, 1 << 20, 7, true)],
    );
    let full = allocated();
    assert!(full >= 2 << 20, "{full}");
    let span = block::Span {
        at: 0,
        len: 1 << 20,
    };
    let op = Op::Unmap {
        span,
        durable: true,
    };
    assert_eq!(run(&store, vec![op])[0].outcome, Ok(()));
    assert!(allocated() <= full - (1 << 20));
}
