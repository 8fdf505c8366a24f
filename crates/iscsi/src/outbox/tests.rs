use std::rc::Rc;

use super::*;

const BOTH: Digests = Digests {
    header: true,
    data: true,
};
const PLAIN: Digests = Digests {
    header: false,
    data: false,
};

fn bhs(tag: u8) -> Bhs {
    let mut bhs = Bhs::default();
    bhs.0[19] = tag;
    bhs
}

fn pending(outbox: &Outbox<Rc<[u8]>>) -> Vec<u8> {
    let mut slices = Vec::new();
    outbox.slices(&mut slices);
    let bytes: Vec<u8> = slices
        .iter()
        .flat_map(|slice| slice.iter().copied())
        .collect();
    assert_eq!(bytes.len(), outbox.len());
    bytes
}

fn none(_: Rc<[u8]>) {
    panic!("nothing shared to hand back")
}

#[test]
fn a_pdu_has_its_length_padding_and_digests() {
    let mut outbox = Outbox::new();
    assert!(outbox.is_empty());
    outbox.push(bhs(7), Payload::Inline(&[1, 2, 3, 4, 5]), BOTH);
    let bytes = pending(&outbox);
    assert_eq!(bytes.len(), 48 + 4 + 8 + 4);
    assert_eq!(bytes[4..8], [0, 0, 0, 5]);
    assert_eq!(bytes[19], 7);
    assert_eq!(bytes[48..52], ::crc32c::crc32c(&bytes[..48]).to_le_bytes());
    assert_eq!(bytes[52..60], [1, 2, 3, 4, 5, 0, 0, 0]);
    assert_eq!(
        bytes[60..],
        ::crc32c::crc32c(&[1, 2, 3, 4, 5, 0, 0, 0]).to_le_bytes()
    );
}

/// The SCSI Read command of RFC 7143 A.4 with its digest.
#[test]
fn the_header_digest_of_the_rfc() {
    let mut command = Bhs::default();
    for (at, value) in [
        (0, 0x01),
        (1, 0xc0),
        (16, 0x14),
        (22, 0x04),
        (27, 0x14),
        (31, 0x18),
        (32, 0x28),
        (40, 0x02),
    ] {
        command.0[at] = value;
    }
    let mut outbox = Outbox::new();
    outbox.push(command, Payload::None, BOTH);
    assert_eq!(pending(&outbox)[48..], [0x56, 0x3a, 0x96, 0xd9]);
}

#[test]
fn empty_data_has_neither_padding_nor_digest() {
    let empty: Rc<[u8]> = Rc::from([]);
    for payload in [Payload::None, Payload::Inline(&[]), Payload::Shared(empty)] {
        let mut outbox = Outbox::new();
        outbox.push(
            bhs(1),
            payload,
            Digests {
                header: false,
                data: true,
            },
        );
        assert_eq!(outbox.len(), 48);
    }
}

#[test]
fn additional_headers_are_counted_in_words_and_covered_by_the_header_digest() {
    let ahs = [0, 5, 2, 0, 0, 0, 2, 0];
    let mut outbox = Outbox::new();
    outbox.push_with_ahs(bhs(1), &ahs, Payload::None, BOTH);
    let bytes = pending(&outbox);
    assert_eq!(bytes[4], 2);
    assert_eq!(bytes[48..56], ahs);
    assert_eq!(bytes[56..], ::crc32c::crc32c(&bytes[..56]).to_le_bytes());
}

type Memory = Rc<[u8]>;

/// Three PDUs, two of them with shared memory.
fn filled() -> (Outbox<Memory>, Memory, Memory) {
    let first: Rc<[u8]> = (0..101).collect();
    let second: Rc<[u8]> = (0..64).rev().collect();
    let mut outbox = Outbox::new();
    outbox.push(bhs(1), Payload::Shared(Rc::clone(&first)), BOTH);
    outbox.push(bhs(2), Payload::Inline(b"inline"), BOTH);
    outbox.push(bhs(3), Payload::Shared(Rc::clone(&second)), PLAIN);
    (outbox, first, second)
}

#[test]
fn shared_memory_is_sent_from_where_it_is() {
    let (outbox, first, second) = filled();
    let mut slices = Vec::new();
    outbox.slices(&mut slices);
    assert_eq!(slices.len(), 4, "copied, shared, copied, shared");
    assert_eq!(slices[1].as_ptr(), first.as_ptr());
    assert_eq!(slices[3].as_ptr(), second.as_ptr());
    assert_eq!(slices[2].len(), 3 + 4 + 48 + 4 + 8 + 4 + 48);
}

#[test]
fn however_it_is_sent_the_bytes_are_the_same_and_memory_comes_back() {
    let whole = pending(&filled().0);
    for step in 1..=whole.len() {
        let (mut outbox, first, second) = filled();
        let mut sent = Vec::new();
        let mut back = Vec::new();
        while !outbox.is_empty() {
            let bytes = pending(&outbox);
            let count = step.min(bytes.len());
            sent.extend_from_slice(&bytes[..count]);
            outbox.advance(count, |memory| back.push(memory));
            // Handed back as soon as its last byte is out, and not before.
            let out = [52 + 101, whole.len()];
            let expected = out.iter().filter(|end| sent.len() >= **end).count();
            assert_eq!(back.len(), expected, "after {} bytes", sent.len());
        }
        assert_eq!(sent, whole, "in steps of {step}");
        assert!(Rc::ptr_eq(&back[0], &first) && Rc::ptr_eq(&back[1], &second));
    }
}

#[test]
fn empty_shared_memory_comes_back_too() {
    let empty: Rc<[u8]> = Rc::from([]);
    let mut outbox = Outbox::new();
    outbox.push(bhs(1), Payload::Shared(empty), PLAIN);
    let mut back = 0;
    outbox.advance(47, |_| back += 1);
    assert_eq!(back, 0);
    outbox.advance(1, |_| back += 1);
    assert_eq!(back, 1);
}

#[test]
fn one_system_call_is_offered_no_more_slices_than_it_takes() {
    let memory: Rc<[u8]> = Rc::from([0; 4]);
    let mut outbox = Outbox::new();
    for _ in 0..1000 {
        outbox.push(bhs(1), Payload::Shared(Rc::clone(&memory)), PLAIN);
    }
    let mut slices = Vec::new();
    outbox.slices(&mut slices);
    assert_eq!(slices.len(), SLICES_MAX);
}

#[test]
fn raw_bytes_go_out_as_they_are() {
    let mut outbox = Outbox::new();
    outbox.push_raw(b"nonsense");
    assert_eq!(pending(&outbox), b"nonsense");
    outbox.advance(8, none);
    assert!(outbox.is_empty());
}

#[test]
fn copied_bytes_that_are_out_do_not_pile_up() {
    let mut outbox: Outbox<Rc<[u8]>> = Outbox::new();
    let payload = [0x5a; 4048];
    outbox.push(bhs(0), Payload::Inline(&payload), PLAIN);
    for tag in 0..1000 {
        // Never empty, so it cannot simply start over.
        outbox.push(bhs(tag as u8), Payload::Inline(&payload), PLAIN);
        outbox.advance(4096, none);
    }
    assert_eq!(outbox.len(), 4096);
    assert!(
        outbox.copied.len() < 2 * COMPACT_MIN,
        "{} bytes kept",
        outbox.copied.len()
    );
    let capacity = outbox.copied.capacity();
    for tag in 0..1000 {
        outbox.push(bhs(tag as u8), Payload::Inline(&payload), PLAIN);
        outbox.advance(4096, none);
    }
    assert_eq!(
        outbox.copied.capacity(),
        capacity,
        "no new memory in steady state"
    );
    assert_eq!(pending(&outbox)[19], 231, "tag 999 of a byte");
}

#[test]
fn what_an_outbox_sends_a_framer_reads() {
    let whole = pending(&filled().0);
    let mut framer: crate::Framer<Vec<u8>> = crate::Framer::new(8192, 4096);
    framer.set_digests(BOTH);
    framer.space()[..whole.len()].copy_from_slice(&whole);
    framer.filled(whole.len());
    for tag in 1..=3 {
        if tag == 3 {
            framer.set_digests(PLAIN);
        }
        let frame = framer.next(|_| None).unwrap().unwrap();
        assert!(frame.bhs.0[19] == tag && frame.data_digest_ok);
    }
}
