//! One round: start, work, cut, start again, read all of it, judge.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use initiator_sim::{LoginOptions, Session};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinSet;

use super::hand::{Hand, LUN, Shared};
use super::load::{Load, Role, SECTORS};
use super::oracle::{Complaint, Findings, Oracle};
use super::planted::Bug;
use super::stamp::SECTOR;
use super::trouble::Trouble;
use crate::dut::DutError;
use crate::fake::FakeVolume;
use crate::server::{Server, TARGET};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

const IMAGE: &str = "disk.img";

/// How long commands wait for storage: the least there is.
const STORAGE_TIMEOUT: &str = "1s";

/// Who works: two who write, one who flushes what they wrote.
const ROLES: [Role; 3] = [Role::Writer, Role::Writer, Role::Keeper];

/// From which a load that gets no answers is cut anyway.
const ROUND_LIMIT: Duration = Duration::from_secs(10);

/// How long others have for what hangs, once it is overdue, and before it lands.
const IN_LIMBO: Duration = Duration::from_millis(500);

/// Between two looks at how far the load is.
const LOOK: Duration = Duration::from_millis(1);

/// Sectors read at a time afterwards: 128 KiB.
const READ: u64 = 256;

/// What GOOD means for a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Cache {
    /// It is durable.
    WriteThrough,
    /// It is durable after a flush, or with FUA.
    WriteBack,
}

impl Cache {
    /// Both.
    pub const ALL: [Self; 2] = [Self::WriteThrough, Self::WriteBack];
}

impl fmt::Display for Cache {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::WriteThrough => "write-through",
            Self::WriteBack => "write-back",
        })
    }
}

/// A round to be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Round {
    /// Draws all that can be drawn.
    pub seed: u64,
    /// The mode.
    pub cache: Cache,
}

/// A round that was played.
#[derive(Debug)]
pub struct Played {
    /// Which.
    pub round: Round,
    /// What is wrong; nothing, if all is well.
    pub complaints: Vec<Complaint>,
    /// What was judged.
    pub findings: Findings,
    /// Commands answered before the cut.
    pub answered: u64,
    /// Commands in flight at the cut.
    pub in_flight: usize,
    /// All of it.
    pub took: Duration,
}

/// What the seed draws about the round as a whole.
struct Drawn {
    settings: String,
    plan: String,
    trouble: Trouble,
    /// Sectors in a logical block.
    block: u64,
    /// Answers before the cut, or before something hangs.
    answers: u64,
    /// From what hangs is let go to the cut.
    after: Duration,
}

impl Drawn {
    fn of(seed: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let trouble = Trouble::of(seed);
        let (lost, torn) = [(100, 0), (60, 40), (40, 30)][dice.random_range(0..3)];
        let replica = if dice.random_bool(0.25) { 3 } else { 1 };
        Self {
            settings: format!("seed = {seed}\nreplica = {replica}\nlost = {lost}\ntorn = {torn}\n"),
            plan: trouble.plan(&mut dice),
            trouble,
            block: if dice.random_bool(0.25) { 8 } else { 1 },
            answers: dice.random_range(120..600),
            after: Duration::from_millis(dice.random_range(50..250)),
        }
    }
}

impl Round {
    /// Plays it against that `glintd`, with that bug if it is the planted one. The error is the
    /// environment's.
    pub fn play(self, glintd: &Path, bug: Option<Bug>) -> Result<Played, DutError> {
        let began = Instant::now();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(DutError::io("start a runtime"))?;
        let drawn = Drawn::of(self.seed);
        let volume = FakeVolume::new(&drawn.settings)?;
        let start = || self.start(glintd, &volume, drawn.block, bug);
        let shared = Shared::new(self.seed, drawn.block, drawn.trouble.pace());
        let server = start()?;
        let worked = runtime.block_on(self.work(&server, &volume, &drawn, &shared));
        let in_flight = worked?;
        // The current comes back, and storage is in order again.
        volume.plan("").map_err(DutError::io("write a plan"))?;
        let mut played = Played {
            round: self,
            complaints: in_flight.1,
            findings: Findings::default(),
            answered: shared.history().answered,
            in_flight: in_flight.0,
            took: Duration::ZERO,
        };
        let rest = start().and_then(|server| runtime.block_on(read_all(&server, drawn.block)));
        let durable = std::fs::read(volume.durable(IMAGE));
        let durable = durable.map_err(DutError::io("read the brick's file"))?;
        match rest {
            Ok(rest) => self.judge(&rest, &durable, &shared, &mut played),
            Err(why) => played
                .complaints
                .push(Complaint::new(format!("it does not come back: {why}"))),
        }
        played.took = began.elapsed();
        Ok(played)
    }

    fn start(
        self,
        glintd: &Path,
        volume: &FakeVolume,
        block: u64,
        bug: Option<Bug>,
    ) -> Result<Server, DutError> {
        let store = volume.store(IMAGE, SECTORS * SECTOR as u64);
        let (cache, block) = (self.cache.to_string(), (block * SECTOR as u64).to_string());
        let arguments = [
            ["--lun", &store],
            ["--cache", &cache],
            ["--block-size", &block],
            ["--storage-timeout", STORAGE_TIMEOUT],
        ];
        Server::glintd_as(glintd, ANY, arguments.as_flattened(), |command| {
            volume.lend(command);
            if let Some(bug) = bug {
                bug.plant(command);
            }
        })
    }

    /// Works until the cut. Comes back with the commands that were in flight, and with what no cut
    /// explains.
    async fn work(
        self,
        server: &Server,
        volume: &FakeVolume,
        drawn: &Drawn,
        shared: &Arc<Shared>,
    ) -> Result<(usize, Vec<Complaint>), DutError> {
        let plan = |rules: &str| volume.plan(rules).map_err(DutError::io("write a plan"));
        let mut hands = JoinSet::new();
        let mut sessions = Vec::new();
        for number in 1..=ROLES.len() as u16 {
            sessions.push(login(server, number, drawn.block).await?);
        }
        plan(&drawn.plan)?;
        for ((number, role), session) in (1..).zip(ROLES).zip(sessions) {
            let load = Load::new(self.seed, number, role, drawn.block);
            hands.spawn(Hand::new(session, number, load, Arc::clone(shared)).work());
        }
        let limit = Instant::now() + ROUND_LIMIT;
        let wait = async |done: &dyn Fn() -> bool| {
            while !done() && Instant::now() < limit {
                tokio::time::sleep(LOOK).await;
            }
        };
        wait(&|| shared.history().answered >= drawn.answers).await;
        if let Some(hang) = drawn.trouble.hang() {
            plan(&hang)?;
            let busy = shared.history().busy;
            wait(&|| shared.history().busy > busy).await;
            // They land while others have been at their blocks again, or have tried to.
            tokio::time::sleep(IN_LIMBO).await;
            plan(&drawn.plan)?;
            tokio::time::sleep(drawn.after).await;
        }
        let death = server.death();
        let in_flight = shared.history().open();
        server.kill().map_err(DutError::io("kill glintd"))?;
        let mut complaints = Vec::new();
        complaints.extend(death.map(|death| Complaint::new(format!("before the cut, {death}"))));
        while let Some(ended) = hands.join_next().await {
            let ended = ended.expect("a session at work does not panic");
            let complaint = |why| Complaint::new(format!("before the cut: {why}"));
            complaints.extend(ended.err().map(complaint));
        }
        Ok((in_flight, complaints))
    }

    fn judge(self, rest: &[u8], durable: &[u8], shared: &Shared, played: &mut Played) {
        let history = shared.history();
        let oracle = Oracle::new(&history, SECTORS, self.cache == Cache::WriteThrough);
        let findings = &mut played.findings;
        let complaints = &mut played.complaints;
        complaints.extend(oracle.judge_life(findings));
        complaints.extend(oracle.judge_rest(&shared.held(0, rest), findings));
        if rest != durable {
            let why = "what is read after the cut is not what is on the brick";
            complaints.push(Complaint::new(why.to_owned()));
        }
    }
}

async fn login(server: &Server, number: u16, block: u64) -> Result<Session, DutError> {
    let options = LoginOptions::new(TARGET).qualifier(number);
    let failed = |why: String| DutError::Probe {
        what: "glintd".to_owned(),
        why,
    };
    let session = Session::login(server.portal, &options).await;
    let mut session = session.map_err(|why| failed(why.to_string()))?;
    session.block_size = block as u32 * SECTOR as u32;
    let clear = session.clear_attention(LUN).await;
    clear.map_err(|why| failed(why.to_string()))?;
    Ok(session)
}

async fn read_all(server: &Server, block: u64) -> Result<Vec<u8>, DutError> {
    let mut session = login(server, 9, block).await?;
    let mut bytes = Vec::new();
    for first in (0..SECTORS).step_by(READ as usize) {
        let read = session
            .read16(LUN, first / block, (READ / block) as u32)
            .await;
        let data = read.and_then(initiator_sim::Outcome::good);
        bytes.extend(data.map_err(|why| DutError::Probe {
            what: format!("a read of sector {first}"),
            why: why.to_string(),
        })?);
    }
    Ok(bytes)
}
