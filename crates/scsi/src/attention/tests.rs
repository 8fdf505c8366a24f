use super::*;
use crate::Key;

fn attached() -> Attentions {
    let mut attentions = Attentions::default();
    attentions.attach(Nexus(1));
    attentions
}

fn all(attentions: &mut Attentions) -> Vec<(u8, u8)> {
    std::iter::from_fn(|| attentions.take(Nexus(1)))
        .map(|sense| (sense.asc, sense.ascq))
        .collect()
}

#[test]
fn conditions_are_told_by_precedence_then_age() {
    let mut attentions = attached();
    for sense in [
        Sense::REPORTED_LUNS_DATA_HAS_CHANGED,
        Sense::I_T_NEXUS_LOSS,
        Sense::CAPACITY_DATA_HAS_CHANGED,
        Sense::BUS_DEVICE_RESET,
        Sense::REPORTED_LUNS_DATA_HAS_CHANGED, // already pending
    ] {
        attentions.establish(|_| true, sense);
    }
    let told = [
        (0x29, 0x00),
        (0x29, 0x03),
        (0x29, 0x07),
        (0x3f, 0x0e),
        (0x2a, 0x09),
    ];
    assert_eq!(all(&mut attentions), told);
    assert_eq!(attentions.pending, 0);
}

#[test]
fn a_queue_is_bounded() {
    let mut attentions = attached();
    for ascq in 0..=255 {
        attentions.establish(|_| true, Sense::new(Key::UNIT_ATTENTION, 0x3f, ascq));
    }
    assert_eq!(attentions.pending, ATTENTIONS_MAX);
    assert_eq!(all(&mut attentions).len(), ATTENTIONS_MAX);
}

#[test]
fn the_count_follows_every_way_out_of_a_queue() {
    let mut attentions = attached();
    attentions.attach(Nexus(2));
    attentions.establish(|nexus| nexus != Nexus(1), Sense::CAPACITY_DATA_HAS_CHANGED);
    assert_eq!(attentions.pending, 3);
    attentions.clear(Nexus(2), Sense::CAPACITY_DATA_HAS_CHANGED);
    attentions.clear(Nexus(1), Sense::CAPACITY_DATA_HAS_CHANGED); // was not pending
    assert_eq!(attentions.pending, 2);
    attentions.detach(Nexus(2));
    attentions.detach(Nexus(2));
    assert_eq!(attentions.pending, 1);
    assert!(attentions.take(Nexus(3)).is_none());
    assert!(attentions.take(Nexus(1)).is_some());
    assert!(attentions.take(Nexus(1)).is_none());
    assert_eq!(attentions.pending, 0);
}
