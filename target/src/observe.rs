//! What happens, as one line each for the person who runs this.
//!
//! Knows the words and the levels, nothing else. Never prints secrets: events hold none.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use engine::{Event, Moment};
use iscsi::Lun;
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

/// The log as the driver sees it: every event a line, as long as they do not come in floods.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    peers: Mutex<Budget>,
    /// Apart from the peers', so that no noise of theirs hides a failing disk.
    storage: Mutex<Budget>,
}

impl Journal {
    /// Tells one event. `peer` is the address at the other end, where it is known.
    pub(crate) fn tell(&self, now: Moment, event: &Event, peer: Option<SocketAddr>) {
        let budget = match event {
            Event::StorageFault { .. } => &self.storage,
            _ => &self.peers,
        };
        let granted = budget
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(now);
        match granted {
            Some(0) => tell(event, peer),
            Some(withheld) => {
                warn!("{withheld} lines came too fast and are not shown");
                tell(event, peer);
            }
            None => {}
        }
    }
}

/// Lines that may be written at once, and per second after that: what a person can follow, and what
/// no disk for logs minds.
const LINES_MAX: u64 = 200;
const LINES_PER_SECOND: u64 = 20;

#[derive(Debug)]
struct Budget {
    lines: u64,
    filled: Moment,
    withheld: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            lines: LINES_MAX,
            filled: Moment::default(),
            withheld: 0,
        }
    }
}

impl Budget {
    /// Whether a line may be written, and if so, how many were not since the last one.
    fn take(&mut self, now: Moment) -> Option<u64> {
        const LINE_NANOS: u64 = 1_000_000_000 / LINES_PER_SECOND;
        let earned = now.0.saturating_sub(self.filled.0) / LINE_NANOS;
        self.lines = LINES_MAX.min(self.lines + earned);
        self.filled = Moment(self.filled.0 + earned * LINE_NANOS);
        if self.lines == 0 {
            self.withheld += 1;
            return None;
        }
        self.lines -= 1;
        Some(std::mem::take(&mut self.withheld))
    }
}

fn tell(event: &Event, peer: Option<SocketAddr>) {
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
            target,
            tsih,
            ..
        } => {
            let does = target.as_ref().map_or_else(
                || "discovers targets".to_owned(),
                |target| format!("logged in to {target}"),
            );
            info!("{initiator} from {peer} {does} (session {})", tsih.0);
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
            let lun = shown(*lun);
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
            let lun = shown(*lun);
            info!("session {}: {function} on LUN {lun}: {response}", tsih.0);
        }
    }
}

/// A LUN by its number, where it has one.
fn shown(lun: Lun) -> String {
    lun.number()
        .map_or_else(|| format!("{:#x}", lun.0), |number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let mut budget = Budget::default();
        let written = (0..1000)
            .filter(|_| budget.take(Moment(5)).is_some())
            .count();
        assert_eq!(written, 200);
        let second = Moment(1_000_000_005);
        assert_eq!(budget.take(second), Some(800));
        let written = (0..1000).filter(|_| budget.take(second).is_some()).count();
        assert_eq!(written, 19);
        let much_later = Moment(1 << 50);
        assert_eq!(budget.take(much_later), Some(981));
        assert_eq!(budget.take(much_later), Some(0));
    }
}
