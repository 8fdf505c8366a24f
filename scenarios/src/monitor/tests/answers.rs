//! Who may be answered, how often, and with what.

use super::*;

#[test]
fn a_login_may_be_refused_for_a_pdu_that_is_none_of_its() {
    let mut scene = Scene(Conversation::default());
    scene.send(nop_out(5), b"");
    let refusal = LoginResponse {
        itt: Itt(5),
        status: LoginStatus::INVALID_DURING_LOGIN,
        ..login_response()
    };
    assert_eq!(scene.hear(refusal, b""), []);
}

#[test]
fn a_request_is_answered_once() {
    let again = |stat_sn| ScsiResponse {
        stat_sn: Serial(stat_sn),
        ..response()
    };
    let mut scene = Scene::new();
    scene.send(command(1), b"");
    assert_eq!(scene.hear(response(), b""), []);
    assert_eq!(scene.clauses(again(102), b""), ["RFC 7143 11.2.1.8"]);

    let mut scene = Scene::reading(512);
    assert_eq!(scene.hear(last_data_in(), &[0; 512]), []);
    assert_eq!(
        scene.clauses(again(102), b""),
        ["RFC 7143 11.2.1.8"],
        "status came with data"
    );

    let mut scene = Scene::new();
    scene.send(nop_out(5), b"");
    assert_eq!(scene.hear(nop_in(Itt(5)), b""), []);
    let second = NopIn {
        stat_sn: Serial(102),
        ..nop_in(Itt(5))
    };
    assert_eq!(scene.clauses(second, b""), ["RFC 7143 11.2.1.8"]);
}

#[test]
fn nothing_is_answered_that_was_not_asked() {
    let mut scene = Scene::new();
    assert_eq!(scene.clauses(response(), b""), ["RFC 7143 11.2.1.8"]);
    let mut scene = Scene::new();
    scene.send(nop_out(1), b"");
    let logged_out = LogoutResponse {
        result: LogoutResult::CLOSED,
        itt: Itt(1),
        stat_sn: Serial(101),
        exp_cmd_sn: Serial(1),
        max_cmd_sn: Serial(9),
        time2wait: 0,
        time2retain: 0,
    };
    assert_eq!(
        scene.clauses(logged_out, b""),
        ["RFC 7143 11.2.1.8"],
        "a ping was asked"
    );
    let logout = LogoutRequest {
        immediate: true,
        reason: LogoutReason::CLOSE_SESSION,
        itt: Itt(2),
        cid: Cid(0),
        cmd_sn: Serial(1),
        exp_stat_sn: Serial(102),
    };
    scene.send(logout, b"");
    let logged_out = LogoutResponse {
        itt: Itt(2),
        stat_sn: Serial(102),
        ..logged_out
    };
    assert_eq!(scene.hear(logged_out, b""), []);
}

#[test]
fn a_tag_may_be_used_again_after_its_answer() {
    let mut scene = Scene::new();
    scene.send(command(1), b"");
    scene.hear(response(), b"");
    scene.send(
        ScsiCommand {
            cmd_sn: Serial(2),
            ..command(1)
        },
        b"",
    );
    let second = ScsiResponse {
        stat_sn: Serial(102),
        exp_cmd_sn: Serial(3),
        ..response()
    };
    assert_eq!(scene.hear(second, b""), []);
}

#[test]
fn nothing_of_a_task_follows_its_abortion() {
    let functions = [
        (TmfFunction::ABORT_TASK, Itt(1)),
        (TmfFunction::ABORT_TASK_SET, Itt::RESERVED),
        (TmfFunction::CLEAR_TASK_SET, Itt::RESERVED),
        (TmfFunction::LOGICAL_UNIT_RESET, Itt::RESERVED),
    ];
    for (function, rtt) in functions {
        for (answer, clauses) in [
            (TmfResponse::COMPLETE, vec!["RFC 7143 11.5.1"]),
            (TmfResponse::NOT_SUPPORTED, vec![]),
        ] {
            let mut scene = Scene::reading(512);
            let request = TaskManagementRequest {
                immediate: true,
                function,
                lun: LUN,
                itt: Itt(2),
                rtt,
                cmd_sn: Serial(2),
                exp_stat_sn: Serial(101),
                ref_cmd_sn: Serial(1),
                exp_data_sn: 0,
            };
            scene.send(request, b"");
            let reply = TaskManagementResponse {
                response: answer,
                itt: Itt(2),
                stat_sn: Serial(101),
                exp_cmd_sn: Serial(2),
                max_cmd_sn: Serial(9),
            };
            assert_eq!(scene.hear(reply, b""), []);
            assert_eq!(
                scene.clauses(data_in(), &[0; 512]),
                clauses,
                "{function} {answer}"
            );
        }
    }
}

#[test]
fn an_abort_spares_other_units_and_later_commands() {
    let mut scene = Scene::new();
    scene.send(
        ScsiCommand {
            lun: Lun(0),
            ..command(1)
        },
        b"",
    );
    scene.send(command(3), b"");
    let request = TaskManagementRequest {
        immediate: true,
        function: TmfFunction::LOGICAL_UNIT_RESET,
        lun: LUN,
        itt: Itt(2),
        rtt: Itt::RESERVED,
        cmd_sn: Serial(3),
        exp_stat_sn: Serial(101),
        ref_cmd_sn: Serial(0),
        exp_data_sn: 0,
    };
    scene.send(request, b"");
    let done = TaskManagementResponse {
        response: TmfResponse::COMPLETE,
        itt: Itt(2),
        stat_sn: Serial(101),
        exp_cmd_sn: Serial(4),
        max_cmd_sn: Serial(9),
    };
    scene.hear(done, b"");
    for (itt, stat_sn) in [(1, 102), (3, 103)] {
        let answer = ScsiResponse {
            itt: Itt(itt),
            stat_sn: Serial(stat_sn),
            exp_cmd_sn: Serial(4),
            ..response()
        };
        assert_eq!(scene.hear(answer, b""), []);
    }
}

#[test]
fn a_reject_carries_the_header_it_is_about() {
    let header = NopOut {
        itt: Itt(5),
        ..nop_out(5)
    }
    .encode();
    let mut scene = Scene::new();
    scene.send(nop_out(5), b"");
    assert_eq!(scene.clauses(reject(), &header.0[..47]), ["RFC 7143 11.17"]);
    let mut scene = Scene::new();
    scene.send(nop_out(5), b"");
    assert_eq!(scene.hear(reject(), &header.0), []);
    let late = NopIn {
        stat_sn: Serial(102),
        ..nop_in(Itt(5))
    };
    assert_eq!(
        scene.clauses(late, b""),
        ["RFC 7143 11.2.1.8"],
        "rejected is answered"
    );

    let mut tagged = sized(reject().encode(), &header.0);
    tagged.0[16..20].copy_from_slice(&[0, 0, 0, 5]);
    let found = Scene::new().0.received(&tagged, &header.0);
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn an_answering_nop_in_has_no_transfer_tag() {
    let mut scene = Scene::new();
    scene.send(nop_out(5), b"");
    let wrong = NopIn {
        ttt: Ttt(1),
        ..nop_in(Itt(5))
    };
    assert_eq!(scene.clauses(wrong, b""), ["RFC 7143 11.19.1"]);
}

#[test]
fn a_pdu_of_the_initiator_does_not_come_from_a_target() {
    let mut scene = Scene::new();
    let found = scene.0.received(&nop_out(5).encode(), b"");
    assert_eq!(found[0].clause, "RFC 7143 11.2.1.2");
}

#[test]
fn what_was_not_seen_is_not_judged() {
    let mut scene = Scene::new();
    scene.0.lose_track();
    assert_eq!(scene.hear(response(), b""), []);
}
