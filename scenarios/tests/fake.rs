//! The unmodified `glintd` on the fake Gluster, through libgfapi's C ABI.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use initiator_sim::{LoginOptions, Session};
use iscsi::{Lun, TmfFunction, TmfResponse};
use scenarios::binaries;
use scenarios::catalogue;
use scenarios::dut::{ProcessDut, Store};
use scenarios::fake::FakeVolume;
use scenarios::runner::{Device, Played, run};
use scenarios::scenario::Scenario;
use scenarios::server::{Server, TARGET};
use scenarios::verdict::Verdict;

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A plan is noticed within this.
const NOTICED: Duration = Duration::from_millis(20);

/// SAM-5 5.3.1.
const BUSY: u8 = 0x08;

async fn login(server: &Server) -> Session {
    login_as(server, LoginOptions::new(TARGET)).await
}

async fn login_as(server: &Server, options: LoginOptions) -> Session {
    let mut session = Session::login(server.portal, &options)
        .await
        .expect("a login");
    session.clear_attention(Lun(0)).await.expect("attention");
    session
}

/// Written through, killed at once: nothing but stable storage is left, and it holds the block.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_through_outlives_a_power_cut() {
    let program = binaries::glintd().expect("glintd builds");
    let volume = FakeVolume::new("lost = 100\ntorn = 0\n").expect("a volume");
    let store = volume.store("disk.img", 1 << 20);
    let start = || Server::glintd_on(&volume, &program, ANY, &["--lun", &store]);
    let server = start().expect("glintd starts");
    let mut session = login(&server).await;
    let written = session.write(Lun(0), 8, &[0x5a; 4096]).await;
    assert!(written.expect("an answer").is_good());
    server.kill().expect("SIGKILL");
    let durable = std::fs::read(volume.durable("disk.img")).expect("the brick's file");
    assert!(durable[4096..8192].iter().all(|byte| *byte == 0x5a));

    let server = start().expect("glintd starts again");
    let mut session = login(&server).await;
    let read = session.read(Lun(0), 8, 8).await.expect("an answer");
    assert_eq!(read.data, [0x5a; 4096]);
    session.logout().await.expect("logout");
    server.terminate(Duration::from_secs(5)).expect("SIGTERM");
}

/// Scenarios that a disk must fail whose bricks only say that they synced.
const DURABLE: [&str; 15] = [
    "durability.synchronize-cache-10",
    "durability.synchronize-cache-10.range",
    "durability.synchronize-cache-10.to-the-end",
    "durability.synchronize-cache-16",
    "durability.synchronize-cache.other-session",
    "durability.synchronize-cache.immediate",
    "durability.fua.write-10",
    "durability.fua.write-16",
    "durability.write-through",
    "durability.write-through.data-modes",
    "durability.write-back.old-or-new",
    "restart.killed",
    "restart.stopped",
    "storage.flush-fails",
    "storage.quorum",
];

/// The durability scenarios can fail: on a volume that lies about every sync all of them do, and
/// for what was lost, not because anything else went wrong.
#[test]
fn a_volume_that_only_says_it_synced_fails_every_durability_scenario() {
    let all = catalogue::all();
    let durable: Vec<Scenario> = all
        .into_iter()
        .filter(|scenario| DURABLE.contains(&scenario.id))
        .collect();
    assert_eq!(durable.len(), DURABLE.len(), "an id is misspelt");
    let folder = tempfile::tempdir().expect("a folder");
    let dut = ProcessDut {
        volume: "sync = off\n".to_owned(),
        ..ProcessDut::on(Store::Fake, folder.path().join("log"))
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let _within = runtime.enter();
    let device = Arc::new(Device::start(Box::new(dut), &durable).expect("glintd starts"));
    let played = runtime.block_on(run(&device, &durable, 4, |_| ()));
    for Played {
        scenario, verdict, ..
    } in played
    {
        let lost = matches!(&verdict, Verdict::Fail(contrast)
            if contrast.expected.contains("what was written")
                || contrast.expected.contains("as it was before or as it was written"));
        assert!(lost, "{}: {verdict}", scenario.id);
    }
}

/// A brick takes a write and falls silent: BUSY in time; until the write has landed, its blocks are
/// refused and a reset is not "complete"; then everything goes on.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_complete_while_a_late_write_can_land() {
    let program = binaries::glintd().expect("glintd builds");
    let volume = FakeVolume::new("replica = 3\n").expect("a volume");
    let store = volume.store("disk.img", 1 << 20);
    let arguments = ["--storage-timeout", "1s", "--lun", &store];
    let server = Server::glintd_on(&volume, &program, ANY, &arguments).expect("glintd starts");
    let mut writer = login(&server).await;
    let options = LoginOptions::new(TARGET).qualifier(2);
    let mut other = login_as(&server, options).await;
    // A reset is refused after 10 s.
    other.conn().set_timeout(Duration::from_secs(20));
    let reset = TmfFunction::LOGICAL_UNIT_RESET;

    volume.plan("write /disk.img nth=1 hang\n").expect("a plan");
    tokio::time::sleep(NOTICED).await;
    let late = writer.write(Lun(0), 8, &[0x5a; 4096]).await;
    assert_eq!(late.expect("an answer").status, BUSY);
    let same_blocks = other.read(Lun(0), 8, 8).await.expect("an answer");
    assert_eq!(same_blocks.status, BUSY);
    let others = other.read(Lun(0), 16, 8).await.expect("an answer");
    assert!(others.is_good());
    let refused = other.task_management(reset, Lun(0), None).await;
    assert_eq!(refused.expect("an answer"), TmfResponse::REJECTED);

    volume.plan("").expect("no plan");
    let done = other.task_management(reset, Lun(0), None).await;
    assert_eq!(done.expect("an answer"), TmfResponse::COMPLETE);
    other.clear_attention(Lun(0)).await.expect("attention");
    let landed = other.read(Lun(0), 8, 8).await.expect("an answer");
    assert_eq!(landed.data, [0x5a; 4096]);
    writer.clear_attention(Lun(0)).await.expect("attention");
    writer.logout().await.expect("logout");
    other.logout().await.expect("logout");
    server.terminate(Duration::from_secs(5)).expect("SIGTERM");
}
