//! The fake Gluster as a server, and what is done to it from outside.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use gluster_mock::command::{Command, GRAMMAR};
use gluster_mock::serve::{self, Ask, Daemon, Order, Server};
use tokio::signal::unix::{SignalKind, signal};

/// A Gluster cluster without Gluster, for several processes at a time.
#[derive(Parser)]
#[command(version, subcommand_value_name = "VERB", after_help = help())]
struct Arguments {
    /// The cluster: a folder, with a folder for each volume.
    #[arg(long, global = true, env = "GLUSTER_MOCK_DIR", value_name = "FOLDER")]
    cluster: Option<PathBuf>,
    /// The volume; may be left out where there is only one.
    #[arg(long, value_name = "NAME")]
    volume: Option<String>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Serves the cluster until SIGTERM.
    Serve,
    /// Makes volumes, lists, stops and starts them.
    Volume {
        #[command(subcommand)]
        verb: VolumeVerb,
    },
    /// What becomes of glusterd, which new mounts ask for the volume; those that are there do not.
    Glusterd {
        /// Whether it answers, is not there, or says nothing.
        state: State,
    },
    #[command(external_subcommand)]
    Command(Vec<String>),
}

#[derive(Clone, Copy, ValueEnum)]
enum State {
    Up,
    Dead,
    Hung,
}

impl From<State> for Daemon {
    fn from(state: State) -> Self {
        match state {
            State::Up => Self::Up,
            State::Dead => Self::Dead,
            State::Hung => Self::Hung,
        }
    }
}

#[derive(Subcommand)]
enum VolumeVerb {
    /// Makes a volume, which is started.
    Create {
        /// Its name.
        name: String,
        /// What it is like: `replica=3 lost=100 torn=0`.
        #[arg(value_name = "KEY=VALUE")]
        settings: Vec<String>,
    },
    /// Lists the volumes.
    List,
    /// Kills all bricks; nobody may mount it.
    Stop {
        /// Its name.
        name: String,
    },
    /// Brings the bricks back.
    Start {
        /// Its name.
        name: String,
    },
}

fn help() -> String {
    let lines = GRAMMAR.lines().map(|line| format!("\n  {line}"));
    format!(
        "What is done to a volume of a cluster that is served:{}",
        lines.collect::<String>()
    )
}

/// Why it did not work.
enum Failure {
    /// The words make no sense.
    Usage(String),
    /// They do, and it failed.
    Refused(String),
}

fn main() -> ExitCode {
    let (code, why) = match run(Arguments::parse()) {
        Ok(told) => {
            if !told.is_empty() {
                println!("{}", told.trim_end());
            }
            return ExitCode::SUCCESS;
        }
        Err(Failure::Refused(why)) => (1, why),
        Err(Failure::Usage(why)) => (2, why),
    };
    eprintln!("gluster-mock: {why}");
    ExitCode::from(code)
}

fn run(arguments: Arguments) -> Result<String, Failure> {
    let missing = "no cluster: --cluster FOLDER, or GLUSTER_MOCK_DIR";
    let cluster = arguments.cluster;
    let cluster = cluster.ok_or_else(|| Failure::Usage(missing.to_owned()))?;
    let ask = |volume: String, ask: Ask| serve::ask(&cluster, Order { volume, ask });
    match arguments.verb {
        Verb::Serve => serve(&cluster).map_err(|error| error.to_string()),
        Verb::Volume { verb } => match verb {
            VolumeVerb::Create { name, settings } => {
                serve::create(&cluster, &name, &settings).map(|()| String::new())
            }
            VolumeVerb::List => list(&cluster),
            VolumeVerb::Stop { name } => ask(name, Ask::Stop),
            VolumeVerb::Start { name } => ask(name, Ask::Start),
        },
        Verb::Glusterd { state } => ask(String::new(), Ask::Daemon(state.into())),
        Verb::Command(words) => {
            let line = words.join(" ");
            Command::parse(&line).map_err(Failure::Usage)?;
            let volume = match arguments.volume {
                Some(volume) => volume,
                None => only_volume(&cluster)?,
            };
            ask(volume, Ask::Command(line))
        }
    }
    .map_err(Failure::Refused)
}

fn only_volume(cluster: &Path) -> Result<String, Failure> {
    let volumes = serve::volumes(cluster).map_err(Failure::Refused)?;
    match &volumes[..] {
        [one] => Ok(one.clone()),
        [] => Err(Failure::Refused("the cluster has no volume".to_owned())),
        many => Err(Failure::Usage(format!(
            "--volume NAME, one of: {}",
            many.join(", ")
        ))),
    }
}

/// One line for each volume; without a server nobody knows more than the names.
fn list(cluster: &Path) -> Result<String, String> {
    let mut text = String::new();
    for volume in serve::volumes(cluster)? {
        let order = Order {
            volume: volume.clone(),
            ask: Ask::IsStarted,
        };
        let state = serve::ask(cluster, order).unwrap_or_else(|_| "not served".to_owned());
        text += &format!("{volume} {state}\n");
    }
    Ok(text)
}

fn serve(cluster: &Path) -> io::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_io().build()?;
    runtime.block_on(async {
        // Before anybody can know that there is a server to end.
        let mut end = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let server = Server::listen(cluster)?;
        server.start()?;
        println!("serving {}", cluster.display());
        tokio::select! {
            _ = end.recv() => {}
            _ = interrupt.recv() => {}
        }
        let stopped = server.stop();
        stopped.map_err(|errno| io::Error::from_raw_os_error(errno.0))?;
        Ok(String::new())
    })
}
