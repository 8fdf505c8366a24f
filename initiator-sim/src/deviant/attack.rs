//! Sending it: many connections, no answer required, everything bounded.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use iscsi::pdu::Response;
use iscsi::{Framer, Itt, Serial, Tsih, Ttt};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::generate::{Context, Generator, Kind};
use crate::machine::{Header, LoginOptions};
use crate::session::{LoginError, Session, SessionError};

/// How long a target may refuse to take or to close before that is counted and left.
const STALL_MAX: Duration = Duration::from_secs(1);
/// How long a target may be out of reach before the attack is over.
const ABSENT_MAX: Duration = Duration::from_secs(10);
/// How long the target may think about a batch before the next: enough for most to be answered,
/// so that tags of R2Ts are heard and a closed connection is not talked to.
const THINK_MAX: Duration = Duration::from_millis(2);
/// Name hostile connections use, so that they reinstate no honest session.
const INITIATOR: &str = "iqn.2026-11.org.glint:hostile";

/// An attack to make. It destroys what is on the target.
#[derive(Debug, Clone)]
pub struct HostilePlan {
    /// The portal.
    pub addr: SocketAddr,
    /// The target; the first one discovered when absent.
    pub target: Option<String>,
    /// PDUs altogether.
    pub pdus: u64,
    /// Connections the PDUs are spread over. One that ends is made again for the rest of its part.
    pub connections: u32,
    /// One in this many connections logs in first.
    pub logged_in_every: u32,
    /// Connections at a time.
    pub parallel: usize,
    /// The same seed draws the same.
    pub seed: u64,
}

impl HostilePlan {
    /// 100,000 PDUs over 200 connections, every fourth after login.
    pub fn new(addr: SocketAddr, seed: u64) -> Self {
        Self {
            addr,
            target: None,
            pdus: 100_000,
            connections: 200,
            logged_in_every: 4,
            parallel: 8,
            seed,
        }
    }
}

/// The attack could not go on.
#[derive(Debug, thiserror::Error)]
pub enum HostileError {
    /// Nothing listens any more, or it never did.
    #[error("the target is out of reach: {0}")]
    Unreachable(#[from] std::io::Error),
    /// Honest logins fail for a long time.
    #[error("an honest login fails: {0}")]
    Login(#[from] Box<LoginError>),
    /// Discovery fails.
    #[error("discovery: {0}")]
    Discovery(#[from] SessionError),
    /// Discovery names no target.
    #[error("the portal has no target")]
    NoTarget,
}

/// What was sent and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Structurally valid PDUs sent.
    pub valid: u64,
    /// Named violations sent.
    pub violations: u64,
    /// Mutated PDUs sent.
    pub mutated: u64,
    /// PDUs sent over connections that were logged in.
    pub logged_in: u64,
    /// Everything sent, by opcode or violation.
    pub names: BTreeMap<&'static str, u64>,
    /// TCP connections made.
    pub connections: u64,
    /// Honest logins made on the way.
    pub logins: u64,
    /// Connections the target closed before we did.
    pub closed_by_target: u64,
    /// Connections that took no more bytes for a second.
    pub stalled: u64,
    /// Connections still open a second after our FIN.
    pub lingering: u64,
    /// Bytes the target sent.
    pub bytes_back: u64,
}

impl Summary {
    /// PDUs sent.
    pub fn sent(&self) -> u64 {
        self.valid + self.violations + self.mutated
    }

    fn add(&mut self, other: &Self) {
        self.valid += other.valid;
        self.violations += other.violations;
        self.mutated += other.mutated;
        self.logged_in += other.logged_in;
        for (name, count) in &other.names {
            *self.names.entry(name).or_default() += count;
        }
        self.connections += other.connections;
        self.logins += other.logins;
        self.closed_by_target += other.closed_by_target;
        self.stalled += other.stalled;
        self.lingering += other.lingering;
        self.bytes_back += other.bytes_back;
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} PDUs sent: {} valid, {} violations, {} mutated; {} of them after login",
            self.sent(),
            self.valid,
            self.violations,
            self.mutated,
            self.logged_in
        )?;
        writeln!(
            f,
            "{} connections, {} honest logins; {} closed by the target, {} stalled, {} lingering",
            self.connections, self.logins, self.closed_by_target, self.stalled, self.lingering
        )?;
        write!(f, "{} bytes came back", self.bytes_back)?;
        for (name, count) in &self.names {
            write!(f, "\n  {count:>8}  {name}")?;
        }
        Ok(())
    }
}

/// Carry the attack out. At its end an honest login is made, so `Ok` means the target lives.
pub async fn attack(plan: &HostilePlan) -> Result<Summary, HostileError> {
    let target = match &plan.target {
        Some(target) => target.clone(),
        None => discover(plan.addr).await?,
    };
    let places = Arc::new(Semaphore::new(plan.parallel.max(1)));
    let mut lanes = JoinSet::new();
    for number in 0..plan.connections {
        let share = plan.pdus / u64::from(plan.connections)
            + u64::from(u64::from(number) < plan.pdus % u64::from(plan.connections));
        let lane = Lane {
            addr: plan.addr,
            target: target.clone(),
            number,
            log_in: plan.logged_in_every > 0 && number.is_multiple_of(plan.logged_in_every),
            generator: Generator::new(plan.seed, number),
            left: share,
            summary: Summary::default(),
        };
        let places = places.clone();
        lanes.spawn(async move {
            let _place = places
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            lane.run().await
        });
    }
    let mut summary = Summary::default();
    while let Some(lane) = lanes.join_next().await {
        summary.add(&lane.expect("a lane does not panic")?);
    }
    honest(plan.addr, &LoginOptions::new(&target).initiator(INITIATOR)).await?;
    Ok(summary)
}

async fn discover(addr: SocketAddr) -> Result<String, HostileError> {
    let mut session = honest(addr, &LoginOptions::discovery()).await?;
    let targets = session.send_targets("All").await?;
    targets
        .into_iter()
        .next()
        .map(|target| target.name)
        .ok_or(HostileError::NoTarget)
}

/// An honest login, asked for again while the target is busy with what was sent before.
async fn honest(addr: SocketAddr, options: &LoginOptions) -> Result<Session, HostileError> {
    let deadline = Instant::now() + ABSENT_MAX;
    loop {
        match Session::login(addr, options).await {
            Ok(session) => return Ok(session),
            Err(error) if Instant::now() >= deadline => return Err(Box::new(error).into()),
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

/// One of the planned connections, made again as often as it ends.
struct Lane {
    addr: SocketAddr,
    target: String,
    number: u32,
    log_in: bool,
    generator: Generator,
    left: u64,
    summary: Summary,
}

/// How a write went.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Open,
    Closed,
    Stalled,
}

impl Lane {
    async fn run(mut self) -> Result<Summary, HostileError> {
        while self.left > 0 {
            let (mut line, mut context) = self.open().await?;
            self.summary.connections += 1;
            let fate = self.speak(&mut line, &mut context).await;
            match fate {
                Fate::Closed => self.summary.closed_by_target += 1,
                Fate::Stalled => self.summary.stalled += 1,
                Fate::Open => self.leave(&mut line, &mut context).await,
            }
            self.summary.bytes_back += line.heard;
        }
        Ok(self.summary)
    }

    async fn open(&mut self) -> Result<(Line, Context), HostileError> {
        // The qualifier of the ISID is 16 bits; lanes beyond share sessions, which is hostile too.
        let options = LoginOptions::new(&self.target)
            .initiator(INITIATOR)
            .qualifier((self.number & 0xffff) as u16);
        let mut context = Context {
            logged_in: false,
            initiator: INITIATOR.to_owned(),
            target: self.target.clone(),
            isid: options.isid,
            tsih: Tsih(0),
            cmd_sn: options.cmd_sn,
            exp_stat_sn: Serial(0),
            ttt: None,
            r2t_itt: None,
            max_data_segment: 8192,
        };
        if !self.log_in {
            return Ok((Line::connect(self.addr).await?, context));
        }
        let session = honest(self.addr, &options).await?;
        self.summary.logins += 1;
        context.logged_in = true;
        context.tsih = session.tsih();
        let parts = session.into_parts()?;
        context.cmd_sn = parts.client.numbering.cmd_sn;
        context.exp_stat_sn = parts.client.numbering.exp_stat_sn;
        context.max_data_segment = parts.client.params().peer_max_recv_data_segment;
        let stream = TcpStream::from_std(parts.stream)?;
        Ok((
            Line {
                stream,
                framer: Some(parts.framer),
                heard: 0,
            },
            context,
        ))
    }

    /// Send batch after batch until the lane's part is done, the connection is out of step, or
    /// the target has had enough.
    async fn speak(&mut self, line: &mut Line, context: &mut Context) -> Fate {
        let mut bytes = Vec::new();
        while self.left > 0 {
            bytes.clear();
            let mut in_step = true;
            for _ in 0..self.generator.batch(context) {
                if self.left == 0 || !in_step {
                    break;
                }
                let sample = self.generator.sample(context);
                self.count(sample.kind, sample.name);
                in_step = sample.in_step;
                bytes.extend_from_slice(&sample.bytes);
            }
            match line.write(&bytes, context).await {
                Fate::Open if in_step => {}
                fate => return fate,
            }
        }
        Fate::Open
    }

    fn count(&mut self, kind: Kind, name: &'static str) {
        self.left -= 1;
        *match kind {
            Kind::Valid => &mut self.summary.valid,
            Kind::Violation => &mut self.summary.violations,
            Kind::Mutated => &mut self.summary.mutated,
        } += 1;
        self.summary.logged_in += u64::from(self.log_in);
        *self.summary.names.entry(name).or_default() += 1;
    }

    /// FIN, so that the target reads what is on its way, then its own.
    async fn leave(&mut self, line: &mut Line, context: &mut Context) {
        // A socket that cannot be shut down is closed already.
        let _ = socket2::SockRef::from(&line.stream).shutdown(std::net::Shutdown::Write);
        if timeout(STALL_MAX, line.drain_to_end(context))
            .await
            .is_err()
        {
            self.summary.lingering += 1;
        }
    }
}

/// A socket that listens with half an ear: counters and tags, as long as the target keeps step.
struct Line {
    stream: TcpStream,
    framer: Option<Framer<Vec<u8>>>,
    heard: u64,
}

impl Line {
    async fn connect(addr: SocketAddr) -> Result<Self, HostileError> {
        let deadline = Instant::now() + ABSENT_MAX;
        let stream = loop {
            match timeout(STALL_MAX, TcpStream::connect(addr)).await {
                Ok(Ok(stream)) => break stream,
                Ok(Err(error)) if Instant::now() >= deadline => return Err(error.into()),
                Err(_) if Instant::now() >= deadline => {
                    return Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
                }
                _ => sleep(Duration::from_millis(20)).await,
            }
        };
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            framer: Some(Framer::new(0x00ff_ffff, 64 * 1024)),
            heard: 0,
        })
    }

    /// Send all of it, reading meanwhile and for a moment after.
    async fn write(&mut self, mut bytes: &[u8], context: &mut Context) -> Fate {
        let deadline = Instant::now() + STALL_MAX;
        while !bytes.is_empty() {
            let interest = Interest::READABLE | Interest::WRITABLE;
            let ready = match timeout_at(deadline, self.stream.ready(interest)).await {
                Err(_) => return Fate::Stalled,
                Ok(Err(_)) => return Fate::Closed,
                Ok(Ok(ready)) => ready,
            };
            if ready.is_readable() && !self.drain(context) {
                return Fate::Closed;
            }
            if ready.is_writable() {
                match self.stream.try_write(bytes) {
                    Ok(sent) => bytes = &bytes[sent..],
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => return Fate::Closed,
                }
            }
        }
        // No answer in time is an answer too.
        let _ = timeout(THINK_MAX, self.stream.readable()).await;
        match self.drain(context) {
            true => Fate::Open,
            false => Fate::Closed,
        }
    }

    async fn drain_to_end(&mut self, context: &mut Context) {
        while self.stream.readable().await.is_ok() && self.drain(context) {}
    }

    /// Read what is there; false when the target has closed.
    fn drain(&mut self, context: &mut Context) -> bool {
        let mut scratch = [0; 16 * 1024];
        loop {
            match self.stream.try_read(&mut scratch) {
                Ok(0) => return false,
                Ok(len) => {
                    self.heard += len as u64;
                    self.listen(&scratch[..len], context);
                }
                Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
            }
        }
    }

    fn listen(&mut self, mut bytes: &[u8], context: &mut Context) {
        while let Some(framer) = &mut self.framer
            && !bytes.is_empty()
        {
            let space = framer.space();
            let len = bytes.len().min(space.len());
            space[..len].copy_from_slice(&bytes[..len]);
            framer.filled(len);
            bytes = &bytes[len..];
            loop {
                match framer.next(|_| None) {
                    Ok(Some(frame)) => hear(&frame.bhs, context),
                    Ok(None) => break,
                    Err(_) => {
                        self.framer = None;
                        return;
                    }
                }
            }
        }
    }
}

/// Keep the numbers that make the next PDU hit.
fn hear(bhs: &iscsi::Bhs, context: &mut Context) {
    let header = Header::of(bhs);
    match Response::decode(bhs) {
        Ok(Response::R2t(pdu)) => {
            context.ttt = Some(pdu.ttt);
            context.r2t_itt = Some(pdu.itt);
        }
        Ok(Response::NopIn(pdu)) if pdu.itt == Itt::RESERVED => {
            context.ttt = Some(pdu.ttt).filter(|ttt| *ttt != Ttt::RESERVED);
        }
        Ok(Response::DataIn(pdu)) if !pdu.has_status => {}
        Ok(_) => context.exp_stat_sn = header.stat_sn.next(),
        Err(_) => {}
    }
}
