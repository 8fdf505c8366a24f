//! Plays a conversation against a world, in several orders of events.
//!
//! A conversation is lines, or parts of a line between `|`:
//! `I> …` the initiator sends (`I2> …` the second one), `T> …` the target must have sent, `B> …`
//! storage, `W> …` the world around. What the initiator sends is under way at once; the world comes
//! to rest before the target is listened to. A `T>` line names what must be in the PDU, not all of
//! it: the next one with that `itt`, or the next one. What nobody listened to at the end is an
//! error, and so is whatever the target still holds after everybody has left.

use std::collections::BTreeMap;
use std::time::Duration;

use block::Fault;
use engine::{
    ChapCredential, ConnId, InitiatorAccess, NodeConfig, PortalAddress, TargetConfig, UnitId,
};
use iscsi::pdu::{
    DataOut, LoginRequest, LogoutRequest, NopOut, Response, ScsiCommand, Snack,
    TaskManagementRequest, TextRequest,
};
use iscsi::{
    Bhs, Cid, IscsiName, Isid, Itt, LogoutReason, Lun, Serial, Stage, TaskAttribute, TmfFunction,
    Tpgt, Tsih, Ttt,
};

use crate::wire::{Heard, Wire};
use crate::words::{Words, tell};
use crate::world::{World, pattern};

/// Orders of events each conversation is played in.
const SEEDS: u64 = 12;

pub(crate) const DISK: &str = "iqn.2026-01.org.example:disk";

/// A target with LUNs 0 and 1, another one behind CHAP, and a discovery service.
pub(crate) fn config() -> NodeConfig {
    let name = |text: &str| IscsiName::parse(text).unwrap();
    let credential = |name: &str, secret: &[u8]| ChapCredential {
        name: name.to_owned(),
        secret: secret.to_vec(),
    };
    let open = TargetConfig {
        name: name(DISK),
        alias: Some("a disk".to_owned()),
        tpgt: Tpgt(1),
        luns: vec![(0, UnitId(1)), (1, UnitId(2))],
        away: Vec::new(),
        access: InitiatorAccess::Anyone,
        chap: Vec::new(),
        mutual: None,
    };
    let locked = TargetConfig {
        name: name("iqn.2026-01.org.example:locked"),
        alias: None,
        chap: vec![credential("user", b"the user's secret")],
        mutual: Some(credential("target", b"the target's secret")),
        ..open.clone()
    };
    let private = TargetConfig {
        name: name("iqn.2026-01.org.example:private"),
        access: InitiatorAccess::Only(vec![name("iqn.2026-01.org.example:friend")]),
        ..open.clone()
    };
    NodeConfig {
        targets: vec![open, locked, private],
        portals: vec![PortalAddress {
            address: "0.0.0.0:3260".parse().unwrap(),
            tpgt: Tpgt(1),
        }],
        ..NodeConfig::default()
    }
}

pub(crate) fn check(conversation: &str) {
    check_with(config(), conversation);
}

pub(crate) fn check_with(config: NodeConfig, conversation: &str) {
    for seed in 0..SEEDS {
        let mut play = Play::new(seed, config.clone());
        for line in conversation.split(['\n', '|']).map(str::trim) {
            if !line.is_empty() {
                play.line = line.to_owned();
                play.line(line);
            }
        }
        play.finish();
    }
}

/// An initiator and its current connection.
struct Actor {
    conn: ConnId,
    cmd_sn: u32,
    itt: u32,
    /// The last R2T listened to: task, tag, offset, length.
    r2t: Option<(Itt, Ttt, u32, u32)>,
    /// Of the last login listened to.
    login: Vec<String>,
}

pub(crate) struct Play {
    world: World,
    actors: BTreeMap<u32, Actor>,
    next_conn: u64,
    seed: u64,
    line: String,
}

impl Drop for Play {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}, at: {}", self.seed, self.line);
        }
    }
}

impl Play {
    fn new(seed: u64, config: NodeConfig) -> Self {
        Self {
            world: World::new(seed, config),
            actors: BTreeMap::new(),
            next_conn: 1,
            seed,
            line: String::new(),
        }
    }

    fn line(&mut self, line: &str) {
        let (who, rest) = line.split_once('>').expect("who> what");
        let (kind, label) = who.split_at(1);
        let label = if label.is_empty() {
            1
        } else {
            label.parse().unwrap()
        };
        let words = Words::of(rest.trim());
        match kind {
            "I" => self.initiator(label, &words),
            "T" => self.target(label, &words),
            "B" => self.storage(&words),
            "W" => self.surroundings(&words),
            _ => panic!("nobody is called {who}"),
        }
    }

    fn finish(&mut self) {
        self.line = "the end".to_owned();
        self.world.settle();
        let left: Vec<_> = self.world.unheard().map(tell).collect();
        assert!(left.is_empty(), "nobody listened to {left:?}");
        self.world.wind_up();
    }

    fn actor(&mut self, label: u32) -> &mut Actor {
        self.actors.get_mut(&label).expect("connected")
    }

    fn wire(&mut self, label: u32) -> &mut Wire {
        let conn = self.actor(label).conn;
        self.world.wire(conn)
    }

    /// What the initiator does.
    fn initiator(&mut self, label: u32, words: &Words<'_>) {
        match words.verb {
            "connect" => self.connect(label, words),
            "in" => self.log_in(label, words),
            "login" => self.say_login(label, words),
            "prove" => self.prove(label, words),
            "read" | "write" | "tur" | "inquiry" | "luns" | "sync" | "scsi" => {
                self.say_command(label, words);
            }
            "data" => self.say_data(label, words),
            "answer" => self.answer_r2t(label, words),
            "tmf" => self.say_tmf(label, words),
            "nop" => self.say_nop(label, words),
            "text" => self.say_text(label, words),
            "logout" => self.say_logout(label, words),
            "snack" => self.say_snack(label, words),
            "pdu" => self.say_opcode(label, words),
            "spoil" => self.wire(label).spoil(),
            "keep" => self.wire(label).keep_back(words.u32("back", 0) as usize),
            _ => panic!("initiators do not {}", words.verb),
        }
    }

    /// A new connection; the session's numbering goes on where there was one.
    fn connect(&mut self, label: u32, words: &Words<'_>) {
        let conn = ConnId(self.next_conn);
        self.next_conn += 1;
        self.world.connect(conn);
        let actor = self.actors.entry(label).or_insert(Actor {
            conn,
            cmd_sn: 1,
            itt: 1000,
            r2t: None,
            login: Vec::new(),
        });
        actor.conn = conn;
        actor.r2t = None;
        if let Some(first) = words.number("first") {
            actor.cmd_sn = first as u32;
        }
    }

    /// A whole login, and the unit attentions out of the way.
    fn log_in(&mut self, label: u32, words: &Words<'_>) {
        let first = words.u32("first", 1);
        self.connect(label, &Words::of(&format!("connect first={first}")));
        let line = format!(
            "login T csg=1 nsg=3 itt=900 InitiatorName=iqn.2026-01.org.example:i{label} \
             TargetName={DISK} {}",
            words.all().join(" ")
        );
        self.say_login(label, &Words::of(&line));
        self.target(label, &Words::of("login T nsg=3 status=0000"));
        if words.has("ua") {
            return;
        }
        for lun in 0..2 {
            self.say_command(label, &Words::of(&format!("tur itt=901 lun={lun}")));
            self.target(label, &Words::of("status itt=901 sense=06/29/00"));
        }
    }

    fn say_login(&mut self, label: u32, words: &Words<'_>) {
        let cmd_sn = Serial(self.actor(label).cmd_sn);
        let isid = words.u32("isid", 1) as u8;
        let request = LoginRequest {
            immediate: true,
            transit: words.has("T"),
            cont: words.has("C"),
            csg: Stage(words.u32("csg", 0) as u8),
            nsg: Stage(words.u32("nsg", 0) as u8),
            version_max: words.u32("vmin", 0) as u8,
            version_min: words.u32("vmin", 0) as u8,
            isid: Isid([0x80, 0, 0, 0, 0, isid]),
            tsih: Tsih(words.u32("tsih", 0) as u16),
            itt: Itt(words.u32("itt", 1)),
            cid: Cid(words.u32("cid", 0) as u16),
            cmd_sn,
            exp_stat_sn: Serial(0),
        };
        let mut text = words.text();
        if let Some(raw) = words.field("raw") {
            text = raw.replace('~', "\0").into_bytes();
        }
        if let Some(fill) = words.number("pad") {
            text.extend(std::iter::repeat_n(b'x', fill as usize));
        }
        self.wire(label).say(&request.into(), &[], &text);
    }

    /// Answers the challenge that was listened to last: `prove name=… secret=…`, and challenges
    /// back where `challenge=` says so.
    fn prove(&mut self, label: u32, words: &Words<'_>) {
        let said = self.actor(label).login.clone();
        let value = |key: &str| {
            let prefix = format!("{key}=");
            let found = said.iter().find_map(|word| word.strip_prefix(&prefix));
            found.expect("a challenge").to_owned()
        };
        let id = value("CHAP_I").parse().unwrap();
        let challenge = iscsi::keys::binary::decode(&value("CHAP_C")).unwrap();
        let algorithm = iscsi::chap::Algorithm(value("CHAP_A").parse().unwrap());
        let secret = words.field("secret").unwrap().replace('_', " ");
        let response = iscsi::chap::response(algorithm, id, secret.as_bytes(), &challenge);
        let response = iscsi::keys::binary::encode_hex(&response);
        let name = words.field("name").unwrap();
        let mut line = format!("login T csg=0 nsg=1 CHAP_N={name} CHAP_R={response}");
        match words.field("challenge") {
            Some("reflected") => line += &format!(" CHAP_I=9 CHAP_C={}", value("CHAP_C")),
            Some(challenge) => line += &format!(" CHAP_I=9 CHAP_C={challenge}"),
            None => {}
        }
        self.say_login(label, &Words::of(&line));
    }

    /// The next CmdSN, or the one the line asks for.
    fn cmd_sn(&mut self, label: u32, words: &Words<'_>, immediate: bool) -> Serial {
        let actor = self.actor(label);
        let sn = words.u32("sn", actor.cmd_sn);
        if !immediate {
            let next = Serial(sn).next();
            if next.is_after(Serial(actor.cmd_sn)) {
                actor.cmd_sn = next.0;
            }
        }
        Serial(sn)
    }

    fn itt(&mut self, label: u32, words: &Words<'_>) -> Itt {
        match words.field("itt") {
            Some("none") => Itt::RESERVED,
            Some(itt) => Itt(crate::words::number(itt) as u32),
            None => {
                let actor = self.actor(label);
                actor.itt += 1;
                Itt(actor.itt)
            }
        }
    }

    fn say_command(&mut self, label: u32, words: &Words<'_>) {
        let (lba, blocks) = (words.u32("lba", 0), words.u32("blocks", 1) as u16);
        let bytes = u32::from(blocks) * 512;
        let mut cdb = [0; 16];
        let (read, write, edtl) = match words.verb {
            "read" => (true, false, bytes),
            "write" => (false, true, bytes),
            "inquiry" => (true, false, 36),
            "luns" => (true, false, 4096),
            _ => (words.has("R"), words.has("W"), 0),
        };
        match words.verb {
            "read" | "write" => {
                cdb[0] = if read { 0x28 } else { 0x2a };
                cdb[2..6].copy_from_slice(&lba.to_be_bytes());
                cdb[7..9].copy_from_slice(&blocks.to_be_bytes());
            }
            "inquiry" => (cdb[0], cdb[4]) = (0x12, words.u32("alloc", 36) as u8),
            "luns" => (cdb[0], cdb[8]) = (0xa0, 0x10),
            "sync" => (cdb[0], cdb[1]) = (0x35, if words.has("IMMED") { 2 } else { 0 }),
            "scsi" => cdb[0] = words.u32("op", 0) as u8,
            _ => {}
        }
        let immediate = words.has("I");
        let request = ScsiCommand {
            immediate,
            is_final: !words.has("noF"),
            read: read || words.has("R"),
            write: write || words.has("W"),
            attribute: TaskAttribute::SIMPLE,
            lun: Lun::from_number(words.u32("lun", 0) as u16),
            itt: self.itt(label, words),
            edtl: words.u32("edtl", edtl),
            cmd_sn: self.cmd_sn(label, words, immediate),
            exp_stat_sn: Serial(0),
            cdb,
        };
        let data = pattern(words.u32("fill", 0) as u8, 0, words.u32("imm", 0) as usize);
        let ahs = vec![0; words.u32("ahs", 0) as usize * 4];
        self.wire(label).say(&request.into(), &ahs, &data);
    }

    fn ttt(&mut self, label: u32, words: &Words<'_>) -> Ttt {
        match words.field("ttt") {
            None | Some("none") => Ttt::RESERVED,
            Some("last") => self.wire(label).last_ttt,
            Some(number) => Ttt(crate::words::number(number) as u32),
        }
    }

    fn say_data(&mut self, label: u32, words: &Words<'_>) {
        let (offset, len) = (words.u32("off", 0), words.u32("len", 0));
        let pdu = DataOut {
            is_final: words.has("F"),
            lun: Lun(0),
            itt: self.itt(label, words),
            ttt: self.ttt(label, words),
            exp_stat_sn: Serial(0),
            data_sn: words.u32("sn", 0),
            buffer_offset: offset,
        };
        let fill = words.u32("fill", 0) as u8;
        let data = pattern(fill, offset as usize, len as usize);
        self.wire(label).say(&pdu.into(), &[], &data);
    }

    /// Sends what the last R2T asked for, in PDUs of `seg` bytes, up to `upto` bytes.
    fn answer_r2t(&mut self, label: u32, words: &Words<'_>) {
        let (itt, ttt, offset, len) = self.actor(label).r2t.take().expect("an R2T");
        let segment = words.u32("seg", 64 << 10);
        let fill = words.u32("fill", 0) as u8;
        let (mut sent, mut data_sn) = (0, 0);
        while sent < len {
            let size = segment.min(len - sent);
            let pdu = DataOut {
                is_final: sent + size == len,
                lun: Lun(0),
                itt,
                ttt,
                exp_stat_sn: Serial(0),
                data_sn,
                buffer_offset: offset + sent,
            };
            let data = pattern(fill, (offset + sent) as usize, size as usize);
            self.wire(label).say(&pdu.into(), &[], &data);
            sent += size;
            data_sn += 1;
        }
    }

    fn say_tmf(&mut self, label: u32, words: &Words<'_>) {
        let immediate = !words.has("queued");
        let function = match words.all().first() {
            Some(&"abort-task") => TmfFunction::ABORT_TASK,
            Some(&"abort-task-set") => TmfFunction::ABORT_TASK_SET,
            Some(&"clear-task-set") => TmfFunction::CLEAR_TASK_SET,
            Some(&"lun-reset") => TmfFunction::LOGICAL_UNIT_RESET,
            Some(&"warm-reset") => TmfFunction::TARGET_WARM_RESET,
            Some(&"reassign") => TmfFunction::TASK_REASSIGN,
            other => panic!("no function {other:?}"),
        };
        let pdu = TaskManagementRequest {
            immediate,
            function,
            lun: Lun::from_number(words.u32("lun", 0) as u16),
            itt: self.itt(label, words),
            rtt: Itt(words.u32("rtt", u32::MAX)),
            cmd_sn: self.cmd_sn(label, words, immediate),
            exp_stat_sn: Serial(0),
            ref_cmd_sn: Serial(words.u32("ref", 0)),
            exp_data_sn: 0,
        };
        self.wire(label).say(&pdu.into(), &[], &[]);
    }

    fn say_nop(&mut self, label: u32, words: &Words<'_>) {
        let immediate = !words.has("queued");
        let pdu = NopOut {
            immediate,
            lun: Lun(0),
            itt: self.itt(label, words),
            ttt: self.ttt(label, words),
            cmd_sn: self.cmd_sn(label, words, immediate),
            exp_stat_sn: Serial(0),
        };
        let data = pattern(1, 0, words.u32("len", 0) as usize);
        self.wire(label).say(&pdu.into(), &[], &data);
    }

    fn say_text(&mut self, label: u32, words: &Words<'_>) {
        let immediate = words.has("I");
        let pdu = TextRequest {
            immediate,
            is_final: words.has("F"),
            cont: words.has("C"),
            lun: Lun(0),
            itt: self.itt(label, words),
            ttt: match words.field("ttt") {
                Some("last") => self.last_text_ttt(label),
                _ => self.ttt(label, words),
            },
            cmd_sn: self.cmd_sn(label, words, immediate),
            exp_stat_sn: Serial(0),
        };
        let text = match words.field("raw") {
            Some(raw) => raw.replace('~', "\0").into_bytes(),
            None => words.text(),
        };
        self.wire(label).say(&pdu.into(), &[], &text);
    }

    fn last_text_ttt(&mut self, label: u32) -> Ttt {
        self.actor(label).r2t.expect("a text with a tag").1
    }

    fn say_logout(&mut self, label: u32, words: &Words<'_>) {
        let immediate = !words.has("queued");
        let pdu = LogoutRequest {
            immediate,
            reason: LogoutReason(words.u32("reason", 0) as u8),
            itt: self.itt(label, words),
            cid: Cid(words.u32("cid", 0) as u16),
            cmd_sn: self.cmd_sn(label, words, immediate),
            exp_stat_sn: Serial(0),
        };
        self.wire(label).say(&pdu.into(), &[], &[]);
    }

    fn say_snack(&mut self, label: u32, words: &Words<'_>) {
        let pdu = Snack {
            kind: 0,
            lun: Lun(0),
            itt: self.itt(label, words),
            ttt: Ttt::RESERVED,
            exp_stat_sn: Serial(0),
            beg_run: 0,
            run_length: 0,
        };
        self.wire(label).say(&pdu.into(), &[], &[]);
    }

    /// A header of which only the opcode means something.
    fn say_opcode(&mut self, label: u32, words: &Words<'_>) {
        let mut bhs = Bhs::default();
        bhs.0[0] = words.u32("op", 0) as u8;
        self.wire(label)
            .say_raw(bhs, &[], &vec![0; words.u32("len", 0) as usize]);
    }

    /// What the target must have done.
    fn target(&mut self, label: u32, words: &Words<'_>) {
        self.world.settle();
        let conn = self.actor(label).conn;
        match words.verb {
            "closed" => {
                assert!(!self.world.is_connected(conn), "the connection is open");
                return;
            }
            "open" => {
                assert!(self.world.is_connected(conn), "the connection is closed");
                return;
            }
            "hush" => {
                self.wire(label).heard.clear();
                return;
            }
            "nothing" => {
                let said: Vec<_> = self.wire(label).heard.iter().map(tell).collect();
                assert!(said.is_empty(), "the target said {said:?}");
                return;
            }
            _ => {}
        }
        let heard = &mut self.wire(label).heard;
        let place = match words.field("itt") {
            Some(itt) => {
                let word = format!("itt={itt}");
                heard.iter().position(|pdu| tell(pdu).contains(&word))
            }
            None => (!heard.is_empty()).then_some(0),
        };
        let place = place.unwrap_or_else(|| {
            let said: Vec<_> = heard.iter().map(tell).collect();
            panic!("the target said only {said:?}")
        });
        let pdu = heard.remove(place).unwrap();
        self.compare(&pdu, words);
        self.keep(label, pdu);
    }

    fn compare(&self, pdu: &Heard, words: &Words<'_>) {
        let said = tell(pdu);
        assert_eq!(said[0], words.verb, "the target said {said:?}");
        for word in words.all() {
            if let (Response::DataIn(data_in), Some(fill)) = (&pdu.pdu, word.strip_prefix("fill="))
            {
                let fill = crate::words::number(fill) as u8;
                let expected = pattern(fill, data_in.buffer_offset as usize, pdu.data.len());
                assert!(pdu.data == expected, "other data than was stored");
            } else if let Some(absent) = word.strip_prefix('!') {
                let field = format!("{absent}=");
                let found = said
                    .iter()
                    .any(|said| said == absent || said.starts_with(&field));
                assert!(!found, "{absent} is in {said:?}");
            } else {
                assert!(
                    said.iter().any(|said| said == word),
                    "no {word} in {said:?}"
                );
            }
        }
    }

    /// What later lines refer to.
    fn keep(&mut self, label: u32, pdu: Heard) {
        let actor = self.actor(label);
        match &pdu.pdu {
            Response::R2t(r2t) => {
                actor.r2t = Some((r2t.itt, r2t.ttt, r2t.buffer_offset, r2t.desired_len));
            }
            Response::Text(text) => actor.r2t = Some((text.itt, text.ttt, 0, 0)),
            Response::Login(_) => actor.login = tell(&pdu),
            _ => {}
        }
    }

    /// What storage does.
    fn storage(&mut self, words: &Words<'_>) {
        if words.verb != "hold" {
            self.world.settle();
        }
        let unit = UnitId(words.u32("lun", 0) + 1);
        let start = words.u32("lba", 0) as usize * 512;
        let len = words.u32("blocks", 1) as usize * 512;
        let fill = words.u32("fill", 0) as u8;
        match words.verb {
            "hold" => self.world.hold = true,
            "go" => self.world.hold = false,
            "ok" => self.world.answer(words.u32("nth", 0) as usize, Ok(())),
            "fail" => self.world.answer(0, Err(fault(words.all()[0]))),
            "late" => self.world.give_up(),
            "lands" => self.world.land(),
            "has" => assert_eq!(self.world.held_count(), words.u32("tickets", 0) as usize),
            "fill" => {
                let image = self.world.disks.bytes(unit, start, len);
                image.copy_from_slice(&pattern(fill, 0, len));
            }
            "holds" => {
                let image = self.world.disks.bytes(unit, start, len);
                assert!(image == pattern(fill, 0, len), "other data on disk");
            }
            "clean" => {
                let image = self.world.disks.bytes(unit, start, len);
                let written = image.iter().any(|byte| *byte != 0);
                assert!(!written, "something was written");
            }
            other => panic!("storage does not {other}"),
        }
    }

    /// What happens around.
    fn surroundings(&mut self, words: &Words<'_>) {
        // What is said `at-once` happens while all before it is still under way.
        if !words.has("at-once") {
            self.world.settle();
        }
        let seconds = |words: &Words<'_>| Duration::from_secs(words.number("s").unwrap());
        let label = words.u32("of", 1);
        match words.verb {
            "pass" => self.world.pass(seconds(words)),
            "mail" => self.world.mail_stops = words.has("stops"),
            "shutdown" => self.world.shut_down(seconds(words)),
            "serve" => self.serve(words),
            "vacated" | "in-use" => {
                let unit = UnitId(words.u32("unit", 0));
                let vacated = self.world.vacated.contains(&unit);
                assert_eq!(vacated, words.verb == "vacated", "{:?}", self.world.vacated);
            }
            "cut" => {
                let conn = self.actor(label).conn;
                self.world.lose(conn);
            }
            "unread" => {
                let conn = self.actor(label).conn;
                self.world.set_unread(conn, true);
            }
            "reads" => {
                let conn = self.actor(label).conn;
                self.world.set_unread(conn, false);
            }
            "sessions" => assert_eq!(self.world.session_count(), words.u32("n", 0) as usize),
            other => panic!("the world does not {other}"),
        }
    }
}

impl Play {
    /// The operator decides anew: `serve 0=1 1=2` gives the disk target units 1 and 2 as LUNs 0 and
    /// 1, `away=1` lets LUN 1 be busy, `only=i1` lets one initiator in, `gone` takes the target away.
    fn serve(&mut self, words: &Words<'_>) {
        let mut target = config().targets.swap_remove(0);
        let luns = words.all().iter().filter_map(|word| {
            let (lun, unit) = word.split_once('=')?;
            Some((lun.parse().ok()?, UnitId(unit.parse().unwrap())))
        });
        target.luns = luns.collect();
        target.away = words
            .number("away")
            .map(|lun| lun as u16)
            .into_iter()
            .collect();
        if let Some(only) = words.field("only") {
            let name = IscsiName::parse(&format!("iqn.2026-01.org.example:{only}")).unwrap();
            target.access = InitiatorAccess::Only(vec![name]);
        }
        if let Some(secret) = words.field("secret") {
            target.chap.push(ChapCredential {
                name: "user".to_owned(),
                secret: secret.into(),
            });
        }
        let decided = &mut self.world.decided;
        decided
            .targets
            .retain(|target| target.name.as_str() != DISK);
        if !words.has("gone") {
            decided.targets.insert(0, target);
        }
        let grace = Duration::from_secs(words.number("grace").unwrap_or(5));
        self.world.configure(grace);
        if !words.has("at-once") {
            self.world.settle();
            assert_eq!(
                self.world.heard, self.world.decided.version,
                "not all heard"
            );
        }
    }
}

fn fault(name: &str) -> Fault {
    match name {
        "read" => Fault::ReadFailed,
        "write" => Fault::WriteFailed,
        "flush" => Fault::FlushFailed,
        "space" => Fault::NoSpace,
        "unreachable" => Fault::Unreachable,
        other => panic!("no fault {other}"),
    }
}
