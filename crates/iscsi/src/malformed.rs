//! What can be wrong with bytes. The peer must act: who receives one of these closes the
//! connection or rejects the PDU, and can say why.

use crate::Opcode;

/// Bytes that are not iSCSI (RFC 7143 7.7, 7.8, 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// No PDU of this direction has this opcode (RFC 7143 11.2.1.2).
    #[error("opcode 0x{:02x} is not known here", .0.0)]
    UnknownOpcode(Opcode),
    /// More data than was declared with MaxRecvDataSegmentLength (RFC 7143 13.12).
    #[error("a data segment of {got} bytes where {max} are allowed")]
    DataSegmentTooLong {
        /// DataSegmentLength of the header.
        got: u32,
        /// What the receiver had declared.
        max: u32,
    },
    /// An additional header runs past TotalAHSLength (RFC 7143 11.2.2.2).
    #[error("an additional header segment of {got} bytes where {left} are left")]
    AhsTooLong {
        /// Bytes that the additional header says it has.
        got: u32,
        /// Bytes that TotalAHSLength leaves.
        left: u32,
    },
    /// An additional header is too short for what its type says (RFC 7143 11.2.2.3, 11.2.2.4).
    #[error("an additional header of type {kind} is {got} bytes long")]
    AhsTooShort {
        /// AHSType.
        kind: u8,
        /// AHSLength.
        got: u32,
    },
    /// The header digest does not match (RFC 7143 7.7).
    #[error("the header digest does not match")]
    HeaderDigest,
    /// A key name longer than 63 bytes (RFC 7143 6.1).
    #[error("a key name of {got} bytes where 63 are allowed")]
    KeyTooLong {
        /// Length of the name.
        got: usize,
    },
    /// A key name that is empty or holds a character names may not have (RFC 7143 6.1).
    #[error("a key name that is no key name")]
    BadKey,
    /// A value longer than its key allows (RFC 7143 6.1).
    #[error("a value of {got} bytes where {max} are allowed")]
    ValueTooLong {
        /// Length of the value.
        got: usize,
        /// What its key allows.
        max: usize,
    },
    /// One text, its continuations counted, beyond what a receiver must hold (RFC 7143 6.2).
    #[error("a text of more than {max} bytes")]
    TextTooLong {
        /// What we hold.
        max: usize,
    },
    /// Text that is not UTF-8 (RFC 7143 6.1).
    #[error("text that is not UTF-8")]
    NotText,
    /// A piece of text without `=` (RFC 7143 6.1).
    #[error("a key without a value")]
    MissingEquals,
    /// Not an iSCSI name (RFC 7143 4.2.7).
    #[error("not an iSCSI name")]
    BadName,
}
