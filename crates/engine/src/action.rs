//! Everything an entity can want done.

use std::collections::VecDeque;
use std::sync::Arc;

use block::{Op, Slice, Ticket};
use iscsi::{Bhs, Digests};

use crate::config::NodeConfig;
use crate::event::Event;
use crate::input::{ConnId, Handover, Moment, SessionId, ToLogin, ToNode, ToSession};
use crate::units::UnitId;

/// One thing to be done, in the order given.
#[derive(Debug)]
pub enum Action {
    /// Put a PDU on the connection's send queue.
    Send {
        /// Which connection.
        conn: ConnId,
        /// Its header; lengths and digests are filled in by the outbox.
        bhs: Bhs,
        /// Its data segment.
        body: Body,
        /// The digests this PDU carries.
        digests: Digests,
    },
    /// Give an operation to storage. Answered by one `Input::Completed`.
    Submit {
        /// The operation's name.
        ticket: Ticket,
        /// Whose image.
        unit: UnitId,
        /// What to do.
        op: Op,
    },
    /// Close the connection, after everything queued on it was sent; `Input::Lost` follows.
    Close {
        /// Which connection.
        conn: ConnId,
    },
    /// Send `Input::Due` at this moment; replaces an earlier wish. `None`: not at all.
    WakeAt(Option<Moment>),
    /// Tell the node.
    ToNode(ToNode),
    /// Tell the login that runs on a connection. A login that is gone is no error.
    ToLogin(ConnId, ToLogin),
    /// Tell a session. A session that is gone is no error.
    ToSession(SessionId, ToSession),
    /// Logins that begin from now on are judged by this configuration.
    Adopt(Arc<NodeConfig>),
    /// Every session that goes on does so with the configuration of this version.
    Heard {
        /// Which.
        version: u64,
    },
    /// No session has this unit any more, nor a ticket in flight on it: its image may be closed.
    Vacated {
        /// Which unit.
        unit: UnitId,
        /// The configuration that took it away.
        version: u64,
    },
    /// This login is over and a new session starts from it, on the same connection.
    Become(Box<Handover>),
    /// This login is over; connection and handover go to a session that exists.
    HandOver(Box<Handover>),
    /// This entity is finished and may be dropped once its connection is closed.
    End,
    /// Something worth telling the operator.
    Event(Event),
}

/// The data segment of a PDU to be sent.
#[derive(Debug)]
pub enum Body {
    /// None.
    Empty,
    /// Small, copied into the send queue.
    Inline(Vec<u8>),
    /// A part of a storage buffer, sent from where it lies.
    Shared(Slice),
}

/// What one `handle` wants done, first in, first out. Reused from turn to turn.
#[derive(Debug, Default)]
pub struct Actions {
    queue: VecDeque<Action>,
}

impl Actions {
    /// No actions.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next action to carry out.
    pub fn pop(&mut self) -> Option<Action> {
        self.queue.pop_front()
    }

    /// Whether all were carried out.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn push(&mut self, action: Action) {
        self.queue.push_back(action);
    }

    pub(crate) fn extend(&mut self, actions: impl IntoIterator<Item = Action>) {
        self.queue.extend(actions);
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.queue.push_back(Action::Event(event));
    }
}
