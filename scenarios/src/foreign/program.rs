//! Foreign programs, bounded in time.

use std::io::{Read, Seek, SeekFrom};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::Failure;

/// Between two looks at a program that runs.
const POLL: Duration = Duration::from_millis(5);

/// What became of a program.
pub struct Finished {
    /// `None`: it ran past its time and was killed.
    pub status: Option<ExitStatus>,
    /// Everything it printed, both streams in order.
    pub output: String,
}

/// Runs a program for at most `limit`.
pub fn run(command: &mut Command, limit: Duration) -> Result<Finished, Failure> {
    // A file, not a pipe: nothing fills up, and what a hanging program said is still there.
    let mut file = tempfile::tempfile()?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file.try_clone()?)
        .spawn()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    let deadline = Instant::now() + limit;
    let status = loop {
        match child.try_wait()? {
            Some(status) => break Some(status),
            None if Instant::now() >= deadline => {
                child.kill()?;
                child.wait()?;
                break None;
            }
            None => thread::sleep(POLL),
        }
    };
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(Finished {
        status,
        output: String::from_utf8_lossy(&bytes).into_owned(),
    })
}

/// Runs a program that must succeed within `limit`, and gives what it printed.
pub fn succeed(command: &mut Command, limit: Duration) -> Result<String, Failure> {
    let finished = run(command, limit)?;
    match finished.status {
        Some(status) if status.success() => Ok(finished.output),
        Some(status) => Err(format!("{command:?}: {status}\n{}", finished.output).into()),
        None => Err(format!("{command:?} hangs\n{}", finished.output).into()),
    }
}
