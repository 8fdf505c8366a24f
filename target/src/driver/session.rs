//! The task of a session, with the sockets of its connections.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use block::{Completion, Slice};
use engine::{
    Action, Actions, Body, ConnId, Handover, Input, Moment, Session, SessionId, ToNode, ToSession,
};
use scsi::Nexus;

use super::directory::{SessionInbox, SessionMail};
use super::socket::{Got, Socket};
use super::submits::{Submits, ended};
use super::timer::Timer;
use super::{Shell, conn_of, misplaced};
use crate::inbox::Completions;
use crate::units::SharedUnits;

/// Turns before other tasks get theirs.
const TURNS_MAX: usize = 16;

/// Reads from one connection per turn: a batch large enough to share one write, small enough not
/// to keep answers waiting.
const READS_MAX: usize = 8;

/// How often completions that a store gave at once may lead to further operations within a turn.
const ROUNDS_MAX: usize = 8;

/// Runs a session from the login that opened it to its end.
pub(super) async fn run_session(shell: Arc<Shell>, handover: Box<Handover>, socket: Socket) {
    // On the heap: the task was sized for a login.
    let mut driver = Box::new(SessionDriver::new(shell, handover, socket));
    poll_fn(|cx| driver.poll(cx)).await;
}

struct SessionDriver {
    shell: Arc<Shell>,
    id: SessionId,
    session: Session,
    units: SharedUnits,
    /// At error recovery level 0 one that is open, and perhaps one that is closing.
    sockets: Vec<Socket>,
    memory_bytes: usize,
    inbox: SessionInbox,
    mail: Vec<SessionMail>,
    completions: Arc<Completions>,
    completed: Vec<Completion>,
    done: Vec<Completion>,
    submits: Submits,
    actions: Actions,
    timer: Timer,
    wake_at: Option<Moment>,
    /// Payloads were given back since the session was last told of room.
    reclaimed: bool,
    ended: bool,
    abandoned: bool,
}

impl SessionDriver {
    fn new(shell: Arc<Shell>, handover: Box<Handover>, mut socket: Socket) -> Self {
        let (id, conn) = (handover.session, handover.conn);
        let inbox = shell.directory.add_session(id);
        let mut units = SharedUnits::new(Arc::clone(&shell.units));
        let memory_bytes = handover.config.session_memory_bytes;
        socket.belongs_to(memory_bytes);
        let mut actions = Actions::new();
        let now = shell.clock.now();
        let session = Session::new(handover, now, &mut actions, &mut units);
        let mut driver = Self {
            timer: Timer::new(shell.clock),
            shell,
            id,
            session,
            units,
            sockets: vec![socket],
            memory_bytes,
            inbox,
            mail: Vec::new(),
            completions: Arc::default(),
            completed: Vec::new(),
            done: Vec::new(),
            submits: Submits::default(),
            actions,
            wake_at: None,
            reclaimed: false,
            ended: false,
            abandoned: false,
        };
        driver.act(now);
        // The login may have left bytes that nobody parsed yet.
        driver.handle(now, Input::Received { conn, bytes: 0 });
        driver
    }

    /// Turns until there is nothing to do, or until it is others' turn.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..TURNS_MAX {
            let now = self.shell.clock.now();
            let mut busy = self.hear(cx, now);
            if self.abandoned {
                return Poll::Ready(());
            }
            busy |= self.complete(cx, now);
            for place in (0..self.sockets.len()).rev() {
                busy |= self.read(cx, now, place);
            }
            busy |= self.submit(now);
            for place in (0..self.sockets.len()).rev() {
                busy |= self.send(cx, now, place);
            }
            // Memory came back, and commands wait for some.
            if std::mem::take(&mut self.reclaimed) && self.session.wants_room() {
                self.handle(now, Input::Room);
                busy = true;
            }
            if self.ended && self.sockets.is_empty() {
                return Poll::Ready(());
            }
            // Last, so that the timer knows of every deadline this turn brought.
            busy |= self.look_at_clock(cx, now);
            if !busy && self.submits.is_empty() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn hear(&mut self, cx: &mut Context<'_>, now: Moment) -> bool {
        let mut mail = std::mem::take(&mut self.mail);
        let busy = self.inbox.poll_take(cx, &mut mail);
        for mail in mail.drain(..) {
            match mail {
                SessionMail::Told(message) => self.handle(now, Input::Message(message)),
                SessionMail::Arrived(handover, socket) => self.welcome(now, handover, *socket),
                SessionMail::Abandon => self.abandoned = true,
            }
        }
        self.mail = mail;
        busy
    }

    fn welcome(&mut self, now: Moment, handover: Box<Handover>, mut socket: Socket) {
        let conn = socket.conn;
        socket.belongs_to(self.memory_bytes);
        self.sockets.push(socket);
        self.handle(now, Input::Message(ToSession::Join(handover)));
        self.handle(now, Input::Received { conn, bytes: 0 });
    }

    fn complete(&mut self, cx: &mut Context<'_>, now: Moment) -> bool {
        let mut completed = std::mem::take(&mut self.completed);
        let busy = self.completions.poll_take(cx, &mut completed);
        self.submits.answered(&completed);
        for completion in completed.drain(..) {
            self.handle(now, Input::Completed(completion));
        }
        self.completed = completed;
        busy
    }

    fn look_at_clock(&mut self, cx: &mut Context<'_>, now: Moment) -> bool {
        let closing = self.sockets.iter().filter_map(Socket::deadline);
        let wanted = closing.chain(self.wake_at).min();
        let due = self.timer.poll_due(cx, now, wanted);
        if self.wake_at.is_some_and(|at| at <= now) {
            self.wake_at = None;
            self.handle(now, Input::Due);
        }
        due
    }

    /// Reads what is there, up to a bound; whether there may be more.
    fn read(&mut self, cx: &mut Context<'_>, now: Moment, place: usize) -> bool {
        let conn = self.sockets[place].conn;
        for _ in 0..READS_MAX {
            let socket = &mut self.sockets[place];
            if !socket.is_open() {
                return false;
            }
            let Some(space) = self.session.space(conn) else {
                return false;
            };
            match socket.poll_read(cx, space) {
                Poll::Pending => return false,
                Poll::Ready(Got::Bytes(bytes)) => self.handle(now, Input::Received { conn, bytes }),
                Poll::Ready(Got::End) => {
                    self.lose(now, place);
                    return false;
                }
            }
        }
        true
    }

    /// Hands the turn's operations to storage and goes on with what it answers at once; whether
    /// operations are left for the next turn.
    fn submit(&mut self, now: Moment) -> bool {
        for _ in 0..ROUNDS_MAX {
            if self.submits.is_empty() {
                return false;
            }
            let mut done = std::mem::take(&mut self.done);
            self.submits
                .hand_over(&self.units, &mut done, &self.completions);
            for completion in done.drain(..) {
                self.handle(now, Input::Completed(completion));
            }
            self.done = done;
        }
        !self.submits.is_empty()
    }

    /// Sends what goes; whether that was the end of the connection.
    fn send(&mut self, cx: &mut Context<'_>, now: Moment, place: usize) -> bool {
        let socket = &mut self.sockets[place];
        let (session, reclaimed) = (&mut self.session, &mut self.reclaimed);
        let sent = socket.poll_send(cx, |slice| {
            session.reclaim(slice);
            *reclaimed = true;
        });
        if sent.is_err() || socket.overflowed() {
            self.lose(now, place);
            true
        } else if socket.is_done(now) {
            let socket = self.sockets.swap_remove(place);
            let conn = socket.conn;
            socket.finish(|slice| self.reclaim(slice));
            self.handle(now, Input::Lost { conn });
            true
        } else {
            false
        }
    }

    /// The connection is gone; what it still had to send comes back.
    fn lose(&mut self, now: Moment, place: usize) {
        let mut socket = self.sockets.swap_remove(place);
        socket.discard(|slice| self.reclaim(slice));
        self.handle(now, Input::Lost { conn: socket.conn });
    }

    fn reclaim(&mut self, slice: Slice) {
        self.session.reclaim(slice);
        self.reclaimed = true;
    }

    /// One input, then all it leads to.
    fn handle(&mut self, now: Moment, input: Input<ToSession>) {
        self.session
            .handle(now, input, &mut self.units, &mut self.actions);
        self.act(now);
    }

    fn act(&mut self, now: Moment) {
        while let Some(action) = self.actions.pop() {
            match action {
                Action::Send {
                    conn,
                    bhs,
                    body,
                    digests,
                } => {
                    let left = match self.socket(conn) {
                        Some(socket) => socket.push(bhs, body, digests),
                        None => match body {
                            Body::Shared(slice) => Some(slice),
                            Body::Inline(_) | Body::Empty => None,
                        },
                    };
                    if let Some(slice) = left {
                        self.reclaim(slice);
                    }
                }
                Action::Submit { ticket, unit, op } => self.submits.push(unit, ticket, op),
                Action::Close { conn } => {
                    if let Some(socket) = self.socket(conn) {
                        socket.close(now);
                    }
                }
                Action::WakeAt(at) => self.wake_at = at,
                Action::End => {
                    self.ended = true;
                    self.sockets.iter_mut().for_each(|socket| socket.close(now));
                }
                Action::Event(event) => {
                    let socket = conn_of(&event).and_then(|conn| self.socket(conn));
                    let peer = socket.map(|socket| socket.peer);
                    self.shell.journal.tell(now, &event, peer);
                }
                other => {
                    if let Some(action) = self.shell.route(other) {
                        misplaced("a session", &action);
                    }
                }
            }
        }
    }

    fn socket(&mut self, conn: ConnId) -> Option<&mut Socket> {
        self.sockets.iter_mut().find(|socket| socket.conn == conn)
    }
}

impl Drop for SessionDriver {
    /// However it ends, nobody talks to it any more; and should it panic, its units and the node
    /// forget it, once nothing it gave to storage can land any more.
    fn drop(&mut self) {
        self.shell.directory.remove_session(self.id);
        if std::thread::panicking() {
            tracing::error!("bug: a session panicked; its connection is closed");
            let (shell, id) = (Arc::clone(&self.shell), self.id);
            let (completions, left) = (Arc::clone(&self.completions), self.submits.in_flight());
            let forget = async move {
                drained(&completions, left).await;
                shell.units.detach(Nexus(id.0));
                shell.directory.tell_node(ToNode::SessionEnded(id));
            };
            // Without a runtime everybody is gone, and a panic here would end the process.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(forget);
            }
        }
    }
}

/// Waits for the end of `left` more tickets that nobody is interested in.
async fn drained(completions: &Completions, mut left: usize) {
    let mut answers = Vec::new();
    while left > 0 {
        poll_fn(|cx| match completions.poll_take(cx, &mut answers) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
        left = left.saturating_sub(ended(&answers));
        answers.clear();
    }
}
