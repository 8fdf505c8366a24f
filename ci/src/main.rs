//! `cargo run -p ci -- COMMAND`: what `.ci/run` calls, and what to run before a push.
#![allow(clippy::print_stdout, reason = "a command that reports to a terminal")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use ci::step::{Report, Step};
use ci::{check, headers, setup, suite};

#[derive(Parser)]
#[command(about = "Runs and judges the workspace")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Clone, Copy)]
enum Command {
    /// Install what the foreign witnesses need (Debian; root or sudo)
    Setup,
    /// Formatting, clippy, documentation, dependencies, C headers
    Check,
    /// Compare our declarations of foreign libraries with their C headers
    HeaderCheck,
    /// `cargo test`
    Test,
    /// The fake's model in release: its speed, and the seed's hash
    Model,
    /// `cargo scenarios`
    Scenarios,
    /// `scenarios prove`: the power cut, and that it sees planted bugs
    Prove,
    /// `scenarios simulate` in release: 20,000 worlds, and 1,000 of them twice
    Worlds,
    /// Only the foreign witnesses of `cargo test`: libiscsi, iscsi-test-cu, qemu-img, tshark
    Witness,
    /// glintd on real Gluster, in a container (needs a Docker daemon)
    Cluster,
    /// The contract suite of libgfapi on real Gluster 10.3 and 11.1 (needs a Docker daemon)
    Contract,
    /// Everything above, in that order (the witnesses as part of `cargo test`)
    All,
}

impl Command {
    fn steps(self) -> Vec<Step> {
        match self {
            Self::Setup => setup::steps(),
            Self::Check => [check::steps(), headers::steps()].concat(),
            Self::HeaderCheck => headers::steps(),
            Self::Test => vec![suite::TESTS],
            Self::Model => vec![suite::MODEL],
            Self::Scenarios => vec![suite::SCENARIOS],
            Self::Prove => vec![suite::PROOFS],
            Self::Worlds => vec![suite::WORLDS, suite::WORLDS_TWICE, suite::GATE],
            Self::Witness => vec![suite::WITNESSES],
            Self::Cluster => vec![suite::CLUSTER, suite::CLUSTER_STORE],
            Self::Contract => vec![suite::CONTRACT],
            Self::All => [
                Self::Setup,
                Self::Check,
                Self::Test,
                Self::Model,
                Self::Scenarios,
                Self::Prove,
                Self::Worlds,
                Self::Cluster,
                Self::Contract,
            ]
            .map(Self::steps)
            .concat(),
        }
    }
}

fn main() -> ExitCode {
    let mut report = Report::default();
    for step in Arguments::parse().command.steps() {
        report.run(step);
    }
    println!("\n{report}");
    if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
