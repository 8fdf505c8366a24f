//! One SCSI command of one session, from its arrival to its status.
//!
//! Knows what a task holds and how it is found again; what it does is `read` and `write`.

pub(crate) mod read;
pub(crate) mod write;

use std::collections::BTreeMap;

use block::{BlockSize, Ticket};
use iscsi::{Itt, Lun};
use planted::{Bug, has};
use scsi::{Generation, Sense, Status};

use crate::input::ConnId;
use crate::units::UnitId;
use read::ReadWork;
use write::WriteWork;

/// A command in progress.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) itt: Itt,
    pub(crate) lun: Lun,
    pub(crate) conn: ConnId,
    /// `None` where the LUN does not exist.
    pub(crate) unit: Option<UnitId>,
    pub(crate) generation: Option<Generation>,
    /// The unit's block size.
    pub(crate) block: BlockSize,
    pub(crate) immediate: bool,
    /// Expected Data Transfer Length, in bytes.
    pub(crate) edtl: u32,
    pub(crate) work: Work,
    /// Storage operations in flight.
    pub(crate) tickets: u32,
    /// Those of them that storage gave up waiting for, and that may still land.
    pub(crate) overdue: u32,
    /// Nobody is to be answered any more; it only waits for its tickets, and for data it asked for.
    pub(crate) aborted: bool,
    /// No longer counts against the command window.
    pub(crate) released: bool,
}

/// What a task does.
#[derive(Debug)]
pub(crate) enum Work {
    Read(ReadWork),
    Write(WriteWork),
    /// SYNCHRONIZE CACHE; `answered` where IMMED let the status go first.
    Flush {
        answered: bool,
    },
    /// The status is known, but unsolicited data of the command is still to come and is dropped.
    Discard {
        verdict: Verdict,
    },
    /// Nothing any more; only its tickets are waited for.
    Ended,
}

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) status: Status,
    pub(crate) sense: Option<Sense>,
}

impl Verdict {
    pub(crate) const GOOD: Self = Self {
        status: Status::GOOD,
        sense: None,
    };

    pub(crate) fn status(status: Status) -> Self {
        Self {
            status,
            sense: None,
        }
    }

    pub(crate) fn check(sense: Sense) -> Self {
        Self {
            status: Status::CHECK_CONDITION,
            sense: Some(sense),
        }
    }

    pub(crate) fn is_good(&self) -> bool {
        self.status == Status::GOOD
    }

    /// The status of a command whose storage operation failed.
    pub(crate) fn of_fault(fault: block::Fault, is_write: bool) -> Self {
        match scsi::fault::map(fault, is_write) {
            scsi::fault::Answer::Check(sense) => Self::check(sense),
            scsi::fault::Answer::Status(status) => Self::status(status),
        }
    }
}

/// Where a task is kept. Stale once the task is gone, whoever has its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskId(u64);

/// Low bits of a task id are its slot, the rest counts how often slots were given out.
const SLOT_BITS: u32 = 16;

impl TaskId {
    fn slot(self) -> usize {
        (self.0 & ((1 << SLOT_BITS) - 1)) as usize
    }

    /// The ticket of this task's next operation. One task may have several tickets in flight; what
    /// they share is enough to find it.
    pub(crate) fn ticket(self) -> Ticket {
        Ticket(self.0)
    }

    pub(crate) fn of(ticket: Ticket) -> Self {
        Self(ticket.0)
    }
}

/// The tasks of one session.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    slots: Vec<Option<(TaskId, Task)>>,
    free: Vec<usize>,
    by_itt: BTreeMap<Itt, TaskId>,
    given: u64,
    /// Tasks that count against the command window.
    pub(crate) windowed: u32,
    /// Immediate commands in progress.
    pub(crate) immediate: usize,
}

impl Tasks {
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.len() == self.free.len()
    }

    /// Keeps a task. `named`: found by its ITT, as long as its initiator waits for an answer.
    pub(crate) fn insert(&mut self, task: Task, named: bool) -> TaskId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        assert!(slot < 1 << SLOT_BITS, "the command window bounds the tasks");
        self.given += 1;
        let id = TaskId((self.given << SLOT_BITS) | slot as u64);
        if named {
            self.by_itt.insert(task.itt, id);
        }
        match task.immediate {
            true => self.immediate += 1,
            false => self.windowed += 1,
        }
        self.slots[slot] = Some((id, task));
        id
    }

    pub(crate) fn find(&self, itt: Itt) -> Option<TaskId> {
        self.by_itt.get(&itt).copied()
    }

    pub(crate) fn get(&self, id: TaskId) -> Option<&Task> {
        match self.slots.get(id.slot()) {
            Some(Some((kept, task))) if *kept == id => Some(task),
            _ => None,
        }
    }

    pub(crate) fn get_mut(&mut self, id: TaskId) -> Option<&mut Task> {
        match self.slots.get_mut(id.slot()) {
            Some(Some((kept, task))) if *kept == id => Some(task),
            _ => None,
        }
    }

    /// The task's initiator tag may be used again; the task itself only drains.
    pub(crate) fn forget_name(&mut self, id: TaskId) {
        if let Some(task) = self.get(id) {
            let itt = task.itt;
            if self.by_itt.get(&itt) == Some(&id) {
                self.by_itt.remove(&itt);
            }
        }
    }

    pub(crate) fn remove(&mut self, id: TaskId) -> Option<Task> {
        self.get(id)?;
        self.forget_name(id);
        let (_, task) = self.slots[id.slot()].take()?;
        self.free.push(id.slot());
        match task.immediate {
            _ if task.released => {}
            _ if task.aborted && has(Bug::AbortKeepsSlot) => {}
            true => self.immediate -= 1,
            false => self.windowed -= 1,
        }
        Some(task)
    }

    /// The task is answered and only drains: its initiator tag and its place among the commands in
    /// progress are free.
    pub(crate) fn retire(&mut self, id: TaskId) {
        self.forget_name(id);
        let Some(task) = self.get_mut(id) else {
            return;
        };
        task.aborted = true;
        task.work = Work::Ended;
        let gives = !has(Bug::SlotGivenTwice);
        let (immediate, released) = (task.immediate, std::mem::replace(&mut task.released, gives));
        match immediate {
            _ if released => {}
            true => self.immediate -= 1,
            false => self.windowed -= 1,
        }
    }

    /// A task of that tag that storage is not done with, though its initiator no longer waits.
    pub(crate) fn draining(&self, itt: Itt) -> Option<TaskId> {
        let drains = |(_, task): &(TaskId, &Task)| task.aborted && task.itt == itt;
        self.iter().find(drains).map(|(id, _)| id)
    }

    /// The task's place in the command window is free already: its status is about to be sent.
    pub(crate) fn release_window(&mut self, id: TaskId) {
        if let Some(task) = self.get_mut(id)
            && !task.immediate
            && !task.released
        {
            task.released = true;
            self.windowed -= 1;
        }
    }

    /// All tasks, in no order that matters.
    pub(crate) fn ids(&self) -> Vec<TaskId> {
        self.slots.iter().flatten().map(|(id, _)| *id).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (TaskId, &Task)> {
        self.slots.iter().flatten().map(|(id, task)| (*id, task))
    }
}
