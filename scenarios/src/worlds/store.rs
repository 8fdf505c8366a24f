//! An image of the volume behind one unit: the crew, the flushes' memory and the errno table that
//! ship, with virtual threads that call the fake Gluster.
//!
//! What `target::gluster::image` does on a thread is played here step by step, because a call takes
//! its time. Invariant: every operation the crew begins is returned to it once.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

use ::bytes::Bytes;
use block::{Completion, Fault, Op, Ticket};
use gluster_mock::call::{ClientId, Handle, O_DSYNC};
use gluster_mock::chance::Chance;
use gluster_mock::{Answer, Call, Errno, Reply, Submitted, SyncKind};
use target::gluster::{
    Asked, Begun, CrewState, Flushes, Limits, Promise, Waiting, bricks_were_away, fault,
    handle_is_bad,
};
use target::inbox::Completions;

use super::agenda::{Due, Errand, Life};
use super::around::{Around, Stream};
use super::host::image_path;
use super::marks::Mark;
use super::plan::TargetSetting;
use super::wire::up_to;

const O_RDWR: i32 = 0o2;

/// An open image.
pub(super) struct Store {
    life: Life,
    unit: usize,
    client: ClientId,
    handle: Handle,
    write_back: bool,
    sharded: bool,
    limits: Limits,
    crew: CrewState,
    flushes: Flushes,
    /// A flush is under way; those that wait for its end.
    flushing: bool,
    line: VecDeque<Hand>,
    /// Calls in flight.
    calling: BTreeMap<gluster_mock::Ticket, Hand>,
    /// Calls that are over and not yet back with the crew.
    returning: BTreeMap<u64, (Op, Result<(), Fault>)>,
    ticking: bool,
    chance: Chance,
}

/// A virtual thread with an operation.
#[derive(Debug)]
struct Hand {
    number: u64,
    op: Op,
    step: Step,
    /// The handle of its last call.
    handle: Handle,
    /// Bytes done of a read or write that takes several calls.
    done: usize,
}

#[derive(Debug)]
enum Step {
    /// The operation itself.
    Do,
    /// It waits until it may flush.
    Line(Asked),
    /// A flush, of its own or after a change.
    Flush(Begun),
    /// Its handle went bad.
    Reopen,
}

/// How an image is opened.
pub(super) fn open(path: &str, write_back: bool) -> Call {
    Call::Open {
        path: path.to_owned(),
        flags: O_RDWR | if write_back { 0 } else { O_DSYNC },
    }
}

impl Store {
    pub(super) fn new(
        (life, unit): (Life, usize),
        handle: Handle,
        setting: &TargetSetting,
        around: &Around,
    ) -> Self {
        let limits = Limits {
            share: usize::from(setting.share.max(1)),
            deadline: setting.storage_timeout,
            ..Limits::default()
        };
        Self {
            life,
            unit,
            client: handle.client,
            handle,
            write_back: setting.write_back,
            sharded: around.volume.settings().shard > 0,
            limits,
            crew: CrewState::default(),
            flushes: Flushes::new(setting.write_back),
            flushing: false,
            line: VecDeque::new(),
            calling: BTreeMap::new(),
            returning: BTreeMap::new(),
            ticking: false,
            chance: around.chance(Stream::Store(life, unit)),
        }
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.crew.is_idle() && self.calling.is_empty() && self.returning.is_empty()
    }

    /// As `Crew::submit`: the deadline counts from here. Whether it was answered at once.
    pub(super) fn submit(
        &mut self,
        around: &mut Around,
        (ticket, op): (Ticket, Op),
        reply: &Arc<Completions>,
    ) -> bool {
        if self.crew.overdue() >= self.limits.overdue_max {
            reply.post(Completion::of(ticket, op, Err(Fault::Unreachable)));
            return true;
        }
        let deadline = around.now.plus(self.limits.deadline);
        let promise = Promise::new(ticket, reply);
        self.crew.submit(Waiting::new(deadline, op, promise));
        self.call_hand(around);
        self.keep_ticking(around);
        false
    }

    fn call_waiting(&mut self, around: &mut Around) {
        for _ in 0..self.crew.waiting().min(self.limits.share) {
            self.call_hand(around);
        }
    }

    fn call_hand(&mut self, around: &mut Around) {
        self.send(around, Errand::Hand(self.unit));
    }

    fn keep_ticking(&mut self, around: &mut Around) {
        if !self.ticking {
            self.ticking = true;
            let at = around.now.plus(self.limits.tick);
            let due = Due::Errand(self.life, Errand::Tick(self.unit));
            around.agenda.enter(at, due);
        }
    }

    /// A thread looks for work.
    pub(super) fn hand(&mut self, around: &mut Around) {
        if self.crew.under_way() - self.crew.overdue() >= self.limits.share {
            return;
        }
        if let Some((number, op, _)) = self.crew.begin() {
            let step = match op {
                Op::Flush => Step::Line(self.flushes.ask()),
                _ => Step::Do,
            };
            around
                .ledger
                .called((self.life.host, self.unit, number), &op);
            let handle = self.handle;
            let hand = Hand {
                number,
                op,
                step,
                handle,
                done: 0,
            };
            self.go(around, hand);
        }
    }

    /// The crew's deadlines, and what it holds for another try.
    pub(super) fn tick(&mut self, around: &mut Around) {
        self.ticking = false;
        let overdue = self.crew.overdue();
        self.crew.expire(around.now);
        if self.crew.overdue() > overdue {
            around.marks.hit(Mark::Overdue);
        }
        if !self.crew.is_idle() {
            self.keep_ticking(around);
            self.call_waiting(around);
        }
    }

    /// A thread comes back.
    pub(super) fn come_back(&mut self, around: &mut Around, number: u64) {
        if let Some((op, outcome)) = self.returning.remove(&number) {
            around.ledger.returned((self.life.host, self.unit, number));
            let overdue = self.crew.overdue();
            self.crew.returned(number, op, outcome);
            if self.crew.overdue() < overdue {
                around.marks.hit(Mark::Late);
            }
            // It looks for more, and so do others where several may go on.
            self.call_waiting(around);
        }
    }

    /// One of the volume's answers; whether it was for this image.
    pub(super) fn answered(
        &mut self,
        around: &mut Around,
        ticket: gluster_mock::Ticket,
        answer: &Answer,
    ) -> bool {
        let Some(mut hand) = self.calling.remove(&ticket) else {
            return false;
        };
        if self.take(around, &mut hand, answer.clone()) {
            self.go(around, hand);
        }
        true
    }

    /// Goes on with an operation until it has to wait or is done.
    fn go(&mut self, around: &mut Around, mut hand: Hand) {
        loop {
            if let Step::Line(asked) = hand.step {
                if self.flushing {
                    return self.line.push_back(hand);
                }
                match self.flushes.begin(asked) {
                    Ok(Some(begun)) => {
                        self.flushing = true;
                        hand.step = Step::Flush(begun);
                    }
                    Ok(None) => return self.end(around, hand, Ok(())),
                    Err(fault) => return self.end(around, hand, Err(fault)),
                }
            }
            hand.handle = self.handle;
            let call = self.call(&hand);
            let now = gluster_mock::Moment(around.now.0);
            let submitted = around.volume.submit(now, self.client, call);
            around.volume_moved = true;
            match submitted {
                Submitted::Pending(ticket) => {
                    self.calling.insert(ticket, hand);
                    return;
                }
                Submitted::Answered(answer) => {
                    if !self.take(around, &mut hand, answer) {
                        return;
                    }
                }
            }
        }
    }

    fn call(&self, hand: &Hand) -> Call {
        let handle = self.handle;
        match (&hand.step, &hand.op) {
            (Step::Reopen, _) => open(&image_path(self.life.host, self.unit), self.write_back),
            (Step::Flush(_) | Step::Line(_), _) | (_, Op::Flush) => Call::Sync {
                handle,
                kind: SyncKind::Data,
            },
            (Step::Do, Op::Read { at, buffer }) => Call::Read {
                handle,
                at: at + hand.done as u64,
                len: buffer.len() - hand.done,
            },
            (
                Step::Do,
                Op::Write {
                    at,
                    buffer,
                    durable,
                },
            ) => Call::Write {
                handle,
                at: at + hand.done as u64,
                flags: match self.is_synced(*durable) {
                    true => O_DSYNC,
                    false => 0,
                },
                bytes: Bytes::copy_from_slice(&buffer.bytes()[hand.done..]),
                owner: None,
            },
            (Step::Do, Op::Unmap { span, .. }) => Call::Discard {
                handle,
                range: span.at..span.end(),
            },
            (Step::Do, Op::WriteZeroes { span, .. }) => Call::Zerofill {
                handle,
                range: span.at..span.end(),
            },
            (Step::Do, Op::Space { .. } | Op::Extents { .. }) => Call::Space {
                path: "/".to_owned(),
            },
        }
    }

    /// Beyond the first shard bricks do not heed O_DSYNC.
    fn is_synced(&self, durable: bool) -> bool {
        durable && !self.sharded
    }

    /// Takes an answer; whether there is more to be done.
    fn take(&mut self, around: &mut Around, hand: &mut Hand, answer: Answer) -> bool {
        match &hand.step {
            Step::Line(_) => return true,
            Step::Reopen => {
                let outcome = self.reopened(around, answer, hand.op.changes());
                self.finish(around, hand, Err(outcome));
                return false;
            }
            Step::Flush(_) => return self.flushed(around, hand, answer),
            Step::Do => {}
        }
        let reply = match answer {
            Ok(reply) => reply,
            Err(errno) => return self.failed(around, hand, errno),
        };
        match (&mut hand.op, reply) {
            (Op::Read { buffer, .. }, Reply::Bytes(bytes)) => {
                if bytes.is_empty() {
                    self.finish(around, hand, Err(Fault::ReadFailed));
                    return false;
                }
                let end = hand.done + bytes.len();
                buffer.bytes_mut()[hand.done..end].copy_from_slice(&bytes);
                hand.done = end;
                if end < buffer.len() {
                    return true;
                }
            }
            (
                Op::Write {
                    buffer, durable, ..
                },
                Reply::Count(count),
            ) => {
                hand.done += count as usize;
                if hand.done < buffer.len() && count > 0 {
                    return true;
                }
                let durable = *durable;
                if self.is_synced(durable) {
                    let outcome = self.flushes.durable_write(Ok(()));
                    self.finish(around, hand, outcome);
                    return false;
                }
                return self.changed(around, hand, durable);
            }
            (Op::Unmap { durable, .. } | Op::WriteZeroes { durable, .. }, _) => {
                let durable = *durable;
                return self.changed(around, hand, durable);
            }
            _ => {}
        }
        self.finish(around, hand, Ok(()));
        false
    }

    /// A change was made, and nothing has synced it yet.
    fn changed(&mut self, around: &mut Around, hand: &mut Hand, durable: bool) -> bool {
        self.flushes.cache();
        if durable {
            hand.step = Step::Line(self.flushes.ask());
            return true;
        }
        self.finish(around, hand, Ok(()));
        false
    }

    fn flushed(&mut self, around: &mut Around, hand: &mut Hand, answer: Answer) -> bool {
        let bad = matches!(answer, Err(errno) if handle_is_bad(&as_io(errno)));
        let outcome = match answer {
            Ok(_) => Ok(()),
            Err(_) if bad => {
                self.flushes.shaken();
                Err(Fault::Unreachable)
            }
            Err(errno) => Err(self.fault_of(errno, true)),
        };
        let Step::Flush(begun) = &hand.step else {
            return true;
        };
        let outcome = self.flushes.finish(begun, outcome);
        self.flushing = false;
        let reopen = bad && hand.handle.id == self.handle.id;
        if reopen && outcome == Err(Fault::Unreachable) {
            hand.step = Step::Reopen;
            self.next_in_line(around);
            return true;
        }
        self.finish(around, hand, outcome);
        self.next_in_line(around);
        false
    }

    fn next_in_line(&mut self, around: &mut Around) {
        if let Some(next) = self.line.pop_front() {
            self.go(around, next);
        }
    }

    /// As `Image::failed`.
    fn failed(&mut self, around: &mut Around, hand: &mut Hand, errno: Errno) -> bool {
        if handle_is_bad(&as_io(errno)) {
            self.flushes.shaken();
            if hand.handle.id == self.handle.id {
                hand.step = Step::Reopen;
                return true;
            }
            self.finish(around, hand, Err(Fault::Unreachable));
            return false;
        }
        let changes = hand.op.changes();
        let outcome = Err(self.fault_of(errno, changes));
        let outcome = match &hand.op {
            Op::Write { durable, .. } if self.is_synced(*durable) => {
                self.flushes.durable_write(outcome)
            }
            _ => outcome,
        };
        self.finish(around, hand, outcome);
        false
    }

    fn fault_of(&self, errno: Errno, changes: bool) -> Fault {
        let why = as_io(errno);
        if bricks_were_away(&why) {
            self.flushes.shaken();
        }
        fault(&why, changes)
    }

    /// What an operation ends with whose handle was opened anew: it is tried again.
    fn reopened(&mut self, around: &mut Around, answer: Answer, changes: bool) -> Fault {
        match answer {
            Ok(Reply::Handle(handle)) => {
                around.marks.hit(Mark::Reopened);
                self.handle = handle;
                Fault::Unreachable
            }
            Ok(_) => Fault::Gone,
            Err(errno) => fault(&as_io(errno), changes),
        }
    }

    fn end(&mut self, around: &mut Around, mut hand: Hand, outcome: Result<(), Fault>) {
        self.finish(around, &mut hand, outcome);
        self.next_in_line(around);
    }

    /// The call is over; its thread comes back to the crew in a while.
    fn finish(&mut self, around: &mut Around, hand: &mut Hand, outcome: Result<(), Fault>) {
        let op = std::mem::replace(&mut hand.op, Op::Flush);
        let number = hand.number;
        self.returning.insert(number, (op, outcome));
        self.send(around, Errand::Return(self.unit, number));
    }

    /// A thread is on its way.
    fn send(&mut self, around: &mut Around, errand: Errand) {
        let delay = up_to(&mut self.chance, around.wire.mail);
        let due = Due::Errand(self.life, errand);
        around.agenda.enter(around.now.plus(delay), due);
    }
}

fn as_io(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.0)
}
