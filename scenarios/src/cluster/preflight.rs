//! What this machine must have before there can be a cluster: one message for each thing that is
//! missing, with the remedy.

use std::path::Path;
use std::process::{Command, Stdio};

use testcontainers::core::client::docker_client_instance;

use super::recipe::{self, Suite};

/// What is missing; empty when a cluster can be had, and clients of it on this machine.
pub fn missing() -> Vec<String> {
    let mut missing = missing_for_containers(Suite::Bookworm);
    if glfs_sys::Api::load().is_err() {
        missing.push("needs libgfapi, for glintd: apt-get install libgfapi0".to_owned());
    }
    if !has_translators() {
        missing.push(
            "needs the translators that libgfapi loads: apt-get install glusterfs-common"
                .to_owned(),
        );
    }
    missing
}

/// What is missing for the container alone.
pub(super) fn missing_for_containers(suite: Suite) -> Vec<String> {
    let mut missing = Vec::new();
    match has_image(suite) {
        Ok(true) => {}
        // Without the image it has to be made.
        Ok(false) if !starts("mmdebstrap") => missing.push(
            "needs mmdebstrap to make the image of the container: apt-get install mmdebstrap"
                .to_owned(),
        ),
        Ok(false) => {}
        Err(why) => missing.push(docker_remedy(&why)),
    }
    missing
}

fn has_image(suite: Suite) -> Result<bool, String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|why| why.to_string())?;
    runtime.block_on(async {
        let docker = docker_client_instance()
            .await
            .map_err(|why| why.to_string())?;
        docker.ping().await.map_err(|why| whole(&why))?;
        recipe::is_there(&docker, suite)
            .await
            .map_err(|why| why.to_string())
    })
}

/// An error with all its causes.
fn whole(why: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(why), |why| why.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    causes.join(": ")
}

/// No program, no daemon, or no permission.
fn docker_remedy(why: &str) -> String {
    if !starts("docker") {
        return "needs Docker: apt-get install docker.io, and its daemon running".to_owned();
    }
    if why.contains("ermission denied") {
        return format!(
            "needs permission to use Docker ({why}): run as root, or join the group: \
             usermod -aG docker $USER"
        );
    }
    format!("needs the Docker daemon, which does not answer ({why}): systemctl start docker")
}

fn starts(program: &str) -> bool {
    let tried = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    tried.is_ok()
}

/// Debian puts them in the folder of libraries, in one named for the version.
fn has_translators() -> bool {
    let libraries = [
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib64",
    ];
    libraries.into_iter().any(|folder| {
        let versions = Path::new(folder).join("glusterfs").read_dir();
        versions.is_ok_and(|mut versions| {
            versions.any(|version| {
                version.is_ok_and(|version| version.path().join("xlator/mount/api.so").exists())
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_fits_what_is_wrong() {
        if !starts("docker") {
            assert!(docker_remedy("anything").contains("apt-get install"));
            return;
        }
        assert!(docker_remedy("Permission denied (os error 13)").contains("usermod"));
        assert!(docker_remedy("No such file or directory").contains("systemctl start docker"));
    }
}
