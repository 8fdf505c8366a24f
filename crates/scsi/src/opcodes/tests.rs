use super::*;
use crate::tests::{INVALID_FIELD, ask, cdb, code, unit};

#[test]
fn the_table_is_ascending_without_twins() {
    let keys: Vec<_> = TABLE
        .iter()
        .map(|row| (row.opcode(), row.service_action()))
        .collect();
    assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "{keys:02x?}");
    for row in TABLE {
        let actions = rows(row.opcode()).len();
        assert!(actions == 1 || row.has_service_action, "{}", row.name);
        assert!(
            rows(row.opcode())
                .iter()
                .any(|found| std::ptr::eq(found, row)),
            "{}",
            row.name
        );
    }
}

/// SPC-4: the three high bits of an opcode are its group, and a group has one CDB length.
#[test]
fn cdbs_are_as_long_as_their_group() {
    for row in TABLE {
        let length = match row.opcode() >> 5 {
            0 => 6,
            1 | 2 => 10,
            4 => 16,
            5 => 12,
            group => panic!("{} is in group {group}", row.name),
        };
        assert_eq!(row.usage.len(), length, "{}", row.name);
    }
}

#[test]
fn naca_is_refused_everywhere() {
    for row in TABLE {
        let mut bytes = vec![0; row.usage.len()];
        bytes[0] = row.opcode();
        bytes[1] = row.service_action().unwrap_or(0);
        *bytes.last_mut().expect("a CONTROL byte") = 0x04;
        assert_eq!(
            code(ask(&mut unit(), &bytes)),
            INVALID_FIELD,
            "{}",
            row.name
        );
    }
}

/// A CDB of each command that has something to say.
const CDBS: [&[u8]; 20] = [
    &[0x00, 0, 0, 0, 0, 0],
    &[0x03, 0, 0, 0, 252, 0],
    &[0x08, 0, 0, 8, 8, 0],
    &[0x0a, 0, 0, 8, 8, 0],
    &[0x12, 0x01, 0x83, 0, 255, 0],
    &[0x1a, 0, 0x3f, 0, 255, 0],
    &[0x1b, 0, 0, 0, 0, 0],
    &[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    &[0x28, 0, 0, 0, 0, 8, 0, 0, 8, 0],
    &[0x2a, 0, 0, 0, 0, 8, 0, 0, 8, 0],
    &[0x35, 0, 0, 0, 0, 8, 0, 0, 8, 0],
    &[0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 255, 0],
    &[0x88, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0],
    &[0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0],
    &[0x91, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0],
    &[0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0],
    &[0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0],
    &[0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0],
    &[0xa8, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0],
    &[0xaa, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0],
];

/// CDB USAGE DATA must not claim that a bit is ignored which changes the answer.
#[test]
fn bits_outside_the_usage_data_change_nothing() {
    for bytes in CDBS {
        let row = find(&cdb(bytes)).expect("supported");
        let plan = ask(&mut unit(), bytes);
        assert!(!matches!(plan, Plan::Check(_)), "{}: {plan:?}", row.name);
        for at in 1..bytes.len() {
            for bit in (0..8).filter(|bit| row.usage[at] & (1 << bit) == 0) {
                if at == 1 && bit < 5 && row.has_service_action {
                    continue; // part of what the command is
                }
                let mut flipped = bytes.to_vec();
                flipped[at] ^= 1 << bit;
                let name = row.name;
                assert_eq!(
                    ask(&mut unit(), &flipped),
                    plan,
                    "{name} byte {at} bit {bit}"
                );
            }
        }
    }
    assert_eq!(CDBS.len(), TABLE.len());
}

/// No CDB may panic the unit, whatever its bytes.
#[test]
fn any_bytes_are_answered() {
    let mut random = 7_u64;
    let mut unit = unit();
    for round in 0..200_000_u32 {
        let mut bytes = [0; 16];
        for half in bytes.chunks_exact_mut(8) {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            half.copy_from_slice(&(random ^ (random >> 29)).to_be_bytes());
        }
        // Mostly commands that exist, where there is more to trip over.
        if round % 4 != 0 {
            let row = &TABLE[round as usize % TABLE.len()];
            bytes[0] = row.opcode();
            if let Some(action) = row.service_action() {
                bytes[1] = action;
            }
            bytes[row.usage.len() - 1] = 0;
        }
        if let Plan::Read { span } | Plan::Write { span, .. } = ask(&mut unit, &bytes) {
            assert!(
                span.len > 0 && span.end() <= unit.caps().bytes,
                "{bytes:02x?}"
            );
        }
    }
}
