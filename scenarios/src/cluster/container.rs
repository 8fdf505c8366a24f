//! The container: started, told commands, swept.

use std::collections::HashMap;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use testcontainers::bollard::Docker;
use testcontainers::bollard::models::{Mount, MountType};
use testcontainers::bollard::query_parameters::{ListContainersOptions, RemoveContainerOptions};
use testcontainers::core::ExecCommand;
use testcontainers::core::client::docker_client_instance;
use testcontainers::runners::SyncRunner;
use testcontainers::{Container, GenericImage, ImageExt};

use super::owner::{self, Owner};
use super::recipe::{self, Suite};
use super::{ClusterError, Volume, preflight};

/// From the start of the container to a glusterd that answers.
const READY_LIMIT: Duration = Duration::from_secs(30);
/// Between two looks at something that is to come about.
const POLL: Duration = Duration::from_millis(100);
/// How long a command may be refused because another is under way in glusterd.
const BUSY_LIMIT: Duration = Duration::from_secs(30);

/// A glusterd and its bricks in one container. Dropped, all of it is gone.
pub struct Cluster {
    container: Container<GenericImage>,
    address: IpAddr,
}

impl Cluster {
    /// Starts one, after sweeping what runs that died left behind. Makes the image if need be.
    pub fn start() -> Result<Self, ClusterError> {
        let missing = preflight::missing();
        if !missing.is_empty() {
            return Err(ClusterError::Missing(missing.join("\n")));
        }
        let container = launch(Suite::Bookworm, &["glusterd", "-N"], None)?;
        let address = container
            .get_bridge_ip_address()
            .map_err(ClusterError::docker("ask for an address"))?;
        let cluster = Self { container, address };
        poll("glusterd answers", READY_LIMIT, || {
            match cluster.run(&["gluster", "--mode=script", "volume", "list"]) {
                Ok(_) => Ok(None),
                Err(why) => Ok(Some(why.to_string())),
            }
        })?;
        Ok(cluster)
    }

    /// Where glusterd and the bricks listen.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// A new volume with the options we recommend, started, all its bricks there.
    pub fn volume(self: &Arc<Self>, name: &str) -> Result<Volume, ClusterError> {
        Volume::create(Arc::clone(self), name)
    }

    /// `gluster` with these words; asked again while glusterd is busy with another command.
    pub fn gluster(&self, words: &[&str]) -> Result<String, ClusterError> {
        let command = [&["gluster", "--mode=script"], words].concat();
        let deadline = Instant::now() + BUSY_LIMIT;
        loop {
            match self.run(&command) {
                Err(ClusterError::Command { output, .. })
                    if output.contains("Another transaction") && Instant::now() < deadline =>
                {
                    thread::sleep(POLL);
                }
                other => return other,
            }
        }
    }

    /// Runs a command and gives what it printed.
    pub fn run(&self, command: &[&str]) -> Result<String, ClusterError> {
        let words = command.iter().map(|word| (*word).to_owned());
        let mut running = self
            .container
            .exec(ExecCommand::new(words))
            .map_err(ClusterError::docker("run a command"))?;
        let mut output = String::new();
        let read = |from: &mut dyn Read, into: &mut String| {
            from.read_to_string(into)
                .map_err(ClusterError::system("read what a command says"))
        };
        read(&mut running.stdout(), &mut output)?;
        read(&mut running.stderr(), &mut output)?;
        let code = running
            .exit_code()
            .map_err(ClusterError::docker("ask how a command ended"))?;
        match code {
            Some(0) => Ok(output),
            code => Err(ClusterError::Command {
                command: command.join(" "),
                code: code.unwrap_or(-1),
                output,
            }),
        }
    }
}

/// A container of a release that runs this command; a file of this machine may be in it.
pub(super) fn launch(
    suite: Suite,
    command: &[&str],
    file: Option<(&Path, &str)>,
) -> Result<Container<GenericImage>, ClusterError> {
    prepare(suite)?;
    let owner = Owner::this().map_err(ClusterError::system("know this process"))?;
    // A volume of the container's own: its upper layer is slow, and no file system of this machine
    // gets trusted.* attributes.
    let mut mounts = vec![Mount {
        target: Some("/data".to_owned()),
        typ: Some(MountType::VOLUME),
        ..Mount::default()
    }];
    mounts.extend(file.map(|(here, there)| Mount {
        source: Some(here.to_string_lossy().into_owned()),
        target: Some(there.to_owned()),
        typ: Some(MountType::BIND),
        read_only: Some(true),
        ..Mount::default()
    }));
    GenericImage::new(recipe::NAME, &recipe::tag(suite))
        .with_cmd(command.iter().copied())
        // For trusted.* attributes, and nothing else: --privileged is not needed.
        .with_cap_add("SYS_ADMIN")
        .with_network("bridge")
        .with_label(owner::LABEL, owner.label())
        .with_host_config_modifier(move |host| {
            // A killed brick that nobody reaps is taken for alive.
            host.init = Some(true);
            host.mounts.get_or_insert_default().extend(mounts.clone());
        })
        .start()
        .map_err(ClusterError::docker("start a container"))
}

/// Everything that comes before the container, on a runtime of its own.
fn prepare(suite: Suite) -> Result<(), ClusterError> {
    let runtime =
        tokio::runtime::Runtime::new().map_err(ClusterError::system("start a runtime"))?;
    runtime.block_on(async {
        let docker = docker_client_instance()
            .await
            .map_err(ClusterError::docker("connect"))?;
        sweep(&docker).await?;
        match recipe::is_there(&docker, suite).await? {
            true => Ok(()),
            false => recipe::make(&docker, suite).await,
        }
    })
}

/// Removes the containers of runs that died, ours only.
async fn sweep(docker: &Docker) -> Result<(), ClusterError> {
    let options = ListContainersOptions {
        all: true,
        filters: Some(HashMap::from([(
            "label".to_owned(),
            vec![owner::LABEL.to_owned()],
        )])),
        ..ListContainersOptions::default()
    };
    let found = docker
        .list_containers(Some(options))
        .await
        .map_err(ClusterError::docker("list containers"))?;
    for container in found {
        let label = container.labels.unwrap_or_default().remove(owner::LABEL);
        let dead = label.is_some_and(|label| owner::is_dead(&label));
        if let (Some(id), true) = (container.id, dead) {
            let options = RemoveContainerOptions {
                force: true,
                v: true,
                ..RemoveContainerOptions::default()
            };
            // Another run may sweep at the same time: then it is gone as well.
            docker.remove_container(&id, Some(options)).await.ok();
        }
    }
    Ok(())
}

/// Looks until `look` has nothing more to say.
pub(super) fn poll(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<Option<String>, ClusterError>,
) -> Result<(), ClusterError> {
    let deadline = Instant::now() + limit;
    loop {
        let Some(seen) = look()? else { return Ok(()) };
        if Instant::now() > deadline {
            return Err(ClusterError::Late {
                what: what.to_owned(),
                limit,
                seen,
            });
        }
        thread::sleep(POLL);
    }
}
