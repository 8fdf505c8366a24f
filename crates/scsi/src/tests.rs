//! A unit to ask, and what it says across commands: unit attentions, absent LUNs, flushes.

use block::{BlockSize, Caps, Thin};

use crate::{Cdb, Drained, Identity, Nexus, Plan, Sense, TargetPort, Unit, Waiter, absent};

pub(crate) const CAPS: Caps = Caps {
    bytes: 1000 * 512,
    block_size: BlockSize::B512,
    physical_bytes: 4096,
    read_only: false,
    volatile_cache: false,
    thin: Thin {
        unmap: false,
        unmapped_zero: false,
        quick_zeroes: false,
        extents: false,
        space: false,
    },
};

pub(crate) const TARGET: TargetPort<'static> = TargetPort {
    relative_port: 0x0102,
    port_group: 0x0304,
    luns: &[0, 1, 255, 256, 16383],
    port_name: "iqn.2026-01.org.example:disk,t,0x0001",
    device_name: "iqn.2026-01.org.example:disk",
};

pub(crate) fn unit_with(caps: Caps) -> Unit {
    let identity = Identity {
        vendor: *b"GLINT   ",
        product: *b"VIRTUAL DISK    ",
        revision: *b"0001",
        serial: "0123456789abcdef".to_owned(),
        naa: [0x60, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    };
    Unit::new(identity, caps)
}

/// 1000 blocks of 512 bytes, 8 to a physical block, writable, without a volatile cache.
pub(crate) fn unit() -> Unit {
    unit_with(CAPS)
}

pub(crate) fn cdb(bytes: &[u8]) -> Cdb {
    let mut padded = [0; 16];
    padded[..bytes.len()].copy_from_slice(bytes);
    Cdb::from(padded)
}

/// The plan for a nexus that has nothing to be told.
pub(crate) fn ask(unit: &mut Unit, bytes: &[u8]) -> Plan {
    unit.plan(Nexus(0), &cdb(bytes), &TARGET)
}

/// The Data-In of a command that has some.
pub(crate) fn data(unit: &mut Unit, bytes: &[u8]) -> Vec<u8> {
    match ask(unit, bytes) {
        Plan::Data(data) => data,
        plan => panic!("no data but {plan:?}"),
    }
}

/// key, ASC, ASCQ of a CHECK CONDITION.
pub(crate) fn code(plan: Plan) -> (u8, u8, u8) {
    match plan {
        Plan::Check(sense) => (sense.key.0, sense.asc, sense.ascq),
        plan => panic!("no CHECK CONDITION but {plan:?}"),
    }
}

pub(crate) const INVALID_FIELD: (u8, u8, u8) = (0x5, 0x24, 0x00);

const TEST_UNIT_READY: [u8; 6] = [0; 6];
const REQUEST_SENSE: [u8; 6] = [0x03, 0, 0, 0, 252, 0];
const INQUIRY: [u8; 6] = [0x12, 0, 0, 0, 255, 0];
const REPORT_LUNS: [u8; 12] = [0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];

fn ready(unit: &mut Unit, nexus: u64) -> Plan {
    unit.plan(Nexus(nexus), &cdb(&TEST_UNIT_READY), &TARGET)
}

/// Tells every nexus what it has to hear after `attach`.
fn settled(nexuses: u64) -> Unit {
    let mut unit = unit();
    for nexus in 1..=nexuses {
        unit.attach(Nexus(nexus));
        assert_eq!(code(ready(&mut unit, nexus)), (0x6, 0x29, 0x00));
        assert_eq!(ready(&mut unit, nexus), Plan::Good);
    }
    unit
}

#[test]
fn a_new_nexus_hears_of_the_power_on_once() {
    let mut unit = settled(1);
    unit.attach(Nexus(1)); // already attached: nothing new
    assert_eq!(ready(&mut unit, 1), Plan::Good);
    unit.detach(Nexus(1));
    unit.attach(Nexus(1));
    assert_eq!(code(ready(&mut unit, 1)), (0x6, 0x29, 0x00));
}

#[test]
fn inquiry_and_report_luns_neither_see_nor_clear_an_attention() {
    let mut unit = unit();
    unit.attach(Nexus(1));
    assert!(matches!(
        unit.plan(Nexus(1), &cdb(&INQUIRY), &TARGET),
        Plan::Data(_)
    ));
    assert!(matches!(
        unit.plan(Nexus(1), &cdb(&REPORT_LUNS), &TARGET),
        Plan::Data(_)
    ));
    assert_eq!(code(ready(&mut unit, 1)), (0x6, 0x29, 0x00));
}

#[test]
fn request_sense_returns_and_clears_an_attention() {
    let mut unit = unit();
    unit.attach(Nexus(1));
    let Plan::Data(data) = unit.plan(Nexus(1), &cdb(&REQUEST_SENSE), &TARGET) else {
        panic!("REQUEST SENSE is GOOD with data");
    };
    assert_eq!(
        data,
        [
            0x70, 0, 0x06, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 0x00, 0, 0, 0, 0
        ]
    );
    assert_eq!(ready(&mut unit, 1), Plan::Good);
    let Plan::Data(data) = unit.plan(Nexus(1), &cdb(&REQUEST_SENSE), &TARGET) else {
        panic!("REQUEST SENSE is GOOD with data");
    };
    assert_eq!(
        data,
        [0x70, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    );
}

#[test]
fn request_sense_gives_the_descriptor_format_when_asked() {
    let mut unit = unit();
    unit.attach(Nexus(1));
    let asked = cdb(&[0x03, 0x01, 0, 0, 252, 0]);
    let plan = unit.plan(Nexus(1), &asked, &TARGET);
    assert_eq!(plan, Plan::Data(vec![0x72, 0x06, 0x29, 0x00, 0, 0, 0, 0]));
    // Cut to the allocation length, and cleared all the same when nothing of it fits.
    unit.attention(None, Sense::CAPACITY_DATA_HAS_CHANGED);
    assert_eq!(
        unit.plan(Nexus(1), &cdb(&[0x03, 0, 0, 0, 0, 0]), &TARGET),
        Plan::Good
    );
    assert_eq!(ready(&mut unit, 1), Plan::Good);
}

/// What SPDK and tcmu-runner get wrong: one flag for the unit, cleared by whoever asks first.
#[test]
fn every_nexus_hears_of_a_new_capacity_exactly_once() {
    let mut unit = settled(3);
    unit.attention(None, Sense::CAPACITY_DATA_HAS_CHANGED);
    unit.attention(None, Sense::CAPACITY_DATA_HAS_CHANGED);
    for nexus in [2, 3, 1] {
        assert_eq!(
            code(ready(&mut unit, nexus)),
            (0x6, 0x2a, 0x09),
            "nexus {nexus}"
        );
        assert_eq!(ready(&mut unit, nexus), Plan::Good, "nexus {nexus}");
    }
}

#[test]
fn the_nexus_that_caused_it_is_spared() {
    let mut unit = settled(3);
    unit.attention(Some(Nexus(2)), Sense::COMMANDS_CLEARED_BY_ANOTHER_INITIATOR);
    assert_eq!(ready(&mut unit, 2), Plan::Good);
    assert_eq!(code(ready(&mut unit, 1)), (0x6, 0x2f, 0x00));
    assert_eq!(code(ready(&mut unit, 3)), (0x6, 0x2f, 0x00));
}

/// What istgt gets wrong: no unit attention after a LOGICAL UNIT RESET.
#[test]
fn a_reset_is_told_to_all_and_before_lesser_news() {
    let mut unit = settled(2);
    unit.attention(None, Sense::CAPACITY_DATA_HAS_CHANGED);
    assert_eq!(unit.reset(Waiter(1)), Drained::Now);
    for nexus in [1, 2] {
        assert_eq!(code(ready(&mut unit, nexus)), (0x6, 0x29, 0x03));
        assert_eq!(code(ready(&mut unit, nexus)), (0x6, 0x2a, 0x09));
        assert_eq!(ready(&mut unit, nexus), Plan::Good);
    }
}

#[test]
fn an_attention_comes_before_any_other_fault_of_a_command() {
    let mut unit = unit();
    unit.attach(Nexus(1));
    let unsupported = cdb(&[0xff]);
    assert_eq!(
        code(unit.plan(Nexus(1), &unsupported, &TARGET)),
        (0x6, 0x29, 0x00)
    );
    assert_eq!(
        code(unit.plan(Nexus(1), &unsupported, &TARGET)),
        (0x5, 0x20, 0x00)
    );
}

#[test]
fn report_luns_clears_the_news_that_the_luns_changed() {
    let mut unit = settled(2);
    unit.attention(None, Sense::REPORTED_LUNS_DATA_HAS_CHANGED);
    let refused = cdb(&[0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 15, 0, 0]);
    assert_eq!(code(unit.plan(Nexus(1), &refused, &TARGET)), INVALID_FIELD);
    assert!(matches!(
        unit.plan(Nexus(2), &cdb(&REPORT_LUNS), &TARGET),
        Plan::Data(_)
    ));
    assert_eq!(code(ready(&mut unit, 1)), (0x6, 0x3f, 0x0e));
    assert_eq!(ready(&mut unit, 2), Plan::Good);
}

#[test]
fn nexuses_are_listed_ascending() {
    let mut unit = unit();
    for nexus in [7, 3, 5] {
        unit.attach(Nexus(nexus));
    }
    unit.detach(Nexus(5));
    assert_eq!(unit.nexuses().collect::<Vec<_>>(), [Nexus(3), Nexus(7)]);
}

/// What LIO gets wrong: CHECK CONDITION to an INQUIRY of a missing LUN.
#[test]
fn an_absent_unit_says_so_in_its_inquiry_data() {
    let Plan::Data(data) = absent::plan(&cdb(&INQUIRY), &TARGET) else {
        panic!("INQUIRY is GOOD with data");
    };
    // Peripheral qualifier 011b, device type 1Fh; SPC-4; response data format 2.
    assert_eq!(data[..3], [0x7f, 0x00, 0x06]);
    assert_eq!(data[3] & 0x0f, 2);
    assert_eq!(usize::from(data[4]), data.len() - 5);
    let page = absent::plan(&cdb(&[0x12, 1, 0x00, 0, 255, 0]), &TARGET);
    assert_eq!(page, Plan::Data(vec![0x7f, 0x00, 0, 1, 0x00]));
    let page = absent::plan(&cdb(&[0x12, 1, 0x80, 0, 255, 0]), &TARGET);
    assert_eq!(code(page), INVALID_FIELD);
}

#[test]
fn an_absent_unit_reports_luns_and_sense_and_refuses_the_rest() {
    let present = unit().plan(Nexus(0), &cdb(&REPORT_LUNS), &TARGET);
    assert_eq!(absent::plan(&cdb(&REPORT_LUNS), &TARGET), present);
    let Plan::Data(data) = absent::plan(&cdb(&REQUEST_SENSE), &TARGET) else {
        panic!("REQUEST SENSE is GOOD with data");
    };
    assert_eq!((data[2], data[12], data[13]), (0x05, 0x25, 0x00));
    for opcode in (0..=255).filter(|opcode| ![0x03, 0x12, 0xa0].contains(opcode)) {
        let plan = absent::plan(&cdb(&[opcode]), &TARGET);
        assert_eq!(code(plan), (0x5, 0x25, 0x00), "opcode {opcode:02x}h");
    }
}

#[test]
fn synchronize_cache_flushes_and_checks_its_range() {
    let mut unit = unit();
    let flush = |immediate| Plan::Flush { immediate };
    assert_eq!(
        ask(&mut unit, &[0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        flush(false)
    );
    assert_eq!(
        ask(&mut unit, &[0x35, 2, 0, 0, 0, 0, 0, 0, 0, 0]),
        flush(true)
    );
    // LBA 999 for one block, for all that follow, for two blocks.
    assert_eq!(
        ask(&mut unit, &[0x35, 0, 0, 0, 3, 0xe7, 0, 0, 1, 0]),
        flush(false)
    );
    assert_eq!(
        ask(&mut unit, &[0x35, 0, 0, 0, 3, 0xe7, 0, 0, 0, 0]),
        flush(false)
    );
    let beyond = ask(&mut unit, &[0x35, 0, 0, 0, 3, 0xe7, 0, 0, 2, 0]);
    assert_eq!(code(beyond), (0x5, 0x21, 0x00));
    // The same of 16 bytes; and longer than any transfer, as only a flush may be.
    let mut long = [0x91, 2, 0, 0, 0, 0, 0, 0, 3, 0xe7, 0, 0, 0, 1, 0, 0];
    assert_eq!(ask(&mut unit, &long), flush(true));
    long[13] = 2;
    assert_eq!(code(ask(&mut unit, &long)), (0x5, 0x21, 0x00));
    let mut big = unit_with(Caps {
        bytes: 1 << 40,
        ..CAPS
    });
    assert_eq!(
        ask(
            &mut big,
            &[0x91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0, 0, 0, 0, 0]
        ),
        flush(false)
    );
}

#[test]
fn stopping_makes_the_cache_durable() {
    let mut unit = unit();
    let stop = [0x1b, 0, 0, 0, 0x00, 0];
    assert_eq!(ask(&mut unit, &stop), Plan::Flush { immediate: false });
    assert_eq!(
        ask(&mut unit, &[0x1b, 1, 0, 0, 0x00, 0]),
        Plan::Flush { immediate: true }
    );
    assert_eq!(ask(&mut unit, &[0x1b, 0, 0, 0, 0x01, 0]), Plan::Good); // START
    assert_eq!(ask(&mut unit, &[0x1b, 0, 0, 0, 0x04, 0]), Plan::Good); // NO_FLUSH
    assert_eq!(ask(&mut unit, &TEST_UNIT_READY), Plan::Good);
    // LOEJ: the medium is not removable. POWER CONDITION: none is supported.
    for refused in [0x02, 0x03, 0x10, 0xb1] {
        assert_eq!(
            code(ask(&mut unit, &[0x1b, 0, 0, 0, refused, 0])),
            INVALID_FIELD
        );
    }
}
