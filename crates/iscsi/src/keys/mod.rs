//! Text negotiation (RFC 7143 6 and 13): key=value pairs, and what becomes of them.
//!
//! It knows which keys there are and what their result functions are, not who may log in: keys
//! of identity and security are listed, and left to the login.

mod adopt;
pub mod binary;
mod params;
mod responder;
mod table;
mod text;

pub use adopt::adopt;
pub use binary::number;
pub use params::{DigestChoice, Offer, Params, TaskReporting};
pub use responder::{KeyViolation, Phase, Responder};
pub use table::{Boolean, Combine, KEYS, List, Number, Pick, Row, Rule, Scope, Senders, Use, find};
pub use text::{Assembler, TextBuffer, parse};

/// Longest key name in bytes (RFC 7143 6.1).
pub const KEY_BYTES_MAX: usize = 63;

/// Longest simple value in bytes, before any encoding (RFC 7143 6.1).
pub const VALUE_BYTES_MAX: usize = 255;

/// Longest large binary value in bytes, before any encoding (RFC 7143 6.1, 12.1.3).
pub const LARGE_BINARY_BYTES_MAX: usize = 1024;

/// How much text one exchange may hold, all its continuations together. A receiver must take
/// 8192 bytes (RFC 7143 6.2); nobody has needed more to log in.
pub const TEXT_BYTES_MAX: usize = 8192;

/// The answer to a key that is not known (RFC 7143 6.2).
pub const NOT_UNDERSTOOD: &str = "NotUnderstood";
/// The answer to a key that has no meaning in this negotiation (RFC 7143 6.2).
pub const IRRELEVANT: &str = "Irrelevant";
/// The answer to a value that cannot be taken (RFC 7143 6.2).
pub const REJECT: &str = "Reject";

#[cfg(test)]
mod tests;
