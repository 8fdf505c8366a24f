//! Initiators that keep to nothing: the target never panics, and always ends what it began.

use std::time::Duration;

use block::Fault;
use engine::ConnId;
use iscsi::Bhs;
use iscsi::pdu::{LoginRequest, Request, Response};
use iscsi::{Cid, Isid, Itt, Serial, Stage, Tsih};

use crate::play::{DISK, config};
use crate::world::{Dice, World};

const CONN: ConnId = ConnId(1);

fn login(conn: ConnId, tsih: u16, keys: &str, world: &mut World) {
    world.connect(conn);
    let request = LoginRequest {
        immediate: true,
        transit: true,
        cont: false,
        csg: Stage::OPERATIONAL,
        nsg: Stage::FULL_FEATURE,
        version_max: 0,
        version_min: 0,
        isid: Isid([0x80, 0, 0, 0, 0, 1]),
        tsih: Tsih(tsih),
        itt: Itt(1),
        cid: Cid(0),
        cmd_sn: Serial(1),
        exp_stat_sn: Serial(0),
    };
    let text = format!("InitiatorName=iqn.2026-01.org.example:i1\0TargetName={DISK}\0{keys}");
    let wire = world.wire(conn);
    wire.is_monitored = false;
    wire.say(&Request::from(request), &[], text.as_bytes());
    world.settle();
}

/// A header that could have been meant: small tags, real opcodes, numbers near those in use.
fn odd_header(dice: &mut Dice, cmd_sn: u32, ttts: &[u32]) -> Bhs {
    let opcodes = [
        0x00, 0x01, 0x01, 0x01, 0x02, 0x04, 0x05, 0x05, 0x05, 0x10, 0x3d,
    ];
    let mut bhs = Bhs::default();
    bhs.0.fill_with(|| {
        if dice.below(4) == 0 {
            dice.next() as u8
        } else {
            0
        }
    });
    let immediate = if dice.below(3) == 0 { 0x40 } else { 0 };
    bhs.0[0] = opcodes[dice.below(opcodes.len())] | immediate;
    bhs.0[1] = dice.next() as u8;
    bhs.set_total_ahs_words(if dice.below(20) == 0 { 2 } else { 0 });
    bhs.0[8..16].fill(0);
    bhs.0[9] = dice.below(3) as u8;
    let mut word = |at: usize, value: u32| bhs.0[at..at + 4].copy_from_slice(&value.to_be_bytes());
    word(16, dice.below(12) as u32);
    let is_data = opcodes.contains(&0x05);
    let ttt = match dice.below(3) {
        0 if is_data && !ttts.is_empty() => ttts[dice.below(ttts.len())],
        1 => dice.below(40) as u32,
        _ => u32::MAX,
    };
    word(20, ttt);
    word(
        24,
        cmd_sn.wrapping_add(dice.below(6) as u32).wrapping_sub(1),
    );
    match bhs.opcode() {
        iscsi::Opcode::SCSI_COMMAND => odd_command(dice, &mut bhs),
        iscsi::Opcode::DATA_OUT => {
            bhs.0[36..40].copy_from_slice(&(dice.below(3) as u32).to_be_bytes());
            let offset = (dice.below(9) * 512) as u32;
            bhs.0[40..44].copy_from_slice(&offset.to_be_bytes());
        }
        iscsi::Opcode::TASK_MANAGEMENT_REQUEST => {
            bhs.0[1] = 0x80 | dice.below(10) as u8;
            bhs.0[20..24].copy_from_slice(&(dice.below(12) as u32).to_be_bytes());
            bhs.0[32..36].copy_from_slice(&cmd_sn.to_be_bytes());
        }
        _ => {}
    }
    bhs
}

fn odd_command(dice: &mut Dice, bhs: &mut Bhs) {
    let cdbs = [0x00, 0x12, 0x28, 0x28, 0x2a, 0x2a, 0x2a, 0x35, 0xa0, 0xff];
    bhs.0[1] = [0x80, 0xc0, 0xa0, 0x20, 0xe0, 0x40][dice.below(6)];
    let blocks = [0, 1, 8, 64, 2100][dice.below(5)] as u16;
    let edtl = u32::from(blocks) * 512 + [0, 0, 0, 1, 512][dice.below(5)];
    bhs.0[20..24].copy_from_slice(&edtl.to_be_bytes());
    bhs.0[32..48].fill(0);
    bhs.0[32] = cdbs[dice.below(cdbs.len())];
    bhs.0[36] = dice.below(40) as u8;
    bhs.0[39..41].copy_from_slice(&blocks.to_be_bytes());
}

/// What is left to look at: the tags the target gave out, and the number it waits for.
fn listen(world: &mut World, conn: ConnId, cmd_sn: &mut u32, ttts: &mut Vec<u32>) {
    for heard in world.wire(conn).heard.drain(..) {
        match heard.pdu {
            Response::R2t(pdu) => ttts.push(pdu.ttt.0),
            Response::NopIn(pdu) => *cmd_sn = pdu.exp_cmd_sn.0,
            Response::ScsiResponse(pdu) => *cmd_sn = pdu.exp_cmd_sn.0,
            Response::Text(pdu) => ttts.push(pdu.ttt.0),
            _ => {}
        }
    }
    let old = ttts.len().saturating_sub(8);
    ttts.drain(..old);
}

#[test]
fn odd_pdus() {
    let lens = [0, 0, 0, 1, 512, 1024, 4096, 20_000, 70_000];
    for seed in 0..250 {
        let mut config = config();
        config.session_memory_bytes = 2 << 20;
        config.queue_depth = 8;
        config.offer.time2retain = 30;
        let mut world = World::new(seed, config);
        let mut dice = Dice::new(seed + 1000);
        let keys = [
            "InitialR2T=No\0",
            "MaxBurstLength=4096\0",
            "DataDigest=CRC32C\0",
        ];
        login(CONN, 0, keys[dice.below(3)], &mut world);
        let (mut cmd_sn, mut ttts) = (1, Vec::new());
        for _ in 0..60 {
            if !world.is_connected(CONN) {
                break;
            }
            world.hold = dice.below(2) == 0;
            let bhs = odd_header(&mut dice, cmd_sn, &ttts);
            let data = vec![7; lens[dice.below(lens.len())]];
            let ahs = vec![0; usize::from(bhs.total_ahs_words()) * 4];
            let wire = world.wire(CONN);
            wire.say_raw(bhs, &ahs, &data);
            if dice.below(30) == 0 && wire.digests.data {
                wire.spoil();
            }
            match dice.below(6) {
                0 => world.pass(Duration::from_millis(dice.below(4000) as u64)),
                1 if world.held_count() > 0 => world.answer(0, Err(Fault::Unreachable)),
                2 => {}
                _ => world.settle(),
            }
            listen(&mut world, CONN, &mut cmd_sn, &mut ttts);
        }
        assert_answers(&mut world);
        world.wind_up();
    }
}

/// After all that the session is either gone or still answers.
fn assert_answers(world: &mut World) {
    world.settle();
    if !world.is_connected(CONN) {
        return;
    }
    let mut bhs = Bhs::default();
    bhs.0[0] = 0x40;
    bhs.0[1] = 0x80;
    bhs.0[16..20].copy_from_slice(&0x00ab_cdef_u32.to_be_bytes());
    bhs.0[20..24].fill(0xff);
    world.wire(CONN).say_raw(bhs, &[], &[]);
    world.settle();
    let mut heard = world.wire(CONN).heard.iter();
    let echoed =
        heard.any(|h| matches!(&h.pdu, Response::NopIn(nop) if nop.itt == Itt(0x00ab_cdef)));
    let leaving = !echoed;
    // A logout under way is the one thing that silences a session; it has its own deadline.
    if leaving {
        world.pass(Duration::from_secs(20));
        assert!(
            !world.is_connected(CONN),
            "a session that neither answers nor ends"
        );
    }
}

#[test]
fn bytes_that_are_no_iscsi() {
    for seed in 0..150 {
        let mut world = World::new(seed, config());
        let mut dice = Dice::new(seed + 5000);
        match seed % 2 {
            0 => login(CONN, 0, "", &mut world),
            _ => world.connect(CONN),
        }
        world.wire(CONN).is_monitored = false;
        let len = 1 + dice.below(3000);
        let bytes: Vec<u8> = (0..len)
            .map(|_| {
                if dice.below(2) == 0 {
                    0
                } else {
                    dice.next() as u8
                }
            })
            .collect();
        world.wire(CONN).sending.extend(bytes);
        world.settle();
        world.pass(Duration::from_secs(30));
        world.wind_up();
    }
}

/// Logins with wild headers and text, several at once, into a node with a session.
#[test]
fn odd_logins() {
    let keys: [&[u8]; 12] = [
        b"InitiatorName=iqn.2026-01.org.example:i1\0",
        b"TargetName=iqn.2026-01.org.example:disk\0",
        b"TargetName=iqn.2026-01.org.example:locked\0",
        b"SessionType=Discovery\0",
        b"AuthMethod=CHAP,None\0",
        b"CHAP_A=5\0",
        b"CHAP_N=user\0CHAP_R=0x1234\0",
        b"MaxBurstLength=99999999999\0",
        b"MaxRecvDataSegmentLength=512\0",
        b"HeaderDigest=CRC32C\0",
        b"=\0\0",
        b"\xff\xfe",
    ];
    for seed in 0..200 {
        let mut world = World::new(seed, config());
        let mut dice = Dice::new(seed + 9000);
        login(ConnId(100), 0, "", &mut world);
        for number in 1..4 {
            let conn = ConnId(number);
            world.connect(conn);
            world.wire(conn).is_monitored = false;
            for _ in 0..1 + dice.below(5) {
                let mut bhs = Bhs::default();
                bhs.0[0] = 0x43;
                bhs.0[1] = [0x87, 0x83, 0x81, 0x04, 0x44, 0x00, 0x40, 0xff][dice.below(8)];
                bhs.0[8] = 0x80;
                bhs.0[13] = 1;
                bhs.0[15] = dice.below(3) as u8;
                let mut text = Vec::new();
                for _ in 0..dice.below(6) {
                    text.extend_from_slice(keys[dice.below(keys.len())]);
                }
                if world.is_connected(conn) {
                    world.wire(conn).say_raw(bhs, &[], &text);
                }
                if dice.below(2) == 0 {
                    world.settle();
                }
            }
        }
        world.settle();
        world.pass(Duration::from_secs(60));
        world.wind_up();
    }
}
