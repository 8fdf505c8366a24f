//! Named violations: each breaks one rule and leaves the framing alone.

use iscsi::pdu::{
    DataOut, LoginRequest, LogoutRequest, NopOut, ScsiCommand, Snack, TaskManagementRequest,
    TextRequest,
};
use iscsi::{
    Bhs, Cid, Itt, LogoutReason, Lun, Opcode, Serial, Stage, TaskAttribute, TmfFunction, Tsih, Ttt,
};
use rand::Rng;
use rand::rngs::StdRng;

use super::generate::{Context, Kind, Sample, wire};

/// A rule and how it is broken.
pub struct Violation {
    /// Name, as the summary prints it.
    pub name: &'static str,
    /// RFC 7143 section of the rule.
    pub section: &'static str,
    build: fn(&mut StdRng, &Context) -> Vec<u8>,
}

impl Violation {
    /// The PDU.
    pub fn build(&self, rng: &mut StdRng, context: &Context) -> Vec<u8> {
        (self.build)(rng, context)
    }
}

/// Broken while logging in.
pub const LOGIN: &[Violation] = &[
    row("first-pdu-no-login", "6.3", |_, context| {
        nop(context, Itt(1), Ttt::RESERVED)
    }),
    row("login-c-and-t", "11.12.3", |_, context| {
        login(
            &LoginRequest {
                cont: true,
                transit: true,
                ..request(context)
            },
            &names(context),
        )
    }),
    row("login-stage-backward", "6.3", |_, context| {
        let pdu = LoginRequest {
            nsg: Stage::SECURITY,
            ..request(context)
        };
        login(&pdu, &names(context))
    }),
    row("login-stage-reserved", "11.12.4", |_, context| {
        let pdu = LoginRequest {
            csg: Stage(2),
            nsg: Stage(2),
            ..request(context)
        };
        login(&pdu, &names(context))
    }),
    row("login-version", "11.12.5", |_, context| {
        let pdu = LoginRequest {
            version_max: 0xff,
            version_min: 0xff,
            ..request(context)
        };
        login(&pdu, &names(context))
    }),
    row("login-no-names", "6.3", |_, context| {
        login(&request(context), b"SessionType=Normal\0")
    }),
    row("login-key-too-long", "6.1", |rng, context| {
        let mut text = names(context);
        text.extend(vec![b'K'; rng.random_range(64..300)]);
        text.extend_from_slice(b"=1\0");
        login(&request(context), &text)
    }),
    row("login-value-too-long", "6.1", |rng, context| {
        let mut text = names(context);
        text.extend_from_slice(b"InitiatorAlias=");
        text.extend(vec![b'v'; rng.random_range(256..4000)]);
        text.push(0);
        login(&request(context), &text)
    }),
    row("login-no-equals", "6.1", |_, context| {
        let mut text = names(context);
        text.extend_from_slice(b"HeaderDigest\0DataDigest\0=\0==\0");
        login(&request(context), &text)
    }),
    row("login-not-text", "6.1", |rng, context| {
        let junk: Vec<u8> = (0..rng.random_range(1..512))
            .map(|_| rng.random())
            .collect();
        login(&request(context), &junk)
    }),
    row("login-key-twice", "6.3", |_, context| {
        let mut text = names(context);
        text.extend_from_slice(b"MaxBurstLength=65536\0MaxBurstLength=65536\0");
        login(&request(context), &text)
    }),
    row("login-endless-text", "6.2", |_, context| {
        let pdu = LoginRequest {
            cont: true,
            transit: false,
            ..request(context)
        };
        login(&pdu, &vec![b'a'; 8192])
    }),
    row("login-data-too-long", "13.12", |rng, context| {
        login(&request(context), &vec![0; rng.random_range(8193..300_000)])
    }),
    row("login-unknown-tsih", "11.12.6", |rng, context| {
        let pdu = LoginRequest {
            tsih: Tsih(rng.random_range(1..=0xffff)),
            ..request(context)
        };
        login(&pdu, &names(context))
    }),
    row("login-nul-flood", "6.1", |_, context| {
        login(&request(context), &[0; 4096])
    }),
    row("login-chap-out-of-turn", "12.1.3", |_, context| {
        let mut text = names(context);
        text.extend_from_slice(b"AuthMethod=CHAP\0CHAP_A=5\0CHAP_N=x\0CHAP_R=0b####\0");
        login(
            &LoginRequest {
                csg: Stage::SECURITY,
                ..request(context)
            },
            &text,
        )
    }),
];

/// Broken in the full feature phase.
pub const FULL_FEATURE: &[Violation] = &[
    row("opcode-of-a-target", "11.2.1.2", |rng, context| {
        let opcodes = [0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x31, 0x32, 0x3f];
        bare(Opcode(opcodes[rng.random_range(0..opcodes.len())]), context)
    }),
    row("opcode-unknown", "11.2.1.2", |rng, context| {
        let opcodes = [0x07, 0x0f, 0x11, 0x1b, 0x1c, 0x1e, 0x1f, 0x2f, 0x3b, 0x3e];
        bare(Opcode(opcodes[rng.random_range(0..opcodes.len())]), context)
    }),
    row("cmdsn-far-ahead", "4.2.2.1", |rng, context| {
        let cmd_sn = context.cmd_sn.plus(rng.random_range(0x1000..0x7fff_ffff));
        wire(
            ScsiCommand {
                cmd_sn,
                ..read(context)
            }
            .encode(),
            &[],
            &[],
        )
    }),
    row("cmdsn-behind", "4.2.2.1", |rng, context| {
        let cmd_sn = context.cmd_sn.minus(rng.random_range(1..0x1000));
        wire(
            ScsiCommand {
                cmd_sn,
                ..read(context)
            }
            .encode(),
            &[],
            &[],
        )
    }),
    row("itt-reserved", "11.2.1.8", |_, context| {
        let pdu = ScsiCommand {
            itt: Itt::RESERVED,
            immediate: true,
            ..read(context)
        };
        wire(pdu.encode(), &[], &[])
    }),
    row("data-segment-too-long", "13.12", |rng, context| {
        let len = context.max_data_segment.min(1 << 20) + rng.random_range(1..4096);
        let pdu = ScsiCommand {
            immediate: true,
            edtl: len,
            ..write(context)
        };
        wire(pdu.encode(), &[], &vec![0; len as usize])
    }),
    row("immediate-data-beyond-edtl", "11.3.4", |_, context| {
        let pdu = ScsiCommand {
            immediate: true,
            edtl: 512,
            ..write(context)
        };
        wire(pdu.encode(), &[], &[0; 1024])
    }),
    row("data-with-a-read", "11.3", |_, context| {
        wire(
            ScsiCommand {
                immediate: true,
                ..read(context)
            }
            .encode(),
            &[],
            &[0; 512],
        )
    }),
    row("read-and-write-without-ahs", "11.3.1", |_, context| {
        let pdu = ScsiCommand {
            immediate: true,
            read: true,
            ..write(context)
        };
        wire(pdu.encode(), &[], &[])
    }),
    row("edtl-huge", "11.3.4", |_, context| {
        let pdu = ScsiCommand {
            immediate: true,
            edtl: u32::MAX,
            ..write(context)
        };
        wire(pdu.encode(), &[], &[])
    }),
    row("ahs-length-lies", "11.2.2", |rng, context| {
        let kind = rng.random_range(0..4);
        let pdu = ScsiCommand {
            immediate: true,
            ..read(context)
        };
        wire(pdu.encode(), &[0xff, 0xff, kind, 0, 1, 2, 3, 4], &[])
    }),
    row("ahs-in-a-nop", "11.2.2", |rng, context| {
        let ahs: Vec<u8> = (0..4 * rng.random_range(1..=255))
            .map(|_| rng.random())
            .collect();
        wire(ping(context).encode(), &ahs, &[])
    }),
    row("data-out-unknown-itt", "11.7", |rng, context| {
        data_out(context, |pdu| pdu.itt = Itt(rng.random()))
    }),
    row("data-out-unknown-ttt", "11.7.4", |rng, context| {
        data_out(context, |pdu| pdu.ttt = Ttt(rng.random()))
    }),
    row("data-out-beyond-edtl", "11.7.5", |_, context| {
        data_out(context, |pdu| pdu.buffer_offset = 0xffff_fe00)
    }),
    row("data-out-datasn-skips", "11.7.5", |_, context| {
        data_out(context, |pdu| pdu.data_sn = 0xffff_ffff)
    }),
    row("nop-out-all-reserved", "11.18", |_, context| {
        nop(context, Itt::RESERVED, Ttt::RESERVED)
    }),
    row("nop-out-unknown-ttt", "11.18", |rng, context| {
        nop(context, Itt::RESERVED, Ttt(rng.random()))
    }),
    row("text-unknown-ttt", "11.10.4", |rng, context| {
        let ttt = Ttt(rng.random());
        wire(
            TextRequest {
                ttt,
                ..text(context)
            }
            .encode(),
            &[],
            b"SendTargets=All\0",
        )
    }),
    row("text-c-and-f", "11.10.2", |_, context| {
        wire(
            TextRequest {
                cont: true,
                ..text(context)
            }
            .encode(),
            &[],
            b"SendTar",
        )
    }),
    row("text-endless", "6.2", |_, context| {
        let pdu = TextRequest {
            cont: true,
            is_final: false,
            ..text(context)
        };
        wire(pdu.encode(), &[], &[b'a'; 8192])
    }),
    row("login-in-full-feature", "6.3", |_, context| {
        login(&request(context), &names(context))
    }),
    row("tmf-unknown-function", "11.5.1", |rng, context| {
        let pdu = TaskManagementRequest {
            immediate: true,
            function: TmfFunction(rng.random_range(9..128)),
            lun: Lun(0),
            itt: Itt(0x7000_0001),
            rtt: Itt(1),
            cmd_sn: context.cmd_sn,
            exp_stat_sn: context.exp_stat_sn,
            ref_cmd_sn: Serial(0),
            exp_data_sn: 0,
        };
        wire(pdu.encode(), &[], &[])
    }),
    row("snack-at-level-0", "11.16", |rng, context| {
        let pdu = Snack {
            kind: rng.random_range(0..16),
            lun: Lun(0),
            itt: Itt(1),
            ttt: Ttt::RESERVED,
            exp_stat_sn: context.exp_stat_sn,
            beg_run: rng.random(),
            run_length: rng.random(),
        };
        wire(pdu.encode(), &[], &[])
    }),
    row("logout-unknown-cid", "11.14.1", |rng, context| {
        let pdu = LogoutRequest {
            immediate: true,
            reason: LogoutReason::CLOSE_CONNECTION,
            itt: Itt(0x7000_0002),
            cid: Cid(rng.random_range(1..=0xffff)),
            cmd_sn: context.cmd_sn,
            exp_stat_sn: context.exp_stat_sn,
        };
        wire(pdu.encode(), &[], &[])
    }),
    row("immediate-flood", "4.2.2.1", |_, context| {
        let pdu = ping(context).encode();
        (0..64).flat_map(|_| wire(pdu, &[], b"flood")).collect()
    }),
];

const fn row(
    name: &'static str,
    section: &'static str,
    build: fn(&mut StdRng, &Context) -> Vec<u8>,
) -> Violation {
    Violation {
        name,
        section,
        build,
    }
}

/// One of those that fit the phase.
pub(super) fn draw(rng: &mut StdRng, context: &Context) -> Sample {
    let rows = if context.logged_in {
        FULL_FEATURE
    } else {
        LOGIN
    };
    let row = &rows[rng.random_range(0..rows.len())];
    Sample::new(Kind::Violation, row.name, row.build(rng, context))
}

fn names(context: &Context) -> Vec<u8> {
    format!(
        "InitiatorName={}\0TargetName={}\0SessionType=Normal\0",
        context.initiator, context.target
    )
    .into_bytes()
}

fn request(context: &Context) -> LoginRequest {
    LoginRequest {
        immediate: true,
        transit: true,
        cont: false,
        csg: Stage::OPERATIONAL,
        nsg: Stage::FULL_FEATURE,
        version_max: 0,
        version_min: 0,
        isid: context.isid,
        tsih: context.tsih,
        itt: Itt(0),
        cid: Cid(0),
        cmd_sn: context.cmd_sn,
        exp_stat_sn: context.exp_stat_sn,
    }
}

fn login(pdu: &LoginRequest, text: &[u8]) -> Vec<u8> {
    wire(pdu.encode(), &[], text)
}

fn read(context: &Context) -> ScsiCommand {
    ScsiCommand {
        immediate: false,
        is_final: true,
        read: true,
        write: false,
        attribute: TaskAttribute::SIMPLE,
        lun: Lun(0),
        itt: Itt(0x7000_0000),
        edtl: 512,
        cmd_sn: context.cmd_sn,
        exp_stat_sn: context.exp_stat_sn,
        cdb: [0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
    }
}

fn write(context: &Context) -> ScsiCommand {
    let cdb = [0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
    ScsiCommand {
        read: false,
        write: true,
        cdb,
        ..read(context)
    }
}

fn data_out(context: &Context, bend: impl FnOnce(&mut DataOut)) -> Vec<u8> {
    let mut pdu = DataOut {
        is_final: true,
        lun: Lun(0),
        itt: context.r2t_itt.unwrap_or(Itt(1)),
        ttt: context.ttt.unwrap_or(Ttt(1)),
        exp_stat_sn: context.exp_stat_sn,
        data_sn: 0,
        buffer_offset: 0,
    };
    bend(&mut pdu);
    wire(pdu.encode(), &[], &[0; 512])
}

fn ping(context: &Context) -> NopOut {
    NopOut {
        immediate: true,
        lun: Lun(0),
        itt: Itt(0x7000_0003),
        ttt: Ttt::RESERVED,
        cmd_sn: context.cmd_sn,
        exp_stat_sn: context.exp_stat_sn,
    }
}

fn nop(context: &Context, itt: Itt, ttt: Ttt) -> Vec<u8> {
    wire(
        NopOut {
            itt,
            ttt,
            ..ping(context)
        }
        .encode(),
        &[],
        &[],
    )
}

fn text(context: &Context) -> TextRequest {
    TextRequest {
        immediate: true,
        is_final: true,
        cont: false,
        lun: Lun(0),
        itt: Itt(0x7000_0004),
        ttt: Ttt::RESERVED,
        cmd_sn: context.cmd_sn,
        exp_stat_sn: context.exp_stat_sn,
    }
}

/// A header of an opcode no initiator has, otherwise like an immediate ping.
fn bare(opcode: Opcode, context: &Context) -> Vec<u8> {
    let mut bhs: Bhs = ping(context).encode();
    bhs.0[0] = 0x40 | opcode.0;
    wire(bhs, &[], &[])
}
