//! StatSN, ExpCmdSN and MaxCmdSN.

use super::*;

#[test]
fn a_refused_login_may_carry_any_numbers() {
    let mut scene = Scene(Conversation::default());
    scene.send(login_request(), b"");
    let refusal = LoginResponse {
        status: LoginStatus::NOT_FOUND,
        exp_cmd_sn: Serial(9),
        max_cmd_sn: Serial(0),
        ..login_response()
    };
    assert_eq!(scene.hear(refusal, b""), []);
}

#[test]
fn stat_sn_neither_jumps_nor_stands_still() {
    for stat_sn in [100, 102] {
        let mut scene = Scene::new();
        scene.send(command(1), b"");
        let wrong = ScsiResponse {
            stat_sn: Serial(stat_sn),
            ..response()
        };
        assert_eq!(scene.clauses(wrong, b""), ["RFC 7143 4.2.2.2"]);
    }
}

#[test]
fn a_ping_and_an_r2t_show_the_next_stat_sn_without_taking_it() {
    let mut scene = Scene::writing(2048);
    assert_eq!(scene.hear(nop_in(Itt::RESERVED), b""), []);
    assert_eq!(scene.hear(R2t { ..r2t() }, b""), []);
    assert_eq!(scene.hear(response(), b""), []);
    let wrong = NopIn {
        stat_sn: Serial(103),
        exp_cmd_sn: Serial(2),
        ..nop_in(Itt::RESERVED)
    };
    assert_eq!(scene.clauses(wrong, b""), ["RFC 7143 4.2.2.2"]);
}

#[test]
fn the_command_window_never_moves_back_nor_turns_inside_out() {
    let mut scene = Scene::new();
    let lower_max = NopIn {
        max_cmd_sn: Serial(8),
        ..nop_in(Itt::RESERVED)
    };
    assert_eq!(scene.clauses(lower_max, b""), ["RFC 7143 4.2.2.1"]);
    let mut scene = Scene::new();
    let lower_exp = NopIn {
        exp_cmd_sn: Serial(0),
        ..nop_in(Itt::RESERVED)
    };
    assert_eq!(scene.clauses(lower_exp, b""), ["RFC 7143 4.2.2.1"]);
    let mut scene = Scene::new();
    let closed = NopIn {
        exp_cmd_sn: Serial(10),
        ..nop_in(Itt::RESERVED)
    };
    assert_eq!(scene.hear(closed, b""), [], "a closed window is one");
    let inside_out = NopIn {
        exp_cmd_sn: Serial(11),
        ..nop_in(Itt::RESERVED)
    };
    assert_eq!(scene.clauses(inside_out, b""), ["RFC 7143 4.2.2.1"]);
}
