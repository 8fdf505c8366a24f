use block::Caps;

use crate::tests::{CAPS, INVALID_FIELD, ask, code, data, unit, unit_with};

const CACHING: [u8; 20] = [
    0x08, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];
const CONTROL: [u8; 12] = [0x0a, 0x0a, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0];

fn sense6(flags: u8, page: u8, subpage: u8) -> [u8; 6] {
    [0x1a, flags, page, subpage, 255, 0]
}

fn sense10(flags: u8, page: u8, subpage: u8) -> [u8; 10] {
    [0x5a, flags, page, subpage, 0, 0, 0, 1, 0, 0]
}

#[test]
fn all_pages_with_the_short_block_descriptor() {
    let mut expected = vec![43, 0x00, 0x10, 8];
    expected.extend([0, 0, 3, 0xe8, 0, 0, 2, 0]);
    expected.extend(CACHING);
    expected.extend(CONTROL);
    assert_eq!(data(&mut unit(), &sense6(0, 0x3f, 0)), expected);
    assert_eq!(data(&mut unit(), &sense6(0, 0x3f, 0xff)), expected);
}

#[test]
fn ten_bytes_have_a_longer_header_and_may_have_a_long_descriptor() {
    let mut short = vec![0, 26, 0x00, 0x10, 0, 0, 0, 8];
    short.extend([0, 0, 3, 0xe8, 0, 0, 2, 0]);
    short.extend(CONTROL);
    assert_eq!(data(&mut unit(), &sense10(0, 0x0a, 0)), short);
    let mut long = vec![0, 34, 0x00, 0x10, 1, 0, 0, 16];
    long.extend([0, 0, 0, 0, 0, 0, 3, 0xe8, 0, 0, 0, 0, 0, 0, 2, 0]);
    long.extend(CONTROL);
    assert_eq!(data(&mut unit(), &sense10(0x10, 0x0a, 0)), long);
}

#[test]
fn dbd_leaves_the_descriptor_out() {
    let mut expected = vec![15, 0x00, 0x10, 0];
    expected.extend(CONTROL);
    assert_eq!(data(&mut unit(), &sense6(0x08, 0x0a, 0)), expected);
    let mut expected = vec![0, 26, 0x00, 0x10, 0, 0, 0, 0];
    expected.extend(CACHING);
    assert_eq!(data(&mut unit(), &sense10(0x18, 0x08, 0xff)), expected);
}

#[test]
fn more_blocks_than_the_short_descriptor_can_tell() {
    let mut unit = unit_with(Caps {
        bytes: 1 << 50,
        ..CAPS
    });
    assert_eq!(
        data(&mut unit, &sense6(0, 0x08, 0))[4..12],
        [0xff, 0xff, 0xff, 0xff, 0, 0, 2, 0]
    );
    let long = data(&mut unit, &sense10(0x10, 0x08, 0));
    assert_eq!(
        long[8..24],
        [0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0]
    );
}

#[test]
fn wce_tells_whether_the_cache_is_volatile() {
    let mut unit = unit_with(Caps {
        volatile_cache: true,
        ..CAPS
    });
    assert_eq!(
        data(&mut unit, &sense6(0x08, 0x08, 0))[4..7],
        [0x08, 0x12, 0x04]
    );
    assert_eq!(
        data(&mut unit, &sense6(0x08, 0x88, 0))[4..7],
        [0x08, 0x12, 0x04]
    ); // default
    // Changeable: no bit of any page.
    let changeable = data(&mut unit, &sense6(0x08, 0x7f, 0));
    let mut expected = vec![35, 0x00, 0x10, 0, 0x08, 0x12];
    expected.extend([0; 18]);
    expected.extend([0x0a, 0x0a]);
    expected.extend([0; 10]);
    assert_eq!(changeable, expected);
}

#[test]
fn a_read_only_unit_is_write_protected() {
    let mut unit = unit_with(Caps {
        read_only: true,
        ..CAPS
    });
    assert_eq!(data(&mut unit, &sense6(0, 0x3f, 0))[2], 0x90);
    assert_eq!(data(&mut unit, &sense10(0, 0x3f, 0))[3], 0x90);
}

#[test]
fn what_is_not_there_is_refused() {
    let mut unit = unit();
    for (page, subpage) in [(0x01, 0), (0x1c, 0), (0x00, 0), (0x0a, 0x01), (0x3f, 0x01)] {
        assert_eq!(
            code(ask(&mut unit, &sense6(0, page, subpage))),
            INVALID_FIELD
        );
        assert_eq!(
            code(ask(&mut unit, &sense10(0, page, subpage))),
            INVALID_FIELD
        );
    }
    // Saved values.
    assert_eq!(code(ask(&mut unit, &sense6(0, 0xff, 0))), (0x5, 0x39, 0x00));
    assert_eq!(
        code(ask(&mut unit, &sense10(0, 0xc8, 0))),
        (0x5, 0x39, 0x00)
    );
}

#[test]
fn the_data_is_cut_and_its_length_is_not() {
    let cut = data(&mut unit(), &[0x1a, 0, 0x3f, 0, 4, 0]);
    assert_eq!(cut, [43, 0x00, 0x10, 8]);
    let cut = data(&mut unit(), &[0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 2, 0]);
    assert_eq!(cut, [0, 46]);
}
