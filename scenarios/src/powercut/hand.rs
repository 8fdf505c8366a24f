//! One session at work: keeps several commands in flight and notes what becomes of them. Knows
//! nothing of what the answers ought to be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use initiator_sim::{Command, Outcome, Session, SessionError, cdb};
use iscsi::{Itt, Lun, TmfFunction};

use super::history::{Fate, History, Moment, Read, Synced};
use super::load::{Act, Load};
use super::stamp::{SECTOR, Stamp};

/// Commands a session waits for at a time.
const DEPTH: usize = 6;

/// Commands a session may have been left without an answer for: a reset by another takes them
/// away in silence, storage that hangs keeps them.
const LEFT_MAX: usize = 64;

/// How long a session waits for any answer before it goes on without those it waits for.
const PATIENCE: Duration = Duration::from_millis(100);

/// The unit everybody works on.
pub(super) const LUN: Lun = Lun(0);

/// What a command is.
#[derive(Clone, Copy, Debug)]
enum Doing {
    Write(u32, (u64, u64)),
    Sync(u32),
    Read(u64, Moment),
}

/// A session at work.
pub(super) struct Hand {
    session: Session,
    number: u16,
    load: Load,
    round: Arc<Shared>,
    doing: BTreeMap<Itt, Doing>,
    awaited: BTreeSet<Itt>,
}

/// What the sessions of a round share.
pub(super) struct Shared {
    pub(super) seed: u64,
    /// Sectors in a logical block.
    pub(super) block: u64,
    /// Between two commands of a session.
    pub(super) pace: Duration,
    history: Mutex<History>,
}

impl Shared {
    pub(super) fn new(seed: u64, block: u64, pace: Duration) -> Arc<Self> {
        let history = Mutex::default();
        Arc::new(Self {
            seed,
            block,
            pace,
            history,
        })
    }

    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hand {
    pub(super) fn new(mut session: Session, number: u16, load: Load, round: Arc<Shared>) -> Self {
        session.conn().set_timeout(PATIENCE);
        Self {
            session,
            number,
            load,
            round,
            doing: BTreeMap::new(),
            awaited: BTreeSet::new(),
        }
    }

    /// Works until the target is gone. The error is what no power cut explains.
    pub(super) async fn work(mut self) -> Result<(), SessionError> {
        loop {
            match self.turn().await {
                Ok(()) => {}
                Err(SessionError::Conn(error)) if error.is_lost() => return Ok(()),
                Err(error) if error.is_lost() => self.awaited.clear(),
                Err(error) => return Err(error),
            }
        }
    }

    async fn turn(&mut self) -> Result<(), SessionError> {
        if !self.round.pace.is_zero() {
            self.session.idle(self.round.pace).await?;
        }
        if self.awaited.len() < DEPTH && self.doing.len() < LEFT_MAX {
            self.act().await?;
            // Sent at once, and on to the next.
            if self.awaited.len() < DEPTH {
                return self.session.conn().flush().await.map_err(Into::into);
            }
        }
        let (itt, ended) = self.session.next_outcome().await?;
        self.awaited.remove(&itt);
        if let Some(doing) = self.doing.remove(&itt) {
            self.note(doing, ended);
        }
        Ok(())
    }

    async fn act(&mut self) -> Result<(), SessionError> {
        let (doing, command) = match self.load.draw() {
            Act::Write { range, fua, long } => self.write(range, fua, long),
            Act::Read { range } => self.read(range),
            Act::Sync { range, long } => self.sync(range, long),
            Act::Abort => {
                let task = self.awaited.first().copied();
                return match task {
                    Some(task) => self.manage(TmfFunction::ABORT_TASK, Some(task)).await,
                    None => Ok(()),
                };
            }
            Act::Reset => return self.manage(TmfFunction::LOGICAL_UNIT_RESET, None).await,
        };
        let itt = self.session.queue(command);
        self.doing.insert(itt, doing);
        self.awaited.insert(itt);
        Ok(())
    }

    /// What it takes away is told by the session as aborted.
    async fn manage(&mut self, what: TmfFunction, task: Option<Itt>) -> Result<(), SessionError> {
        self.session.task_management(what, LUN, task).await?;
        Ok(())
    }

    fn write(&self, range: (u64, u64), fua: bool, long: bool) -> (Doing, Command) {
        let write = self.round.history().write(self.number, range, fua);
        let (first, count) = range;
        let mut data = vec![0; count as usize * SECTOR];
        for (sector, bytes) in (first..).zip(data.chunks_exact_mut(SECTOR)) {
            let stamp = Stamp {
                round: self.round.seed,
                session: self.number,
                write,
                sector,
            };
            stamp.fill(bytes);
        }
        let (lba, blocks) = self.blocks(range);
        let command = match long {
            true => Command::write(LUN, &cdb::write16(lba, blocks, fua), data),
            false => Command::write(LUN, &cdb::write10(lba as u32, blocks as u16, fua), data),
        };
        (Doing::Write(write, range), command)
    }

    fn read(&self, range: (u64, u64)) -> (Doing, Command) {
        let sent = self.round.history().tick();
        let (lba, blocks) = self.blocks(range);
        let bytes = range.1 as u32 * SECTOR as u32;
        let command = Command::read(LUN, &cdb::read10(lba as u32, blocks as u16, false), bytes);
        (Doing::Read(range.0, sent), command)
    }

    fn sync(&self, range: Option<(u64, u64)>, long: bool) -> (Doing, Command) {
        let (lba, blocks) = range.map_or((0, 0), |range| self.blocks(range));
        let covered = range.unwrap_or((0, u64::MAX));
        let sync = self.round.history().sync(self.number, covered);
        let command = match long {
            true => Command::none(LUN, &cdb::synchronize_cache16(lba, blocks, false)),
            false => {
                let cdb = cdb::synchronize_cache10(lba as u32, blocks as u16, false);
                Command::none(LUN, &cdb)
            }
        };
        (Doing::Sync(sync), command)
    }

    fn blocks(&self, (first, count): (u64, u64)) -> (u64, u32) {
        let block = self.round.block;
        (first / block, (count / block) as u32)
    }

    fn note(&mut self, doing: Doing, ended: Result<Outcome, SessionError>) {
        let mut history = self.round.history();
        match doing {
            Doing::Write(write, range) => {
                let busy = |outcome: &Outcome| outcome.status == Outcome::BUSY;
                history.busy += u64::from(ended.as_ref().is_ok_and(busy));
                let fate = fate(ended.as_ref().ok());
                history.written(write, fate);
                if fate == Fate::GivenUp {
                    self.load.give_up(range);
                }
            }
            Doing::Sync(sync) => {
                // Aborted, it is as good as not answered.
                if let Ok(outcome) = &ended {
                    history.synced(sync, synced(outcome));
                }
            }
            Doing::Read(first, sent) => {
                let ended_at = history.tick();
                history.answered += 1;
                if let Some(outcome) = ended.ok().filter(Outcome::is_good) {
                    let held = self.round.held(first, &outcome.data);
                    history.reads.push(Read {
                        session: self.number,
                        first,
                        sent,
                        ended: ended_at,
                        held,
                    });
                }
            }
        }
    }
}

impl Shared {
    /// What these sectors hold.
    pub(super) fn held(&self, first: u64, bytes: &[u8]) -> Vec<super::Held> {
        (first..)
            .zip(bytes.chunks_exact(SECTOR))
            .map(|(sector, bytes)| Stamp::read(bytes, self.seed, sector))
            .collect()
    }
}

/// What an answer says about a write; none for one that was aborted.
fn fate(outcome: Option<&Outcome>) -> Fate {
    match outcome {
        None => Fate::Aborted,
        Some(outcome) if outcome.is_good() => Fate::Good,
        Some(outcome) if outcome.is_unit_attention() => Fate::Refused,
        Some(outcome) => match outcome.status {
            Outcome::TASK_SET_FULL => Fate::Refused,
            Outcome::CHECK_CONDITION => Fate::Failed,
            _ => Fate::GivenUp,
        },
    }
}

fn synced(outcome: &Outcome) -> Synced {
    match outcome.status {
        _ if outcome.is_good() => Synced::Good,
        Outcome::CHECK_CONDITION if !outcome.is_unit_attention() => Synced::Broken,
        _ => Synced::NotDone,
    }
}
