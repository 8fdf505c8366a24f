use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use block::{Buffer, Stage};

use super::*;

const LIMITS: Limits = Limits {
    share: 2,
    overdue_max: 3,
    deadline: Duration::from_millis(60),
    tick: Duration::from_millis(5),
};

/// An operation at this offset hangs until it is let go; any other ends at once.
const HANGS: u64 = 1 << 20;

/// An operation at this offset finds storage away as often as the test says.
const AWAY: u64 = 2 << 20;

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

struct Storage {
    gate: Mutex<Receiver<()>>,
    performed: AtomicUsize,
    away: AtomicUsize,
}

impl Work for Storage {
    fn perform(&self, op: &mut Op, _: Deadline) -> Result<(), Fault> {
        if let Op::Read { at: HANGS, .. } | Op::Write { at: HANGS, .. } = op {
            // The test has ended, and with it what it waits for.
            self.gate
                .lock()
                .expect("no test panics with it")
                .recv()
                .ok();
        }
        self.performed.fetch_add(1, Ordering::SeqCst);
        if let Op::Write { at: AWAY, .. } = op {
            let less = |times: usize| times.checked_sub(1);
            let away = self
                .away
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
            return away.map_or(Ok(()), |_| Err(Fault::Unreachable));
        }
        Ok(())
    }
}

struct Bench {
    crew: Crew,
    storage: Arc<Storage>,
    /// Lets one hanging operation go.
    gate: Sender<()>,
    reply: Arc<Completions>,
    tickets: u64,
}

impl Bench {
    fn new(limits: Limits) -> Self {
        let (gate, waits) = channel();
        let storage = Arc::new(Storage {
            gate: Mutex::new(waits),
            performed: AtomicUsize::new(0),
            away: AtomicUsize::new(0),
        });
        let crew = Crew::start(Arc::clone(&storage) as Arc<_>, limits).expect("a thread");
        Self {
            crew,
            storage,
            gate,
            reply: Arc::default(),
            tickets: 0,
        }
    }

    /// Submits, and gives what was refused at once.
    fn submit(&mut self, op: Op) -> Vec<Completion> {
        self.tickets += 1;
        let mut done = Vec::new();
        let mut batch = vec![(Ticket(self.tickets), op)];
        self.crew.submit(&mut batch, &mut done, &self.reply);
        assert!(batch.is_empty());
        done
    }

    fn answers(&self, count: usize) -> Vec<Completion> {
        let end = Instant::now() + PATIENCE;
        let mut done = Vec::new();
        while done.len() < count {
            assert!(Instant::now() < end, "{} of {count} answered", done.len());
            self.reply.take(&mut done);
            std::thread::sleep(Duration::from_millis(1));
        }
        done
    }

    fn outcome(&mut self, op: Op) -> Result<(), Fault> {
        let refused = self.submit(op).pop();
        refused.unwrap_or_else(|| self.answers(1).remove(0)).outcome
    }

    /// Lets one hanging write go, and waits for its end.
    fn lands(&mut self) {
        self.gate.send(()).expect("it waits");
        let end = self.answers(1).remove(0);
        assert_eq!((end.stage, end.outcome), (Stage::Late, Ok(())));
        assert!(end.buffer.is_none(), "it was given back before");
    }

    /// Waits until `count` operations came back from storage.
    fn performed(&self, count: usize) {
        let end = Instant::now() + PATIENCE;
        while self.storage.performed.load(Ordering::SeqCst) < count
            || self.crew.hands.shared.lock().overdue() > 0
        {
            assert!(Instant::now() < end, "storage did not come back");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for _ in 0..100 {
            self.gate.send(()).ok();
        }
        self.crew.close();
    }
}

fn read(at: u64) -> Op {
    Op::Read {
        at,
        buffer: Buffer::zeroed(4096),
    }
}

fn write(at: u64) -> Op {
    Op::Write {
        at,
        buffer: Buffer::zeroed(4096),
        durable: false,
    }
}

#[test]
fn everything_submitted_is_answered_once() {
    let mut bench = Bench::new(LIMITS);
    for i in 0..200 {
        assert!(bench.submit(write(i * 4096 % HANGS)).is_empty());
    }
    let mut tickets: Vec<_> = bench
        .answers(200)
        .iter()
        .map(|done| done.ticket.0)
        .collect();
    tickets.sort_unstable();
    assert!(tickets.into_iter().eq(1..=200));
}

#[test]
fn what_hangs_is_answered_in_time_with_memory_of_the_same_size() {
    let mut bench = Bench::new(LIMITS);
    bench.submit(read(HANGS));
    let answer = bench.answers(1).remove(0);
    assert_eq!(answer.outcome, Err(Fault::Unreachable));
    assert!(answer.ends_ticket(), "a read changes nothing, however late");
    assert_eq!(answer.buffer.map(|buffer| buffer.len()), Some(4096));
    assert_eq!(bench.outcome(read(0)), Ok(()), "another thread took over");
    bench.gate.send(()).expect("it waits");
    bench.performed(2);
    let mut more = Vec::new();
    bench.reply.take(&mut more);
    assert!(more.is_empty(), "no second answer");
}

#[test]
fn a_late_write_keeps_its_blocks_until_it_can_no_longer_land() {
    let mut bench = Bench::new(LIMITS);
    assert_eq!(bench.outcome(write(HANGS)), Err(Fault::TimedOut));
    // One byte more than a block before it, so the last one is shared.
    let before = Op::Read {
        at: HANGS - 4096,
        buffer: Buffer::zeroed(4097),
    };
    assert_eq!(bench.outcome(before), Err(Fault::Unreachable));
    assert_eq!(bench.outcome(write(HANGS - 4096)), Ok(()));
    assert_eq!(bench.outcome(write(HANGS + 4096)), Ok(()));
    bench.lands();
    bench
        .gate
        .send(())
        .expect("the next is let through at once");
    assert_eq!(bench.outcome(write(HANGS)), Ok(()));
}

#[test]
fn what_storage_is_away_for_is_held_until_it_is_back() {
    let mut bench = Bench::new(Limits {
        deadline: PATIENCE,
        ..LIMITS
    });
    bench.storage.away.store(3, Ordering::SeqCst);
    assert_eq!(bench.outcome(write(AWAY)), Ok(()));
    assert_eq!(bench.storage.performed.load(Ordering::SeqCst), 4);
}

#[test]
fn what_storage_stays_away_for_is_answered_by_its_deadline() {
    let mut bench = Bench::new(LIMITS);
    bench.storage.away.store(usize::MAX, Ordering::SeqCst);
    let start = Instant::now();
    assert_eq!(bench.outcome(write(AWAY)), Err(Fault::Unreachable));
    assert!(start.elapsed() >= LIMITS.deadline);
}

#[test]
fn what_waits_too_long_for_a_thread_was_never_begun() {
    let mut bench = Bench::new(Limits {
        share: 1,
        overdue_max: 1,
        ..LIMITS
    });
    bench.submit(write(HANGS));
    bench.submit(write(0));
    let answers = bench.answers(2);
    let begun: Vec<_> = answers
        .iter()
        .map(|done| (done.ticket.0, done.stage))
        .collect();
    assert!(begun.contains(&(1, Stage::Overdue)), "{begun:?}");
    assert!(begun.contains(&(2, Stage::Only)), "{begun:?}");
}

#[test]
fn beyond_the_cap_operations_fail_at_once_and_later_work_again() {
    let mut bench = Bench::new(Limits { share: 4, ..LIMITS });
    for _ in 0..LIMITS.overdue_max {
        bench.submit(read(HANGS));
    }
    bench.answers(LIMITS.overdue_max);
    let refused = bench.submit(read(0)).remove(0);
    assert_eq!(refused.outcome, Err(Fault::Unreachable));
    assert!(refused.buffer.is_some());
    for _ in 0..LIMITS.overdue_max {
        bench.gate.send(()).expect("it waits");
    }
    bench.performed(LIMITS.overdue_max);
    assert_eq!(bench.outcome(read(0)), Ok(()));
    assert!(bench.crew.hands.shared.lock().threads() <= 4 + 1);
}

#[test]
fn a_crew_drains_before_it_closes_and_lets_go_of_its_work() {
    let mut bench = Bench::new(LIMITS);
    for i in 0..100 {
        bench.submit(write(i * 4096));
    }
    bench.crew.close();
    assert_eq!(bench.answers(100).len(), 100);
    assert_eq!(Arc::strong_count(&bench.storage), 1);
}

#[test]
fn a_call_that_hangs_does_not_keep_a_crew_from_closing() {
    let mut bench = Bench::new(LIMITS);
    bench.submit(write(HANGS));
    bench.crew.close();
    assert_eq!(bench.answers(1)[0].outcome, Err(Fault::TimedOut));
    assert_eq!(Arc::strong_count(&bench.storage), 2, "the call has it");
    bench.lands();
}

fn waiting(ticket: u64, deadline: u64, op: Op, reply: &Arc<Completions>) -> Waiting {
    let promise = Promise::new(Ticket(ticket), reply);
    Waiting::new(Moment(deadline), op, promise)
}

/// A write that met no storage is tried again: until it is answered, nobody sees its bytes or puts
/// others in their place.
#[test]
fn what_will_be_tried_again_keeps_its_blocks() {
    let (mut state, reply) = (State::default(), Arc::default());
    let next = |state: &mut State| state.begin().map(|(number, op, _)| (number, op));
    state.submit(waiting(1, 30, write(AWAY), &reply));
    let (first, op) = next(&mut state).expect("nothing is in its way");
    state.returned(first, op, Err(Fault::Unreachable));
    let overlapping = Op::Write {
        at: AWAY - 4096,
        buffer: Buffer::zeroed(8192),
        durable: false,
    };
    state.submit(waiting(2, 30, overlapping, &reply));
    state.submit(waiting(3, 30, write(0), &reply));
    let at = |op: &Op| op.span().expect("a write has one").at;
    let (_, other) = next(&mut state).expect("others go on");
    assert_eq!(at(&other), 0);
    assert!(next(&mut state).is_none(), "it waits");
    state.expire(Moment(10));
    let (again, op) = next(&mut state).expect("it is tried again");
    assert_eq!(at(&op), AWAY);
    assert!(
        next(&mut state).is_none(),
        "it waits until that is answered"
    );
    state.returned(again, op, Ok(()));
    let (_, last) = next(&mut state).expect("nothing is in its way any more");
    assert_eq!(at(&last), AWAY - 4096);
}

/// One that was given up keeps them no longer.
#[test]
fn what_was_given_up_keeps_no_blocks() {
    let (mut state, reply) = (State::default(), Arc::default());
    state.submit(waiting(1, 10, write(AWAY), &reply));
    let (number, op, _) = state.begin().expect("nothing is in its way");
    state.returned(number, op, Err(Fault::Unreachable));
    state.submit(waiting(2, 30, write(AWAY), &reply));
    assert!(state.begin().is_none(), "the first one will be tried again");
    state.expire(Moment(10));
    assert!(state.begin().is_some(), "the first one was answered");
}

/// Of two writes to the same blocks under way at a time, neither may come again after the other.
#[test]
fn what_crossed_another_write_is_not_tried_again() {
    let mut bench = Bench::new(Limits {
        deadline: PATIENCE,
        ..LIMITS
    });
    let over_both = Op::Write {
        at: HANGS,
        buffer: Buffer::zeroed((AWAY - HANGS) as usize + 4096),
        durable: false,
    };
    bench.submit(over_both);
    let end = Instant::now() + PATIENCE;
    while bench.crew.hands.shared.lock().calls() == 0 {
        assert!(Instant::now() < end, "it was not begun");
    }
    bench.storage.away.store(1, Ordering::SeqCst);
    assert_eq!(bench.outcome(write(AWAY)), Err(Fault::Unreachable));
    bench.gate.send(()).expect("it waits");
    assert_eq!(bench.answers(1)[0].outcome, Ok(()));
}
