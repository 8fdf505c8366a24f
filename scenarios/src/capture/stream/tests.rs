use super::*;

const INITIATOR: &str = "127.0.0.1:40000";
const TARGET: &str = "127.0.0.1:3260";

fn segment(sequence: u32, payload: &[u8]) -> Segment<'_> {
    Segment {
        from: INITIATOR.parse().expect("an address"),
        to: TARGET.parse().expect("an address"),
        sequence,
        syn: false,
        ack: true,
        fin: false,
        rst: false,
        payload,
    }
}

fn back(segment: Segment<'_>) -> Segment<'_> {
    Segment {
        from: segment.to,
        to: segment.from,
        ..segment
    }
}

/// Frames numbered from one, a second apart.
fn track(segments: &[Segment<'_>]) -> Vec<Connection> {
    let mut tracker = Tracker::default();
    for (number, segment) in (1..).zip(segments) {
        let at = Duration::from_secs(number.into());
        let frame = Frame {
            number,
            at,
            link: pcap_file::DataLink::RAW,
            bytes: &[],
        };
        tracker.take(&frame, segment);
    }
    tracker.into_connections()
}

/// The frame of every byte.
fn frames(stream: &Stream) -> Vec<u32> {
    (0..stream.bytes.len())
        .map(|at| stream.piece(at).expect("a piece").frame)
        .collect()
}

#[test]
fn both_ways_are_put_together() {
    let syn = Segment {
        syn: true,
        ack: false,
        ..segment(99, b"")
    };
    let connections = track(&[
        syn,
        back(Segment {
            syn: true,
            ..segment(499, b"")
        }),
        segment(100, b"abc"),
        back(segment(500, b"x")),
        segment(103, b"d"),
        Segment {
            fin: true,
            ..segment(104, b"")
        },
    ]);
    let [connection] = &connections[..] else {
        panic!("one connection")
    };
    assert_eq!(connection.initiator, INITIATOR.parse().expect("an address"));
    assert_eq!(connection.to_target.bytes, b"abcd");
    assert_eq!(frames(&connection.to_target), [3, 3, 3, 5]);
    assert_eq!(connection.to_initiator.bytes, b"x");
    assert_eq!(
        (connection.first_frame, connection.ending),
        (1, Ending::Fin)
    );
    let order: Vec<_> = connection
        .pieces()
        .map(|(way, piece, _)| (piece.frame, way))
        .collect();
    assert_eq!(
        order,
        [
            (3, Direction::ToTarget),
            (4, Direction::ToInitiator),
            (5, Direction::ToTarget)
        ]
    );
}

#[test]
fn repeated_bytes_count_once_and_early_ones_when_the_gap_closes() {
    let connections = track(&[
        segment(100, b"ab"),
        segment(100, b"abc"),  // one byte more than before
        segment(99, b"?"),     // a keep-alive probe
        segment(105, b"fg"),   // ahead of a gap
        segment(105, b"fgh"),  // again, longer
        segment(103, b"dEfg"), // closes it, and overlaps
        segment(103, b"de"),   // late
    ]);
    let stream = &connections[0].to_target;
    assert_eq!(stream.bytes, b"abcdEfgh");
    assert_eq!(frames(stream), [1, 1, 2, 6, 6, 6, 6, 6]);
    assert_eq!(stream.beyond_gap(), 0);
}

#[test]
fn sequence_numbers_wrap() {
    let connections = track(&[
        segment(0xffff_fffe, b"ab"),
        segment(1, b"d"),
        segment(0, b"c"),
        segment(0xffff_fffe, b"abcdef"),
    ]);
    assert_eq!(connections[0].to_target.bytes, b"abcdef");
}

#[test]
fn a_gap_that_stays_is_told() {
    let connections = track(&[segment(100, b"ab"), segment(110, b"zz")]);
    let stream = &connections[0].to_target;
    assert_eq!((&stream.bytes[..], stream.beyond_gap()), (&b"ab"[..], 2));
}

#[test]
fn ports_used_again_make_another_connection() {
    let syn = |sequence| Segment {
        syn: true,
        ack: false,
        ..segment(sequence, b"")
    };
    let connections = track(&[
        syn(99),
        syn(99),
        segment(100, b"first"),
        Segment {
            rst: true,
            ..segment(105, b"")
        },
        syn(7000),
        segment(7001, b"second"),
    ]);
    let bytes: Vec<_> = connections
        .iter()
        .map(|one| &one.to_target.bytes[..])
        .collect();
    assert_eq!(bytes, [&b"first"[..], b"second"]);
    assert_eq!(connections[0].ending, Ending::Reset);
    assert_eq!(
        (connections[1].ending, connections[1].first_frame),
        (Ending::Open, 5)
    );
}

#[test]
fn without_a_syn_the_port_tells_who_is_the_target() {
    let connections = track(&[back(segment(500, b"x")), segment(100, b"y")]);
    assert_eq!(connections[0].target.port(), 3260);
    assert_eq!(connections[0].to_initiator.bytes, b"x");
    assert_eq!(connections[0].to_target.bytes, b"y");
}
