//! Commands: how they are sent, and what their answers mean.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use initiator_sim::cdb;
use initiator_sim::machine::{Command, Outcome};
use iscsi::Lun;

use super::super::Oracle;
use super::super::around::Around;
use super::super::history::{Fate, NEVER, Read, Sync, Write, WriteId};
use super::super::marks::Mark;
use super::super::plan::{Extent, Moment, SECTOR, Step};
use super::super::stamp;
use super::{Job, NO_EVENT, Peer, TRIES_MAX};

/// A command in flight.
#[derive(Debug)]
pub(super) struct Flying {
    job: Job,
    write: Option<WriteId>,
    pub(super) lun: u8,
    pub(super) sent: Moment,
    /// It took too long, and a function is to take it away.
    pub(super) aborting: bool,
    /// A function that was to take it away was refused.
    pub(super) refused: bool,
    /// Another cleared the unit after it had come, and that was told.
    cleared: bool,
}

impl Flying {
    pub(super) fn write(&self) -> Option<WriteId> {
        self.write
    }

    /// Its initiator is told that another took it away.
    pub(super) fn clear(&mut self) {
        self.cleared = true;
    }

    /// Whether it is one of the last ones, when everything is in order again.
    pub(super) fn verifies(&self) -> bool {
        self.job.event == NO_EVENT
    }
}

impl fmt::Display for Flying {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.job.step {
            Step::Read { .. } => "read",
            Step::Write { .. } => "write",
            Step::Sync { .. } => "flush",
            _ => "command",
        };
        match self.verifies() {
            true => write!(out, "a {what} at the end"),
            false => write!(out, "the {what} of event #{}", self.job.event),
        }
    }
}

/// How long after BUSY, and after TASK SET FULL, it tries again.
const BUSY_PAUSE: Duration = Duration::from_millis(1000);
const FULL_PAUSE: Duration = Duration::from_millis(50);

/// Tries of a read at the end, one a second.
const VERIFY_TRIES_MAX: u32 = 60;

impl Peer {
    pub(super) fn command(&mut self, around: &mut Around, job: Job) {
        let (lun, write, command) = self.build(around, job);
        let Some(link) = &mut self.current else {
            return self.backlog.push_front(job);
        };
        around.commands += 1;
        around.transfers += u64::from(command.edtl > 0);
        around.bytes += u64::from(command.edtl);
        let Some((client, mut sink)) = link.client(around) else {
            return;
        };
        let itt = client.submit(command, &mut sink);
        let flying = Flying {
            job,
            write,
            lun,
            sent: around.now,
            aborting: false,
            refused: false,
            cleared: false,
        };
        link.flying.insert(itt, flying);
        if !link.flush(around)
            && let Some(link) = self.current.take()
        {
            self.lose(around, link);
        }
    }

    fn build(&mut self, around: &mut Around, job: Job) -> (u8, Option<WriteId>, Command) {
        let lun_of = |lun: u8| Lun::from_number(u16::from(lun));
        match job.step {
            Step::Read { place, long, fua } => {
                let cdb = match long {
                    true => cdb::read16(place.at.into(), place.sectors.into(), fua).to_vec(),
                    false => cdb::read10(place.at, place.sectors, fua).to_vec(),
                };
                let bytes = bytes(place);
                let command = Command::read(lun_of(place.lun), &cdb, bytes as u32);
                (place.lun, None, command)
            }
            Step::Write { place, long, fua } => {
                let write = self.begin_write(around, job.event, place, fua);
                let image = self.image(place.lun);
                let data = stamp::data(image, place.at, place.sectors.into(), write);
                let cdb = match long {
                    true => cdb::write16(place.at.into(), place.sectors.into(), fua).to_vec(),
                    false => cdb::write10(place.at, place.sectors, fua).to_vec(),
                };
                let command = Command::write(lun_of(place.lun), &cdb, Bytes::from(data));
                (place.lun, Some(write), command)
            }
            Step::Sync { place, immediate } => {
                let cdb = cdb::synchronize_cache10(place.at, place.sectors, immediate);
                (place.lun, None, Command::none(lun_of(place.lun), &cdb))
            }
            Step::Ready { lun } => {
                let command = Command::none(lun_of(lun), &cdb::test_unit_ready());
                (lun, None, command)
            }
            _ => unreachable!("not a command"),
        }
    }

    fn begin_write(
        &mut self,
        around: &mut Around,
        event: u16,
        place: Extent,
        fua: bool,
    ) -> WriteId {
        let write = Write {
            initiator: self.number,
            event,
            image: self.image(place.lun),
            at: place.at,
            sectors: place.sectors.into(),
            durable: fua || !self.serves.write_back,
            sent: around.now,
            fate: Fate::Open,
            ended: NEVER,
            settled: NEVER,
        };
        around.history.writes.push(write);
        around.history.writes.len() as WriteId - 1
    }

    /// A command has its answer.
    pub(super) fn concluded(&mut self, around: &mut Around, flying: Flying, outcome: &Outcome) {
        around.marks.outcome(&flying.job.step, outcome);
        let fate = fate(outcome);
        self.was_told(around, &flying, outcome);
        match flying.job.step {
            Step::Write { .. } => {
                if let Some(write) = flying.write {
                    around.end_write(write, fate);
                }
            }
            Step::Read { place, .. } if fate == Fate::Good => {
                self.found(around, &flying, place, &outcome.data);
            }
            Step::Sync { place, immediate } if !immediate => {
                let broken = outcome
                    .sense
                    .is_some_and(|sense| (sense.key, sense.asc, sense.ascq) == (3, 0x0c, 0));
                let sync = Sync {
                    initiator: self.number,
                    event: flying.job.event,
                    image: self.image(place.lun),
                    at: place.at,
                    sectors: place.sectors.into(),
                    sent: flying.sent,
                    fate,
                    ended: around.now,
                    broken,
                };
                around.history.syncs.push(sync);
            }
            _ => {}
        }
        if fate != Fate::Good {
            self.try_again(around, flying.job, outcome);
        }
    }

    /// What others did to a unit is told before anything is GOOD.
    fn was_told(&mut self, around: &mut Around, flying: &Flying, outcome: &Outcome) {
        let unit = (self.setting.target, flying.lun);
        if outcome.is_unit_attention() {
            self.told.insert(flying.lun, around.now);
        } else if outcome.status == Outcome::GOOD {
            if flying.cleared {
                let what = format!("{flying} is GOOD, and was cleared by another before");
                around.complain(Oracle::Protocol, what);
            }
            let known = (self.since, self.told.get(&flying.lun).copied());
            let (clears, by) = (&around.clears, self.number);
            if clears.is_untold(unit, by, known, flying.sent) {
                let what = format!(
                    "{flying} is GOOD although initiator {by} was not told that another cleared the unit"
                );
                around.complain(Oracle::Protocol, what);
            }
        }
    }

    fn found(&mut self, around: &mut Around, flying: &Flying, place: Extent, data: &[u8]) {
        if data.len() != bytes(place) {
            let what = format!(
                "a read of event #{} is GOOD with {} bytes of {}",
                flying.job.event,
                data.len(),
                bytes(place)
            );
            return around.complain(Oracle::Protocol, what);
        }
        let image = self.image(place.lun);
        let read = Read {
            initiator: self.number,
            event: flying.job.event,
            image,
            at: place.at,
            sent: flying.sent,
            ended: around.now,
            held: stamp::read(data, image, place.at),
        };
        around.history.reads.push(read);
    }

    fn try_again(&mut self, around: &mut Around, mut job: Job, outcome: &Outcome) {
        let verifies = job.event == NO_EVENT;
        let pause = match outcome.status {
            Outcome::BUSY => BUSY_PAUSE,
            Outcome::TASK_SET_FULL => FULL_PAUSE,
            _ if outcome.is_unit_attention() => Duration::ZERO,
            _ if verifies => BUSY_PAUSE,
            _ => return,
        };
        let most = match verifies {
            true => VERIFY_TRIES_MAX,
            false => TRIES_MAX,
        };
        if job.tries + 1 < most {
            job.tries += 1;
            around.marks.hit(Mark::Retried);
            self.retries.push((around.now.plus(pause), job));
        } else if verifies {
            let what =
                format!("a sector cannot be read any more after everything was mended: {outcome}");
            around.complain(Oracle::Live, what);
        }
    }
}

fn bytes(place: Extent) -> usize {
    usize::from(place.sectors) * SECTOR
}

/// What a status says about what was done.
fn fate(outcome: &Outcome) -> Fate {
    let key = outcome.sense.map(|sense| sense.key);
    match (outcome.response, outcome.status, key) {
        (0, Outcome::GOOD, _) => Fate::Good,
        (0, Outcome::TASK_SET_FULL | Outcome::RESERVATION_CONFLICT, _) => Fate::Refused,
        // Not ready, illegal request, unit attention.
        (0, Outcome::CHECK_CONDITION, Some(2 | 5 | 6)) => Fate::Refused,
        _ => Fate::Failed,
    }
}
