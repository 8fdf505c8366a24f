//! CmdSN, immediate commands, and what is sent unasked.

use crate::{check, check_with, config};

#[test]
fn commands_wait_for_the_one_before_them() {
    check(
        "I> in | I> tur itt=1 sn=5 | I> tur itt=2 sn=4 | T> nothing | I> tur itt=3 sn=3
         T> status itt=3 | T> status itt=2 | T> status itt=1",
    );
}

#[test]
fn outside_the_window_and_twice() {
    check(
        "I> in | I> tur itt=1 sn=2 | I> tur itt=2 sn=0 | I> nop queued itt=3 sn=1000 | T> nothing
         I> tur itt=4 sn=4 | I> tur itt=5 sn=4 | I> tur itt=6 sn=3 | T> status itt=6 | T> status itt=4 | T> nothing",
    );
    // Data that follows such a command is not complained about.
    check("I> in InitialR2T=No | I> write noF itt=1 sn=2 | I> data itt=1 len=512 F | T> nothing");
}

#[test]
fn the_numbers_wrap() {
    check(
        "I> in first=0xfffffffc | I> tur itt=1 | T> status itt=1 | I> tur itt=2 | T> status itt=2
         I> tur itt=3 sn=2 | I> tur itt=4 sn=0 | T> status itt=4 | I> tur itt=5 sn=1
         T> status itt=5 | T> status itt=3",
    );
}

#[test]
fn immediate_commands_take_no_number() {
    check(
        "I> in | I> tur I itt=1 | T> status itt=1 good | I> nop itt=2 | T> nop-in itt=2 exp=3
         I> nop queued itt=3 | T> nop-in itt=3 exp=4",
    );
}

#[test]
fn too_many_immediate_commands() {
    let many: String = (1..=16)
        .map(|itt| format!("I> read I itt={itt}\n"))
        .collect();
    let answers: String = (1..=16)
        .map(|itt| format!("T> data-in itt={itt} S\n"))
        .collect();
    check(&format!(
        "I> in | B> hold | {many} | T> nothing | I> read I itt=17 | T> reject reason=06
         I> tmf lun-reset lun=1 | T> tmf response=0 | B> go | {answers}"
    ));
}

#[test]
fn a_window_that_reopens_is_told() {
    let mut config = config();
    config.queue_depth = 2;
    check_with(
        config,
        "I> in | I2> in isid=2 | B> hold | I> read itt=1 | I> read itt=2 | T> nothing
         I> nop itt=3 | T> nop-in exp=5 max=4 | I> tur itt=9 sn=5 | T> nothing
         I2> tmf lun-reset | B> ok | T> nop-in itt=none ttt=none exp=5 max=5 | B> ok | T2> tmf response=0
         T> nothing | I> tur itt=4 sn=5 | T> status itt=4 sense=06/29/03",
    );
}

/// The data of a parked command is not kept; the command says so instead of waiting for ever.
#[test]
fn unsolicited_data_of_a_command_that_waits_for_its_turn() {
    check(
        "I> in InitialR2T=No | I> write itt=1 sn=4 blocks=2 noF | I> data itt=1 len=512 | I> data itt=1 off=512 len=512 sn=1 F
         T> nothing | I> tur itt=2 sn=3 | T> status itt=2 good | T> status itt=1 task-set-full | B> clean blocks=2",
    );
    check(
        "I> in InitialR2T=No | I> write itt=1 sn=4 blocks=2 noF | I> data itt=1 len=512 | T> nothing
         I> tur itt=2 sn=3 | T> status itt=2 good | T> nothing
         I> data itt=1 off=512 len=512 sn=1 F | T> status itt=1 task-set-full",
    );
    // Immediate data is parked with its command.
    check(
        "I> in | I> write itt=1 sn=4 imm=512 fill=3 | I> tur sn=3 itt=2 | T> status itt=2
         T> status itt=1 good | B> holds fill=3",
    );
}

#[test]
fn opcodes_there_are_not() {
    check(
        "I> in | I> pdu op=0x3c | T> reject reason=05 | I> pdu op=0x1c len=4 | T> reject reason=05
         I> pdu op=0x21 | T> reject reason=04 | I> snack | T> reject reason=03 | I> login csg=1 | T> reject reason=04
         I> tur | T> status good",
    );
}

#[test]
fn more_data_than_was_declared_ends_the_session() {
    check("I> in | I> pdu op=0x40 len=300000 | T> closed | W> sessions n=0");
}

/// The place of a command is free when its status goes out, which tells so itself.
#[test]
fn a_status_opens_the_window_again() {
    let mut config = config();
    config.queue_depth = 1;
    check_with(
        config,
        "I> in MaxRecvDataSegmentLength=512 | I> read itt=1 blocks=2 | T> data-in exp=4 !S | T> data-in S exp=4 max=4
         T> nothing | I> write itt=2 | T> r2t | I> answer | T> status good | T> nothing",
    );
}
