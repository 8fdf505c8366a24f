//! The initiator's end of a connection: PDUs out as bytes, bytes in as PDUs, and a passive monitor
//! of what every target must keep to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use block::Buffer;
use iscsi::frame::{Data, Framer};
use iscsi::outbox::{Outbox, Payload};
use iscsi::pdu::{DataIn, LoginResponse, Request, Response};
use iscsi::{Bhs, Digests, Itt, LoginStatus, Serial, Stage, TmfFunction, TmfResponse, Ttt};

/// A PDU the target sent, not yet looked at.
pub(crate) struct Heard {
    pub(crate) pdu: Response,
    pub(crate) data: Vec<u8>,
}

pub(crate) struct Wire {
    /// Bytes on their way to the target.
    pub(crate) sending: VecDeque<u8>,
    pub(crate) heard: VecDeque<Heard>,
    pub(crate) digests: Digests,
    framer: Framer<Buffer>,
    stat_sn: Option<Serial>,
    window: Option<(Serial, Serial)>,
    /// Commands whose status is due, with what came so far.
    open: BTreeMap<Itt, Progress>,
    /// ABORT TASK functions under way: their tag, and the task's.
    aborting: BTreeMap<Itt, Itt>,
    /// Tasks of which nothing may come any more.
    dead: BTreeSet<Itt>,
    /// Whether the initiator keeps to the rules, so that the target's answers can be held to them.
    pub(crate) is_monitored: bool,
    /// The tag of the last R2T or target ping.
    pub(crate) last_ttt: Ttt,
}

#[derive(Default)]
struct Progress {
    data_sn: u32,
    offset: u32,
    r2t_sn: u32,
    asked_to: Option<u32>,
}

impl Wire {
    pub(crate) fn new() -> Self {
        Self {
            sending: VecDeque::new(),
            heard: VecDeque::new(),
            digests: Digests::default(),
            framer: Framer::new(0x00ff_ffff, 64 << 10),
            stat_sn: None,
            window: None,
            open: BTreeMap::new(),
            aborting: BTreeMap::new(),
            dead: BTreeSet::new(),
            is_monitored: true,
            last_ttt: Ttt::RESERVED,
        }
    }

    pub(crate) fn say(&mut self, request: &Request, ahs: &[u8], data: &[u8]) {
        match request {
            Request::ScsiCommand(command) => {
                self.dead.remove(&command.itt);
                self.open.entry(command.itt).or_default();
            }
            Request::TaskManagement(tmf) if tmf.function == TmfFunction::ABORT_TASK => {
                self.aborting.insert(tmf.itt, tmf.rtt);
            }
            _ => {}
        }
        self.say_raw(request.encode(), ahs, data);
    }

    pub(crate) fn say_raw(&mut self, bhs: Bhs, ahs: &[u8], data: &[u8]) {
        let mut outbox: Outbox<Vec<u8>> = Outbox::new();
        outbox.push_with_ahs(bhs, ahs, Payload::Inline(data), self.digests);
        let mut slices = Vec::new();
        outbox.slices(&mut slices);
        for slice in &slices {
            self.sending.extend(slice.iter());
        }
    }

    /// The data digest of what was said last will not match.
    pub(crate) fn spoil(&mut self) {
        let last = self.sending.back_mut().expect("something was said");
        *last ^= 0xff;
    }

    /// The last bytes of what was said stay behind.
    pub(crate) fn keep_back(&mut self, bytes: usize) {
        let left = self.sending.len() - bytes;
        self.sending.truncate(left);
    }

    /// Bytes from the target.
    pub(crate) fn hear(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let space = self.framer.space();
            let count = space.len().min(bytes.len());
            space[..count].copy_from_slice(&bytes[..count]);
            self.framer.filled(count);
            bytes = &bytes[count..];
            loop {
                let frame = self.framer.next(|_| None).expect("the target frames well");
                let Some(frame) = frame else { break };
                assert!(frame.data_digest_ok, "the target's digest does not match");
                let Data::Inline(data) = frame.data else {
                    unreachable!("nothing is placed");
                };
                let data = data.to_vec();
                let pdu = Response::decode(&frame.bhs).expect("a PDU of the target's");
                self.watch(&pdu, &data);
                self.heard.push_back(Heard { pdu, data });
            }
        }
    }

    fn watch(&mut self, pdu: &Response, data: &[u8]) {
        self.watch_numbers(pdu);
        if let Response::Login(login) = pdu {
            self.adopt_digests(login, data);
        }
        if self.is_monitored {
            self.watch_task(pdu, data);
        }
    }

    fn adopt_digests(&mut self, login: &LoginResponse, data: &[u8]) {
        let full = login.transit && login.nsg == Stage::FULL_FEATURE;
        if full && login.status == LoginStatus::SUCCESS {
            let text = String::from_utf8_lossy(data);
            self.digests = Digests {
                header: text.contains("HeaderDigest=CRC32C"),
                data: text.contains("DataDigest=CRC32C"),
            };
            self.framer.set_digests(self.digests);
        }
    }

    /// What concerns one command.
    fn watch_task(&mut self, pdu: &Response, data: &[u8]) {
        match pdu {
            Response::DataIn(data_in) => self.watch_data_in(data_in, data.len() as u32),
            Response::R2t(r2t) => {
                let progress = self.task(r2t.itt);
                assert_eq!(r2t.r2t_sn, progress.r2t_sn, "R2TSN");
                progress.r2t_sn += 1;
                let due = progress.asked_to.unwrap_or(r2t.buffer_offset);
                assert_eq!(r2t.buffer_offset, due, "R2Ts are contiguous");
                progress.asked_to = Some(r2t.buffer_offset + r2t.desired_len);
                assert_ne!(r2t.ttt, Ttt::RESERVED);
                self.last_ttt = r2t.ttt;
            }
            Response::ScsiResponse(status) => {
                let progress = self.task(status.itt);
                assert_eq!(status.exp_data_sn, progress.data_sn.max(progress.r2t_sn));
                self.open.remove(&status.itt);
            }
            Response::TaskManagement(tmf) => {
                let aborted = self.aborting.remove(&tmf.itt);
                if let Some(rtt) = aborted.filter(|_| tmf.response == TmfResponse::COMPLETE) {
                    self.open.remove(&rtt);
                    self.dead.insert(rtt);
                }
            }
            Response::NopIn(nop) if nop.ttt != Ttt::RESERVED => self.last_ttt = nop.ttt,
            _ => {}
        }
    }

    fn watch_data_in(&mut self, pdu: &DataIn, len: u32) {
        let progress = self.task(pdu.itt);
        assert_eq!(pdu.data_sn, progress.data_sn, "DataSN");
        assert_eq!(pdu.buffer_offset, progress.offset, "Data-In is contiguous");
        progress.data_sn += 1;
        progress.offset += len;
        if pdu.has_status {
            assert!(pdu.is_final, "S comes with F");
            self.open.remove(&pdu.itt);
        }
    }

    fn task(&mut self, itt: Itt) -> &mut Progress {
        assert!(!self.dead.contains(&itt), "{itt} was aborted");
        let open = self.open.get_mut(&itt);
        open.unwrap_or_else(|| panic!("{itt} is no command in progress"))
    }

    /// StatSN, ExpCmdSN and MaxCmdSN (RFC 7143 4.2.2).
    fn watch_numbers(&mut self, pdu: &Response) {
        let (stat_sn, advances, window) = match pdu {
            Response::Login(p) => (p.stat_sn, true, (p.exp_cmd_sn, p.max_cmd_sn)),
            Response::ScsiResponse(p) => (p.stat_sn, true, (p.exp_cmd_sn, p.max_cmd_sn)),
            Response::TaskManagement(p) => (p.stat_sn, true, (p.exp_cmd_sn, p.max_cmd_sn)),
            Response::Text(p) => (p.stat_sn, true, (p.exp_cmd_sn, p.max_cmd_sn)),
            Response::Logout(p) => (p.stat_sn, true, (p.exp_cmd_sn, p.max_cmd_sn)),
            Response::Async(p) => (p.stat_sn, true, (p.exp_cmd_sn, p.max_cmd_sn)),
            Response::Reject(p) => (p.stat_sn, true, (p.exp_cmd_sn, p.max_cmd_sn)),
            Response::R2t(p) => (p.stat_sn, false, (p.exp_cmd_sn, p.max_cmd_sn)),
            Response::NopIn(p) => {
                let echo = p.itt != Itt::RESERVED;
                (p.stat_sn, echo, (p.exp_cmd_sn, p.max_cmd_sn))
            }
            Response::DataIn(p) if p.has_status => (p.stat_sn, true, (p.exp_cmd_sn, p.max_cmd_sn)),
            Response::DataIn(p) => {
                let due = self.stat_sn.unwrap_or_default();
                (due, false, (p.exp_cmd_sn, p.max_cmd_sn))
            }
        };
        let due = self.stat_sn.unwrap_or(stat_sn);
        assert_eq!(stat_sn, due, "StatSN of {pdu:?}");
        self.stat_sn = Some(if advances { due.next() } else { due });
        let (exp, max) = window;
        assert!(exp.distance_to(max) >= -1, "MaxCmdSN below ExpCmdSN - 1");
        if let Some((told_exp, told_max)) = self.window {
            assert!(told_exp.distance_to(exp) >= 0, "ExpCmdSN moved back");
            assert!(told_max.distance_to(max) >= 0, "MaxCmdSN moved back");
        }
        self.window = Some(window);
    }
}
