//! How a session gets and loses connections, and how it ends.
//!
//! Invariant: at most one connection is open; a session without one has a moment at which it ends.

use std::time::Duration;

use iscsi::{Cid, LoginStatus, LogoutResult, Ttt};
use planted::{Bug, has};

use super::conn::Conn;
use super::{Phase, Session};
use crate::action::{Action, Actions};
use crate::event::Event;
use crate::input::{ConnId, Handover, ToLogin, ToNode};
use crate::units::Units;

impl Session {
    /// RFC 7143 6.3.4: a new connection takes the place of the one with its CID; whatever that one
    /// had in progress ends first. A session that lost its connection takes any.
    pub(super) fn on_may_join(&mut self, login: ConnId, cid: Cid, out: &mut Actions) {
        let refuse = |login, status| Action::ToLogin(login, ToLogin::Refused(status));
        let retained = match self.phase {
            Phase::Open => self.now,
            Phase::Retained(until) => until,
            Phase::Ending(_) | Phase::Ended => {
                return out.push(refuse(login, LoginStatus::SESSION_DOES_NOT_EXIST));
            }
        };
        if let Some(open) = self.open_conn() {
            if open.cid != cid {
                return out.push(refuse(login, LoginStatus::TOO_MANY_CONNECTIONS));
            }
            let old = open.id;
            self.close(old, out);
            self.abort_connection_tasks();
        }
        // The login may die on its way, and then nobody else ends the session.
        let arrival = self.now.plus(self.config.login_timeout);
        if !has(Bug::JoinerDied) {
            self.phase = Phase::Retained(retained.max(arrival));
        }
        if let Some(earlier) = self.joining.replace(login) {
            out.push(refuse(earlier, LoginStatus::SERVICE_UNAVAILABLE));
        }
    }

    pub(super) fn on_join(&mut self, handover: Handover, out: &mut Actions) {
        let ending = matches!(self.phase, Phase::Ending(_) | Phase::Ended);
        if ending || self.open_conn().is_some() {
            return out.push(Action::Close {
                conn: handover.conn,
            });
        }
        self.phase = Phase::Open;
        self.local = handover.local;
        self.conns.push(Conn::new(handover, self.now));
    }

    pub(super) fn on_lost<U: Units>(&mut self, conn: ConnId, units: &mut U, out: &mut Actions) {
        let Some(place) = self.conns.iter().position(|c| c.id == conn) else {
            return;
        };
        let lost = self.conns.swap_remove(place);
        let placed = lost.framer.and_then(|framer| framer.into_placed());
        if !has(Bug::CutLeaksBuffer) {
            self.put(placed);
        }
        if lost.closing {
            return;
        }
        //= RFC 7143 7.6: below ERL 2 the tasks of a lost connection end with it.
        self.abort_connection_tasks();
        let retain = Duration::from_secs(self.params.time2retain.into());
        let stays = self.target.is_some() && !retain.is_zero();
        if stays && !lost.leaving && self.grace.is_none() {
            self.phase = Phase::Retained(self.now.plus(retain));
        } else {
            self.end("connection lost", units, out);
        }
    }

    /// The operator ends it: the initiator is asked to log out, once, and has time to.
    pub(super) fn on_shutdown<U: Units>(
        &mut self,
        grace: Duration,
        why: &'static str,
        units: &mut U,
        out: &mut Actions,
    ) {
        let Some(conn) = self.open_conn().map(|conn| conn.id) else {
            return self.end(why, units, out);
        };
        let until = self.now.plus(grace);
        if let Some((earlier, _)) = &mut self.grace {
            *earlier = until.min(*earlier);
            return;
        }
        let seconds = u16::try_from(grace.as_secs().max(1)).unwrap_or(u16::MAX);
        self.send_logout_request(conn, seconds, out);
        self.grace = Some((until, why));
    }

    /// Stops reading and sending on a connection; the shell closes it after what was queued.
    fn close(&mut self, conn: ConnId, out: &mut Actions) {
        if let Some(conn) = self.conns.iter_mut().find(|c| c.id == conn && !c.closing) {
            conn.closing = true;
            out.push(Action::Close { conn: conn.id });
        }
    }

    /// Ends a connection whose peer broke the protocol; at ERL 0 the session goes with it.
    pub(super) fn drop_connection<U: Units>(
        &mut self,
        conn: ConnId,
        why: &'static str,
        units: &mut U,
        out: &mut Actions,
    ) {
        out.event(Event::ConnectionDropped { conn, why });
        self.end(why, units, out);
    }

    /// The session ends once its last ticket has.
    pub(super) fn end<U: Units>(&mut self, why: &'static str, units: &mut U, out: &mut Actions) {
        if matches!(self.phase, Phase::Ending(_) | Phase::Ended) {
            return;
        }
        self.phase = Phase::Ending(why);
        let open: Vec<_> = self.conns.iter().map(|conn| conn.id).collect();
        for conn in open {
            self.close(conn, out);
        }
        self.abort_connection_tasks();
        for tmf in std::mem::take(&mut self.tmfs) {
            self.cancel_tmf(&tmf, units);
        }
        if let Some(login) = self.joining.take() {
            let refused = ToLogin::Refused(LoginStatus::SESSION_DOES_NOT_EXIST);
            out.push(Action::ToLogin(login, refused));
        }
    }

    /// What follows from an input, once per input: those that waited for memory, answers that
    /// waited for tasks, the window, the end.
    pub(super) fn settle<U: Units>(&mut self, units: &mut U, out: &mut Actions) {
        if !self.hungry.is_empty() {
            self.feed(units, out);
        }
        if !self.tmfs.is_empty() {
            self.finish_tmfs(out);
        }
        if !self.leaving.is_empty() {
            self.let_go_of_idle(units, out);
        }
        let quiet = self.tasks.is_empty();
        if quiet || has(Bug::LogoutTooSoon) {
            self.settle_logout(units, out);
        }
        if quiet || has(Bug::JoinerTooSoon) {
            self.settle_joiner(out);
        }
        if quiet || has(Bug::EndsWithTickets) {
            self.settle_end(units, out);
        }
        let untold = has(Bug::ReopenedWindowUntold);
        if self.phase == Phase::Open && !untold && self.window.must_tell(self.tasks.windowed) {
            //= RFC 7143 11.4.11: a window that reopens with nothing to send is told by a NOP-In.
            if let Some(conn) = self.open_conn().map(|conn| conn.id) {
                self.send_nop_in(conn, None, Ttt::RESERVED, Vec::new(), out);
            }
        }
        self.arm(out);
    }

    /// No task is left: a logout that waited for that is answered.
    fn settle_logout<U: Units>(&mut self, units: &mut U, out: &mut Actions) {
        if self.logout.is_some() {
            self.answer_logout(LogoutResult::CLOSED, units, out);
        }
    }

    /// No task is left: a login that waited for that may hand its connection over.
    fn settle_joiner(&mut self, out: &mut Actions) {
        if let Some(login) = self.joining.take() {
            let (exp_cmd_sn, max_cmd_sn) = self.window.tell(self.tasks.windowed);
            let told = ToLogin::Join {
                session: self.id,
                tsih: self.tsih,
                exp_cmd_sn,
                max_cmd_sn,
            };
            out.push(Action::ToLogin(login, told));
        }
    }

    /// No task is left: a session that is ending has ended.
    fn settle_end<U: Units>(&mut self, units: &mut U, out: &mut Actions) {
        if let Phase::Ending(why) = self.phase {
            self.phase = Phase::Ended;
            for unit in self
                .unit_ids()
                .into_iter()
                .chain(std::mem::take(&mut self.leaving))
            {
                self.detach(unit, units);
            }
            out.event(Event::SessionEnded {
                tsih: self.tsih,
                why,
            });
            out.push(Action::ToNode(ToNode::SessionEnded(self.id)));
            out.push(Action::WakeAt(None));
            out.push(Action::End);
        }
    }

    /// Asks to be woken for the nearest deadline. A wake-up that comes early is no harm, so a
    /// deadline that moved away is not reported.
    pub(super) fn arm(&mut self, out: &mut Actions) {
        if self.phase == Phase::Ended {
            return;
        }
        if let Some(next) = self.next_deadline()
            && self.woken_at.is_none_or(|at| next < at)
        {
            self.woken_at = Some(next);
            out.push(Action::WakeAt(Some(next)));
        }
    }
}
