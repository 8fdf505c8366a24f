//! A connection that is logging in, as `target::driver::login` drives it.

use engine::{Action, ConnId, Handover, Input, Login, Moment, ToLogin};

use super::super::agenda::{Due, Errand};
use super::super::around::Around;
use super::super::places::Party;
use super::super::plan::Way;
use super::socket::{Sent, Socket};
use super::{Entity, Letter, Running};

pub(super) struct LoginHost {
    login: Login,
    socket: Option<Socket>,
    wake_at: Option<Moment>,
    next: Option<Next>,
    over: bool,
}

enum Next {
    Session(Box<Handover>),
    Joins(Box<Handover>),
}

impl Running {
    pub(super) fn accept(&mut self, around: &mut Around, wire: usize) {
        let conn = ConnId(wire as u64);
        let mut entropy = [0; 64];
        for part in entropy.as_chunks_mut::<8>().0 {
            *part = self.post.chance.draw().to_le_bytes();
        }
        let local = Party::Target(self.life.host).at(3260);
        let config = std::sync::Arc::clone(&self.config);
        let memory = config.session_memory_bytes;
        let login = Login::new(conn, local, config, entropy, around.now, &mut self.actions);
        let mut host = Box::new(LoginHost {
            login,
            socket: Some(Socket::new(conn, memory)),
            wake_at: None,
            next: None,
            over: false,
        });
        self.act_login(around, conn, &mut host);
        self.logins.insert(conn, host);
    }

    pub(super) fn tell_login(&mut self, around: &mut Around, conn: ConnId, message: ToLogin) {
        self.login_turn(around, conn, |running, around, host| {
            running.login_input(around, conn, host, Input::Message(message));
        });
    }

    pub(super) fn login_clock(&mut self, around: &mut Around, conn: ConnId) {
        self.login_turn(around, conn, |running, around, host| {
            if host.wake_at.is_some_and(|at| at <= around.now) {
                host.wake_at = None;
                running.login_input(around, conn, host, Input::Due);
            }
        });
    }

    pub(super) fn login_arrive(&mut self, around: &mut Around, conn: ConnId) {
        self.login_turn(around, conn, |_, _, _| {});
    }

    /// Something happens to a login, then it reads, sends, and perhaps becomes a session.
    fn login_turn(
        &mut self,
        around: &mut Around,
        conn: ConnId,
        happens: impl FnOnce(&mut Self, &mut Around, &mut LoginHost),
    ) {
        let Some(mut host) = self.logins.remove(&conn) else {
            return;
        };
        happens(self, around, &mut host);
        self.read_login(around, conn, &mut host);
        if let Some(next) = host.next.take()
            && let Some(socket) = host.socket.take()
        {
            return match next {
                Next::Session(handover) => self.begin_session(around, handover, socket),
                Next::Joins(handover) => {
                    let to = Entity::Session(handover.session);
                    let letter = Letter::Arrived(handover, Box::new(socket));
                    self.post.send(around, (Entity::Login(conn), to), letter);
                }
            };
        }
        self.send_login(around, conn, &mut host);
        if !(host.over && host.socket.is_none()) {
            self.logins.insert(conn, host);
        }
    }

    fn read_login(&mut self, around: &mut Around, conn: ConnId, host: &mut LoginHost) {
        let wire = conn.0 as usize;
        while host.next.is_none() && host.socket.as_ref().is_some_and(Socket::is_open) {
            let Some(space) = host.login.space() else {
                return;
            };
            match around.read(wire, Way::In, space) {
                0 if around.is_at_end(wire, Way::In) => return self.lose_login(around, conn, host),
                0 => return,
                bytes => {
                    self.login_input(around, conn, host, Input::Received { conn, bytes });
                }
            }
        }
    }

    fn send_login(&mut self, around: &mut Around, conn: ConnId, host: &mut LoginHost) {
        let Some(socket) = &mut host.socket else {
            return;
        };
        match socket.send(around, drop) {
            Sent::Open => {
                if let Some(at) = socket.deadline() {
                    self.wake_login(around, conn, at);
                }
            }
            Sent::Broken => self.lose_login(around, conn, host),
            Sent::Done => {
                if let Some(socket) = host.socket.take() {
                    socket.finish(around, drop);
                    self.login_input(around, conn, host, Input::Lost { conn });
                }
            }
        }
    }

    fn lose_login(&mut self, around: &mut Around, conn: ConnId, host: &mut LoginHost) {
        if host.next.is_none()
            && let Some(socket) = host.socket.take()
        {
            socket.finish(around, drop);
            self.login_input(around, conn, host, Input::Lost { conn });
        }
    }

    fn login_input(
        &mut self,
        around: &mut Around,
        conn: ConnId,
        host: &mut LoginHost,
        input: Input<ToLogin>,
    ) {
        if host.next.is_none() {
            host.login.handle(around.now, input, &mut self.actions);
            self.act_login(around, conn, host);
        }
    }

    fn act_login(&mut self, around: &mut Around, conn: ConnId, host: &mut LoginHost) {
        while let Some(action) = self.actions.pop() {
            match self.post.route(around, Entity::Login(conn), action) {
                Some(Action::Send {
                    bhs, body, digests, ..
                }) => {
                    if let Some(socket) = &mut host.socket {
                        socket.push(bhs, body, digests);
                    }
                }
                Some(Action::Close { .. }) => {
                    if let Some(socket) = &mut host.socket {
                        socket.close(around.now);
                    }
                }
                Some(Action::WakeAt(at)) => {
                    host.wake_at = at;
                    if let Some(at) = at {
                        self.wake_login(around, conn, at);
                    }
                }
                Some(Action::Become(handover)) => host.next = Some(Next::Session(handover)),
                Some(Action::HandOver(handover)) => host.next = Some(Next::Joins(handover)),
                Some(Action::End) => host.over = true,
                _ => {}
            }
        }
    }

    fn wake_login(&self, around: &mut Around, conn: ConnId, at: Moment) {
        let due = Due::Errand(self.life, Errand::LoginClock(conn));
        around.agenda.enter(at, due);
    }
}
