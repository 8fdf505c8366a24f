//! The program `scenarios`: arguments, what is printed, exit codes.
//!
//! Exit codes: 0 the device conforms, 1 it does not, 2 usage, 3 the environment is to blame.
#![allow(clippy::print_stderr)] // a program talks to its caller

use std::fmt::Write as _;
use std::fs;
use std::io::{self, IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand, ValueEnum};
use initiator_sim::IscsiUrl;

use super::prove::{ProveArguments, prove};
use super::simulate::{SimulateArguments, simulate};
use super::{Device, Folder, Played, matches, run, table};
use crate::binaries;
use crate::catalogue;
use crate::contest;
use crate::contest::gateway::{self, Gateway};
use crate::contest::protocol::{self, Contest};
use crate::dut::{Dut, ExternalDut, InProcessDut, ProcessDut, Store, TgtDut};
use crate::record;
use crate::report::{self, Run};
use crate::scenario::Scenario;
use crate::verdict::Tally;

pub(super) const CONFORMS: u8 = 0;
pub(super) const FAILURES: u8 = 1;
pub(super) const USAGE: u8 = 2;
pub(super) const ENVIRONMENT: u8 = 3;

/// Width of a table that nobody looks at.
const PLAIN_WIDTH: usize = 200;

/// Conformance scenarios for iSCSI targets.
#[derive(Debug, Parser)]
#[command(name = "scenarios", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play scenarios against a target, by default against glintd, which is built and started.
    Run(Box<RunArguments>),
    /// List all scenarios with the requirement each one checks.
    List,
    /// Measure what protocol costs: glintd, tgt where it is installed, and a bare TCP echo, by
    /// turns; or, with --gateway, glintd and tgt on a Gluster volume. Build with --release.
    Bench(BenchArguments),
    /// Prove that glintd keeps what it promised when the power fails, and that the proof would see
    /// it if it did not.
    Prove(ProveArguments),
    /// Play worlds: targets, initiators, network and a Gluster volume in virtual time, each drawn
    /// from a seed with all that goes wrong in it; what fails is made small. Build with --release.
    Simulate(Box<SimulateArguments>),
    /// Look for bugs made on purpose in worlds: what `prove --simulate` runs.
    #[cfg(glint_planted)]
    #[command(hide = true)]
    Gate(super::gate::GateArguments),
    /// Start real Gluster in a container, run a command that finds a volume of it in
    /// GLINT_GLUSTER=SERVER/VOLUME, and remove it all.
    #[cfg(feature = "clusters")]
    Cluster {
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Run the contract suite of libgfapi on real Gluster of every release, in containers, and
    /// compare the verdicts.
    #[cfg(feature = "clusters")]
    Contract {
        /// The program: cargo build -p gluster-mock --features contract --bin gluster-contract
        program: PathBuf,
        /// Options for it, such as --filter.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
struct BenchArguments {
    /// Measure the way through glintd and through tgt to an image on this volume, which stays
    /// there. The loads are fixed.
    #[arg(long, value_name = "SERVER/VOLUME", value_parser = place)]
    #[arg(conflicts_with_all = ["depth", "block_size", "read"])]
    gateway: Option<(String, String)>,
    /// Rounds; each measures everybody once.
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: u32,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Commands in flight.
    #[arg(long, value_name = "N", default_value_t = 32)]
    depth: u16,
    /// Bytes per command.
    #[arg(long, value_name = "BYTES", default_value_t = 4096)]
    block_size: u32,
    /// Reads among the commands, in percent; the rest are writes.
    #[arg(long, value_name = "PERCENT", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u8).range(0..=100))]
    read: u8,
    /// The glintd to measure, instead of building one.
    #[arg(long, value_name = "PATH")]
    glintd: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct RunArguments {
    /// Play against a target that runs: `iscsi://[user%secret@]host[:port]/iqn.…/lun`
    #[arg(long, value_name = "URL", conflicts_with_all = ["glintd", "store", "fake", "dut"])]
    against: Option<IscsiUrl>,
    /// With --against: the LUN may be overwritten. Otherwise scenarios that write are skipped.
    #[arg(long, requires = "against")]
    destructive: bool,
    /// With --against: the initiator name to log in under.
    #[arg(long, value_name = "IQN", requires = "against")]
    initiator: Option<String>,
    /// Which device to start.
    #[arg(long, value_enum, default_value_t = Kind::Glintd)]
    dut: Kind,
    /// The glintd to start, instead of building one.
    #[arg(long, value_name = "PATH")]
    glintd: Option<PathBuf>,
    /// What the LUNs of glintd are kept in: mem, file, fake (a Gluster volume without Gluster), or
    /// gluster://SERVER/VOLUME. Default: fake, mem with --dut in-process.
    #[arg(long, value_name = "STORE")]
    store: Option<Store>,
    /// The shared object of the fake Gluster, instead of building it.
    #[arg(long, value_name = "PATH")]
    fake: Option<PathBuf>,
    /// Only scenarios whose id fits one of these: `login`, `read.*`, `*residual*`.
    #[arg(long, value_name = "GLOB", num_args = 1..)]
    only: Vec<String>,
    /// How many to play at the same time.
    #[arg(long, value_name = "N", default_value_t = jobs())]
    jobs: usize,
    /// List what would be played, and play nothing.
    #[arg(long)]
    list: bool,
    /// Where the JUnit report goes, if not build/report/junit.xml.
    #[arg(long, value_name = "PATH")]
    junit: Option<PathBuf>,
    /// Keep the capture of every scenario, not only of those that fail.
    #[arg(long)]
    keep_pcaps: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Ours, as its users have it: a process.
    Glintd,
    /// Ours, in this process: for a debugger.
    InProcess,
    /// The control target, from the Debian package tgt.
    Tgt,
}

fn jobs() -> usize {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    (2 * cores).clamp(4, 8)
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let code = match Arguments::parse().command {
        Command::List => list(&catalogue::all()),
        Command::Run(arguments) => start(&arguments),
        Command::Bench(arguments) => bench(&arguments),
        Command::Prove(arguments) => prove(&arguments),
        #[cfg(glint_planted)]
        Command::Gate(arguments) => super::gate::gate(&arguments),
        Command::Simulate(arguments) => simulate(&arguments),
        #[cfg(feature = "clusters")]
        Command::Cluster { command } => lend(&command),
        #[cfg(feature = "clusters")]
        Command::Contract { program, options } => contract(&program, &options),
    };
    ExitCode::from(code)
}

/// The command's own exit code is ours, if there was a volume for it.
#[cfg(feature = "clusters")]
fn lend(command: &[String]) -> u8 {
    let (program, arguments) = command.split_first().expect("clap asks for one");
    match crate::cluster::lend(program, arguments) {
        Ok(status) => status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(FAILURES),
        Err(why) => {
            eprintln!("{why}");
            ENVIRONMENT
        }
    }
}

/// Passes when every case passes on every release.
#[cfg(feature = "clusters")]
fn contract(program: &Path, options: &[String]) -> u8 {
    use crate::cluster::contract::{SUITES, differences, play};

    let mut runs = Vec::new();
    for suite in SUITES {
        eprintln!("Gluster {}", suite.gluster());
        match play(program, suite, options) {
            Ok(played) => runs.push(played),
            Err(why) => {
                eprintln!("{why}");
                return ENVIRONMENT;
            }
        }
    }
    eprint!("{}", differences(&runs));
    match runs.iter().all(|run| run.is_clean) {
        true => CONFORMS,
        false => FAILURES,
    }
}

fn bench(arguments: &BenchArguments) -> u8 {
    if cfg!(debug_assertions) {
        eprintln!("a debug build measures nothing: cargo run --release -p scenarios -- bench");
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start: {error}");
            return ENVIRONMENT;
        }
    };
    let result = match &arguments.gateway {
        Some(place) => gateway(arguments, place).and_then(|gateway| {
            let matches = runtime.block_on(gateway::run(&gateway));
            let matches = matches.map_err(|error| error.to_string())?;
            Ok(gateway::table(&matches))
        }),
        None => contest(arguments).and_then(|contest| {
            let standings = runtime.block_on(protocol::run(&contest));
            let standings = standings.map_err(|error| error.to_string())?;
            Ok(contest::table(&standings))
        }),
    };
    match result {
        Ok(table) => {
            say(&table);
            CONFORMS
        }
        Err(why) => {
            eprintln!("{why}");
            ENVIRONMENT
        }
    }
}

fn built(package: &str, binary: &str) -> Result<PathBuf, String> {
    binaries::built(package, binary).map_err(|error| error.to_string())
}

fn glintd(arguments: &BenchArguments) -> Result<PathBuf, String> {
    match &arguments.glintd {
        Some(path) => Ok(path.clone()),
        None => built("target", "glintd"),
    }
}

fn place(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('/');
    parts
        .filter(|(server, volume)| {
            !server.is_empty() && !volume.is_empty() && !volume.contains('/')
        })
        .map(|(server, volume)| (server.to_owned(), volume.to_owned()))
        .ok_or_else(|| "allowed: SERVER/VOLUME".to_owned())
}

fn gateway(
    arguments: &BenchArguments,
    (server, volume): &(String, String),
) -> Result<Gateway, String> {
    Ok(Gateway {
        glintd: glintd(arguments)?,
        server: server.clone(),
        volume: volume.clone(),
        rounds: arguments.rounds,
        seconds: arguments.seconds,
    })
}

fn contest(arguments: &BenchArguments) -> Result<Contest, String> {
    Ok(Contest {
        glintd: glintd(arguments)?,
        initiator: built("initiator-sim", "initiator-sim")?,
        rounds: arguments.rounds,
        seconds: arguments.seconds,
        depth: arguments.depth,
        block_bytes: arguments.block_size,
        read_percent: arguments.read,
    })
}

fn list(scenarios: &[Scenario]) -> u8 {
    let row = |scenario: &Scenario| {
        let Scenario {
            id,
            requirement,
            clause,
            ..
        } = scenario;
        format!("{id}\n    {requirement} ({clause})\n")
    };
    say(&scenarios.iter().map(row).collect::<String>());
    CONFORMS
}

/// Standard output may be closed: whoever reads it has seen enough.
pub(super) fn say(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

fn start(arguments: &RunArguments) -> u8 {
    let scenarios = select(&arguments.only);
    if scenarios.is_empty() {
        eprintln!("no scenario fits --only {}", arguments.only.join(" "));
        return USAGE;
    }
    if arguments.list {
        return list(&scenarios);
    }
    if let Some(why) = misfit(arguments) {
        eprintln!("{why}");
        return USAGE;
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start: {error}");
            return ENVIRONMENT;
        }
    };
    let folder = Folder::here();
    let dut = dut(arguments, &folder);
    let waiting = table::waiting(waiting_for(arguments));
    let device = {
        // Starting a device blocks and may ask the runtime for help.
        let _within = runtime.enter();
        Device::start(dut, &scenarios)
    };
    waiting.finish_and_clear();
    let device = match device {
        Ok(device) => Arc::new(device),
        Err(error) => {
            eprintln!("{error}");
            return ENVIRONMENT;
        }
    };
    let bar = table::progress(scenarios.len());
    let played = runtime.block_on(run(&device, &scenarios, arguments.jobs, |played| {
        bar.set_message(played.scenario.id);
        bar.inc(1);
    }));
    bar.finish_and_clear();
    let ended = device.end();
    let options = options(arguments);
    let name = match &arguments.against {
        Some(url) => format!(
            "{} at {}:{}",
            url.target.as_deref().unwrap_or_default(),
            url.host,
            url.port
        ),
        None => device.name().to_owned(),
    };
    let run = Run {
        device: &name,
        options: &options,
        played: &played,
    };
    match conclude(&run, arguments, &folder, ended) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("cannot write the report: {error}");
            ENVIRONMENT
        }
    }
}

/// Options that do not go together, beyond what the parser knows.
fn misfit(arguments: &RunArguments) -> Option<String> {
    let store = store(arguments);
    let kept_elsewhere = "--store fake needs a process of its own: leave out --dut in-process, or \
                          say --store mem or --store file";
    match arguments.dut {
        _ if arguments.against.is_some() => None,
        Kind::Tgt if arguments.store.is_some() => {
            Some("--store is about glintd; tgt keeps its LUNs in files".to_owned())
        }
        Kind::InProcess if store == Store::Fake => Some(kept_elsewhere.to_owned()),
        _ if arguments.fake.is_some() && (store != Store::Fake || arguments.dut == Kind::Tgt) => {
            Some("--fake goes with --store fake".to_owned())
        }
        _ => None,
    }
}

fn store(arguments: &RunArguments) -> Store {
    let default = match arguments.dut {
        Kind::InProcess => Store::Mem,
        Kind::Glintd | Kind::Tgt => Store::default(),
    };
    arguments.store.clone().unwrap_or(default)
}

fn waiting_for(arguments: &RunArguments) -> String {
    if let Some(url) = &arguments.against {
        return format!("asking {}:{} what it can do", url.host, url.port);
    }
    let ours = arguments.dut == Kind::Glintd;
    let mut built = Vec::new();
    if ours && arguments.glintd.is_none() {
        built.push("glintd");
    }
    if ours && arguments.fake.is_none() && store(arguments) == Store::Fake {
        built.push("the fake Gluster");
    }
    match built.as_slice() {
        [] => "starting the device".to_owned(),
        built => format!("building {}, starting glintd", built.join(" and ")),
    }
}

fn select(patterns: &[String]) -> Vec<Scenario> {
    let mut scenarios = catalogue::all();
    if !patterns.is_empty() {
        scenarios.retain(|scenario| patterns.iter().any(|one| matches(one, scenario.id)));
    }
    scenarios
}

fn dut(arguments: &RunArguments, folder: &Folder) -> Box<dyn Dut> {
    if let Some(url) = &arguments.against {
        return Box::new(ExternalDut {
            url: url.clone(),
            destructive: arguments.destructive,
            initiator: arguments.initiator.clone(),
        });
    }
    match arguments.dut {
        Kind::Glintd => Box::new(ProcessDut {
            program: arguments.glintd.clone(),
            fake: arguments.fake.clone(),
            ..ProcessDut::on(store(arguments), fresh(folder.log("glintd")))
        }),
        Kind::InProcess => Box::new(InProcessDut {
            store: store(arguments),
        }),
        Kind::Tgt => Box::new(TgtDut {
            log: fresh(folder.log("tgtd")),
        }),
    }
}

/// A log without what an earlier run left in it.
fn fresh(log: PathBuf) -> PathBuf {
    // Most often there is none.
    let _ = fs::remove_file(&log);
    log
}

/// The options that a rerun must repeat. A CHAP secret is not shown.
fn options(arguments: &RunArguments) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = match &arguments.against {
        Some(url) => {
            let credentials = if url.chap.is_some() {
                "USER%SECRET@"
            } else {
                ""
            };
            let (host, port) = (&url.host, url.port);
            let host = if host.contains(':') {
                format!("[{host}]")
            } else {
                host.clone()
            };
            let target = url.target.as_deref().unwrap_or_default();
            write!(
                out,
                " --against iscsi://{credentials}{host}:{port}/{target}/{}",
                url.lun
            )
        }
        None => match arguments.dut {
            Kind::Glintd => Ok(()),
            Kind::InProcess => write!(out, " --dut in-process"),
            Kind::Tgt => write!(out, " --dut tgt"),
        },
    };
    if arguments.destructive {
        out += " --destructive";
    }
    if let Some(initiator) = &arguments.initiator {
        out += &format!(" --initiator {initiator}");
    }
    if let Some(path) = &arguments.glintd {
        out += &format!(" --glintd {}", path.display());
    }
    if let Some(store) = &arguments.store {
        out += &format!(" --store {store}");
    }
    if let Some(path) = &arguments.fake {
        out += &format!(" --fake {}", path.display());
    }
    out
}

/// Writes the reports, prints the table, and says what it all comes to.
fn conclude(
    run: &Run<'_>,
    arguments: &RunArguments,
    folder: &Folder,
    ended: Result<(), String>,
) -> io::Result<u8> {
    let mut captures = Vec::new();
    for played in run.played {
        captures.push(keep_capture(played, arguments.keep_pcaps, folder)?);
    }
    let junit = arguments.junit.clone().unwrap_or_else(|| folder.junit());
    write(&junit, &report::junit(run).map_err(io::Error::other)?)?;
    let kept = |id: &str| {
        folder
            .pcap(id)
            .exists()
            .then(|| format!("pcap/{id}.pcapng"))
    };
    write(&folder.page(), &report::page(run, kept))?;

    let terminal = io::stdout().is_terminal();
    let width = if terminal {
        terminal_width()
    } else {
        PLAIN_WIDTH
    };
    let mut text = table::table(run.played, terminal, width);
    for (played, capture) in run.played.iter().zip(&captures) {
        if played.verdict.is_failure() {
            text += &table::failure(run, played, capture.as_deref());
        }
    }
    if let Err(why) = &ended {
        text += &format!("\nthe device did not end well: {why}\n");
    }
    let tally = Tally::of(run.played.iter().map(|played| &played.verdict));
    let page = folder.page();
    say(&format!(
        "{text}\nreport: {}\n{}\n",
        page.display(),
        table::closing(&tally)
    ));
    Ok(if tally.failed == 0 && ended.is_ok() {
        CONFORMS
    } else {
        FAILURES
    })
}

/// Writes the capture of a scenario that failed, or of any when all are to be kept; removes the
/// one of an earlier run otherwise.
fn keep_capture(played: &Played, all: bool, folder: &Folder) -> io::Result<Option<PathBuf>> {
    let path = folder.pcap(played.scenario.id);
    let wanted = (all || played.verdict.is_failure()) && !played.events.is_empty();
    if !wanted {
        return match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(None),
        };
    }
    record::write_pcapng(&path, &played.events)?;
    Ok(Some(path))
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

fn terminal_width() -> usize {
    rustix::termios::tcgetwinsize(io::stdout())
        .map_or(PLAIN_WIDTH, |size| usize::from(size.ws_col).max(80))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Box<RunArguments> {
        let words = ["scenarios", "run"]
            .into_iter()
            .chain(line.split_whitespace());
        let Command::Run(arguments) = Arguments::try_parse_from(words).unwrap().command else {
            unreachable!("the line says run")
        };
        arguments
    }

    #[test]
    fn a_rerun_repeats_where_the_disks_were() {
        assert_eq!(options(&arguments("")), "");
        let lines = [
            " --store mem",
            " --store file",
            " --store gluster://g1,g2/vol",
            " --store fake --fake lib.so",
            " --dut in-process --store file",
            " --glintd bin --store fake",
        ];
        for line in lines {
            assert_eq!(options(&arguments(line)), line);
        }
    }

    #[test]
    fn the_fake_is_for_processes_and_the_default_for_glintd() {
        assert_eq!(store(&arguments("")), Store::Fake);
        assert_eq!(store(&arguments("--dut in-process")), Store::Mem);
        let fine = [
            "",
            "--store mem",
            "--dut in-process",
            "--dut tgt",
            "--fake lib.so",
        ];
        for line in fine {
            assert_eq!(misfit(&arguments(line)), None, "{line}");
        }
        for line in [
            "--dut in-process --store fake",
            "--dut in-process --fake lib.so",
            "--store mem --fake lib.so",
            "--dut tgt --store file",
            "--dut tgt --fake lib.so",
        ] {
            assert!(misfit(&arguments(line)).is_some(), "{line}");
        }
    }

    #[test]
    fn what_is_waited_for_is_what_is_built() {
        let said = |line: &str| waiting_for(&arguments(line));
        assert_eq!(
            said(""),
            "building glintd and the fake Gluster, starting glintd"
        );
        assert_eq!(said("--store mem"), "building glintd, starting glintd");
        assert_eq!(
            said("--glintd bin"),
            "building the fake Gluster, starting glintd"
        );
        assert_eq!(said("--glintd bin --fake lib.so"), "starting the device");
    }
}
