//! Storage that misbehaves, under a server that must not.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use block::{Caps, Completion, Fault, Op, Ticket};
use target::inbox::Completions;
use target::store::{Settings, Store, mem::MemStore};
use target::{Server, ServerConfig};
use tokio::runtime::Runtime;

use crate::wire::Wire;
use crate::{Running, config, stop};

/// A disk in memory that panics, answers late or answers from another thread, by address.
struct Odd {
    disk: MemStore,
    held: Mutex<Vec<(Ticket, Op, Arc<Completions>)>>,
    /// How long it takes to close.
    closes_in: Duration,
}

impl Drop for Odd {
    fn drop(&mut self) {
        std::thread::sleep(self.closes_in);
    }
}

const PANICS_AT: u64 = 100 * 512;
const LATE_AT: u64 = 200 * 512;

impl Odd {
    fn release(&self) {
        for (ticket, op, reply) in self.held.lock().expect("not poisoned").drain(..) {
            let mut done = Vec::new();
            self.disk.submit(&mut vec![(ticket, op)], &mut done, &reply);
            done.into_iter()
                .for_each(|completion| reply.post(completion));
        }
    }
}

impl Store for Odd {
    fn caps(&self) -> Caps {
        self.disk.caps()
    }

    fn submit(
        &self,
        batch: &mut Vec<(Ticket, Op)>,
        done: &mut Vec<Completion>,
        reply: &Arc<Completions>,
    ) {
        for (ticket, op) in batch.drain(..) {
            let Op::Read { at, .. } = &op else {
                panic!("only reads are odd")
            };
            match *at {
                PANICS_AT => panic!("a bug in a store, planted by a test"),
                LATE_AT => {
                    let mut held = self.held.lock().expect("not poisoned");
                    held.push((ticket, op, Arc::clone(reply)));
                }
                _ => self.disk.submit(&mut vec![(ticket, op)], done, reply),
            }
        }
    }

    fn sync(&self) -> Result<(), Fault> {
        Ok(())
    }
}

fn start() -> (Running, Arc<Odd>) {
    start_closing_in(Duration::ZERO)
}

fn start_closing_in(closes_in: Duration) -> (Running, Arc<Odd>) {
    let settings = Settings {
        block_size: block::BlockSize::B512,
        read_only: false,
        volatile_cache: false,
        ..Settings::default()
    };
    let odd = Arc::new(Odd {
        disk: MemStore::new(1 << 20, &settings),
        held: Mutex::default(),
        closes_in,
    });
    let config: ServerConfig = config("mem:1MiB");
    let runtime = Runtime::new().expect("a runtime");
    let inside = runtime.enter();
    let store = Arc::clone(&odd);
    let server = Server::start_with(config, |_| Ok(Arc::clone(&store) as Arc<dyn Store>));
    let server = server.unwrap_or_else(|why| panic!("{why}"));
    let portal = server.portals()[0];
    drop(inside);
    (
        Running {
            runtime,
            server,
            portal,
        },
        odd,
    )
}

#[test]
fn a_session_that_panics_takes_nobody_with_it() {
    let (running, _) = start();
    let mut other = Wire::connect(running.portal);
    other.try_login(2);
    other.settle();
    let mut victim = Wire::login(running.portal);
    victim.settle();
    victim.ask_read((PANICS_AT / 512) as u32, 512);
    assert!(victim.is_closed());
    assert_eq!(other.read(0, 512), [0; 512], "another session goes on");
    // The node has forgotten it: the same initiator is back at once.
    let mut again = Wire::login(running.portal);
    again.settle();
    assert_eq!(again.read(0, 512), [0; 512]);
    stop(running);
}

#[test]
fn nothing_of_a_session_that_panicked_lands_in_the_next() {
    let (running, odd) = start();
    let mut victim = Wire::login(running.portal);
    victim.settle();
    victim.ask_read((LATE_AT / 512) as u32, 512);
    assert_eq!(victim.read(0, 512), [0; 512], "the late one was submitted");
    victim.ask_read((PANICS_AT / 512) as u32, 512);
    assert!(victim.is_closed());
    let portal = running.portal;
    let successor = std::thread::spawn(move || {
        Wire::login(portal).settle();
        Instant::now()
    });
    std::thread::sleep(Duration::from_millis(200));
    let released = Instant::now();
    odd.release();
    let logged_in = successor.join().expect("it logged in");
    assert!(logged_in >= released, "it waited for the old one's ticket");
    stop(running);
}

#[test]
fn an_image_that_does_not_close_keeps_nobody_from_stopping() {
    let (running, odd) = start_closing_in(Duration::from_secs(8));
    drop(odd);
    let began = Instant::now();
    let Running {
        runtime, server, ..
    } = running;
    runtime
        .block_on(server.shutdown())
        .expect("everything is durable");
    runtime.shutdown_background();
    assert!(
        began.elapsed() < Duration::from_secs(6),
        "took {:?}",
        began.elapsed()
    );
}

#[test]
fn a_late_answer_holds_up_nothing_else() {
    let (running, odd) = start();
    let mut wire = Wire::login(running.portal);
    wire.settle();
    wire.ask_read((LATE_AT / 512) as u32, 512);
    let began = Instant::now();
    assert_eq!(
        wire.read(0, 512),
        [0; 512],
        "a later command is answered first"
    );
    assert!(began.elapsed() < Duration::from_secs(1));
    odd.release();
    let late = wire.receive().expect("the late answer");
    assert_eq!(
        (late.bhs.opcode(), late.data),
        (iscsi::Opcode::DATA_IN, vec![0; 512])
    );
    stop(running);
}

#[test]
fn a_session_ends_only_when_nothing_of_it_can_land() {
    let (running, odd) = start();
    let mut wire = Wire::login(running.portal);
    wire.settle();
    wire.ask_read((LATE_AT / 512) as u32, 512);
    assert_eq!(
        wire.read(0, 512),
        [0; 512],
        "the late one was submitted before"
    );
    let portal = running.portal;
    let successor = std::thread::spawn(move || {
        let mut successor = Wire::login(portal);
        successor.settle();
        Instant::now()
    });
    assert!(wire.is_closed(), "replaced");
    std::thread::sleep(Duration::from_millis(100));
    let released = Instant::now();
    odd.release();
    let logged_in = successor.join().expect("it logged in");
    assert!(
        logged_in >= released,
        "the new session waited for the old one's ticket"
    );
    stop(running);
}

/// What storage still has of a LUN that is taken away is waited for, and then its image is closed.
#[test]
fn a_lun_goes_when_storage_has_given_everything_back() {
    let (running, odd) = start();
    let Running {
        runtime,
        mut server,
        portal,
    } = running;
    let mut wire = Wire::login(portal);
    wire.settle();
    wire.ask_read((LATE_AT / 512) as u32, 512);
    assert_eq!(wire.read(0, 512), [0; 512], "the late one was submitted");
    let mut next = config("mem:1MiB");
    next.targets[0].luns[0].lun = 1;
    let reloading = runtime.spawn(async move {
        let reloaded = server.reload(next).await;
        (server, reloaded.map(|reloaded| reloaded.to_string()))
    });
    let began = Instant::now();
    while wire.try_unit() != (2, [5, 0x25, 0]) {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "it is still there"
        );
    }
    std::thread::sleep(Duration::from_millis(200));
    assert!(!reloading.is_finished() && Arc::strong_count(&odd) > 1);
    odd.release();
    let late = wire.receive().expect("the late answer");
    assert_eq!(late.data, vec![0; 512], "what was under way is finished");
    let (server, reloaded) = runtime.block_on(reloading).expect("no panic");
    let reloaded = reloaded.expect("applied");
    assert!(
        reloaded.starts_with("+1 LUN, -1 LUN, 0 changed"),
        "{reloaded}"
    );
    assert_eq!(Arc::strong_count(&odd), 1, "closed");
    wire.lun = 1;
    wire.settle();
    stop(Running {
        runtime,
        server,
        portal,
    });
}

/// An image that storage does not give back is not opened a second time: what was, stays.
#[test]
fn an_image_in_use_for_ever_is_served_as_before() {
    let (running, odd) = start();
    let Running {
        runtime,
        mut server,
        portal,
    } = running;
    let folder = tempfile::tempdir().expect("a folder");
    let disk = |cache: bool| {
        let path = folder.path().join("disk.img");
        let mut config = config(&format!("file:{}?size=1MiB", path.display()));
        config.targets[0].luns[0].write_back = cache;
        config.targets[0].luns[0].storage_timeout = Duration::from_secs(1);
        // This initiator answers no pings.
        config.node.ping_interval = Duration::ZERO;
        config
    };
    let store = Arc::clone(&odd);
    let first = server.reload_with(disk(false), move |_| {
        Ok(Arc::clone(&store) as Arc<dyn Store>)
    });
    runtime.block_on(first).expect("applied");
    let mut wire = Wire::login(portal);
    wire.settle();
    wire.ask_read((LATE_AT / 512) as u32, 512);
    assert_eq!(wire.read(0, 512), [0; 512], "the late one was submitted");
    let (began, again) = (Instant::now(), disk(true));
    let reloading = runtime.spawn(async move {
        let why = server.reload(again).await.expect_err("it is in use");
        (server, why.to_string())
    });
    while wire.try_unit() != (8, [0; 3]) {
        assert!(began.elapsed() < Duration::from_secs(5), "never busy");
    }
    let (server, why) = runtime.block_on(reloading).expect("no panic");
    assert!(
        why.contains("LUN 0") && why.contains("storage does not answer"),
        "{why}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
    wire.settle();
    assert_eq!(wire.read(0, 512), [0; 512], "it is served as before");
    odd.release();
    assert_eq!(wire.receive().expect("the late answer").data, vec![0; 512]);
    drop(wire);
    stop(Running {
        runtime,
        server,
        portal,
    });
}
