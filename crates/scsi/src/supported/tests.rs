use crate::opcodes::TABLE;
use crate::tests::{INVALID_FIELD, ask, code, data, unit};

fn cdb(options: u8, opcode: u8, action: u16) -> Vec<u8> {
    let mut bytes = vec![0xa3, 0x0c, options, opcode];
    bytes.extend(action.to_be_bytes());
    bytes.extend([0, 0, 0xff, 0xff, 0, 0]);
    bytes
}

/// The opcodes and service actions of the commands this unit promises, from SPC-4 and SBC-3.
const PROMISED: [(u8, Option<u8>, u8); 20] = [
    (0x00, None, 6),        // TEST UNIT READY
    (0x03, None, 6),        // REQUEST SENSE
    (0x08, None, 6),        // READ(6)
    (0x0a, None, 6),        // WRITE(6)
    (0x12, None, 6),        // INQUIRY
    (0x1a, None, 6),        // MODE SENSE(6)
    (0x1b, None, 6),        // START STOP UNIT
    (0x25, None, 10),       // READ CAPACITY(10)
    (0x28, None, 10),       // READ(10)
    (0x2a, None, 10),       // WRITE(10)
    (0x35, None, 10),       // SYNCHRONIZE CACHE(10)
    (0x5a, None, 10),       // MODE SENSE(10)
    (0x88, None, 16),       // READ(16)
    (0x8a, None, 16),       // WRITE(16)
    (0x91, None, 16),       // SYNCHRONIZE CACHE(16)
    (0x9e, Some(0x10), 16), // READ CAPACITY(16)
    (0xa0, None, 12),       // REPORT LUNS
    (0xa3, Some(0x0c), 12), // REPORT SUPPORTED OPERATION CODES
    (0xa8, None, 12),       // READ(12)
    (0xaa, None, 12),       // WRITE(12)
];

#[test]
fn all_commands() {
    let mut expected = vec![0, 0, 0, 160];
    for (opcode, action, length) in PROMISED {
        let servactv = u8::from(action.is_some());
        expected.extend([opcode, 0, 0, action.unwrap_or(0), 0, servactv, 0, length]);
    }
    assert_eq!(data(&mut unit(), &cdb(0x00, 0, 0)), expected);
}

#[test]
fn all_commands_with_timeouts() {
    let mut expected = vec![0, 0, 1, 144]; // 20 descriptors of 20 bytes
    for (opcode, action, length) in PROMISED {
        let flags = 0x02 | u8::from(action.is_some());
        expected.extend([opcode, 0, 0, action.unwrap_or(0), 0, flags, 0, length]);
        expected.extend([0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
    assert_eq!(data(&mut unit(), &cdb(0x80, 0, 0)), expected);
}

#[test]
fn one_command() {
    let read10 = [
        0, 0x03, 0, 10, 0x28, 0xf8, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0x04,
    ];
    assert_eq!(data(&mut unit(), &cdb(0x01, 0x28, 0)), read10);
    assert_eq!(data(&mut unit(), &cdb(0x03, 0x28, 0)), read10);
    let mut with_timeouts = read10.to_vec();
    with_timeouts[1] = 0x83;
    with_timeouts.extend([0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(data(&mut unit(), &cdb(0x81, 0x28, 0)), with_timeouts);
    let capacity = [
        0, 0x03, 0, 16, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0x04,
    ];
    assert_eq!(data(&mut unit(), &cdb(0x02, 0x9e, 0x10)), capacity);
    assert_eq!(data(&mut unit(), &cdb(0x03, 0x9e, 0x10)), capacity);
}

#[test]
fn one_command_that_is_not_there() {
    let not_supported = [0, 0x01, 0, 0];
    for (options, opcode, action) in [
        (0x01, 0xff, 0),
        (0x81, 0x04, 0),
        (0x02, 0xff, 3),
        (0x02, 0x9e, 0x12),
        (0x03, 0xff, 0),
        (0x03, 0x9e, 0x12),
        (0x03, 0x28, 1), // no service actions, so none but zero
        (0x02, 0x9e, 0x0110),
    ] {
        assert_eq!(
            data(&mut unit(), &cdb(options, opcode, action)),
            not_supported
        );
    }
}

#[test]
fn service_actions_are_asked_for_by_the_right_option() {
    let mut unit = unit();
    for row in TABLE {
        let action = row.service_action().unwrap_or(0).into();
        let (right, wrong) = if row.has_service_action {
            (2, 1)
        } else {
            (1, 2)
        };
        let answer = data(&mut unit, &cdb(right, row.opcode(), action));
        assert_eq!(&answer[4..], row.usage, "{}", row.name);
        assert_eq!(
            code(ask(&mut unit, &cdb(wrong, row.opcode(), action))),
            INVALID_FIELD
        );
    }
    for options in 4..8 {
        assert_eq!(code(ask(&mut unit, &cdb(options, 0x28, 0))), INVALID_FIELD);
    }
}

/// K40: what is reported is supported, and what is not reported is refused.
#[test]
fn the_report_is_what_dispatch_does() {
    let mut unit = unit();
    for opcode in 0..=255 {
        let reported = PROMISED.iter().any(|promised| promised.0 == opcode);
        for action in 0..32 {
            let plan = ask(&mut unit, &[opcode, action]);
            let refused = matches!(plan, crate::Plan::Check(sense)
                if sense.is(crate::Sense::INVALID_COMMAND_OPERATION_CODE));
            let supported = PROMISED
                .iter()
                .any(|row| row.0 == opcode && row.1.is_none_or(|row| row == action));
            assert_eq!(
                refused, !supported,
                "opcode {opcode:02x}h action {action:02x}h"
            );
        }
        let report = ask(&mut unit, &cdb(0x01, opcode, 0));
        match reported {
            false => assert_eq!(report, crate::Plan::Data(vec![0, 1, 0, 0])),
            true => assert_ne!(report, crate::Plan::Data(vec![0, 1, 0, 0])),
        }
    }
}
