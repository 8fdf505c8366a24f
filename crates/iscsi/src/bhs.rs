//! The Basic Header Segment: what all PDUs have in common (RFC 7143 11.2.1).

use std::fmt;

use crate::codes::open_code;
use crate::{Itt, Lun};

/// Bytes of a Basic Header Segment.
pub const BHS_BYTES: usize = 48;

/// Largest DataSegmentLength its 24 bits can say.
pub const DATA_SEGMENT_MAX: u32 = 0x00ff_ffff;

open_code! {
    /// Operation code, the low six bits of byte 0 (RFC 7143 11.2.1.2).
    Opcode(u8) {
        /// 11.18
        NOP_OUT = 0x00, "NOP-Out";
        /// 11.3
        SCSI_COMMAND = 0x01, "SCSI Command";
        /// 11.5
        TASK_MANAGEMENT_REQUEST = 0x02, "Task Management Function Request";
        /// 11.12
        LOGIN_REQUEST = 0x03, "Login Request";
        /// 11.10
        TEXT_REQUEST = 0x04, "Text Request";
        /// 11.7
        DATA_OUT = 0x05, "SCSI Data-Out";
        /// 11.14
        LOGOUT_REQUEST = 0x06, "Logout Request";
        /// 11.16
        SNACK = 0x10, "SNACK Request";
        /// 11.19
        NOP_IN = 0x20, "NOP-In";
        /// 11.4
        SCSI_RESPONSE = 0x21, "SCSI Response";
        /// 11.6
        TASK_MANAGEMENT_RESPONSE = 0x22, "Task Management Function Response";
        /// 11.13
        LOGIN_RESPONSE = 0x23, "Login Response";
        /// 11.11
        TEXT_RESPONSE = 0x24, "Text Response";
        /// 11.7
        DATA_IN = 0x25, "SCSI Data-In";
        /// 11.15
        LOGOUT_RESPONSE = 0x26, "Logout Response";
        /// 11.8
        R2T = 0x31, "Ready To Transfer";
        /// 11.9
        ASYNC_MESSAGE = 0x32, "Asynchronous Message";
        /// 11.17
        REJECT = 0x3f, "Reject";
    }
}

/// The 48 bytes every PDU starts with, as they are on the wire (RFC 7143 11.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bhs(pub [u8; BHS_BYTES]);

impl Bhs {
    /// Which PDU this is (11.2.1.2).
    pub fn opcode(&self) -> Opcode {
        Opcode(self.0[0] & 0x3f)
    }

    /// The I bit: for immediate delivery (11.2.1.1).
    pub fn is_immediate(&self) -> bool {
        self.0[0] & 0x40 != 0
    }

    /// The F bit, which Login PDUs call T (11.2.1.3).
    pub fn is_final(&self) -> bool {
        self.0[1] & 0x80 != 0
    }

    /// TotalAHSLength, in four byte words (11.2.1.5).
    pub fn total_ahs_words(&self) -> u8 {
        self.0[4]
    }

    /// Sets TotalAHSLength, in four byte words.
    pub fn set_total_ahs_words(&mut self, words: u8) {
        self.0[4] = words;
    }

    /// DataSegmentLength, in bytes without the padding (11.2.1.6).
    pub fn data_segment_len(&self) -> u32 {
        u32::from_be_bytes([0, self.0[5], self.0[6], self.0[7]])
    }

    /// Sets DataSegmentLength.
    ///
    /// # Panics
    /// When `len` does not fit its 24 bits.
    pub fn set_data_segment_len(&mut self, len: u32) {
        assert!(len <= DATA_SEGMENT_MAX, "a data segment of {len} bytes");
        self.0[5..8].copy_from_slice(&len.to_be_bytes()[1..]);
    }

    /// Bytes 8 to 15 as a LUN, where this PDU has one there (11.2.1.7).
    pub fn lun(&self) -> Lun {
        let mut lun = [0; 8];
        lun.copy_from_slice(&self.0[8..16]);
        Lun(u64::from_be_bytes(lun))
    }

    /// Initiator Task Tag (11.2.1.8).
    pub fn itt(&self) -> Itt {
        Itt(u32::from_be_bytes([
            self.0[16], self.0[17], self.0[18], self.0[19],
        ]))
    }
}

impl Default for Bhs {
    fn default() -> Self {
        Self([0; BHS_BYTES])
    }
}

/// In words of four bytes, as the figures of the RFC are drawn.
impl fmt::Debug for Bhs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bhs(")?;
        for (index, word) in self.0.chunks_exact(4).enumerate() {
            let gap = if index == 0 { "" } else { " " };
            write!(
                f,
                "{gap}{:02x}{:02x}{:02x}{:02x}",
                word[0], word[1], word[2], word[3]
            )?;
        }
        write!(f, ")")
    }
}
