//! Pings both ways, logout, shutdown.

use crate::{check, check_with, config};

#[test]
fn echo() {
    check(
        "I> in MaxRecvDataSegmentLength=1024 | I> nop itt=1 len=0 | T> nop-in itt=1 ttt=none len=0
         I> nop itt=2 len=1 | T> nop-in itt=2 len=1 | I> nop itt=3 len=1024 | T> nop-in itt=3 len=1024
         I> nop itt=4 len=4096 | T> nop-in itt=4 len=1024 | I> nop itt=none | T> nothing
         I> nop itt=5 ttt=0x77 | T> reject reason=09 | I> nop itt=none ttt=0x77 | T> reject reason=09",
    );
}

#[test]
fn silence_is_asked_about() {
    check(
        "I> in | W> pass s=14 | T> nothing | W> pass s=2 | T> nop-in itt=none ttt=some
         I> nop itt=none ttt=last | T> nothing | W> pass s=14 | T> nothing | W> pass s=2 | T> nop-in itt=none
         W> pass s=8 | T> open | W> pass s=2 | T> closed | W> sessions n=0",
    );
}

/// Anything heard proves life; the answer that comes later is an answer still.
#[test]
fn an_answer_behind_other_traffic_is_no_error() {
    check(
        "I> in | W> pass s=16 | T> nop-in itt=none ttt=some | I> tur itt=1 | T> status itt=1
         I> nop itt=none ttt=last | T> nothing | I> nop itt=none ttt=last | T> reject reason=09",
    );
    // Whatever it says keeps it alive, even if it never answers.
    check(
        "I> in | W> pass s=16 | T> nop-in itt=none | W> pass s=8 | I> tur itt=1 | T> status itt=1
         W> pass s=9 | T> open | W> pass s=7 | T> nop-in itt=none | W> pass s=11 | T> closed",
    );
}

#[test]
fn pings_can_be_switched_off() {
    let mut config = config();
    config.ping_interval = std::time::Duration::ZERO;
    check_with(
        config,
        "I> in | W> pass s=100000 | T> nothing | I> tur | T> status good",
    );
}

#[test]
fn logout() {
    check(
        "I> in cid=7 | I> logout itt=1 reason=1 cid=3 | T> logout itt=1 result=1 | T> open
         I> logout itt=2 reason=2 cid=7 | T> logout result=2 | I> logout itt=3 reason=9 | T> reject reason=09
         I> logout itt=4 reason=1 cid=7 | T> logout itt=4 result=0 wait=2 retain=0 | T> closed | W> sessions n=0",
    );
    check("I> in | I> logout queued itt=1 | I> nop itt=2 | T> logout itt=1 result=0 | T> closed");
}

#[test]
fn logout_waits_for_storage() {
    check(
        "I> in | B> hold | I> write itt=1 imm=512 fill=1 | I> write itt=2 | T> r2t itt=2 | I> logout itt=3
         I> nop itt=4 | I> answer | T> nothing | B> ok | T> logout itt=3 result=0 | T> closed",
    );
    // Not for ever: what hangs may still land, and that is said.
    check(
        "I> in | B> hold | I> write itt=1 imm=512 fill=1 | I> logout itt=3 | W> pass s=9 | T> nothing
         W> pass s=2 | T> logout itt=3 result=3 | T> closed | W> sessions n=1 | B> ok | W> sessions n=0",
    );
}

#[test]
fn a_connection_lost_during_logout_ends_the_session() {
    check(
        "I> in DefaultTime2Retain=20 | B> hold | I> read itt=1 | I> logout itt=2 | T> nothing | W> cut
         B> ok | W> sessions n=0",
    );
}

#[test]
fn shutdown() {
    check(
        "I> in | W> shutdown s=10 | T> async event=1 seconds=10 | B> hold | I> write itt=1 imm=512 fill=1
         T> nothing | B> ok | T> status itt=1 good | I> logout itt=2 | T> logout result=0 | T> closed | W> sessions n=0",
    );
    check(
        "I> in | W> shutdown s=10 | T> async event=1 | W> pass s=9 | T> open | W> pass s=2 | T> closed | W> sessions n=0",
    );
    check(
        "I> connect | I> login T csg=1 nsg=3 InitiatorName=iqn.2026-01.org.example:i1 SessionType=Discovery
         T> login T | W> shutdown s=3 | T> async event=1 | W> pass s=4 | T> closed | W> sessions n=0",
    );
    // After it nobody is waited for.
    check(
        "I> in DefaultTime2Retain=20 | W> shutdown s=10 | T> async event=1 | W> cut | W> sessions n=0",
    );
}

#[test]
fn an_initiator_that_leaves_takes_its_tasks_along() {
    check(
        "I> in DefaultTime2Retain=0 | B> hold | I> write itt=1 imm=512 fill=1 | I> read itt=2 blocks=64
         I> write itt=3 blocks=256 | T> r2t | I> data itt=3 ttt=last len=64k | W> cut | W> sessions n=1 | B> ok
         W> sessions n=1 | B> ok | W> sessions n=0",
    );
}

/// A payload that was read straight to its place, and only in part, gives its memory back.
#[test]
fn a_connection_lost_in_the_middle_of_a_payload() {
    check(
        "I> in | I> write itt=1 blocks=256 | T> r2t | I> data itt=1 ttt=last len=128k F | I> keep back=1000
         T> nothing | W> cut",
    );
    check(
        "I> in InitialR2T=No | I> write itt=1 blocks=128 imm=64k | I> keep back=1000 | T> nothing | W> cut",
    );
    // And if its task is aborted meanwhile.
    check(
        "I> in | I2> in isid=2 | I> write itt=1 blocks=256 | T> r2t | I> data itt=1 ttt=last len=128k
         I> keep back=1000 | T> nothing | I2> tmf lun-reset | T2> tmf response=0 | W> cut",
    );
}
