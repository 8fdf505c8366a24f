//! A target as small as can be, for testing the initiator: one disk in memory, no security, no
//! digests, one thread per connection. It takes what comes and closes on what it does not know.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use iscsi::keys::{self, Offer, Phase, Responder};
use iscsi::pdu::{
    DataIn, LoginRequest, LoginResponse, LogoutResponse, NopIn, R2t, Request, Response,
    ScsiCommand, ScsiResponse,
};
use iscsi::{
    Bhs, Data, Digests, Framer, Itt, LoginStatus, LogoutResult, Lun, Outbox, Payload, Serial,
    Stage, Tsih, Ttt,
};

const BLOCK: usize = 512;
const MAX_BURST: usize = 8192;

/// The target: dropped, it closes its listener and all connections.
pub(crate) struct Tiny {
    pub(crate) addr: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    disk: Mutex<Vec<u8>>,
    conns: Mutex<Vec<TcpStream>>,
    closed: AtomicBool,
    /// Commands after which a connection is cut; 0 is never.
    cut_after: AtomicU64,
    writes: AtomicU64,
}

impl Tiny {
    pub(crate) fn start(blocks: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let addr = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            disk: Mutex::new(vec![0; blocks * BLOCK]),
            conns: Mutex::default(),
            closed: AtomicBool::new(false),
            cut_after: AtomicU64::new(0),
            writes: AtomicU64::new(0),
        });
        let keeper = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if keeper.closed.load(Ordering::SeqCst) {
                    return;
                }
                let copy = stream.try_clone().expect("a socket clones");
                keeper.conns.lock().expect("not poisoned").push(copy);
                let shared = keeper.clone();
                std::thread::spawn(move || {
                    let end = stream.try_clone();
                    // The initiator sees how it ended; nobody else asks.
                    let _ = Serving::new(stream, shared).run();
                    let _ = end.and_then(|stream| stream.shutdown(std::net::Shutdown::Both));
                });
            }
        });
        Self { addr, shared }
    }

    /// Cut every connection after this many commands.
    pub(crate) fn cut_after(&self, commands: u64) {
        self.shared.cut_after.store(commands, Ordering::SeqCst);
    }

    /// Writes carried out.
    pub(crate) fn writes(&self) -> u64 {
        self.shared.writes.load(Ordering::SeqCst)
    }

    /// Spoil one byte of the disk.
    pub(crate) fn spoil(&self, at: usize) {
        self.shared.disk.lock().expect("not poisoned")[at] ^= 0xff;
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.addr);
        for conn in self.shared.conns.lock().expect("not poisoned").drain(..) {
            let _ = conn.shutdown(std::net::Shutdown::Both);
        }
    }
}

/// A write whose data is on its way.
struct Pending {
    itt: Itt,
    at: usize,
    data: Vec<u8>,
    filled: usize,
    r2t_sn: u32,
}

struct Serving {
    stream: TcpStream,
    shared: Arc<Shared>,
    outbox: Outbox<Vec<u8>>,
    responder: Responder,
    stat_sn: Serial,
    exp_cmd_sn: Serial,
    full_feature: bool,
    pending: Vec<Pending>,
    commands: u64,
}

type Ended = Result<(), Box<dyn std::error::Error>>;

impl Serving {
    fn new(stream: TcpStream, shared: Arc<Shared>) -> Self {
        let offer = Offer {
            max_burst: MAX_BURST as u32,
            first_burst: 2048,
            max_recv_data_segment: 1024,
            ..Offer::default()
        };
        Self {
            stream,
            shared,
            outbox: Outbox::new(),
            responder: Responder::new(offer),
            stat_sn: Serial(1000),
            exp_cmd_sn: Serial(0),
            full_feature: false,
            pending: Vec::new(),
            commands: 0,
        }
    }

    fn run(mut self) -> Ended {
        let mut framer: Framer<Vec<u8>> = Framer::new(1 << 20, 64 * 1024);
        loop {
            let len = self.stream.read(framer.space())?;
            if len == 0 {
                return Ok(());
            }
            framer.filled(len);
            while let Some(frame) = framer.next(|_| None)? {
                let Data::Inline(data) = frame.data else {
                    return Err("placed".into());
                };
                self.take(&frame.bhs, data)?;
            }
            let mut slices = Vec::new();
            self.outbox.slices(&mut slices);
            let bytes: Vec<u8> = slices
                .iter()
                .flat_map(|slice| slice.iter().copied())
                .collect();
            self.outbox.advance(bytes.len(), drop);
            self.stream.write_all(&bytes)?;
            let cut = self.shared.cut_after.load(Ordering::SeqCst);
            if cut > 0 && self.commands >= cut {
                return Ok(self.stream.shutdown(std::net::Shutdown::Both)?);
            }
        }
    }

    fn take(&mut self, bhs: &Bhs, data: &[u8]) -> Ended {
        match Request::decode(bhs)? {
            Request::Login(pdu) if !self.full_feature => self.login(&pdu, data),
            _ if !self.full_feature => Err("the first PDU is no login".into()),
            Request::ScsiCommand(pdu) => self.command(&pdu, data),
            Request::DataOut(pdu) => {
                let index = self.pending.iter().position(|task| task.itt == pdu.itt);
                let index = index.ok_or("Data-Out for nothing")?;
                let task = &mut self.pending[index];
                let at = pdu.buffer_offset as usize;
                task.data
                    .get_mut(at..at + data.len())
                    .ok_or("beyond")?
                    .copy_from_slice(data);
                task.filled += data.len();
                if pdu.is_final {
                    self.go_on(index);
                }
                Ok(())
            }
            Request::NopOut(pdu) => {
                let echo = NopIn {
                    lun: pdu.lun,
                    itt: pdu.itt,
                    ttt: Ttt::RESERVED,
                    stat_sn: self.next_stat_sn(),
                    exp_cmd_sn: self.exp_cmd_sn,
                    max_cmd_sn: self.max_cmd_sn(),
                };
                self.send(echo, data);
                Ok(())
            }
            Request::Logout(pdu) => {
                let response = LogoutResponse {
                    result: LogoutResult::CLOSED,
                    itt: pdu.itt,
                    stat_sn: self.next_stat_sn(),
                    exp_cmd_sn: self.exp_cmd_sn,
                    max_cmd_sn: self.max_cmd_sn(),
                    time2wait: 0,
                    time2retain: 0,
                };
                self.send(response, &[]);
                self.shared.cut_after.fetch_max(1, Ordering::SeqCst);
                self.commands = u64::MAX;
                Ok(())
            }
            _ => Err("not in this small target".into()),
        }
    }

    fn login(&mut self, pdu: &LoginRequest, data: &[u8]) -> Ended {
        let mut text = b"TargetPortalGroupTag=1\0".to_vec();
        for (key, value) in keys::parse(data)? {
            let answer = match key {
                "AuthMethod" => Some("None".to_owned()),
                "InitiatorName" | "TargetName" | "SessionType" => None,
                _ => self
                    .responder
                    .receive(key, value, Phase::LeadingLogin)
                    .map_err(|_| "key")?,
            };
            if let Some(answer) = answer {
                text.extend_from_slice(format!("{key}={answer}\0").as_bytes());
            }
        }
        self.exp_cmd_sn = pdu.cmd_sn;
        let status = match data.windows(11).any(|part| part == b"iqn.missing") {
            true => LoginStatus::NOT_FOUND,
            false => LoginStatus::SUCCESS,
        };
        self.full_feature = pdu.transit && pdu.nsg == Stage::FULL_FEATURE;
        let response = LoginResponse {
            transit: pdu.transit,
            cont: false,
            csg: pdu.csg,
            nsg: pdu.nsg,
            version_max: 0,
            version_active: 0,
            isid: pdu.isid,
            tsih: Tsih(u16::from(self.full_feature)),
            itt: pdu.itt,
            stat_sn: self.next_stat_sn(),
            exp_cmd_sn: self.exp_cmd_sn,
            max_cmd_sn: self.max_cmd_sn(),
            status,
        };
        if self.full_feature {
            text.extend_from_slice(b"MaxRecvDataSegmentLength=1024\0");
        }
        self.send(response, &text);
        Ok(())
    }

    fn command(&mut self, pdu: &ScsiCommand, data: &[u8]) -> Ended {
        if pdu.cmd_sn != self.exp_cmd_sn {
            return Err("CmdSN out of order".into());
        }
        self.exp_cmd_sn = self.exp_cmd_sn.plus(u32::from(!pdu.immediate));
        self.commands += 1;
        let word = |at: usize| u32::from_be_bytes(pdu.cdb[at..at + 4].try_into().expect("four"));
        let short = || u16::from_be_bytes([pdu.cdb[7], pdu.cdb[8]]);
        let (at, len) = match pdu.cdb[0] {
            0x28 | 0x2a => (word(2) as usize * BLOCK, usize::from(short()) * BLOCK),
            _ => (0, 0),
        };
        let size = self.shared.disk.lock().expect("not poisoned").len();
        match pdu.cdb[0] {
            0x28 | 0x2a if at + len > size => self.check(pdu.itt, [5, 0x21, 0]),
            0x28 => {
                let data = self.shared.disk.lock().expect("not poisoned")[at..at + len].to_vec();
                self.read_data(pdu, &data);
            }
            0x2a => {
                let mut task = Pending {
                    itt: pdu.itt,
                    at,
                    data: vec![0; len],
                    filled: 0,
                    r2t_sn: 0,
                };
                task.data[..data.len()].copy_from_slice(data);
                task.filled = data.len();
                self.pending.push(task);
                if pdu.is_final {
                    self.go_on(self.pending.len() - 1);
                }
            }
            0x9e => {
                let mut answer = [0; 32];
                answer[..8].copy_from_slice(&((size / BLOCK - 1) as u64).to_be_bytes());
                answer[8..12].copy_from_slice(&(BLOCK as u32).to_be_bytes());
                self.read_data(pdu, &answer);
            }
            0x00 | 0x35 => self.status(pdu.itt, 0, &[], (false, 0)),
            _ => self.check(pdu.itt, [5, 0x20, 0]),
        }
        Ok(())
    }

    /// Data-Ins of 1000 bytes, then a SCSI Response.
    fn read_data(&mut self, pdu: &ScsiCommand, data: &[u8]) {
        let edtl = pdu.edtl as usize;
        let sent = &data[..data.len().min(edtl)];
        for (index, chunk) in sent.chunks(1000).enumerate() {
            let data_in = DataIn {
                is_final: (index + 1) * 1000 >= sent.len(),
                acknowledge: false,
                overflow: false,
                underflow: false,
                has_status: false,
                status: 0,
                lun: Lun(0),
                itt: pdu.itt,
                ttt: Ttt::RESERVED,
                stat_sn: Serial(0),
                exp_cmd_sn: self.exp_cmd_sn,
                max_cmd_sn: self.max_cmd_sn(),
                data_sn: index as u32,
                buffer_offset: (index * 1000) as u32,
                residual: 0,
            };
            self.send(data_in, chunk);
        }
        let residual = (data.len() > edtl, data.len().abs_diff(edtl) as u32);
        self.status(pdu.itt, 0, &[], residual);
    }

    /// Data of a write has come: ask for more, or carry it out.
    fn go_on(&mut self, index: usize) {
        let (exp_cmd_sn, max_cmd_sn) = (self.exp_cmd_sn, self.max_cmd_sn());
        let task = &mut self.pending[index];
        let left = task.data.len() - task.filled;
        if left > 0 {
            let r2t = R2t {
                lun: Lun(0),
                itt: task.itt,
                ttt: Ttt(task.r2t_sn),
                stat_sn: self.stat_sn,
                exp_cmd_sn,
                max_cmd_sn,
                r2t_sn: task.r2t_sn,
                buffer_offset: task.filled as u32,
                desired_len: left.min(MAX_BURST) as u32,
            };
            task.r2t_sn += 1;
            return self.send(r2t, &[]);
        }
        let task = self.pending.remove(index);
        let end = task.at + task.data.len();
        self.shared.disk.lock().expect("not poisoned")[task.at..end].copy_from_slice(&task.data);
        self.shared.writes.fetch_add(1, Ordering::SeqCst);
        self.status(task.itt, 0, &[], (false, 0));
    }

    fn check(&mut self, itt: Itt, [key, asc, ascq]: [u8; 3]) {
        let sense = [
            0, 18, 0x70, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, asc, ascq, 0, 0, 0, 0,
        ];
        self.status(itt, 2, &sense, (false, 0));
    }

    fn status(&mut self, itt: Itt, status: u8, sense: &[u8], (overflow, residual): (bool, u32)) {
        let response = ScsiResponse {
            bidi_overflow: false,
            bidi_underflow: false,
            overflow: overflow && residual > 0,
            underflow: !overflow && residual > 0,
            response: 0,
            status,
            itt,
            snack_tag: 0,
            stat_sn: self.next_stat_sn(),
            exp_cmd_sn: self.exp_cmd_sn,
            max_cmd_sn: self.max_cmd_sn(),
            exp_data_sn: 0,
            bidi_residual: 0,
            residual,
        };
        self.send(response, sense);
    }

    fn send(&mut self, pdu: impl Into<Response>, data: &[u8]) {
        self.outbox.push(
            pdu.into().encode(),
            Payload::Inline(data),
            Digests::default(),
        );
    }

    fn next_stat_sn(&mut self) -> Serial {
        let this = self.stat_sn;
        self.stat_sn = this.next();
        this
    }

    fn max_cmd_sn(&self) -> Serial {
        self.exp_cmd_sn.plus(15)
    }
}
