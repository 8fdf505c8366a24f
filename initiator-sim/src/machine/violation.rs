//! What a target can do wrong that an honest initiator cannot go on from.

use iscsi::{Itt, Malformed, Opcode, Serial};

/// The target broke RFC 7143 in a way that leaves the exchange without a meaning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A PDU that has no place in this phase.
    #[error("{} has no place here", .0.name())]
    Unexpected(Opcode),
    /// Bytes that do not decode.
    #[error("malformed: {0}")]
    Malformed(#[from] Malformed),
    /// The data digest of a received PDU is wrong (RFC 7143 §7.8).
    #[error("data digest of {} is wrong", .0.name())]
    DataDigest(Opcode),
    /// An answer to something never asked, or answered before.
    #[error("{} for ITT {:#x}, which is not outstanding", .opcode.name(), .itt.0)]
    UnknownItt {
        /// What came.
        opcode: Opcode,
        /// The tag it names.
        itt: Itt,
    },
    /// StatSN left the sequence (RFC 7143 §4.2.2.2).
    #[error("StatSN {} where {} is due", .got.0, .due.0)]
    StatSn {
        /// What the PDU carries.
        got: Serial,
        /// What the sequence wants.
        due: Serial,
    },
    /// DataSN left the sequence (RFC 7143 §4.2.2.3).
    #[error("DataSN {got} where {due} is due")]
    DataSn {
        /// What the PDU carries.
        got: u32,
        /// What the sequence wants.
        due: u32,
    },
    /// Data-In outside the expected transfer, or out of order though order was negotiated.
    #[error("Data-In at {offset}+{len}, expected at {due} within {edtl}")]
    DataInPlace {
        /// Buffer offset.
        offset: u32,
        /// Length.
        len: usize,
        /// The offset that was due.
        due: u32,
        /// Expected data transfer length.
        edtl: u32,
    },
    /// Data-In for a command that does not read, or R2T for one that does not write.
    #[error("{} against the command's direction", .0.name())]
    WrongDirection(Opcode),
    /// R2T outside the command, of length zero, above MaxBurstLength, or out of sequence.
    #[error("R2T {r2t_sn} asks {offset}+{len} of {edtl} (MaxBurstLength {max_burst})")]
    R2t {
        /// R2TSN.
        r2t_sn: u32,
        /// Buffer offset asked for.
        offset: u32,
        /// Desired data transfer length.
        len: u32,
        /// Expected data transfer length of the command.
        edtl: u32,
        /// The agreed bound.
        max_burst: u32,
    },
    /// The login response breaks the login's own rules.
    #[error("login: {0}")]
    Login(&'static str),
    /// The echo of a NOP-Out differs from what was sent.
    #[error("NOP-In does not return the ping data")]
    NopData,
    /// A Reject that carries no whole header of the rejected PDU (RFC 7143 §11.17).
    #[error("Reject without the rejected header")]
    RejectWithoutHeader,
}
