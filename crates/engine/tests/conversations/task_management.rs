//! Aborts and resets: what "complete" promises, and when it is said.

use crate::check;

#[test]
fn abort_task_is_complete_when_storage_has_ended() {
    check(
        "I> in | B> hold | I> write itt=1 imm=512 fill=1 | I> tmf abort-task itt=2 rtt=1 ref=3 | T> nothing
         B> ok | T> tmf itt=2 response=0 | T> nothing | I> tur itt=1 | T> status itt=1 good",
    );
}

#[test]
fn abort_of_a_read_drops_its_data() {
    check(
        "I> in | B> hold | I> read itt=1 blocks=8 | I> tmf abort-task itt=2 rtt=1 ref=3 | B> ok
         T> tmf itt=2 response=0 | T> nothing",
    );
}

#[test]
fn late_data_of_an_aborted_write_is_swallowed() {
    check(
        "I> in MaxOutstandingR2T=1 | I> write itt=1 blocks=256 | T> r2t len=131072
         I> data itt=1 ttt=last len=64k | I> tmf abort-task itt=2 rtt=1 ref=3 | T> tmf response=0
         I> data itt=1 ttt=last off=64k len=64k sn=1 F | T> nothing | B> clean blocks=256",
    );
}

#[test]
fn abort_of_what_is_not_there() {
    check(
        "I> in | I> tmf abort-task itt=1 rtt=77 ref=1 | T> tmf itt=1 response=1
         I> tmf abort-task itt=2 rtt=77 ref=3 | T> tmf itt=2 response=1
         I> tmf abort-task itt=3 rtt=77 lun=9 | T> tmf itt=3 response=2
         I> text itt=4 X-a=1 | T> text !F | I> tmf abort-task itt=5 rtt=4 | T> tmf itt=5 response=255
         I> text F itt=4 ttt=last | T> text F
         B> hold | I> read itt=6 lun=1 | I> tmf abort-task itt=7 rtt=6 lun=0 | T> tmf itt=7 response=1
         B> ok | T> data-in itt=6 S",
    );
}

/// RFC 7143 11.5.5: the CmdSN of the command counts as received.
#[test]
fn abort_before_the_command_comes() {
    check(
        "I> in | I> tur itt=9 sn=4 | T> nothing
         I> tmf abort-task itt=2 rtt=1 sn=5 ref=3 | T> tmf response=0 | T> status itt=9 good
         I> write itt=1 sn=3 imm=512 fill=1 | T> nothing | B> clean
         I> tur itt=10 sn=5 | T> status itt=10 good",
    );
}

#[test]
fn abort_of_a_command_that_waits_for_its_turn() {
    check(
        "I> in InitialR2T=No | I> write itt=1 sn=4 blocks=2 imm=512 noF fill=1 | I> tur itt=2 sn=5
         I> tmf abort-task itt=3 rtt=1 sn=6 ref=4 | T> tmf response=0 | T> nothing
         I> data itt=1 off=512 len=512 F | T> nothing
         I> tur itt=4 sn=3 | T> status itt=4 good | T> status itt=2 good | B> clean blocks=2",
    );
}

#[test]
fn abort_task_set_waits_for_answers_to_r2ts() {
    check(
        "I> in | B> hold | I> write itt=1 blocks=2 | T> r2t itt=1 | I> read itt=2 lba=8
         I> read lun=1 itt=3 | I> tmf abort-task-set itt=4 | T> nothing | B> ok | T> nothing
         I> answer | T> tmf itt=4 response=0 | T> nothing | B> ok | T> data-in itt=3 S | B> clean blocks=2",
    );
    // An initiator that stays silent is not waited for.
    check(
        "I> in | I> write itt=1 blocks=2 | T> r2t itt=1 | I> tmf abort-task-set itt=2
         W> pass s=1 | T> nothing | W> pass s=2 | T> tmf response=0
         I> answer | T> nothing | B> clean blocks=2",
    );
}

#[test]
fn unsolicited_data_of_a_muted_task_is_taken() {
    check(
        "I> in InitialR2T=No | I> write itt=1 blocks=2 noF | I> write itt=2 lba=99999999 blocks=2 noF
         I> tmf lun-reset itt=3 | T> nothing
         I> data itt=1 len=1024 F | T> nothing | I> data itt=2 len=1024 F | T> tmf itt=3 response=0
         I> tur | T> status sense=06/29/03 | B> clean blocks=2",
    );
}

#[test]
fn a_reset_clears_what_waits_for_its_turn() {
    check(
        "I> in | I> write itt=1 sn=4 imm=512 fill=1 | I> tur lun=1 itt=2 sn=5
         I> tmf lun-reset itt=3 sn=6 | T> tmf response=0 | I> tur itt=4 sn=3
         T> status itt=4 sense=06/29/03 | T> status itt=2 good | T> nothing | B> clean
         I> tur itt=5 sn=6 | T> status itt=5 good",
    );
}

#[test]
fn lun_reset_reaches_the_other_nexus() {
    check(
        "I> in | I2> in isid=2 | B> hold | I2> write itt=1 imm=512 fill=1 | I2> write itt=2 lun=1 imm=512 fill=1
         T2> nothing | I> tmf lun-reset itt=1 | T> nothing
         B> ok | T> tmf itt=1 response=0 | T2> nothing | B> ok | T2> status itt=2 good
         I2> tur itt=3 | T2> status itt=3 sense=06/29/03 | I2> tur lun=1 itt=4 | T2> status itt=4 good
         I> tur itt=5 | T> status sense=06/29/03",
    );
}

#[test]
fn clear_task_set_tells_the_others() {
    check(
        "I> in | I2> in isid=2 | B> hold | I2> write itt=1 blocks=2 | T2> r2t itt=1 | I2> read itt=2
         T2> nothing | I> read itt=3 | T> nothing | I> tmf clear-task-set itt=1 | B> ok | B> ok
         T> tmf itt=1 response=0 | I2> answer | T2> nothing | B> clean blocks=2
         I2> tur itt=3 | T2> status sense=06/2f/00 | I> tur itt=5 | T> status good",
    );
}

#[test]
fn two_resets_at_once() {
    check(
        "I> in | I2> in isid=2 | B> hold | I> write itt=1 imm=512 | I2> write itt=1 imm=512 | T2> nothing
         T> nothing | I> tmf lun-reset itt=2 | I2> tmf lun-reset itt=2 | B> ok | T> nothing | T2> nothing
         B> ok | T> tmf response=0 | T2> tmf response=0",
    );
}

#[test]
fn hung_storage_is_admitted_in_bounded_time() {
    check(
        "I> in | B> hold | I> write itt=1 imm=512 fill=1 | I> tmf lun-reset itt=2
         W> pass s=9 | T> nothing | W> pass s=2 | T> tmf itt=2 response=255
         I> tmf abort-task-set itt=3 | W> pass s=11 | T> tmf itt=3 response=255 | B> ok | T> nothing
         I> tmf lun-reset itt=4 | T> tmf itt=4 response=0",
    );
}

#[test]
fn functions_there_are_not() {
    check(
        "I> in | I> tmf lun-reset lun=9 itt=1 | T> tmf response=2 | I> tmf warm-reset itt=2 | T> tmf response=5
         I> tmf reassign itt=3 | T> tmf response=4 | I> tmf abort-task-set queued itt=4 | T> tmf response=0",
    );
}

#[test]
fn more_functions_than_are_held() {
    let many = "I> tmf abort-task-set\n".repeat(16);
    check(&format!(
        "I> in | B> hold | I> read itt=1 | {many} | T> nothing | I> tmf abort-task-set itt=2 | T> reject reason=06
         B> ok {}",
        "| T> tmf response=0".repeat(16)
    ));
}

/// A flush that was answered before it ran is a task all the same.
#[test]
fn a_reset_waits_for_an_answered_flush() {
    check(
        "I> in | B> hold | I> sync IMMED itt=1 | T> status itt=1 good | I> tmf lun-reset itt=2 | T> nothing
         B> ok | T> tmf itt=2 response=0",
    );
}

/// Functions that wait are told apart, however many came in between.
#[test]
fn a_reset_is_not_taken_for_another() {
    let many = "I> tmf clear-task-set lun=1 | T> tmf response=0\n".repeat(255);
    check(&format!(
        "I> in | I2> in isid=2 | B> hold | I2> read itt=1 | T2> nothing | I> tmf lun-reset itt=2 | T> nothing
         {many} I> read lun=1 itt=3 | I> tmf lun-reset lun=1 itt=4 | T> nothing
         B> ok nth=1 | T> tmf itt=4 response=0 | T> nothing | B> ok | T> tmf itt=2 response=0"
    ));
}

/// Storage may answer before the news of the reset has come.
#[test]
fn a_write_that_a_reset_overtook_is_not_answered() {
    check(
        "I> in | I2> in isid=2 | B> hold | I2> write itt=1 imm=512 | I2> read itt=2 | T2> nothing | W> mail stops
         I> tmf lun-reset itt=1 | T> nothing | B> ok | T2> nothing | B> ok | T2> nothing
         W> mail goes | T> tmf itt=1 response=0 | T2> nothing",
    );
    // And what it would still have asked of storage is not begun.
    check(
        "I> in | I2> in isid=2 | I2> write itt=1 fill=1 | T2> r2t | W> mail stops
         I> tmf lun-reset itt=1 | T> tmf response=0 | I2> answer fill=1 | T2> nothing | B> clean | W> mail goes
         T2> nothing",
    );
}
