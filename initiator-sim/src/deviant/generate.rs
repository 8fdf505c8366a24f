//! PDUs drawn at random, structurally valid: every opcode, every field near what is accepted.

use bytes::Bytes;
use iscsi::pdu::{
    DataOut, LoginRequest, LogoutRequest, NopOut, Request, ScsiCommand, Snack,
    TaskManagementRequest, TextRequest,
};
use iscsi::{
    Bhs, Cid, Digests, Isid, Itt, LogoutReason, Lun, Outbox, Payload, Serial, Stage, TaskAttribute,
    TmfFunction, Tsih, Ttt,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{mutate, violation};

/// What a sample is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Lengths, opcode and fields decode; whether it makes sense is another matter.
    Valid,
    /// A named violation; the framing is kept.
    Violation,
    /// Bytes spoiled: what follows on the connection may no longer be in step.
    Mutated,
}

/// One thing to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// What it is.
    pub kind: Kind,
    /// Opcode, or the violation's name.
    pub name: &'static str,
    /// As it goes out.
    pub bytes: Vec<u8>,
    /// The bytes are whole PDUs by their own lengths: what follows can be understood.
    pub in_step: bool,
}

impl Sample {
    pub(super) fn new(kind: Kind, name: &'static str, bytes: Vec<u8>) -> Self {
        let in_step = is_whole(&bytes);
        Self {
            kind,
            name,
            bytes,
            in_step,
        }
    }
}

/// Do these bytes end where the lengths in their headers say (RFC 7143 §11.2.1)?
fn is_whole(mut bytes: &[u8]) -> bool {
    while let Some(header) = bytes.first_chunk::<48>() {
        let bhs = Bhs(*header);
        let ahs = usize::from(bhs.total_ahs_words()) * 4;
        let data = (bhs.data_segment_len() as usize).next_multiple_of(4);
        match bytes.get(48 + ahs + data..) {
            Some([]) => return true,
            Some(rest) => bytes = rest,
            None => return false,
        }
    }
    false
}

/// What the sender knows of its connection. Only these values depend on the target's answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The full feature phase was reached by an honest login.
    pub logged_in: bool,
    /// Name hostile logins use.
    pub initiator: String,
    /// Target hostile logins ask for.
    pub target: String,
    /// ISID of this connection.
    pub isid: Isid,
    /// TSIH of the session, zero before login.
    pub tsih: Tsih,
    /// The CmdSN due next.
    pub cmd_sn: Serial,
    /// The StatSN due next.
    pub exp_stat_sn: Serial,
    /// Target Transfer Tag of the last R2T or NOP-In.
    pub ttt: Option<Ttt>,
    /// ITT of the last R2T.
    pub r2t_itt: Option<Itt>,
    /// The target's MaxRecvDataSegmentLength.
    pub max_data_segment: u32,
}

/// The source of everything hostile on one connection.
pub struct Generator {
    rng: StdRng,
    next_itt: u32,
}

impl Generator {
    /// Two generators of the same seed and lane send the same.
    pub fn new(seed: u64, lane: u32) -> Self {
        let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(lane);
        Self {
            rng: StdRng::seed_from_u64(seed),
            next_itt: 1,
        }
    }

    /// The next thing to send.
    pub fn sample(&mut self, context: &mut Context) -> Sample {
        match self.rng.random_range(0..100) {
            0..64 => self.valid(context),
            64..82 => violation::draw(&mut self.rng, context),
            _ => {
                let base = match self.rng.random_range(0..4) {
                    0 => violation::draw(&mut self.rng, context),
                    _ => self.valid(context),
                };
                let mut bytes = base.bytes;
                mutate::mutate(&mut self.rng, &mut bytes);
                Sample::new(Kind::Mutated, base.name, bytes)
            }
        }
    }

    /// How many PDUs leave in one write; few before login, where most of them end the connection.
    pub fn batch(&mut self, context: &Context) -> usize {
        let dice = self.rng.random_range(1..=8);
        if context.logged_in {
            dice
        } else {
            dice.div_ceil(3)
        }
    }

    fn valid(&mut self, context: &mut Context) -> Sample {
        // Before login, anything but a Login Request ends the connection at once: mostly log in.
        let pick = match context.logged_in {
            true => self.rng.random_range(0..100),
            false if self.rng.random_bool(0.8) => 100,
            false => self.rng.random_range(0..100),
        };
        let (request, data) = match pick {
            0..40 => self.scsi_command(context),
            40..58 => self.data_out(context),
            58..68 => self.nop_out(context),
            68..78 => self.task_management(context),
            78..88 => self.text(context),
            88..93 => self.snack(context),
            93..95 => self.logout(context),
            _ => self.login(context),
        };
        let name = request.opcode().name();
        Sample::new(Kind::Valid, name, wire(request.encode(), &[], &data))
    }

    fn itt(&mut self) -> Itt {
        // Mostly fresh; sometimes one that may be in use, sometimes the reserved one.
        match self.rng.random_range(0..20) {
            0 => Itt::RESERVED,
            1..3 => Itt(self.rng.random_range(0..=self.next_itt)),
            _ => {
                self.next_itt += 1;
                Itt(self.next_itt)
            }
        }
    }

    fn lun(&mut self) -> Lun {
        match self.rng.random_range(0..16) {
            0 => Lun(self.rng.random()),
            1..3 => Lun::from_number(self.rng.random_range(1..300)),
            _ => Lun(0),
        }
    }

    /// In step mostly, so that the window opens for what comes next.
    fn cmd_sn(&mut self, context: &mut Context, immediate: bool) -> Serial {
        let (dice, near, far) = (
            self.rng.random_range(0..20),
            self.rng.random_range(0..64),
            self.rng.random(),
        );
        match dice {
            0 => Serial(far),
            1 => context.cmd_sn.plus(near),
            2 => context.cmd_sn.minus(near),
            _ => {
                let due = context.cmd_sn;
                if !immediate {
                    context.cmd_sn = due.next();
                }
                due
            }
        }
    }

    fn exp_stat_sn(&mut self, context: &Context) -> Serial {
        let far = self.rng.random();
        match self.rng.random_range(0..20) {
            0 => Serial(far),
            _ => context.exp_stat_sn,
        }
    }

    fn data(&mut self, max: usize) -> Bytes {
        let len = match self.rng.random_range(0..8) {
            0..3 => 0,
            3..6 => self.rng.random_range(0..=max.min(64)),
            6 => self.rng.random_range(0..=max.min(4096)),
            _ => self.rng.random_range(0..=max.min(65536)),
        };
        let byte: u8 = self.rng.random();
        vec![byte; len].into()
    }

    fn scsi_command(&mut self, context: &mut Context) -> (Request, Bytes) {
        let immediate = self.rng.random_bool(0.1);
        let cdb = self.cdb();
        let write = self.rng.random_bool(0.4);
        let read = !write || self.rng.random_bool(0.05);
        let edtl = match self.rng.random_range(0..6) {
            0 => 0,
            1 => self.rng.random(),
            2 => self.rng.random_range(0..1024),
            _ => 512 * self.rng.random_range(1..=256),
        };
        let data = self.data(context.max_data_segment as usize);
        let request = ScsiCommand {
            immediate,
            is_final: self.rng.random_bool(0.9),
            read,
            write,
            attribute: TaskAttribute(self.rng.random_range(0..8)),
            lun: self.lun(),
            itt: self.itt(),
            edtl,
            cmd_sn: self.cmd_sn(context, immediate),
            exp_stat_sn: self.exp_stat_sn(context),
            cdb,
        };
        let data = if write { data } else { Bytes::new() };
        (request.into(), data)
    }

    /// Mostly a command disks know, with address and length drawn at random.
    fn cdb(&mut self) -> [u8; 16] {
        const KNOWN: [u8; 28] = [
            0x00, 0x03, 0x08, 0x0a, 0x12, 0x15, 0x16, 0x17, 0x1a, 0x1b, 0x25, 0x28, 0x2a, 0x2e,
            0x2f, 0x35, 0x41, 0x42, 0x55, 0x5a, 0x5e, 0x5f, 0x88, 0x89, 0x8a, 0x91, 0x9e, 0xa0,
        ];
        let mut cdb: [u8; 16] = self.rng.random();
        let dice = self.rng.random_range(0..10);
        let known = KNOWN[self.rng.random_range(0..KNOWN.len())];
        if dice > 0 {
            cdb[0] = known;
            cdb[1] &= 0x1f;
            // A low address and few blocks, so that some of it is carried out.
            match known >> 5 {
                1 | 2 => {
                    cdb[2..4].fill(0);
                    cdb[7] = 0;
                }
                4 => {
                    cdb[2..8].fill(0);
                    cdb[10..13].fill(0);
                }
                _ => {}
            }
        }
        cdb
    }

    fn data_out(&mut self, context: &mut Context) -> (Request, Bytes) {
        let solicited = self.rng.random_bool(0.6);
        let random_ttt = Ttt(self.rng.random());
        let random_itt = self.itt();
        let request = DataOut {
            is_final: self.rng.random_bool(0.5),
            lun: self.lun(),
            itt: context.r2t_itt.filter(|_| solicited).unwrap_or(random_itt),
            ttt: match solicited {
                true => context.ttt.unwrap_or(random_ttt),
                false => Ttt::RESERVED,
            },
            exp_stat_sn: self.exp_stat_sn(context),
            data_sn: self.rng.random_range(0..4),
            buffer_offset: 512 * self.rng.random_range(0..64),
        };
        let data = self.data(context.max_data_segment as usize);
        (request.into(), data)
    }

    fn nop_out(&mut self, context: &mut Context) -> (Request, Bytes) {
        let immediate = self.rng.random_bool(0.7);
        let request = NopOut {
            immediate,
            lun: self.lun(),
            itt: self.itt(),
            ttt: match self.rng.random_range(0..4) {
                0 => context.ttt.unwrap_or(Ttt(7)),
                _ => Ttt::RESERVED,
            },
            cmd_sn: self.cmd_sn(context, immediate),
            exp_stat_sn: self.exp_stat_sn(context),
        };
        let data = self.data(context.max_data_segment as usize);
        (request.into(), data)
    }

    fn task_management(&mut self, context: &mut Context) -> (Request, Bytes) {
        let immediate = self.rng.random_bool(0.8);
        let request = TaskManagementRequest {
            immediate,
            function: TmfFunction(self.rng.random_range(0..10)),
            lun: self.lun(),
            itt: self.itt(),
            rtt: Itt(self.rng.random_range(0..=self.next_itt)),
            cmd_sn: self.cmd_sn(context, immediate),
            exp_stat_sn: self.exp_stat_sn(context),
            ref_cmd_sn: context.cmd_sn.minus(self.rng.random_range(0..8)),
            exp_data_sn: self.rng.random_range(0..4),
        };
        (request.into(), Bytes::new())
    }

    fn text(&mut self, context: &mut Context) -> (Request, Bytes) {
        let immediate = self.rng.random_bool(0.5);
        let is_final = self.rng.random_bool(0.8);
        let request = TextRequest {
            immediate,
            is_final,
            cont: !is_final && self.rng.random_bool(0.5),
            lun: Lun(0),
            itt: self.itt(),
            ttt: match self.rng.random_range(0..4) {
                0 => context.ttt.unwrap_or(Ttt(9)),
                _ => Ttt::RESERVED,
            },
            cmd_sn: self.cmd_sn(context, immediate),
            exp_stat_sn: self.exp_stat_sn(context),
        };
        let text = self.keys(&[
            "SendTargets=All",
            "SendTargets=",
            "MaxRecvDataSegmentLength=8192",
        ]);
        (request.into(), text)
    }

    fn snack(&mut self, context: &mut Context) -> (Request, Bytes) {
        let request = Snack {
            kind: self.rng.random_range(0..5),
            lun: self.lun(),
            itt: self.itt(),
            ttt: Ttt(self.rng.random()),
            exp_stat_sn: self.exp_stat_sn(context),
            beg_run: self.rng.random_range(0..8),
            run_length: self.rng.random_range(0..8),
        };
        (request.into(), Bytes::new())
    }

    fn logout(&mut self, context: &mut Context) -> (Request, Bytes) {
        let immediate = self.rng.random_bool(0.5);
        let request = LogoutRequest {
            immediate,
            reason: LogoutReason(self.rng.random_range(0..4)),
            itt: self.itt(),
            cid: Cid(self.rng.random_range(0..3)),
            cmd_sn: self.cmd_sn(context, immediate),
            exp_stat_sn: self.exp_stat_sn(context),
        };
        (request.into(), Bytes::new())
    }

    fn login(&mut self, context: &mut Context) -> (Request, Bytes) {
        let cont = self.rng.random_bool(0.1);
        let stage = |dice: u32| match dice {
            0..5 => Stage::SECURITY,
            5..9 => Stage::OPERATIONAL,
            _ => Stage(2),
        };
        let csg = stage(self.rng.random_range(0..10));
        let nsg = match self.rng.random_range(0..3) {
            0 => stage(self.rng.random_range(0..10)),
            _ => Stage::FULL_FEATURE,
        };
        let tsih = match self.rng.random_range(0..8) {
            0 => Tsih(self.rng.random()),
            _ => Tsih(0),
        };
        let request = LoginRequest {
            immediate: true,
            transit: !cont && self.rng.random_bool(0.7),
            cont,
            csg,
            nsg,
            version_max: self.rng.random_range(0..2),
            version_min: 0,
            isid: context.isid,
            tsih,
            itt: self.itt(),
            cid: Cid(self.rng.random_range(0..3)),
            cmd_sn: context.cmd_sn,
            exp_stat_sn: self.exp_stat_sn(context),
        };
        let names = [
            format!("InitiatorName={}", context.initiator),
            format!("TargetName={}", context.target),
            "SessionType=Normal".to_owned(),
        ];
        let mut lines: Vec<&str> = names.iter().map(String::as_str).collect();
        if self.rng.random_bool(0.2) {
            lines.remove(self.rng.random_range(0..3));
        }
        lines.extend(LOGIN_LINES);
        let fixed = if self.rng.random_bool(0.8) {
            3.min(lines.len())
        } else {
            0
        };
        let mut text: Vec<u8> = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            if index < fixed || self.rng.random_bool(0.2) {
                text.extend_from_slice(line.as_bytes());
                text.push(0);
            }
        }
        (request.into(), text.into())
    }

    fn keys(&mut self, lines: &[&str]) -> Bytes {
        let mut text = Vec::new();
        for line in lines {
            if self.rng.random_bool(0.5) {
                text.extend_from_slice(line.as_bytes());
                text.push(0);
            }
        }
        text.into()
    }
}

/// Keys with values inside, at the edge of and outside their range.
const LOGIN_LINES: [&str; 26] = [
    "AuthMethod=None",
    "AuthMethod=CHAP",
    "AuthMethod=KRB5,SRP,None",
    "CHAP_A=5",
    "CHAP_N=nobody",
    "CHAP_R=0x00112233445566778899aabbccddeeff",
    "HeaderDigest=CRC32C,None",
    "HeaderDigest=CRC64",
    "DataDigest=None",
    "MaxRecvDataSegmentLength=512",
    "MaxRecvDataSegmentLength=16777215",
    "MaxRecvDataSegmentLength=16777216",
    "MaxBurstLength=511",
    "MaxBurstLength=0x10000",
    "FirstBurstLength=16777215",
    "InitialR2T=Maybe",
    "ImmediateData=Yes",
    "MaxOutstandingR2T=65535",
    "MaxConnections=0",
    "ErrorRecoveryLevel=2",
    "DefaultTime2Wait=-1",
    "DataPDUInOrder=No",
    "X-org.glint.unknown=1",
    "OFMarker=Yes",
    "TaskReporting=FastAbort",
    "iSCSIProtocolLevel=2",
];

/// The bytes of one PDU without digests.
pub(super) fn wire(bhs: Bhs, ahs: &[u8], data: &[u8]) -> Vec<u8> {
    let mut outbox: Outbox<Bytes> = Outbox::new();
    outbox.push_with_ahs(bhs, ahs, Payload::Inline(data), Digests::default());
    let mut slices = Vec::new();
    outbox.slices(&mut slices);
    slices
        .iter()
        .flat_map(|slice| slice.iter().copied())
        .collect()
}
