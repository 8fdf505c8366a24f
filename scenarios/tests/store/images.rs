//! Images that are made, written, read, closed and found again.

use std::sync::Arc;
use std::time::Duration;

use block::{BlockSize, Fault, Op, Ticket};
use libtest_mimic::{Failed, Trial};
use target::inbox::Completions;
use target::store::Settings;

use crate::stage::{Volume, open, read, run, trial, write};

const SETTINGS: Settings = Settings {
    block_size: BlockSize::B512,
    read_only: false,
    volatile_cache: false,
    storage_timeout: Duration::from_secs(20),
};

const SIZE: u64 = 8 << 20;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("image::is_made_with_a_size_and_found_again", is_made),
        trial("image::keeps_what_was_written", keeps),
        trial("image::answers_single_blocks_and_large_ones", all_sizes),
        trial("image::drains_before_it_closes", drains),
        trial("image::refuses_what_it_may_not_do", refuses),
    ]
}

fn is_made() -> Result<(), Failed> {
    let volume = Volume::any();
    let place = volume.image("made");
    let sized = format!("{place}?size=8MiB");
    let made = open(&sized, &SETTINGS)?;
    assert_eq!(made.caps().bytes, SIZE);
    drop(made);
    for spec in [&place, &sized] {
        assert_eq!(open(spec, &SETTINGS)?.caps().bytes, SIZE);
    }
    let Err(refusal) = open(&format!("{place}?size=16MiB"), &SETTINGS) else {
        return Err("another size must be refused".into());
    };
    let text = refusal.to_string();
    assert!(
        text.contains("8388608 bytes") && text.contains("?size=16MiB"),
        "{text}"
    );
    assert_eq!(open(&place, &SETTINGS)?.caps().bytes, SIZE, "unchanged");
    Ok(())
}

/// Write-through and write-back, with and without FUA, and a flush.
fn keeps() -> Result<(), Failed> {
    let volume = Volume::any();
    for volatile_cache in [false, true] {
        let settings = Settings {
            volatile_cache,
            ..SETTINGS
        };
        let place = volume.image(&format!("kept-{volatile_cache}"));
        let store = open(&format!("{place}?size=8MiB"), &settings)?;
        let blank = run(&*store, vec![read(SIZE - 65536, 65536)]).remove(0);
        assert!(
            blank
                .buffer
                .expect("comes back")
                .bytes()
                .iter()
                .all(|&byte| byte == 0)
        );
        let writes = (0..64).map(|i| write(i * 65536, 65536, i as u8 + 1, i % 2 == 0));
        let written = run(&*store, writes.collect());
        assert!(written.iter().all(|done| done.outcome == Ok(())));
        assert_eq!(run(&*store, vec![Op::Flush])[0].outcome, Ok(()));
        assert_eq!(store.sync(), Ok(()));
        drop(store);
        let store = open(&place, &settings)?;
        let reads = (0..64).map(|i| read(i * 65536, 65536)).collect();
        for (i, done) in run(&*store, reads).into_iter().enumerate() {
            assert_eq!(done.outcome, Ok(()));
            let buffer = done.buffer.expect("comes back");
            assert!(
                buffer.bytes().iter().all(|&byte| byte == i as u8 + 1),
                "block {i}"
            );
        }
    }
    Ok(())
}

fn all_sizes() -> Result<(), Failed> {
    let volume = Volume::any();
    let store = open(&format!("{}?size=8MiB", volume.image("sizes")), &SETTINGS)?;
    for len in [512, 1536, 4096, 65536 + 512, 1 << 20] {
        let at = SIZE - len as u64;
        let done = run(&*store, vec![write(at, len, 7, true)]).remove(0);
        assert_eq!(done.outcome, Ok(()), "{len}");
        let done = run(&*store, vec![read(at, len)]).remove(0);
        assert_eq!(done.outcome, Ok(()), "{len}");
        let buffer = done.buffer.expect("comes back");
        assert!(buffer.bytes().iter().all(|&byte| byte == 7), "{len}");
    }
    Ok(())
}

fn drains() -> Result<(), Failed> {
    let volume = Volume::any();
    let store = open(&format!("{}?size=8MiB", volume.image("drained")), &SETTINGS)?;
    let reply = Arc::new(Completions::default());
    let mut batch: Vec<_> = (0..200)
        .map(|i| (Ticket(i), write(i * 4096, 4096, 3, false)))
        .collect();
    store.submit(&mut batch, &mut Vec::new(), &reply);
    drop(store);
    let mut done = Vec::new();
    reply.take(&mut done);
    assert_eq!(done.len(), 200);
    assert!(done.iter().all(|completion| completion.outcome == Ok(())));
    Ok(())
}

fn refuses() -> Result<(), Failed> {
    let volume = Volume::any();
    let place = volume.image("refusing");
    let store = open(&format!("{place}?size=8MiB"), &SETTINGS)?;
    let beyond = run(
        &*store,
        vec![write(SIZE, 512, 1, true), read(SIZE - 512, 1024)],
    );
    for done in beyond {
        assert_eq!(done.outcome, Err(Fault::OutOfRange));
        assert!(done.buffer.is_some());
    }
    drop(store);
    let read_only = Settings {
        read_only: true,
        ..SETTINGS
    };
    let store = open(&place, &read_only)?;
    let done = run(
        &*store,
        vec![write(0, 512, 1, true), read(0, 512), Op::Flush],
    );
    let outcomes: Vec<_> = done.iter().map(|done| done.outcome).collect();
    assert_eq!(outcomes, [Err(Fault::ReadOnly), Ok(()), Ok(())]);
    Ok(())
}
