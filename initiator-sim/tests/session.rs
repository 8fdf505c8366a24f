//! Sessions, load and attacks over real sockets, against a target as small as can be.
#![allow(clippy::unwrap_used)]

mod tiny;

use std::sync::Arc;
use std::time::Duration;

use initiator_sim::bench::{Access, BenchError, Plan};
use initiator_sim::deviant::HostilePlan;
use initiator_sim::{
    Direction, LoginOptions, Patience, Reconnecting, Residual, Session, SessionError, bench,
    deviant,
};
use iscsi::{LoginStatus, Lun};
use tiny::Tiny;

const LUN: Lun = Lun(0);

fn options() -> LoginOptions {
    LoginOptions::new("iqn.tiny")
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 7) as u8).collect()
}

#[tokio::test]
async fn what_is_written_is_read_in_every_write_mode() {
    let tiny = Tiny::start(256);
    for (immediate_data, initial_r2t) in
        [(true, true), (true, false), (false, true), (false, false)]
    {
        let options = options().write_mode(immediate_data, initial_r2t);
        let mut session = Session::login(tiny.addr, &options).await.unwrap();
        assert_eq!(session.params().immediate_data, immediate_data);
        assert_eq!(session.params().initial_r2t, initial_r2t);
        let data = pattern(100 * 512);
        let written = session.write(LUN, 3, &data).await.unwrap();
        assert!(written.is_good());
        // 51,200 bytes less what went unasked, in bursts of 8,192.
        let unasked = match (immediate_data, initial_r2t) {
            (_, false) => 2048,
            (true, true) => 1024,
            (false, true) => 0,
        };
        assert_eq!(written.r2ts, (51_200_u32 - unasked).div_ceil(8192));
        assert_eq!(
            session.read(LUN, 3, 100).await.unwrap().good().unwrap(),
            data
        );
        session.logout().await.unwrap();
        tiny.cut_after(0);
    }
}

#[tokio::test]
async fn outcomes_that_are_not_good() {
    let tiny = Tiny::start(8);
    let mut session = Session::login(tiny.addr, &options()).await.unwrap();
    let outcome = session.read(LUN, 8, 1).await.unwrap();
    let sense = outcome.sense.unwrap();
    assert_eq!(
        (outcome.status, sense.key, sense.asc, sense.ascq),
        (2, 5, 0x21, 0)
    );
    assert!(matches!(outcome.good(), Err(SessionError::Status(_))));
    let cdb = initiator_sim::cdb::read10(0, 2, false);
    let over = session
        .command(LUN, &cdb, Direction::Read, 512, &[])
        .await
        .unwrap();
    assert_eq!(
        (over.residual, over.data.len()),
        (Residual::Overflow(512), 512)
    );
    let under = session
        .command(LUN, &cdb, Direction::Read, 4096, &[])
        .await
        .unwrap();
    assert_eq!((under.residual.signed(), under.data.len()), (3072, 1024));
}

#[tokio::test]
async fn a_refused_login_says_why() {
    let tiny = Tiny::start(8);
    let error = Session::login(tiny.addr, &LoginOptions::new("iqn.missing"))
        .await
        .err()
        .unwrap();
    assert_eq!(error.status, Some(LoginStatus::NOT_FOUND));
    assert_eq!(error.record.responses.len(), 1);
    assert!(error.conn.is_some());
}

#[tokio::test]
async fn many_in_flight_beyond_the_window() {
    let tiny = Tiny::start(1024);
    let mut session = Session::login(tiny.addr, &options()).await.unwrap();
    let mut itts = Vec::new();
    for lba in 0..300 {
        itts.push(session.queue(session.write_command(LUN, lba, vec![lba as u8; 512])));
    }
    // The window is 16 commands wide: most of these wait.
    for itt in itts.into_iter().rev() {
        assert!(session.wait(itt).await.unwrap().is_good());
    }
    let data = session.read(LUN, 0, 300).await.unwrap().good().unwrap();
    assert!(
        data.chunks(512)
            .enumerate()
            .all(|(lba, block)| block == [lba as u8; 512])
    );
    session.nop(b"still there?").await.unwrap();
}

#[tokio::test]
async fn a_lost_target_is_found_again() {
    let tiny = Tiny::start(64);
    tiny.cut_after(10);
    let patience = Patience {
        pause: Duration::from_millis(1),
        ..Patience::default()
    };
    let mut disk = Reconnecting::connect(tiny.addr, &options(), patience)
        .await
        .unwrap();
    for round in 0..20_u8 {
        let data = vec![round; 512 * 4];
        assert!(disk.write(LUN, 8, data.clone()).await.unwrap().is_good());
        assert_eq!(disk.read(LUN, 8, 4).await.unwrap().good().unwrap(), data);
    }
    // 40 commands, at most ten on a connection.
    assert!(disk.reconnects() >= 3, "{} reconnects", disk.reconnects());
    assert!(tiny.writes() >= 20);
}

#[tokio::test]
async fn patience_ends() {
    let addr = {
        let tiny = Tiny::start(8);
        tiny.addr
    };
    let patience = Patience {
        give_up: Duration::from_millis(100),
        ..Patience::default()
    };
    let error = Reconnecting::connect(addr, &options(), patience)
        .await
        .err()
        .unwrap();
    assert_eq!(error.status, None);
}

fn plan(tiny: &Tiny) -> Plan {
    Plan {
        warm_up: Duration::from_millis(50),
        duration: Duration::from_millis(250),
        ..Plan::new(tiny.addr, options(), LUN)
    }
}

#[tokio::test]
async fn a_load_is_counted() {
    let tiny = Tiny::start(4096);
    let server_pid = Some(std::process::id());
    let report = bench::run(&Plan {
        server_pid,
        ..plan(&tiny)
    })
    .await
    .unwrap();
    assert!(report.reads > 100 && report.writes == 0, "{report}");
    assert!((report.iops - report.reads as f64 / report.seconds).abs() < 1.0);
    assert!(report.p50_us > 0.0 && report.p50_us <= report.p99_us);
    assert!(report.server_cpu_us.unwrap() > 0.0 && report.own_cpu_us > 0.0);
    assert_eq!((report.retries, report.mismatches), (0, 0));
}

#[tokio::test]
async fn verification_passes_on_an_honest_disk() {
    let tiny = Tiny::start(2048);
    let plan = Plan {
        verify: true,
        read_percent: 50,
        sessions: 2,
        depth: 8,
        block_bytes: 16384,
        access: Access::Random,
        ..plan(&tiny)
    };
    let report = bench::run(&plan).await.unwrap();
    assert!(report.reads > 10 && report.writes > 10, "{report}");
    assert_eq!((report.retries, report.mismatches), (0, 0));
}

#[tokio::test]
async fn verification_sees_a_spoiled_block() {
    let tiny = Arc::new(Tiny::start(64));
    let plan = Plan {
        verify: true,
        read_percent: 50,
        depth: 2,
        // Eight blocks of 4 KiB: each is written and read often.
        region_bytes: Some(32768),
        ..plan(&tiny)
    };
    let vandal = tokio::spawn({
        let tiny = tiny.clone();
        async move {
            loop {
                (0..8).for_each(|block| tiny.spoil(block * 4096 + 4095));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    let report = bench::run(&plan).await.unwrap();
    vandal.abort();
    assert!(report.mismatches > 0, "{report}");
}

#[tokio::test]
async fn a_load_on_a_dying_target_ends() {
    let tiny = Tiny::start(4096);
    tiny.cut_after(500);
    let error = bench::run(&plan(&tiny)).await.unwrap_err();
    assert!(matches!(error, BenchError::Flow(_)), "{error}");
}

#[tokio::test]
async fn an_attack_is_carried_out_and_summed_up() {
    let tiny = Tiny::start(4096);
    let mut plan = HostilePlan::new(tiny.addr, 11);
    plan.target = Some("iqn.tiny".to_owned());
    plan.pdus = 2000;
    plan.connections = 20;
    let summary = deviant::attack(&plan).await.unwrap();
    assert_eq!(summary.sent(), 2000);
    assert!(summary.valid * 2 >= 2000, "{summary}");
    assert_eq!(summary.logged_in, 500, "a quarter after login");
    assert!(summary.logins >= 5 && summary.connections >= 20);
    assert!(summary.closed_by_target > 0 && summary.bytes_back > 0);
}
