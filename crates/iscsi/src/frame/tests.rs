use std::rc::Rc;

use proptest::prelude::*;

use super::*;

const BOTH: Digests = Digests {
    header: true,
    data: true,
};
const PLAIN: Digests = Digests {
    header: false,
    data: false,
};

/// A PDU as bytes, put together by hand (RFC 7143 11.2): nothing here comes from the outbox.
fn wire(tag: u8, ahs: &[u8], data: &[u8], digests: Digests) -> Vec<u8> {
    let mut head = vec![0; 48];
    head[19] = tag;
    head[4] = (ahs.len() / 4) as u8;
    head[5..8].copy_from_slice(&(data.len() as u32).to_be_bytes()[1..]);
    head.extend_from_slice(ahs);
    let mut segment = data.to_vec();
    segment.resize(data.len().div_ceil(4) * 4, 0);
    let mut bytes = head.clone();
    if digests.header {
        bytes.extend_from_slice(&::crc32c::crc32c(&head).to_le_bytes());
    }
    bytes.extend_from_slice(&segment);
    if digests.data && !data.is_empty() {
        bytes.extend_from_slice(&::crc32c::crc32c(&segment).to_le_bytes());
    }
    bytes
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 256) as u8).collect()
}

/// What a frame said, kept.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    tag: u8,
    ahs: Vec<u8>,
    data: Vec<u8>,
    placed: bool,
    digest_ok: bool,
}

fn keep(frame: Frame<'_, Vec<u8>>) -> Seen {
    let (data, placed) = match frame.data {
        Data::Inline(bytes) => (bytes.to_vec(), false),
        Data::Placed { buffer, at, len } => (buffer[at..at + len].to_vec(), true),
    };
    Seen {
        tag: frame.bhs.0[19],
        ahs: frame.ahs.to_vec(),
        data,
        placed,
        digest_ok: frame.data_digest_ok,
    }
}

fn drain(
    framer: &mut Framer<Vec<u8>>,
    place: fn(&Bhs) -> Option<Placement<Vec<u8>>>,
) -> Result<Vec<Seen>, Malformed> {
    let mut seen = Vec::new();
    while let Some(frame) = framer.next(place)? {
        seen.push(keep(frame));
    }
    Ok(seen)
}

/// Receives as a socket would: as much as there is space for, then draining.
fn feed(
    framer: &mut Framer<Vec<u8>>,
    mut bytes: &[u8],
    place: fn(&Bhs) -> Option<Placement<Vec<u8>>>,
) -> Result<Vec<Seen>, Malformed> {
    let mut seen = Vec::new();
    while !bytes.is_empty() {
        let space = framer.space();
        let count = space.len().min(bytes.len());
        assert!(count > 0, "space is never empty");
        space[..count].copy_from_slice(&bytes[..count]);
        framer.filled(count);
        bytes = &bytes[count..];
        seen.extend(drain(framer, place)?);
    }
    Ok(seen)
}

fn nowhere(_: &Bhs) -> Option<Placement<Vec<u8>>> {
    None
}

/// Ten bytes in, of memory that is larger than need be.
fn somewhere(bhs: &Bhs) -> Option<Placement<Vec<u8>>> {
    let len = bhs.data_segment_len() as usize;
    Some(Placement {
        buffer: vec![0xee; len + 30],
        at: 10,
    })
}

fn ordinary_stream(digests: Digests) -> (Vec<u8>, Vec<Seen>) {
    let bidi = [0, 5, 2, 0, 0, 0, 2, 0];
    let pdus: [(u8, &[u8], Vec<u8>); 6] = [
        (1, &[], vec![]),
        (2, &[], vec![0x5a]),
        (3, &bidi, pattern(7)),
        (4, &bidi, vec![]),
        (5, &[], pattern(64)),
        (6, &[], pattern(3)),
    ];
    let bytes = pdus
        .iter()
        .flat_map(|(tag, ahs, data)| wire(*tag, ahs, data, digests))
        .collect();
    let seen = pdus.iter().map(|(tag, ahs, data)| Seen {
        tag: *tag,
        ahs: ahs.to_vec(),
        data: data.clone(),
        placed: false,
        digest_ok: true,
    });
    (bytes, seen.collect())
}

fn all_digests() -> [Digests; 4] {
    [(false, false), (true, false), (false, true), (true, true)]
        .map(|(header, data)| Digests { header, data })
}

fn framer(digests: Digests, receive_bytes: usize) -> Framer<Vec<u8>> {
    let mut framer = Framer::new(256 * 1024, receive_bytes);
    framer.set_digests(digests);
    framer
}

#[test]
fn a_stream_split_in_two_anywhere_is_the_same_stream() {
    for digests in all_digests() {
        let (bytes, expected) = ordinary_stream(digests);
        for split in 0..=bytes.len() {
            let mut framer = framer(digests, 4096);
            let mut seen = feed(&mut framer, &bytes[..split], nowhere).unwrap();
            seen.extend(feed(&mut framer, &bytes[split..], nowhere).unwrap());
            assert_eq!(seen, expected, "split at {split}");
            assert_eq!(framer.unparsed(), 0);
        }
    }
}

#[test]
fn a_stream_of_single_bytes_is_the_same_stream() {
    for digests in all_digests() {
        let (bytes, expected) = ordinary_stream(digests);
        let mut framer = framer(digests, 100);
        let seen: Vec<Seen> = bytes
            .iter()
            .flat_map(|byte| feed(&mut framer, &[*byte], nowhere).unwrap())
            .collect();
        assert_eq!(seen, expected);
    }
}

#[test]
fn one_read_may_hold_many_pdus() {
    let bytes: Vec<u8> = (0..200)
        .flat_map(|tag| wire(tag, &[], &[tag; 16], PLAIN))
        .collect();
    let mut framer = framer(PLAIN, 64 * 1024);
    framer.space()[..bytes.len()].copy_from_slice(&bytes);
    framer.filled(bytes.len());
    assert_eq!(framer.unparsed(), bytes.len());
    let seen = drain(&mut framer, nowhere).unwrap();
    assert_eq!(
        seen.iter().map(|pdu| pdu.tag).collect::<Vec<_>>(),
        (0..200).collect::<Vec<_>>()
    );
}

/// Length of a payload that is worth placing and needs padding.
const LARGE: usize = PLACE_MIN + 5;

#[test]
fn a_payload_is_placed_wherever_the_stream_is_split() {
    let data = pattern(LARGE);
    let bidi = [0, 5, 2, 0, 0, 0, 2, 0];
    let large = wire(1, &bidi, &data, BOTH);
    let bytes = [large.clone(), wire(2, &[], b"next", BOTH)].concat();
    for split in 0..bytes.len() {
        let mut framer = framer(BOTH, 32 * 1024);
        let mut seen = feed(&mut framer, &bytes[..split], somewhere).unwrap();
        seen.extend(feed(&mut framer, &bytes[split..], somewhere).unwrap());
        // It is placed unless it had arrived before it could be asked about; when only its
        // padding or digest is missing nobody is asked either.
        let header_known = 48 + bidi.len() + 4;
        let whole = header_known + LARGE;
        assert_eq!(
            seen[0].placed,
            (header_known..whole).contains(&split),
            "split at {split}"
        );
        assert_eq!(
            (seen[0].data == data, seen[0].digest_ok),
            (true, true),
            "split at {split}"
        );
        assert_eq!(seen[0].ahs, bidi);
        assert_eq!(
            (seen[1].tag, &seen[1].data[..]),
            (2, &b"next"[..]),
            "split at {split}"
        );
        assert_eq!(seen.len(), 2);
    }
}

#[test]
fn the_space_of_a_placement_is_the_rest_of_it_and_nothing_else_is_touched() {
    let data = pattern(LARGE);
    let bytes = wire(1, &[], &data, PLAIN);
    let mut framer = framer(PLAIN, 4096);
    let first = 48 + 1000;
    framer.space()[..first].copy_from_slice(&bytes[..first]);
    framer.filled(first);
    assert!(framer.next(somewhere).unwrap().is_none());
    assert_eq!(framer.space().len(), LARGE - 1000);
    assert_eq!(framer.unparsed(), first);

    framer.space()[..500].copy_from_slice(&data[1000..1500]);
    framer.filled(500);
    assert!(
        framer
            .next(|_| panic!("asked once only"))
            .unwrap()
            .is_none()
    );
    assert_eq!(framer.space().len(), LARGE - 1500);
    framer.space().copy_from_slice(&data[1500..]);
    framer.filled(LARGE - 1500);
    assert!(
        framer.next(nowhere).unwrap().is_none(),
        "three bytes of padding are missing"
    );
    let tail = &bytes[48 + LARGE..];
    assert_eq!(tail.len(), 3);
    framer.space()[..3].copy_from_slice(tail);
    framer.filled(3);

    let frame = framer.next(nowhere).unwrap().unwrap();
    let Data::Placed { buffer, at, len } = frame.data else {
        panic!("placed")
    };
    assert_eq!((at, len), (10, LARGE));
    assert_eq!(buffer[10..10 + LARGE], data);
    assert!(
        buffer[..10]
            .iter()
            .chain(&buffer[10 + LARGE..])
            .all(|byte| *byte == 0xee)
    );
}

#[test]
fn small_and_complete_payloads_are_not_asked_about() {
    let never = |_: &Bhs| panic!("not asked");
    let small = wire(1, &[], &pattern(PLACE_MIN - 1), PLAIN);
    let mut framer = framer(PLAIN, 64 * 1024);
    framer.space()[..1000].copy_from_slice(&small[..1000]);
    framer.filled(1000);
    assert!(framer.next(never).unwrap().is_none());

    let mut framer = self::framer(PLAIN, 64 * 1024);
    let complete = wire(1, &[], &pattern(PLACE_MIN), PLAIN);
    framer.space()[..complete.len()].copy_from_slice(&complete);
    framer.filled(complete.len());
    let frame = framer.next(never).unwrap().unwrap();
    assert!(matches!(frame.data, Data::Inline(bytes) if bytes.len() == PLACE_MIN));
}

#[test]
fn a_refused_place_means_inline_and_one_question() {
    let data = pattern(LARGE);
    let bytes = wire(1, &[], &data, BOTH);
    let mut framer = framer(BOTH, 1024);
    let mut asked = 0;
    for chunk in bytes[..bytes.len() - 1].chunks(512) {
        framer.space()[..chunk.len()].copy_from_slice(chunk);
        framer.filled(chunk.len());
        let frame = framer.next(|_| {
            asked += 1;
            None
        });
        assert!(frame.unwrap().is_none());
    }
    assert_eq!(asked, 1);
    let seen = feed(&mut framer, &bytes[bytes.len() - 1..], nowhere).unwrap();
    assert_eq!(
        (seen[0].data == data, seen[0].placed, seen[0].digest_ok),
        (true, false, true)
    );
}

#[test]
fn lengths_are_refused_before_anything_is_waited_for() {
    for (len, refused) in [(8192, false), (8193, true), (0x00ff_ffff, true)] {
        let mut framer: Framer<Vec<u8>> = Framer::new(8192, 1024);
        let mut bhs = Bhs::default();
        bhs.set_data_segment_len(len);
        framer.space()[..48].copy_from_slice(&bhs.0);
        framer.filled(47);
        assert!(
            framer.next(nowhere).unwrap().is_none(),
            "the header is not all there"
        );
        framer.filled(1);
        let error = Malformed::DataSegmentTooLong {
            got: len,
            max: 8192,
        };
        match framer.next(nowhere) {
            Ok(None) => assert!(!refused),
            Err(got) => assert!(refused && got == error),
            Ok(Some(_)) => panic!("the data is not there"),
        }
        if refused {
            assert!(!framer.space().is_empty());
            framer.filled(1);
            assert_eq!(framer.next(nowhere), Err(error), "an error stays");
            assert!(framer.memory.len() <= 1024);
        }
    }
}

#[test]
fn limits_and_digests_change_with_the_next_header() {
    let mut framer = framer(PLAIN, 4096);
    framer.set_max_data_segment(16);
    let bytes = [wire(1, &[], &[1; 16], PLAIN), wire(2, &[], &[2; 32], BOTH)].concat();
    framer.space()[..bytes.len()].copy_from_slice(&bytes);
    framer.filled(bytes.len());
    let first = keep(framer.next(nowhere).unwrap().unwrap());
    framer.set_digests(BOTH);
    framer.set_max_data_segment(32);
    let second = keep(framer.next(nowhere).unwrap().unwrap());
    assert_eq!((first.data, second.data), (vec![1; 16], vec![2; 32]));
    assert!(second.digest_ok);
    assert_eq!(framer.unparsed(), 0);
}

#[test]
fn a_wrong_header_digest_ends_the_stream() {
    let bidi = [0, 5, 2, 0, 0, 0, 2, 0];
    let good = wire(1, &bidi, &[], BOTH);
    // Bytes 4 to 7 are lengths: changing them makes it another PDU, still waited for or refused.
    for byte in (0..good.len()).filter(|byte| !(4..8).contains(byte)) {
        let mut bad = good.clone();
        bad[byte] ^= 0x04;
        let mut framer = framer(BOTH, 4096);
        assert_eq!(
            feed(&mut framer, &bad, nowhere),
            Err(Malformed::HeaderDigest),
            "byte {byte}"
        );
        assert_eq!(framer.next(nowhere), Err(Malformed::HeaderDigest));
    }
}

#[test]
fn a_wrong_data_digest_is_told_and_the_stream_goes_on() {
    for (len, place) in [
        (5, nowhere as fn(&Bhs) -> _),
        (LARGE, nowhere),
        (LARGE, somewhere),
    ] {
        let good = wire(1, &[], &pattern(len), BOTH);
        // A byte of the data, of the padding, of the digest.
        for at in [52 + 2, 52 + len, good.len() - 1] {
            let mut bytes = good.clone();
            bytes[at] ^= 0x80;
            bytes.extend(wire(2, &[], b"fine", BOTH));
            let mut framer = framer(BOTH, 4096);
            let seen = feed(&mut framer, &bytes, place).unwrap();
            assert_eq!(
                seen.iter().map(|pdu| pdu.digest_ok).collect::<Vec<_>>(),
                [false, true]
            );
            assert_eq!(seen[1].data, b"fine");
        }
    }
}

#[test]
fn no_data_means_no_data_digest() {
    let bytes = wire(1, &[], &[], BOTH);
    assert_eq!(bytes.len(), 48 + 4);
    let seen = feed(&mut framer(BOTH, 4096), &bytes, nowhere).unwrap();
    assert!(seen[0].digest_ok && seen[0].data.is_empty());
}

#[test]
fn the_buffer_grows_for_one_pdu_and_shrinks_after_an_ordinary_one() {
    let mut framer = framer(BOTH, 2048);
    let large = wire(1, &[], &pattern(100_000), BOTH);
    let small = wire(2, &[], b"small", BOTH);
    feed(&mut framer, &small, nowhere).unwrap();
    assert_eq!(framer.space().len(), 2048);
    feed(&mut framer, &large[..50_000], nowhere).unwrap();
    assert_eq!(
        framer.memory.len(),
        large.len(),
        "no more than this PDU needs"
    );
    feed(&mut framer, &large[50_000..], nowhere).unwrap();
    assert_eq!(framer.space().len(), large.len(), "kept for the next one");
    feed(&mut framer, &large, nowhere).unwrap();
    feed(&mut framer, &small, nowhere).unwrap();
    assert_eq!(framer.space().len(), 2048);
    assert!(framer.memory.capacity() < 4096);
}

#[test]
fn ordinary_traffic_needs_no_new_memory() {
    let mut framer = framer(PLAIN, 16 * 1024);
    let stream: Vec<u8> = (0..100)
        .flat_map(|tag| wire(tag, &[], &[tag; 4096], PLAIN))
        .collect();
    let before = (framer.memory.as_ptr(), framer.memory.capacity());
    // Pieces that never end where a PDU does.
    let mut seen = 0;
    for piece in stream.chunks(7_777) {
        seen += feed(&mut framer, piece, nowhere).unwrap().len();
    }
    assert_eq!(seen, 100);
    assert_eq!((framer.memory.as_ptr(), framer.memory.capacity()), before);
}

/// Memory that tells whether it still lives.
#[derive(Debug)]
struct Watched(Vec<u8>, #[expect(dead_code)] Rc<()>);

impl AsMut<[u8]> for Watched {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

#[test]
fn a_dropped_framer_drops_the_placement() {
    let life = Rc::new(());
    let mut framer: Framer<Watched> = Framer::new(256 * 1024, 4096);
    let bytes = wire(1, &[], &pattern(LARGE), PLAIN);
    framer.space()[..1000].copy_from_slice(&bytes[..1000]);
    framer.filled(1000);
    let place = Placement {
        buffer: Watched(vec![0; LARGE], Rc::clone(&life)),
        at: 0,
    };
    assert!(framer.next(|_| Some(place)).unwrap().is_none());
    assert_eq!(Rc::strong_count(&life), 2);
    drop(framer);
    assert_eq!(Rc::strong_count(&life), 1);
}

#[test]
fn the_memory_of_a_payload_under_way_can_be_had_back() {
    let bytes = wire(1, &[], &pattern(LARGE), PLAIN);
    let mut framer = framer(PLAIN, 4096);
    assert!(
        feed(&mut framer, &bytes[..1000], somewhere)
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        framer.into_placed().map(|buffer| buffer.len()),
        Some(LARGE + 30)
    );
    assert_eq!(self::framer(PLAIN, 4096).into_placed(), None);
}

#[test]
#[should_panic(expected = "a payload of")]
fn a_placement_that_is_too_small_is_our_own_mistake() {
    let bytes = wire(1, &[], &pattern(LARGE), PLAIN);
    let mut framer = framer(PLAIN, 4096);
    let place = |_: &Bhs| {
        Some(Placement {
            buffer: vec![0; LARGE],
            at: 1,
        })
    };
    framer.space()[..100].copy_from_slice(&bytes[..100]);
    framer.filled(100);
    let _ = framer.next(place);
}

proptest! {
    #[test]
    fn random_bytes_never_panic_and_never_need_much_memory(
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
        pieces in prop::collection::vec(1usize..200, 1..20),
        header in any::<bool>(),
        data in any::<bool>(),
        max in prop::sample::select(vec![0u32, 512, 70_000, 0x00ff_ffff]),
        small_lengths in any::<bool>(),
    ) {
        let mut bytes = bytes;
        if small_lengths && bytes.len() > 8 {
            bytes[4..7].fill(0);
        }
        let mut framer: Framer<Vec<u8>> = Framer::new(max, 512);
        framer.set_digests(Digests { header, data });
        let mut rest = &bytes[..];
        for len in pieces.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, left) = rest.split_at((*len).min(rest.len()));
            rest = left;
            let fed = feed(&mut framer, piece, somewhere);
            prop_assert!(framer.memory.len() <= 1100 + 1024 + max as usize);
            if let Err(error) = fed {
                prop_assert_eq!(framer.next(nowhere), Err(error));
            }
        }
    }

    #[test]
    fn any_pdus_in_any_pieces_come_out_as_they_went_in(
        sizes in prop::collection::vec(prop_oneof![0usize..40, 16_000usize..17_000], 1..6),
        pieces in prop::collection::vec(1usize..9000, 1..12),
        header in any::<bool>(),
        data in any::<bool>(),
        receive_bytes in 1usize..20_000,
    ) {
        let digests = Digests { header, data };
        let bytes: Vec<u8> =
            sizes.iter().enumerate().flat_map(|(tag, len)| wire(tag as u8, &[], &pattern(*len), digests)).collect();
        let mut framer = framer(digests, receive_bytes);
        let mut seen = Vec::new();
        let mut rest = &bytes[..];
        for len in pieces.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, left) = rest.split_at((*len).min(rest.len()));
            rest = left;
            seen.extend(feed(&mut framer, piece, somewhere).unwrap());
        }
        prop_assert_eq!(seen.iter().map(|pdu| pdu.data.len()).collect::<Vec<_>>(), sizes);
        prop_assert!(seen.iter().all(|pdu| pdu.digest_ok && pdu.data == pattern(pdu.data.len())));
    }
}
