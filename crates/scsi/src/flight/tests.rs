use super::*;

fn ended(stale: bool, drained: &[u64]) -> Ended {
    Ended {
        stale,
        drained: drained.iter().copied().map(Waiter).collect(),
    }
}

#[test]
fn nothing_in_flight_is_drained_now() {
    let mut flight = Flight::default();
    assert_eq!(flight.abort_all(Waiter(1)), Drained::Now);
    let task = flight.generation();
    assert!(flight.begin(task));
    assert_eq!(flight.end(task), ended(false, &[]));
    assert_eq!(flight.abort_all(Waiter(2)), Drained::Now);
}

#[test]
fn the_waiter_wakes_once_with_the_last_older_ticket() {
    let mut flight = Flight::default();
    let old = flight.generation();
    assert!(flight.begin(old));
    assert!(flight.begin(old));
    assert_eq!(flight.abort_all(Waiter(1)), Drained::Later);
    let new = flight.generation();
    assert_ne!(old, new);
    assert!(flight.begin(new));
    assert_eq!(flight.end(old), ended(true, &[]));
    assert_eq!(flight.end(old), ended(true, &[1]));
    assert_eq!(flight.end(new), ended(false, &[]));
}

#[test]
fn an_aborted_task_may_not_start_another_ticket() {
    let mut flight = Flight::default();
    let old = flight.generation();
    assert_eq!(flight.abort_all(Waiter(1)), Drained::Now);
    assert!(!flight.begin(old));
    assert!(flight.begin(flight.generation()));
}

#[test]
fn a_second_abort_waits_for_the_first_ones_tickets_too() {
    let mut flight = Flight::default();
    let first = flight.generation();
    assert!(flight.begin(first));
    assert_eq!(flight.abort_all(Waiter(1)), Drained::Later);
    let second = flight.generation();
    assert!(flight.begin(second));
    assert_eq!(flight.abort_all(Waiter(2)), Drained::Later);
    assert_eq!(flight.abort_all(Waiter(3)), Drained::Later); // nothing new in between
    assert_eq!(flight.end(second), ended(true, &[]));
    assert_eq!(flight.end(first), ended(true, &[1, 2, 3]));
}

#[test]
fn the_first_waiter_does_not_wait_for_younger_tickets() {
    let mut flight = Flight::default();
    let first = flight.generation();
    assert!(flight.begin(first));
    assert_eq!(flight.abort_all(Waiter(1)), Drained::Later);
    let second = flight.generation();
    assert!(flight.begin(second));
    assert_eq!(flight.abort_all(Waiter(2)), Drained::Later);
    assert_eq!(flight.end(first), ended(true, &[1]));
    assert_eq!(flight.end(second), ended(true, &[2]));
}

#[test]
fn a_cancelled_waiter_never_wakes() {
    let mut flight = Flight::default();
    let task = flight.generation();
    assert!(flight.begin(task));
    assert_eq!(flight.abort_all(Waiter(1)), Drained::Later);
    assert_eq!(flight.abort_all(Waiter(2)), Drained::Later);
    flight.cancel_wait(Waiter(1));
    flight.cancel_wait(Waiter(9)); // unknown: nothing happens
    assert_eq!(flight.end(task), ended(true, &[2]));
}

#[test]
#[should_panic(expected = "a ticket ends once")]
fn a_ticket_may_not_end_twice() {
    let mut flight = Flight::default();
    let task = flight.generation();
    assert!(flight.begin(task));
    flight.end(task);
    flight.end(task);
}

/// The same in the plainest terms: every ticket by itself, every waiter with what it waits for.
#[derive(Default)]
struct Model {
    tickets: Vec<(u64, Generation)>,
    waiters: Vec<(Waiter, Vec<u64>)>,
    next: u64,
}

impl Model {
    fn end(&mut self, at: usize) -> (Generation, Vec<Waiter>) {
        let (id, task) = self.tickets.remove(at);
        let mut drained = Vec::new();
        self.waiters.retain_mut(|(waiter, left)| {
            left.retain(|ticket| *ticket != id);
            if left.is_empty() {
                drained.push(*waiter);
            }
            !left.is_empty()
        });
        (task, drained)
    }
}

#[test]
fn counters_agree_with_a_list_of_tickets() {
    let mut random = 1_u64;
    let mut draw = |below: usize| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) as usize % below
    };
    let (mut flight, mut model) = (Flight::default(), Model::default());
    let mut tasks = vec![flight.generation()];
    let mut woken = 0;
    for _ in 0..20_000 {
        model.next += 1;
        let id = model.next;
        match draw(10) {
            0..=3 => {
                let task = tasks[draw(tasks.len())];
                let current = task == flight.generation();
                assert_eq!(flight.begin(task), current);
                if current {
                    model.tickets.push((id, task));
                }
            }
            4..=7 if !model.tickets.is_empty() => {
                let (task, drained) = model.end(draw(model.tickets.len()));
                let stale = task != flight.generation();
                woken += drained.len();
                assert_eq!(flight.end(task), Ended { stale, drained });
            }
            8 => {
                let left: Vec<u64> = model.tickets.iter().map(|ticket| ticket.0).collect();
                let expected = if left.is_empty() {
                    Drained::Now
                } else {
                    Drained::Later
                };
                assert_eq!(flight.abort_all(Waiter(id)), expected);
                if expected == Drained::Later {
                    model.waiters.push((Waiter(id), left));
                }
                tasks.push(flight.generation());
            }
            9 if !model.waiters.is_empty() => {
                let (waiter, _) = model.waiters.remove(draw(model.waiters.len()));
                flight.cancel_wait(waiter);
            }
            _ => {}
        }
        if tasks.len() > 4 {
            tasks.remove(0);
        }
    }
    assert!(woken > 100, "the walk woke only {woken} waiters");
}
