//! A session that outlives its target's process.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use iscsi::{Itt, Lun};
use tokio::time::{Instant, sleep};

use crate::cdb;
use crate::machine::{Command, LoginOptions, Outcome};
use crate::session::{LoginError, Session, SessionError};

/// How long to keep trying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Wait before the second attempt; doubles up to `pause_max`.
    pub pause: Duration,
    /// Longest wait between two attempts.
    pub pause_max: Duration,
    /// Give up when no login succeeded for this long.
    pub give_up: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            pause: Duration::from_millis(20),
            pause_max: Duration::from_secs(1),
            give_up: Duration::from_secs(30),
        }
    }
}

/// Times one command is issued again because of unit attentions.
const ATTENTIONS_MAX: u32 = 8;

/// Logs in again when the connection is lost and re-issues every command that had no answer.
///
/// A re-issued write may be carried out twice; that is what initiators do, and why a write that
/// was never acknowledged may or may not be on the disk. Unit attentions are collected on the
/// way, as they are the ordinary consequence of a new session.
pub struct Reconnecting {
    addr: SocketAddr,
    options: LoginOptions,
    patience: Patience,
    session: Option<Session>,
    reconnects: u32,
    block_size: u32,
}

impl Reconnecting {
    /// Log in, waiting for the target to appear if need be.
    pub async fn connect(
        addr: SocketAddr,
        options: &LoginOptions,
        patience: Patience,
    ) -> Result<Self, LoginError> {
        let mut this = Self {
            addr,
            options: options.clone(),
            patience,
            session: None,
            reconnects: 0,
            block_size: 512,
        };
        this.session().await?;
        Ok(this)
    }

    /// Logins after the first.
    pub fn reconnects(&self) -> u32 {
        self.reconnects.saturating_sub(1)
    }

    /// Bytes per block that the block verbs reckon with.
    pub fn set_block_size(&mut self, bytes: u32) {
        self.block_size = bytes;
    }

    /// The target may come back elsewhere.
    pub fn set_addr(&mut self, addr: SocketAddr) {
        self.addr = addr;
    }

    /// The session as it is, logged in anew if it is lost.
    pub async fn session(&mut self) -> Result<&mut Session, LoginError> {
        if self.session.is_none() {
            self.session = Some(self.login().await?);
            self.reconnects += 1;
        }
        Ok(self.session.as_mut().expect("just put there"))
    }

    /// Give up the connection as if it were lost.
    pub fn drop_session(&mut self) {
        self.session = None;
    }

    async fn login(&self) -> Result<Session, LoginError> {
        let deadline = Instant::now() + self.patience.give_up;
        let mut pause = self.patience.pause;
        loop {
            match Session::login(self.addr, &self.options).await {
                Ok(mut session) => {
                    session.block_size = self.block_size;
                    return Ok(session);
                }
                // A refusal is an answer: only a target that is starting (class 3) is asked again.
                Err(error) if error.status.is_some_and(|status| status.class() != 3) => {
                    return Err(error);
                }
                Err(error) if Instant::now() + pause >= deadline => return Err(error),
                Err(_) => sleep(pause).await,
            }
            pause = (pause * 2).min(self.patience.pause_max);
        }
    }

    /// One command to its end.
    pub async fn run(&mut self, command: Command) -> Result<Outcome, SessionError> {
        let mut outcomes = self.run_all(vec![command]).await?;
        Ok(outcomes.pop().expect("one command, one outcome"))
    }

    /// All these commands in flight together, to their end; outcomes in the order of the commands.
    pub async fn run_all(&mut self, commands: Vec<Command>) -> Result<Vec<Outcome>, SessionError> {
        let mut outcomes: Vec<Option<Outcome>> = vec![None; commands.len()];
        let mut attentions = 0;
        loop {
            let missing: Vec<usize> = (0..commands.len())
                .filter(|index| outcomes[*index].is_none())
                .collect();
            if missing.is_empty() {
                return Ok(outcomes.into_iter().flatten().collect());
            }
            let session = self.session().await.map_err(Box::new)?;
            let mut flying: Vec<(Itt, usize)> = missing
                .into_iter()
                .map(|index| (session.queue(commands[index].clone()), index))
                .collect();
            while !flying.is_empty() {
                match session.next_outcome().await {
                    Ok((itt, result)) => {
                        let Some(at) = flying.iter().position(|(flown, _)| *flown == itt) else {
                            continue;
                        };
                        let (_, index) = flying.swap_remove(at);
                        let outcome = result?;
                        if outcome.is_unit_attention() && attentions < ATTENTIONS_MAX {
                            attentions += 1;
                            flying.push((session.queue(commands[index].clone()), index));
                        } else {
                            outcomes[index] = Some(outcome);
                        }
                    }
                    Err(error) if error.is_lost() => {
                        self.session = None;
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// READ(10).
    pub async fn read(&mut self, lun: Lun, lba: u32, blocks: u16) -> Result<Outcome, SessionError> {
        let edtl = u32::from(blocks) * self.block_size;
        self.run(Command::read(lun, &cdb::read10(lba, blocks, false), edtl))
            .await
    }

    /// WRITE(10) of whole blocks.
    pub async fn write(
        &mut self,
        lun: Lun,
        lba: u32,
        data: impl Into<Bytes>,
    ) -> Result<Outcome, SessionError> {
        let data = data.into();
        let blocks = u16::try_from(data.len() / self.block_size as usize)
            .expect("at most 65,535 blocks in a command");
        self.run(Command::write(lun, &cdb::write10(lba, blocks, false), data))
            .await
    }

    /// SYNCHRONIZE CACHE(10) of the whole disk.
    pub async fn sync(&mut self, lun: Lun) -> Result<Outcome, SessionError> {
        self.run(Command::none(lun, &cdb::synchronize_cache10(0, 0, false)))
            .await
    }
}
