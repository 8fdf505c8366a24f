//! CmdSN, ExpStatSN and the command window (RFC 7143 §4.2.2).

use iscsi::{Bhs, Itt, Serial};

use super::Violation;

/// The counters an initiator keeps for a session with one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbering {
    /// The number the next non-immediate command gets. Deviants set it to what they like.
    pub cmd_sn: Serial,
    /// The status number due next; sent in every PDU as acknowledgement.
    pub exp_stat_sn: Serial,
    /// Highest ExpCmdSN heard.
    pub exp_cmd_sn: Serial,
    /// Highest MaxCmdSN heard.
    pub max_cmd_sn: Serial,
}

impl Numbering {
    /// Before login: numbers start at `cmd_sn`, the window holds just the login.
    pub fn new(cmd_sn: Serial) -> Self {
        Self {
            cmd_sn,
            exp_stat_sn: Serial(0),
            exp_cmd_sn: cmd_sn,
            max_cmd_sn: cmd_sn,
        }
    }

    /// May another non-immediate command go out now?
    pub fn window_open(&self) -> bool {
        !self.cmd_sn.is_after(self.max_cmd_sn)
    }

    /// The CmdSN to put on the next command; only a non-immediate one uses the number up.
    pub fn take_cmd_sn(&mut self, immediate: bool) -> Serial {
        let this = self.cmd_sn;
        if !immediate {
            self.cmd_sn = this.next();
        }
        this
    }

    /// ExpCmdSN and MaxCmdSN of any target PDU: they only ever move forward, and a MaxCmdSN
    /// below ExpCmdSN - 1 is ignored together with its ExpCmdSN (RFC 7143 §4.2.2.1).
    pub fn hear_window(&mut self, exp_cmd_sn: Serial, max_cmd_sn: Serial) {
        if max_cmd_sn.is_before(exp_cmd_sn.minus(1)) {
            return;
        }
        if exp_cmd_sn.is_after(self.exp_cmd_sn) {
            self.exp_cmd_sn = exp_cmd_sn;
        }
        if max_cmd_sn.is_after(self.max_cmd_sn) {
            self.max_cmd_sn = max_cmd_sn;
        }
    }

    /// A PDU that uses up a StatSN.
    pub fn hear_status(&mut self, stat_sn: Serial) -> Result<(), Violation> {
        self.peek_status(stat_sn)?;
        self.exp_stat_sn = stat_sn.next();
        Ok(())
    }

    /// A PDU that only shows the next StatSN (R2T, NOP-In with a reserved ITT).
    pub fn peek_status(&self, stat_sn: Serial) -> Result<(), Violation> {
        if stat_sn == self.exp_stat_sn {
            return Ok(());
        }
        Err(Violation::StatSn {
            got: stat_sn,
            due: self.exp_stat_sn,
        })
    }
}

/// The fields every target PDU has in the same place (RFC 7143 §11.1 to §11.19).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Initiator Task Tag.
    pub itt: Itt,
    /// StatSN; without a meaning in a Data-In that carries no status.
    pub stat_sn: Serial,
    /// ExpCmdSN.
    pub exp_cmd_sn: Serial,
    /// MaxCmdSN.
    pub max_cmd_sn: Serial,
}

impl Header {
    /// Read them from any target PDU.
    pub fn of(bhs: &Bhs) -> Self {
        let word = |at: usize| {
            Serial(u32::from_be_bytes([
                bhs.0[at],
                bhs.0[at + 1],
                bhs.0[at + 2],
                bhs.0[at + 3],
            ]))
        };
        Self {
            itt: bhs.itt(),
            stat_sn: word(24),
            exp_cmd_sn: word(28),
            max_cmd_sn: word(32),
        }
    }
}
