//! What keeps a session alive and ends it: NOP both ways, logout, deadlines.

use std::time::Duration;

use iscsi::pdu::{LogoutRequest, NopOut};
use iscsi::{Bhs, Itt, LogoutReason, LogoutResult, RejectReason, Ttt};

use super::{Phase, Session};
use crate::action::Actions;
use crate::input::{ConnId, Moment};
use crate::limits::TMF_DEADLINE;
use crate::units::Units;

/// A logout that waits for the tasks it ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingLogout {
    conn: ConnId,
    itt: Itt,
    deadline: Moment,
}

impl Session {
    /// RFC 7143 11.18: a ping to be echoed, an answer to ours, or neither.
    pub(super) fn on_nop_out(
        &mut self,
        conn: ConnId,
        bhs: &Bhs,
        nop: &NopOut,
        data: &[u8],
        out: &mut Actions,
    ) {
        if nop.ttt != Ttt::RESERVED {
            let pinged = self.conns.iter_mut().find(|c| c.id == conn);
            match pinged {
                Some(c) if c.ping == Some(nop.ttt) && nop.itt == Itt::RESERVED => c.ping = None,
                _ => {
                    let why = "NOP-Out with a tag nobody gave out";
                    self.refuse(conn, RejectReason::INVALID_FIELD, bhs, why, out);
                }
            }
            return;
        }
        if nop.itt == Itt::RESERVED {
            return;
        }
        //= RFC 7143 11.19.4: the echo is cut to what the initiator takes.
        let limit = self.conn(conn).map_or(0, |c| c.peer_segment as usize);
        let echo = data[..data.len().min(limit)].to_vec();
        self.send_nop_in(conn, Some((nop.itt, nop.lun)), Ttt::RESERVED, echo, out);
    }

    /// RFC 7143 11.14. With one connection, closing it is closing the session.
    pub(super) fn on_logout(
        &mut self,
        conn: ConnId,
        bhs: &Bhs,
        logout: &LogoutRequest,
        out: &mut Actions,
    ) {
        let known = self.conn(conn).is_some_and(|c| c.cid == logout.cid);
        let refused = match logout.reason {
            LogoutReason::CLOSE_SESSION => None,
            //= RFC 7143 4.3, 11.14.1: a discovery session is only closed as a whole.
            LogoutReason::CLOSE_CONNECTION | LogoutReason::REMOVE_FOR_RECOVERY
                if self.target.is_none() =>
            {
                Some(LogoutResult::RECOVERY_NOT_SUPPORTED)
            }
            LogoutReason::CLOSE_CONNECTION => (!known).then_some(LogoutResult::CID_NOT_FOUND),
            LogoutReason::REMOVE_FOR_RECOVERY => Some(LogoutResult::RECOVERY_NOT_SUPPORTED),
            _ => {
                let why = "a logout reason that does not exist";
                return self.refuse(conn, RejectReason::INVALID_FIELD, bhs, why, out);
            }
        };
        if let Some(result) = refused {
            return self.send_logout_response(conn, logout.itt, result, out);
        }
        // Answered when nothing of the session's tasks can land any more; see `settle_logout`.
        self.abort_connection_tasks();
        self.logout = Some(PendingLogout {
            conn,
            itt: logout.itt,
            deadline: self.now.plus(TMF_DEADLINE),
        });
        if let Some(c) = self.conns.iter_mut().find(|c| c.id == conn) {
            c.leaving = true;
        }
    }

    pub(super) fn answer_logout<U: Units>(
        &mut self,
        result: LogoutResult,
        units: &mut U,
        out: &mut Actions,
    ) {
        if let Some(logout) = self.logout.take() {
            self.send_logout_response(logout.conn, logout.itt, result, out);
            self.end("logged out", units, out);
        }
    }

    /// A deadline has come, or one that moved away since.
    pub(super) fn on_due<U: Units>(&mut self, units: &mut U, out: &mut Actions) {
        if !self.tmfs.is_empty() {
            self.on_tmf_time(units, out);
        }
        if self
            .logout
            .is_some_and(|logout| self.now >= logout.deadline)
        {
            //= RFC 7143 11.15.1: storage hangs, and what it was given may still land.
            self.answer_logout(LogoutResult::CLEANUP_FAILED, units, out);
        }
        if let Some((until, why)) = self.grace
            && self.now >= until
        {
            self.grace = None;
            self.end(why, units, out);
        }
        if let Phase::Retained(until) = self.phase
            && self.now >= until
        {
            self.end("connection lost", units, out);
        }
        self.ping_silent(units, out);
    }

    /// Pings connections that fell silent, and gives up those that stay so.
    fn ping_silent<U: Units>(&mut self, units: &mut U, out: &mut Actions) {
        let now = self.now;
        let interval = self.config.ping_interval;
        if interval.is_zero() || self.phase != Phase::Open {
            return;
        }
        let Some(conn) = self.open_conn() else {
            return;
        };
        let (id, heard, pinged_at) = (conn.id, conn.last_heard, conn.pinged_at);
        match pinged_at {
            Some(since) if now >= since.plus(self.config.ping_timeout) => {
                self.drop_connection(id, "a ping was not answered", units, out);
            }
            None if now >= heard.plus(interval) => {
                let ttt = self.fresh_ttt();
                if let Some(conn) = self.conns.iter_mut().find(|conn| conn.id == id) {
                    conn.ping = Some(ttt);
                    conn.pinged_at = Some(now);
                }
                self.send_nop_in(id, None, ttt, Vec::new(), out);
            }
            _ => {}
        }
    }

    /// The nearest moment at which something must be done although nothing happens.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        let retained = match self.phase {
            Phase::Retained(until) => Some(until),
            Phase::Open | Phase::Ending(_) | Phase::Ended => None,
        };
        let interval = self.config.ping_interval;
        let ping = self.open_conn().and_then(|conn| {
            let wait = match conn.pinged_at {
                Some(since) => since.plus(self.config.ping_timeout),
                None => conn.last_heard.plus(interval),
            };
            (interval > Duration::ZERO).then_some(wait)
        });
        let logout = self.logout.map(|logout| logout.deadline);
        let grace = self.grace.map(|(until, _)| until);
        [retained, ping, logout, grace, self.tmf_deadline()]
            .into_iter()
            .flatten()
            .min()
    }
}
