//! From the first byte to full feature phase: stages, keys, CHAP, refusals.

use crate::{check, check_with, config};

const NAMES: &str =
    "InitiatorName=iqn.2026-01.org.example:i1 TargetName=iqn.2026-01.org.example:disk";
const LOCKED: &str =
    "InitiatorName=iqn.2026-01.org.example:i1 TargetName=iqn.2026-01.org.example:locked";

#[test]
fn operational_only() {
    check(&format!(
        "I> connect | I> login T csg=1 nsg=3 itt=7 {NAMES} MaxBurstLength=4194304 InitialR2T=No
         T> login itt=7 T csg=1 nsg=3 tsih=1 status=0000 exp=1 max=128 TargetPortalGroupTag=1 \
            MaxBurstLength=1048576 InitialR2T=No MaxRecvDataSegmentLength=262144
         I> tur | T> status sense=06/29/00"
    ));
}

#[test]
fn security_then_operational() {
    check(&format!(
        "I> connect | I> login T csg=0 nsg=1 {NAMES} AuthMethod=CHAP,None
         T> login T csg=0 nsg=1 tsih=0 status=0000 AuthMethod=None TargetPortalGroupTag=1
         I> login T csg=1 nsg=3 HeaderDigest=CRC32C,None InitiatorAlias=me
         T> login T nsg=3 tsih=1 HeaderDigest=CRC32C !TargetPortalGroupTag
         I> tur | T> status sense=06/29/00"
    ));
}

#[test]
fn security_straight_to_full_feature() {
    check(&format!(
        "I> connect | I> login T csg=0 nsg=3 {NAMES} AuthMethod=None
         T> login T csg=0 nsg=3 tsih=1 status=0000 | I> tur | T> status sense=06/29/00"
    ));
}

#[test]
fn the_target_waits_for_the_initiator_to_ask_for_the_next_stage() {
    check(&format!(
        "I> connect | I> login csg=1 nsg=0 {NAMES} | T> login !T csg=1 status=0000
         I> login csg=1 ImmediateData=Yes | T> login !T ImmediateData=Yes
         I> login T csg=1 nsg=3 | T> login T nsg=3 tsih=1"
    ));
}

#[test]
fn text_split_anywhere_and_answered_by_nothing_meanwhile() {
    check(
        "I> connect | I> login C csg=1 raw=InitiatorName=iqn.2026-01.org.example:i1~Targ
         T> login !T !C status=0000 tsih=0
         I> login C csg=1 raw=etName=iqn.2026-01.org.exam | T> login status=0000
         I> login T csg=1 nsg=3 raw=ple:disk~ImmediateData=No~ | T> login T tsih=1 ImmediateData=No",
    );
}

#[test]
fn as_much_text_as_a_receiver_must_take_and_no_more() {
    let name = "InitiatorName=iqn.2026-01.org.example:i1~TargetName=iqn.2026-01.org.example:disk~";
    let filler = "X-a=".to_owned() + &"y".repeat(250) + "~";
    let long = name.to_owned() + &filler.repeat((8192 - name.len()) / filler.len());
    let rest = 8192 - long.len();
    let (first, second) = long.split_at(5000);
    let padded = |text: &str, nuls: usize| format!("{text}{}", "~".repeat(nuls));
    check(&format!(
        "I> connect | I> login C csg=1 raw={first} | T> login status=0000
         I> login csg=1 raw={} | T> login !T status=0000",
        padded(second, rest)
    ));
    check(&format!(
        "I> connect | I> login C csg=1 raw={first} | T> login status=0000
         I> login csg=1 raw={} | T> login status=0200 | T> closed",
        padded(second, rest + 1)
    ));
}

#[test]
fn refusals_say_why_and_close() {
    for (line, status) in [
        ("T csg=1 nsg=3", "0207"),
        (
            "T csg=1 nsg=3 InitiatorName=iqn.2026-01.org.example:i1",
            "0207",
        ),
        (
            "T csg=1 nsg=3 InitiatorName=nonsense TargetName=iqn.2026-01.org.example:disk",
            "0200",
        ),
        (
            "T csg=1 nsg=3 InitiatorName=iqn.2026-01.org.example:i1 TargetName=iqn.2026-01.org.example:none",
            "0203",
        ),
        (
            "T csg=1 nsg=3 InitiatorName=iqn.2026-01.org.example:i1 TargetName=iqn.2026-01.org.example:private",
            "0202",
        ),
        (
            "T csg=1 nsg=3 InitiatorName=iqn.2026-01.org.example:i1 SessionType=Odd",
            "0209",
        ),
        (
            "T csg=1 nsg=3 tsih=77 InitiatorName=iqn.2026-01.org.example:i1 TargetName=iqn.2026-01.org.example:disk",
            "020a",
        ),
        ("T csg=2 nsg=3", "0200"),
        ("T csg=1 nsg=0", "0200"),
        ("T csg=1 nsg=1", "0200"),
        ("T C csg=1 nsg=3", "0200"),
        ("T csg=1 nsg=3 vmin=1", "0205"),
        ("csg=1 raw=novalue~", "0200"),
        (
            "T csg=1 nsg=3 InitiatorName=iqn.2026-01.org.example:i1 InitiatorName=iqn.2026-01.org.example:i2",
            "0200",
        ),
    ] {
        check(&format!(
            "I> connect | I> login {line} | T> login !T status={status} | T> closed | W> sessions n=0"
        ));
    }
}

#[test]
fn a_later_request_must_fit_the_first() {
    for line in [
        "itt=2 csg=1",
        "isid=9 csg=1",
        "cid=5 csg=1",
        "tsih=3 csg=1",
        "csg=0",
        "csg=1 TargetName=x",
    ] {
        check(&format!(
            "I> connect | I> login itt=1 csg=1 {NAMES} | T> login status=0000
             I> login {line} | T> login status=0200 | T> closed"
        ));
    }
}

#[test]
fn keys_twice_and_keys_nobody_knows() {
    check(&format!(
        "I> connect | I> login csg=1 {NAMES} X-org.example.odd=1 | T> login X-org.example.odd=NotUnderstood
         I> login csg=1 MaxBurstLength=65536 | T> login MaxBurstLength=65536
         I> login T csg=1 nsg=3 MaxBurstLength=65536 | T> login status=0200 | T> closed"
    ));
}

#[test]
fn nothing_but_login_before_and_during_login() {
    check("I> connect | I> nop itt=1 | T> closed");
    check("I> connect | I> pdu op=0x3f len=40 | T> closed");
    check(&format!(
        "I> connect | I> login csg=1 {NAMES} | T> login status=0000
         I> nop itt=1 | T> login status=020b | T> closed"
    ));
}

#[test]
fn a_login_that_stalls_is_dropped() {
    check(&format!(
        "I> connect | I> login csg=1 {NAMES} | T> login status=0000
         W> pass s=14 | T> open | W> pass s=2 | T> closed | W> sessions n=0"
    ));
    let endless = format!("I> connect | I> login csg=1 {NAMES} | T> login status=0000\n")
        + &"I> login csg=1 | T> login status=0000\n".repeat(31)
        + "I> login csg=1 | T> login status=0200 | T> closed";
    check(&endless);
}

#[test]
fn offers_beyond_what_the_engine_keeps_are_cut() {
    let mut config = config();
    config.offer.first_burst = 16 << 20;
    config.offer.max_burst = 16 << 20;
    config.offer.erl = 2;
    config.offer.max_connections = 4;
    config.queue_depth = 0;
    check_with(
        config,
        &format!(
            "I> connect | I> login T csg=1 nsg=3 {NAMES} MaxBurstLength=16777215 \
                FirstBurstLength=16777215 ErrorRecoveryLevel=2 MaxConnections=8 InitialR2T=No
             T> login T max=1 FirstBurstLength=1048576 ErrorRecoveryLevel=0 MaxConnections=1
             I> tur | T> status sense=06/29/00
             I> write itt=5 blocks=4096 noF fill=3
             I> data itt=5 len=128k sn=0 fill=3 | I> data itt=5 off=128k len=128k sn=1 fill=3
             I> data itt=5 off=256k len=256k sn=2 fill=3 | I> data itt=5 off=512k len=256k sn=3 fill=3
             I> data itt=5 off=768k len=256k sn=4 fill=3 F
             T> r2t itt=5 off=1048576 len=1048576 | I> answer fill=3 seg=256k
             T> status itt=5 good exact | B> holds blocks=4096 fill=3"
        ),
    );
}

#[test]
fn chap() {
    check(&format!(
        "I> connect | I> login csg=0 {LOCKED} AuthMethod=CHAP,None | T> login !T AuthMethod=CHAP
         I> login csg=0 CHAP_A=7,5 | T> login CHAP_A=7
         I> prove name=user secret=the_user's_secret | T> login T csg=0 nsg=1 status=0000
         I> login T csg=1 nsg=3 | T> login T tsih=1 | I> tur | T> status sense=06/29/00"
    ));
}

#[test]
fn mutual_chap() {
    check(&format!(
        "I> connect | I> login csg=0 {LOCKED} AuthMethod=CHAP | T> login AuthMethod=CHAP
         I> login csg=0 CHAP_A=5 | T> login CHAP_A=5
         I> prove name=user secret=the_user's_secret challenge=0x00112233445566778899aabbccddeeff
         T> login T CHAP_N=target status=0000 CHAP_R={}",
        iscsi::keys::binary::encode_hex(&iscsi::chap::response(
            iscsi::chap::Algorithm::MD5,
            9,
            b"the target's secret",
            &[
                0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
                0xee, 0xff
            ],
        ))
    ));
}

#[test]
fn chap_refused() {
    let start = format!(
        "I> connect | I> login csg=0 {LOCKED} AuthMethod=CHAP | T> login AuthMethod=CHAP
         I> login csg=0 CHAP_A=5 | T> login CHAP_A=5"
    );
    let refused = |status| format!("T> login status={status} | T> closed | W> sessions n=0");
    // RFC 7143 12.1: authentication failure is for wrong proofs, not for wrong keys.
    for (line, status) in [
        ("prove name=user secret=wrong", "0201"),
        ("prove name=nobody secret=the_user's_secret", "0201"),
        (
            "prove name=user secret=the_user's_secret challenge=reflected",
            "0201",
        ),
        (
            "prove name=user secret=the_user's_secret challenge=nonsense",
            "0200",
        ),
        ("login csg=0 CHAP_N=user", "0207"),
        ("login csg=0 CHAP_R=0x00", "0207"),
        ("login csg=0 CHAP_A=5", "0200"),
        ("login csg=0 CHAP_N=user CHAP_R=0x00 CHAP_I=1", "0201"),
        ("login csg=0", "0207"),
    ] {
        check(&format!("{start} | I> {line} | {}", refused(status)));
    }
    for (keys, status) in [
        ("CHAP_A=56", "0201"),
        ("CHAP_A=", "0201"),
        ("CHAP_A=1,2,junk", "0201"),
        ("CHAP_N=user", "0200"),
    ] {
        check(&format!(
            "I> connect | I> login csg=0 {LOCKED} AuthMethod=CHAP | T> login AuthMethod=CHAP
             I> login csg=0 {keys} | {}",
            refused(status)
        ));
    }
}

#[test]
fn authentication_cannot_be_skipped() {
    let refused = "T> login status=0201 | T> closed | W> sessions n=0";
    check(&format!(
        "I> connect | I> login T csg=1 nsg=3 {LOCKED} | {refused}"
    ));
    check(&format!(
        "I> connect | I> login T csg=0 nsg=1 {LOCKED} AuthMethod=None | {refused}"
    ));
    check(&format!(
        "I> connect | I> login T csg=0 nsg=3 {LOCKED} | T> login !T status=0000
         I> login T csg=1 nsg=3 | T> login status=0200 | T> closed"
    ));
}

#[test]
fn no_more_sessions_than_the_node_has_room_for() {
    let mut config = config();
    config.sessions_max = 1;
    check_with(
        config,
        &format!(
            "I> in | I2> connect
         I2> login T csg=1 nsg=3 InitiatorName=iqn.2026-01.org.example:i2 TargetName={}
         T2> login status=0302 | T2> closed | W> sessions n=1",
            crate::play::DISK
        ),
    );
}
