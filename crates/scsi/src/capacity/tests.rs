use block::{BlockSize, Caps};

use crate::Plan;
use crate::tests::{CAPS, ask, data, unit, unit_with};

const READ_CAPACITY_10: [u8; 10] = [0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn read_capacity_16(allocation_length: u8) -> [u8; 16] {
    [
        0x9e,
        0x10,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        allocation_length,
        0,
        0,
    ]
}

#[test]
fn last_block_and_block_length() {
    let mut unit = unit();
    assert_eq!(
        data(&mut unit, &READ_CAPACITY_10),
        [0, 0, 3, 0xe7, 0, 0, 2, 0]
    );
    let mut expected = [0; 32];
    expected[..12].copy_from_slice(&[0, 0, 0, 0, 0, 0, 3, 0xe7, 0, 0, 2, 0]);
    expected[13] = 3; // eight logical blocks in a physical one
    assert_eq!(data(&mut unit, &read_capacity_16(255)), expected);
}

#[test]
fn blocks_of_4096_bytes() {
    let mut unit = unit_with(Caps {
        bytes: 1 << 30,
        block_size: BlockSize::B4096,
        ..CAPS
    });
    assert_eq!(
        data(&mut unit, &READ_CAPACITY_10),
        [0, 3, 0xff, 0xff, 0, 0, 0x10, 0]
    );
    let long = data(&mut unit, &read_capacity_16(32));
    assert_eq!(long[8..14], [0, 0, 0x10, 0, 0, 0]);
}

#[test]
fn ten_bytes_cannot_tell_more_than_two_tebibytes() {
    for (blocks, last) in [
        (0xffff_ffff_u64, 0xffff_fffe),
        (1 << 32, 0xffff_ffff),
        (1 << 40, 0xffff_ffff_u32),
    ] {
        let mut unit = unit_with(Caps {
            bytes: blocks * 512,
            ..CAPS
        });
        assert_eq!(data(&mut unit, &READ_CAPACITY_10)[..4], last.to_be_bytes());
        assert_eq!(
            data(&mut unit, &read_capacity_16(32))[..8],
            (blocks - 1).to_be_bytes()
        );
    }
}

#[test]
fn any_allocation_length_will_do() {
    let mut unit = unit();
    assert_eq!(ask(&mut unit, &read_capacity_16(0)), Plan::Good);
    for length in 1..40 {
        let cut = data(&mut unit, &read_capacity_16(length));
        assert_eq!(cut.len(), usize::from(length).min(32));
    }
}
