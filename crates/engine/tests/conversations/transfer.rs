//! Reads and writes: the four modes, residuals, and what an initiator may do wrong.

use crate::{check, check_with, config};

#[test]
fn read() {
    check(
        "I> in MaxRecvDataSegmentLength=4096 MaxBurstLength=8192
         B> fill lba=100 blocks=4096 fill=9
         I> read itt=1 lba=100 blocks=8 | T> data-in itt=1 sn=0 off=0 len=4096 F S exact fill=9
         I> read itt=2 lba=100 blocks=20
         T> data-in sn=0 off=0 len=4096 !F | T> data-in sn=1 off=4096 len=4096 F !S
         T> data-in sn=2 off=8192 len=2048 F S fill=9
         I> read itt=3 blocks=0 edtl=0 | T> status itt=3 good exact pdus=0",
    );
}

#[test]
fn a_read_of_several_tickets() {
    check(
        "I> in MaxRecvDataSegmentLength=1048576 MaxBurstLength=1048576
         B> fill blocks=5000 fill=1 | B> hold | I> read itt=1 blocks=5000
         B> has tickets=1 | B> ok | T> data-in len=1048576 F !S fill=1
         B> ok | T> data-in off=1048576 F !S fill=1
         B> ok | T> data-in off=2097152 len=462848 F S fill=1 | B> has tickets=0",
    );
}

/// Immediate and unsolicited data in the four combinations of RFC 7143 4.2.5.2.
#[test]
fn write_in_four_modes() {
    for (r2t, immediate) in [("Yes", "Yes"), ("Yes", "No"), ("No", "Yes"), ("No", "No")] {
        let keys = format!(
            "InitialR2T={r2t} ImmediateData={immediate} FirstBurstLength=65536 MaxBurstLength=131072"
        );
        let imm = if immediate == "Yes" { 32 << 10 } else { 0 };
        let unsolicited = r2t == "No";
        let (flag, first) = if unsolicited {
            ("noF", 64 << 10)
        } else {
            ("", imm)
        };
        let mut script =
            format!("I> in {keys} | I> write itt=1 blocks=1024 imm={imm} {flag} fill=4\n");
        if unsolicited {
            let half = (first - imm) / 2;
            script += &format!(
                "I> data itt=1 off={imm} len={half} sn=0 fill=4 | I> data itt=1 off={} len={half} sn=1 F fill=4\n",
                imm + half
            );
        }
        let mut offset = first;
        while offset < 512 << 10 {
            let len = (128 << 10).min((512 << 10) - offset);
            script += &format!("T> r2t off={offset} len={len} | I> answer fill=4 seg=20000\n");
            offset += len;
        }
        check(&(script + "T> status itt=1 good exact | B> holds blocks=1024 fill=4"));
    }
}

#[test]
fn sizes_around_the_first_burst() {
    let keys = "InitialR2T=No ImmediateData=Yes FirstBurstLength=4096";
    check(&format!(
        "I> in {keys} | I> write itt=1 blocks=1 imm=512 fill=1 | T> status good exact
         I> write itt=2 blocks=7 imm=3584 fill=2 | T> status good
         I> write itt=3 blocks=8 imm=4096 fill=3 | T> status good
         I> write itt=4 blocks=9 imm=4096 fill=4 | T> r2t off=4096 len=512 | I> answer fill=4 | T> status good
         I> write itt=5 blocks=9 imm=512 noF fill=5 | I> data itt=5 off=512 len=3584 F fill=5
         T> r2t itt=5 off=4096 len=512 | I> answer fill=5 | T> status good | B> holds blocks=9 fill=5
         I> write itt=6 blocks=0 edtl=0 | T> status good exact"
    ));
}

#[test]
fn large_payloads_are_placed_where_they_belong() {
    check(
        "I> in InitialR2T=No FirstBurstLength=262144 MaxBurstLength=262144 DataDigest=CRC32C
         I> write itt=1 blocks=512 imm=65536 noF fill=1 | I> data itt=1 off=64k len=196608 F fill=1
         T> status good | B> holds blocks=512 fill=1
         I> write itt=2 blocks=4097 fill=2
         T> r2t off=0 len=262144 | I> answer fill=2 seg=256k | T> r2t | I> answer fill=2 seg=100000
         T> r2t | I> answer fill=2 seg=17000 | T> r2t | I> answer fill=2 seg=256k
         T> r2t off=1048576 | I> answer fill=2 seg=256k | T> r2t | I> answer fill=2 seg=256k
         T> r2t | I> answer fill=2 seg=256k | T> r2t | I> answer fill=2 seg=256k
         T> r2t off=2097152 len=512 | I> answer fill=2 | T> status itt=2 good exact
         B> holds blocks=4097 fill=2",
    );
}

#[test]
fn outstanding_r2ts() {
    check(
        "I> in MaxOutstandingR2T=3 MaxBurstLength=4096 | I> write itt=1 blocks=64 fill=6
         T> r2t sn=0 off=0 len=4096 | T> r2t sn=1 off=4096 | T> r2t sn=2 off=8192 | T> nothing
         I> answer fill=6 | T> r2t sn=3 off=12288 | T> nothing | W> cut",
    );
    check(
        "I> in MaxOutstandingR2T=1 MaxBurstLength=4096 | I> write itt=1 blocks=16 fill=6
         T> r2t sn=0 | T> nothing | I> answer fill=6 | T> r2t sn=1 | I> answer fill=6 | T> status good pdus=2",
    );
}

#[test]
fn residuals_of_reads() {
    check(
        "I> in | B> fill blocks=16 fill=3
         I> read itt=1 blocks=2 edtl=512 | T> data-in len=512 S O=512 fill=3
         I> read itt=2 blocks=2 edtl=700 | T> data-in len=700 S O=324 fill=3
         I> read itt=3 blocks=1 edtl=4096 | T> data-in len=512 S U=3584
         I> read itt=4 blocks=1 edtl=0 | T> status good O=512
         I> inquiry itt=5 edtl=16 | T> data-in len=16 S O=20
         I> inquiry itt=6 edtl=200 | T> data-in len=36 S U=164
         I> tur itt=7 | T> status good exact
         I> read lba=99999999 itt=8 blocks=1 | T> status check-condition sense=05/21/00 U=512",
    );
}

#[test]
fn residuals_of_writes() {
    check(
        "I> in | I> write itt=1 blocks=2 edtl=512 imm=512 fill=3 | T> status good O=512 | B> holds blocks=1 fill=3
         B> clean lba=1 blocks=1
         I> write itt=2 lba=8 blocks=1 edtl=1024 imm=1024 fill=3 | T> status good U=512
         B> holds lba=8 blocks=1 fill=3 | B> clean lba=9
         I> write itt=3 lba=16 blocks=2 edtl=700 imm=700 fill=3 | T> status good O=324
         B> holds lba=16 fill=3 | B> clean lba=17
         I> write itt=4 lba=24 blocks=1 edtl=0 | T> status good O=512 | B> clean lba=24",
    );
}

#[test]
fn luns() {
    check(
        "I> in | I> tur lun=5 itt=1 | T> status sense=05/25/00 | I> inquiry lun=5 itt=2 | T> data-in S
         I> write lun=1 itt=3 imm=512 fill=8 | T> status good | B> holds lun=1 fill=8 | B> clean lun=0",
    );
}

#[test]
fn immediate_data_that_was_not_negotiated() {
    check(
        "I> in ImmediateData=No InitialR2T=Yes | I> write itt=1 imm=512 | T> status sense=0b/0c/0c
         I> read itt=2 imm=512 | T> status sense=0b/0c/0c | B> clean",
    );
    check(
        "I> in FirstBurstLength=1024 | I> write itt=1 blocks=8 imm=1536 | T> status sense=0b/0c/0c | B> clean blocks=8",
    );
}

#[test]
fn unsolicited_data_that_was_not_negotiated_waits_for_the_r2ts() {
    check(
        "I> in InitialR2T=Yes | I> write itt=1 blocks=2 noF | T> r2t len=1024
         I> data itt=1 len=1024 F | T> nothing | I> answer | T> status sense=0b/0c/0c | B> clean blocks=2",
    );
}

/// The status waits for the last Data-Out (RFC 7143 11.4.2), whatever was wrong before it.
#[test]
fn wrong_data_out() {
    let write = "I> in MaxOutstandingR2T=1 | I> write itt=1 blocks=8 fill=1 | T> r2t len=4096";
    for (first, last, sense) in [
        // a gap in DataSN, one sent twice, in the wrong order
        (
            "ttt=last len=512 sn=1",
            "ttt=last off=512 len=3584 sn=2 F",
            "0b/4b/00",
        ),
        (
            "ttt=last len=512 sn=0",
            "ttt=last off=512 len=3584 sn=0 F",
            "0b/4b/00",
        ),
        (
            "ttt=last off=512 len=512 sn=0",
            "ttt=last off=1024 len=3072 sn=1 F",
            "0b/4b/00",
        ),
        // the same bytes twice
        (
            "ttt=last len=512 sn=0",
            "ttt=last off=0 len=512 sn=1 F",
            "0b/4b/00",
        ),
        // more than asked for, less than asked for
        (
            "ttt=last len=4608 sn=0",
            "ttt=last off=4608 len=0 sn=1 F",
            "0b/0c/0d",
        ),
        (
            "ttt=last len=512 sn=0",
            "ttt=last off=512 len=512 sn=1 F",
            "0b/0c/0d",
        ),
    ] {
        check(&format!(
            "{write} | I> data itt=1 {first} | T> nothing | I> data itt=1 {last}
             T> status itt=1 check-condition sense={sense} | B> clean blocks=8"
        ));
    }
}

#[test]
fn data_out_that_belongs_nowhere_is_rejected_and_harms_nobody() {
    check(
        "I> in | I> data itt=77 len=512 F | T> reject reason=09
         I> write itt=1 fill=1 | T> r2t
         I> data itt=1 ttt=0x777 len=512 F | T> reject reason=09 | T> nothing
         I> answer fill=1 | T> status itt=1 good
         B> hold | I> read itt=2 | I> data itt=2 len=512 F | T> reject reason=04 | B> ok | T> data-in S",
    );
}

#[test]
fn zero_length_data_out_is_tolerated() {
    check(
        "I> in | I> write itt=1 blocks=2 fill=1 | T> r2t | I> data itt=1 ttt=last len=0 sn=0
         I> data itt=1 ttt=last len=1024 sn=1 fill=1 | I> data itt=1 ttt=last off=1024 len=0 sn=2 F
         T> status itt=1 good",
    );
}

#[test]
fn interleaved_answers_to_parallel_writes() {
    // 1 is the first tag given out.
    check(
        "I> in | I> write itt=1 lba=0 blocks=2 fill=1 | T> r2t itt=1 | I> data itt=1 ttt=last len=512 fill=1
         I> write itt=2 lba=8 blocks=2 fill=2 | T> r2t itt=2 | I> answer fill=2 | T> status itt=2 good
         I> data itt=1 ttt=1 off=512 len=512 sn=1 F fill=1 | T> status itt=1 good
         B> holds lba=0 blocks=2 fill=1 | B> holds lba=8 blocks=2 fill=2",
    );
}

#[test]
fn status_after_unsolicited_data_of_a_command_that_fails_at_once() {
    check(
        "I> in InitialR2T=No | I> write itt=1 lba=99999999 noF | T> nothing
         I> data itt=1 len=512 F | T> status sense=05/21/00
         I> write lun=7 itt=2 noF | T> nothing | I> data itt=2 ttt=99 len=512 F | T> reject reason=09
         I> data itt=2 len=512 F | T> status sense=05/25/00",
    );
}

#[test]
fn tags_in_use_and_tags_that_are_none() {
    check(
        "I> in | I> write itt=1 fill=1 | T> r2t | I> write I itt=1 | T> reject reason=07
         I> answer fill=1 | T> status itt=1 good | I> tur I itt=none | T> reject reason=09",
    );
}

#[test]
fn additional_headers_and_both_directions() {
    check(
        "I> in | I> tur itt=1 ahs=2 | T> status sense=05/24/00 | I> scsi R W itt=2 | T> status sense=05/24/00",
    );
}

#[test]
fn an_objection_does_not_swallow_a_unit_attention() {
    check(
        "I> in ua ImmediateData=No | I> write itt=1 imm=512 | T> status sense=0b/0c/0c
         I> tur itt=2 | T> status sense=06/29/00 | I> tur itt=3 | T> status good",
    );
}

#[test]
fn storage_faults() {
    for (fault, read, write) in [
        (
            "read",
            "check-condition sense=03/11/00",
            "check-condition sense=03/0c/00",
        ),
        (
            "space",
            "check-condition sense=03/11/00",
            "check-condition sense=07/27/07",
        ),
        ("unreachable", "busy !sense", "busy !sense"),
    ] {
        check(&format!(
            "I> in | B> hold | I> read itt=1 blocks=8 | B> fail {fault} | T> status {read} U=4096
             I> write itt=2 blocks=8 imm=4096 fill=1 | B> fail {fault} | T> status {write} | B> clean"
        ));
    }
    check(
        "I> in | B> hold | I> sync itt=1 | B> fail flush | T> status sense=03/0c/00
         I> sync IMMED itt=2 | T> status itt=2 good | B> has tickets=1 | B> fail flush | T> nothing",
    );
}

#[test]
fn a_read_that_fails_after_data_was_sent() {
    check(
        "I> in MaxRecvDataSegmentLength=1048576 MaxBurstLength=1048576 | B> hold
         I> read itt=1 blocks=4096 | B> ok | T> data-in F !S len=1048576 | B> fail read
         T> status itt=1 sense=03/11/00 pdus=1 U=1048576",
    );
}

#[test]
fn a_write_whose_first_part_fails_waits_for_what_is_under_way() {
    check(
        "I> in MaxBurstLength=1048576 MaxOutstandingR2T=2 | B> hold | I> write itt=1 blocks=4096
         T> r2t off=0 len=1048576 | I> answer seg=256k | T> r2t off=1048576 | B> has tickets=1
         B> fail write | T> nothing | I> answer seg=256k | T> status sense=03/0c/00 | B> has tickets=0",
    );
}

#[test]
fn data_digest_errors() {
    // Data-Out: rejected, and the task fails once all its data has come (RFC 7143 7.8).
    check(
        "I> in DataDigest=CRC32C | I> write itt=1 blocks=2 | T> r2t
         I> data itt=1 ttt=last len=512 | I> spoil | T> reject reason=02 | T> nothing
         I> data itt=1 ttt=last off=512 len=512 sn=1 F | T> status sense=0b/47/05 | B> clean blocks=2",
    );
    // A command: it was never received, and nor is what follows it.
    check(
        "I> in DataDigest=CRC32C InitialR2T=No | I> write itt=1 sn=3 blocks=2 imm=512 noF | I> spoil
         I> data itt=1 off=512 len=512 F | T> reject reason=02 exp=3 | T> nothing
         I> write itt=2 sn=3 blocks=2 imm=1024 | T> status itt=2 good",
    );
    check(
        "I> in DataDigest=CRC32C | I> nop itt=1 len=20 | I> spoil | T> reject reason=02 | I> nop itt=2 | T> nop-in itt=2",
    );
    check(
        "I> in DataDigest=CRC32C | I> data itt=9 len=512 F | I> spoil | T> reject reason=02 | T> nothing",
    );
    check("I> in HeaderDigest=CRC32C | I> nop itt=1 | I> spoil | T> closed | W> sessions n=0");
}

#[test]
fn large_data_with_a_bad_digest() {
    check(
        "I> in DataDigest=CRC32C | I> write itt=1 blocks=128 | T> r2t len=65536
         I> data itt=1 ttt=last len=64k F | I> spoil | T> reject reason=02 | T> status sense=0b/47/05",
    );
}

#[test]
fn reads_wait_for_memory_and_go_on() {
    let mut config = config();
    config.session_memory_bytes = 2 << 20;
    check_with(
        config.clone(),
        "I> in MaxRecvDataSegmentLength=1048576 MaxBurstLength=1048576 | B> fill blocks=2048 fill=1 | W> unread
         I> read itt=1 blocks=2048 | I> read itt=2 blocks=2048 | I> read itt=3 blocks=2048 | I> read itt=4 blocks=8
         W> pass s=1 | T> nothing | W> reads
         T> data-in itt=1 S fill=1 | T> data-in itt=2 S fill=1 | T> data-in itt=3 S fill=1 | T> data-in itt=4 S",
    );
    // What was not read when the connection went comes back too.
    check_with(
        config,
        "I> in | W> unread | I> read itt=1 blocks=2048 | I> read itt=2 blocks=2048 | W> pass s=1 | W> cut",
    );
}

/// Memory that comes back from storage, not from the socket, feeds those who wait as well.
#[test]
fn writes_wait_for_memory_and_go_on() {
    let mut config = config();
    config.session_memory_bytes = 1 << 20;
    check_with(
        config,
        "I> in MaxBurstLength=1048576 | B> hold | I> write itt=1 blocks=2048 fill=1 | T> r2t itt=1
         I> write itt=2 lba=2048 blocks=2048 fill=2 | I> write itt=3 lba=4096 blocks=2048 fill=3 | T> nothing
         I> answer fill=1 seg=256k | T> nothing | B> ok | T> status itt=1 good
         T> r2t itt=2 | I> answer fill=2 seg=256k | B> ok | T> status itt=2 good
         T> r2t itt=3 | I> answer fill=3 seg=256k | B> ok | T> status itt=3 good
         B> holds lba=4096 blocks=2048 fill=3",
    );
}

#[test]
fn unsolicited_writes_without_memory_find_the_task_set_full() {
    let mut config = config();
    config.session_memory_bytes = 1 << 20;
    check_with(
        config,
        "I> in InitialR2T=No MaxRecvDataSegmentLength=1048576 MaxBurstLength=1048576 | B> hold
         I> read itt=1 blocks=2048 | B> has tickets=1
         I> write itt=2 imm=512 | T> status itt=2 task-set-full
         I> write itt=3 blocks=2 noF imm=512 | T> nothing
         I> data itt=3 off=512 len=512 F | T> status itt=3 task-set-full | B> ok | T> data-in itt=1 S",
    );
}

#[test]
fn a_write_that_fails_waits_for_its_other_tickets() {
    check(
        "I> in MaxBurstLength=1048576 MaxOutstandingR2T=2 | B> hold | I> write itt=1 blocks=4096
         T> r2t off=0 len=1048576 | I> answer seg=256k | T> r2t off=1048576 | I> answer seg=256k
         B> has tickets=2 | B> fail write | T> nothing | B> ok | T> status itt=1 sense=03/0c/00",
    );
}

#[test]
fn no_r2t_asks_for_more_than_one_ticket_takes() {
    check(
        "I> in InitialR2T=No FirstBurstLength=65536 MaxBurstLength=1048576
         I> write itt=1 blocks=4096 imm=512 noF fill=5 | I> data itt=1 off=512 len=65024 F fill=5
         T> r2t off=65536 len=983040 | I> answer fill=5 | T> r2t off=1048576 len=1048576 | I> answer fill=5
         T> status itt=1 good | B> holds blocks=4096 fill=5",
    );
}
