//! What is recorded is what the reader of captures finds.

use iscsi::pdu::NopOut;
use iscsi::{Itt, Lun, Serial, Ttt};

use super::*;
use crate::capture::{self, Direction};

fn nop(itt: u32, len: usize) -> (Bhs, Vec<u8>) {
    let pdu = NopOut {
        immediate: true,
        lun: Lun(0),
        itt: Itt(itt),
        ttt: Ttt::RESERVED,
        cmd_sn: Serial(1),
        exp_stat_sn: Serial(1),
    };
    let mut bhs = pdu.encode();
    bhs.set_data_segment_len(len as u32);
    (bhs, vec![0xa5; len])
}

#[test]
fn a_recording_reads_back() {
    for addresses in [
        ["127.0.0.1:40000", "127.0.0.1:3260"],
        ["[::1]:40000", "[::1]:3260"],
    ] {
        let [local, peer] = addresses.map(|address| address.parse().unwrap());
        let recorder = Recorder::new();
        let at = SystemTime::now();
        recorder.opened(1, at, local, peer);
        for (flow, len) in [(Flow::Sent, 0), (Flow::Received, 5), (Flow::Sent, 100_000)] {
            let (bhs, data) = nop(7, len);
            let digests = Digests::default();
            recorder.pdu(&Seen {
                conn: 1,
                flow,
                at,
                bhs: &bhs,
                ahs: &[],
                data: &data,
                digests,
            });
        }
        recorder.raw(1, at, &nop(8, 0).0.0);
        recorder.closed(1, at);

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep").join("a.pcapng");
        write_pcapng(&path, &recorder.take()).unwrap();
        let conversations = capture::conversations(&path).unwrap();
        assert_eq!(conversations.len(), 1);
        let seen: Vec<_> = conversations[0]
            .pdus
            .iter()
            .map(|pdu| (pdu.direction, pdu.bhs.itt(), pdu.data.len()))
            .collect();
        let (out, back) = (Direction::ToTarget, Direction::ToInitiator);
        let expected = [
            (out, Itt(7), 0),
            (back, Itt(7), 5),
            (out, Itt(7), 100_000),
            (out, Itt(8), 0),
        ];
        assert_eq!(seen, expected);
        assert!(conversations[0].lost.is_empty());
    }
}

#[test]
fn digests_are_on_the_wire() {
    let (bhs, data) = nop(7, 5);
    let digests = Digests {
        header: true,
        data: true,
    };
    let pdu = Pdu {
        flow: Flow::Sent,
        bhs,
        ahs: Vec::new(),
        data,
        digests,
    };
    let bytes = pdu.bytes();
    assert_eq!(bytes.len(), 48 + 4 + 8 + 4);
    assert_eq!(bytes[48..52], digest::to_wire(digest::crc32c(&bhs.0)));
    assert_eq!(
        bytes[60..],
        digest::to_wire(digest::crc32c(&[&[0xa5; 5][..], &[0; 3]].concat()))
    );
}
