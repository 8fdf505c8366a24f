//! The floor under any target's cost: the same bytes in the same batches over TCP, and nothing
//! else done. A request of 48 bytes is answered with 48 + 4096.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::{BenchError, CpuClock, Report};

const REQUEST_BYTES: usize = 48;
const DATA_BYTES: u32 = 4096;
const ANSWER_BYTES: usize = REQUEST_BYTES + DATA_BYTES as usize;
/// Requests answered by one write at most.
const BATCH_MAX: usize = 256;

/// An echo measurement.
#[derive(Debug, Clone)]
pub struct EchoPlan {
    /// A program whose `echo-server` subcommand is [`echo_server`]: this crate's own binary.
    pub program: std::path::PathBuf,
    /// Requests in flight.
    pub depth: u16,
    /// Time before anything is counted.
    pub warm_up: Duration,
    /// Time that is counted.
    pub duration: Duration,
}

/// Serve one connection: print the port on a line of its own, then answer until the client
/// closes.
pub fn echo_server(mut say: impl Write) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    writeln!(say, "{}", listener.local_addr()?.port())?;
    say.flush()?;
    let (mut stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    let mut requests = vec![0; 256 * 1024];
    let answers = vec![0x5a; BATCH_MAX * ANSWER_BYTES];
    let mut rest = 0;
    loop {
        let len = stream.read(&mut requests)?;
        if len == 0 {
            return Ok(());
        }
        let mut due = (rest + len) / REQUEST_BYTES;
        rest = (rest + len) % REQUEST_BYTES;
        while due > 0 {
            let batch = due.min(BATCH_MAX);
            stream.write_all(&answers[..batch * ANSWER_BYTES])?;
            due -= batch;
        }
    }
}

/// Start the server as a child process and measure it.
pub fn echo(plan: &EchoPlan) -> Result<Report, BenchError> {
    let mut child = Command::new(&plan.program)
        .arg("echo-server")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let result = port_of(&mut child).and_then(|port| measure(plan, port, child.id()));
    // The server ends by itself when the connection closes; a failed one is not waited for.
    if result.is_err() {
        let _ = child.kill();
    }
    child.wait()?;
    result
}

fn port_of(child: &mut std::process::Child) -> Result<u16, BenchError> {
    let mut line = String::new();
    if let Some(stdout) = child.stdout.as_mut() {
        io::BufRead::read_line(&mut io::BufReader::new(stdout), &mut line)?;
    }
    line.trim()
        .parse()
        .map_err(|_| BenchError::Plan("the echo server names no port"))
}

fn measure(plan: &EchoPlan, port: u16, pid: u32) -> Result<Report, BenchError> {
    let mut client = Client::connect(port, plan.depth)?;
    client.run(Instant::now() + plan.warm_up)?;
    let (own, server) = (CpuClock::own(), CpuClock::of(pid));
    let before = (own.now()?, server.now()?);
    let began = Instant::now();
    client.latency.reset();
    client.run(began + plan.duration)?;
    let elapsed = began.elapsed();
    let after = (own.now()?, server.now()?);
    let load = format!(
        "echo {REQUEST_BYTES} B -> {ANSWER_BYTES} B, depth {}",
        plan.depth
    );
    let counts = (client.latency.len(), 0);
    let report = Report::of_counts(load, counts, DATA_BYTES, elapsed, &client.latency);
    Ok(report.with_cpu(after.0 - before.0, Some(after.1 - before.1)))
}

struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    requests: Vec<u8>,
    /// When each request in flight was sent, oldest first.
    sent: std::collections::VecDeque<Instant>,
    depth: usize,
    rest: usize,
    latency: Histogram<u64>,
}

impl Client {
    fn connect(port: u16, depth: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let depth = usize::from(depth);
        Ok(Self {
            stream,
            buffer: vec![0; 256 * 1024],
            requests: vec![0x01; depth * REQUEST_BYTES],
            sent: std::collections::VecDeque::with_capacity(depth),
            depth,
            rest: 0,
            latency: super::Tally::new().latency,
        })
    }

    fn run(&mut self, until: Instant) -> io::Result<()> {
        let mut now = Instant::now();
        while now < until {
            let new = self.depth - self.sent.len();
            self.stream
                .write_all(&self.requests[..new * REQUEST_BYTES])?;
            self.sent.resize(self.depth, now);
            let len = self.stream.read(&mut self.buffer)?;
            if len == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            now = Instant::now();
            let answered = (self.rest + len) / ANSWER_BYTES;
            self.rest = (self.rest + len) % ANSWER_BYTES;
            for begun in self.sent.drain(..answered) {
                let nanos = u64::try_from((now - begun).as_nanos()).unwrap_or(u64::MAX);
                self.latency.saturating_record(nanos);
            }
        }
        Ok(())
    }
}
