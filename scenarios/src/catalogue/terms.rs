//! What was agreed on at login, seen on the wire: segments, bursts, R2Ts and digests
//! (RFC 7143 13).

use initiator_sim::{Direction, LoginOptions, Received, Session, cdb};
use iscsi::Response;
use iscsi::pdu::{DataIn, DataOut, R2t, ScsiCommand};

use super::exchange::SILENCE;
use crate::context::Context;
use crate::scenario;
use crate::scenario::{Finding, Scenario, expect, expect_eq};

/// All of this family.
pub fn scenarios() -> Vec<Scenario> {
    SCENARIOS.to_vec()
}

static SCENARIOS: &[Scenario] = &[
    scenario! {
        "terms.header-digest", "RFC 7143 13.1",
        "With HeaderDigest=CRC32C agreed on, every PDU after the login carries it.",
        needs [HeaderDigest];
        async |ctx| { digests(ctx, true, false).await }
    },
    scenario! {
        "terms.data-digest", "RFC 7143 13.1",
        "With DataDigest=CRC32C agreed on, every data segment after the login carries it.",
        needs [DataDigest];
        async |ctx| { digests(ctx, false, true).await }
    },
    scenario! {
        "terms.segment.initiator", "RFC 7143 13.12",
        "No PDU of the target has more data than the initiator declared to receive.",
        needs [EightMebibytes];
        async |ctx| { segments(ctx, Some("512"), 512).await }
    },
    scenario! {
        "terms.segment.default", "RFC 7143 13.12",
        "To an initiator that declares nothing, no PDU has more than 8192 bytes of data.",
        needs [EightMebibytes];
        async |ctx| { segments(ctx, None, 8192).await }
    },
    scenario! {
        "terms.segment.target", "RFC 7143 13.12",
        "The target takes a PDU with as much data as it declared to receive.",
        needs [];
        async |ctx| { largest_segment(ctx).await }
    },
    scenario! {
        "terms.max-burst.data-in", "RFC 7143 13.13",
        "A sequence of Data-In, which its F bit ends, is no longer than MaxBurstLength.",
        needs [EightMebibytes];
        async |ctx| { data_in_sequences(ctx).await }
    },
    scenario! {
        "terms.max-burst.r2t", "RFC 7143 13.13",
        "An R2T asks for no more than MaxBurstLength, and all R2Ts together for the whole write.",
        needs [Destructive, EightMebibytes];
        async |ctx| { r2t_lengths(ctx).await }
    },
    scenario! {
        "terms.max-outstanding-r2t", "RFC 7143 13.17",
        "No task has more R2Ts outstanding than was agreed on.",
        needs [Destructive, EightMebibytes];
        async |ctx| { outstanding_r2ts(ctx).await }
    },
    scenario! {
        "terms.immediate-data.no", "RFC 7143 13.11",
        "Without unsolicited data the target asks for a write from its first byte on.",
        needs [Destructive, EightMebibytes];
        async |ctx| { without_immediate_data(ctx).await }
    },
    scenario! {
        "terms.immediate-data.yes", "RFC 7143 13.11",
        "Immediate data is taken, and the target asks for what comes after it.",
        needs [Destructive, EightMebibytes];
        async |ctx| { with_immediate_data(ctx).await }
    },
    scenario! {
        "terms.first-burst", "RFC 7143 13.14",
        "Unsolicited data up to FirstBurstLength is taken, and the target asks for the rest.",
        needs [Destructive, EightMebibytes, UnsolicitedData];
        async |ctx| { first_burst(ctx).await }
    },
];

/// The connection checks the header digest of every PDU, the session that of every data segment.
async fn digests(ctx: Context, header: bool, data: bool) -> Result<(), Finding> {
    let options = ctx.login_options().digests(header, data);
    let mut session = ctx.session_with(options).await?;
    let agreed = session.params().digests;
    expect_eq("digests", (header, data), (agreed.header, agreed.data))?;
    session.nop(b"odd").await?;
    let blocks = session.read(ctx.lun(), 0, 16).await?.good()?;
    let whole = 16 * session.block_size as usize;
    expect_eq("bytes read", whole, blocks.len())
}

/// Data-Ins of a read up to its status.
async fn read_raw(
    session: &mut Session,
    ctx: &Context,
    blocks: u16,
) -> Result<Vec<(DataIn, u32)>, Finding> {
    let edtl = u32::from(blocks) * session.block_size;
    let cdb = cdb::read10(0, blocks, false);
    let command = session.scsi_command(ctx.lun(), &cdb, Direction::Read, edtl);
    session.conn().send(&command.into(), b"").await?;
    let mut pdus = Vec::new();
    loop {
        let received = session.recv().await?;
        match received.response {
            Response::DataIn(pdu) => {
                pdus.push((pdu, received.data.len() as u32));
                if pdu.has_status {
                    break;
                }
            }
            Response::ScsiResponse(pdu) => {
                expect_eq("SCSI status", 0, pdu.status)?;
                break;
            }
            _ => return Err(unexpected("Data-In or SCSI Response", &received)),
        }
    }
    let bytes: u32 = pdus.iter().map(|(_, len)| len).sum();
    expect_eq("bytes read", edtl, bytes)?;
    Ok(pdus)
}

fn unexpected(due: &str, received: &Received) -> Finding {
    Finding::fail(due, received.bhs.opcode().name())
}

/// Blocks in 64 KiB.
fn blocks_of_64k(session: &Session) -> u16 {
    (65536 / session.block_size) as u16
}

async fn segments(ctx: Context, declared: Option<&str>, limit: u32) -> Result<(), Finding> {
    const KEY: &str = "MaxRecvDataSegmentLength";
    let options = match declared {
        Some(bytes) => ctx.login_options().key(KEY, bytes),
        None => ctx.login_options().without(KEY),
    };
    let mut session = ctx.session_with(options).await?;
    let blocks = blocks_of_64k(&session);
    let pdus = read_raw(&mut session, &ctx, blocks).await?;
    let largest = pdus.iter().map(|(_, len)| *len).max().unwrap_or(0);
    expect(
        largest <= limit,
        &format!("at most {limit} bytes in a PDU"),
        largest,
    )
}

/// A ping is the PDU that any session may fill to the brim.
async fn largest_segment(ctx: Context) -> Result<(), Finding> {
    const ENOUGH: u32 = 1024 * 1024;
    let mut session = ctx.session().await?;
    let limit = session.params().peer_max_recv_data_segment;
    let data: Vec<u8> = (0..limit.min(ENOUGH)).map(|at| (at % 251) as u8).collect();
    Ok(session.nop(&data).await?)
}

async fn data_in_sequences(ctx: Context) -> Result<(), Finding> {
    let options = ctx
        .login_options()
        .key("MaxBurstLength", "4096")
        .key("FirstBurstLength", "4096");
    let mut session = ctx.session_with(options).await?;
    let limit = session.params().max_burst;
    let blocks = blocks_of_64k(&session);
    let mut sequence = 0;
    for (pdu, len) in read_raw(&mut session, &ctx, blocks).await? {
        sequence += len;
        expect(
            sequence <= limit,
            &format!("a sequence of at most {limit} bytes"),
            sequence,
        )?;
        if pdu.is_final {
            sequence = 0;
        }
    }
    expect_eq("bytes after the last F bit", 0, sequence)
}

/// A write of 64 KiB that was announced and has sent only `immediate` bytes.
struct Announced {
    session: Session,
    command: ScsiCommand,
    data: Vec<u8>,
}

impl Announced {
    async fn begin(
        ctx: &Context,
        options: LoginOptions,
        immediate: usize,
    ) -> Result<Self, Finding> {
        let mut session = ctx.session_with(options).await?;
        if immediate > 0 && !session.params().immediate_data {
            return Err(Finding::Skip(
                "the target does not take immediate data".to_owned(),
            ));
        }
        let data: Vec<u8> = (0..65536_u32).map(|at| (at % 253) as u8 ^ 0x55).collect();
        let cdb = cdb::write10(64, blocks_of_64k(&session), false);
        let edtl = data.len() as u32;
        let command = session.scsi_command(ctx.lun(), &cdb, Direction::Write, edtl);
        session
            .conn()
            .send(&command.into(), &data[..immediate])
            .await?;
        Ok(Self {
            session,
            command,
            data,
        })
    }

    /// The next R2T, or `None` when the command ended GOOD.
    async fn r2t(&mut self) -> Result<Option<R2t>, Finding> {
        let received = self.session.recv().await?;
        match received.response {
            Response::R2t(pdu) => {
                expect_eq("Initiator Task Tag", self.command.itt, pdu.itt)?;
                Ok(Some(pdu))
            }
            Response::ScsiResponse(pdu) => {
                expect_eq("SCSI status", 0, pdu.status)?;
                Ok(None)
            }
            _ => Err(unexpected("R2T or SCSI Response", &received)),
        }
    }

    /// All the data one R2T asks for.
    async fn obey(&mut self, r2t: &R2t) -> Result<(), Finding> {
        let segment = self.session.params().peer_max_recv_data_segment;
        let end = r2t.buffer_offset.saturating_add(r2t.desired_len);
        let within = end as usize <= self.data.len() && r2t.desired_len > 0;
        expect(within, "an R2T within the write", format!("{r2t:?}"))?;
        let (mut at, mut data_sn) = (r2t.buffer_offset, 0);
        while at < end {
            let to = end.min(at + segment);
            let pdu = DataOut {
                is_final: to == end,
                lun: self.command.lun,
                itt: self.command.itt,
                ttt: r2t.ttt,
                exp_stat_sn: self.session.numbering().exp_stat_sn,
                data_sn,
                buffer_offset: at,
            };
            let bytes = &self.data[at as usize..to as usize];
            self.session.conn().send(&pdu.into(), bytes).await?;
            (at, data_sn) = (to, data_sn + 1);
        }
        Ok(())
    }

    /// R2Ts as they come up to the end; what was written is read back.
    async fn finish(mut self, ctx: &Context, first: R2t) -> Result<Vec<R2t>, Finding> {
        let mut asked = vec![first];
        self.obey(&first).await?;
        while let Some(r2t) = self.r2t().await? {
            asked.push(r2t);
            self.obey(&r2t).await?;
        }
        self.check_written(ctx).await?;
        Ok(asked)
    }

    async fn check_written(&mut self, ctx: &Context) -> Result<(), Finding> {
        let blocks = blocks_of_64k(&self.session);
        let read = self.session.read(ctx.lun(), 64, blocks).await?.good()?;
        expect(read == self.data, "the data written", "other data")
    }
}

fn first(r2t: Option<R2t>) -> Result<R2t, Finding> {
    r2t.ok_or_else(|| Finding::fail("R2T", "the command ended without its data"))
}

async fn r2t_lengths(ctx: Context) -> Result<(), Finding> {
    let options = ctx
        .login_options()
        .write_mode(false, true)
        .key("MaxBurstLength", "4096")
        .key("FirstBurstLength", "4096");
    let mut write = Announced::begin(&ctx, options, 0).await?;
    let limit = write.session.params().max_burst;
    let r2t = first(write.r2t().await?)?;
    let asked = write.finish(&ctx, r2t).await?;
    let longest = asked.iter().map(|r2t| r2t.desired_len).max().unwrap_or(0);
    expect(
        longest <= limit,
        &format!("R2Ts of at most {limit} bytes"),
        longest,
    )?;
    let total: u32 = asked.iter().map(|r2t| r2t.desired_len).sum();
    expect_eq("bytes asked for", 65536, total)
}

async fn outstanding_r2ts(ctx: Context) -> Result<(), Finding> {
    for agreed in [1, 2] {
        let options = ctx
            .login_options()
            .write_mode(false, true)
            .key("MaxOutstandingR2T", &agreed.to_string())
            .key("MaxBurstLength", "8192")
            .key("FirstBurstLength", "8192");
        let mut write = Announced::begin(&ctx, options, 0).await?;
        let r2t = first(write.r2t().await?)?;
        let mut waiting = vec![r2t];
        // What comes while nothing is answered is outstanding too.
        while let Some(received) = write.session.conn().expect_silence(SILENCE / 2).await? {
            let Response::R2t(pdu) = received.response else {
                return Err(unexpected("R2T", &received));
            };
            waiting.push(pdu);
        }
        expect(
            waiting.len() <= agreed,
            &format!("at most {agreed} R2Ts outstanding"),
            waiting.len(),
        )?;
        let (r2t, others) = (waiting[0], &waiting[1..]);
        for other in others {
            write.obey(other).await?;
        }
        write.finish(&ctx, r2t).await?;
    }
    Ok(())
}

async fn without_immediate_data(ctx: Context) -> Result<(), Finding> {
    let mut write = Announced::begin(&ctx, ctx.login_options().write_mode(false, true), 0).await?;
    let r2t = first(write.r2t().await?)?;
    expect_eq("Buffer Offset of the first R2T", 0, r2t.buffer_offset)?;
    write.finish(&ctx, r2t).await.map(drop)
}

/// A wrong target asks again for what it was given, or leaves it out.
async fn with_immediate_data(ctx: Context) -> Result<(), Finding> {
    const IMMEDIATE: u32 = 1024;
    let options = ctx.login_options().write_mode(true, true);
    let mut write = Announced::begin(&ctx, options, IMMEDIATE as usize).await?;
    let r2t = first(write.r2t().await?)?;
    expect_eq(
        "Buffer Offset of the first R2T",
        IMMEDIATE,
        r2t.buffer_offset,
    )?;
    write.finish(&ctx, r2t).await.map(drop)
}

async fn first_burst(ctx: Context) -> Result<(), Finding> {
    let options = ctx
        .login_options()
        .write_mode(true, false)
        .key("FirstBurstLength", "8192");
    let mut session = ctx.session_with(options).await?;
    let data: Vec<u8> = (0..65536_u32).map(|at| (at % 249) as u8 ^ 0x33).collect();
    let outcome = session.write(ctx.lun(), 64, &data).await?;
    expect(outcome.is_good(), "GOOD", &outcome)?;
    expect(
        outcome.r2ts >= 1,
        "R2Ts for what is beyond the first burst",
        outcome.r2ts,
    )?;
    let blocks = blocks_of_64k(&session);
    let read = session.read(ctx.lun(), 64, blocks).await?.good()?;
    expect(read == data, "the data written", "other data")
}
