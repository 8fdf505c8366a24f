//! Builds the binaries under test and says where they are: cargo leaves no other package's binary
//! behind, so whoever drives `glintd` asks here first. The path comes from cargo's own messages,
//! never from a guess, and the profile is the one this program was built in.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The root of the workspace these sources came from; cargo must run there to find its settings.
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Why a binary could not be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BinaryError {
    /// Cargo could not be started, or the lock could not be taken.
    #[error("{doing}: {reason}")]
    System {
        /// What was tried.
        doing: String,
        /// What the system said.
        reason: String,
    },
    /// Cargo ran and refused; its errors are in the text.
    #[error("cargo build -p {package} failed:\n{stderr}")]
    Build {
        /// The package that does not build.
        package: String,
        /// What cargo printed.
        stderr: String,
    },
    /// The package built, but holds nothing of that name.
    #[error("package {package} has no {artifact}")]
    Missing {
        /// The package that was built.
        package: String,
        /// What it should have had.
        artifact: String,
    },
}

/// The path of a freshly built `glintd`. Built once per process.
pub fn glintd() -> Result<PathBuf, BinaryError> {
    built("target", "glintd")
}

/// The path of a freshly built fake libgfapi, for programs that load it by path. Built once per
/// process.
pub fn fake() -> Result<PathBuf, BinaryError> {
    once("gluster-mock", &Artifact::SharedObject)
}

/// The path of `binary` of `package`. Built on the first call, for good or ill: what a process
/// tests does not change under it.
pub fn built(package: &str, binary: &str) -> Result<PathBuf, BinaryError> {
    once(package, &Artifact::Binary(binary.to_owned()))
}

/// The path of a freshly built `glintd` with bugs to choose from: another profile, so that it lies
/// in a folder of its own and never where the honest one is looked for. Built once per process.
pub fn planted_glintd() -> Result<PathBuf, BinaryError> {
    static BUILT: OnceLock<Result<PathBuf, BinaryError>> = OnceLock::new();
    planted(&BUILT, "target", "glintd")
}

/// The path of a freshly built `scenarios` whose worlds have bugs to choose from, as
/// [`planted_glintd`]. Built once per process.
pub fn planted_scenarios() -> Result<PathBuf, BinaryError> {
    static BUILT: OnceLock<Result<PathBuf, BinaryError>> = OnceLock::new();
    planted(&BUILT, "scenarios", "scenarios")
}

fn planted(
    built: &OnceLock<Result<PathBuf, BinaryError>>,
    package: &str,
    binary: &str,
) -> Result<PathBuf, BinaryError> {
    let artifact = Artifact::Binary(binary.to_owned());
    let build = || build(package, &artifact, Some(&PLANTED));
    built.get_or_init(build).clone()
}

/// A build beside the one of this program.
struct Variant {
    profile: &'static str,
    /// What the compiler is told besides.
    flags: [&'static str; 2],
}

const PLANTED: Variant = Variant {
    profile: "planted",
    flags: ["--cfg", "glint_planted"],
};

impl Variant {
    /// The flags there would be anyway, and ours; cargo takes them from one place only.
    fn encoded_flags(&self) -> String {
        let encoded = std::env::var("CARGO_ENCODED_RUSTFLAGS").ok();
        let plain = || std::env::var("RUSTFLAGS").map(|flags| flags.replace(' ', "\x1f"));
        let mut flags = encoded.or_else(|| plain().ok()).unwrap_or_default();
        for flag in self.flags {
            if !flags.is_empty() {
                flags.push('\x1f');
            }
            flags += flag;
        }
        flags
    }
}

/// What of a package is wanted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Artifact {
    Binary(String),
    /// The one its library is.
    SharedObject,
}

fn once(package: &str, artifact: &Artifact) -> Result<PathBuf, BinaryError> {
    type Built = BTreeMap<(String, Artifact), Result<PathBuf, BinaryError>>;
    static BUILT: Mutex<Built> = Mutex::new(BTreeMap::new());
    let mut known = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    known
        .entry((package.to_owned(), artifact.clone()))
        .or_insert_with(|| build(package, artifact, None))
        .clone()
}

fn build(
    package: &str,
    artifact: &Artifact,
    variant: Option<&Variant>,
) -> Result<PathBuf, BinaryError> {
    let place = BuildPlace::of_this_program()?;
    fs::create_dir_all(&place.target_dir).map_err(io_error("create the build folder"))?;
    // Test programs run side by side under nextest: one builds, the others wait and find it done.
    let lock = File::create(place.target_dir.join(".harness.lock"))
        .map_err(io_error("create the harness lock"))?;
    lock.lock().map_err(io_error("take the harness lock"))?;

    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(&cargo);
    if let Some(variant) = variant {
        command.env("CARGO_ENCODED_RUSTFLAGS", variant.encoded_flags());
    }
    let output = command
        .current_dir(WORKSPACE)
        .args(["build", "--quiet", "--package", package])
        .args(artifact.selection())
        .args(["--message-format", "json-render-diagnostics"])
        .arg("--profile")
        .arg(variant.map_or(place.profile.as_str(), |variant| variant.profile))
        .arg("--target-dir")
        .arg(&place.target_dir)
        .stdin(Stdio::null())
        .output()
        .map_err(io_error(format!("start {}", cargo.display())))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(BinaryError::Build {
            package: package.to_owned(),
            stderr,
        });
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    artifact
        .find(&messages, package)
        .ok_or_else(|| BinaryError::Missing {
            package: package.to_owned(),
            artifact: artifact.to_string(),
        })
}

impl Artifact {
    /// What cargo is to build.
    fn selection(&self) -> Vec<&str> {
        match self {
            Self::Binary(name) => vec!["--bin", name],
            Self::SharedObject => vec!["--lib"],
        }
    }

    /// Its path, among cargo's JSON messages, one per line.
    fn find(&self, messages: &str, package: &str) -> Option<PathBuf> {
        let name = match self {
            Self::Binary(name) => name.clone(),
            Self::SharedObject => package.replace('-', "_"),
        };
        messages
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter(|message| message["reason"] == "compiler-artifact")
            .filter(|message| message["target"]["name"] == *name)
            .find_map(|message| match self {
                Self::Binary(_) => message["executable"].as_str().map(PathBuf::from),
                Self::SharedObject => {
                    let files = message["filenames"].as_array()?.iter();
                    let mut paths = files.filter_map(|file| file.as_str().map(PathBuf::from));
                    paths.find(|path| path.extension().is_some_and(|end| end == "so"))
                }
            })
    }
}

impl fmt::Display for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Binary(name) => write!(f, "binary called {name}"),
            Self::SharedObject => f.write_str("shared object"),
        }
    }
}

/// Where and in which profile this very program was built, so that the binaries under test are
/// built likewise, whatever `--target-dir`, `--release` or `CARGO_TARGET_DIR` said.
#[derive(Debug, PartialEq, Eq)]
struct BuildPlace {
    target_dir: PathBuf,
    profile: String,
}

impl BuildPlace {
    fn of_this_program() -> Result<Self, BinaryError> {
        let program = std::env::current_exe().map_err(io_error("find this program's own path"))?;
        Ok(Self::of(&program, |folder| {
            folder.join("CACHEDIR.TAG").exists()
        }))
    }

    /// `program` lies in `TARGET_DIR[/TRIPLE]/PROFILE[/deps]/`; cargo marks TARGET_DIR with a tag.
    fn of(program: &Path, is_target_dir: impl Fn(&Path) -> bool) -> Self {
        let target_dir = program
            .ancestors()
            .skip(1)
            .find(|folder| is_target_dir(folder));
        let Some(target_dir) = target_dir else {
            let target_dir = std::env::var_os("CARGO_TARGET_DIR")
                .map_or_else(|| Path::new(WORKSPACE).join("build"), PathBuf::from);
            return Self {
                target_dir,
                profile: "dev".to_owned(),
            };
        };
        let folder = program
            .ancestors()
            .skip(1)
            .find(|folder| !matches!(name_of(folder), "deps" | "examples"))
            .map_or("debug", name_of);
        let profile = if folder == "debug" { "dev" } else { folder };
        Self {
            target_dir: target_dir.to_owned(),
            profile: profile.to_owned(),
        }
    }
}

fn name_of(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}

fn io_error(doing: impl Into<String>) -> impl FnOnce(io::Error) -> BinaryError {
    let doing = doing.into();
    move |error| BinaryError::System {
        doing,
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(program: &str) -> (String, String) {
        let place = BuildPlace::of(Path::new(program), |folder| folder == Path::new("/w/build"));
        (place.target_dir.display().to_string(), place.profile)
    }

    #[test]
    fn the_build_place_follows_the_running_program() {
        let at = |profile: &str| ("/w/build".to_owned(), profile.to_owned());
        assert_eq!(place("/w/build/debug/scenarios"), at("dev"));
        assert_eq!(place("/w/build/debug/deps/witness-0a1b"), at("dev"));
        assert_eq!(place("/w/build/release/deps/witness-0a1b"), at("release"));
        assert_eq!(
            place("/w/build/x86_64-unknown-linux-gnu/release/scenarios"),
            at("release")
        );
        assert_eq!(place("/w/build/profiling/scenarios"), at("profiling"));
    }

    #[test]
    fn paths_come_from_cargos_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"target"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"glintd"},"executable":"/b/glintd"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"a_b"},"filenames":["/b/a.rlib","/b/a.so"]}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let binary = |name: &str| Artifact::Binary(name.to_owned());
        assert_eq!(
            binary("glintd").find(messages, "target"),
            Some(PathBuf::from("/b/glintd"))
        );
        assert_eq!(binary("tgtd").find(messages, "target"), None);
        let object = Artifact::SharedObject;
        assert_eq!(object.find(messages, "a-b"), Some(PathBuf::from("/b/a.so")));
        assert_eq!(object.find(messages, "target"), None);
    }
}
