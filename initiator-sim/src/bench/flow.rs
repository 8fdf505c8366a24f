//! One session under load: a blocking loop of read, parse, issue, write.

use std::io::{self, IoSlice, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::Bytes;
use iscsi::keys::Params;
use iscsi::pdu::{DataIn, DataOut, NopIn, NopOut, R2t, Response, ScsiCommand, ScsiResponse};
use iscsi::{
    Bhs, Data, Digests, Framer, Itt, Lun, Malformed, Opcode, Outbox, Payload, TaskAttribute, Ttt,
};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};

use super::pick::Picker;
use super::stamp::{self, Ledger};
use super::{Access, BenchError, Gate, Plan, Step, Tally};
use crate::cdb;
use crate::machine::{Header, Numbering, Violation};
use crate::session::Parts;
use crate::verbs::Capacity;

/// A target that says nothing for this long under load is hanging.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Commands that may end other than GOOD before the measurement is worthless.
const RETRIES_MAX: u64 = 10_000;
/// Units a verifying session keeps a ledger of.
const LEDGER_UNITS_MAX: u64 = 1 << 20;

/// A session failed under load.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    /// The socket.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The target closed the connection.
    #[error("the target closed the connection under load")]
    Closed,
    /// Nothing came for a long time.
    #[error("no answer for {SILENCE_MAX:?} under load")]
    Silence,
    /// The target broke the protocol.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// Too many commands fail.
    #[error("more than {RETRIES_MAX} commands did not end GOOD, the last with status {0:#04x}")]
    Failing(u8),
}

impl From<Malformed> for FlowError {
    fn from(malformed: Malformed) -> Self {
        Self::Violation(malformed.into())
    }
}

/// One command in flight; its index is its ITT.
struct Slot {
    busy: bool,
    reads: bool,
    unit: u64,
    begun: Instant,
    /// What a write brings.
    data: Bytes,
    /// What a verified read brought.
    arrived: Vec<u8>,
}

/// One session under load.
pub(crate) struct Flow {
    stream: TcpStream,
    framer: Framer<Vec<u8>>,
    outbox: Outbox<Bytes>,
    digests: Digests,
    params: Params,
    numbering: Numbering,
    lun: Lun,
    picker: Picker,
    /// First unit of this session's part.
    base: u64,
    blocks_per_unit: u32,
    unit_bytes: u32,
    fua: bool,
    ledger: Option<Ledger>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    tally: Tally,
    step: Step,
}

impl Flow {
    pub(crate) fn new(
        plan: &Plan,
        number: u16,
        capacity: Capacity,
        parts: Parts,
    ) -> Result<Self, BenchError> {
        if plan.block_bytes == 0 || !plan.block_bytes.is_multiple_of(capacity.block_size) {
            return Err(BenchError::Plan(
                "the block size is not a multiple of the disk's blocks",
            ));
        }
        let (base, units) = part(plan, number, capacity)?;
        let Parts {
            stream,
            framer,
            digests,
            client,
        } = parts;
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        let mut plain = vec![0; plan.block_bytes as usize];
        stamp::fill(&mut plain, plan.seed, 0);
        let plain = Bytes::from(plain);
        let slot = || Slot {
            busy: false,
            reads: false,
            unit: 0,
            begun: Instant::now(),
            data: plain.clone(),
            arrived: Vec::new(),
        };
        let seed = plan
            .seed
            .wrapping_mul(0x1_0001)
            .wrapping_add(u64::from(number));
        Ok(Self {
            stream,
            framer,
            outbox: Outbox::new(),
            digests,
            params: client.params().clone(),
            numbering: client.numbering,
            lun: plan.lun,
            picker: Picker::new(seed, plan.access, units, plan.read_percent),
            base,
            blocks_per_unit: plan.block_bytes / capacity.block_size,
            unit_bytes: plan.block_bytes,
            fua: plan.fua,
            ledger: plan.verify.then(|| Ledger::new(units as usize)),
            slots: (0..plan.depth).map(|_| slot()).collect(),
            free: (0..u32::from(plan.depth)).rev().collect(),
            tally: Tally::new(),
            step: Step::WarmUp,
        })
    }

    /// Load until the gate says stop and everything in flight is answered.
    pub(crate) fn run(mut self, gate: &Gate) -> Result<Tally, FlowError> {
        loop {
            self.step = gate.step();
            if self.step != Step::Stop {
                self.issue(Instant::now());
            }
            self.send()?;
            if self.step == Step::Stop && self.free.len() == self.slots.len() {
                return Ok(self.tally);
            }
            self.receive()?;
            let now = Instant::now();
            while self.take_pdu(now)? {}
        }
    }

    /// New commands into every free slot, as far as the window goes.
    fn issue(&mut self, now: Instant) {
        while self.numbering.window_open() {
            let Some(index) = self.free.pop() else { return };
            self.command(index, now);
        }
    }

    fn command(&mut self, index: u32, now: Instant) {
        let reads = self.picker.reads();
        let mut unit = self.picker.unit();
        let slot = &mut self.slots[index as usize];
        if let Some(ledger) = &mut self.ledger {
            unit = ledger.take(unit);
            slot.arrived.clear();
            slot.data = match reads {
                true => Bytes::new(),
                false => {
                    let mut data = vec![0; self.unit_bytes as usize];
                    stamp::fill(&mut data, self.base + unit, ledger.generation(unit) + 1);
                    data.into()
                }
            };
        }
        (slot.busy, slot.reads, slot.unit, slot.begun) = (true, reads, unit, now);
        let lba = (self.base + unit) * u64::from(self.blocks_per_unit);
        let (immediate, unsolicited) = match reads {
            true => (0, 0),
            false => self.unasked(),
        };
        let request = ScsiCommand {
            immediate: false,
            is_final: unsolicited == 0,
            read: reads,
            write: !reads,
            attribute: TaskAttribute::SIMPLE,
            lun: self.lun,
            itt: Itt(index),
            edtl: self.unit_bytes,
            cmd_sn: self.numbering.take_cmd_sn(false),
            exp_stat_sn: self.numbering.exp_stat_sn,
            cdb: cdb_for(reads, lba, self.blocks_per_unit, self.fua),
        };
        self.push(request.encode(), index, 0, immediate);
        if unsolicited > 0 {
            self.data_outs(index, Ttt::RESERVED, immediate, unsolicited);
        }
    }

    /// Immediate and unsolicited bytes of a write (RFC 7143 §13.10, §13.11, §13.14).
    fn unasked(&self) -> (u32, u32) {
        let params = &self.params;
        let first = params.first_burst.min(self.unit_bytes);
        let immediate = match params.immediate_data {
            true => first.min(params.peer_max_recv_data_segment),
            false => 0,
        };
        (
            immediate,
            if params.initial_r2t {
                0
            } else {
                first - immediate
            },
        )
    }

    fn data_outs(&mut self, index: u32, ttt: Ttt, offset: u32, len: u32) {
        let limit = self.params.peer_max_recv_data_segment.max(1);
        let (mut sent, mut data_sn) = (0, 0);
        while sent < len {
            let piece = limit.min(len - sent);
            let pdu = DataOut {
                is_final: sent + piece == len,
                lun: if ttt == Ttt::RESERVED {
                    Lun(0)
                } else {
                    self.lun
                },
                itt: Itt(index),
                ttt,
                exp_stat_sn: self.numbering.exp_stat_sn,
                data_sn,
                buffer_offset: offset + sent,
            };
            self.push(pdu.encode(), index, offset + sent, piece);
            sent += piece;
            data_sn += 1;
        }
    }

    fn push(&mut self, bhs: Bhs, index: u32, offset: u32, len: u32) {
        let payload = match len {
            0 => Payload::None,
            _ => {
                let at = offset as usize;
                Payload::Shared(self.slots[index as usize].data.slice(at..at + len as usize))
            }
        };
        self.outbox.push(bhs, payload, self.digests);
    }

    /// Send what is queued as far as the socket takes it: never wait here, or both sides might
    /// wait for the other to read.
    fn send(&mut self) -> Result<(), FlowError> {
        while !self.outbox.is_empty() {
            let mut slices: Vec<IoSlice<'_>> = Vec::new();
            self.outbox.slices(&mut slices);
            let mut control = SendAncillaryBuffer::default();
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match sendmsg(&self.stream, &slices, &mut control, flags) {
                Ok(sent) => self.outbox.advance(sent, drop),
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
        Ok(())
    }

    /// One large read; while something is unsent, whichever is possible first.
    fn receive(&mut self) -> Result<(), FlowError> {
        if !self.outbox.is_empty() {
            let wanted = PollFlags::IN | PollFlags::OUT;
            let mut fds = [PollFd::new(&self.stream, wanted)];
            poll(&mut fds, None).map_err(io::Error::from)?;
            if !fds[0]
                .revents()
                .intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR)
            {
                return self.send();
            }
        }
        match self.stream.read(self.framer.space()) {
            Ok(0) => Err(FlowError::Closed),
            Ok(len) => {
                self.framer.filled(len);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(FlowError::Silence),
            Err(error) => Err(error.into()),
        }
    }

    /// One PDU of what was read; false when there is no whole one left.
    fn take_pdu(&mut self, now: Instant) -> Result<bool, FlowError> {
        let Some(frame) = self.framer.next(|_| None)? else {
            return Ok(false);
        };
        let bhs = frame.bhs;
        if !frame.data_digest_ok {
            return Err(Violation::DataDigest(bhs.opcode()).into());
        }
        let header = Header::of(&bhs);
        self.numbering
            .hear_window(header.exp_cmd_sn, header.max_cmd_sn);
        match Response::decode(&bhs)? {
            Response::DataIn(pdu) => {
                let slot = task(&mut self.slots, pdu.itt, Opcode::DATA_IN)?;
                if self.ledger.is_some()
                    && let Data::Inline(bytes) = frame.data
                {
                    slot.arrived.extend_from_slice(bytes);
                }
                if pdu.has_status {
                    self.numbering.hear_status(header.stat_sn)?;
                    self.data_in_end(&pdu, now)?;
                }
            }
            Response::ScsiResponse(pdu) => {
                self.numbering.hear_status(header.stat_sn)?;
                self.response(&pdu, now)?;
            }
            Response::R2t(pdu) => self.r2t(&pdu)?,
            Response::NopIn(pdu) => self.pinged(&pdu),
            Response::Async(_) => self.numbering.hear_status(header.stat_sn)?,
            _ => return Err(Violation::Unexpected(bhs.opcode()).into()),
        }
        Ok(true)
    }

    fn data_in_end(&mut self, pdu: &DataIn, now: Instant) -> Result<(), FlowError> {
        let good = pdu.status == 0 && !pdu.underflow;
        self.end(pdu.itt, good, pdu.status, now)
    }

    fn response(&mut self, pdu: &ScsiResponse, now: Instant) -> Result<(), FlowError> {
        task(&mut self.slots, pdu.itt, Opcode::SCSI_RESPONSE)?;
        self.end(
            pdu.itt,
            pdu.response == 0 && pdu.status == 0,
            pdu.status,
            now,
        )
    }

    fn end(&mut self, itt: Itt, good: bool, status: u8, now: Instant) -> Result<(), FlowError> {
        let slot = &mut self.slots[itt.0 as usize];
        slot.busy = false;
        self.free.push(itt.0);
        if let Some(ledger) = &mut self.ledger {
            let generation = ledger.generation(slot.unit);
            if good && slot.reads && generation > 0 {
                let whole = slot.arrived.len() == self.unit_bytes as usize;
                let same = stamp::holds(&slot.arrived, self.base + slot.unit, generation);
                self.tally.mismatches += u64::from(!(whole && same));
            }
            ledger.release(slot.unit, good && !slot.reads);
        }
        if !good {
            self.tally.retries += 1;
            if self.tally.retries > RETRIES_MAX {
                return Err(FlowError::Failing(status));
            }
        } else if self.step == Step::Measure {
            let nanos = u64::try_from((now - slot.begun).as_nanos()).unwrap_or(u64::MAX);
            self.tally.latency.saturating_record(nanos);
            self.tally.reads += u64::from(slot.reads);
            self.tally.writes += u64::from(!slot.reads);
        }
        Ok(())
    }

    fn r2t(&mut self, pdu: &R2t) -> Result<(), FlowError> {
        let slot = task(&mut self.slots, pdu.itt, Opcode::R2T)?;
        let end = u64::from(pdu.buffer_offset) + u64::from(pdu.desired_len);
        if slot.reads || end > u64::from(self.unit_bytes) {
            return Err(Violation::R2t {
                r2t_sn: pdu.r2t_sn,
                offset: pdu.buffer_offset,
                len: pdu.desired_len,
                edtl: self.unit_bytes,
                max_burst: self.params.max_burst,
            }
            .into());
        }
        self.data_outs(pdu.itt.0, pdu.ttt, pdu.buffer_offset, pdu.desired_len);
        Ok(())
    }

    fn pinged(&mut self, pdu: &NopIn) {
        if pdu.ttt == Ttt::RESERVED {
            return;
        }
        let answer = NopOut {
            immediate: true,
            lun: pdu.lun,
            itt: Itt::RESERVED,
            ttt: pdu.ttt,
            cmd_sn: self.numbering.cmd_sn,
            exp_stat_sn: self.numbering.exp_stat_sn,
        };
        self.outbox
            .push(answer.encode(), Payload::None, self.digests);
    }
}

/// First unit and number of units of a session's part of the disk. Sessions that must not meet
/// get parts of their own.
fn part(plan: &Plan, number: u16, capacity: Capacity) -> Result<(u64, u64), BenchError> {
    let bytes = plan
        .region_bytes
        .map_or(capacity.bytes(), |max| max.min(capacity.bytes()));
    let all = bytes / u64::from(plan.block_bytes);
    let apart = plan.verify || plan.access == Access::Sequential;
    let mut units = if apart {
        all / u64::from(plan.sessions)
    } else {
        all
    };
    let base = if apart { units * u64::from(number) } else { 0 };
    if plan.verify {
        units = units.min(LEDGER_UNITS_MAX);
    }
    if units < u64::from(plan.depth) {
        return Err(BenchError::Plan(
            "the disk is smaller than what is to be in flight",
        ));
    }
    Ok((base, units))
}

fn task(slots: &mut [Slot], itt: Itt, opcode: Opcode) -> Result<&mut Slot, FlowError> {
    match slots.get_mut(itt.0 as usize) {
        Some(slot) if slot.busy => Ok(slot),
        _ => Err(Violation::UnknownItt { opcode, itt }.into()),
    }
}

/// The 10 byte form where it reaches, as an operating system's disk driver does.
fn cdb_for(reads: bool, lba: u64, blocks: u32, fua: bool) -> [u8; 16] {
    let mut bytes = [0; 16];
    match (u32::try_from(lba), u16::try_from(blocks)) {
        (Ok(lba), Ok(blocks)) if reads => {
            bytes[..10].copy_from_slice(&cdb::read10(lba, blocks, fua));
        }
        (Ok(lba), Ok(blocks)) => bytes[..10].copy_from_slice(&cdb::write10(lba, blocks, fua)),
        _ if reads => bytes = cdb::read16(lba, blocks, fua),
        _ => bytes = cdb::write16(lba, blocks, fua),
    }
    bytes
}
