use crate::tests::{INVALID_FIELD, ask, code, data, unit};

fn cdb(select: u8, allocation_length: u32) -> Vec<u8> {
    let mut bytes = vec![0xa0, 0, select, 0, 0, 0];
    bytes.extend(allocation_length.to_be_bytes());
    bytes
}

#[test]
fn luns_are_addressed_by_their_size() {
    let mut expected = vec![0, 0, 0, 40, 0, 0, 0, 0];
    // LUN 0, 1 and 255: peripheral device addressing; 256 and 16383: flat space addressing.
    for first in [
        [0x00, 0x00],
        [0x00, 0x01],
        [0x00, 0xff],
        [0x41, 0x00],
        [0x7f, 0xff],
    ] {
        expected.extend(first);
        expected.extend([0; 6]);
    }
    for select in [0x00, 0x02] {
        assert_eq!(
            data(&mut unit(), &cdb(select, 4096)),
            expected,
            "SELECT REPORT {select}"
        );
    }
}

#[test]
fn there_are_no_well_known_units() {
    assert_eq!(data(&mut unit(), &cdb(0x01, 4096)), [0; 8]);
    for select in [0x03, 0x10, 0xff] {
        assert_eq!(code(ask(&mut unit(), &cdb(select, 4096))), INVALID_FIELD);
    }
}

#[test]
fn the_list_is_cut_and_its_length_is_not() {
    assert_eq!(code(ask(&mut unit(), &cdb(0, 15))), INVALID_FIELD);
    let cut = data(&mut unit(), &cdb(0, 16));
    assert_eq!(cut, [0, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
}
