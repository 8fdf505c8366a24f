//! Who can be told what: the inboxes of all entities, by name.
//!
//! It is also the list of half-open logins, and so the place that bounds them. Telling somebody who
//! is gone is no error. Locks are held for one look-up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::{ConnId, Handover, SessionId, ToLogin, ToNode, ToSession};
use tokio::sync::Notify;

use super::socket::Socket;
use crate::inbox::Inbox;

/// What arrives for a login.
pub(super) enum LoginMail {
    /// From another entity.
    Told(ToLogin),
    /// There are too many logins and this is the oldest, or the server stops.
    Evict,
}

/// What arrives for a session.
pub(super) enum SessionMail {
    /// From another entity.
    Told(ToSession),
    /// A connection that logged in elsewhere.
    Arrived(Box<Handover>, Box<Socket>),
    /// Stop without a word.
    Abandon,
}

pub(super) type LoginInbox = Arc<Inbox<LoginMail>>;
pub(super) type SessionInbox = Arc<Inbox<SessionMail>>;

pub(crate) struct Directory {
    node: Inbox<ToNode>,
    half_open_max: AtomicUsize,
    logins: Mutex<Logins>,
    sessions: Mutex<Sessions>,
    changed: Notify,
}

#[derive(Default)]
struct Logins {
    last: u64,
    inboxes: BTreeMap<ConnId, LoginInbox>,
}

#[derive(Default)]
struct Sessions {
    inboxes: BTreeMap<SessionId, SessionInbox>,
    /// Set once the server stops: how long a session that starts only now has.
    leaving: Option<Duration>,
    abandoned: bool,
}

impl Directory {
    pub(crate) fn new(half_open_max: usize) -> Self {
        Self {
            node: Inbox::default(),
            half_open_max: AtomicUsize::new(half_open_max),
            logins: Mutex::default(),
            sessions: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Takes effect with the next connection.
    pub(crate) fn set_half_open_max(&self, half_open_max: usize) {
        self.half_open_max.store(half_open_max, Ordering::Relaxed);
    }

    pub(super) fn node(&self) -> &Inbox<ToNode> {
        &self.node
    }

    pub(super) fn tell_node(&self, message: ToNode) {
        self.node.post(message);
    }

    pub(super) fn tell_login(&self, conn: ConnId, message: ToLogin) {
        let inbox = lock(&self.logins).inboxes.get(&conn).cloned();
        if let Some(inbox) = inbox {
            inbox.post(LoginMail::Told(message));
        }
    }

    pub(super) fn tell_session(&self, session: SessionId, message: ToSession) {
        self.post_session(session, SessionMail::Told(message));
    }

    /// A socket for a session that is gone is closed.
    pub(super) fn post_session(&self, session: SessionId, mail: SessionMail) {
        let inbox = lock(&self.sessions).inboxes.get(&session).cloned();
        if let Some(inbox) = inbox {
            inbox.post(mail);
        }
    }

    /// Names a new connection. Where there are too many in login, the oldest has to go: it had the
    /// longest time, so whoever leaves logins half open gets in nobody's way.
    pub(super) fn add_login(&self) -> (ConnId, LoginInbox) {
        let inbox = LoginInbox::default();
        let (conn, evicted) = {
            let mut logins = lock(&self.logins);
            logins.last += 1;
            let conn = ConnId(logins.last);
            let full = logins.inboxes.len() >= self.half_open_max.load(Ordering::Relaxed);
            let evicted = if full {
                logins.inboxes.pop_first()
            } else {
                None
            };
            logins.inboxes.insert(conn, Arc::clone(&inbox));
            (conn, evicted)
        };
        if let Some((_, evicted)) = evicted {
            evicted.post(LoginMail::Evict);
        }
        (conn, inbox)
    }

    /// Ends the login that has lasted longest; whether there was one.
    pub(super) fn evict_login(&self) -> bool {
        let evicted = lock(&self.logins).inboxes.pop_first();
        evicted
            .map(|(_, inbox)| inbox.post(LoginMail::Evict))
            .is_some()
    }

    pub(super) fn remove_login(&self, conn: ConnId) {
        lock(&self.logins).inboxes.remove(&conn);
        self.changed.notify_waiters();
    }

    pub(super) fn add_session(&self, session: SessionId) -> SessionInbox {
        let inbox = SessionInbox::default();
        let mut sessions = lock(&self.sessions);
        sessions.inboxes.insert(session, Arc::clone(&inbox));
        if let Some(grace) = sessions.leaving {
            inbox.post(shutdown(grace));
        }
        if sessions.abandoned {
            inbox.post(SessionMail::Abandon);
        }
        inbox
    }

    pub(super) fn remove_session(&self, session: SessionId) {
        lock(&self.sessions).inboxes.remove(&session);
        self.changed.notify_waiters();
    }

    /// Tells everybody, now and from now on, that the server goes away.
    pub(crate) fn leave(&self, grace: Duration) {
        while self.evict_login() {}
        let inboxes: Vec<_> = {
            let mut sessions = lock(&self.sessions);
            sessions.leaving = Some(grace);
            sessions.inboxes.values().cloned().collect()
        };
        for inbox in inboxes {
            inbox.post(shutdown(grace));
        }
    }

    /// Waits until no session is left.
    pub(crate) async fn emptied(&self) {
        loop {
            let changed = self.changed.notified();
            if lock(&self.sessions).inboxes.is_empty() {
                return;
            }
            changed.await;
        }
    }

    /// Ends everything at once and without a word.
    pub(crate) fn abandon(&self) {
        while self.evict_login() {}
        let inboxes: Vec<_> = {
            let mut sessions = lock(&self.sessions);
            sessions.abandoned = true;
            sessions.inboxes.values().cloned().collect()
        };
        for inbox in inboxes {
            inbox.post(SessionMail::Abandon);
        }
    }
}

fn shutdown(grace: Duration) -> SessionMail {
    let why = "the target is going away";
    SessionMail::Told(ToSession::Shutdown { grace, why })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evicted(inbox: &LoginInbox) -> bool {
        let mut mail = Vec::new();
        inbox.take(&mut mail);
        mail.iter().any(|mail| matches!(mail, LoginMail::Evict))
    }

    #[test]
    fn one_login_too_many_costs_the_oldest() {
        let directory = Directory::new(3);
        let logins: Vec<_> = (0..4).map(|_| directory.add_login()).collect();
        let gone: Vec<_> = logins.iter().map(|(_, inbox)| evicted(inbox)).collect();
        assert_eq!(gone, [true, false, false, false]);
        directory.remove_login(logins[1].0);
        let (_, next) = directory.add_login();
        assert!(
            !evicted(&logins[2].1) && !evicted(&next),
            "there was room again"
        );
    }

    #[test]
    fn a_session_that_starts_while_the_server_stops_hears_of_it() {
        let directory = Directory::new(3);
        let early = directory.add_session(SessionId(1));
        directory.leave(Duration::from_secs(1));
        let late = directory.add_session(SessionId(2));
        for inbox in [early, late] {
            let mut mail = Vec::new();
            inbox.take(&mut mail);
            assert!(matches!(
                mail[..],
                [SessionMail::Told(ToSession::Shutdown { .. })]
            ));
        }
    }
}
