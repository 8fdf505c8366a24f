use block::{BlockSize, Caps, Span};

use crate::tests::{CAPS, INVALID_FIELD, ask, code, unit, unit_with};
use crate::{Cdb, Plan, TRANSFER_BYTES_MAX, Unit};

const OUT_OF_RANGE: (u8, u8, u8) = (0x5, 0x21, 0x00);

/// A READ or WRITE of each length, with fields put where SBC-3 draws them.
fn cdb6(opcode: u8, lba: u32, blocks: u8) -> Vec<u8> {
    let lba = lba.to_be_bytes();
    vec![opcode, lba[1], lba[2], lba[3], blocks, 0]
}

fn cdb10(opcode: u8, flags: u8, lba: u32, blocks: u16) -> Vec<u8> {
    let mut bytes = vec![opcode, flags];
    bytes.extend(lba.to_be_bytes());
    bytes.push(0);
    bytes.extend(blocks.to_be_bytes());
    bytes
}

fn cdb12(opcode: u8, flags: u8, lba: u32, blocks: u32) -> Vec<u8> {
    let mut bytes = vec![opcode, flags];
    bytes.extend(lba.to_be_bytes());
    bytes.extend(blocks.to_be_bytes());
    bytes
}

fn cdb16(opcode: u8, flags: u8, lba: u64, blocks: u32) -> Vec<u8> {
    let mut bytes = vec![opcode, flags];
    bytes.extend(lba.to_be_bytes());
    bytes.extend(blocks.to_be_bytes());
    bytes
}

/// The same range as READ and WRITE of 10, 12 and 16 bytes.
fn all(flags: u8, lba: u32, blocks: u16) -> [Vec<u8>; 6] {
    [
        cdb10(0x28, flags, lba, blocks),
        cdb10(0x2a, flags, lba, blocks),
        cdb12(0xa8, flags, lba, blocks.into()),
        cdb12(0xaa, flags, lba, blocks.into()),
        cdb16(0x88, flags, lba.into(), blocks.into()),
        cdb16(0x8a, flags, lba.into(), blocks.into()),
    ]
}

fn span(plan: Plan) -> Span {
    match plan {
        Plan::Read { span } | Plan::Write { span, .. } => span,
        plan => panic!("no transfer but {plan:?}"),
    }
}

fn is_read(bytes: &[u8]) -> bool {
    matches!(bytes[0], 0x08 | 0x28 | 0x88 | 0xa8)
}

#[test]
fn every_length_reads_and_writes_its_range() {
    let mut unit = unit();
    let mut cdbs = all(0, 0x123, 5).to_vec();
    cdbs.extend([cdb6(0x08, 0x123, 5), cdb6(0x0a, 0x123, 5)]);
    for bytes in cdbs {
        let span = Span {
            at: 0x123 * 512,
            len: 5 * 512,
        };
        let expected = match is_read(&bytes) {
            true => Plan::Read { span },
            false => Plan::Write {
                span,
                durable: true,
            },
        };
        assert_eq!(ask(&mut unit, &bytes), expected, "{bytes:02x?}");
    }
}

#[test]
fn zero_blocks_is_good_without_data_but_256_in_six_bytes() {
    let mut unit = unit();
    for bytes in all(0, 0, 0).iter().chain(&all(0, 999, 0)) {
        assert_eq!(ask(&mut unit, bytes), Plan::Good, "{bytes:02x?}");
    }
    assert_eq!(span(ask(&mut unit, &cdb6(0x08, 0, 0))).len, 256 * 512);
    assert_eq!(span(ask(&mut unit, &cdb6(0x0a, 0, 0))).len, 256 * 512);
}

#[test]
fn the_last_block_is_there_and_the_next_is_not() {
    let mut unit = unit();
    for bytes in all(0, 999, 1) {
        assert_eq!(
            span(ask(&mut unit, &bytes)),
            Span {
                at: 999 * 512,
                len: 512
            }
        );
    }
    // One past the end, with and without blocks; straddling; far away.
    for (lba, blocks) in [
        (1000, 1),
        (1000, 0),
        (1001, 0),
        (999, 2),
        (1, 1000),
        (0, 1001),
        (0x8000_0000, 0),
        (0xffff_ffff, 0),
        (0xffff_ffff, 0xffff),
    ] {
        for bytes in all(0, lba, blocks) {
            assert_eq!(code(ask(&mut unit, &bytes)), OUT_OF_RANGE, "{bytes:02x?}");
        }
    }
    for opcode in [0x08, 0x0a] {
        assert_eq!(span(ask(&mut unit, &cdb6(opcode, 999, 1))).at, 999 * 512);
        assert_eq!(code(ask(&mut unit, &cdb6(opcode, 999, 2))), OUT_OF_RANGE);
        assert_eq!(
            code(ask(&mut unit, &cdb6(opcode, 0x1f_ffff, 1))),
            OUT_OF_RANGE
        );
    }
    for opcode in [0x88, 0x8a] {
        for lba in [1 << 32, 1 << 63, u64::MAX] {
            let far = cdb16(opcode, 0, lba, u32::MAX);
            assert_eq!(code(ask(&mut unit, &far)), OUT_OF_RANGE, "LBA {lba:x}h");
        }
    }
}

#[test]
fn the_first_lba_that_does_not_exist_is_told() {
    let mut unit = unit();
    for (lba, blocks, first) in [(998, 5, 1000), (1234, 1, 1234)] {
        let Plan::Check(sense) = ask(&mut unit, &cdb10(0x28, 0, lba, blocks)) else {
            panic!("beyond the end");
        };
        assert_eq!(sense.information, Some(first));
    }
}

#[test]
fn lbas_beyond_32_bits_are_reached() {
    let mut unit = unit_with(Caps {
        bytes: 5 << 40,
        ..CAPS
    });
    let lba = (5 << 31) - 1; // the last of 5 TiB
    let read = span(ask(&mut unit, &cdb16(0x88, 0, lba, 1)));
    assert_eq!(
        read,
        Span {
            at: (5 << 40) - 512,
            len: 512
        }
    );
    assert_eq!(code(ask(&mut unit, &cdb16(0x88, 0, lba, 2))), OUT_OF_RANGE);
}

#[test]
fn blocks_of_4096_bytes() {
    let caps = Caps {
        bytes: 10 * 4096,
        block_size: BlockSize::B4096,
        ..CAPS
    };
    let mut unit = unit_with(caps);
    let read = span(ask(&mut unit, &cdb10(0x28, 0, 9, 1)));
    assert_eq!(
        read,
        Span {
            at: 9 * 4096,
            len: 4096
        }
    );
    assert_eq!(code(ask(&mut unit, &cdb10(0x28, 0, 10, 1))), OUT_OF_RANGE);
}

#[test]
fn the_longest_transfer_is_what_block_limits_says() {
    for block_size in [BlockSize::B512, BlockSize::B4096] {
        let mut unit = unit_with(Caps {
            bytes: 1 << 30,
            block_size,
            ..CAPS
        });
        let most = TRANSFER_BYTES_MAX / block_size.bytes();
        for opcode in [0x88, 0x8a] {
            let read = span(ask(&mut unit, &cdb16(opcode, 0, 7, most)));
            assert_eq!(read.len, u64::from(TRANSFER_BYTES_MAX));
            assert_eq!(
                code(ask(&mut unit, &cdb16(opcode, 0, 7, most + 1))),
                INVALID_FIELD
            );
        }
    }
    // The sense points at TRANSFER LENGTH.
    let mut unit = unit_with(Caps {
        bytes: 1 << 40,
        ..CAPS
    });
    for (bytes, byte) in [
        (cdb10(0x28, 0, 0, 0xffff), 7),
        (cdb12(0xa8, 0, 0, 0x10_0000), 6),
        (cdb16(0x88, 0, 0, 0x10_0000), 10),
    ] {
        let Plan::Check(sense) = ask(&mut unit, &bytes) else {
            panic!("too long")
        };
        assert_eq!(sense.field.expect("pointed at").byte, byte);
    }
}

#[test]
fn protection_information_is_refused() {
    let mut unit = unit();
    for protect in 1..8 {
        for bytes in all(protect << 5, 0, 1) {
            assert_eq!(code(ask(&mut unit, &bytes)), INVALID_FIELD, "{bytes:02x?}");
        }
    }
}

#[test]
fn dpo_and_fua_are_accepted() {
    let mut unit = unit();
    for flags in [0x10, 0x08, 0x18] {
        for bytes in all(flags, 0, 1) {
            assert_eq!(span(ask(&mut unit, &bytes)).len, 512, "{bytes:02x?}");
        }
    }
}

#[test]
fn writes_are_durable_with_fua_or_without_a_volatile_cache() {
    let durable = |unit: &mut Unit, bytes: &[u8]| match ask(unit, bytes) {
        Plan::Write { durable, .. } => durable,
        plan => panic!("no write but {plan:?}"),
    };
    let mut write_back = unit_with(Caps {
        volatile_cache: true,
        ..CAPS
    });
    let mut write_through = unit();
    for flags in [0x00, 0x08, 0x10, 0x18] {
        for bytes in all(flags, 0, 1).iter().filter(|bytes| !is_read(bytes)) {
            assert_eq!(
                durable(&mut write_back, bytes),
                flags & 0x08 != 0,
                "{bytes:02x?}"
            );
            assert!(durable(&mut write_through, bytes), "{bytes:02x?}");
        }
    }
    assert!(!durable(&mut write_back, &cdb6(0x0a, 0, 1)));
    assert!(durable(&mut write_through, &cdb6(0x0a, 0, 1)));
}

#[test]
fn a_read_only_unit_refuses_writes_and_only_writes() {
    let mut unit = unit_with(Caps {
        read_only: true,
        ..CAPS
    });
    let mut cdbs = [all(0, 0, 1), all(0, 0, 0)].concat();
    cdbs.extend([cdb6(0x08, 0, 1), cdb6(0x0a, 0, 1)]);
    for bytes in cdbs {
        let plan = ask(&mut unit, &bytes);
        match is_read(&bytes) {
            true => assert!(
                matches!(plan, Plan::Read { .. } | Plan::Good),
                "{bytes:02x?}"
            ),
            false => assert_eq!(code(plan), (0x7, 0x27, 0x00), "{bytes:02x?}"),
        }
    }
}

#[test]
fn a_cdb_knows_its_name() {
    let named = |bytes: &[u8]| crate::tests::cdb(bytes).name();
    assert_eq!(named(&cdb10(0x28, 0, 0, 0)), Some("READ(10)"));
    assert_eq!(named(&[0x9e, 0x10]), Some("READ CAPACITY(16)"));
    assert_eq!(Cdb::from([0xff; 16]).name(), None);
}
