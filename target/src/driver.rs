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

use std::sync::Arc;

use engine::{Action, Event, NodeConfig};

use crate::clock::Clock;
use crate::observe::Journal;
use crate::units::UnitTable;

pub(crate) use accept::accept;
pub(crate) use directory::Directory;
pub(crate) use node::run_node;

/// What all tasks of one server share.
pub(crate) struct Shell {
    pub(crate) config: Arc<NodeConfig>,
    pub(crate) units: Arc<UnitTable>,
    pub(crate) directory: Directory,
    pub(crate) clock: Clock,
    pub(crate) journal: Journal,
}

impl std::fmt::Debug for Shell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shell").finish_non_exhaustive()
    }
}

impl Shell {
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
