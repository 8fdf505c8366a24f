//! Additional Header Segments (RFC 7143 11.2.2).

use crate::Malformed;

/// One additional header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ahs<'a> {
    /// The CDB bytes after the sixteenth (11.2.2.3).
    ExtendedCdb(&'a [u8]),
    /// Expected Bidirectional Read Data Transfer Length (11.2.2.4).
    BidiReadLength(u32),
    /// A type the RFC does not name.
    Unknown {
        /// AHSType.
        kind: u8,
    },
}

const EXTENDED_CDB: u8 = 1;
const BIDI_READ_LENGTH: u8 = 2;

/// The additional headers in the bytes that TotalAHSLength covers. Ends at the first error.
pub fn parse(bytes: &[u8]) -> impl Iterator<Item = Result<Ahs<'_>, Malformed>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let one = take(&mut rest);
        if one.is_err() {
            rest = &[];
        }
        Some(one)
    })
}

/// AHSLength counts the bytes after AHSType, the reserved one included, the padding not.
fn take<'a>(rest: &mut &'a [u8]) -> Result<Ahs<'a>, Malformed> {
    let left = rest.len() as u32;
    let [high, low, kind, specific @ ..] = *rest else {
        return Err(Malformed::AhsTooLong { got: 4, left });
    };
    let kind = kind & 0x3f;
    let len = usize::from(u16::from_be_bytes([*high, *low]));
    let Some(body) = specific.get(..len) else {
        return Err(Malformed::AhsTooLong {
            got: 3 + len as u32,
            left,
        });
    };
    // A missing pad after the last header does no harm.
    *rest = rest
        .get((3 + len).next_multiple_of(4)..)
        .unwrap_or_default();
    match (kind, body) {
        (EXTENDED_CDB, [_reserved, cdb @ ..]) => Ok(Ahs::ExtendedCdb(cdb)),
        (BIDI_READ_LENGTH, [_reserved, a, b, c, d, ..]) => {
            Ok(Ahs::BidiReadLength(u32::from_be_bytes([*a, *b, *c, *d])))
        }
        (EXTENDED_CDB | BIDI_READ_LENGTH, _) => Err(Malformed::AhsTooShort {
            kind,
            got: len as u32,
        }),
        _ => Ok(Ahs::Unknown { kind }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8]) -> Vec<Result<Ahs<'_>, Malformed>> {
        parse(bytes).collect()
    }

    #[test]
    fn the_two_types_of_the_rfc() {
        // A CDB of 21 bytes: AHSLength is its length less 15, and two bytes of padding follow.
        let extended = [0, 6, 1, 0, 16, 17, 18, 19, 20, 0, 0, 0];
        assert_eq!(
            all(&extended),
            [Ok(Ahs::ExtendedCdb(&[16, 17, 18, 19, 20]))]
        );
        let bidi = [0, 5, 2, 0, 0, 1, 0, 0];
        assert_eq!(all(&bidi), [Ok(Ahs::BidiReadLength(0x1_0000))]);
        let [cdb, length] = [all(&extended)[0], all(&bidi)[0]];
        assert_eq!(all(&[&extended[..], &bidi[..]].concat()), [cdb, length]);
        assert_eq!(all(&[&bidi[..], &extended[..]].concat()), [length, cdb]);
        assert_eq!(all(&[]), []);
    }

    #[test]
    fn an_unknown_type_is_skipped_by_its_length() {
        let bytes = [0, 2, 9, 7, 7, 0, 0, 0, 0, 5, 2, 0, 0, 0, 2, 0];
        assert_eq!(
            all(&bytes),
            [Ok(Ahs::Unknown { kind: 9 }), Ok(Ahs::BidiReadLength(512))]
        );
    }

    #[test]
    fn lengths_that_lie_end_the_list() {
        let past_the_end = [0, 6, 1, 0, 16, 17, 18, 19];
        assert_eq!(
            all(&past_the_end),
            [Err(Malformed::AhsTooLong { got: 9, left: 8 })]
        );
        assert_eq!(
            all(&[0, 1]),
            [Err(Malformed::AhsTooLong { got: 4, left: 2 })]
        );
        let short = [0, 4, 2, 0, 1, 2, 3, 0, 0, 5, 2, 0, 0, 0, 2, 0];
        assert_eq!(
            all(&short),
            [Err(Malformed::AhsTooShort { kind: 2, got: 4 })]
        );
        assert_eq!(
            all(&[0, 0, 1, 0]),
            [Err(Malformed::AhsTooShort { kind: 1, got: 0 })]
        );
    }

    proptest! {
        #[test]
        fn any_bytes_come_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..1020)) {
            prop_assert!(parse(&bytes).count() <= 256);
        }
    }
}
