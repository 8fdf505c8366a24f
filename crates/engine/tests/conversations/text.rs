//! Discovery sessions and text in full feature phase.

use iscsi::IscsiName;

use crate::{check, check_with, config};

const DISCOVERY: &str = "I> connect
    I> login T csg=1 nsg=3 InitiatorName=iqn.2026-01.org.example:i1 SessionType=Discovery
    T> login T nsg=3 status=0000\n";

#[test]
fn send_targets() {
    check(&format!(
        "{DISCOVERY} I> text F itt=1 SendTargets=All
         T> text itt=1 F ttt=none TargetName=iqn.2026-01.org.example:disk \
            TargetName=iqn.2026-01.org.example:locked TargetAddress=192.0.2.1:3260,1 \
            !TargetName=iqn.2026-01.org.example:private
         I> text F itt=2 SendTargets=iqn.2026-01.org.example:locked
         T> text F TargetName=iqn.2026-01.org.example:locked !TargetName=iqn.2026-01.org.example:disk
         I> text F itt=3 SendTargets=iqn.2026-01.org.example:private | T> text F len=0
         I> logout itt=4 | T> logout itt=4 result=0 | T> closed | W> sessions n=0"
    ));
}

#[test]
fn a_normal_session_sees_itself() {
    check(
        "I> in | I> text F itt=1 SendTargets=
         T> text F TargetName=iqn.2026-01.org.example:disk !TargetName=iqn.2026-01.org.example:locked
         I> text F I itt=2 SendTargets=All | T> reject reason=04
         I> text F itt=3 SendTargets=iqn.2026-01.org.example:locked | T> text F len=0",
    );
}

#[test]
fn a_long_answer_comes_in_parts() {
    let mut config = config();
    let disk = config.targets[0].clone();
    for number in 0..20 {
        let mut target = disk.clone();
        target.name =
            IscsiName::parse(&format!("iqn.2026-01.org.example:disk{number:02}")).unwrap();
        config.targets.push(target);
    }
    // 22 targets of 47 or 49 and 34 bytes.
    check_with(
        config,
        "I> connect
         I> login T csg=1 nsg=3 InitiatorName=iqn.2026-01.org.example:i1 SessionType=Discovery \
            MaxRecvDataSegmentLength=512
         T> login T status=0000
         I> text F itt=1 SendTargets=All | T> text !F C ttt=some len=512
         I> text F itt=1 ttt=last | T> text !F C len=512
         I> text F itt=1 ttt=last | T> text !F C len=512
         I> text F itt=1 ttt=last | T> text F !C ttt=none",
    );
}

#[test]
fn a_request_in_parts_is_answered_at_its_end() {
    check(
        "I> in | I> text C itt=1 raw=SendTar | T> text !F !C ttt=some len=0
         I> text F itt=1 ttt=last raw=gets=~ | T> text F ttt=none TargetName=iqn.2026-01.org.example:disk",
    );
}

#[test]
fn without_f_there_is_no_f() {
    check(
        "I> in | I> text itt=1 MaxRecvDataSegmentLength=4096 | T> text !F ttt=some len=0
         I> text F itt=1 ttt=last | T> text F ttt=none len=0",
    );
}

#[test]
fn negotiated_once() {
    check(
        "I> in | I> text itt=1 X-a=1 MaxRecvDataSegmentLength=4096 | T> text !F ttt=some
         I> text I F itt=1 ttt=last MaxRecvDataSegmentLength=8192 | T> reject reason=04",
    );
}

#[test]
fn a_segment_length_holds_at_once_and_only_if_the_text_succeeds() {
    let read = "I> read itt=9 blocks=8 | T> data-in itt=9";
    check(&format!(
        "I> in MaxRecvDataSegmentLength=2048 | {read} len=2048 | T> data-in len=2048 S
         I> text F itt=1 MaxRecvDataSegmentLength=1024 | T> text F len=0
         {read} len=1024 | T> data-in | T> data-in | T> data-in S
         I> text I F itt=2 MaxRecvDataSegmentLength=512 ErrorRecoveryLevel=0 | T> reject reason=04
         {read} len=1024 | T> data-in | T> data-in | T> data-in S
         I> text F itt=3 MaxRecvDataSegmentLength=5 | T> text MaxRecvDataSegmentLength=Reject
         {read} len=1024 | T> data-in | T> data-in | T> data-in S"
    ));
}

#[test]
fn one_text_task_at_a_time_and_its_tag() {
    check(
        "I> in | I> text itt=1 X-a=1 | T> text !F X-a=NotUnderstood
         I> text I F itt=2 X-a=1 | T> reject reason=04
         I> text I F itt=1 ttt=77 X-a=1 | T> reject reason=04
         I> text F itt=1 X-a=1 | T> text F X-a=NotUnderstood
         I> text I F C itt=3 | T> reject reason=04
         I> text F itt=4 InitiatorAlias=me | T> text F len=0
         I> text I F itt=5 raw=novalue~ | T> reject reason=04
         I> text I F itt=6 TargetName=x | T> reject reason=04",
    );
}

#[test]
fn a_discovery_session_takes_text_and_logout_only() {
    check(&format!(
        "{DISCOVERY} I> tur I | T> reject reason=04 | I> nop itt=1 | T> reject reason=04
         I> tmf lun-reset | T> reject reason=04 | I> snack | T> reject reason=03
         I> write I noF itt=5 | T> reject reason=04 | I> data itt=5 len=512 F | T> nothing
         I> text F itt=2 MaxConnections=2 | T> text MaxConnections=Irrelevant
         I> text I F itt=3 HeaderDigest=CRC32C | T> reject reason=04
         I> logout reason=1 itt=6 | T> logout result=2 | T> open
         I> logout itt=7 | T> logout result=0 | T> closed"
    ));
}

#[test]
fn a_rejected_command_leaves_its_number_open() {
    check(
        "I> in | I> text F itt=1 sn=3 raw=novalue~ | T> reject reason=04 exp=3
         I> tur itt=2 sn=4 | T> nothing | I> tur itt=3 sn=3 | T> status itt=3 good | T> status itt=2 good",
    );
}
