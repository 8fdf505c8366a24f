//! Arrows point down only: a crate uses crates of lower floors, and the pure ones nothing from
//! outside but a short list. The floors are declared in the manifests.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use toml::{Table, Value};

use super::{Finding, purity};

/// What pure crates may take from outside.
pub const SHORT_LIST: [&str; 10] = [
    "bytes",
    "zerocopy",
    "crc32c",
    "md-5",
    "sha1",
    "sha2",
    "sha3",
    "subtle",
    "base64",
    "thiserror",
];

/// Arrows that point down and are forbidden nevertheless, and why.
const NEVER: [(&str, &str, &str); 2] = [
    (
        "target",
        "gluster-mock",
        "the product knows nothing of its fake",
    ),
    (
        "target",
        "initiator-sim",
        "the product knows nothing of its tester",
    ),
];

/// One member of the workspace.
#[derive(Debug, Clone)]
pub struct Member {
    /// The package's name.
    pub name: String,
    /// Its manifest, for messages.
    pub manifest: String,
    /// The floor it declares.
    pub floor: Option<i64>,
    /// Whether it takes the workspace's lints.
    pub takes_lints: bool,
    /// What it depends on.
    pub dependencies: Vec<Dependency>,
}

/// One arrow.
#[derive(Debug, Clone)]
pub struct Dependency {
    /// The package depended on.
    pub package: String,
    /// Only its tests need it.
    pub for_tests: bool,
}

/// Reads every member the root manifest lists.
pub fn read_members(root: &Path) -> io::Result<Vec<Member>> {
    let workspace = read_manifest(&root.join("Cargo.toml"))?;
    let members = workspace
        .get("workspace")
        .and_then(|workspace| workspace.get("members"));
    let members = members.and_then(Value::as_array).into_iter().flatten();
    members
        .filter_map(Value::as_str)
        .map(|folder| {
            let manifest = format!("{folder}/Cargo.toml");
            Ok(Member::new(
                &manifest,
                &read_manifest(&root.join(&manifest))?,
            ))
        })
        .collect()
}

fn read_manifest(path: &Path) -> io::Result<Table> {
    fs::read_to_string(path)?
        .parse::<Table>()
        .map_err(io::Error::other)
}

impl Member {
    fn new(manifest: &str, table: &Table) -> Self {
        let package = table.get("package");
        let name = package
            .and_then(|package| package.get("name"))
            .and_then(Value::as_str);
        let house = package.and_then(|package| package.get("metadata")?.get("house"));
        let lints = table.get("lints").and_then(|lints| lints.get("workspace"));
        let mut dependencies = arrows(table);
        for platform in table
            .get("target")
            .and_then(Value::as_table)
            .into_iter()
            .flatten()
        {
            dependencies.extend(platform.1.as_table().map(arrows).unwrap_or_default());
        }
        Self {
            name: name.unwrap_or_default().to_owned(),
            manifest: manifest.to_owned(),
            floor: house
                .and_then(|house| house.get("floor"))
                .and_then(Value::as_integer),
            takes_lints: lints.and_then(Value::as_bool) == Some(true),
            dependencies,
        }
    }
}

fn arrows(table: &Table) -> Vec<Dependency> {
    let kinds = [
        ("dependencies", false),
        ("build-dependencies", false),
        ("dev-dependencies", true),
    ];
    let mut arrows = Vec::new();
    for (kind, for_tests) in kinds {
        for (key, value) in table
            .get(kind)
            .and_then(Value::as_table)
            .into_iter()
            .flatten()
        {
            let renamed = value.get("package").and_then(Value::as_str);
            arrows.push(Dependency {
                package: renamed.unwrap_or(key).to_owned(),
                for_tests,
            });
        }
    }
    arrows
}

/// Climbing arrows, and pure crates with foreign company.
pub fn check(members: &[Member]) -> Vec<Finding> {
    let floors: BTreeMap<&str, Option<i64>> = members
        .iter()
        .map(|member| (member.name.as_str(), member.floor))
        .collect();
    let mut findings = Vec::new();
    for member in members {
        let mut complain =
            |message: String| findings.push(Finding::new("floors", &member.manifest, message));
        if member.floor.is_none() {
            complain("declares no floor: [package.metadata.house] floor = N".to_owned());
        }
        if !member.takes_lints {
            complain("does not take the workspace's lints: [lints] workspace = true".to_owned());
        }
        for dependency in &member.dependencies {
            complain_of(member, dependency, &floors)
                .into_iter()
                .for_each(&mut complain);
        }
    }
    findings
}

fn complain_of(
    member: &Member,
    dependency: &Dependency,
    floors: &BTreeMap<&str, Option<i64>>,
) -> Vec<String> {
    let package = dependency.package.as_str();
    let mut complaints: Vec<String> = NEVER
        .iter()
        .filter(|(from, to, _)| *from == member.name && *to == package)
        .map(|(_, _, why)| format!("must not use {package}: {why}"))
        .collect();
    let is_pure = purity::CRATES.contains(&member.name.as_str());
    match (floors.get(package), member.floor) {
        (Some(Some(theirs)), Some(ours)) if *theirs >= ours => {
            complaints.push(format!(
                "on floor {ours} must not use {package} on floor {theirs}"
            ));
        }
        (None, _) if is_pure && !dependency.for_tests && !SHORT_LIST.contains(&package) => {
            complaints.push(format!(
                "is pure and must not use {package}; it may use {SHORT_LIST:?}"
            ));
        }
        _ => {}
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, floor: i64, rest: &str) -> Member {
        let text = format!(
            "[package]\nname = \"{name}\"\n[package.metadata.house]\nfloor = {floor}\n\
             [lints]\nworkspace = true\n{rest}"
        );
        Member::new(
            &format!("{name}/Cargo.toml"),
            &text.parse().expect("a manifest"),
        )
    }

    fn complaints(rest_of_scsi: &str, rest_of_target: &str) -> usize {
        check(&[
            member("block", 0, "[dependencies]\nthiserror.workspace = true"),
            member("iscsi", 0, ""),
            member("scsi", 1, rest_of_scsi),
            member("gluster-mock", 3, ""),
            member("target", 3, rest_of_target),
        ])
        .len()
    }

    #[test]
    fn downward_is_fine() {
        let target = "[dependencies]\nscsi.workspace = true\ntokio = \"1\"\n";
        assert_eq!(
            complaints("[dependencies]\nblock.workspace = true", target),
            0
        );
    }

    #[test]
    fn climbing_is_found_in_every_kind_of_arrow() {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            assert_eq!(
                complaints(&format!("[{kind}]\ntarget.workspace = true"), ""),
                1,
                "{kind}"
            );
        }
        let renamed = "[dependencies]\nshell = { package = \"target\", path = \"../target\" }";
        assert_eq!(complaints(renamed, ""), 1);
        let platform = "[target.'cfg(unix)'.dependencies]\ntarget.workspace = true";
        assert_eq!(complaints(platform, ""), 1);
    }

    #[test]
    fn neighbours_are_strangers() {
        assert_eq!(complaints("", "[dependencies]\ninitiator-sim = \"1\""), 1);
        // Both a climb (same floor) and a matter of principle.
        assert_eq!(
            complaints("", "[dev-dependencies]\ngluster-mock.workspace = true"),
            2
        );
    }

    #[test]
    fn pure_crates_keep_to_the_short_list() {
        assert_eq!(complaints("[dependencies]\ntokio = \"1\"", ""), 1);
        assert_eq!(complaints("[dependencies]\nzerocopy = \"1\"", ""), 0);
        assert_eq!(complaints("[dev-dependencies]\nproptest = \"1\"", ""), 0);
    }

    #[test]
    fn a_floor_and_the_lints_are_not_optional() {
        let bare: Table = "[package]\nname = \"bare\"\n".parse().expect("a manifest");
        assert_eq!(check(&[Member::new("bare/Cargo.toml", &bare)]).len(), 2);
    }
}
