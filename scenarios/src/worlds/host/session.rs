//! A session with its connections, as `target::driver::session` drives it.

use std::collections::VecDeque;
use std::sync::Arc;

use block::Completion;
use engine::{Action, ConnId, Event, Handover, Input, Moment, Session, SessionId, ToSession};
use target::inbox::Completions;

use super::super::Oracle;
use super::super::agenda::{Due, Errand};
use super::super::around::Around;
use super::super::marks::Mark;
use super::super::plan::Way;
use super::socket::{Sent, Socket, slice};
use super::{Entity, Running};

pub(super) struct SessionHost {
    id: SessionId,
    session: Session,
    sockets: Vec<Socket>,
    completions: Arc<Completions>,
    /// Answers of storage on their way to the session.
    answers: Vec<Completion>,
    wake_at: Option<Moment>,
    ended: bool,
}

impl SessionHost {
    pub(super) fn has(&self, conn: ConnId) -> bool {
        self.sockets.iter().any(|socket| socket.conn == conn)
    }

    pub(super) fn memory_out(&self) -> usize {
        self.session.memory_out_bytes()
    }

    /// Takes what storage left; whether there was something.
    pub(super) fn take_answers(&mut self) -> bool {
        let before = self.answers.len();
        self.completions.take(&mut self.answers);
        self.answers.len() > before
    }

    fn socket(&mut self, conn: ConnId) -> Option<&mut Socket> {
        self.sockets.iter_mut().find(|socket| socket.conn == conn)
    }
}

/// What a session is to hear next.
type Inputs = VecDeque<Input<ToSession>>;

impl Running {
    pub(super) fn begin_session(
        &mut self,
        around: &mut Around,
        handover: Box<Handover>,
        socket: Socket,
    ) {
        let (id, conn) = (handover.session, handover.conn);
        if handover.framer.unparsed() > 0 {
            around.marks.hit(Mark::HandedOverBytes);
        }
        let session = Session::new(handover, around.now, &mut self.actions, &mut self.units);
        let mut host = Box::new(SessionHost {
            id,
            session,
            sockets: vec![socket],
            completions: Arc::default(),
            answers: Vec::new(),
            wake_at: None,
            ended: false,
        });
        self.act_session(around, &mut host);
        self.sessions.insert(id, host);
        // The login may have left bytes that nobody parsed yet.
        self.session_inputs(around, id, [Input::Received { conn, bytes: 0 }].into());
        self.session_arrive(around, id, conn);
    }

    pub(super) fn welcome(
        &mut self,
        around: &mut Around,
        id: SessionId,
        handover: Box<Handover>,
        socket: Socket,
    ) {
        let conn = socket.conn;
        let Some(host) = self.sessions.get_mut(&id) else {
            return socket.finish(around, drop);
        };
        host.sockets.push(socket);
        let inputs = [
            Input::Message(ToSession::Join(handover)),
            Input::Received { conn, bytes: 0 },
        ];
        self.session_inputs(around, id, inputs.into());
        self.session_arrive(around, id, conn);
    }

    pub(super) fn tell_session(&mut self, around: &mut Around, id: SessionId, message: ToSession) {
        self.session_inputs(around, id, [Input::Message(message)].into());
    }

    pub(super) fn completions(&mut self, around: &mut Around, id: SessionId) {
        let Some(host) = self.sessions.get_mut(&id) else {
            return;
        };
        let answers = std::mem::take(&mut host.answers);
        for answer in &answers {
            if !around.ledger.completed(self.life.host, id, answer) {
                let what = format!("ticket {} was answered twice", answer.ticket.0);
                around.complain(Oracle::Leak, what);
            }
        }
        self.session_inputs(
            around,
            id,
            answers.into_iter().map(Input::Completed).collect(),
        );
    }

    pub(super) fn session_clock(&mut self, around: &mut Around, id: SessionId) {
        let Some(host) = self.sessions.get_mut(&id) else {
            return;
        };
        let mut inputs = Inputs::new();
        if host.wake_at.is_some_and(|at| at <= around.now) {
            host.wake_at = None;
            inputs.push_back(Input::Due);
        }
        self.session_inputs(around, id, inputs);
    }

    /// Reads what is there on a connection.
    pub(super) fn session_arrive(&mut self, around: &mut Around, id: SessionId, conn: ConnId) {
        let wire = conn.0 as usize;
        while let Some(host) = self.sessions.get_mut(&id) {
            if !host.socket(conn).is_some_and(|socket| socket.is_open()) {
                break;
            }
            let Some(space) = host.session.space(conn) else {
                break;
            };
            match around.read(wire, Way::In, space) {
                0 if around.is_at_end(wire, Way::In) => {
                    let mut inputs = Inputs::new();
                    self.lose(around, id, conn, &mut inputs);
                    return self.session_inputs(around, id, inputs);
                }
                0 => break,
                bytes => {
                    let input = Input::Received { conn, bytes };
                    self.session_inputs(around, id, [input].into());
                }
            }
        }
        // There may be room to send, or nobody left to send to.
        self.session_inputs(around, id, Inputs::new());
    }

    /// The connection is gone; what it still had to send comes back.
    fn lose(&mut self, around: &mut Around, id: SessionId, conn: ConnId, inputs: &mut Inputs) {
        let Some(host) = self.sessions.get_mut(&id) else {
            return;
        };
        if let Some(place) = host.sockets.iter().position(|socket| socket.conn == conn) {
            let socket = host.sockets.swap_remove(place);
            let session = &mut host.session;
            socket.finish(around, |slice| session.reclaim(slice));
            inputs.push_back(Input::Lost { conn });
        }
    }

    /// Inputs, all they lead to, and one attempt to send per connection after each.
    fn session_inputs(&mut self, around: &mut Around, id: SessionId, mut inputs: Inputs) {
        loop {
            if let Some(input) = inputs.pop_front() {
                let Some(mut host) = self.sessions.remove(&id) else {
                    return;
                };
                host.session
                    .handle(around.now, input, &mut self.units, &mut self.actions);
                self.act_session(around, &mut host);
                self.sessions.insert(id, host);
            }
            self.send_session(around, id, &mut inputs);
            if inputs.is_empty() {
                break;
            }
        }
        if std::mem::take(&mut self.refused) {
            self.collect(around);
        }
        let host = self.sessions.get(&id);
        if host.is_some_and(|host| host.ended && host.sockets.is_empty())
            && let Some(host) = self.sessions.remove(&id)
        {
            self.check_end(around, &host);
        }
    }

    fn send_session(&mut self, around: &mut Around, id: SessionId, inputs: &mut Inputs) {
        let Some(host) = self.sessions.get_mut(&id) else {
            return;
        };
        let mut reclaimed = false;
        let mut gone = Vec::new();
        for socket in &mut host.sockets {
            let session = &mut host.session;
            let sent = socket.send(around, |slice| {
                session.reclaim(slice);
                reclaimed = true;
            });
            match sent {
                Sent::Open => {
                    if let Some(at) = socket.deadline() {
                        let due = Due::Errand(self.life, Errand::SessionClock(id));
                        around.agenda.enter(at, due);
                    }
                }
                Sent::Broken | Sent::Done => gone.push(socket.conn),
            }
        }
        for conn in gone {
            self.lose(around, id, conn, inputs);
            reclaimed = true;
        }
        if let Some(host) = self.sessions.get_mut(&id)
            && reclaimed
            && host.session.wants_room()
        {
            inputs.push_back(Input::Room);
        }
    }

    fn act_session(&mut self, around: &mut Around, host: &mut SessionHost) {
        while let Some(action) = self.actions.pop() {
            match action {
                Action::Send {
                    conn,
                    bhs,
                    body,
                    digests,
                } => {
                    let left = match host.socket(conn) {
                        Some(socket) => socket.push(bhs, body, digests),
                        None => slice(body),
                    };
                    if let Some(slice) = left {
                        host.session.reclaim(slice);
                    }
                }
                Action::Submit { ticket, unit, op } => {
                    let place = (self.life.host, unit.0 as usize);
                    let name = (host.id, ticket);
                    let wrong = around.ledger.submitted(around.now, place, name, &op);
                    if let Some(write) = wrong {
                        let event = around.history.writes[write as usize].event;
                        let what = format!(
                            "the write of event #{event} goes to storage after its initiator was told that it is over"
                        );
                        around.complain(Oracle::Aborted, what);
                    }
                    let store = &mut self.stores[unit.0 as usize];
                    self.refused |= store.submit(around, (ticket, op), &host.completions);
                }
                Action::Close { conn } => {
                    if let Some(socket) = host.socket(conn) {
                        socket.close(around.now);
                    }
                }
                Action::WakeAt(at) => {
                    host.wake_at = at;
                    if let Some(at) = at {
                        let due = Due::Errand(self.life, Errand::SessionClock(host.id));
                        around.agenda.enter(at, due);
                    }
                }
                Action::End => {
                    host.ended = true;
                    let now = around.now;
                    host.sockets.iter_mut().for_each(|socket| socket.close(now));
                }
                Action::Event(event) => note(around, &event),
                other => {
                    self.post.route(around, Entity::Session(host.id), other);
                }
            }
        }
    }

    /// A session that is over has given everything back.
    fn check_end(&self, around: &mut Around, host: &SessionHost) {
        around.marks.hit(Mark::SessionEnded);
        let memory = host.memory_out();
        if memory > 0 || !host.session.is_idle() {
            let what = format!(
                "session {} of target {} ended with {memory} bytes of memory out",
                host.id.0, self.life.host
            );
            around.complain(Oracle::Leak, what);
        }
    }
}

fn note(around: &mut Around, event: &Event) {
    around.journal.note(around.now, || format!("{event:?}"));
}
