//! The figures of RFC 7143 11, written out by hand, and every bit of them.

use proptest::prelude::*;

use super::*;
use crate::{
    AsyncEvent, Cid, Isid, Itt, LoginStatus, LogoutReason, LogoutResult, Lun, RejectReason, Serial,
    Stage, TaskAttribute, TmfFunction, TmfResponse, Tsih, Ttt,
};

/// A header written as in the figures: words of four bytes, and `-` for three words' worth of
/// nothing would only hide mistakes, so all twelve are there.
fn header(words: &str) -> Bhs {
    let digits: Vec<u8> = words
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).expect("a hexadecimal digit") as u8)
        .collect();
    let bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect();
    Bhs(bytes.try_into().expect("48 bytes"))
}

const LUN: Lun = Lun(0x0001_0000_0000_0000);
const ITT: Itt = Itt(0x1a1b_1c1d);
const TTT: Ttt = Ttt(0x2a2b_2c2d);
const CMD: Serial = Serial(0x3132_3334);
const STAT: Serial = Serial(0x4142_4344);
const EXP: Serial = Serial(0x5152_5354);
const MAX: Serial = Serial(0x6162_6364);

fn is_request(words: &str, pdu: impl Into<Request>) {
    let (bhs, pdu) = (header(words), pdu.into());
    assert_eq!(Request::decode(&bhs), Ok(pdu));
    assert_eq!(pdu.encode(), bhs);
    assert_eq!(pdu.opcode(), bhs.opcode());
}

fn is_response(words: &str, pdu: impl Into<Response>) {
    let (bhs, pdu) = (header(words), pdu.into());
    assert_eq!(Response::decode(&bhs), Ok(pdu));
    assert_eq!(pdu.encode(), bhs);
    assert_eq!(pdu.opcode(), bhs.opcode());
}

#[test]
fn nop() {
    is_request(
        "40800000 00000000 00010000 00000000 1a1b1c1d ffffffff
         31323334 41424344 00000000 00000000 00000000 00000000",
        NopOut {
            immediate: true,
            lun: LUN,
            itt: ITT,
            ttt: Ttt::RESERVED,
            cmd_sn: CMD,
            exp_stat_sn: STAT,
        },
    );
    is_response(
        "20800000 00000000 00010000 00000000 ffffffff 2a2b2c2d
         41424344 51525354 61626364 00000000 00000000 00000000",
        NopIn {
            lun: LUN,
            itt: Itt::RESERVED,
            ttt: TTT,
            stat_sn: STAT,
            exp_cmd_sn: EXP,
            max_cmd_sn: MAX,
        },
    );
}

#[test]
fn scsi() {
    let cdb = [0x2a, 0, 1, 2, 3, 4, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0x7f];
    is_request(
        "01a10000 00000000 00010000 00000000 1a1b1c1d 00001000
         31323334 41424344 2a000102 03040000 08000000 0000007f",
        ScsiCommand {
            immediate: false,
            is_final: true,
            read: false,
            write: true,
            attribute: TaskAttribute::SIMPLE,
            lun: LUN,
            itt: ITT,
            edtl: 4096,
            cmd_sn: CMD,
            exp_stat_sn: STAT,
            cdb,
        },
    );
    let read = header(
        "01c30000 00000000 00010000 00000000 1a1b1c1d 00001000
         31323334 41424344 28000000 00000000 08000000 00000000",
    );
    let read = ScsiCommand::decode(&read).unwrap();
    assert!(read.read && !read.write && read.attribute == TaskAttribute::HEAD_OF_QUEUE);

    is_response(
        "21820102 00000000 00000000 00000000 1a1b1c1d 71727374
         41424344 51525354 61626364 81828384 91929394 a1a2a3a4",
        ScsiResponse {
            bidi_overflow: false,
            bidi_underflow: false,
            overflow: false,
            underflow: true,
            response: 1,
            status: 2,
            itt: ITT,
            snack_tag: 0x7172_7374,
            stat_sn: STAT,
            exp_cmd_sn: EXP,
            max_cmd_sn: MAX,
            exp_data_sn: 0x8182_8384,
            bidi_residual: 0x9192_9394,
            residual: 0xa1a2_a3a4,
        },
    );
    for (flags, bits) in [
        (0x90, [true, false, false, false]),
        (0x88, [false, true, false, false]),
        (0x84, [false, false, true, false]),
        (0x82, [false, false, false, true]),
    ] {
        let mut bhs = Bhs::default();
        (bhs.0[0], bhs.0[1]) = (0x21, flags);
        let pdu = ScsiResponse::decode(&bhs).unwrap();
        let got = [
            pdu.bidi_overflow,
            pdu.bidi_underflow,
            pdu.overflow,
            pdu.underflow,
        ];
        assert_eq!(got, bits, "flags {flags:#04x}");
    }
}

#[test]
fn task_management() {
    is_request(
        "42810000 00000000 00010000 00000000 1a1b1c1d 2a2b2c2d
         31323334 41424344 51525354 00000007 00000000 00000000",
        TaskManagementRequest {
            immediate: true,
            function: TmfFunction::ABORT_TASK,
            lun: LUN,
            itt: ITT,
            rtt: Itt(0x2a2b_2c2d),
            cmd_sn: CMD,
            exp_stat_sn: STAT,
            ref_cmd_sn: EXP,
            exp_data_sn: 7,
        },
    );
    is_response(
        "2280ff00 00000000 00000000 00000000 1a1b1c1d 00000000
         41424344 51525354 61626364 00000000 00000000 00000000",
        TaskManagementResponse {
            response: TmfResponse::REJECTED,
            itt: ITT,
            stat_sn: STAT,
            exp_cmd_sn: EXP,
            max_cmd_sn: MAX,
        },
    );
}

#[test]
fn login() {
    let isid = Isid([0x80, 0x12, 0x34, 0x56, 0x78, 0x9a]);
    is_request(
        "43870201 00000000 80123456 789abcde 1a1b1c1d 00090000
         31323334 41424344 00000000 00000000 00000000 00000000",
        LoginRequest {
            immediate: true,
            transit: true,
            cont: false,
            csg: Stage::OPERATIONAL,
            nsg: Stage::FULL_FEATURE,
            version_max: 2,
            version_min: 1,
            isid,
            tsih: Tsih(0xbcde),
            itt: ITT,
            cid: Cid(9),
            cmd_sn: CMD,
            exp_stat_sn: STAT,
        },
    );
    is_response(
        "23410201 00000000 80123456 789abcde 1a1b1c1d 00000000
         41424344 51525354 61626364 02030000 00000000 00000000",
        LoginResponse {
            transit: false,
            cont: true,
            csg: Stage::SECURITY,
            nsg: Stage::OPERATIONAL,
            version_max: 2,
            version_active: 1,
            isid,
            tsih: Tsih(0xbcde),
            itt: ITT,
            stat_sn: STAT,
            exp_cmd_sn: EXP,
            max_cmd_sn: MAX,
            status: LoginStatus::NOT_FOUND,
        },
    );
}

#[test]
fn a_login_request_is_sent_immediate_whatever_came() {
    let mut bhs = Bhs::default();
    bhs.0[0] = 0x03;
    let request = LoginRequest::decode(&bhs).unwrap();
    assert!(!request.immediate);
    assert!(request.encode().is_immediate());
}

#[test]
fn text() {
    is_request(
        "04400000 00000000 00010000 00000000 1a1b1c1d 2a2b2c2d
         31323334 41424344 00000000 00000000 00000000 00000000",
        TextRequest {
            immediate: false,
            is_final: false,
            cont: true,
            lun: LUN,
            itt: ITT,
            ttt: TTT,
            cmd_sn: CMD,
            exp_stat_sn: STAT,
        },
    );
    is_response(
        "24800000 00000000 00010000 00000000 1a1b1c1d ffffffff
         41424344 51525354 61626364 00000000 00000000 00000000",
        TextResponse {
            is_final: true,
            cont: false,
            lun: LUN,
            itt: ITT,
            ttt: Ttt::RESERVED,
            stat_sn: STAT,
            exp_cmd_sn: EXP,
            max_cmd_sn: MAX,
        },
    );
}

#[test]
fn data() {
    is_request(
        "05800000 00000000 00010000 00000000 1a1b1c1d 2a2b2c2d
         00000000 41424344 00000000 00000003 00006000 00000000",
        DataOut {
            is_final: true,
            lun: LUN,
            itt: ITT,
            ttt: TTT,
            exp_stat_sn: STAT,
            data_sn: 3,
            buffer_offset: 0x6000,
        },
    );
    is_response(
        "25830008 00000000 00010000 00000000 1a1b1c1d ffffffff
         41424344 51525354 61626364 00000003 00006000 000001f4",
        DataIn {
            is_final: true,
            acknowledge: false,
            overflow: false,
            underflow: true,
            has_status: true,
            status: 8,
            lun: LUN,
            itt: ITT,
            ttt: Ttt::RESERVED,
            stat_sn: STAT,
            exp_cmd_sn: EXP,
            max_cmd_sn: MAX,
            data_sn: 3,
            buffer_offset: 0x6000,
            residual: 500,
        },
    );
    for (flags, bits) in [
        (0x40, [true, false, false, false]),
        (0x04, [false, true, false, false]),
        (0x02, [false, false, true, false]),
        (0x01, [false, false, false, true]),
    ] {
        let mut bhs = Bhs::default();
        (bhs.0[0], bhs.0[1]) = (0x25, flags);
        let pdu = DataIn::decode(&bhs).unwrap();
        let got = [pdu.acknowledge, pdu.overflow, pdu.underflow, pdu.has_status];
        assert_eq!(got, bits, "flags {flags:#04x}");
    }
}

#[test]
fn r2t() {
    is_response(
        "31800000 00000000 00010000 00000000 1a1b1c1d 2a2b2c2d
         41424344 51525354 61626364 00000002 00010000 00040000",
        R2t {
            lun: LUN,
            itt: ITT,
            ttt: TTT,
            stat_sn: STAT,
            exp_cmd_sn: EXP,
            max_cmd_sn: MAX,
            r2t_sn: 2,
            buffer_offset: 0x1_0000,
            desired_len: 0x4_0000,
        },
    );
}

#[test]
fn asynchronous_message() {
    is_response(
        "32800000 00000000 00010000 00000000 ffffffff 00000000
         41424344 51525354 61626364 01ee000a 00020003 00000000",
        AsyncMessage {
            lun: LUN,
            stat_sn: STAT,
            exp_cmd_sn: EXP,
            max_cmd_sn: MAX,
            event: AsyncEvent::LOGOUT_REQUEST,
            vcode: 0xee,
            parameter1: 10,
            parameter2: 2,
            parameter3: 3,
        },
    );
}

#[test]
fn logout() {
    is_request(
        "46810000 00000000 00000000 00000000 1a1b1c1d 00090000
         31323334 41424344 00000000 00000000 00000000 00000000",
        LogoutRequest {
            immediate: true,
            reason: LogoutReason::CLOSE_CONNECTION,
            itt: ITT,
            cid: Cid(9),
            cmd_sn: CMD,
            exp_stat_sn: STAT,
        },
    );
    is_response(
        "26800100 00000000 00000000 00000000 1a1b1c1d 00000000
         41424344 51525354 61626364 00000000 00020014 00000000",
        LogoutResponse {
            result: LogoutResult::CID_NOT_FOUND,
            itt: ITT,
            stat_sn: STAT,
            exp_cmd_sn: EXP,
            max_cmd_sn: MAX,
            time2wait: 2,
            time2retain: 20,
        },
    );
}

#[test]
fn snack() {
    is_request(
        "10820000 00000000 00010000 00000000 1a1b1c1d 2a2b2c2d
         00000000 41424344 00000000 00000000 00000004 00000002",
        Snack {
            kind: 2,
            lun: LUN,
            itt: ITT,
            ttt: TTT,
            exp_stat_sn: STAT,
            beg_run: 4,
            run_length: 2,
        },
    );
}

#[test]
fn reject() {
    is_response(
        "3f800400 00000000 00000000 00000000 ffffffff 00000000
         41424344 51525354 61626364 00000005 00000000 00000000",
        Reject {
            reason: RejectReason::PROTOCOL_ERROR,
            stat_sn: STAT,
            exp_cmd_sn: EXP,
            max_cmd_sn: MAX,
            data_sn: 5,
        },
    );
}

#[test]
fn an_opcode_of_the_other_direction_is_unknown() {
    let mut bhs = Bhs::default();
    for opcode in 0..0x40 {
        bhs.0[0] = opcode;
        let request = Request::decode(&bhs).is_ok();
        let response = Response::decode(&bhs).is_ok();
        let initiators = [0, 1, 2, 3, 4, 5, 6, 0x10].contains(&opcode);
        let targets =
            [0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x31, 0x32, 0x3f].contains(&opcode);
        assert_eq!(
            (request, response),
            (initiators, targets),
            "opcode {opcode:#04x}"
        );
        assert_eq!(Opcode(opcode).name() != "unknown", initiators || targets);
    }
    assert_eq!(
        NopOut::decode(&header(
            "01800000 00000000 00000000 00000000 00000000 00000000
             00000000 00000000 00000000 00000000 00000000 00000000"
        )),
        Err(Malformed::UnknownOpcode(Opcode::SCSI_COMMAND))
    );
}

/// Per opcode, the bits that mean something in its figure: byte 0, byte 1, bytes 2 and 3, and
/// from byte 8 on whole fields as (first byte, last byte).
type Meaning = (u8, u8, u8, [u8; 2], &'static [(usize, usize)]);

const MEANING: [Meaning; 18] = [
    (0x00, 0x40, 0x00, [0, 0], &[(8, 31)]),
    (0x01, 0x40, 0xe7, [0, 0], &[(8, 47)]),
    (0x02, 0x40, 0x7f, [0, 0], &[(8, 39)]),
    (0x03, 0x00, 0xcf, [0xff, 0xff], &[(8, 21), (24, 31)]),
    (0x04, 0x40, 0xc0, [0, 0], &[(8, 31)]),
    (0x05, 0x00, 0x80, [0, 0], &[(8, 23), (28, 31), (36, 43)]),
    (0x06, 0x40, 0x7f, [0, 0], &[(16, 21), (24, 31)]),
    (0x10, 0x00, 0x0f, [0, 0], &[(8, 23), (28, 31), (40, 47)]),
    (0x20, 0x00, 0x00, [0, 0], &[(8, 35)]),
    (0x21, 0x00, 0x1e, [0xff, 0xff], &[(16, 47)]),
    (0x22, 0x00, 0x00, [0xff, 0], &[(16, 19), (24, 35)]),
    (0x23, 0x00, 0xcf, [0xff, 0xff], &[(8, 19), (24, 37)]),
    (0x24, 0x00, 0xc0, [0, 0], &[(8, 35)]),
    (0x25, 0x00, 0xc7, [0, 0xff], &[(8, 47)]),
    (0x26, 0x00, 0x00, [0xff, 0], &[(16, 19), (24, 35), (40, 43)]),
    (0x31, 0x00, 0x00, [0, 0], &[(8, 47)]),
    (0x32, 0x00, 0x00, [0, 0], &[(8, 15), (24, 43)]),
    (0x3f, 0x00, 0x00, [0xff, 0], &[(24, 39)]),
];

fn through(bhs: &Bhs) -> Bhs {
    match Request::decode(bhs) {
        Ok(request) => request.encode(),
        Err(_) => Response::decode(bhs).unwrap().encode(),
    }
}

#[test]
fn every_bit_that_means_something_survives_and_no_other() {
    for (opcode, byte0, byte1, bytes23, fields) in MEANING {
        let mut empty = Bhs::default();
        empty.0[0] = opcode;
        let base = through(&empty);
        for (byte, bit) in (0..48).flat_map(|byte| (0..8).map(move |bit| (byte, 1u8 << bit))) {
            if byte == 0 && bit < 0x40 {
                continue; // another opcode
            }
            let mut set = empty;
            set.0[byte] |= bit;
            let meant = match byte {
                0 => byte0 & bit != 0,
                1 => byte1 & bit != 0,
                2 | 3 => bytes23[byte - 2] & bit != 0,
                _ => fields
                    .iter()
                    .any(|(first, last)| (*first..=*last).contains(&byte)),
            };
            let mut expected = base;
            if meant {
                expected.0[byte] |= bit;
            }
            assert_eq!(
                through(&set),
                expected,
                "opcode {opcode:#04x} byte {byte} bit {bit:#04x}"
            );
        }
    }
}

#[test]
fn lengths_do_not_disturb_each_other() {
    let mut bhs = Bhs::default();
    bhs.set_data_segment_len(0x00ab_cdef);
    bhs.set_total_ahs_words(0x12);
    assert_eq!(bhs.0[4..8], [0x12, 0xab, 0xcd, 0xef]);
    assert_eq!(
        (bhs.total_ahs_words(), bhs.data_segment_len()),
        (0x12, 0x00ab_cdef)
    );
}

proptest! {
    #[test]
    fn what_is_decoded_is_encoded(bytes in prop::array::uniform32(any::<u8>()), tail in prop::array::uniform16(any::<u8>())) {
        let mut bhs = Bhs::default();
        bhs.0[..32].copy_from_slice(&bytes);
        bhs.0[32..].copy_from_slice(&tail);
        if let Ok(request) = Request::decode(&bhs) {
            let again = Request::decode(&request.encode()).unwrap();
            // The I bit of a Login Request is the one thing that is sent as it must be.
            match (request, again) {
                (Request::Login(one), Request::Login(two)) => prop_assert_eq!(LoginRequest { immediate: true, ..one }, two),
                (one, two) => prop_assert_eq!(one, two),
            }
        }
        if let Ok(response) = Response::decode(&bhs) {
            prop_assert_eq!(Response::decode(&response.encode()).unwrap(), response);
        }
    }
}
