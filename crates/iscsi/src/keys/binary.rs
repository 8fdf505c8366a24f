//! Binary values as text: hexadecimal after `0x`, base64 after `0b` (RFC 7143 6.1).

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Initiators differ in whether they pad.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The bytes of a hexadecimal or base64 constant. An odd number of hexadecimal digits has a
/// leading zero left out.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let (prefix, digits) = text.split_at_checked(2)?;
    match prefix {
        "0x" | "0X" => decode_hex(digits),
        "0b" | "0B" if !digits.is_empty() => BASE64.decode(digits).ok(),
        _ => None,
    }
}

fn decode_hex(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let (first, rest) = digits.as_bytes().split_at(digits.len() % 2);
    let first = first.iter().map(|&byte| digit(byte));
    let rest = rest
        .chunks_exact(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?));
    let bytes: Option<Vec<u8>> = first.chain(rest).collect();
    bytes.filter(|bytes| !bytes.is_empty())
}

/// The bytes as a hexadecimal constant.
pub fn encode_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("0x");
    text.extend(digits.map(|digit| char::from(DIGITS[usize::from(digit)])));
    text
}

/// The bytes as a base64 constant.
pub fn encode_base64(bytes: &[u8]) -> String {
    let mut text = String::from("0b");
    BASE64.encode_string(bytes, &mut text);
    text
}

/// A number below 2^64 as a decimal, hexadecimal or base64 constant.
pub fn number(text: &str) -> Option<u64> {
    if text.starts_with("0x") || text.starts_with("0X") || text.starts_with("0b") {
        let bytes = decode(text)?;
        let leading = bytes.iter().take_while(|byte| **byte == 0).count();
        let significant = &bytes[leading..];
        return (significant.len() <= 8).then(|| {
            significant
                .iter()
                .fold(0, |number, byte| number << 8 | u64::from(*byte))
        });
    }
    // `parse` alone would take a sign.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
