//! A whole server: in this process, and as the program.

mod program;
mod reload;
mod storage;
mod wire;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use target::config::name;
use target::{LunSpec, Server, ServerConfig, StoreSpec, TargetSpec};
use tokio::runtime::Runtime;
use wire::{TARGET, Wire};

/// A server on a free port, and the runtime it runs in.
struct Running {
    runtime: Runtime,
    server: Server,
    portal: SocketAddr,
}

/// One target with one disk.
fn config(store: &str) -> ServerConfig {
    let mut target = TargetSpec::open_to_all(name(TARGET).expect("a name"));
    let store = StoreSpec::parse(store).expect("a store");
    target.luns.push(LunSpec::new(0, store));
    ServerConfig {
        targets: vec![target],
        shutdown_grace: Duration::from_millis(100),
        ..ServerConfig::default()
    }
}

fn start(store: &str, change: impl FnOnce(&mut ServerConfig)) -> Running {
    let mut config = config(store);
    change(&mut config);
    let runtime = Runtime::new().expect("a runtime");
    let inside = runtime.enter();
    let server = Server::start(config).unwrap_or_else(|why| panic!("{why}"));
    let portal = server.portals()[0];
    drop(inside);
    Running {
        runtime,
        server,
        portal,
    }
}

fn stop(running: Running) {
    running
        .runtime
        .block_on(running.server.shutdown())
        .expect("everything is durable");
}

#[test]
fn what_was_written_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let spec = format!(
        "file:{}?size=8MiB",
        folder.path().join("disk.img").display()
    );
    let data: Vec<u8> = (0..8192_u32).map(|i| (i * 7 + i / 512) as u8).collect();

    let running = start(&spec, |_| {});
    let mut wire = Wire::login(running.portal);
    wire.settle();
    assert_eq!(wire.write(100, &data), 0);
    assert_eq!(wire.read(100, data.len()), data);
    wire.logout();
    assert!(wire.is_closed());
    stop(running);

    // The image is closed and unlocked, so it can be served again at once.
    let running = start(&spec, |_| {});
    let mut wire = Wire::login(running.portal);
    wire.settle();
    assert_eq!(wire.read(100, data.len()), data);
    assert_eq!(wire.read(0, 512), [0; 512]);
    drop(wire);
    stop(running);
}

#[test]
fn shutdown_asks_for_a_logout_and_ends_without_one() {
    let running = start("mem:1MiB", |config| {
        config.shutdown_grace = Duration::from_secs(1)
    });
    let mut polite = Wire::login(running.portal);
    let mut deaf = Wire::connect(running.portal);
    deaf.try_login(2);
    let initiator = std::thread::spawn(move || {
        let told = polite.receive().expect("an asynchronous message");
        assert_eq!(told.bhs.opcode(), iscsi::Opcode::ASYNC_MESSAGE);
        assert_eq!(told.bhs.0[36], iscsi::AsyncEvent::LOGOUT_REQUEST.0);
        polite.logout();
    });
    let began = Instant::now();
    stop(running);
    initiator.join().expect("the polite initiator logged out");
    assert!(
        began.elapsed() >= Duration::from_secs(1),
        "the deaf one got its grace"
    );
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "and no more: {:?}",
        began.elapsed()
    );
}

#[test]
fn half_open_logins_keep_nobody_out() {
    let running = start("mem:1MiB", |config| config.half_open_max = 32);
    let mut half_open: Vec<_> = (0..200).map(|_| Wire::connect(running.portal)).collect();
    let began = Instant::now();
    let mut honest = Wire::login(running.portal);
    honest.settle();
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "took {:?}",
        began.elapsed()
    );
    assert!(half_open[0].is_closed(), "the oldest had to go");
    stop(running);
}

#[test]
fn a_first_pdu_that_is_no_login_closes_the_connection() {
    let running = start("mem:1MiB", |_| {});
    let mut wire = Wire::connect(running.portal);
    let mut bhs = iscsi::Bhs([0; 48]);
    bhs.0[0] = 0x40;
    wire.send(bhs, &[]);
    assert!(wire.is_closed());
    let mut wire = Wire::login(running.portal);
    wire.settle();
    stop(running);
}

#[test]
fn a_new_login_takes_the_place_of_its_session() {
    let running = start("mem:1MiB", |_| {});
    let mut first = Wire::login(running.portal);
    first.settle();
    let mut second = Wire::login(running.portal);
    second.settle();
    assert!(
        first.is_closed(),
        "same initiator, ISID and target: RFC 7143 6.3.5"
    );
    stop(running);
}

/// Nothing else wakes this session: the deadline it got while reading must.
#[test]
fn a_session_without_a_connection_ends_when_its_time_is_over() {
    let running = start("mem:1MiB", |config| {
        config.node.sessions_max = 1;
        config.node.ping_interval = Duration::ZERO;
        config.node.offer.time2retain = 1;
    });
    let mut first = Wire::login(running.portal);
    first.settle();
    drop(first);
    let began = Instant::now();
    while Wire::connect(running.portal).try_login(2).bhs.0[36] != 0 {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "the session is still there"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(began.elapsed() >= Duration::from_millis(900), "too early");
    stop(running);
}

#[test]
fn an_image_in_use_and_a_taken_port_are_no_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let spec = format!(
        "file:{}?size=1MiB",
        folder.path().join("disk.img").display()
    );
    let running = start(&spec, |_| {});
    let _inside = running.runtime.enter();
    let why = Server::start(config(&spec))
        .expect_err("the image is in use")
        .to_string();
    assert!(why.contains("in use") && why.contains("LUN 0"), "{why}");
    let config = ServerConfig {
        listen: vec![running.portal],
        ..ServerConfig::default()
    };
    let why = Server::start(config)
        .expect_err("the port is taken")
        .to_string();
    assert!(why.contains(&running.portal.to_string()), "{why}");
    drop(_inside);
    stop(running);
}
