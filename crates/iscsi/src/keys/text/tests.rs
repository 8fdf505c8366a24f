use super::*;
use crate::keys::binary;

/// 6.1: pairs end with NUL.
#[test]
fn pairs_are_parsed_in_order() {
    let text = b"InitiatorName=iqn.2001-04.com.example:a=b\0SessionType=\0CHAP_A=5,7\0";
    let expected = vec![
        ("InitiatorName", "iqn.2001-04.com.example:a=b"),
        ("SessionType", ""),
        ("CHAP_A", "5,7"),
    ];
    assert_eq!(parse(text), Ok(expected.clone()));
    assert_eq!(
        parse(&text[..text.len() - 1]),
        Ok(expected),
        "a missing last NUL is forgiven"
    );
    assert_eq!(parse(b""), Ok(vec![]));
    assert_eq!(parse(b"A=1\0\0\0"), Ok(vec![("A", "1")]));
}

#[test]
fn what_is_no_text_is_refused() {
    assert_eq!(parse(b"Key\0"), Err(Malformed::MissingEquals));
    assert_eq!(parse(b"=value\0"), Err(Malformed::BadKey));
    assert_eq!(parse(b"Ke y=value\0"), Err(Malformed::BadKey));
    assert_eq!(parse(b"Key=\xff\0"), Err(Malformed::NotText));
    assert_eq!(parse(b"A=1\0B\0C=3\0"), Err(Malformed::MissingEquals));
}

/// 6.1: 63 bytes of key, 255 of a simple value, 1024 of a large binary one.
#[test]
fn lengths_of_keys_and_values() {
    let with = |key: &str, value: &str| format!("{key}={value}\0").into_bytes();
    assert!(parse(&with(&"K".repeat(63), "v")).is_ok());
    assert_eq!(
        parse(&with(&"K".repeat(64), "v")),
        Err(Malformed::KeyTooLong { got: 64 })
    );

    assert!(parse(&with("Key", &"v".repeat(255))).is_ok());
    let too_long = Malformed::ValueTooLong { got: 256, max: 255 };
    assert_eq!(parse(&with("Key", &"v".repeat(256))), Err(too_long));
    let list = ["v".repeat(255), "w".repeat(255)].join(",");
    assert!(
        parse(&with("Key", &list)).is_ok(),
        "the limit is per value of a list"
    );

    // Encoded values are measured decoded.
    assert!(parse(&with("CHAP_N", &binary::encode_hex(&[1; 255]))).is_ok());
    assert_eq!(
        parse(&with("CHAP_N", &binary::encode_hex(&[1; 256]))),
        Err(too_long)
    );
    assert!(parse(&with("CHAP_C", &binary::encode_hex(&[1; 1024]))).is_ok());
    assert!(parse(&with("CHAP_C", &binary::encode_base64(&[1; 1023]))).is_ok());
    let too_long = Malformed::ValueTooLong {
        got: 1025,
        max: 1024,
    };
    assert_eq!(
        parse(&with("CHAP_C", &binary::encode_hex(&[1; 1025]))),
        Err(too_long)
    );
}

#[test]
fn text_is_cut_anywhere_and_put_together_again() {
    let mut whole = TextBuffer::new();
    whole.push("TargetName", "iqn.2001-04.com.example:disk");
    whole.push("TargetAddress", "127.0.0.1:3260,1");
    let bytes = whole.as_bytes().to_vec();
    assert_eq!(bytes.last(), Some(&0));
    for max in 1..=bytes.len() + 1 {
        let mut text = whole.clone();
        let mut assembler = Assembler::new();
        loop {
            let (chunk, more) = text.take_chunk(max);
            assert!(chunk.len() == max || !more);
            assembler.push(&chunk).unwrap();
            if !more {
                break;
            }
        }
        assert!(text.is_empty());
        assert_eq!(assembler.take(), bytes);
        assert!(assembler.is_empty());
    }
}

/// 6.2: 8192 bytes must be held; more is refused without being kept.
#[test]
fn a_text_has_an_end() {
    let mut assembler = Assembler::new();
    assembler.push(&[b'a'; 8000]).unwrap();
    assembler.push(&[b'a'; 192]).unwrap();
    assert_eq!(
        assembler.push(b"a"),
        Err(Malformed::TextTooLong { max: 8192 })
    );
    assert_eq!(assembler.take().len(), 8192);
    assembler.push(b"again").unwrap();
}
