//! SIGHUP: the configuration file again, while the server runs.

use std::path::{Path, PathBuf};

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

/// Files may be on storage that hangs, too.
async fn load(path: PathBuf) -> Option<ServerConfig> {
    let loaded = tokio::task::spawn_blocking(move || {
        let config = ServerConfig::load(&path);
        config.inspect(|config| super::warn_if_readable(&path, config))
    });
    match loaded.await {
        Ok(Ok(config)) => Some(config),
        Ok(Err(why)) => {
            tracing::error!("configuration not re-read, nothing changes: {why}");
            None
        }
        Err(_) => {
            tracing::error!("bug: reading the configuration panicked; nothing changes");
            None
        }
    }
}
