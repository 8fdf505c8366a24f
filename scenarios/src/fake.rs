//! A volume of the fake Gluster, for programs that load libgfapi: a folder, the shared object, and
//! the environment that makes one find the other. Knows nothing of who uses it.
//!
//! One process has the volume at a time, unless there is a [`FakeServer`]. `kill -9` of the process
//! that has it is a power cut: of what was not synced, a seeded part is lost or torn.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::binaries;
use crate::dut::DutError;
use crate::process::Process;

/// The variable in which the fake looks for its clusters (`gluster-mock`'s README).
const CLUSTER_VARIABLE: &str = "GLUSTER_MOCK_DIR";

/// The one volume.
const VOLUME: &str = "vol";

/// A volume. Dropped, it is gone with everything in it.
#[derive(Debug)]
pub struct FakeVolume {
    folder: TempDir,
}

impl FakeVolume {
    /// Makes an empty volume with these settings, one `key = value` a line; builds the fake on the
    /// first call.
    pub fn new(settings: &str) -> Result<Self, DutError> {
        Self::of(&binaries::fake()?, settings)
    }

    /// The same with a shared object that is there.
    pub fn of(object: &Path, settings: &str) -> Result<Self, DutError> {
        Self::make(object, settings).map_err(DutError::io("make a fake volume"))
    }

    fn make(object: &Path, settings: &str) -> io::Result<Self> {
        let volume = Self {
            folder: tempfile::tempdir()?,
        };
        fs::create_dir_all(volume.path())?;
        fs::write(volume.path().join("settings"), settings)?;
        fs::create_dir(volume.library())?;
        // A link is looked up from its own folder.
        let object = fs::canonicalize(object)?;
        symlink(object, volume.library().join("libgfapi.so.0"))?;
        Ok(volume)
    }

    /// Lets a program that is about to be started find the volume.
    pub fn lend(&self, command: &mut Command) {
        command
            .env(CLUSTER_VARIABLE, self.cluster())
            .env("LD_LIBRARY_PATH", self.library());
    }

    /// The volume in glintd's words, `SERVER/VOLUME`.
    pub fn address(&self) -> String {
        format!("localhost/{VOLUME}")
    }

    /// An image in it in glintd's words, made when it is missing.
    pub fn store(&self, image: &str, bytes: u64) -> String {
        format!("gluster://{}/{image}?size={bytes}", self.address())
    }

    /// The faults from now on, one rule a line; noticed within a few milliseconds by whoever has
    /// the volume. An empty plan lets everything that hangs go on.
    pub fn plan(&self, rules: &str) -> io::Result<()> {
        // In one step: nobody reads half a plan.
        let new = self.path().join("plan.new");
        fs::write(&new, rules)?;
        fs::rename(new, self.path().join("plan"))
    }

    /// The folder of the volume: `settings`, `plan`, and `bricks/0/…` with what is durable.
    pub fn path(&self) -> PathBuf {
        self.cluster().join(VOLUME)
    }

    /// What is durable of an image on the first brick.
    pub fn durable(&self, image: &str) -> PathBuf {
        self.durable_on(0, image)
    }

    /// The same on another brick, counted from 0.
    pub fn durable_on(&self, brick: u32, image: &str) -> PathBuf {
        self.path().join(format!("bricks/{brick}")).join(image)
    }

    /// Serves the volume: whoever mounts it from now on shares it with others. Builds the server on
    /// the first call.
    pub fn serve(&self) -> Result<FakeServer, DutError> {
        let program = binaries::built("gluster-mock", "gluster-mock")?;
        let command = vec![program.into(), "--cluster".into(), self.cluster().into()];
        let mut serve = command_of(&command);
        serve.arg("serve");
        let log = self.folder.path().join("server.log");
        let (process, _) = Process::start("gluster-mock", serve, &log)?;
        let socket = self.cluster().join("socket");
        process.await_ready(|| UnixStream::connect(&socket).map_err(|why| why.to_string()))?;
        Ok(FakeServer {
            command,
            _process: process,
        })
    }

    fn cluster(&self) -> PathBuf {
        self.folder.path().join("cluster")
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("lib")
    }
}

/// The server of a fake cluster. Dropped, it is killed: a power cut of all bricks.
#[derive(Debug)]
pub struct FakeServer {
    /// The program, and the cluster.
    command: Vec<OsString>,
    _process: Process,
}

impl FakeServer {
    /// What the command line answers to these words (`gluster-mock --help`); the failure is its own.
    pub fn order(&self, words: &str) -> Result<String, String> {
        let output = command_of(&self.command)
            .args(words.split_whitespace())
            .output();
        let output = output.map_err(|why| why.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(text(&output.stderr)),
        }
    }
}

fn command_of(words: &[OsString]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}
