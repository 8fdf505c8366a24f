//! Two nodes on one volume, each an unmodified `glintd`, with a fake cluster that is served to both
//! and brought to harm by its command line.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use initiator_sim::{LoginOptions, Session};
use iscsi::Lun;
use libtest_mimic::{Failed, Trial};
use scenarios::binaries;
use scenarios::fake::{FakeServer, FakeVolume};
use scenarios::server::{Server, TARGET};
use tokio::runtime::Runtime;

use crate::stage::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "shared::what_one_flushes_the_other_reads",
            what_one_flushes_the_other_reads,
        ),
        trial(
            "shared::a_brick_that_dies_under_both_stalls_nobody",
            a_brick_that_dies,
        ),
        trial(
            "shared::a_brick_that_hangs_stalls_for_ping_timeout",
            a_brick_that_hangs,
        ),
        trial("shared::a_node_that_dies_harms_no_other", a_node_that_dies),
    ]
}

/// In seconds.
const PING_TIMEOUT: u64 = 1;

const LUN: Lun = Lun(0);

/// Blocks of 512 bytes in what a load writes.
const STRIDE: u32 = 8;

/// How many places a load writes to.
const PLACES: u32 = 64;

/// A volume of three bricks, its server, and two nodes with one image.
struct Pair {
    nodes: Vec<Server>,
    served: FakeServer,
    _volume: FakeVolume,
}

impl Pair {
    fn start(cache: &str) -> Result<Self, Failed> {
        let settings =
            format!("replica = 3\nping-timeout = {PING_TIMEOUT}\nlost = 100\ntorn = 0\n");
        let volume = FakeVolume::new(&settings)?;
        let served = volume.serve()?;
        let program = binaries::glintd()?;
        let store = volume.store("disk.img", 8 << 20);
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let arguments = ["--lun", &store, "--cache", cache];
        // One after the other: the first makes the image.
        let nodes = (0..2).map(|_| Server::glintd_on(&volume, &program, any, &arguments));
        Ok(Self {
            nodes: nodes.collect::<Result<_, _>>()?,
            served,
            _volume: volume,
        })
    }

    async fn login(&self, node: usize) -> Result<Session, Failed> {
        let options = LoginOptions::new(TARGET);
        let mut session = Session::login(self.nodes[node].portal, &options).await?;
        session.clear_attention(LUN).await?;
        Ok(session)
    }
}

fn runtime() -> Result<Runtime, Failed> {
    Ok(Runtime::new()?)
}

/// What is at a place after it was written that often; it tells place, writer and generation.
fn stamp(place: u32, generation: u32) -> Vec<u8> {
    let word = u64::from(place) << 32 | u64::from(generation);
    word.to_be_bytes().repeat(64 * STRIDE as usize)
}

fn what_one_flushes_the_other_reads() -> Result<(), Failed> {
    let pair = Pair::start("write-back")?;
    runtime()?.block_on(async {
        let (mut a, mut b) = (pair.login(0).await?, pair.login(1).await?);
        for generation in 1..=20 {
            for place in 0..PLACES {
                let (writer, reader) = match (place + generation) % 2 {
                    0 => (&mut a, &mut b),
                    _ => (&mut b, &mut a),
                };
                let (lba, written) = (place * STRIDE, stamp(place, generation));
                assert!(writer.write(LUN, lba, &written).await?.is_good());
                assert!(writer.sync(LUN).await?.is_good());
                let read = reader.read(LUN, lba, STRIDE as u16).await?;
                assert!(
                    read.is_good() && read.data == written,
                    "{place} {generation}"
                );
            }
        }
        Ok(())
    })
}

/// What a load saw.
struct Load {
    session: Session,
    /// Writes answered.
    writes: u32,
    longest: Duration,
    /// How often each of its places was written.
    generations: Vec<u32>,
}

/// Writes to every second place, one write after the other, until told to stop.
async fn load(mut session: Session, first: u32, stop: Arc<AtomicBool>) -> Result<Load, String> {
    let mut generations = vec![0; PLACES as usize];
    let (mut writes, mut longest) = (0, Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        let place = first + 2 * (writes % (PLACES / 2));
        let generation = &mut generations[place as usize];
        *generation += 1;
        let begun = Instant::now();
        let written = stamp(place, *generation);
        let outcome = session.write(LUN, place * STRIDE, &written).await;
        let outcome = outcome.map_err(|why| why.to_string())?;
        longest = longest.max(begun.elapsed());
        if !outcome.is_good() {
            return Err(format!("write {writes} of {first}: {outcome}"));
        }
        writes += 1;
    }
    Ok(Load {
        session,
        writes,
        longest,
        generations,
    })
}

/// Both nodes write while the cluster is brought to harm; all that was acknowledged is what the other
/// node reads. Tells the longest a write took.
fn under_load(harm: &[(&str, Duration)]) -> Result<Duration, Failed> {
    let pair = Pair::start("write-through")?;
    runtime()?.block_on(async {
        let stop = Arc::new(AtomicBool::new(false));
        let mut loads = Vec::new();
        for node in 0..2 {
            let session = pair.login(node).await?;
            loads.push(tokio::spawn(load(session, node as u32, Arc::clone(&stop))));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        for (order, pause) in harm {
            pair.served.order(order)?;
            tokio::time::sleep(*pause).await;
        }
        stop.store(true, Ordering::Relaxed);
        let mut done = Vec::new();
        for load in loads {
            done.push(load.await??);
        }
        let longest = done.iter().map(|load| load.longest).max();
        for load in &done {
            assert!(load.writes > 50, "only {} writes", load.writes);
        }
        // Each reads what the other wrote.
        let written: Vec<_> = done.iter().map(|load| load.generations.clone()).collect();
        for (load, first) in done.iter_mut().zip([1, 0]) {
            compare(&mut load.session, &written[first], first as u32).await?;
        }
        Ok(longest.unwrap_or_default())
    })
}

async fn compare(session: &mut Session, generations: &[u32], first: u32) -> Result<(), Failed> {
    for place in (first..PLACES).step_by(2) {
        let read = session.read(LUN, place * STRIDE, STRIDE as u16).await?;
        let expected = match generations[place as usize] {
            0 => vec![0; 512 * STRIDE as usize],
            generation => stamp(place, generation),
        };
        assert!(read.is_good() && read.data == expected, "place {place}");
    }
    Ok(())
}

fn a_brick_that_dies() -> Result<(), Failed> {
    let longest = under_load(&[
        ("brick kill 2", Duration::from_secs(1)),
        ("brick start 2", Duration::from_secs(2)),
        ("brick kill 0", Duration::from_millis(500)),
    ])?;
    // The connection is reset: nobody has to wait for a silence.
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    Ok(())
}

/// A silent brick is given up after one to two ping timeouts (gfapi.md §3), by a node that waits for
/// its turn to change the file too: it has asked every brick for it.
fn a_brick_that_hangs() -> Result<(), Failed> {
    let timeout = Duration::from_secs(PING_TIMEOUT);
    let longest = under_load(&[("brick hang 1", 6 * timeout)])?;
    assert!(longest > timeout / 2, "nobody noticed: {longest:?}");
    assert!(longest < 2 * timeout + timeout / 2, "{longest:?}");
    Ok(())
}

/// What the other had acknowledged is there, and the survivor goes on.
fn a_node_that_dies() -> Result<(), Failed> {
    let pair = Pair::start("write-through")?;
    runtime()?.block_on(async {
        let stop = Arc::new(AtomicBool::new(false));
        let (session, mut b) = (pair.login(0).await?, pair.login(1).await?);
        let a = tokio::spawn(load(session, 0, Arc::clone(&stop)));
        tokio::time::sleep(Duration::from_millis(500)).await;
        stop.store(true, Ordering::Relaxed);
        let done = a.await??;
        pair.nodes[0].kill()?;
        compare(&mut b, &done.generations, 0).await?;
        let written = stamp(0, u32::MAX);
        assert!(b.write(LUN, 0, &written).await?.is_good());
        let status = pair.served.order("status")?;
        let clients = status.lines().filter(|line| line.starts_with("client "));
        assert_eq!(clients.count(), 1, "{status}");
        Ok(())
    })
}
