//! The subcommands.

use std::error::Error;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use initiator_sim::bench::{self, Access, EchoPlan, Plan};
use initiator_sim::deviant::{self, HostilePlan};
use initiator_sim::{IscsiUrl, Outcome, Session};
use iscsi::Lun;

type Done = Result<ExitCode, Box<dyn Error>>;

/// An iSCSI initiator for trying, loading and attacking targets.
#[derive(Parser)]
#[command(
    version,
    after_help = "A URL is iscsi://[user%secret@]host[:port]/target-name/lun"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List the targets of a portal and their logical units.
    Ls {
        /// iscsi://host:port
        url: IscsiUrl,
    },
    /// Ask a logical unit who it is.
    Inq {
        /// The logical unit.
        url: IscsiUrl,
        /// A vital product data page in hexadecimal, for example 83.
        #[arg(long, value_parser = hex_byte)]
        page: Option<u8>,
    },
    /// Read blocks to a file or to standard output.
    Read {
        /// The logical unit.
        url: IscsiUrl,
        /// First block.
        #[arg(long, default_value_t = 0)]
        lba: u64,
        /// How many blocks; to the end when not given.
        #[arg(long)]
        blocks: Option<u64>,
        /// Where to.
        #[arg(short, long)]
        output: Option<PathBuf>,
    },
    /// Write a file or standard input; the last block is filled up with zeros.
    Write {
        /// The logical unit.
        url: IscsiUrl,
        /// First block.
        #[arg(long, default_value_t = 0)]
        lba: u64,
        /// Where from.
        #[arg(short, long)]
        input: Option<PathBuf>,
    },
    /// Load a logical unit and report speed and cost. Writing destroys its contents.
    Bench(BenchArgs),
    /// Measure a batched TCP echo of the same bytes: the floor under a target's cost.
    Echo {
        /// Requests in flight.
        #[arg(long, default_value_t = 32)]
        depth: u16,
        /// Measured time.
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Answer for `echo`: prints its port, serves one connection.
    EchoServer,
    /// Send what no initiator should. Destroys the contents of the target.
    Hostile(HostileArgs),
}

#[derive(Args)]
struct BenchArgs {
    /// The logical unit.
    url: IscsiUrl,
    /// Reads among the commands, in percent.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u8).range(0..=100))]
    read: u8,
    /// Order of the addresses.
    #[arg(long, value_enum, default_value_t = Order::Random)]
    order: Order,
    /// Bytes per command.
    #[arg(long, default_value_t = 4096)]
    block_size: u32,
    /// Commands in flight per session.
    #[arg(long, default_value_t = 32)]
    depth: u16,
    /// Sessions.
    #[arg(long, default_value_t = 1)]
    sessions: u16,
    /// Measured time.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Time before anything is counted.
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// Stamp what is written and compare what is read.
    #[arg(long)]
    verify: bool,
    /// Force Unit Access on every command.
    #[arg(long)]
    fua: bool,
    /// Use only that many bytes of the disk.
    #[arg(long)]
    region: Option<u64>,
    /// Seed of addresses and mix.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Report the CPU time of this process per I/O.
    #[arg(long)]
    server_pid: Option<u32>,
    /// Header digest.
    #[arg(long)]
    header_digest: bool,
    /// Data digest.
    #[arg(long)]
    data_digest: bool,
    /// Measure the TCP echo beside it.
    #[arg(long)]
    echo: bool,
    /// One JSON object per measurement.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Order {
    Random,
    Sequential,
}

#[derive(Args)]
struct HostileArgs {
    /// The portal.
    #[arg(long)]
    addr: SocketAddr,
    /// The target to log in to; the first one the portal names when not given.
    #[arg(long)]
    target: Option<String>,
    /// PDUs to send altogether.
    #[arg(long, default_value_t = 100_000)]
    pdus: u64,
    /// Connections they are spread over; a connection the target closes is made again.
    #[arg(long, default_value_t = 200)]
    connections: u32,
    /// Connections open at a time.
    #[arg(long, default_value_t = 8)]
    parallel: usize,
    /// The same seed sends the same.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Run a subcommand.
pub(crate) fn run(cli: Cli) -> Done {
    if let Verb::EchoServer = cli.verb {
        bench::echo_server(std::io::stdout())?;
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match cli.verb {
            Verb::Ls { url } => ls(&url).await,
            Verb::Inq { url, page } => inq(&url, page).await,
            Verb::Read {
                url,
                lba,
                blocks,
                output,
            } => read(&url, lba, blocks, output).await,
            Verb::Write { url, lba, input } => write(&url, lba, input).await,
            Verb::Bench(args) => load(args).await,
            Verb::Echo {
                depth,
                seconds,
                json,
            } => echo(depth, seconds, json),
            Verb::EchoServer => Ok(ExitCode::SUCCESS),
            Verb::Hostile(args) => hostile(args).await,
        }
    })
}

fn hex_byte(text: &str) -> Result<u8, std::num::ParseIntError> {
    u8::from_str_radix(text, 16)
}

async fn open(url: &IscsiUrl) -> Result<(Session, Lun), Box<dyn Error>> {
    let mut session = Session::login(url.addr()?, &url.login_options()?).await?;
    let lun = url.lun();
    session.clear_attention(lun).await?;
    Ok((session, lun))
}

async fn ls(url: &IscsiUrl) -> Done {
    let mut discovery = Session::login(url.addr()?, &url.discovery_options()).await?;
    let targets = discovery.send_targets("All").await?;
    discovery.logout().await?;
    for target in targets {
        println!("{}  {}", target.name, target.addresses.join(" "));
        let url = IscsiUrl {
            target: Some(target.name),
            ..url.clone()
        };
        match units(&url).await {
            Ok(lines) => lines.iter().for_each(|line| println!("  {line}")),
            Err(error) => println!("  {error}"),
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn units(url: &IscsiUrl) -> Result<Vec<String>, Box<dyn Error>> {
    let mut session = Session::login(url.addr()?, &url.login_options()?).await?;
    let mut lines = Vec::new();
    for lun in session.report_luns().await? {
        let number = lun
            .number()
            .map_or(format!("{:#018x}", lun.0), |number| number.to_string());
        let inquiry = session.inquiry(lun, None).await?.good()?;
        let kind = inquiry.first().map_or(0x1f, |byte| byte & 0x1f);
        let size = match kind {
            0 => {
                session.clear_attention(lun).await?;
                let capacity = session.read_capacity(lun).await?;
                format!(
                    "{} blocks of {} bytes",
                    capacity.blocks, capacity.block_size
                )
            }
            _ => format!("device type {kind:#04x}"),
        };
        lines.push(format!("LUN {number}  {}  {size}", names(&inquiry)));
    }
    session.logout().await?;
    Ok(lines)
}

/// Vendor, product and revision of standard INQUIRY data (SPC-4 §6.4.2).
fn names(inquiry: &[u8]) -> String {
    let text = |from: usize, to: usize| {
        String::from_utf8_lossy(inquiry.get(from..to).unwrap_or(&[]))
            .trim()
            .to_owned()
    };
    format!("{} {} {}", text(8, 16), text(16, 32), text(32, 36))
}

async fn inq(url: &IscsiUrl, page: Option<u8>) -> Done {
    let (mut session, lun) = open(url).await?;
    let outcome = session.inquiry(lun, page).await?;
    if !outcome.is_good() {
        println!("{outcome}");
        return Ok(ExitCode::from(1));
    }
    if page.is_none() {
        println!("{}", names(&outcome.data));
    }
    for (row, bytes) in outcome.data.chunks(16).enumerate() {
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let text: String = bytes
            .iter()
            .map(|byte| {
                if byte.is_ascii_graphic() {
                    char::from(*byte)
                } else {
                    '.'
                }
            })
            .collect();
        println!("{:04x}  {:<47}  {text}", row * 16, hex.join(" "));
    }
    session.logout().await?;
    Ok(ExitCode::SUCCESS)
}

/// Bytes moved by one command of `read` and `write`.
const STRIDE_BYTES: usize = 1 << 20;

async fn read(url: &IscsiUrl, lba: u64, blocks: Option<u64>, output: Option<PathBuf>) -> Done {
    let (mut session, lun) = open(url).await?;
    let capacity = session.read_capacity(lun).await?;
    let mut sink: Box<dyn Write> = match output {
        Some(path) => Box::new(std::fs::File::create(path)?),
        None => Box::new(std::io::stdout()),
    };
    let mut left = blocks.unwrap_or(capacity.blocks.saturating_sub(lba));
    let mut at = lba;
    while left > 0 {
        let stride = left
            .min(STRIDE_BYTES as u64 / u64::from(capacity.block_size))
            .max(1);
        let data = session
            .read16(lun, at, u32::try_from(stride)?)
            .await?
            .good()?;
        sink.write_all(&data)?;
        at += stride;
        left -= stride;
    }
    sink.flush()?;
    session.logout().await?;
    Ok(ExitCode::SUCCESS)
}

async fn write(url: &IscsiUrl, lba: u64, input: Option<PathBuf>) -> Done {
    let (mut session, lun) = open(url).await?;
    let block = session.read_capacity(lun).await?.block_size as usize;
    let mut source: Box<dyn Read> = match input {
        Some(path) => Box::new(std::fs::File::open(path)?),
        None => Box::new(std::io::stdin()),
    };
    let mut at = lba;
    loop {
        let mut data = Vec::new();
        source
            .by_ref()
            .take(STRIDE_BYTES.next_multiple_of(block) as u64)
            .read_to_end(&mut data)?;
        if data.is_empty() {
            break;
        }
        data.resize(data.len().next_multiple_of(block), 0);
        session.write16(lun, at, &data).await?.good()?;
        at += (data.len() / block) as u64;
    }
    finish_write(&mut session, lun).await?;
    session.logout().await?;
    Ok(ExitCode::SUCCESS)
}

/// What was written is durable, or the disk has no cache to say it of.
async fn finish_write(session: &mut Session, lun: Lun) -> Result<(), Box<dyn Error>> {
    let sync = session.sync(lun).await?;
    let unsupported = sync
        .sense
        .is_some_and(|sense| (sense.key, sense.asc) == (5, 0x20));
    match sync.status {
        Outcome::CHECK_CONDITION if unsupported => Ok(()),
        _ => Ok(sync.good().map(drop)?),
    }
}

async fn load(args: BenchArgs) -> Done {
    let options = args
        .url
        .login_options()?
        .digests(args.header_digest, args.data_digest);
    let plan = Plan {
        sessions: args.sessions,
        depth: args.depth,
        block_bytes: args.block_size,
        access: match args.order {
            Order::Random => Access::Random,
            Order::Sequential => Access::Sequential,
        },
        read_percent: args.read,
        warm_up: Duration::try_from_secs_f64(args.warm_up)?,
        duration: Duration::try_from_secs_f64(args.seconds)?,
        verify: args.verify,
        fua: args.fua,
        region_bytes: args.region,
        seed: args.seed,
        server_pid: args.server_pid,
        ..Plan::new(args.url.addr()?, options, args.url.lun())
    };
    let report = bench::run(&plan).await?;
    if args.json {
        println!("{}", report.to_json());
    } else {
        println!("{report}");
    }
    if args.echo {
        echo(args.depth, args.seconds, args.json)?;
    }
    let clean = report.mismatches == 0 && report.retries == 0;
    Ok(if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

fn echo(depth: u16, seconds: f64, json: bool) -> Done {
    let plan = EchoPlan {
        program: std::env::current_exe()?,
        depth,
        warm_up: Duration::from_millis(500),
        duration: Duration::try_from_secs_f64(seconds)?,
    };
    let report = bench::echo(&plan)?;
    if json {
        println!("{}", report.to_json());
    } else {
        println!("{report}");
    }
    Ok(ExitCode::SUCCESS)
}

async fn hostile(args: HostileArgs) -> Done {
    let mut plan = HostilePlan::new(args.addr, args.seed);
    plan.target = args.target;
    plan.pdus = args.pdus;
    plan.connections = args.connections;
    plan.parallel = args.parallel;
    println!("{}", deviant::attack(&plan).await?);
    Ok(ExitCode::SUCCESS)
}
