//! The in-process face: an image of the model as the store an engine sees, in virtual time.
//!
//! Does with the model what a careful client of libgfapi does with Gluster: durable writes by
//! O_DSYNC where that holds and by a sync where it does not, calls that fail for want of bricks
//! tried again inside a budget, a deadline after which a change is overdue and its end told later,
//! and a failed flush that is never forgotten.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use block::{Caps, Completion, Extent, Fault, Op, Space, Span};

use crate::call::{
    Answer, Call, ClientId, Handle, Moment, O_DSYNC, Reply, Submitted, SyncKind, Ticket,
};
use crate::errno::Errno;
use crate::settings::Settings;
use crate::volume::Volume;

/// Between two tries of a call that failed for want of bricks.
const PAUSE: Duration = Duration::from_millis(100);

/// How long an image waits.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For one operation.
    pub deadline: Duration,
    /// For bricks to come back.
    pub hold: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(20),
            hold: Duration::from_secs(20),
        }
    }
}

/// An image that one client has open.
#[derive(Debug)]
pub struct Image {
    client: ClientId,
    handle: Handle,
    caps: Caps,
    patience: Patience,
    /// O_DSYNC does not hold everywhere in the file.
    sharded: bool,
    zerofill: bool,
    /// A flush failed, for good.
    failed: bool,
    running: BTreeMap<Ticket, Running>,
    /// Operations that wait for their next try.
    paused: VecDeque<(Moment, Running)>,
}

/// An operation that is not answered yet.
#[derive(Debug)]
struct Running {
    ticket: block::Ticket,
    op: Op,
    step: Step,
    deadline: Moment,
    hold_until: Moment,
    /// The first of two answers was given.
    overdue: bool,
}

/// What becomes of an operation after an answer.
enum Next {
    /// Another call.
    Step,
    /// The same call, a little later.
    Pause,
    /// It is done.
    Nothing,
}

/// What is under way of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The call that does it.
    Do,
    /// The sync that makes it durable.
    Sync,
    /// For an allocation map: the end of the part that begins there.
    Seek { at: u64, allocated: bool },
}

impl Image {
    /// An image in an open file, as `caps` say.
    pub fn new(settings: &Settings, handle: Handle, caps: Caps, patience: Patience) -> Self {
        Self {
            client: handle.client,
            handle,
            caps,
            patience,
            sharded: settings.shard > 0,
            zerofill: settings.zerofill,
            failed: false,
            running: BTreeMap::new(),
            paused: VecDeque::new(),
        }
    }

    /// What it is.
    pub fn caps(&self) -> Caps {
        self.caps
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.paused.is_empty()
    }

    /// Hands an operation in. What need not wait is answered at once.
    pub fn submit(
        &mut self,
        volume: &mut Volume,
        now: Moment,
        (ticket, op): (block::Ticket, Op),
        done: &mut Vec<Completion>,
    ) {
        let admitted = match &op {
            Op::Flush if self.failed => Err(Fault::FlushFailed),
            op => self.caps.admit(op),
        };
        let empty = op.span().is_some_and(|span| span.len == 0);
        if admitted.is_err() || empty {
            return done.push(Completion::of(ticket, op, admitted));
        }
        let step = match op.span() {
            Some(Span { at, .. }) if matches!(op, Op::Extents { .. }) => Step::Seek {
                at,
                allocated: true,
            },
            _ => Step::Do,
        };
        let running = Running {
            ticket,
            op,
            step,
            deadline: now.after(self.patience.deadline),
            hold_until: now.after(self.patience.hold),
            overdue: false,
        };
        self.go(volume, now, running, done);
    }

    /// One of the volume's answers; tells whether it was for this image.
    pub fn answered(
        &mut self,
        volume: &mut Volume,
        now: Moment,
        (ticket, answer): (Ticket, &Answer),
        done: &mut Vec<Completion>,
    ) -> bool {
        let Some(mut running) = self.running.remove(&ticket) else {
            return false;
        };
        match self.take(now, &mut running, answer.clone(), done) {
            Next::Step => self.go(volume, now, running, done),
            Next::Pause => self.paused.push_back((now.after(PAUSE), running)),
            Next::Nothing => {}
        }
        true
    }

    /// When [`Image::tick`] has something to do next.
    pub fn next_due(&self) -> Option<Moment> {
        let tries = self.paused.iter().map(|(moment, _)| *moment);
        let open = self.running.values().filter(|running| !running.overdue);
        tries.chain(open.map(|running| running.deadline)).min()
    }

    /// Deadlines and new tries that are due.
    pub fn tick(&mut self, volume: &mut Volume, now: Moment, done: &mut Vec<Completion>) {
        for running in self.running.values_mut() {
            if running.deadline <= now && !running.overdue {
                running.overdue = true;
                done.push(running.give_up_waiting());
            }
        }
        let due = self.paused.iter().filter(|(moment, _)| *moment <= now);
        for _ in 0..due.count() {
            if let Some((_, running)) = self.paused.pop_front() {
                self.go(volume, now, running, done);
            }
        }
    }

    /// Goes on with an operation until it has to wait or is done.
    fn go(
        &mut self,
        volume: &mut Volume,
        now: Moment,
        mut running: Running,
        done: &mut Vec<Completion>,
    ) {
        loop {
            let call = self.call(&running);
            match volume.submit(now, self.client, call) {
                Submitted::Pending(ticket) => {
                    self.running.insert(ticket, running);
                    return;
                }
                Submitted::Answered(answer) => match self.take(now, &mut running, answer, done) {
                    Next::Step => {}
                    Next::Pause => {
                        self.paused.push_back((now.after(PAUSE), running));
                        return;
                    }
                    Next::Nothing => return,
                },
            }
        }
    }

    /// What the step is, as a call.
    fn call(&self, running: &Running) -> Call {
        let handle = self.handle;
        let (client, range) = match running.op.span() {
            Some(span) => (handle, span.at..span.end()),
            None => (handle, 0..0),
        };
        let sync = Call::Sync {
            handle: client,
            kind: SyncKind::Data,
        };
        match (running.step, &running.op) {
            (Step::Sync, _) | (_, Op::Flush) => sync,
            (Step::Seek { at, allocated }, _) => Call::Seek {
                handle,
                at,
                hole: allocated,
            },
            (Step::Do, Op::Read { at, buffer }) => Call::Read {
                handle,
                at: *at,
                len: buffer.len(),
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
                at: *at,
                flags: match *durable && !self.sharded {
                    true => O_DSYNC,
                    false => 0,
                },
                bytes: buffer.bytes().to_vec().into(),
                owner: None,
            },
            (Step::Do, Op::Unmap { .. }) => Call::Discard { handle, range },
            (Step::Do, Op::WriteZeroes { .. }) if self.zerofill => Call::Zerofill { handle, range },
            (Step::Do, Op::WriteZeroes { span, .. }) => Call::Write {
                handle,
                at: span.at,
                flags: 0,
                bytes: vec![0; span.len as usize].into(),
                owner: None,
            },
            (Step::Do, Op::Space { .. } | Op::Extents { .. }) => Call::Space {
                path: "/".to_owned(),
            },
        }
    }

    /// Takes an answer; tells what comes next.
    fn take(
        &mut self,
        now: Moment,
        running: &mut Running,
        answer: Answer,
        done: &mut Vec<Completion>,
    ) -> Next {
        if running.overdue && !running.op.changes() {
            // It has had its only answer.
            return Next::Nothing;
        }
        let outcome = match answer {
            Ok(reply) => match running.accept(reply, self.sharded) {
                None => return Next::Step,
                Some(outcome) => outcome,
            },
            Err(Errno::ENXIO) if running.no_more_data() => Ok(()),
            Err(errno) if is_passing(errno) && now < running.hold_until && !running.overdue => {
                return Next::Pause;
            }
            Err(errno) => Err(fault(errno, running.op.changes())),
        };
        let outcome = match (&running.op, outcome) {
            (Op::Flush, Err(_)) => {
                self.failed = true;
                Err(Fault::FlushFailed)
            }
            (_, outcome) => outcome,
        };
        let op = std::mem::replace(&mut running.op, Op::Flush);
        done.push(match running.overdue {
            true => Completion::late(running.ticket, outcome),
            false => Completion::of(running.ticket, op, outcome),
        });
        Next::Nothing
    }
}

impl Running {
    /// The answer of one whose time is over.
    fn give_up_waiting(&mut self) -> Completion {
        if self.op.changes() {
            let stand_in = self
                .op
                .buffer()
                .map(|buffer| block::Buffer::zeroed(buffer.len()));
            return Completion::overdue(self.ticket, stand_in);
        }
        let op = std::mem::replace(&mut self.op, Op::Flush);
        Completion::of(self.ticket, op, Err(Fault::TimedOut))
    }

    /// Takes what a step earned; `None` where another follows.
    fn accept(&mut self, reply: Reply, sharded: bool) -> Option<Result<(), Fault>> {
        match (self.step, &mut self.op, reply) {
            (Step::Do, Op::Read { buffer, .. }, Reply::Bytes(bytes)) => {
                if bytes.len() != buffer.len() {
                    return Some(Err(Fault::ReadFailed));
                }
                buffer.bytes_mut().copy_from_slice(&bytes);
                Some(Ok(()))
            }
            (
                Step::Do,
                Op::Write {
                    buffer, durable, ..
                },
                Reply::Count(count),
            ) => {
                if count != buffer.len() as u64 {
                    return Some(Err(Fault::WriteFailed));
                }
                let durable = *durable;
                self.sync_if(sharded, durable)
            }
            (Step::Do, Op::Unmap { durable, .. } | Op::WriteZeroes { durable, .. }, _) => {
                let durable = *durable;
                self.sync_if(true, durable)
            }
            (Step::Do, Op::Space { found }, Reply::Space(space)) => {
                *found = Some(Space {
                    total: space.total,
                    free: space.free,
                    allocated: None,
                });
                Some(Ok(()))
            }
            (Step::Seek { at, allocated }, Op::Extents { span, found }, Reply::Count(end)) => {
                let end = end.min(span.end());
                // The first part may be a hole: then the search for one ends where it began.
                if end > at {
                    let span = Span { at, len: end - at };
                    found.push(Extent { span, allocated });
                }
                if end >= span.end() {
                    return Some(Ok(()));
                }
                self.step = Step::Seek {
                    at: end,
                    allocated: !allocated,
                };
                None
            }
            _ => Some(Ok(())),
        }
    }

    fn sync_if(&mut self, needed: bool, durable: bool) -> Option<Result<(), Fault>> {
        if !needed || !durable {
            return Some(Ok(()));
        }
        self.step = Step::Sync;
        None
    }

    /// A search for data that found none: the rest of the map is a hole.
    fn no_more_data(&mut self) -> bool {
        let Step::Seek { at, .. } = self.step else {
            return false;
        };
        let Op::Extents { span, found } = &mut self.op else {
            return false;
        };
        let rest = Span {
            at,
            len: span.end() - at,
        };
        found.push(Extent {
            span: rest,
            allocated: false,
        });
        true
    }
}

/// Whether a failure may pass when bricks come back.
fn is_passing(errno: Errno) -> bool {
    matches!(errno, Errno::ENOTCONN | Errno::ESHUTDOWN | Errno::ENOMEM)
}

/// What an errno means to an image.
fn fault(errno: Errno, write: bool) -> Fault {
    match errno {
        Errno::ENOSPC | Errno::EDQUOT => Fault::NoSpace,
        Errno::EROFS | Errno::EACCES | Errno::EPERM => Fault::ReadOnly,
        Errno::ENOTCONN | Errno::ESHUTDOWN | Errno::ENOMEM | Errno::ETIMEDOUT => Fault::Unreachable,
        Errno::EBUSY | Errno::EAGAIN | Errno::EBADF | Errno::EBADFD | Errno::ESTALE => Fault::Gone,
        Errno::ENOENT => Fault::Gone,
        _ if write => Fault::WriteFailed,
        _ => Fault::ReadFailed,
    }
}
