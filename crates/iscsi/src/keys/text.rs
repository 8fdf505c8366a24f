//! Key=value pairs as bytes, in one PDU or in several (RFC 7143 6.1, 6.2).

use super::{
    KEY_BYTES_MAX, LARGE_BINARY_BYTES_MAX, TEXT_BYTES_MAX, VALUE_BYTES_MAX, find, table::Rule,
};
use crate::Malformed;

/// The pairs of a text, in order. The NUL after the last may be missing, and more than one does
/// no harm: initiators are seen that do either.
pub fn parse(text: &[u8]) -> Result<Vec<(&str, &str)>, Malformed> {
    let text = std::str::from_utf8(text).map_err(|_| Malformed::NotText)?;
    text.split('\0')
        .filter(|pair| !pair.is_empty())
        .map(pair)
        .collect()
}

fn pair(pair: &str) -> Result<(&str, &str), Malformed> {
    let (key, value) = pair.split_once('=').ok_or(Malformed::MissingEquals)?;
    if key.len() > KEY_BYTES_MAX {
        return Err(Malformed::KeyTooLong { got: key.len() });
    }
    if key.is_empty() || !key.bytes().all(in_key) {
        return Err(Malformed::BadKey);
    }
    let max = match find(key).map(|row| &row.rule) {
        Some(Rule::LargeBinary) => LARGE_BINARY_BYTES_MAX,
        _ => VALUE_BYTES_MAX,
    };
    match value.split(',').map(decoded_len).find(|len| *len > max) {
        None => Ok((key, value)),
        Some(got) => Err(Malformed::ValueTooLong { got, max }),
    }
}

/// The characters of a standard label (RFC 7143 6.1), and `#` of the extension keys. Its first
/// letter shall be a capital, which the RFC's own iSCSIProtocolLevel is not.
fn in_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-+@_#".contains(&byte)
}

/// Limits are on what a value says, not on how it is encoded (RFC 7143 6.1).
fn decoded_len(value: &str) -> usize {
    let digits = value.len().saturating_sub(2);
    match value.as_bytes() {
        [b'0', b'x' | b'X', ..] => digits.div_ceil(2),
        [b'0', b'b' | b'B', ..] => digits.div_ceil(4) * 3,
        _ => value.len(),
    }
}

/// Pairs to send.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TextBuffer {
    bytes: Vec<u8>,
}

impl TextBuffer {
    /// No pairs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a pair with its NUL.
    pub fn push(&mut self, key: &str, value: &str) {
        for part in [key, "=", value, "\0"] {
            self.bytes.extend_from_slice(part.as_bytes());
        }
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What is left to send.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes at most `max` bytes for one PDU, and whether more are left, in which case that PDU
    /// has its C bit set. Keys and values may be split anywhere.
    pub fn take_chunk(&mut self, max: usize) -> (Vec<u8>, bool) {
        let chunk = self.bytes.drain(..max.min(self.bytes.len())).collect();
        (chunk, !self.bytes.is_empty())
    }
}

/// Puts together the text of several PDUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembler {
    bytes: Vec<u8>,
    max: usize,
}

impl Default for Assembler {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            max: TEXT_BYTES_MAX,
        }
    }
}

impl Assembler {
    /// Nothing so far, and at most [`TEXT_BYTES_MAX`] to come.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing so far, and at most `max` to come: for who reads a long list of targets.
    pub fn with_max(max: usize) -> Self {
        Self {
            bytes: Vec::new(),
            max,
        }
    }

    /// Appends the text of one PDU. Text that is too long is not kept.
    pub fn push(&mut self, text: &[u8]) -> Result<(), Malformed> {
        if text.len() > self.max - self.bytes.len() {
            return Err(Malformed::TextTooLong { max: self.max });
        }
        self.bytes.extend_from_slice(text);
        Ok(())
    }

    /// The whole text, when its last PDU has come; the next one starts empty.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Whether a text is under way.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

#[cfg(test)]
mod tests;
