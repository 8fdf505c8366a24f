//! What happens, as one line each for the person who runs this.
//!
//! Knows the words and the levels, nothing else. Never prints secrets: events hold none.

use std::io::IsTerminal;
use std::net::SocketAddr;

use engine::Event;
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

/// Logs to standard error. `RUST_LOG` wins over `level`.
///
/// # Errors
/// When `level` is no filter.
pub fn start_log(level: &str) -> Result<(), String> {
    let filter = match std::env::var(EnvFilter::DEFAULT_ENV) {
        Ok(filter) if !filter.is_empty() => EnvFilter::try_new(filter),
        _ => EnvFilter::try_new(level),
    };
    let filter = filter.map_err(|why| why.to_string())?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // A second server in one process logs where the first one does.
    log.try_init().ok();
    Ok(())
}

/// Tells one event. `peer` is the address at the other end, where it is known.
pub(crate) fn tell(event: &Event, peer: Option<SocketAddr>) {
    let peer = peer.map_or_else(|| "an unknown address".to_owned(), |peer| peer.to_string());
    match event {
        Event::LoginRefused {
            initiator,
            status,
            why,
            ..
        } => {
            let who = initiator
                .as_ref()
                .map_or("an initiator without a name", |name| name.as_str());
            warn!("login of {who} from {peer} refused: {why} ({status})");
        }
        Event::LoginDropped { why, .. } => info!("connection from {peer} dropped: {why}"),
        Event::SessionStarted {
            initiator,
            target: Some(target),
            tsih,
            ..
        } => {
            info!(
                "{initiator} from {peer} logged in to {target} (session {})",
                tsih.0
            );
        }
        Event::SessionStarted {
            initiator,
            target: None,
            tsih,
            ..
        } => {
            info!(
                "{initiator} from {peer} discovers targets (session {})",
                tsih.0
            );
        }
        Event::SessionEnded { tsih, why } => info!("session {} ended: {why}", tsih.0),
        Event::Rejected { tsih, reason, why } => {
            warn!(
                "session {}: a request was rejected: {why} ({reason})",
                tsih.0
            );
        }
        Event::Malformed { what, .. } => warn!("{peer} does not speak iSCSI: {what}"),
        Event::ConnectionDropped { why, .. } => warn!("connection from {peer} dropped: {why}"),
        Event::StorageFault {
            tsih,
            lun,
            itt,
            fault,
        } => {
            let lun = lun
                .number()
                .map_or_else(|| format!("{:#x}", lun.0), |lun| lun.to_string());
            warn!(
                "session {}: LUN {lun}, command {:#x}: {fault}",
                tsih.0, itt.0
            );
        }
        Event::TaskManagement {
            tsih,
            function,
            lun,
            response,
        } => {
            let lun = lun
                .number()
                .map_or_else(|| format!("{:#x}", lun.0), |lun| lun.to_string());
            info!("session {}: {function} on LUN {lun}: {response}", tsih.0);
        }
    }
}
