//! What a reviewer should never have to say: formatting, lints, documentation, dependencies.

use std::process::{Command, Stdio};

use crate::step::{Outcome, Step, cargo, verdict_of};

/// The steps, quickest first. The rules about source text are tests: see [`crate::tidy`].
pub fn steps() -> Vec<Step> {
    vec![
        Step {
            name: "fmt",
            run: || verdict_of(&mut cargo(&["fmt", "--all", "--check"])),
        },
        Step {
            name: "clippy",
            run: clippy,
        },
        Step {
            name: "doc",
            run: doc,
        },
        Step {
            name: "deny",
            run: deny,
        },
    ]
}

fn clippy() -> Outcome {
    let arguments = [
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ];
    verdict_of(&mut cargo(&arguments))
}

fn doc() -> Outcome {
    let arguments = [
        "doc",
        "--quiet",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ];
    verdict_of(cargo(&arguments).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Licences, duplicates, sources. Advisories change without us and are left to a scheduled run.
fn deny() -> Outcome {
    let installed = Command::new("cargo-deny")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !installed {
        return Outcome::Skipped("cargo-deny is not installed (cargo install cargo-deny)".into());
    }
    verdict_of(&mut cargo(&[
        "deny",
        "--offline",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))
}
