//! As much of an initiator as these tests need: blocking, one PDU at a time, plain parameters.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use iscsi::pdu::{LoginRequest, LogoutRequest, ScsiCommand};
use iscsi::{
    Bhs, Cid, Digests, Isid, Itt, LogoutReason, Lun, Opcode, Outbox, Payload, Serial, Stage,
    TaskAttribute, Tsih,
};

pub(crate) const TARGET: &str = "iqn.2026-01.com.example:disk";

pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    /// Where commands go.
    pub(crate) lun: u16,
    host: String,
    target: String,
    cmd_sn: Serial,
    exp_stat_sn: Serial,
    itt: u32,
}

pub(crate) struct Pdu {
    pub(crate) bhs: Bhs,
    pub(crate) data: Vec<u8>,
}

impl Wire {
    pub(crate) fn connect(portal: SocketAddr) -> Self {
        let stream = TcpStream::connect(portal).expect("the portal listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(15)))
            .expect("a timeout");
        Self {
            stream,
            lun: 0,
            host: "iqn.2026-01.com.example:host".to_owned(),
            target: TARGET.to_owned(),
            cmd_sn: Serial(1),
            exp_stat_sn: Serial(1),
            itt: 1,
        }
    }

    /// A session with the test target, straight from the operational stage.
    pub(crate) fn login(portal: SocketAddr) -> Self {
        let mut wire = Self::connect(portal);
        let response = wire.try_login(1);
        assert_eq!(response.bhs.0[36..38], [0, 0], "login status");
        wire
    }

    /// As somebody else, or to another target.
    pub(crate) fn connect_as(portal: SocketAddr, host: &str, target: &str) -> Self {
        Self {
            host: format!("iqn.2026-01.com.example:{host}"),
            target: target.to_owned(),
            ..Self::connect(portal)
        }
    }

    pub(crate) fn try_login(&mut self, isid: u8) -> Pdu {
        let (host, target) = (&self.host, &self.target);
        let text = format!(
            "InitiatorName={host}\0TargetName={target}\0SessionType=Normal\0\
             HeaderDigest=None\0DataDigest=None\0InitialR2T=No\0ImmediateData=Yes\0\
             DefaultTime2Retain=1\0"
        );
        let request = LoginRequest {
            immediate: true,
            transit: true,
            cont: false,
            csg: Stage::OPERATIONAL,
            nsg: Stage::FULL_FEATURE,
            version_max: 0,
            version_min: 0,
            isid: Isid([0x80, 0, 0, 0, 0, isid]),
            tsih: Tsih(0),
            itt: Itt(0),
            cid: Cid(0),
            cmd_sn: self.cmd_sn,
            exp_stat_sn: self.exp_stat_sn,
        };
        self.send(request.encode(), text.as_bytes());
        self.receive().expect("a login response")
    }

    pub(crate) fn write(&mut self, lba: u32, data: &[u8]) -> u8 {
        let bhs = self.command(0x2a, lba, data.len(), true);
        self.send(bhs, data);
        let response = self.receive().expect("a response");
        assert_eq!(response.bhs.opcode(), Opcode::SCSI_RESPONSE);
        response.bhs.0[3]
    }

    /// One WRITE(10): its status, and sense key, ASC and ASCQ where there are some.
    pub(crate) fn try_write(&mut self, lba: u32, data: &[u8]) -> (u8, [u8; 3]) {
        let bhs = self.command(0x2a, lba, data.len(), true);
        self.send(bhs, data);
        self.outcome()
    }

    /// TEST UNIT READY, as [`Self::try_write`].
    pub(crate) fn try_unit(&mut self) -> (u8, [u8; 3]) {
        let bhs = self.command(0x00, 0, 0, false);
        self.send(bhs, &[]);
        self.outcome()
    }

    fn outcome(&mut self) -> (u8, [u8; 3]) {
        let response = self.receive().expect("a response");
        assert_eq!(response.bhs.opcode(), Opcode::SCSI_RESPONSE);
        let sense = match response.data.get(2..16) {
            Some(sense) => [sense[2] & 0x0f, sense[12], sense[13]],
            None => [0; 3],
        };
        (response.bhs.0[3], sense)
    }

    /// REPORT LUNS: the numbers below 256.
    pub(crate) fn luns(&mut self) -> Vec<u8> {
        let mut bhs = self.command(0xa0, 0, 512, false);
        // The allocation length, where READ(10) has its block count a byte further on.
        bhs.0[32 + 6..32 + 10].copy_from_slice(&512_u32.to_be_bytes());
        self.send(bhs, &[]);
        let list = self.receive().expect("Data-In");
        assert_eq!(list.bhs.opcode(), Opcode::DATA_IN);
        list.data[8..].chunks(8).map(|lun| lun[1]).collect()
    }

    /// Sends a READ(10) and does not wait for its answer.
    pub(crate) fn ask_read(&mut self, lba: u32, len: usize) {
        let bhs = self.command(0x28, lba, len, false);
        self.send(bhs, &[]);
    }

    pub(crate) fn read(&mut self, lba: u32, len: usize) -> Vec<u8> {
        self.ask_read(lba, len);
        let mut data = Vec::new();
        loop {
            let pdu = self.receive().expect("Data-In");
            assert_eq!(
                pdu.bhs.opcode(),
                Opcode::DATA_IN,
                "status {:#x}",
                pdu.bhs.0[3]
            );
            data.extend_from_slice(&pdu.data);
            if pdu.bhs.0[1] & 1 != 0 {
                return data;
            }
        }
    }

    /// Until GOOD: the first commands of a nexus meet a unit attention.
    pub(crate) fn settle(&mut self) {
        for _ in 0..4 {
            let bhs = self.command(0x00, 0, 0, false);
            self.send(bhs, &[]);
            if self.receive().expect("a response").bhs.0[3] == 0 {
                return;
            }
        }
        panic!("TEST UNIT READY never became GOOD");
    }

    pub(crate) fn logout(&mut self) {
        let request = LogoutRequest {
            immediate: true,
            reason: LogoutReason::CLOSE_SESSION,
            itt: Itt(self.itt),
            cid: Cid(0),
            cmd_sn: self.cmd_sn,
            exp_stat_sn: self.exp_stat_sn,
        };
        self.send(request.encode(), &[]);
        let response = self.receive().expect("a logout response");
        assert_eq!(response.bhs.opcode(), Opcode::LOGOUT_RESPONSE);
    }

    fn command(&mut self, opcode: u8, lba: u32, len: usize, write: bool) -> Bhs {
        let mut cdb = [0; 16];
        cdb[0] = opcode;
        cdb[2..6].copy_from_slice(&lba.to_be_bytes());
        cdb[7..9].copy_from_slice(&((len / 512) as u16).to_be_bytes());
        self.itt += 1;
        let command = ScsiCommand {
            immediate: false,
            is_final: true,
            read: !write && len > 0,
            write,
            attribute: TaskAttribute::SIMPLE,
            lun: Lun::from_number(self.lun),
            itt: Itt(self.itt),
            edtl: len as u32,
            cmd_sn: self.cmd_sn,
            exp_stat_sn: self.exp_stat_sn,
            cdb,
        };
        self.cmd_sn = self.cmd_sn.next();
        command.encode()
    }

    pub(crate) fn send(&mut self, bhs: Bhs, data: &[u8]) {
        let mut outbox = Outbox::<Vec<u8>>::new();
        outbox.push(bhs, Payload::Inline(data), Digests::default());
        let mut slices = Vec::new();
        outbox.slices(&mut slices);
        for slice in slices {
            self.stream.write_all(&slice).expect("sent");
        }
    }

    /// The next PDU; `None` when the target closed.
    pub(crate) fn receive(&mut self) -> Option<Pdu> {
        let mut bhs = Bhs([0; 48]);
        self.stream.read_exact(&mut bhs.0).ok()?;
        let len = bhs.data_segment_len() as usize;
        let mut data = vec![0; len.next_multiple_of(4)];
        self.stream.read_exact(&mut data).ok()?;
        data.truncate(len);
        Some(Pdu { bhs, data })
    }

    /// Whether the target closes within the timeout, having sent nothing more.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0; 1]) {
            Ok(bytes) => bytes == 0,
            Err(why) => why.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}
