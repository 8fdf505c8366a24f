//! Data to the target.

use super::*;

#[test]
fn an_honest_write_with_immediate_data_and_two_r2ts_is_silent() {
    let mut scene = Scene::new();
    scene.send(
        ScsiCommand {
            write: true,
            edtl: 4608,
            ..command(1)
        },
        &[0; 512],
    );
    assert_eq!(
        scene.hear(
            R2t {
                buffer_offset: 512,
                ..r2t()
            },
            b""
        ),
        []
    );
    let second = R2t {
        buffer_offset: 2560,
        ttt: Ttt(8),
        r2t_sn: 1,
        ..r2t()
    };
    assert_eq!(scene.hear(second, b""), []);
    assert_eq!(scene.hear(response(), b""), []);
}

#[test]
fn data_goes_only_where_the_command_said() {
    let mut scene = Scene::writing(512);
    assert_eq!(scene.clauses(data_in(), &[0; 512]), ["RFC 7143 11.7"]);
    let mut scene = Scene::reading(512);
    assert_eq!(scene.clauses(r2t(), b""), ["RFC 7143 11.8"]);
}

#[test]
fn data_that_was_not_allowed_may_be_asked_for_again() {
    let mut scene = Scene::new();
    let write = ScsiCommand {
        write: true,
        edtl: 100_000,
        is_final: true,
        ..command(1)
    };
    // FirstBurstLength is 65536 where nothing else was agreed on.
    scene.send(write, &vec![0; 65537]);
    assert_eq!(scene.hear(r2t(), b""), []);
}

#[test]
fn r2ts_are_numbered_tagged_and_addressed() {
    let cases = [
        (R2t { r2t_sn: 1, ..r2t() }, "RFC 7143 11.8.1"),
        (
            R2t {
                ttt: Ttt::RESERVED,
                ..r2t()
            },
            "RFC 7143 11.8.5",
        ),
        (
            R2t {
                lun: Lun(0),
                ..r2t()
            },
            "RFC 7143 11.8.5",
        ),
        (
            R2t {
                desired_len: 0,
                ..r2t()
            },
            "RFC 7143 11.8.4",
        ),
        (
            R2t {
                desired_len: 2049,
                ..r2t()
            },
            "RFC 7143 11.8.4",
        ),
        (
            R2t {
                buffer_offset: 512,
                ..r2t()
            },
            "RFC 7143 11.8",
        ),
    ];
    for (wrong, clause) in cases {
        assert_eq!(
            Scene::writing(8192).clauses(wrong, b""),
            [clause],
            "{wrong:?}"
        );
    }
    assert_eq!(
        Scene::writing(2047).clauses(r2t(), b""),
        ["RFC 7143 11.8.4"]
    );
}

#[test]
fn r2ts_follow_each_other_and_the_unsolicited_data() {
    let mut scene = Scene::writing(8192);
    assert_eq!(scene.hear(r2t(), b""), []);
    let gap = R2t {
        r2t_sn: 1,
        ttt: Ttt(8),
        buffer_offset: 4096,
        ..r2t()
    };
    assert_eq!(scene.clauses(gap, b""), ["RFC 7143 11.8"]);

    let unsolicited = DataOut {
        is_final: true,
        lun: Lun(0),
        itt: Itt(1),
        ttt: Ttt::RESERVED,
        exp_stat_sn: Serial(101),
        data_sn: 0,
        buffer_offset: 512,
    };
    for (buffer_offset, clauses) in [(1024, vec![]), (512, vec!["RFC 7143 11.8"])] {
        let mut scene = Scene::new();
        let write = ScsiCommand {
            write: true,
            edtl: 8192,
            is_final: false,
            ..command(1)
        };
        scene.send(write, &[0; 512]);
        scene.send(unsolicited, &[0; 512]);
        assert_eq!(
            scene.clauses(
                R2t {
                    buffer_offset,
                    ..r2t()
                },
                b""
            ),
            clauses
        );
    }
}

#[test]
fn no_more_r2ts_are_outstanding_than_agreed() {
    let r2t = |n: u32| R2t {
        r2t_sn: n,
        ttt: Ttt(n),
        buffer_offset: n * 1024,
        desired_len: 1024,
        ..r2t()
    };
    let mut scene = Scene::writing(8192);
    assert_eq!(scene.hear(r2t(0), b""), []);
    assert_eq!(scene.hear(r2t(1), b""), []);
    scene.send(
        DataOut {
            is_final: true,
            lun: LUN,
            itt: Itt(1),
            ttt: Ttt(0),
            exp_stat_sn: Serial(101),
            data_sn: 0,
            buffer_offset: 0,
        },
        &[0; 1024],
    );
    assert_eq!(scene.hear(r2t(2), b""), [], "the first was fulfilled");
    assert_eq!(scene.clauses(r2t(3), b""), ["RFC 7143 13.17"]);
}
