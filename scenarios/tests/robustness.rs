//! `glintd` under attack, killed and stopped: it lives, it comes back, it loses nothing it
//! acknowledged.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use initiator_sim::deviant::{HostilePlan, attack};
use initiator_sim::{Command, LoginOptions, Patience, Reconnecting, Session, cdb};
use iscsi::Lun;
use scenarios::binaries;
use scenarios::server::{Server, TARGET};
use tokio::net::TcpStream;

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn glintd(listen: SocketAddr, arguments: &[&str]) -> Server {
    let program = binaries::glintd().expect("glintd builds");
    Server::glintd(&program, listen, arguments).expect("glintd starts")
}

async fn honest(server: &Server, qualifier: u16) -> Session {
    let options = LoginOptions::new(TARGET).qualifier(qualifier);
    let mut session = Session::login(server.portal, &options)
        .await
        .expect("an honest login");
    session
        .clear_attention(Lun(0))
        .await
        .expect("an honest session");
    session
}

/// What a block holds that was written `generation` times: each block tells who wrote it.
fn stamp(lba: u64, generation: u64) -> Vec<u8> {
    let word = lba << 32 | generation;
    word.to_be_bytes().repeat(64)
}

/// 100,000 PDUs over 200 connections, a quarter of them after login, most of them well-formed,
/// every opcode, and an honest session beside them that must not notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_hostile_pdus_harms_nobody() {
    // Two units: what the attack may destroy, and what the honest session owns.
    let server = glintd(ANY, &["--lun", "mem:64MiB", "--lun", "mem:64MiB"]);
    let mut session = honest(&server, 1).await;
    let owned = Lun::from_number(1);
    session.clear_attention(owned).await.expect("attention");
    let idle = server.resident_bytes().expect("VmRSS");
    let attacked = tokio::spawn(attack_plan(server.portal));
    let mut reads = 0_u64;
    let mut highest = idle;
    while !attacked.is_finished() {
        let outcome = session
            .read16(owned, reads % 1000, 8)
            .await
            .expect("the honest session lives");
        assert!(
            outcome.is_good() || outcome.is_unit_attention(),
            "{outcome:?}"
        );
        reads += 1;
        if reads.is_multiple_of(256) {
            highest = highest.max(server.resident_bytes().expect("VmRSS"));
        }
    }
    let summary = attacked
        .await
        .expect("no panic")
        .expect("the target stays in reach");
    highest = highest.max(server.resident_bytes().expect("VmRSS"));
    assert!(summary.sent() >= 100_000, "{summary:?}");
    assert!(
        summary.valid * 2 >= summary.sent(),
        "at least half is well-formed: {summary:?}"
    );
    assert!(summary.connections >= 200, "{summary:?}");
    assert!(reads > 100, "the honest session went on: {reads} reads");
    assert_eq!(server.death(), None, "{}", server.log());
    assert!(!server.log().contains("panicked"), "{}", server.log());
    let grown = highest.saturating_sub(idle) >> 20;
    assert!(
        grown <= 64,
        "memory grew by {grown} MiB over {} MiB",
        idle >> 20
    );
}

async fn attack_plan(
    portal: SocketAddr,
) -> Result<initiator_sim::deviant::Summary, initiator_sim::deviant::HostileError> {
    let mut plan = HostilePlan::new(portal, 7);
    plan.target = Some(TARGET.to_owned());
    attack(&plan).await
}

/// 1,000 connections that say nothing, and one that means it.
#[tokio::test(flavor = "multi_thread")]
async fn half_open_logins_keep_nobody_out() {
    let server = glintd(ANY, &["--lun", "mem:64MiB"]);
    let mut silent = Vec::new();
    for _ in 0..1000 {
        silent.push(TcpStream::connect(server.portal).await.expect("connect"));
    }
    let began = Instant::now();
    let session = honest(&server, 1).await;
    let took = began.elapsed();
    assert!(
        took < Duration::from_secs(1),
        "the honest login took {took:?}"
    );
    session.logout().await.expect("logout");
    assert_eq!(server.death(), None);
    drop(silent);
}

/// `kill -9` under load: the initiator reconnects by itself and goes on, and what was acknowledged
/// is there (a file written through).
#[tokio::test(flavor = "multi_thread")]
async fn killed_and_restarted_it_goes_on_where_it_was() {
    let folder = tempfile::tempdir().expect("tempdir");
    let image = folder.path().join("disk.img");
    let lun = format!("file:{}?size=64MiB", image.display());
    let mut server = glintd(ANY, &["--lun", &lun]);
    let portal = server.portal;
    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(write_until(portal, Arc::clone(&stop)));
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.kill().expect("kill");
        server = glintd(portal, &["--lun", &lun]);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.store(true, Ordering::Relaxed);
    let (acknowledged, reconnects) = load.await.expect("the load goes on");
    assert_eq!(reconnects, 3, "one reconnect for each kill");
    check_all(&server, &acknowledged).await;
}

/// SIGTERM under load: the daemon ends by itself, cleanly, and every acknowledged write is there
/// for the next one. With a volatile cache it is the stop that makes it so.
#[tokio::test(flavor = "multi_thread")]
async fn stopped_under_load_it_keeps_every_acknowledged_write() {
    for cache in ["write-through", "write-back"] {
        let folder = tempfile::tempdir().expect("tempdir");
        let lun = format!(
            "file:{}?size=64MiB",
            folder.path().join("disk.img").display()
        );
        let arguments = ["--lun", &lun, "--cache", cache];
        let server = glintd(ANY, &arguments);
        let portal = server.portal;
        let stop = Arc::new(AtomicBool::new(false));
        let load = tokio::spawn(write_until(portal, Arc::clone(&stop)));
        tokio::time::sleep(Duration::from_millis(300)).await;
        server
            .terminate(Duration::from_secs(20))
            .expect("SIGTERM ends it");
        let server = glintd(portal, &arguments);
        tokio::time::sleep(Duration::from_millis(100)).await;
        stop.store(true, Ordering::Relaxed);
        let (acknowledged, _) = load.await.expect("the load goes on");
        check_all(&server, &acknowledged).await;
    }
}

/// Blocks written over and over until told to stop: for each, the last generation acknowledged.
const BLOCKS: u64 = 64;

/// Writes in flight at a time.
const WAVE: u64 = 16;

async fn write_until(portal: SocketAddr, stop: Arc<AtomicBool>) -> (Vec<u64>, u32) {
    let options = LoginOptions::new(TARGET).qualifier(2);
    let mut disk = Reconnecting::connect(portal, &options, Patience::default())
        .await
        .expect("the target is there");
    let mut acknowledged = vec![0; BLOCKS as usize];
    let mut count = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        // Many in flight, no two of them on one block.
        let wave: Vec<u64> = (count + 1..=count + WAVE).collect();
        count += WAVE;
        let writes = wave.iter().map(|&generation| {
            let lba = generation % BLOCKS;
            Command::write(
                Lun(0),
                &cdb::write10(lba as u32, 1, false),
                stamp(lba, generation),
            )
        });
        let outcomes = disk
            .run_all(writes.collect())
            .await
            .expect("the disk is back");
        for (generation, outcome) in wave.iter().zip(outcomes) {
            assert!(outcome.is_good(), "{outcome:?}");
            acknowledged[(generation % BLOCKS) as usize] = *generation;
        }
    }
    (acknowledged, disk.reconnects())
}

async fn check_all(server: &Server, acknowledged: &[u64]) {
    let mut session = honest(server, 3).await;
    let written = acknowledged
        .iter()
        .filter(|generation| **generation > 0)
        .count();
    assert!(written > 0, "the load wrote something");
    for (lba, &generation) in acknowledged.iter().enumerate() {
        let outcome = session.read16(Lun(0), lba as u64, 1).await.expect("read");
        let data = outcome.good().expect("a good read");
        let expected = if generation == 0 {
            vec![0; 512]
        } else {
            stamp(lba as u64, generation)
        };
        assert!(data == expected, "block {lba} lost generation {generation}");
    }
}
