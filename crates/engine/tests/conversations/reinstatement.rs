//! Sessions and connections that take another's place, and sessions without a connection.

use crate::{check, check_with, config};

const NAMES: &str =
    "InitiatorName=iqn.2026-01.org.example:i1 TargetName=iqn.2026-01.org.example:disk";

/// A configuration that keeps sessions for a while.
fn retaining() -> engine::NodeConfig {
    let mut config = config();
    config.offer.time2retain = 30;
    config
}

#[test]
fn a_session_takes_anothers_place_when_that_ones_writes_have_landed() {
    check(&format!(
        "I> in | B> hold | I> write itt=1 imm=512 fill=1 | T> nothing
         I2> connect | I2> login T csg=1 nsg=3 {NAMES} | T2> nothing | T> closed
         B> ok | T2> login T tsih=2 status=0000 | W> sessions n=1 | I2> tur | T2> status sense=06/29/00"
    ));
}

#[test]
fn other_names_are_other_sessions() {
    check(&format!(
        "I> in | I2> in | T> open | I> connect | I> login T csg=1 nsg=3 isid=9 {NAMES}
         T> login T tsih=3 | W> sessions n=3"
    ));
}

#[test]
fn hung_storage_refuses_the_successor_in_bounded_time() {
    check(&format!(
        "I> in | B> hold | I> write itt=1 imm=512 fill=1 | T> nothing
         I2> connect | I2> login T csg=1 nsg=3 {NAMES} | W> pass s=16 | T2> login status=0301 | T2> closed
         I2> connect | I2> login T csg=1 nsg=3 {NAMES} | T2> nothing | B> ok | T2> login T tsih=2 | W> sessions n=1"
    ));
}

#[test]
fn of_two_successors_the_later_wins() {
    check(&format!(
        "I> in | B> hold | I> write itt=1 imm=512 | T> nothing
         I2> connect | I2> login T csg=1 nsg=3 {NAMES} | T2> nothing
         I3> connect | I3> login T csg=1 nsg=3 {NAMES} | T2> login status=0301 | T2> closed
         B> ok | T3> login T tsih=2 | W> sessions n=1"
    ));
}

#[test]
fn a_successor_that_leaves_leaves_nothing() {
    check(&format!(
        "I> in | B> hold | I> write itt=1 imm=512 | T> nothing
         I2> connect | I2> login T csg=1 nsg=3 {NAMES} | T2> nothing | W> cut of=2 | B> ok | W> sessions n=0"
    ));
    check(&format!(
        "I> in | I2> connect | I2> login T csg=1 nsg=3 {NAMES} | T2> login T tsih=2 | W> cut of=2 | W> cut | W> pass s=21 | W> sessions n=0"
    ));
}

#[test]
fn a_connection_takes_anothers_place() {
    check(&format!(
        "I> in cid=3 | B> hold | I> write itt=1 imm=512 fill=1 | I> write itt=2 blocks=256 | T> r2t itt=2
         I> data itt=2 ttt=last len=64k
         I2> connect first=5 | I2> login T csg=1 nsg=3 tsih=1 cid=3 MaxRecvDataSegmentLength=512 {NAMES}
         T2> nothing | T> closed | B> ok
         T2> login T tsih=1 status=0000 exp=5 max=132 | B> go | I2> tur itt=1 | T2> status itt=1 good
         I2> read itt=2 blocks=2 | T2> data-in len=512 fill=1 | T2> data-in S | W> sessions n=1"
    ));
}

/// The window is the session's: the login must not promise more, or less.
#[test]
fn the_new_connection_is_told_the_sessions_window() {
    let mut config = config();
    config.queue_depth = 4;
    check_with(
        config,
        &format!(
            "I> in | I> tur | T> status good | I> tur sn=6 itt=7 | T> nothing
             I2> connect first=90 | I2> login T csg=1 nsg=3 tsih=1 {NAMES} | T2> login T exp=4 max=7 | T> closed
             I2> tur sn=4 itt=1 | T2> status itt=1 good | I2> tur sn=5 itt=2 | T2> status itt=2 good
             T2> nothing | I2> tur sn=6 itt=3 | T2> status itt=3 good"
        ),
    );
}

#[test]
fn who_may_not_join() {
    check(&format!(
        "I> in cid=3 | I2> connect | I2> login T csg=1 nsg=3 tsih=1 cid=4 {NAMES} | T2> login status=0206 | T2> closed
         I2> connect | I2> login T csg=1 nsg=3 tsih=1 cid=3 isid=9 {NAMES} | T2> login status=020a
         I2> connect | I2> login T csg=1 nsg=3 tsih=1 cid=3 MaxBurstLength=512 {NAMES} | T2> login status=0200
         T> open | I> tur | T> status good"
    ));
}

#[test]
fn a_retained_session_gets_a_new_connection() {
    check_with(
        retaining(),
        &format!(
            "I> in | B> hold | I> write itt=1 imm=512 fill=1 | I> write itt=2 blocks=256 | T> r2t
             I> data itt=2 ttt=last len=64k | T> nothing | W> cut | W> pass s=10 | W> sessions n=1
             I> connect | I> login T csg=1 nsg=3 tsih=1 cid=5 {NAMES} | T> nothing | B> ok
             T> login T tsih=1 exp=5 | I> tur itt=3 | T> status itt=3 good | W> pass s=14 | I> tur | T> status good
             I> logout | T> logout result=0 | T> closed | W> sessions n=0"
        ),
    );
}

#[test]
fn what_was_parked_on_a_lost_connection_was_never_received() {
    check_with(
        retaining(),
        &format!(
            "I> in | I> write itt=1 sn=4 imm=512 fill=1 | T> nothing | W> cut
             I> connect | I> login T csg=1 nsg=3 tsih=1 {NAMES} | T> login T exp=3 | I> tur itt=2 sn=3
             T> status itt=2 good | T> nothing | B> clean | I> tur itt=3 sn=4 | T> status itt=3 good"
        ),
    );
}

#[test]
fn a_session_is_not_retained_for_ever() {
    check_with(
        retaining(),
        &format!(
            "I> in | W> cut | W> pass s=19 | W> sessions n=1 | W> pass s=12 | W> sessions n=0
             I> connect | I> login T csg=1 nsg=3 tsih=1 {NAMES} | T> login status=020a"
        ),
    );
    check_with(
        retaining(),
        "I> in | W> cut | W> shutdown s=5 | W> sessions n=0",
    );
    check_with(
        retaining(),
        &format!(
            "I> in | W> cut | I> connect | I> login T csg=1 nsg=3 {NAMES} | T> login T tsih=2 | W> sessions n=1"
        ),
    );
}

/// The login that was let in may die before it brings its connection.
#[test]
fn a_session_whose_new_connection_never_comes_ends() {
    check(&format!(
        "I> in | B> hold | I> write itt=1 imm=512 | T> nothing
         I2> connect | I2> login T csg=1 nsg=3 tsih=1 {NAMES} | T2> nothing | T> closed | W> cut of=2
         W> sessions n=1 | B> ok | W> pass s=16 | W> sessions n=0"
    ));
    check(&format!(
        "I> in | B> hold | I> write itt=1 imm=512 | T> nothing
         I2> connect | I2> login T csg=1 nsg=3 tsih=1 {NAMES} | W> pass s=16
         T2> login | T2> closed | B> ok | W> sessions n=0"
    ));
}

#[test]
fn of_two_that_join_the_later_wins() {
    check(&format!(
        "I> in | B> hold | I> write itt=1 imm=512 | T> nothing
         I2> connect first=4 | I2> login T csg=1 nsg=3 tsih=1 {NAMES} | T2> nothing
         I3> connect first=4 | I3> login T csg=1 nsg=3 tsih=1 {NAMES} | T2> login status=0301 | T2> closed
         B> ok | T3> login T tsih=1 | I3> tur | T3> status good | W> sessions n=1"
    ));
}

#[test]
fn a_session_that_ends_refuses_who_would_join() {
    check(&format!(
        "I> in | B> hold | I> write itt=1 imm=512 | T> nothing
         I2> connect | I2> login T csg=1 nsg=3 tsih=1 {NAMES} | T2> nothing
         W> shutdown s=5 | T2> login status=020a | T2> closed | B> ok | W> sessions n=0"
    ));
}

/// Whatever order mail comes in, somebody wins and nobody waits for ever.
#[test]
fn many_reinstatements_at_once() {
    check(&format!(
        "I> in | I> write itt=1 imm=512 | I2> connect | I2> login T csg=1 nsg=3 {NAMES}
         I3> connect | I3> login T csg=1 nsg=3 tsih=1 {NAMES} | I4> connect | I4> login T csg=1 nsg=3 {NAMES}
         W> pass s=1 | T> hush | T2> hush | T3> hush | T4> hush | W> pass s=40 | T> hush | T2> hush | T3> hush | T4> hush"
    ));
}

/// Whichever comes first, the login hears of it at once.
#[test]
fn a_join_and_a_logout_at_the_same_time() {
    check(&format!(
        "I> in | I> logout | I2> connect | I2> login T csg=1 nsg=3 tsih=1 {NAMES} | T2> login | T> hush"
    ));
}
