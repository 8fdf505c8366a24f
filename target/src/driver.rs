//! *The* loop: wait, one input, `handle`, carry out its actions; and one vectored write per turn.
//!
//! One task per connection in login, which becomes the task of the session it opens; one task for
//! the node. They only move bytes, tickets, moments and messages; what any of it means is the
//! engine's business. Nothing here awaits inside a turn: a turn is a poll.

mod accept;
mod directory;
mod login;
mod node;
mod session;
mod socket;
mod submits;
mod timer;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::{Action, Event, NodeConfig, ToNode};

use tokio::sync::watch;

use crate::clock::Clock;
use crate::observe::Journal;
use crate::units::UnitTable;

pub(crate) use accept::accept;
pub(crate) use directory::Directory;
pub(crate) use node::run_node;

/// What all tasks of one server share.
pub(crate) struct Shell {
    /// What logins that begin are judged by.
    config: Mutex<Arc<NodeConfig>>,
    pub(crate) units: Arc<UnitTable>,
    pub(crate) directory: Directory,
    pub(crate) clock: Clock,
    pub(crate) journal: Journal,
    /// The last configuration every session goes on with.
    heard: watch::Sender<u64>,
}

impl std::fmt::Debug for Shell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shell").finish_non_exhaustive()
    }
}

impl Shell {
    pub(crate) fn new(config: NodeConfig, units: UnitTable, directory: Directory) -> Self {
        Self {
            config: Mutex::new(Arc::new(config)),
            units: Arc::new(units),
            directory,
            clock: Clock::start(),
            journal: Journal::default(),
            heard: watch::Sender::new(0),
        }
    }

    /// Tells the node what holds from now on; initiators that are sent away have `grace` to go.
    pub(crate) fn configure(&self, config: NodeConfig, grace: Duration) {
        let config = Arc::new(config);
        self.directory
            .tell_node(ToNode::Configure { config, grace });
    }

    /// Waits until every session that goes on does so with the configuration of that `version`.
    pub(crate) async fn heard(&self, version: u64) {
        let mut heard = self.heard.subscribe();
        // It cannot end before we do: we hold the other end.
        heard.wait_for(|heard| *heard >= version).await.ok();
    }

    fn config(&self) -> Arc<NodeConfig> {
        Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn adopt(&self, config: Arc<NodeConfig>) {
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = config;
    }

    /// Carries out an action that is the same whoever wants it, or gives it back.
    fn route(&self, action: Action) -> Option<Action> {
        match action {
            Action::ToNode(message) => self.directory.tell_node(message),
            Action::ToLogin(conn, message) => self.directory.tell_login(conn, message),
            Action::ToSession(session, message) => self.directory.tell_session(session, message),
            other => return Some(other),
        }
        None
    }
}

/// An action that this entity cannot want.
fn misplaced(entity: &str, action: &Action) {
    debug_assert!(false, "{entity} cannot want {action:?}");
    tracing::error!("bug: {entity} asked for something it cannot have");
}

/// The connection an event is about.
fn conn_of(event: &Event) -> Option<engine::ConnId> {
    match event {
        Event::LoginRefused { conn, .. }
        | Event::LoginDropped { conn, .. }
        | Event::SessionStarted { conn, .. }
        | Event::Malformed { conn, .. }
        | Event::ConnectionDropped { conn, .. } => Some(*conn),
        Event::SessionEnded { .. }
        | Event::Rejected { .. }
        | Event::StorageFault { .. }
        | Event::TaskManagement { .. } => None,
    }
}
