//! The task of a connection that is logging in.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use engine::{Action, Actions, ConnId, Handover, Input, Login, Moment, ToLogin, ToNode};

use super::directory::{LoginInbox, LoginMail};
use super::socket::{Got, Socket};
use super::timer::Timer;
use super::{Shell, misplaced};
use crate::entropy;

/// Turns before other tasks get theirs.
const TURNS_MAX: usize = 16;

/// What became of it.
pub(super) enum Outcome {
    /// No session.
    Over,
    /// A session of its own.
    Session(Box<Handover>, Socket),
    /// A connection for a session that exists.
    Joins(Box<Handover>, Socket),
}

/// Runs one login.
pub(super) async fn run_login(
    shell: &Arc<Shell>,
    socket: Socket,
    local: SocketAddr,
    inbox: LoginInbox,
) -> Outcome {
    let (conn, peer) = (socket.conn, socket.peer);
    let Some(entropy) = entropy::for_login() else {
        tracing::error!("connection from {peer} dropped: the system has no randomness to give");
        shell.directory.remove_login(conn);
        return Outcome::Over;
    };
    let mut actions = Actions::new();
    let config = shell.config();
    let login = Login::new(
        conn,
        local,
        config,
        entropy,
        shell.clock.now(),
        &mut actions,
    );
    let mut driver = LoginDriver {
        shell: Arc::clone(shell),
        conn,
        timer: Timer::new(shell.clock),
        wake_at: None,
        socket: Some(socket),
        login,
        inbox,
        mail: Vec::new(),
        actions,
        next: None,
        over: false,
    };
    poll_fn(|cx| driver.poll(cx)).await
}

struct LoginDriver {
    shell: Arc<Shell>,
    conn: ConnId,
    login: Login,
    socket: Option<Socket>,
    inbox: LoginInbox,
    mail: Vec<LoginMail>,
    actions: Actions,
    timer: Timer,
    wake_at: Option<Moment>,
    next: Option<Next>,
    over: bool,
}

enum Next {
    Session(Box<Handover>),
    Joins(Box<Handover>),
}

impl LoginDriver {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        for _ in 0..TURNS_MAX {
            let now = self.shell.clock.now();
            let busy = self.hear(cx, now) | self.look_at_clock(cx, now) | self.read(cx, now);
            self.act(now);
            if let Some(outcome) = self.outcome() {
                return Poll::Ready(outcome);
            }
            self.send(cx, now);
            if self.over && self.socket.is_none() {
                return Poll::Ready(Outcome::Over);
            }
            if !busy {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The login is over and its connection goes on elsewhere, with what is still to be sent.
    fn outcome(&mut self) -> Option<Outcome> {
        let next = self.next.take()?;
        let socket = self.socket.take()?;
        Some(match next {
            Next::Session(handover) => Outcome::Session(handover, socket),
            Next::Joins(handover) => Outcome::Joins(handover, socket),
        })
    }

    fn hear(&mut self, cx: &mut Context<'_>, now: Moment) -> bool {
        let mut mail = std::mem::take(&mut self.mail);
        let busy = self.inbox.poll_take(cx, &mut mail);
        for mail in mail.drain(..) {
            match mail {
                LoginMail::Told(message) => self.handle(now, Input::Message(message)),
                LoginMail::Evict => self.lose(now),
            }
        }
        self.mail = mail;
        busy
    }

    fn look_at_clock(&mut self, cx: &mut Context<'_>, now: Moment) -> bool {
        let closing = self.socket.as_ref().and_then(Socket::deadline);
        let wanted = self.wake_at.into_iter().chain(closing).min();
        let due = self.timer.poll_due(cx, now, wanted);
        if self.wake_at.is_some_and(|at| at <= now) {
            self.wake_at = None;
            self.handle(now, Input::Due);
        }
        due
    }

    fn read(&mut self, cx: &mut Context<'_>, now: Moment) -> bool {
        let Some(socket) = self.socket.as_mut().filter(|socket| socket.is_open()) else {
            return false;
        };
        let conn = socket.conn;
        let Some(space) = self.login.space() else {
            return false;
        };
        match socket.poll_read(cx, space) {
            Poll::Pending => return false,
            Poll::Ready(Got::Bytes(bytes)) => self.handle(now, Input::Received { conn, bytes }),
            Poll::Ready(Got::End) => self.lose(now),
        }
        true
    }

    fn handle(&mut self, now: Moment, input: Input<ToLogin>) {
        // Once the connection has gone on, the login is history.
        if self.next.is_none() {
            self.login.handle(now, input, &mut self.actions);
            self.act(now);
        }
    }

    fn act(&mut self, now: Moment) {
        while let Some(action) = self.actions.pop() {
            match self.shell.route(action) {
                None => {}
                Some(Action::Send {
                    bhs, body, digests, ..
                }) => {
                    if let Some(socket) = &mut self.socket {
                        socket.push(bhs, body, digests);
                    }
                }
                Some(Action::Close { .. }) => {
                    if let Some(socket) = &mut self.socket {
                        socket.close(now);
                    }
                }
                Some(Action::WakeAt(at)) => self.wake_at = at,
                Some(Action::Become(handover)) => self.next = Some(Next::Session(handover)),
                Some(Action::HandOver(handover)) => self.next = Some(Next::Joins(handover)),
                Some(Action::End) => self.over = true,
                Some(Action::Event(event)) => {
                    self.shell.journal.tell(
                        now,
                        &event,
                        self.socket.as_ref().map(|socket| socket.peer),
                    );
                }
                Some(other) => misplaced("a login", &other),
            }
        }
    }

    fn send(&mut self, cx: &mut Context<'_>, now: Moment) {
        let Some(socket) = &mut self.socket else {
            return;
        };
        let broken = socket.poll_send(cx, drop).is_err() || socket.overflowed();
        match broken {
            true => self.lose(now),
            false if socket.is_done(now) => {
                if let Some(socket) = self.socket.take() {
                    let conn = socket.conn;
                    socket.finish(drop);
                    self.handle(now, Input::Lost { conn });
                }
            }
            false => {}
        }
    }

    /// The connection is gone, without a last word.
    fn lose(&mut self, now: Moment) {
        // Once a session has it, that is who hears of it.
        if self.next.is_some() {
            return;
        }
        if let Some(socket) = self.socket.take() {
            self.handle(now, Input::Lost { conn: socket.conn });
        }
    }
}

impl Drop for LoginDriver {
    /// However it ends, it is no longer half-open; and should it panic, the node forgets it.
    fn drop(&mut self) {
        self.shell.directory.remove_login(self.conn);
        if std::thread::panicking() {
            tracing::error!("bug: a login panicked; its connection is closed");
            self.shell.directory.tell_node(ToNode::LoginGone(self.conn));
        }
    }
}
