//! Writes that storage gave up waiting for: answered BUSY, and in flight until they have landed or
//! no longer can.

use crate::check;

const NAMES: &str =
    "InitiatorName=iqn.2026-01.org.example:i1 TargetName=iqn.2026-01.org.example:disk";

#[test]
fn a_late_write_is_answered_once() {
    check(
        "I> in | B> hold | I> write itt=1 imm=512 fill=1 | B> late | T> status itt=1 busy !sense
         I> tur itt=1 | T> status itt=1 good | B> lands | T> nothing | B> holds fill=1",
    );
}

#[test]
fn a_reset_is_not_complete_while_a_late_write_can_land() {
    check(
        "I> in | B> hold | I> write itt=1 imm=512 fill=1 | B> late | T> status itt=1 busy
         I> tmf lun-reset itt=2 | T> nothing | B> lands | T> tmf itt=2 response=0",
    );
    // Nor is one of another nexus, and in bounded time it is refused.
    check(
        "I> in | I2> in isid=2 | B> hold | I> write itt=1 imm=512 fill=1 | B> late | T> status itt=1 busy
         I2> tmf lun-reset itt=2 | T2> nothing | W> pass s=11 | T2> tmf itt=2 response=255
         I2> tmf clear-task-set itt=3 | T2> nothing | B> lands | T2> tmf itt=3 response=0 | T> nothing",
    );
}

#[test]
fn an_abort_is_not_complete_while_a_late_write_can_land() {
    check(
        "I> in | B> hold | I> write itt=1 imm=512 fill=1 | B> late | T> status itt=1 busy
         I> tmf abort-task itt=2 rtt=1 ref=3 | I> tmf abort-task-set itt=3 | T> nothing
         B> lands | T> tmf itt=2 response=0 | T> tmf itt=3 response=0
         I> tmf abort-task itt=4 rtt=1 ref=3 | T> tmf itt=4 response=1",
    );
    // The deadline may also pass after the abort has come.
    check(
        "I> in | B> hold | I> write itt=1 imm=512 fill=1 | I> tmf abort-task itt=2 rtt=1 ref=3
         T> nothing | B> late | T> nothing | W> pass s=11 | T> tmf itt=2 response=255
         I> tmf abort-task itt=3 rtt=1 ref=3 | T> nothing | B> lands | T> tmf itt=3 response=0",
    );
}

/// A command of two tickets: the late one fails it, the other one is awaited for the status only.
#[test]
fn one_of_two_tickets_is_late() {
    check(
        "I> in MaxBurstLength=1048576 | B> hold | I> write itt=1 blocks=4096 fill=1
         T> r2t len=1048576 | I> answer fill=1 | T> r2t len=1048576 | I> answer fill=1 | T> nothing
         B> has tickets=2 | B> late | T> nothing | B> ok | T> status itt=1 busy
         I> tmf lun-reset itt=2 | T> nothing | B> lands | T> tmf itt=2 response=0",
    );
}

#[test]
fn a_session_ends_when_its_late_write_has() {
    check(&format!(
        "I> in | B> hold | I> write itt=1 imm=512 fill=1 | B> late | T> status itt=1 busy
         I2> connect | I2> login T csg=1 nsg=3 {NAMES} | T2> nothing | T> closed
         B> lands | T2> login T tsih=2 status=0000 | W> sessions n=1"
    ));
}

/// A reset that the session has not heard of yet: the task is dead, not BUSY.
#[test]
fn a_late_write_that_a_reset_overtook_is_not_answered() {
    check(
        "I> in | I2> in isid=2 | B> hold | I2> write itt=1 imm=512 | T2> nothing | W> mail stops
         I> tmf lun-reset itt=1 | T> nothing | B> late | T2> nothing | W> mail goes | T> nothing
         B> lands | T> tmf itt=1 response=0 | T2> nothing",
    );
}
