//! The image: Debian and its Gluster, made on the spot and kept by Docker under a tag that names
//! the recipe, so that the next run finds it.

use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};

use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};
use testcontainers::bollard::{self, Docker, body_stream, query_parameters::CreateImageOptions};

use super::ClusterError;

/// The name of every image made here.
pub(super) const NAME: &str = "glint-gluster";

/// A release of Debian, for the Gluster that comes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// Gluster 10.3.
    Bookworm,
    /// Gluster 11.1. Its archive is signed by keys that debian-archive-keyring has since
    /// 2023.3+deb12u2.
    Trixie,
}

impl Suite {
    fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }

    /// The Gluster in it.
    pub fn gluster(self) -> &'static str {
        match self {
            Self::Bookworm => "10.3",
            Self::Trixie => "11.1",
        }
    }
}

/// `apt` rather than `minbase`: a container needs none of what makes a machine.
const ARGUMENTS: [&str; 2] = ["--variant=apt", "--include=glusterfs-server"];

/// Bytes handed to Docker at a time.
const CHUNK: usize = 1 << 20;

/// Names suite and recipe.
pub(super) fn tag(suite: Suite) -> String {
    let suite = suite.name();
    let recipe = format!("mmdebstrap {} {suite}", ARGUMENTS.join(" "));
    let hash = Sha256::digest(recipe);
    let digits: String = hash[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{suite}-{digits}")
}

/// Whether Docker has the image.
pub(super) async fn is_there(docker: &Docker, suite: Suite) -> Result<bool, ClusterError> {
    match docker
        .inspect_image(&format!("{NAME}:{}", tag(suite)))
        .await
    {
        Ok(_) => Ok(true),
        Err(bollard::errors::Error::DockerResponseServerError {
            status_code: 404, ..
        }) => Ok(false),
        Err(why) => Err(ClusterError::docker("ask for an image")(why)),
    }
}

/// Makes the image, in about half a minute.
pub(super) async fn make(docker: &Docker, suite: Suite) -> Result<(), ClusterError> {
    let failed = |why: String| ClusterError::Image {
        image: format!("{NAME}:{}", tag(suite)),
        why,
    };
    let folder = tempfile::tempdir().map_err(ClusterError::system("make a folder"))?;
    let archive = folder.path().join("root.tar");
    let output = Command::new("mmdebstrap")
        .args(ARGUMENTS)
        .arg(suite.name())
        .arg(&archive)
        .stdin(Stdio::null())
        .output()
        .map_err(ClusterError::system("start mmdebstrap"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last: Vec<&str> = said.lines().rev().take(8).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        return Err(failed(format!(
            "mmdebstrap: {}\n{}",
            output.status,
            last.join("\n")
        )));
    }
    let mut file = File::open(&archive).map_err(ClusterError::system("open the archive"))?;
    let chunks = std::iter::from_fn(move || {
        let mut chunk = vec![0; CHUNK];
        // An archive that ends early is refused by Docker.
        let got = file.read(&mut chunk).ok().filter(|got| *got > 0)?;
        chunk.truncate(got);
        Some(chunk.into())
    });
    let options = CreateImageOptions {
        from_src: Some("-".to_owned()),
        repo: Some(NAME.to_owned()),
        tag: Some(tag(suite)),
        ..CreateImageOptions::default()
    };
    let mut progress = docker
        .create_image(Some(options), Some(body_stream(stream::iter(chunks))), None)
        .boxed();
    while let Some(step) = progress.next().await {
        step.map_err(|why| failed(format!("docker import: {why}")))?;
    }
    Ok(())
}
