use iscsi::Serial;

use crate::machine::{Numbering, Violation};

#[test]
fn immediate_commands_do_not_use_a_number_up() {
    let mut numbering = Numbering::new(Serial(u32::MAX));
    assert_eq!(numbering.take_cmd_sn(true), Serial(u32::MAX));
    assert_eq!(numbering.take_cmd_sn(false), Serial(u32::MAX));
    assert_eq!(numbering.take_cmd_sn(false), Serial(0), "it wraps");
}

#[test]
fn the_window_only_moves_forward() {
    let mut numbering = Numbering::new(Serial(10));
    numbering.hear_window(Serial(10), Serial(20));
    numbering.hear_window(Serial(9), Serial(15));
    assert_eq!(
        (numbering.exp_cmd_sn, numbering.max_cmd_sn),
        (Serial(10), Serial(20))
    );
    // MaxCmdSN < ExpCmdSN - 1: both must be ignored (RFC 7143 §4.2.2.1).
    numbering.hear_window(Serial(30), Serial(28));
    assert_eq!(
        (numbering.exp_cmd_sn, numbering.max_cmd_sn),
        (Serial(10), Serial(20))
    );
    // MaxCmdSN = ExpCmdSN - 1 is a closed window.
    numbering.hear_window(Serial(21), Serial(20));
    numbering.cmd_sn = Serial(21);
    assert!(!numbering.window_open());
    numbering.hear_window(Serial(21), Serial(21));
    assert!(numbering.window_open());
}

#[test]
fn stat_sn_has_no_gaps() {
    let mut numbering = Numbering::new(Serial(1));
    numbering.exp_stat_sn = Serial(u32::MAX);
    assert_eq!(numbering.hear_status(Serial(u32::MAX)), Ok(()));
    assert_eq!(numbering.exp_stat_sn, Serial(0));
    assert_eq!(numbering.peek_status(Serial(0)), Ok(()));
    let gap = Violation::StatSn {
        got: Serial(2),
        due: Serial(0),
    };
    assert_eq!(numbering.hear_status(Serial(2)), Err(gap));
}
