//! The operator decides anew while initiators are at work.

use crate::check_with;

const NAMES: &str =
    "InitiatorName=iqn.2026-01.org.example:i1 TargetName=iqn.2026-01.org.example:disk";

/// With one target, so that what it loses nobody has.
fn check(conversation: &str) {
    let mut config = crate::config();
    config.targets.truncate(1);
    check_with(config, conversation);
}

#[test]
fn a_new_lun_is_there_and_the_others_say_so() {
    check(
        "I> in | I2> in isid=2 | W> serve 0=1 1=2 2=3 | I> tur | T> status sense=06/3f/0e | I> tur | T> status good
         I> tur lun=2 | T> status sense=06/29/00 | I> tur lun=2 | T> status good
         I> tur lun=1 | T> status sense=06/3f/0e | I> read lun=2 | T> data-in S
         I2> luns | T2> data-in len=32 | I3> in isid=3 | I3> tur lun=2 | T3> status sense=06/29/00",
    );
}

/// SPC-4: whoever has seen the list has seen it, whichever unit it asked.
#[test]
fn who_has_read_the_list_is_not_told_that_it_changed() {
    check(
        "I> in | I2> in isid=2 | W> serve 0=1 1=2 2=3 | I> luns lun=1 | T> data-in len=32 S | I> tur | T> status good
         I> tur lun=1 | T> status good | I2> tur lun=1 | T2> status sense=06/3f/0e",
    );
    check("I> in | W> serve 0=1 | I> luns lun=1 | T> data-in len=16 S | I> tur | T> status good");
}

#[test]
fn nothing_is_told_where_nothing_changed() {
    check(
        "I> in | B> hold | I> write itt=1 imm=512 fill=1 | W> serve 0=1 1=2 | W> serve 0=1 1=2 only=i1
         W> serve 0=1 1=2 secret=another-secret | B> ok | T> status itt=1 good | I> tur lun=1 | T> status good",
    );
}

#[test]
fn what_storage_has_of_a_removed_lun_is_finished() {
    check(
        "I> in | I2> in isid=2 | B> hold | I> write itt=1 lun=1 imm=512 fill=1 | T> nothing | W> serve 0=1
         W> in-use unit=2 | I> tur lun=1 itt=2 | T> status itt=2 sense=05/25/00 | I> tur itt=3
         T> status itt=3 sense=06/3f/0e | W> in-use unit=2 | B> ok | T> status itt=1 good | B> holds lun=1 fill=1
         W> vacated unit=2 | W> in-use unit=1",
    );
    check(
        "I> in | B> hold | I> sync itt=1 lun=1 | W> serve 0=1 | B> ok | T> status itt=1 good | W> vacated unit=2",
    );
    check(
        "I> in | B> hold | I> read itt=1 lun=1 | W> serve 0=1 | B> fail read | T> status itt=1 sense=03/11/00 | W> vacated unit=2",
    );
}

/// Answered it was, but it could still land in whatever is opened next.
#[test]
fn a_late_write_keeps_its_unit() {
    check(
        "I> in | B> hold | I> write itt=1 lun=1 imm=512 fill=1 | T> nothing | W> serve 0=1 | B> late | T> status itt=1 busy
         W> in-use unit=2 | B> lands | T> nothing | W> vacated unit=2 | B> holds lun=1 fill=1",
    );
    check(
        "I> in | B> hold | I> write itt=1 lun=1 imm=512 fill=1 | B> late | T> status itt=1 busy | W> serve 0=1
         W> in-use unit=2 | B> lands | W> vacated unit=2",
    );
}

#[test]
fn what_storage_does_not_have_of_it_is_refused() {
    // The second half of a read.
    check(
        "I> in MaxRecvDataSegmentLength=1048576 MaxBurstLength=1048576 | B> hold | I> read itt=1 lun=1 blocks=4096
         W> serve 0=1 | B> ok | T> data-in itt=1 !S | T> status itt=1 sense=05/25/00 | W> vacated unit=2",
    );
    // A write whose data was asked for, which the initiator sends all the same.
    check(
        "I> in | I> write itt=1 lun=1 blocks=256 | T> r2t itt=1 | W> serve 0=1 | W> vacated unit=2 | T> nothing
         I> answer fill=1 | T> status itt=1 sense=05/25/00 | B> clean lun=1 | I> tur itt=2 | T> status sense=06/3f/0e",
    );
    // A write of which storage has the first half.
    check(
        "I> in MaxBurstLength=1048576 | B> hold | I> write itt=1 lun=1 blocks=4096 | T> r2t itt=1 | I> answer fill=1
         T> r2t itt=1 | W> serve 0=1 | W> in-use unit=2 | B> ok | W> vacated unit=2 | T> nothing | I> answer fill=1
         T> status itt=1 sense=05/25/00 | B> clean lun=1 lba=2048 | B> holds lun=1 fill=1",
    );
}

#[test]
fn a_command_that_waits_for_memory_does_not_wait_for_a_lun_that_is_gone() {
    let mut config = crate::config();
    config.targets.truncate(1);
    config.session_memory_bytes = 1 << 20;
    check_with(
        config,
        "I> in | B> hold | I> read itt=1 blocks=2048 | T> nothing | I> read itt=2 lun=1 blocks=2048 | T> nothing
         W> serve 0=1 | T> status itt=2 sense=05/25/00 | W> vacated unit=2 | B> ok | T> hush",
    );
}

#[test]
fn an_aborted_command_of_a_removed_lun_is_waited_for() {
    check(
        "I> in | B> hold | I> write itt=1 lun=1 imm=512 fill=1 | T> nothing | I> tmf abort-task itt=2 rtt=1 lun=1
         T> nothing | W> serve 0=1 | W> in-use unit=2 | B> ok | T> tmf itt=2 response=0 | W> vacated unit=2",
    );
    check(
        "I> in | I2> in isid=2 | B> hold | I2> write itt=1 lun=1 imm=512 fill=1 | T2> nothing
         I> tmf lun-reset itt=2 lun=1 | T> nothing | W> serve 0=1 | W> in-use unit=2 | B> ok
         T> tmf itt=2 response=0 | W> vacated unit=2",
    );
}

/// The same disk is closed and opened anew: nobody is told that it is gone.
#[test]
fn a_lun_that_is_away_is_busy_until_it_is_back() {
    check(
        "I> in | B> hold | I> read itt=1 lun=1 | T> nothing | W> serve 0=1 away=1 | I> tur lun=1 itt=2 | T> status itt=2 busy
         I> luns itt=3 | T> data-in itt=3 len=24 | I> tur itt=4 | T> status itt=4 good | W> in-use unit=2 | B> ok
         T> data-in itt=1 S | W> vacated unit=2 | W> serve 0=1 1=3 | I> tur lun=1 | T> status sense=06/29/00
         I> tur | T> status sense=06/3f/0e | B> go | I> read lun=1 | T> data-in S",
    );
    check(
        "I> in | I> write itt=1 lun=1 blocks=256 | T> r2t | W> serve 0=1 away=1 | I> answer | T> status itt=1 busy",
    );
}

#[test]
fn a_unit_that_comes_back_goes_on() {
    check(
        "I> in | B> hold | I> write itt=1 lun=1 imm=512 fill=1 | T> nothing | W> serve 0=1 away=1 | W> serve 0=1 1=2
         W> in-use unit=2 | B> ok | T> status itt=1 good | W> in-use unit=2 | I> tur lun=1 | T> status sense=06/3f/0e
         W> serve 0=1 | W> vacated unit=2",
    );
    check(
        "I> in | W> serve 0=1 away=1 | W> vacated unit=2 | W> serve 0=1 1=2 | W> in-use unit=2 | I> tur lun=1
         T> status sense=06/29/00",
    );
}

#[test]
fn a_target_that_is_gone_asks_its_sessions_to_log_out() {
    check(&format!(
        "I> in | I2> in isid=2 | W> serve gone grace=5 | T> async event=1 seconds=5 | T2> async event=1
         I> tur | T> status good | I> logout itt=1 | T> logout itt=1 result=0 | T> closed | W> in-use unit=1
         W> pass s=4 | T2> open | W> pass s=2 | T2> closed | W> sessions n=0 | W> vacated unit=1 | W> vacated unit=2
         I> connect | I> login T csg=1 nsg=3 {NAMES} | T> login status=0203 | T> closed"
    ));
}

#[test]
fn who_is_no_longer_let_in_is_asked_once_to_log_out() {
    check(&format!(
        "I> in | I2> in isid=2 | W> serve 0=1 1=2 only=i2 grace=5 | T> async event=1 seconds=5 | W> pass s=3
         W> serve 0=1 1=2 only=i2 grace=5 | T> nothing | T2> nothing | W> pass s=3 | T> closed | W> sessions n=1
         I2> tur | T2> status good | I> connect | I> login T csg=1 nsg=3 {NAMES} | T> login status=0202
         W> serve 0=1 1=2 | I> in"
    ));
}

/// The sooner end counts, whoever wants it.
#[test]
fn who_was_asked_to_log_out_is_not_asked_again() {
    check(
        "I> in | W> serve gone grace=9 | T> async event=1 seconds=9 | W> shutdown s=2 | T> nothing | W> pass s=3 | T> closed",
    );
    check(
        "I> in | W> serve gone grace=2 | T> async event=1 seconds=2 | W> shutdown s=9 | T> nothing | W> pass s=3 | T> closed",
    );
}

#[test]
fn a_session_without_a_connection_is_not_asked() {
    let mut config = crate::config();
    config.targets.truncate(1);
    config.offer.time2retain = 30;
    check_with(
        config,
        "I> in | W> cut | W> sessions n=1 | W> serve 0=1 1=2 only=i2 | W> sessions n=0 | W> serve gone | W> vacated unit=1",
    );
}

#[test]
fn secrets_are_asked_of_new_logins() {
    check(&format!(
        "I> in | W> serve 0=1 1=2 secret=another-secret | I> tur | T> status good
         I2> connect | I2> login T csg=1 nsg=3 isid=7 {NAMES} | T2> login status=0201 | T2> closed"
    ));
}

/// What it proved is no longer what is asked for: it may try again.
#[test]
fn a_secret_that_changes_during_a_login() {
    let proves = format!(
        "W> serve 0=1 secret=the-first-secret | I> connect
         I> login csg=0 {NAMES} AuthMethod=CHAP | T> login AuthMethod=CHAP | I> login csg=0 CHAP_A=5 | T> login CHAP_A=5
         I> prove name=user secret=the-first-secret | T> login T csg=0 nsg=1 status=0000"
    );
    check(&format!(
        "{proves} | W> serve 0=1 secret=the-other-secret | I> login T csg=1 nsg=3 | T> login status=0301 | T> closed"
    ));
    check(&format!(
        "{proves} | W> serve 0=1 2=3 secret=the-first-secret | I> login T csg=1 nsg=3 | T> login T nsg=3 status=0000
         I> luns | T> data-in len=24"
    ));
}

#[test]
fn a_login_that_waits_is_judged_by_what_holds_when_its_turn_comes() {
    check(&format!(
        "I> in | B> hold | I> write itt=1 imm=512 | T> nothing | I2> connect | I2> login T csg=1 nsg=3 {NAMES}
         T2> nothing | T> closed | W> serve 0=1 1=2 only=i9 | B> ok | T2> login status=0202 | W> sessions n=0"
    ));
}

/// A discovery session that goes on is told the targets there are now.
#[test]
fn discovery_tells_what_there_is() {
    check(
        "I> connect | I> login T csg=1 nsg=3 InitiatorName=iqn.2026-01.org.example:i1 SessionType=Discovery | T> login T
         W> serve gone | I> text F SendTargets=All itt=1 | T> text itt=1 !TargetName",
    );
}

/// Whatever overtakes whatever: in the end the new configuration holds, and nothing is lost.
#[test]
fn a_login_at_the_same_time() {
    check(&format!(
        "I> connect | I> login T csg=1 nsg=3 {NAMES} | W> serve gone grace=5 at-once | W> pass s=30 | T> hush
         W> sessions n=0 | W> vacated unit=1 | W> vacated unit=2"
    ));
    check(&format!(
        "I> connect | I> login T csg=1 nsg=3 {NAMES} | W> serve 0=1 2=3 at-once | W> serve 0=1 2=4 at-once
         I> tur itt=7 lun=2 | T> hush | W> vacated unit=2 | W> vacated unit=3 | I> tur itt=8 lun=2 | T> hush
         I> read itt=9 lun=2 | T> data-in itt=9 S"
    ));
    check(&format!(
        "I> connect | I> login T csg=1 nsg=3 {NAMES} | W> serve 0=1 only=i2 at-once | W> serve 0=1 at-once
         W> serve 0=1 only=i2 at-once | W> pass s=30 | T> hush | W> sessions n=0 | W> vacated unit=2"
    ));
}

#[test]
fn commands_at_the_same_time() {
    check(
        "I> in | I2> in isid=2 | I> write itt=1 lun=1 imm=512 | W> serve 0=1 at-once | I2> read itt=2 lun=1 blocks=64
         W> serve 0=1 1=2 at-once | I> read itt=3 lun=1 | I> tmf lun-reset itt=4 lun=1 | W> serve 0=1 at-once
         I2> write itt=5 lun=1 blocks=256 | W> pass s=1 | T> hush | T2> hush | W> vacated unit=2 | W> in-use unit=1",
    );
    check(
        "I> in | I2> in isid=2 | B> hold | I> write itt=1 lun=1 imm=512 | W> serve 0=1 at-once | I2> read itt=2 lun=1
         W> serve 0=1 1=2 at-once | I> logout itt=3 | W> serve 0=1 at-once | B> go | W> pass s=1 | T> hush | T2> hush
         W> sessions n=1 | W> vacated unit=2",
    );
}
