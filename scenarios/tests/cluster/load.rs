//! One session that writes and reads without pause and knows what it may find. It never logs in
//! again: a connection that is lost is an error.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use initiator_sim::{Command, LoginOptions, Outcome, Session, cdb};
use iscsi::Lun;
use libtest_mimic::Failed;
use scenarios::cluster::Volume;
use scenarios::server::{Server, TARGET};
use tokio::task::JoinHandle;

use crate::disk::{Disk, UNIT_BLOCKS, UNIT_BYTES, stamp};
use crate::room::Room;

/// Units of the disk that are used; four mebibytes.
const UNITS: u64 = 1024;
/// Commands in flight.
const WAVE: u64 = 16;
/// As many pass over the whole disk.
const TURNS: u64 = UNITS / WAVE;
/// Longer than a command may be held (20 s).
const ANSWER_LIMIT: Duration = Duration::from_secs(40);
/// How long the load may take to get on.
const PROGRESS_LIMIT: Duration = Duration::from_secs(60);

/// A load that runs.
pub(crate) struct Load {
    told: Arc<Told>,
    running: JoinHandle<Result<Ended, String>>,
}

/// What a load is told, and tells.
#[derive(Default)]
struct Told {
    stop: AtomicBool,
    pause: AtomicBool,
    /// It pauses: no command is under way.
    rests: AtomicBool,
    /// Commands that ended GOOD so far.
    good: AtomicU64,
}

/// What came of it.
pub(crate) struct Ended {
    session: Session,
    disk: Disk,
    pub(crate) writes: u64,
    pub(crate) reads: u64,
    pub(crate) busy: u64,
    /// The longest any command took.
    pub(crate) slowest: Duration,
    /// What is neither GOOD nor BUSY, and reads of what cannot be there.
    errors: Vec<String>,
}

impl Load {
    pub(crate) fn start(room: &Room, server: &Server) -> Self {
        let told = Arc::new(Told::default());
        let running = room.runtime.spawn(run(server.portal, Arc::clone(&told)));
        Self { told, running }
    }

    /// Waits until no command is under way; none follows before `resume`.
    pub(crate) fn pause(&self) {
        self.told.pause.store(true, Ordering::Relaxed);
        while !self.told.rests.load(Ordering::Relaxed) && !self.running.is_finished() {
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn resume(&self) {
        self.told.pause.store(false, Ordering::Relaxed);
    }

    /// Waits for `count` more commands to end well.
    pub(crate) fn progress(&self, count: u64) -> Result<(), Failed> {
        let wanted = self.told.good.load(Ordering::Relaxed) + count;
        let deadline = Instant::now() + PROGRESS_LIMIT;
        while self.told.good.load(Ordering::Relaxed) < wanted && !self.running.is_finished() {
            if Instant::now() > deadline {
                return Err(format!("no {count} commands within {PROGRESS_LIMIT:?}").into());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Ends the load.
    pub(crate) fn end(self, room: &Room) -> Result<Ended, Failed> {
        self.told.stop.store(true, Ordering::Relaxed);
        Ok(room.runtime.block_on(self.running)??)
    }
}

impl Ended {
    /// Nothing but GOOD and BUSY was answered, and all that was acknowledged is there: for reads
    /// under load, at once, and when the bricks are healed; seen by the very session that wrote it
    /// and by a new one.
    ///
    /// Before the heal as well, for a heal hides that a brick was read that lacked the newest writes.
    /// And after it, for it can take that brick for the good one. Both happened while bricks blamed
    /// each other a second late (docs/decisions/009-blame-at-once.md); neither is forgiven.
    pub(crate) fn check(
        &mut self,
        room: &Room,
        server: &Server,
        volume: &Volume,
    ) -> Result<(), Failed> {
        let (writes, reads, busy) = (self.writes, self.reads, self.busy);
        let slowest = self.slowest;
        eprintln!("{writes} writes, {reads} reads, {busy} BUSY, the slowest {slowest:.1?}");
        if self.disk.written() < 100 {
            return Err(format!("only {} units were written", self.disk.written()).into());
        }
        let mut lost = room.runtime.block_on(self.look(server))?;
        let stale = lost.len();
        volume.heal()?;
        lost.extend(room.runtime.block_on(self.look(server))?);
        let wrong: Vec<&String> = self.errors.iter().chain(&lost).take(12).collect();
        if wrong.is_empty() {
            return Ok(());
        }
        let (errors, lost) = (self.errors.len(), lost.len() - stale);
        let said = server.log();
        let log: Vec<&str> = said.lines().rev().take(30).collect();
        Err(format!(
            "{errors} errors under load, {stale} before the heal, {lost} after it: {wrong:#?}\n\
             {log:#?}"
        )
        .into())
    }

    /// What both sessions see and cannot be.
    async fn look(&mut self, server: &Server) -> Result<Vec<String>, String> {
        let mut wrong = read_back(&mut self.session, &self.disk).await?;
        let mut other = login(server.portal, 2).await?;
        wrong.extend(read_back(&mut other, &self.disk).await?);
        Ok(wrong)
    }
}

async fn login(portal: std::net::SocketAddr, qualifier: u16) -> Result<Session, String> {
    let mut options = LoginOptions::new(TARGET).qualifier(qualifier);
    options.conn.timeout = ANSWER_LIMIT;
    let mut session = Session::login(portal, &options)
        .await
        .map_err(|why| why.to_string())?;
    session
        .clear_attention(Lun(0))
        .await
        .map_err(|why| why.to_string())?;
    Ok(session)
}

async fn run(portal: std::net::SocketAddr, told: Arc<Told>) -> Result<Ended, String> {
    let mut ended = Ended {
        session: login(portal, 1).await?,
        disk: Disk::new(UNITS),
        writes: 0,
        reads: 0,
        busy: 0,
        slowest: Duration::ZERO,
        errors: Vec::new(),
    };
    let mut turn = 0;
    while !told.stop.load(Ordering::Relaxed) {
        if told.pause.load(Ordering::Relaxed) {
            told.rests.store(true, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        }
        told.rests.store(false, Ordering::Relaxed);
        wave(&mut ended, turn, &told.good).await?;
        turn += 1;
    }
    Ok(ended)
}

/// One in four reads, on each pass over the disk another quarter of it, so that reads meet what was
/// written; no two commands are on one unit.
async fn wave(ended: &mut Ended, turn: u64, good: &AtomicU64) -> Result<(), String> {
    let mut flying = BTreeMap::new();
    for place in 0..WAVE {
        let unit = (turn * WAVE + place) * 37 % UNITS;
        let reads = (place + turn / TURNS) % 4 == 3;
        let command = match reads {
            true => Command::read(
                Lun(0),
                &cdb::read10(lba(unit), UNIT_BLOCKS, false),
                UNIT_BYTES as u32,
            ),
            false => Command::write(
                Lun(0),
                &cdb::write10(lba(unit), UNIT_BLOCKS, false),
                stamp(unit, turn + 1),
            ),
        };
        let itt = ended.session.queue(command);
        flying.insert(itt, (unit, reads));
    }
    let begun = Instant::now();
    while !flying.is_empty() {
        let (itt, outcome) = ended
            .session
            .next_outcome()
            .await
            .map_err(|why| format!("the session is lost: {why}"))?;
        let outcome = outcome.map_err(|why| why.to_string())?;
        let Some((unit, reads)) = flying.remove(&itt) else {
            continue;
        };
        ended.slowest = ended.slowest.max(begun.elapsed());
        good.fetch_add(u64::from(outcome.is_good()), Ordering::Relaxed);
        settle(ended, unit, reads, turn + 1, &outcome);
    }
    Ok(())
}

fn settle(ended: &mut Ended, unit: u64, reads: bool, generation: u64, outcome: &Outcome) {
    match (outcome.is_good(), reads) {
        (true, true) => {
            ended.reads += 1;
            ended
                .errors
                .extend(ended.disk.check(unit, &outcome.data).err());
        }
        (true, false) => {
            ended.writes += 1;
            ended.disk.acknowledged(unit, generation);
        }
        (false, reads) => {
            if !reads {
                ended.disk.unanswered(unit, generation);
            }
            match outcome.status {
                Outcome::BUSY => ended.busy += 1,
                _ => ended.errors.push(format!(
                    "{} of unit {unit}: {outcome}",
                    if reads { "read" } else { "write" }
                )),
            }
        }
    }
}

/// What is on the disk and cannot be.
async fn read_back(session: &mut Session, disk: &Disk) -> Result<Vec<String>, String> {
    let mut errors = Vec::new();
    for unit in 0..disk.units() {
        let outcome = session
            .read(Lun(0), lba(unit), UNIT_BLOCKS)
            .await
            .map_err(|why| format!("the session is lost: {why}"))?;
        match outcome.is_good() {
            true => errors.extend(disk.check(unit, &outcome.data).err()),
            false => errors.push(format!("read back of unit {unit}: {outcome}")),
        }
    }
    Ok(errors)
}

fn lba(unit: u64) -> u32 {
    unit as u32 * u32::from(UNIT_BLOCKS)
}
