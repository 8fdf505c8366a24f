use bytes::Bytes;
use iscsi::keys::Params;
use iscsi::pdu::{
    AsyncMessage, DataIn, NopIn, R2t, Reject, Request, Response, ScsiResponse,
    TaskManagementResponse, TextResponse,
};
use iscsi::{
    AsyncEvent, Bhs, Cid, Itt, LogoutReason, Lun, RejectReason, Serial, TmfFunction, TmfResponse,
    Tsih, Ttt,
};

use super::Sent;
use crate::machine::{
    Client, Command, Established, Event, Numbering, Outcome, Residual, Sense, Violation,
};

/// A client and the target's counters.
struct Talk {
    client: Client,
    sent: Sent,
    stat_sn: Serial,
    max_cmd_sn: Serial,
}

impl Talk {
    fn new(params: Params) -> Self {
        let mut numbering = Numbering::new(Serial(1));
        numbering.exp_stat_sn = Serial(500);
        numbering.max_cmd_sn = Serial(4);
        let established = Established {
            params,
            tsih: Tsih(1),
            numbering,
        };
        Self {
            client: Client::new(established),
            sent: Sent::default(),
            stat_sn: Serial(500),
            max_cmd_sn: Serial(4),
        }
    }

    fn submit(&mut self, command: Command) -> Itt {
        self.client.submit(command, &mut self.sent)
    }

    fn give(&mut self, pdu: impl Into<Response>, data: &[u8]) -> Result<(), Violation> {
        let bhs: Bhs = pdu.into().encode();
        self.client.receive(&bhs, data, &mut self.sent)
    }

    fn event(&mut self) -> Event {
        self.client.next_event().expect("something happened")
    }

    fn status_sn(&mut self) -> Serial {
        let this = self.stat_sn;
        self.stat_sn = this.next();
        this
    }

    fn data_in(&mut self, itt: Itt, data_sn: u32, buffer_offset: u32, has_status: bool) -> DataIn {
        DataIn {
            is_final: has_status,
            acknowledge: false,
            overflow: false,
            underflow: false,
            has_status,
            status: 0,
            lun: Lun(0),
            itt,
            ttt: Ttt::RESERVED,
            stat_sn: if has_status {
                self.status_sn()
            } else {
                Serial(0)
            },
            exp_cmd_sn: Serial(2),
            max_cmd_sn: self.max_cmd_sn,
            data_sn,
            buffer_offset,
            residual: 0,
        }
    }

    fn response(&mut self, itt: Itt, status: u8) -> ScsiResponse {
        ScsiResponse {
            bidi_overflow: false,
            bidi_underflow: false,
            overflow: false,
            underflow: false,
            response: 0,
            status,
            itt,
            snack_tag: 0,
            stat_sn: self.status_sn(),
            exp_cmd_sn: Serial(2),
            max_cmd_sn: self.max_cmd_sn,
            exp_data_sn: 0,
            bidi_residual: 0,
            residual: 0,
        }
    }

    fn r2t(&self, itt: Itt, r2t_sn: u32, buffer_offset: u32, desired_len: u32) -> R2t {
        R2t {
            lun: Lun(0),
            itt,
            ttt: Ttt(0xabc),
            stat_sn: self.stat_sn,
            exp_cmd_sn: Serial(2),
            max_cmd_sn: self.max_cmd_sn,
            r2t_sn,
            buffer_offset,
            desired_len,
        }
    }
}

fn read(len: u32) -> Command {
    Command::read(Lun(0), &[0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], len)
}

fn write(len: usize) -> Command {
    let data: Vec<u8> = (0..len).map(|at| (at / 100) as u8).collect();
    Command::write(
        Lun::from_number(3),
        &[0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0],
        data,
    )
}

fn modes(immediate_data: bool, initial_r2t: bool) -> Params {
    Params {
        immediate_data,
        initial_r2t,
        first_burst: 1000,
        max_burst: 2000,
        peer_max_recv_data_segment: 600,
        ..Params::default()
    }
}

/// The Data-Outs of a list of PDUs: (offset, length, DataSN, F, solicited).
fn data_outs(pdus: &[(Request, Bytes)]) -> Vec<(u32, usize, u32, bool, bool)> {
    pdus.iter()
        .map(|(request, data)| {
            let Request::DataOut(pdu) = request else {
                panic!("{request:?} is no Data-Out")
            };
            let solicited = pdu.ttt != Ttt::RESERVED;
            // The LUN is only given together with a Target Transfer Tag (§11.7.4).
            let lun = if solicited {
                Lun::from_number(3)
            } else {
                Lun(0)
            };
            assert_eq!(pdu.lun, lun);
            (
                pdu.buffer_offset,
                data.len(),
                pdu.data_sn,
                pdu.is_final,
                solicited,
            )
        })
        .collect()
}

/// RFC 7143 §13.10, §13.11: what a write of 2500 bytes begins with, FirstBurstLength 1000,
/// segments of 600.
#[test]
fn four_ways_to_begin_a_write() {
    let expected: [(bool, bool, usize, bool, &[_]); 4] = [
        (true, true, 600, true, &[]),
        (true, false, 600, false, &[(600, 400, 0, true, false)]),
        (false, true, 0, true, &[]),
        (
            false,
            false,
            0,
            false,
            &[(0, 600, 0, false, false), (600, 400, 1, true, false)],
        ),
    ];
    for (immediate_data, initial_r2t, immediate, is_final, unsolicited) in expected {
        let mut talk = Talk::new(modes(immediate_data, initial_r2t));
        talk.submit(write(2500));
        let pdus = talk.sent.all();
        let Request::ScsiCommand(command) = pdus[0].0 else {
            panic!("the command comes first")
        };
        assert_eq!(
            (command.edtl, command.write, command.read),
            (2500, true, false)
        );
        let mode = format!("ImmediateData {immediate_data} InitialR2T {initial_r2t}");
        assert_eq!(
            (pdus[0].1.len(), command.is_final),
            (immediate, is_final),
            "{mode}"
        );
        assert_eq!(data_outs(&pdus[1..]), unsolicited, "{mode}");
    }
}

#[test]
fn a_short_write_needs_no_data_out() {
    let mut talk = Talk::new(modes(true, false));
    talk.submit(write(512));
    let (Request::ScsiCommand(command), data) = talk.sent.one() else {
        panic!("one command")
    };
    assert_eq!((data.len(), command.is_final), (512, true));
}

#[test]
fn an_r2t_is_answered_with_what_it_asks() {
    let mut talk = Talk::new(modes(false, true));
    let itt = talk.submit(write(2500));
    talk.sent.all();
    talk.give(talk.r2t(itt, 0, 0, 2000), &[]).unwrap();
    let pdus = talk.sent.all();
    let expected = [
        (0, 600, 0, false, true),
        (600, 600, 1, false, true),
        (1200, 600, 2, false, true),
        (1800, 200, 3, true, true),
    ];
    assert_eq!(data_outs(&pdus), expected);
    assert_eq!(pdus[3].1[0], 18, "and the bytes are those of the offset");
    talk.give(talk.r2t(itt, 1, 2000, 500), &[]).unwrap();
    assert_eq!(data_outs(&talk.sent.all()), [(2000, 500, 0, true, true)]);
    let response = talk.response(itt, 0);
    talk.give(response, &[]).unwrap();
    let Event::Command(_, outcome) = talk.event() else {
        panic!("the command ends")
    };
    assert!(outcome.is_good());
    assert_eq!((outcome.r2ts, talk.client.outstanding()), (2, 0));
}

#[test]
fn an_r2t_that_asks_too_much() {
    let bad = [
        (0, 0, 2001),
        (0, 0, 0),
        (1, 0, 100),
        (0, 2400, 101),
        (0, u32::MAX, 1000),
    ];
    for (r2t_sn, offset, len) in bad {
        let mut talk = Talk::new(modes(false, true));
        let itt = talk.submit(write(2500));
        let refused = talk
            .give(talk.r2t(itt, r2t_sn, offset, len), &[])
            .unwrap_err();
        assert!(
            matches!(refused, Violation::R2t { .. }),
            "{r2t_sn} {offset} {len}"
        );
    }
    let mut talk = Talk::new(modes(false, true));
    let itt = talk.submit(read(512));
    let refused = talk.give(talk.r2t(itt, 0, 0, 100), &[]);
    assert!(matches!(refused, Err(Violation::WrongDirection(_))));
}

#[test]
fn data_in_is_put_together() {
    let mut talk = Talk::new(Params::default());
    let itt = talk.submit(read(700));
    let pdu = talk.data_in(itt, 0, 0, false);
    talk.give(pdu, &[1; 512]).unwrap();
    let mut last = talk.data_in(itt, 1, 512, true);
    (last.underflow, last.residual) = (true, 88);
    talk.give(last, &[2; 100]).unwrap();
    let Event::Command(ended, outcome) = talk.event() else {
        panic!("the command ends")
    };
    assert_eq!(ended, itt);
    assert_eq!(outcome.data, [[1; 512].as_slice(), &[2; 100]].concat());
    assert_eq!(outcome.residual, Residual::Underflow(88));
    assert!(outcome.status_in_data && outcome.is_good());
}

#[test]
fn data_in_out_of_place() {
    // (DataSN, offset, length) as the second PDU after 512 of 700 bytes.
    for (data_sn, offset, len) in [(1, 512, 189), (1, 500, 10), (1, 600, 10), (2, 512, 10)] {
        let mut talk = Talk::new(Params::default());
        let itt = talk.submit(read(700));
        let first = talk.data_in(itt, 0, 0, false);
        talk.give(first, &[1; 512]).unwrap();
        let second = talk.data_in(itt, data_sn, offset, false);
        let refused = talk.give(second, &vec![0; len]).unwrap_err();
        let expected = matches!(
            (&refused, data_sn),
            (Violation::DataSn { got: 2, due: 1 }, 2) | (Violation::DataInPlace { .. }, 1)
        );
        assert!(expected, "{refused}");
    }
}

#[test]
fn sense_comes_after_its_length() {
    let mut talk = Talk::new(Params::default());
    let itt = talk.submit(read(512));
    let response = talk.response(itt, Outcome::CHECK_CONDITION);
    let mut data = vec![
        0, 18, 0x70, 0, 0x05, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x21, 0x07, 0, 0, 0, 0,
    ];
    data.extend([0, 0]);
    talk.give(response, &data).unwrap();
    let Event::Command(_, outcome) = talk.event() else {
        panic!("the command ends")
    };
    assert_eq!(
        outcome.sense,
        Some(Sense {
            key: 5,
            asc: 0x21,
            ascq: 7
        })
    );
    assert_eq!(outcome.sense_bytes.len(), 18);
    let descriptor = [0x72, 0x06, 0x29, 0x01, 0, 0, 0, 0];
    assert_eq!(
        Sense::parse(&descriptor),
        Some(Sense {
            key: 6,
            asc: 0x29,
            ascq: 1
        })
    );
    assert_eq!(Sense::parse(&[0x70, 0]), None);
}

#[test]
fn commands_wait_for_the_window() {
    let mut talk = Talk::new(Params::default());
    let itts: Vec<Itt> = (0..6).map(|_| talk.submit(read(512))).collect();
    let mut urgent = read(512);
    urgent.immediate = true;
    talk.submit(urgent);
    let numbers = |pdus: Vec<(Request, Bytes)>| -> Vec<u32> {
        pdus.iter()
            .map(|(pdu, _)| match pdu {
                Request::ScsiCommand(pdu) => pdu.cmd_sn.0,
                other => panic!("{other:?} is no command"),
            })
            .collect()
    };
    assert_eq!(
        numbers(talk.sent.all()),
        [1, 2, 3, 4, 5],
        "MaxCmdSN is 4; immediate goes anyway"
    );
    talk.max_cmd_sn = Serial(5);
    let response = talk.response(itts[0], 0);
    talk.give(response, &[]).unwrap();
    assert_eq!(numbers(talk.sent.all()), [5]);
    talk.max_cmd_sn = Serial(50);
    let response = talk.response(itts[1], 0);
    talk.give(response, &[]).unwrap();
    assert_eq!(numbers(talk.sent.all()), [6]);
}

#[test]
fn a_gap_in_stat_sn_is_seen() {
    let mut talk = Talk::new(Params::default());
    let itt = talk.submit(read(512));
    talk.status_sn();
    let response = talk.response(itt, 0);
    let gap = Violation::StatSn {
        got: Serial(501),
        due: Serial(500),
    };
    assert_eq!(talk.give(response, &[]), Err(gap));
}

#[test]
fn an_answer_to_nothing() {
    let mut talk = Talk::new(Params::default());
    let response = talk.response(Itt(9), 0);
    assert!(matches!(
        talk.give(response, &[]),
        Err(Violation::UnknownItt { itt: Itt(9), .. })
    ));
}

#[test]
fn pings_both_ways() {
    let mut talk = Talk::new(Params::default());
    let ping = NopIn {
        lun: Lun(5),
        itt: Itt::RESERVED,
        ttt: Ttt(0x77),
        stat_sn: Serial(500),
        exp_cmd_sn: Serial(1),
        max_cmd_sn: Serial(4),
    };
    talk.give(ping, &[]).unwrap();
    assert_eq!(talk.event(), Event::Pinged);
    let (Request::NopOut(answer), _) = talk.sent.one() else {
        panic!("a NOP-Out answers")
    };
    assert_eq!(
        (answer.itt, answer.ttt, answer.lun),
        (Itt::RESERVED, Ttt(0x77), Lun(5))
    );
    assert!(answer.immediate);
    // TTT reserved: the target only tells its counters, and wants no answer.
    talk.give(
        NopIn {
            ttt: Ttt::RESERVED,
            max_cmd_sn: Serial(9),
            ..ping
        },
        &[],
    )
    .unwrap();
    assert!(talk.sent.0.is_empty());
    assert_eq!(talk.client.numbering.max_cmd_sn, Serial(9));
    let itt = talk.client.nop(Bytes::from_static(b"echo"), &mut talk.sent);
    let echo = NopIn {
        itt,
        ttt: Ttt::RESERVED,
        stat_sn: talk.status_sn(),
        ..ping
    };
    assert_eq!(talk.give(echo, b"ecHo"), Err(Violation::NopData));
}

#[test]
fn task_management_takes_its_tasks_away() {
    let mut talk = Talk::new(Params::default());
    let on_zero = talk.submit(read(512));
    let other = talk.submit(Command::none(Lun::from_number(1), &[0; 6]));
    let tmf = talk.client.task_management(
        TmfFunction::LOGICAL_UNIT_RESET,
        Lun(0),
        None,
        &mut talk.sent,
    );
    let later = talk.submit(read(512));
    let answer = TaskManagementResponse {
        response: TmfResponse::COMPLETE,
        itt: tmf,
        stat_sn: talk.status_sn(),
        exp_cmd_sn: Serial(2),
        max_cmd_sn: Serial(9),
    };
    talk.give(answer, &[]).unwrap();
    assert_eq!(talk.event(), Event::Aborted(on_zero));
    assert_eq!(
        talk.event(),
        Event::TaskManagement(tmf, TmfResponse::COMPLETE)
    );
    assert!(talk.client.is_outstanding(other), "another unit");
    assert!(talk.client.is_outstanding(later), "issued after the reset");
    let late = talk.response(on_zero, 0);
    assert!(
        talk.give(late, &[]).is_err(),
        "no response after the function is complete"
    );
}

#[test]
fn abort_names_the_task_and_its_number() {
    let mut talk = Talk::new(Params::default());
    talk.submit(read(512));
    let victim = talk.submit(read(512));
    talk.sent.all();
    let function = TmfFunction::ABORT_TASK;
    talk.client
        .task_management(function, Lun(0), Some(victim), &mut talk.sent);
    let (Request::TaskManagement(pdu), _) = talk.sent.one() else {
        panic!("one TMF")
    };
    assert_eq!(
        (pdu.rtt, pdu.ref_cmd_sn, pdu.cmd_sn),
        (victim, Serial(2), Serial(3))
    );
    assert!(pdu.immediate);
}

#[test]
fn a_long_text_answer_is_fetched() {
    let mut talk = Talk::new(Params::default());
    let itt = talk
        .client
        .text(Bytes::from_static(b"SendTargets=All\0"), &mut talk.sent);
    talk.sent.all();
    let part = TextResponse {
        is_final: false,
        cont: true,
        lun: Lun(0),
        itt,
        ttt: Ttt(4),
        stat_sn: talk.status_sn(),
        exp_cmd_sn: Serial(1),
        max_cmd_sn: Serial(4),
    };
    talk.give(part, b"TargetName=a").unwrap();
    let (Request::Text(more), data) = talk.sent.one() else {
        panic!("the rest is asked for")
    };
    assert_eq!((more.itt, more.ttt, data.len()), (itt, Ttt(4), 0));
    let stat_sn = talk.status_sn();
    let last = TextResponse {
        is_final: true,
        cont: false,
        ttt: Ttt::RESERVED,
        stat_sn,
        ..part
    };
    talk.give(last, b"bc\0").unwrap();
    assert_eq!(talk.event(), Event::Text(itt, b"TargetName=abc\0".to_vec()));
}

#[test]
fn rejects_end_their_task() {
    let mut talk = Talk::new(Params::default());
    let itt = talk.submit(read(512));
    let header = talk.sent.0[0].0;
    let reject = |talk: &mut Talk, reason, data: &[u8]| {
        let (stat_sn, data_sn) = (talk.status_sn(), 0);
        let counters = (Serial(2), Serial(9));
        let (exp_cmd_sn, max_cmd_sn) = counters;
        talk.give(
            Reject {
                reason,
                stat_sn,
                exp_cmd_sn,
                max_cmd_sn,
                data_sn,
            },
            data,
        )
    };
    reject(&mut talk, RejectReason::DATA_DIGEST, &header.0).unwrap();
    assert!(
        talk.client.is_outstanding(itt),
        "a SCSI Response is still due"
    );
    reject(&mut talk, RejectReason::NOT_SUPPORTED, &header.0).unwrap();
    assert!(!talk.client.is_outstanding(itt));
    let short = reject(&mut talk, RejectReason::NOT_SUPPORTED, &header.0[..47]);
    assert_eq!(short, Err(Violation::RejectWithoutHeader));
}

#[test]
fn logout_and_async() {
    let mut talk = Talk::new(Params::default());
    talk.client
        .logout(LogoutReason::CLOSE_CONNECTION, Cid(4), &mut talk.sent);
    let (Request::Logout(pdu), _) = talk.sent.one() else {
        panic!("a Logout Request")
    };
    assert_eq!(
        (pdu.reason, pdu.cid, pdu.immediate),
        (LogoutReason(1), Cid(4), true)
    );
    let message = AsyncMessage {
        lun: Lun(0),
        stat_sn: talk.status_sn(),
        exp_cmd_sn: Serial(2),
        max_cmd_sn: Serial(9),
        event: AsyncEvent::LOGOUT_REQUEST,
        vcode: 0,
        parameter1: 0,
        parameter2: 0,
        parameter3: 10,
    };
    talk.give(message, &[]).unwrap();
    assert_eq!(talk.event(), Event::Async(message, Vec::new()));
}

/// RFC 7143 §11.2.2.3: AHSLength is 1 + CDB bytes above 16, type 1, padded to words.
#[test]
fn a_long_cdb_goes_into_an_ahs() {
    let mut talk = Talk::new(Params::default());
    let cdb: Vec<u8> = (0..32).collect();
    talk.submit(Command::none(Lun(0), &cdb));
    let (bhs, ahs, _) = talk.sent.0.remove(0);
    assert_eq!(bhs.0[32..48], cdb[..16]);
    assert_eq!(ahs[..4], [0, 17, 1, 0]);
    assert_eq!(ahs[4..], cdb[16..]);
}
