use proptest::prelude::*;

use super::*;

/// 6.1: decimal, hexadecimal and base64 constants.
#[test]
fn numbers_in_three_spellings() {
    for (text, value) in [
        ("0", Some(0)),
        ("00008192", Some(8192)),
        ("0x2000", Some(8192)),
        ("0X2000", Some(8192)),
        ("0x0", Some(0)),
        ("0bIAA=", Some(8192)),
        ("18446744073709551615", Some(u64::MAX)),
        ("0xffffffffffffffff", Some(u64::MAX)),
        ("0x00ffffffffffffffff", Some(u64::MAX)),
        ("0x1ffffffffffffffff", None),
        ("18446744073709551616", None),
        ("", None),
        ("0x", None),
        ("0b", None),
        ("-1", None),
        ("+1", None),
        ("1e3", None),
        ("0xg", None),
        ("0x+1", None),
    ] {
        assert_eq!(number(text), value, "{text}");
    }
}

#[test]
fn binary_values_both_ways() {
    assert_eq!(decode("0x00fF10"), Some(vec![0x00, 0xff, 0x10]));
    assert_eq!(decode("0xf10"), Some(vec![0x0f, 0x10]));
    // RFC 4648 10, with and without padding.
    assert_eq!(decode("0bZm9vYmE="), Some(b"fooba".to_vec()));
    assert_eq!(decode("0bZm9vYmE"), Some(b"fooba".to_vec()));
    for nonsense in ["", "0", "0x", "0b", "0xzz", "0b****", "00ff", "é", "0é"] {
        assert_eq!(decode(nonsense), None, "{nonsense}");
    }
    assert_eq!(encode_hex(&[0x00, 0xab, 0x9f]), "0x00ab9f");
    assert_eq!(encode_base64(b"fooba"), "0bZm9vYmE=");
}

proptest! {
    #[test]
    fn binary_values_survive(bytes in prop::collection::vec(any::<u8>(), 1..100)) {
        prop_assert_eq!(decode(&encode_hex(&bytes)), Some(bytes.clone()));
        prop_assert_eq!(decode(&encode_base64(&bytes)), Some(bytes));
    }
}
