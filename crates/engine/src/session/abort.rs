//! Tasks that end without an answer, and what the initiator still sends for them.
//!
//! An aborted task stays until its last ticket has ended; its name is free at once. Data-Out that
//! was asked for or announced before is swallowed: the initiator could not know.

use block::Buffer;
use iscsi::Itt;
use iscsi::pdu::{Request, ScsiCommand};
use planted::{Bug, has};
use scsi::Sense;

use super::Session;
use crate::limits::GHOSTS_MAX;
use crate::task::{TaskId, Work};

impl Session {
    /// The connection is gone or going: its tasks end without an answer, and what came too early
    /// counts as never received.
    pub(super) fn abort_connection_tasks(&mut self) {
        for id in self.tasks.ids() {
            self.abort_task(id);
        }
        if !has(Bug::ParkedOutlivesConnection) {
            self.window.forget_parked();
        }
        self.hungry.clear();
        self.ghosts.clear();
        self.text = None;
        self.logout = None;
    }

    /// Ends a task without an answer. What storage has of it still has to come back.
    pub(super) fn abort_task(&mut self, id: TaskId) {
        let Some(task) = self.tasks.get_mut(id) else {
            return;
        };
        task.aborted = true;
        let itt = task.itt;
        let (owed, buffers): (bool, Vec<Buffer>) = match &mut task.work {
            Work::Write(write) => (!write.is_quiet(), write.drain().collect()),
            Work::Discard { .. } => (true, Vec::new()),
            Work::Read(_) | Work::Flush { .. } | Work::Ended => (false, Vec::new()),
        };
        task.work = Work::Ended;
        if !has(Bug::AbortLeaksBuffers) {
            self.put(buffers);
        }
        self.hungry.retain(|hungry| *hungry != id);
        if owed && !has(Bug::GhostForgotten) {
            self.remember_ghost(itt);
        }
        self.tasks.forget_name(id);
        self.bury(id);
    }

    /// Nothing more of it is stored or answered, but the data under way is still taken.
    pub(super) fn mute_task(&mut self, id: TaskId) {
        let Some(task) = self.tasks.get_mut(id) else {
            return;
        };
        task.aborted = true;
        if let Work::Write(write) = &mut task.work {
            write.fail(Sense::NO_SENSE);
        }
    }

    /// Whether the initiator has data of this task to send: answers to R2Ts, or what it announced.
    pub(super) fn owes_data(&self, id: TaskId) -> bool {
        self.tasks.get(id).is_some_and(|task| match &task.work {
            Work::Write(write) => !write.is_quiet(),
            Work::Discard { .. } => true,
            Work::Read(_) | Work::Flush { .. } | Work::Ended => false,
        })
    }

    /// An aborted task is gone once storage and the initiator have given back what is theirs.
    pub(super) fn bury(&mut self, id: TaskId) {
        if self.owes_data(id) || self.tasks.get(id).is_none_or(|task| task.tickets > 0) {
            return;
        }
        if let Some(Work::Write(write)) = self.tasks.get_mut(id).map(|task| &mut task.work) {
            let buffers: Vec<Buffer> = write.drain().collect();
            self.put(buffers);
        }
        self.remove_task(id);
    }

    pub(super) fn remove_task(&mut self, id: TaskId) {
        self.tasks.remove(id);
        for tmf in &mut self.tmfs {
            tmf.tasks.retain(|waiting| *waiting != id);
        }
    }

    /// A request is not carried out: the data that follows it is swallowed.
    pub(super) fn disown(&mut self, request: &Request) {
        if let Request::ScsiCommand(command) = request {
            self.disown_command(command);
        }
    }

    pub(super) fn disown_command(&mut self, command: &ScsiCommand) {
        if command.write && !command.is_final && self.tasks.find(command.itt).is_none() {
            self.remember_ghost(command.itt);
        }
    }

    pub(super) fn remember_ghost(&mut self, itt: Itt) {
        if self.ghosts.contains(&itt) {
            return;
        }
        if self.ghosts.len() >= GHOSTS_MAX {
            self.ghosts.pop_front();
        }
        self.ghosts.push_back(itt);
    }

    pub(super) fn put(&mut self, buffers: impl IntoIterator<Item = Buffer>) {
        for buffer in buffers {
            self.pool.put(buffer);
        }
    }
}
