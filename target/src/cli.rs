//! The program `glintd`: arguments, exit codes, signals.
//!
//! Exit codes: 0 all is well, 1 the last flush failed, 2 usage or configuration, 3 environment (a
//! port in use, a file missing).
#![allow(clippy::print_stdout, clippy::print_stderr)] // a program talks to its caller

mod doctor;
mod image;
mod reread;
mod trial;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgGroup, Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{LoadError, ServerConfig};
use crate::observe;
use crate::planted;
use crate::server::Server;
use reread::reread;
use trial::Trial;

const UNFLUSHED: u8 = 1;
const USAGE: u8 = 2;
const ENVIRONMENT: u8 = 3;

/// An iSCSI target whose disks are files, of this machine or of a Gluster volume.
#[derive(Debug, Parser)]
#[command(name = "glintd", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say whether a configuration file is in order, and what is wrong with it. Opens nothing.
    Check {
        /// The file.
        config: PathBuf,
    },
    /// Serve disks until SIGTERM or SIGINT; a second signal ends it at once.
    ///
    /// With --config, what the file says, and on SIGHUP what it says then. With --lun, a trial on
    /// the loopback address.
    Serve(Box<Serve>),
    /// Say whether a Gluster volume is safe to serve disks from, and what to change. Changes nothing.
    ///
    /// Exit code 0: in order, perhaps with warnings; 3: refused, or not within reach.
    Doctor {
        /// gluster://SERVER,…/VOLUME, or with /PATH of an image to look at that as well.
        #[arg(value_name = "gluster://…")]
        volume: String,
    },
    /// Make, list, look at, rename and remove images of Gluster volumes.
    #[command(subcommand)]
    Image(image::Image),
}

#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("what").required(true).args(["config", "lun"])))]
struct Serve {
    /// Serve what this file says.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    trial: Trial,
    /// What to log: error, warn, info, debug, trace. RUST_LOG wins.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: String,
}

/// Runs the program with the process's arguments.
pub fn run() -> ExitCode {
    match Arguments::parse().command {
        Command::Check { config } => check(&config),
        Command::Serve(serve) => start(&serve),
        Command::Doctor { volume } => doctor::examine(&volume),
        Command::Image(image) => image.run(),
    }
}

fn check(path: &Path) -> ExitCode {
    match load(path) {
        Ok(config) => {
            let luns: usize = config.targets.iter().map(|target| target.luns.len()).sum();
            let targets = config.targets.len();
            println!(
                "{}: in order, targets: {targets}, disks: {luns}",
                path.display()
            );
            ExitCode::SUCCESS
        }
        Err(code) => code,
    }
}

fn load(path: &Path) -> Result<ServerConfig, ExitCode> {
    ServerConfig::load(path).map_err(|why| {
        eprintln!("{why}");
        ExitCode::from(match why {
            LoadError::Unreadable { .. } => ENVIRONMENT,
            LoadError::Refused(_) => USAGE,
        })
    })
}

fn start(serve: &Serve) -> ExitCode {
    if let Err(why) = observe::start_log(&serve.log) {
        eprintln!("--log {}: {why}", serve.log);
        return ExitCode::from(USAGE);
    }
    planted::announce();
    let config = match &serve.config {
        Some(path) => load(path).inspect(|config| warn_if_readable(path, config)),
        None => serve.trial.config().map_err(|why| {
            eprintln!("{why}");
            ExitCode::from(USAGE)
        }),
    };
    let config = match config {
        Ok(config) => config,
        Err(code) => return code,
    };
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.workers)
        .thread_name("glintd")
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(serve_until_told(config, serve.config.as_deref()));
            // Not waiting for threads that hang in storage: that was done, as long as it is of use.
            runtime.shutdown_background();
            code
        }
        Err(why) => {
            eprintln!("cannot start: {why}");
            ExitCode::from(ENVIRONMENT)
        }
    }
}

async fn serve_until_told(config: ServerConfig, path: Option<&Path>) -> ExitCode {
    let hints = trial::hints(&config);
    // Signals before listening: whoever sees the first line may send one.
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(why) => {
            eprintln!("cannot listen for signals: {why}");
            return ExitCode::from(ENVIRONMENT);
        }
    };
    let mut server = match Server::start(config) {
        Ok(server) => server,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(ENVIRONMENT);
        }
    };
    announce(server.portals(), &hints);
    while signals.next().await == Told::Reread {
        tokio::select! {
            biased;
            () = signals.stop() => {
                tracing::warn!("the configuration is no longer waited for");
                break;
            }
            () = reread(&mut server, path) => {}
        }
    }
    tracing::info!("stopping: initiators are asked to log out; a second signal ends it at once");
    tokio::select! {
        flushed = server.shutdown() => match flushed {
            Ok(()) => {
                tracing::info!("stopped; every answered write is durable");
                ExitCode::SUCCESS
            }
            Err(failed) => {
                for image in failed {
                    tracing::error!("the last flush failed: {image}");
                }
                ExitCode::from(UNFLUSHED)
            }
        },
        () = signals.stop() => {
            tracing::warn!("stopped at once");
            std::process::exit(UNFLUSHED.into())
        }
    }
}

/// What we are told while we serve.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

#[derive(PartialEq, Eq)]
enum Told {
    Stop,
    /// However often it was said since we last looked.
    Reread,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hangup.recv() => Told::Reread,
        }
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Readiness, for people and for whoever started us. A closed standard output is no reason to stop.
fn announce(portals: &[SocketAddr], hints: &trial::Hints) {
    let mut text = String::new();
    for portal in portals {
        text += &format!("listening on {portal}\n");
    }
    if let Some(portal) = portals.first() {
        text += &hints.text(*portal);
    }
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .ok();
}

/// One descriptor per connection: the default of 1024 is less than a stubborn client can take.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(why) = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: limit.maximum,
                ..limit
            },
        )
    {
        tracing::warn!(
            "the limit of open files stays at {:?}: {why}",
            limit.current
        );
    }
}

fn warn_if_readable(path: &Path, config: &ServerConfig) {
    use std::os::unix::fs::PermissionsExt;
    let others_read = path
        .metadata()
        .is_ok_and(|file| file.permissions().mode() & 0o044 != 0);
    if others_read && config.holds_secrets() {
        tracing::warn!(
            "{} holds secrets and others may read it: chmod 600",
            path.display()
        );
    }
}
