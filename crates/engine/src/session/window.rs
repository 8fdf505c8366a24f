//! CmdSN window of one session: which commands may start now (RFC 7143 4.2.2.1).
//!
//! Knows no PDUs and no tasks. Invariant: `exp` and `max` never move backwards, and at most the
//! window's width of commands is parked.

use iscsi::Serial;

/// What to do with a numbered PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is next: carry it out, then see what was parked behind it.
    Now,
    /// It is early: keep it until the hole before it is filled.
    Park,
    /// It is a duplicate or outside the window: ignore it silently.
    Drop,
}

/// The window, with what waits in it.
#[derive(Debug)]
pub(super) struct Window<P> {
    exp: Serial,
    max: Serial,
    told: Serial,
    depth: u32,
    parked: Vec<(Serial, P)>,
    /// Numbers that count as received although nothing is to be carried out under them.
    skipped: Vec<Serial>,
}

impl<P> Window<P> {
    pub(super) fn new(exp: Serial, depth: u32) -> Self {
        let max = exp.plus(depth).minus(1);
        Self {
            exp,
            max,
            told: max,
            depth,
            parked: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// Where a PDU with this CmdSN belongs. Immediate ones are always now.
    pub(super) fn place(&self, cmd_sn: Serial, immediate: bool) -> Place {
        if immediate {
            return Place::Now;
        }
        let ahead = self.exp.distance_to(cmd_sn);
        let width = self.exp.distance_to(self.max);
        match ahead {
            0 if width >= 0 => Place::Now,
            1.. if ahead <= width && !self.is_received(cmd_sn) => Place::Park,
            _ => Place::Drop,
        }
    }

    fn is_received(&self, cmd_sn: Serial) -> bool {
        let parked = self.parked.iter().any(|(parked, _)| *parked == cmd_sn);
        parked || self.skipped.contains(&cmd_sn)
    }

    /// The command that was next has come.
    pub(super) fn advance(&mut self) {
        self.exp = self.exp.next();
    }

    /// The command that has just come was rejected, and counts as never received.
    pub(super) fn retract(&mut self) {
        self.exp = self.exp.minus(1);
    }

    pub(super) fn park(&mut self, cmd_sn: Serial, pdu: P) {
        self.parked.push((cmd_sn, pdu));
    }

    /// What is parked.
    pub(super) fn parked_mut(&mut self) -> impl Iterator<Item = &mut P> {
        self.parked.iter_mut().map(|(_, pdu)| pdu)
    }

    /// The parked PDU whose turn it is now.
    pub(super) fn unpark(&mut self) -> Option<P> {
        self.pass_skipped();
        let place = self
            .parked
            .iter()
            .position(|(cmd_sn, _)| *cmd_sn == self.exp)?;
        Some(self.parked.swap_remove(place).1)
    }

    /// A command that has not come counts as received (RFC 7143 11.5.5): whether it could come.
    pub(super) fn skip(&mut self, cmd_sn: Serial) -> bool {
        let ahead = self.exp.distance_to(cmd_sn);
        let can_come = ahead >= 0 && ahead <= self.exp.distance_to(self.max);
        if !can_come || self.is_received(cmd_sn) {
            return false;
        }
        self.skipped.push(cmd_sn);
        self.pass_skipped();
        true
    }

    /// Takes out the parked PDUs that are `dead`; their numbers stay received.
    pub(super) fn discard(&mut self, mut dead: impl FnMut(Serial, &P) -> bool) -> Vec<P> {
        let all = std::mem::take(&mut self.parked);
        let mut discarded = Vec::new();
        for (cmd_sn, pdu) in all {
            if dead(cmd_sn, &pdu) {
                self.skipped.push(cmd_sn);
                discarded.push(pdu);
            } else {
                self.parked.push((cmd_sn, pdu));
            }
        }
        discarded
    }

    /// The connection went: what was parked was never received.
    pub(super) fn forget_parked(&mut self) {
        self.parked.clear();
    }

    fn pass_skipped(&mut self) {
        while let Some(place) = self.skipped.iter().position(|skipped| *skipped == self.exp) {
            self.skipped.swap_remove(place);
            self.exp = self.exp.next();
        }
    }

    /// ExpCmdSN and MaxCmdSN for a PDU that goes out now, with `active` commands in progress.
    pub(super) fn tell(&mut self, active: u32) -> (Serial, Serial) {
        self.widen(active);
        self.told = self.max;
        (self.exp, self.max)
    }

    /// Whether the initiator believes the window closed although it is not. RFC 7143 11.4.11: then
    /// it must be told, by a NOP-In if by nothing else.
    pub(super) fn must_tell(&mut self, active: u32) -> bool {
        self.widen(active);
        self.exp.distance_to(self.told) < 0 && self.exp.distance_to(self.max) >= 0
    }

    fn widen(&mut self, active: u32) {
        let open = self.depth.saturating_sub(active);
        let max = self.exp.plus(open).minus(1);
        if max.is_after(self.max) {
            self.max = max;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(exp: u32, depth: u32) -> Window<u32> {
        Window::new(Serial(exp), depth)
    }

    #[test]
    fn next_early_duplicate_and_outside() {
        let mut w = window(10, 4);
        assert_eq!(w.place(Serial(10), false), Place::Now);
        assert_eq!(w.place(Serial(13), false), Place::Park);
        assert_eq!(w.place(Serial(14), false), Place::Drop);
        assert_eq!(w.place(Serial(9), false), Place::Drop);
        w.park(Serial(11), 11);
        assert_eq!(w.place(Serial(11), false), Place::Drop);
        assert_eq!(w.place(Serial(99), true), Place::Now);
    }

    #[test]
    fn parked_commands_follow_the_hole() {
        let mut w = window(u32::MAX, 8);
        w.park(Serial(1), 1);
        w.park(Serial(0), 0);
        w.advance();
        assert_eq!(w.unpark(), Some(0));
        w.advance();
        assert_eq!(w.unpark(), Some(1));
        w.advance();
        assert_eq!(w.unpark(), None);
    }

    #[test]
    fn max_never_moves_back_and_a_closed_window_must_be_reopened_aloud() {
        let mut w = window(1, 2);
        assert_eq!(w.tell(0), (Serial(1), Serial(2)));
        w.advance();
        w.advance();
        assert_eq!(w.tell(2), (Serial(3), Serial(2)));
        assert_eq!(w.place(Serial(3), false), Place::Drop);
        assert!(!w.must_tell(2));
        assert!(w.must_tell(1));
        assert_eq!(w.tell(1), (Serial(3), Serial(3)));
        assert_eq!(w.tell(2), (Serial(3), Serial(3)));
    }

    #[test]
    fn a_command_aborted_in_advance_counts_as_received() {
        let mut w = window(5, 4);
        assert!(w.skip(Serial(6)));
        assert!(!w.skip(Serial(6)), "received already");
        assert!(!w.skip(Serial(4)), "already came");
        assert!(!w.skip(Serial(9)), "cannot come yet");
        assert_eq!(w.place(Serial(6), false), Place::Drop);
        w.park(Serial(7), 7);
        w.advance();
        assert_eq!(w.unpark(), Some(7), "behind the skipped one");
    }

    #[test]
    fn skipping_the_next_command_opens_the_way() {
        let mut w = window(5, 4);
        w.park(Serial(6), 6);
        assert!(w.skip(Serial(5)));
        assert_eq!(w.unpark(), Some(6));
    }

    #[test]
    fn discarded_commands_leave_no_gap_and_a_rejected_one_does() {
        let mut w = window(5, 4);
        w.park(Serial(6), 6);
        w.park(Serial(7), 7);
        assert_eq!(w.discard(|_, pdu| *pdu == 6), [6]);
        w.advance();
        assert_eq!(w.unpark(), Some(7));
        w.advance();
        w.retract();
        assert_eq!(w.tell(0).0, Serial(7));
    }
}
