//! iSCSI names: what a node is called, whoever and wherever it is (RFC 7143 4.2.7).

use std::fmt;

use crate::Malformed;

/// A well-formed iSCSI name in its normal form (RFC 7143 4.2.7.1 to 4.2.7.3).
///
/// ASCII and Unicode letters are lower case; two spellings of one name compare equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IscsiName(String);

impl IscsiName {
    /// Longest name in bytes (RFC 7143 4.2.7.1).
    pub const BYTES_MAX: usize = 223;

    /// Checks a name and brings it into normal form.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        // Lower case can be longer than upper case, so the length is that of the normal form.
        if text.len() > Self::BYTES_MAX {
            return Err(Malformed::BadName);
        }
        let name = text.to_lowercase();
        let sound = name.len() <= Self::BYTES_MAX
            && name.chars().all(allowed)
            && match name.split_at_checked(4) {
                Some(("iqn.", rest)) => is_qualified(rest),
                Some(("eui.", rest)) => is_hex(rest, &[16]),
                Some(("naa.", rest)) => is_hex(rest, &[16, 32]),
                _ => false,
            };
        if sound {
            Ok(Self(name))
        } else {
            Err(Malformed::BadName)
        }
    }

    /// The name in normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IscsiName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The characters RFC 3722 6 leaves: of ASCII only letters, digits, dash, dot and colon. The
/// underscore, which it does not, is taken too: host names bring it into initiator names in the
/// field, and refusing it would keep those hosts out for nothing.
fn allowed(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '.' | ':' | '_')
}

/// `yyyy-mm.authority[:anything]`, the part after `iqn.` (RFC 7143 4.2.7.4).
fn is_qualified(rest: &str) -> bool {
    let Some((date, authority)) = rest.split_once('.') else {
        return false;
    };
    let Some((year, month)) = date.split_once('-') else {
        return false;
    };
    let digits = |text: &str, len| text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
    let month_exists = digits(month, 2) && ("01"..="12").contains(&month);
    let named = authority.starts_with(|c: char| c.is_alphanumeric());
    digits(year, 4) && month_exists && named
}

fn is_hex(rest: &str, lengths: &[usize]) -> bool {
    lengths.contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc_are_names() {
        for name in [
            "iqn.2001-04.com.example:storage:diskarrays-sn-a8675309",
            "iqn.2001-04.com.example",
            "iqn.2001-04.com.example:storage.tape1.sys1.xyz",
            "iqn.2001-04.com.example:host_a",
            "eui.02004567a425678d",
            "naa.52004567ba64678d",
            "naa.62004567ba64678d0123456789abcdef",
        ] {
            assert_eq!(IscsiName::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn case_does_not_make_two_names() {
        let upper = IscsiName::parse("IQN.2001-04.COM.Example:Disk").unwrap();
        assert_eq!(
            upper,
            IscsiName::parse("iqn.2001-04.com.example:disk").unwrap()
        );
        assert_eq!(
            IscsiName::parse("EUI.02004567A425678D").unwrap().as_str(),
            "eui.02004567a425678d"
        );
    }

    #[test]
    fn malformed_names_are_refused() {
        for name in [
            "",
            "iqn",
            "iqn.",
            "iqn.2001-04",
            "iqn.2001-04.",
            "iqn.2001-13.com.example",
            "iqn.01-04.com.example",
            "iqn.2001-04.com.example:a b",
            "iqn.2001-04.com.example:a,b",
            "iqn.2001-04.com.example:a\u{3000}b",
            "eui.02004567a425678",
            "eui.02004567a425678g",
            "naa.52004567ba64678d0",
            "com.example",
            "éqn.x",
        ] {
            assert_eq!(IscsiName::parse(name), Err(Malformed::BadName), "{name}");
        }
    }

    #[test]
    fn the_longest_name_has_223_bytes() {
        let prefix = "iqn.2001-04.com.example:";
        let longest = format!("{prefix}{}", "a".repeat(223 - prefix.len()));
        assert!(IscsiName::parse(&longest).is_ok());
        assert!(IscsiName::parse(&format!("{longest}a")).is_err());
    }
}
