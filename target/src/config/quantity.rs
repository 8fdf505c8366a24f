//! Sizes and durations as people write them.

use std::fmt;
use std::time::Duration;

use super::Unfit;

/// What a size looks like, for messages.
pub const BYTES_ALLOWED: &str = "a number of bytes, or one with KiB, MiB, GiB or TiB";

/// What a duration looks like, for messages.
pub const DURATION_ALLOWED: &str = "a number with ms, s or min, for example \"15s\"";

const BYTE_UNITS: [(&str, u64); 4] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
];

/// Reads a size.
pub fn bytes(text: &str) -> Result<u64, Unfit> {
    let (number, unit) = BYTE_UNITS
        .iter()
        .find_map(|&(name, unit)| Some((text.strip_suffix(name)?.trim_end(), unit)))
        .unwrap_or((text, 1));
    whole(number)
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| Unfit::new(format!("\"{text}\" is no size"), BYTES_ALLOWED))
}

/// Reads a duration.
pub fn duration(text: &str) -> Result<Duration, Unfit> {
    const UNITS: [(&str, u64); 3] = [("ms", 1), ("min", 60_000), ("s", 1000)];
    UNITS
        .iter()
        .find_map(|&(name, unit)| Some((text.strip_suffix(name)?.trim_end(), unit)))
        .and_then(|(number, unit)| whole(number)?.checked_mul(unit))
        .map(Duration::from_millis)
        .ok_or_else(|| Unfit::new(format!("\"{text}\" is no duration"), DURATION_ALLOWED))
}

/// Digits only: no sign, no space.
fn whole(text: &str) -> Option<u64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

/// A size, in the largest unit that leaves no remainder.
#[derive(Clone, Copy, Debug)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = BYTE_UNITS
            .iter()
            .find(|(_, unit)| self.0 != 0 && self.0.is_multiple_of(*unit));
        match unit {
            Some((name, unit)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("4096", Some(4096)),
            ("1GiB", Some(1 << 30)),
            ("3 MiB", Some(3 << 20)),
            ("1GB", None),
            ("-1", None),
            ("", None),
            ("KiB", None),
            ("1.5GiB", None),
            ("16777216TiB", None),
        ] {
            assert_eq!(bytes(text).ok(), expected, "{text}");
        }
        assert_eq!(Bytes(10 << 30).to_string(), "10GiB");
        assert_eq!(Bytes(1000).to_string(), "1000");
    }

    #[test]
    fn durations() {
        assert_eq!(duration("15s"), Ok(Duration::from_secs(15)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2min"), Ok(Duration::from_secs(120)));
        assert!(duration("15").is_err());
        assert!(duration("1h").is_err());
    }
}
