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
