//! SIGHUP: the configuration file again, while the server runs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::ServerConfig;
use crate::server::Server;

/// Reads the file and takes over what it says; a file that cannot be taken over changes nothing.
pub(super) async fn reread(server: &mut Server, path: Option<&Path>) {
    let Some(path) = path else {
        return tracing::warn!("SIGHUP ignored: a trial has no configuration file to re-read");
    };
    let Some(config) = load(path.to_owned()).await else {
        return;
    };
    match server.reload(config).await {
        Ok(reloaded) => {
            tracing::info!("configuration re-read: {reloaded}");
            if !reloaded.restart_needed.is_empty() {
                let keys = reloaded.restart_needed.join(", ");
                tracing::warn!("restart needed for: {keys}");
            }
            for name in &reloaded.still_open {
                tracing::warn!("{name} is gone, but storage holds up its closing");
            }
        }
        Err(why) => tracing::error!("configuration not re-read, nothing changes: {why}"),
    }
}

/// How long the file may take to be read: it may be on storage that hangs, too.
const READ_WAIT: Duration = Duration::from_secs(10);

async fn load(path: PathBuf) -> Option<ServerConfig> {
    let loaded = tokio::task::spawn_blocking(move || {
        let config = ServerConfig::load(&path);
        config.inspect(|config| super::warn_if_readable(&path, config))
    });
    let why = match tokio::time::timeout(READ_WAIT, loaded).await {
        Ok(Ok(Ok(config))) => return Some(config),
        Ok(Ok(Err(why))) => why.to_string(),
        Ok(Err(_)) => "bug: reading it panicked".to_owned(),
        Err(_) => format!("the file is not read within {READ_WAIT:?}"),
    };
    tracing::error!("configuration not re-read, nothing changes: {why}");
    None
}
