use std::collections::BTreeSet;

use iscsi::{Framer, Isid, Opcode, Request, Serial, Tsih};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::generate::{Context, Generator, Kind, Sample};
use super::violation::{FULL_FEATURE, LOGIN};

fn context(logged_in: bool) -> Context {
    Context {
        logged_in,
        initiator: "iqn.i".to_owned(),
        target: "iqn.t".to_owned(),
        isid: Isid([0; 6]),
        tsih: Tsih(0),
        cmd_sn: Serial(1),
        exp_stat_sn: Serial(1),
        ttt: None,
        r2t_itt: None,
        max_data_segment: 8192,
    }
}

fn samples(seed: u64, lane: u32, logged_in: bool, count: usize) -> Vec<Sample> {
    let mut context = context(logged_in);
    let mut generator = Generator::new(seed, lane);
    (0..count).map(|_| generator.sample(&mut context)).collect()
}

/// The opcodes of the PDUs the bytes consist of, to the last byte.
fn framed(bytes: &[u8]) -> Vec<Opcode> {
    let mut framer: Framer<Vec<u8>> = Framer::new(0x00ff_ffff, 64 * 1024);
    let mut opcodes = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let space = framer.space();
        let len = rest.len().min(space.len());
        space[..len].copy_from_slice(&rest[..len]);
        framer.filled(len);
        rest = &rest[len..];
        while let Some(frame) = framer.next(|_| None).expect("the framing is kept") {
            opcodes.push(frame.bhs.opcode());
        }
    }
    assert_eq!(framer.unparsed(), 0, "nothing is left over");
    opcodes
}

#[test]
fn the_seed_decides() {
    assert_eq!(samples(5, 0, true, 500), samples(5, 0, true, 500));
    assert_ne!(samples(5, 0, true, 50), samples(6, 0, true, 50));
    assert_ne!(samples(5, 0, true, 50), samples(5, 1, true, 50));
}

#[test]
fn the_targets_answers_do_not_move_the_dice() {
    let mut generators = [Generator::new(9, 9), Generator::new(9, 9)];
    let (mut still, mut moving) = (context(true), context(true));
    for step in 0..500 {
        moving.ttt = (step % 3 == 0).then_some(iscsi::Ttt(step));
        moving.r2t_itt = (step % 2 == 0).then_some(iscsi::Itt(step));
        moving.exp_stat_sn = Serial(step * 7);
        let one = generators[0].sample(&mut still);
        let other = generators[1].sample(&mut moving);
        assert_eq!(
            (one.kind, one.name, one.bytes.len()),
            (other.kind, other.name, other.bytes.len())
        );
    }
}

#[test]
fn at_least_half_is_valid_and_all_of_that_decodes() {
    for logged_in in [false, true] {
        let all = samples(1, 2, logged_in, 4000);
        let valid: Vec<&Sample> = all.iter().filter(|s| s.kind == Kind::Valid).collect();
        assert!(
            valid.len() * 2 >= all.len(),
            "{} of {}",
            valid.len(),
            all.len()
        );
        let mut opcodes = BTreeSet::new();
        for sample in valid {
            assert_eq!(framed(&sample.bytes).len(), 1);
            let bhs = iscsi::Bhs(*sample.bytes.first_chunk().expect("a header"));
            Request::decode(&bhs).expect("a request");
            opcodes.insert(bhs.opcode().0);
        }
        assert_eq!(
            opcodes.into_iter().collect::<Vec<_>>(),
            [0, 1, 2, 3, 4, 5, 6, 0x10]
        );
        assert!(all.iter().any(|s| s.kind == Kind::Mutated));
        assert!(all.iter().any(|s| s.kind == Kind::Violation));
    }
}

#[test]
fn violations_keep_the_framing_and_have_names_of_their_own() {
    let mut rng = StdRng::seed_from_u64(3);
    let mut names = BTreeSet::new();
    for (rows, logged_in) in [(LOGIN, false), (FULL_FEATURE, true)] {
        for row in rows {
            assert!(names.insert(row.name), "{} twice", row.name);
            for _ in 0..20 {
                assert!(!framed(&row.build(&mut rng, &context(logged_in))).is_empty());
            }
        }
    }
    assert!(names.len() >= 40, "{}", names.len());
}
