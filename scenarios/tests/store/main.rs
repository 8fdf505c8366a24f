//! The Gluster store of `glintd` through libgfapi: on the fake, for which this program starts itself
//! again in the fake's environment, or on a real volume, `GLINT_GLUSTER=SERVER/VOLUME`: one to write
//! to and throw away. Images stay in it.

mod contract;
mod doctor;
mod faults;
mod identity;
mod images;
mod refusals;
mod shared;
mod stage;

use std::env;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Trial};
use scenarios::fake::FakeVolume;

use stage::{CLUSTER, REAL};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let real = env::var_os(REAL).is_some();
    if !real && env::var_os(CLUSTER).is_none() {
        return on_the_fake();
    }
    let mut trials = common();
    match real {
        true => {
            trials.extend(refusals::of_real_servers());
            trials.extend(identity::of_real_volumes());
        }
        false => {
            trials.extend(faults::trials());
            trials.extend(refusals::of_the_fake());
            trials.extend(doctor::trials());
            trials.extend(shared::trials());
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// What holds on every volume.
fn common() -> Vec<Trial> {
    let trials = [contract::trials(), images::trials(), refusals::trials()];
    trials.into_iter().flatten().collect()
}

/// The loader looks at its variables only when a program starts.
#[allow(clippy::print_stderr)]
fn on_the_fake() -> ExitCode {
    let started = FakeVolume::new("replica = 3\n")
        .map_err(|why| why.to_string())
        .and_then(|volume| {
            let program = env::current_exe().map_err(|why| why.to_string())?;
            let mut again = Command::new(program);
            again.args(env::args_os().skip(1));
            volume.lend(&mut again);
            again.status().map_err(|why| why.to_string())
        });
    match started {
        Ok(status) => {
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            ExitCode::from(code.unwrap_or(1))
        }
        Err(why) => {
            eprintln!("the fake cannot be had: {why}");
            ExitCode::FAILURE
        }
    }
}
