//! Real traffic as the codec's witness: Linux, libiscsi and qemu against tgt, istgt and LIO.
//!
//! `traces/README.md` says what is in each file, counted by other programs. Every byte of every
//! connection must belong to a PDU, every digest must match, the counts must agree, and what is
//! decoded must be encoded to the same bytes.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use iscsi::frame::{Data, PLACE_MIN, Placement};
use iscsi::keys::{self, TaskReporting};
use iscsi::pdu::{Request, Response};
use iscsi::{Bhs, Digests, Framer, Opcode, chap};
use scenarios::capture::{self, Conversation, Direction, Ending, Pdu};

/// Headers that are not encoded as they were captured: file, what differs, and why.
const DIFFERENT: &[(&str, &str, &str)] = &[];

/// Streams with bytes that belong to no PDU: file, how many, and why.
const LOST: &[(&str, usize, &str)] = &[];

fn traces() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("traces")
}

/// Every file with its conversations, read once.
fn files() -> &'static BTreeMap<String, Vec<Conversation>> {
    static FILES: OnceLock<BTreeMap<String, Vec<Conversation>>> = OnceLock::new();
    FILES.get_or_init(|| {
        let paths = fs::read_dir(traces())
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let captures = paths.filter(|path| path.extension().is_some_and(|end| end == "pcapng"));
        captures
            .map(|path| {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                (
                    name,
                    capture::conversations(&path).unwrap_or_else(|error| panic!("{error}")),
                )
            })
            .collect()
    })
}

fn pdus() -> impl Iterator<Item = (&'static str, &'static Pdu)> {
    files().iter().flat_map(|(name, conversations)| {
        let pdus = conversations
            .iter()
            .flat_map(|conversation| &conversation.pdus);
        pdus.map(move |pdu| (name.as_str(), pdu))
    })
}

/// What the README says of a file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Entry {
    frames: usize,
    connections: usize,
    digests: usize,
    resets: usize,
    pdus: BTreeMap<String, usize>,
}

fn readme() -> BTreeMap<String, Entry> {
    let text = fs::read_to_string(traces().join("README.md")).unwrap();
    let mut entries = BTreeMap::new();
    for section in text.split("\n### ").skip(1) {
        let name = section.lines().next().unwrap().trim().to_owned();
        entries.insert(name, entry(section));
    }
    entries
}

fn entry(section: &str) -> Entry {
    // The line is "* 8 KiB, 42 frames, 2 TCP connections; PDUs: SCSI Command 9, Login req 2, …".
    let summary = section
        .lines()
        .find(|line| line.contains("; PDUs: "))
        .unwrap();
    let (sizes, pdus) = summary.split_once("; PDUs: ").unwrap();
    let before = |text: &str, unit: &str| -> usize {
        let count = text
            .split(unit)
            .next()
            .filter(|start| start.len() < text.len());
        count.map_or(0, |start| {
            start
                .split([' ', '*'])
                .rfind(|w| !w.is_empty())
                .unwrap()
                .parse()
                .unwrap()
        })
    };
    let said = section
        .lines()
        .find(|line| line.starts_with("* tshark says"))
        .unwrap();
    Entry {
        frames: before(sizes, " frames"),
        connections: before(sizes, " TCP connection"),
        digests: before(said, " CRC32C digests checked, all right"),
        resets: before(said, " RST"),
        pdus: pdus
            .split(", ")
            .map(|pair| {
                let (name, count) = pair.rsplit_once(' ').unwrap();
                (name.to_owned(), count.parse().unwrap())
            })
            .collect(),
    }
}

/// The README's name of an opcode, which is tshark's made short.
fn readme_name(opcode: Opcode) -> &'static str {
    match opcode {
        Opcode::NOP_OUT => "NOP-Out",
        Opcode::SCSI_COMMAND => "SCSI Command",
        Opcode::TASK_MANAGEMENT_REQUEST => "TMF req",
        Opcode::LOGIN_REQUEST => "Login req",
        Opcode::TEXT_REQUEST => "Text req",
        Opcode::DATA_OUT => "Data-Out",
        Opcode::LOGOUT_REQUEST => "Logout req",
        Opcode::NOP_IN => "NOP-In",
        Opcode::SCSI_RESPONSE => "SCSI Response",
        Opcode::TASK_MANAGEMENT_RESPONSE => "TMF resp",
        Opcode::LOGIN_RESPONSE => "Login resp",
        Opcode::TEXT_RESPONSE => "Text resp",
        Opcode::DATA_IN => "Data-In",
        Opcode::LOGOUT_RESPONSE => "Logout resp",
        Opcode::R2T => "R2T",
        _ => "another",
    }
}

#[test]
fn the_readme_lists_the_files_there_are() {
    let entries = readme();
    let listed: Vec<_> = entries.keys().collect();
    assert_eq!(listed, files().keys().collect::<Vec<_>>());
    // Its first line has the totals.
    let counted: usize = entries.values().flat_map(|entry| entry.pdus.values()).sum();
    assert_eq!((listed.len(), counted, pdus().count()), (55, 6072, 6072));
}

#[test]
fn counts_agree_with_the_readme() {
    for (name, said) in readme() {
        let conversations = &files()[&name];
        let mut frames = 0;
        capture::pcapng::read(&traces().join(&name), |_| frames += 1).unwrap();
        let mut counted = BTreeMap::new();
        for pdu in conversations.iter().flat_map(|one| &one.pdus) {
            *counted
                .entry(readme_name(pdu.bhs.opcode()).to_owned())
                .or_insert(0) += 1;
        }
        let digests = conversations
            .iter()
            .flat_map(|one| &one.pdus)
            .map(|pdu| pdu.digests);
        let digests = digests
            .map(|has| usize::from(has.header) + usize::from(has.data))
            .sum();
        let reset = |one: &&Conversation| one.connection.ending == Ending::Reset;
        let found = Entry {
            frames,
            connections: conversations.len(),
            digests,
            resets: conversations.iter().filter(reset).count(),
            pdus: counted,
        };
        assert_eq!(found, said, "{name}");
    }
}

#[test]
fn every_byte_belongs_to_a_pdu() {
    for (name, conversations) in files() {
        let allowed = LOST
            .iter()
            .find(|(file, ..)| file == name)
            .map_or(0, |(_, bytes, _)| *bytes);
        let mut lost = 0;
        for conversation in conversations {
            let connection = &conversation.connection;
            for direction in [Direction::ToTarget, Direction::ToInitiator] {
                let stream = connection.stream(direction);
                assert_eq!(stream.beyond_gap(), 0, "{name}: segments are missing");
                let own = conversation
                    .pdus
                    .iter()
                    .filter(|pdu| pdu.direction == direction);
                let mut end = 0;
                for pdu in own {
                    assert_eq!(pdu.offset, end, "{name}: one PDU follows the other");
                    end += pdu.len;
                }
                lost += stream.bytes.len() - end;
            }
            let told: usize = conversation.lost.iter().map(|lost| lost.len).sum();
            assert!(told <= allowed, "{name}: {:?}", conversation.lost);
        }
        assert_eq!(lost, allowed, "{name}");
    }
}

#[test]
fn every_digest_matches() {
    // A header digest that does not match loses the rest of its stream, which is seen above.
    for (name, pdu) in pdus() {
        assert!(
            pdu.data_digest_ok,
            "{name}: frame {}: {:?}",
            pdu.frame, pdu.bhs
        );
    }
    let with = |digests: Digests| pdus().filter(|(_, pdu)| pdu.digests == digests).count();
    let both = Digests {
        header: true,
        data: true,
    };
    let data = Digests {
        header: false,
        data: true,
    };
    let header = Digests {
        header: true,
        data: false,
    };
    assert!(
        with(both) > 100 && with(data) > 50 && with(header) > 100,
        "all kinds are there"
    );
}

#[test]
fn every_header_is_encoded_to_the_same_bytes() {
    let mut different = BTreeMap::new();
    for (name, pdu) in pdus() {
        let encoded = match pdu.direction {
            Direction::ToTarget => Request::decode(&pdu.bhs).map(|request| request.encode()),
            Direction::ToInitiator => Response::decode(&pdu.bhs).map(|response| response.encode()),
        };
        let mut encoded: Bhs =
            encoded.unwrap_or_else(|error| panic!("{name}: frame {}: {error}", pdu.frame));
        encoded.set_data_segment_len(u32::try_from(pdu.data.len()).unwrap());
        encoded.set_total_ahs_words(u8::try_from(pdu.ahs.len() / 4).unwrap());
        for byte in (0..48).filter(|byte| encoded.0[*byte] != pdu.bhs.0[*byte]) {
            let what = format!("{} byte {byte}", pdu.bhs.opcode());
            let seen = (pdu.frame, pdu.bhs.0[byte], encoded.0[byte]);
            different.entry((name, what)).or_insert(seen);
        }
    }
    let unexplained: Vec<_> = different
        .iter()
        .filter(|((name, what), _)| !DIFFERENT.iter().any(|(n, w, _)| n == name && w == what))
        .collect();
    assert!(
        unexplained.is_empty(),
        "(file, what), (frame, captured, encoded): {unexplained:#?}"
    );
    for (name, what, _) in DIFFERENT {
        assert!(
            different.contains_key(&(*name, (*what).to_owned())),
            "{name}: {what} is no more"
        );
    }
}

#[test]
fn pdus_come_in_the_order_they_were_complete() {
    for (name, conversations) in files() {
        for conversation in conversations {
            let order = conversation
                .pdus
                .iter()
                .map(|pdu| (pdu.frame, pdu.direction, pdu.offset));
            assert!(order.is_sorted(), "{name}");
            // Nobody answers before being asked.
            let first = |opcode| {
                conversation
                    .pdus
                    .iter()
                    .position(|pdu| pdu.bhs.opcode() == opcode)
            };
            for (asked, answered) in [
                (Opcode::LOGIN_REQUEST, Opcode::LOGIN_RESPONSE),
                (Opcode::SCSI_COMMAND, Opcode::SCSI_RESPONSE),
                (Opcode::LOGOUT_REQUEST, Opcode::LOGOUT_RESPONSE),
            ] {
                if let Some(answer) = first(answered) {
                    assert!(
                        first(asked).is_some_and(|ask| ask < answer),
                        "{name}: {answered}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_text_is_keys_and_values() {
    let texts = [
        Opcode::LOGIN_REQUEST,
        Opcode::LOGIN_RESPONSE,
        Opcode::TEXT_REQUEST,
        Opcode::TEXT_RESPONSE,
    ];
    let mut pairs = 0;
    for (name, pdu) in pdus().filter(|(_, pdu)| texts.contains(&pdu.bhs.opcode())) {
        let parsed = keys::parse(&pdu.data);
        pairs += parsed
            .unwrap_or_else(|error| panic!("{name}: frame {}: {error}", pdu.frame))
            .len();
    }
    assert!(pairs > 1000, "{pairs} pairs");
}

/// What the README's notes say was negotiated, as the listener understood it.
#[test]
fn negotiations_are_understood() {
    let last = |name: &str| files()[name].last().unwrap();
    let crc = |header, data| Digests { header, data };
    for (name, digests) in [
        ("tgt-libiscsi-header-digest.pcapng", crc(true, false)),
        ("tgt-linux-digest-data.pcapng", crc(false, true)),
        ("tgt-linux-digests-both.pcapng", crc(true, true)),
        ("istgt-linux-digests-both.pcapng", crc(true, true)),
        ("tgt-qemu-chap-header-digest.pcapng", crc(true, false)),
        ("tgt-linux-ext4.pcapng", crc(false, false)),
    ] {
        assert_eq!(last(name).params.digests, digests, "{name}");
    }
    let multi = &last("tgt-libiscsi-multi-r2t.pcapng").params;
    // tgt would allow four, libiscsi asks for one.
    assert_eq!((multi.max_outstanding_r2t, multi.max_burst), (1, 16_384));
    assert_eq!(
        (multi.first_burst, multi.peer_max_recv_data_segment),
        (8192, 4096)
    );
    let nonimmediate = &last("tgt-linux-nonimmediate-initialr2t.pcapng").params;
    assert!(nonimmediate.initial_r2t && !nonimmediate.immediate_data);
    assert_eq!(nonimmediate.max_burst, 16_384);
    let unsolicited = &last("lio-libiscsi-unsolicited.pcapng").params;
    assert!(!unsolicited.initial_r2t && unsolicited.immediate_data);
    assert_eq!(unsolicited.task_reporting, TaskReporting::Rfc3720);
}

/// "an offer of DataDigest=CRC32C alone is answered with None, which was not offered".
#[test]
fn an_answer_that_was_not_offered_is_objected_to() {
    let not_granted = &files()["tgt-linux-digest-not-granted.pcapng"][0];
    assert_eq!(
        not_granted.objections,
        ["DataDigest=None: not one of CRC32C"]
    );
    let others = files()
        .iter()
        .filter(|(name, _)| !name.contains("digest-not-granted"));
    for (name, conversations) in others {
        for conversation in conversations {
            assert_eq!(conversation.objections, [] as [String; 0], "{name}");
        }
    }
}

/// The README gives the secrets: an initiator got in when it knew hers, and not otherwise, and
/// a target that was challenged back knew its own.
#[test]
fn chap_responses_are_what_the_secrets_make_them() {
    let (mut accepted, mut refused, mut mutual) = (0, 0, 0);
    for (name, conversations) in files() {
        for conversation in conversations {
            let said = |direction, key: &str| {
                let own = conversation.pdus.iter().filter(|pdu| {
                    let login = [Opcode::LOGIN_REQUEST, Opcode::LOGIN_RESPONSE];
                    pdu.direction == direction && login.contains(&pdu.bhs.opcode())
                });
                let mut pairs = own.flat_map(|pdu| keys::parse(&pdu.data).unwrap());
                pairs
                    .find(|(name, _)| *name == key)
                    .map(|(_, value)| value.to_owned())
            };
            // Who answers whom with which secret.
            let answered = |by, to, secret: &str| {
                let response = keys::binary::decode(&said(by, "CHAP_R")?).unwrap();
                let challenge = keys::binary::decode(&said(to, "CHAP_C")?).unwrap();
                let id = keys::number(&said(to, "CHAP_I")?).unwrap();
                let algorithm = keys::number(&said(Direction::ToInitiator, "CHAP_A")?).unwrap();
                let algorithm = chap::Algorithm(u8::try_from(algorithm).unwrap());
                let id = u8::try_from(id).unwrap();
                Some(chap::verify(
                    algorithm,
                    id,
                    secret.as_bytes(),
                    &challenge,
                    &response,
                ))
            };
            let (out, back) = (Direction::ToTarget, Direction::ToInitiator);
            let alice = said(out, "CHAP_N").is_some_and(|name| name == "alice");
            let Some(right) = answered(out, back, "alice-secret-12") else {
                continue;
            };
            let let_in = conversation
                .pdus
                .iter()
                .any(|pdu| pdu.bhs.opcode() == Opcode::SCSI_COMMAND);
            assert_eq!(alice && right, let_in, "{name}");
            *(if let_in { &mut accepted } else { &mut refused }) += 1;
            if let Some(right) = answered(back, out, "portal-secret-9") {
                assert!(right, "{name}");
                mutual += 1;
            }
        }
    }
    assert!(
        accepted >= 7 && refused >= 4 && mutual >= 3,
        "{accepted} {refused} {mutual}"
    );
}

/// The same streams in pieces that no network would make, large payloads placed.
#[test]
fn pieces_and_places_make_no_difference() {
    let mut placed = 0;
    for (name, conversations) in files() {
        for (conversation, step) in conversations
            .iter()
            .zip([1009, 7, 4099, 65_536].iter().cycle())
        {
            for direction in [Direction::ToTarget, Direction::ToInitiator] {
                let own: Vec<&Pdu> = conversation
                    .pdus
                    .iter()
                    .filter(|pdu| pdu.direction == direction)
                    .collect();
                let bytes = &conversation.connection.stream(direction).bytes;
                placed += replayed_in_pieces(name, &own, bytes, *step);
            }
        }
    }
    assert!(placed > 50, "{placed} payloads placed");
}

/// How many payloads were placed.
fn replayed_in_pieces(name: &str, expected: &[&Pdu], bytes: &[u8], step: usize) -> usize {
    let mut framer: Framer<Vec<u8>> = Framer::new(0x00ff_ffff, 8192);
    let (mut index, mut placed) = (0, 0);
    let mut given = 0;
    while given < bytes.len() {
        let space = framer.space();
        let count = step.min(space.len()).min(bytes.len() - given);
        space[..count].copy_from_slice(&bytes[given..given + count]);
        framer.filled(count);
        given += count;
        loop {
            // The digests of the PDU that comes next, which the listener found out.
            let (header, data) = expected
                .get(index)
                .map_or((false, false), |pdu| (pdu.digests.header, pdu.digests.data));
            framer.set_digests(Digests { header, data });
            let place = |bhs: &Bhs| {
                let len = bhs.data_segment_len() as usize;
                assert!(len >= PLACE_MIN);
                Some(Placement {
                    buffer: vec![0; len + 8],
                    at: 8,
                })
            };
            let Some(frame) = framer.next(place).unwrap() else {
                break;
            };
            let pdu = expected[index];
            let data = match &frame.data {
                Data::Inline(data) => data,
                Data::Placed { buffer, at, len } => {
                    placed += 1;
                    &buffer[*at..at + len]
                }
            };
            let same = frame.bhs == pdu.bhs && frame.ahs == pdu.ahs && data == pdu.data;
            assert!(same && frame.data_digest_ok, "{name}: frame {}", pdu.frame);
            index += 1;
        }
    }
    assert_eq!((index, framer.unparsed()), (expected.len(), 0), "{name}");
    placed
}
