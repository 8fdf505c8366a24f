//! Task management, pings and texts, and what a careful initiator does when time is over.

use bytes::Bytes;
use initiator_sim::machine::{Event, Outcome};
use iscsi::{Itt, LogoutReason, LogoutResult, Lun, TmfFunction, TmfResponse};

use super::super::Oracle;
use super::super::around::Around;
use super::super::history::{Fate, WriteId};
use super::super::marks::Mark;
use super::super::plan::Moment;
use super::command::Flying;
use super::link::{Link, Phase};
use super::{COMMAND_WAIT, LOGIN_WAIT, MANAGE_WAIT, Peer};

/// A function in flight.
#[derive(Debug)]
pub(super) struct Managed {
    function: TmfFunction,
    /// Its number among those that are about a set of tasks.
    clear: Option<usize>,
    lun: u8,
    pub(super) sent: Moment,
    /// The command that ABORT TASK is about.
    task: Option<Itt>,
    /// A command took too long.
    for_time: bool,
}

/// Most functions in flight that the plan asks for.
const MANAGING_MAX: usize = 4;

impl Peer {
    pub(super) fn nop(&mut self, around: &mut Around, bytes: usize) {
        let ping = Bytes::from(vec![0x5a; bytes]);
        self.with_client(around, |client, sink| {
            client.nop(ping, sink);
        });
    }

    pub(super) fn text(&mut self, around: &mut Around) {
        let Some(link) = &mut self.current else {
            return;
        };
        if std::mem::replace(&mut link.texts, true) {
            return;
        }
        self.with_client(around, |client, sink| {
            client.text(Bytes::from_static(b"SendTargets=\0"), sink);
        });
    }

    fn with_client(
        &mut self,
        around: &mut Around,
        does: impl FnOnce(&mut initiator_sim::machine::Client, &mut super::link::Sink<'_>),
    ) {
        let Some(link) = &mut self.current else {
            return;
        };
        if let Some((client, mut sink)) = link.client(around) {
            does(client, &mut sink);
        }
        link.flush(around);
    }

    /// A function the plan asks for.
    pub(super) fn manage(&mut self, around: &mut Around, function: TmfFunction, lun: u8, back: u8) {
        let Some(link) = &self.current else { return };
        if link.managing.len() >= MANAGING_MAX {
            return;
        }
        let task = match function {
            TmfFunction::ABORT_TASK => {
                let found = link.flying.iter().rev().nth(usize::from(back));
                let Some((itt, flying)) = found else { return };
                Some((*itt, flying.lun))
            }
            _ => None,
        };
        let lun = task.map_or(lun, |(_, lun)| lun);
        self.ask(around, function, lun, task.map(|(itt, _)| itt), false);
    }

    fn ask(
        &mut self,
        around: &mut Around,
        function: TmfFunction,
        lun: u8,
        task: Option<Itt>,
        for_time: bool,
    ) {
        let Some(link) = &mut self.current else {
            return;
        };
        let now = around.now;
        let Some((client, mut sink)) = link.client(around) else {
            return;
        };
        // Of a command that still waits for the window the target knows nothing.
        if let Some(itt) = task
            && client.cmd_sn_of(itt).is_none()
        {
            client.forget(itt);
            if let Some(flying) = link.flying.remove(&itt)
                && let Some(write) = flying.write()
            {
                around.end_write(write, Fate::Refused);
            }
            return;
        }
        let lun_field = Lun::from_number(u16::from(lun));
        let itt = client.task_management(function, lun_field, task, &mut sink);
        let unit = (self.setting.target, lun);
        let tells = Self::clears_unit(function);
        let set = task.is_none();
        let clear = set.then(|| around.clears.sent(unit, self.number, tells, now));
        let managed = Managed {
            function,
            clear,
            lun,
            sent: now,
            task,
            for_time,
        };
        link.managing.insert(itt, managed);
        if let Some(task) = task
            && let Some(flying) = link.flying.get_mut(&task)
        {
            flying.aborting |= for_time;
        }
        link.flush(around);
    }

    /// Something came over a connection.
    pub(super) fn heard(&mut self, around: &mut Around, link: &mut Link, event: Event) {
        match event {
            Event::Command(itt, outcome) => {
                if let Some(flying) = link.flying.remove(&itt) {
                    if is_cleared(&outcome) {
                        // Whatever came before the command that is told of it is gone.
                        let older = link.flying.range_mut(..itt).map(|(_, older)| older);
                        let older = older.filter(|older| older.lun == flying.lun);
                        older.for_each(Flying::clear);
                    }
                    self.concluded(around, flying, &outcome);
                }
            }
            Event::Aborted(itt) => {
                if let Some(flying) = link.flying.remove(&itt)
                    && let Some(write) = flying.write()
                {
                    around.end_write(write, Fate::Aborted);
                    self.over(around, &[write], "a function that took it was complete");
                }
            }
            Event::TaskManagement(itt, response) => {
                if let Some(managed) = link.managing.remove(&itt) {
                    self.managed(around, link, &managed, response);
                }
            }
            Event::Text(..) => link.texts = false,
            Event::Nop(_) => around.marks.hit(Mark::NopAnswered),
            Event::Pinged => around.marks.hit(Mark::Pinged),
            Event::Async(..) => {
                // It is asked to log out.
                around.marks.hit(Mark::AskedToLeave);
                if !link.leaving {
                    link.logout(around, LogoutReason::CLOSE_SESSION);
                }
            }
            Event::Logout(_, response) => {
                around.marks.hit(Mark::LoggedOut);
                if response.result == LogoutResult::CLOSED {
                    let flying = link.take_flying();
                    let writes: Vec<WriteId> = flying.iter().filter_map(Flying::write).collect();
                    self.over(around, &writes, "its initiator was logged out");
                }
            }
            Event::Rejected(reject, header) => {
                around.marks.hit(Mark::Rejected);
                link.managing.remove(&header.itt());
                if let Some(flying) = link.flying.remove(&header.itt()) {
                    let what = format!("an honest command was rejected: {}", reject.reason);
                    around.complain(Oracle::Protocol, what);
                    if let Some(write) = flying.write() {
                        around.end_write(write, Fate::Failed);
                    }
                }
            }
        }
    }

    fn managed(
        &mut self,
        around: &mut Around,
        link: &mut Link,
        managed: &Managed,
        response: TmfResponse,
    ) {
        around.marks.function(managed.function, response);
        let complete = response == TmfResponse::COMPLETE;
        let unit = (self.setting.target, managed.lun);
        if let Some(number) = managed.clear {
            around.clears.ended(number, around.now, complete);
        }
        if complete && Self::clears_unit(managed.function) {
            let host = self.setting.target;
            let older = around
                .ledger
                .older(host, usize::from(managed.lun), managed.sent);
            if older > 0 {
                let what = format!(
                    "{} of initiator {} is complete, and {older} tickets are in flight that \
                     storage had before it was sent",
                    managed.function, self.number
                );
                around.complain(Oracle::Aborted, what);
            }
        }
        if response == TmfResponse::TASK_DOES_NOT_EXIST
            && let Some(task) = managed.task
            && let Some(flying) = link.flying.remove(&task)
        {
            // Another function may have taken it, and not said so yet.
            let another = link.managing.values().any(|each| each.task == Some(task));
            let taken = around.clears.may_have_taken(unit, flying.sent);
            if !flying.refused && !another && !taken {
                let what = format!("{flying} was not answered, and is not there");
                around.complain(Oracle::Protocol, what);
            }
            // Its answer would have come before this one: somebody else took it away.
            around.marks.hit(Mark::TakenByOthers);
            if let Phase::Full(client) = &mut link.phase {
                client.forget(task);
            }
            if let Some(write) = flying.write() {
                around.end_write(write, Fate::Aborted);
                self.over(around, &[write], "the target knew no such task");
            }
        }
        if !complete
            && let Some(task) = managed.task
            && let Some(flying) = link.flying.get_mut(&task)
        {
            // It may be gone all the same, some time later.
            flying.refused = true;
        }
        if !complete && managed.for_time && response != TmfResponse::TASK_DOES_NOT_EXIST {
            link.give_up();
        }
    }

    /// An initiator was told, or may conclude, that nothing of these writes lands any more.
    pub(super) fn over(&mut self, around: &mut Around, writes: &[WriteId], why: &str) {
        for &write in writes {
            around.end_open_write(write);
        }
        let writes = writes.iter().copied();
        let known: Vec<WriteId> = writes.filter(|write| !around.is_crashed(*write)).collect();
        for write in around.ledger.over(known) {
            let event = around.history.writes[write as usize].event;
            let what = format!(
                "the write of event #{event} has a ticket in flight although {why} (initiator {})",
                self.number
            );
            around.complain(Oracle::Aborted, what);
        }
    }

    /// Commands, functions and logins that take too long.
    pub(super) fn look_at_clock(&mut self, around: &mut Around) {
        let now = around.now;
        let late_login = |link: &Link| {
            let waits = !link.is_ready() && link.since().plus(LOGIN_WAIT) <= now;
            let late = |managed: &Managed| managed.sent.plus(MANAGE_WAIT) <= now;
            waits || link.is_broken() || link.managing.values().any(late)
        };
        for is_next in [false, true] {
            let place = match is_next {
                false => &mut self.current,
                true => &mut self.next,
            };
            if place.as_deref().is_some_and(late_login)
                && let Some(link) = place.take()
            {
                around.marks.hit(Mark::GaveUp);
                around.reset(link.wire());
                self.lose(around, link);
            }
        }
        let Some(link) = &self.current else { return };
        let late = link
            .flying
            .iter()
            .filter(|(_, flying)| !flying.aborting && flying.sent.plus(COMMAND_WAIT) <= now);
        let in_vain = |flying: &&Flying| {
            let unit = (self.setting.target, flying.lun);
            flying.verifies() && !around.clears.may_have_taken(unit, flying.sent)
        };
        if let Some(flying) = late.clone().map(|(_, flying)| flying).find(in_vain) {
            let seconds = COMMAND_WAIT.as_secs();
            let what = format!("{flying} is not answered within {seconds} s, and all is mended");
            around.complain(Oracle::Live, what);
        }
        let late: Vec<(Itt, u8)> = late.map(|(itt, flying)| (*itt, flying.lun)).collect();
        for (itt, lun) in late {
            around.marks.hit(Mark::TimedOut);
            self.ask(around, TmfFunction::ABORT_TASK, lun, Some(itt), true);
        }
    }
}

/// Whether an answer tells that another cleared the unit, or reset it.
fn is_cleared(outcome: &Outcome) -> bool {
    let sense = outcome
        .sense
        .map(|sense| (sense.key, sense.asc, sense.ascq));
    matches!(sense, Some((6, 0x2f, 0) | (6, 0x29, 3)))
}
