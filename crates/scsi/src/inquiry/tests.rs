use block::{BlockSize, Caps};

use crate::Plan;
use crate::tests::{CAPS, INVALID_FIELD, ask, code, data, unit, unit_with};

fn page(code: u8) -> [u8; 6] {
    [0x12, 0x01, code, 0x02, 0x00, 0]
}

#[test]
fn standard_data() {
    let mut expected = vec![0x00, 0x00, 0x06, 0x12, 91, 0x00, 0x00, 0x02];
    expected.extend(b"GLINT   VIRTUAL DISK    0001");
    expected.resize(58, 0);
    // T10's version descriptors: SAM-5, SPC-4, SBC-3, iSCSI.
    expected.extend([0x00, 0xa0, 0x04, 0x60, 0x04, 0xc0, 0x09, 0x60]);
    expected.resize(96, 0);
    assert_eq!(data(&mut unit(), &[0x12, 0, 0, 1, 0, 0]), expected);
}

#[test]
fn any_allocation_length_will_do() {
    let mut unit = unit();
    assert_eq!(ask(&mut unit, &[0x12, 0, 0, 0, 0, 0]), Plan::Good);
    for length in 1..=255 {
        let cut = data(&mut unit, &[0x12, 0, 0, 0, length, 0]);
        assert_eq!(cut.len(), usize::from(length).min(96));
        assert!(length < 5 || cut[4] == 91);
    }
}

#[test]
fn nonsense_is_refused() {
    let mut unit = unit();
    // A page code without EVPD; the obsolete CMDDT bit; pages that do not exist.
    assert_eq!(
        code(ask(&mut unit, &[0x12, 0, 0x80, 0, 255, 0])),
        INVALID_FIELD
    );
    assert_eq!(
        code(ask(&mut unit, &[0x12, 2, 0, 0, 255, 0])),
        INVALID_FIELD
    );
    for absent in [0x01, 0x81, 0x86, 0xb3, 0xff] {
        assert_eq!(
            code(ask(&mut unit, &page(absent))),
            INVALID_FIELD,
            "page {absent:02x}h"
        );
    }
}

#[test]
fn supported_pages_are_sorted_and_all_there() {
    let mut unit = unit();
    let listed = data(&mut unit, &page(0x00));
    assert_eq!(
        listed,
        [0x00, 0x00, 0, 6, 0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2]
    );
    for code in 0..=255 {
        let is_there = matches!(ask(&mut unit, &page(code)), Plan::Data(_));
        assert_eq!(is_there, listed[4..].contains(&code), "page {code:02x}h");
    }
    for code in &listed[4..] {
        let body = data(&mut unit, &page(*code));
        assert_eq!(body[..2], [0x00, *code]);
        assert_eq!(usize::from(body[3]), body.len() - 4, "page {code:02x}h");
    }
}

#[test]
fn unit_serial_number() {
    let mut expected = vec![0x00, 0x80, 0, 16];
    expected.extend(b"0123456789abcdef");
    assert_eq!(data(&mut unit(), &page(0x80)), expected);
}

#[test]
fn device_identification() {
    let mut expected = vec![0x00, 0x83, 0, 160];
    // T10 vendor identification of the unit, ASCII.
    expected.extend([0x02, 0x01, 0, 40]);
    expected.extend(b"GLINT   VIRTUAL DISK    0123456789abcdef");
    // NAA of the unit, binary.
    expected.extend([0x01, 0x03, 0, 16]);
    expected.extend([0x60, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    // Relative target port and target port group, binary, of the port (iSCSI, PIV).
    expected.extend([0x51, 0x94, 0, 4, 0, 0, 0x01, 0x02]);
    expected.extend([0x51, 0x95, 0, 4, 0, 0, 0x03, 0x04]);
    // SCSI name strings of the port and of the device, UTF-8.
    expected.extend([0x53, 0x98, 0, 40]);
    expected.extend(b"iqn.2026-01.org.example:disk,t,0x0001\0\0\0");
    expected.extend([0x53, 0xa8, 0, 32]);
    expected.extend(b"iqn.2026-01.org.example:disk\0\0\0\0");
    assert_eq!(data(&mut unit(), &page(0x83)), expected);
}

#[test]
fn block_limits() {
    let mut expected = vec![0x00, 0xb0, 0, 0x3c, 0, 0];
    expected.extend([0, 8]); // granularity: a physical block
    expected.extend([0, 0, 0x40, 0]); // at most 8 MiB
    expected.extend([0, 0, 0x08, 0]); // best 1 MiB
    expected.resize(64, 0);
    assert_eq!(data(&mut unit(), &page(0xb0)), expected);
    let mut unit = unit_with(Caps {
        block_size: BlockSize::B4096,
        ..CAPS
    });
    assert_eq!(
        data(&mut unit, &page(0xb0))[6..16],
        [0, 1, 0, 0, 0x08, 0, 0, 0, 0x01, 0]
    );
}

#[test]
fn block_device_characteristics_and_provisioning() {
    let mut expected = vec![0x00, 0xb1, 0, 0x3c, 0x00, 0x01];
    expected.resize(64, 0);
    assert_eq!(data(&mut unit(), &page(0xb1)), expected);
    assert_eq!(
        data(&mut unit(), &page(0xb2)),
        [0x00, 0xb2, 0, 4, 0, 0, 0, 0]
    );
}
