//! The unmodified `glintd` on the fake Gluster, through libgfapi's C ABI.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use initiator_sim::{LoginOptions, Session};
use iscsi::Lun;
use scenarios::binaries;
use scenarios::fake::FakeVolume;
use scenarios::server::{Server, TARGET};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

async fn login(server: &Server) -> Session {
    let mut session = Session::login(server.portal, &LoginOptions::new(TARGET))
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
