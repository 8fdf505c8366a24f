//! Data to the initiator, and what a read comes to.

use super::*;

#[test]
fn an_honest_read_in_two_sequences_is_silent() {
    let mut scene = Scene::reading(3000);
    for (data_sn, len, is_final) in [(0, 1024, false), (1, 1024, true), (2, 952, true)] {
        let buffer_offset = data_sn * 1024;
        let pdu = DataIn {
            is_final,
            data_sn,
            buffer_offset,
            ..data_in()
        };
        assert_eq!(scene.hear(pdu, &vec![0; len]), []);
    }
    assert_eq!(
        scene.hear(
            ScsiResponse {
                exp_data_sn: 3,
                ..response()
            },
            b""
        ),
        []
    );
}

#[test]
fn data_sn_counts_from_zero() {
    let mut scene = Scene::reading(512);
    let wrong = DataIn {
        data_sn: 1,
        ..data_in()
    };
    assert_eq!(scene.clauses(wrong, &[0; 512]), ["RFC 7143 11.7.5"]);
}

#[test]
fn data_in_leaves_no_gap_no_overlap_and_stays_inside() {
    let mut scene = Scene::reading(2048);
    assert_eq!(scene.hear(data_in(), &[0; 512]), []);
    for buffer_offset in [0, 1024] {
        let mut scene = Scene::reading(2048);
        scene.hear(data_in(), &[0; 512]);
        let wrong = DataIn {
            data_sn: 1,
            buffer_offset,
            ..data_in()
        };
        assert_eq!(scene.clauses(wrong, &[0; 512]), ["RFC 7143 11.7.6"]);
    }
    let mut scene = Scene::reading(500);
    assert_eq!(scene.clauses(data_in(), &[0; 512]), ["RFC 7143 11.7.6"]);
}

#[test]
fn data_in_keeps_to_the_segment_and_burst_limits() {
    let mut scene = Scene::reading(2048);
    assert_eq!(scene.clauses(data_in(), &[0; 1025]), ["RFC 7143 13.12"]);
    let mut scene = Scene::reading(4096);
    let piece = |n| DataIn {
        data_sn: n,
        buffer_offset: n * 1024,
        is_final: false,
        ..data_in()
    };
    assert_eq!(scene.hear(piece(0), &[0; 1024]), []);
    assert_eq!(scene.hear(piece(1), &[0; 1024]), []);
    assert_eq!(scene.clauses(piece(2), &[0; 1024]), ["RFC 7143 13.13"]);
}

#[test]
fn data_in_reserves_what_it_does_not_use() {
    let mut scene = Scene::reading(512);
    let tagged = DataIn {
        ttt: Ttt(5),
        lun: LUN,
        ..data_in()
    };
    assert_eq!(scene.clauses(tagged, &[0; 512]), ["RFC 7143 11.7.4"]);
    let mut scene = Scene::reading(512);
    let with_lun = DataIn {
        lun: LUN,
        ..data_in()
    };
    assert_eq!(scene.clauses(with_lun, &[0; 512]), ["RFC 7143 11.7.4"]);
    let mut scene = Scene::reading(512);
    let acknowledge = DataIn {
        acknowledge: true,
        ttt: Ttt(5),
        lun: LUN,
        ..data_in()
    };
    assert_eq!(scene.clauses(acknowledge, &[0; 512]), ["RFC 7143 11.7.2"]);
    let mut scene = Scene::reading(512);
    let other_lun = DataIn {
        acknowledge: true,
        ttt: Ttt(5),
        lun: Lun(9),
        ..data_in()
    };
    let clauses = scene.clauses(other_lun, &[0; 512]);
    assert_eq!(clauses, ["RFC 7143 11.7.4", "RFC 7143 11.7.2"]);
}

#[test]
fn status_with_data_needs_the_f_bit_and_no_sense() {
    let mut scene = Scene::reading(512);
    let not_final = DataIn {
        is_final: false,
        ..last_data_in()
    };
    assert_eq!(scene.clauses(not_final, &[0; 512]), ["RFC 7143 11.7.3"]);
    let mut scene = Scene::reading(512);
    let check_condition = DataIn {
        status: 0x02,
        ..last_data_in()
    };
    assert_eq!(
        scene.clauses(check_condition, &[0; 512]),
        ["RFC 7143 11.7.3"]
    );
    let mut scene = Scene::new();
    scene.send(
        ScsiCommand {
            read: true,
            write: true,
            edtl: 512,
            ..command(1)
        },
        b"",
    );
    assert_eq!(
        scene.clauses(last_data_in(), &[0; 512]),
        ["RFC 7143 11.7.3"]
    );
}

#[test]
fn residuals_of_a_good_read_add_up() {
    let short = |underflow, residual| DataIn {
        underflow,
        residual,
        ..last_data_in()
    };
    assert_eq!(Scene::reading(1000).hear(short(true, 488), &[0; 512]), []);
    for (underflow, residual) in [(false, 0), (true, 487), (true, 1001)] {
        let clauses = Scene::reading(1000).clauses(short(underflow, residual), &[0; 512]);
        assert_eq!(clauses, ["RFC 7143 11.4.5"], "U={underflow} {residual}");
    }
    let overflow = DataIn {
        overflow: true,
        residual: 100,
        ..last_data_in()
    };
    assert_eq!(Scene::reading(512).hear(overflow, &[0; 512]), []);
    assert_eq!(
        Scene::reading(513).clauses(overflow, &[0; 512]),
        ["RFC 7143 11.4.5"]
    );
    let both = DataIn {
        overflow: true,
        ..short(true, 488)
    };
    assert_eq!(
        Scene::reading(1000).clauses(both, &[0; 512]),
        ["RFC 7143 11.4.5"]
    );
    let nothing = ScsiResponse {
        status: 0x02,
        ..response()
    };
    assert_eq!(
        Scene::reading(512).hear(nothing, b""),
        [],
        "an error explains itself"
    );
    let write = ScsiResponse {
        underflow: true,
        residual: 513,
        ..response()
    };
    assert_eq!(Scene::writing(512).clauses(write, b""), ["RFC 7143 11.4.5"]);
}

#[test]
fn exp_data_sn_is_the_number_of_data_in_pdus() {
    let mut scene = Scene::reading(512);
    scene.hear(data_in(), &[0; 512]);
    assert_eq!(scene.clauses(response(), b""), ["RFC 7143 11.4.8"]);
}
