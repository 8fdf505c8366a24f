//! Tasks played by hand: the scenario sends each PDU itself, right or wrong, and hears what comes
//! back one PDU at a time. The session keeps the numbers and knows nothing of the task.

use std::time::Duration;

use initiator_sim::{ConnError, Direction, Sense, Session, SessionError, cdb};
use iscsi::pdu::{DataIn, DataOut, R2t, Reject, ScsiCommand, ScsiResponse};
use iscsi::{Bhs, Itt, Lun, Opcode, Response, Serial, Ttt};

use crate::scenario::Finding;

/// A device that has something to say says it within this.
pub(super) const SOON: Duration = Duration::from_secs(2);
/// Long enough to notice what must not come.
pub(super) const QUIET: Duration = Duration::from_millis(120);

/// What was heard next about a task.
#[derive(Debug, Clone)]
pub(super) enum Heard {
    /// The target asks for data.
    R2t(R2t),
    /// Data.
    DataIn(DataIn, Vec<u8>),
    /// The task ended.
    Ended(Ended),
    /// A PDU was rejected; its header.
    Rejected(Reject, Bhs),
    /// The target closed the connection.
    Closed,
    /// Nothing came in time.
    Silence,
}

/// How a task ended.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    /// iSCSI response code.
    pub(super) response: u8,
    /// SCSI status.
    pub(super) status: u8,
    /// Sense, if any came.
    pub(super) sense: Option<Sense>,
    /// The SCSI Response, unless status came with data.
    pub(super) pdu: Option<ScsiResponse>,
    /// The data segment of the SCSI Response.
    pub(super) segment: Vec<u8>,
}

impl Ended {
    /// Completed at the target with GOOD.
    pub(super) fn is_good(&self) -> bool {
        self.response == 0 && self.status == 0
    }

    fn of_response(pdu: ScsiResponse, segment: Vec<u8>) -> Self {
        Self {
            response: pdu.response,
            status: pdu.status,
            sense: segment.get(2..).and_then(Sense::parse),
            pdu: Some(pdu),
            segment,
        }
    }

    fn of_data(pdu: &DataIn) -> Self {
        Self {
            response: 0,
            status: pdu.status,
            sense: None,
            pdu: None,
            segment: Vec::new(),
        }
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "response {:#04x}, status {:#04x}",
            self.response, self.status
        )?;
        match self.sense {
            Some(sense) => write!(f, ", sense {sense}"),
            None => Ok(()),
        }
    }
}

impl std::fmt::Display for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::R2t(pdu) => write!(f, "R2T for {}+{}", pdu.buffer_offset, pdu.desired_len),
            Self::DataIn(pdu, data) => write!(f, "Data-In {}+{}", pdu.buffer_offset, data.len()),
            Self::Ended(ended) => ended.fmt(f),
            Self::Rejected(reject, bhs) => {
                write!(f, "Reject of {}: {}", bhs.opcode().name(), reject.reason)
            }
            Self::Closed => f.write_str("the connection is closed"),
            Self::Silence => f.write_str("nothing"),
        }
    }
}

/// A WRITE(10), its number taken and nothing sent.
pub(super) fn write_command(session: &mut Session, lun: Lun, lba: u32, blocks: u16) -> ScsiCommand {
    let edtl = u32::from(blocks) * session.block_size;
    session.scsi_command(
        lun,
        &cdb::write10(lba, blocks, false),
        Direction::Write,
        edtl,
    )
}

/// Unsolicited Data-Out number `data_sn` of a WRITE (RFC 7143 11.7.4).
pub(super) fn unsolicited(
    session: &mut Session,
    itt: Itt,
    data_sn: u32,
    offset: u32,
    is_final: bool,
) -> DataOut {
    DataOut {
        is_final,
        lun: Lun(0),
        itt,
        ttt: Ttt::RESERVED,
        exp_stat_sn: session.numbering().exp_stat_sn,
        data_sn,
        buffer_offset: offset,
    }
}

/// Data-Out number `data_sn` in answer to an R2T.
pub(super) fn solicited(
    session: &mut Session,
    r2t: &R2t,
    data_sn: u32,
    offset: u32,
    is_final: bool,
) -> DataOut {
    DataOut {
        is_final,
        lun: r2t.lun,
        itt: r2t.itt,
        ttt: r2t.ttt,
        exp_stat_sn: session.numbering().exp_stat_sn,
        data_sn,
        buffer_offset: offset,
    }
}

/// Answers an R2T as it should be: all it asks for, cut to what the target receives, F on the last.
pub(super) async fn answer(session: &mut Session, r2t: &R2t, data: &[u8]) -> Result<(), Finding> {
    let limit = session.params().peer_max_recv_data_segment;
    let end = r2t.buffer_offset + r2t.desired_len;
    let (mut offset, mut data_sn) = (r2t.buffer_offset, 0);
    while offset < end {
        let len = limit.min(end - offset);
        let pdu = solicited(session, r2t, data_sn, offset, offset + len == end);
        let piece = &data[offset as usize..(offset + len) as usize];
        session.conn().send(&pdu.into(), piece).await?;
        offset += len;
        data_sn += 1;
    }
    Ok(())
}

/// The next thing about task `itt` within `within`.
pub(super) async fn hear(
    session: &mut Session,
    itt: Itt,
    within: Duration,
) -> Result<Heard, Finding> {
    let deadline = tokio::time::Instant::now() + within;
    loop {
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        let received = match session.recv_timeout(left).await {
            Ok(received) => received,
            Err(SessionError::Conn(ConnError::Timeout(_))) => return Ok(Heard::Silence),
            Err(SessionError::Conn(error)) if error.is_lost() => return Ok(Heard::Closed),
            Err(error) => return Err(error.into()),
        };
        match received.response {
            Response::R2t(pdu) if pdu.itt == itt => return Ok(Heard::R2t(pdu)),
            Response::DataIn(pdu) if pdu.itt == itt => {
                return Ok(Heard::DataIn(pdu, received.data));
            }
            Response::ScsiResponse(pdu) if pdu.itt == itt => {
                return Ok(Heard::Ended(Ended::of_response(pdu, received.data)));
            }
            Response::Reject(reject) => {
                let Some(header) = received.data.first_chunk::<48>() else {
                    let expected = "a Reject carries the whole header of the rejected PDU";
                    return Err(Finding::fail(
                        expected,
                        format!("{} bytes", received.data.len()),
                    ));
                };
                return Ok(Heard::Rejected(reject, Bhs(*header)));
            }
            // A ping or an announcement is none of the task's business.
            Response::NopIn(_) | Response::Async(_) => {}
            other => {
                let actual = format!("{} for {}", other.opcode().name(), received.header.itt);
                return Err(Finding::fail("nothing but PDUs of the task", actual));
            }
        }
    }
}

/// Waits for the R2T that must come next.
pub(super) async fn hear_r2t(session: &mut Session, itt: Itt) -> Result<R2t, Finding> {
    match hear(session, itt, SOON).await? {
        Heard::R2t(pdu) => Ok(pdu),
        Heard::Silence => Err(Finding::Hang("no R2T for a WRITE without data".into())),
        other => Err(Finding::fail("an R2T for a WRITE without data", other)),
    }
}

/// How a task that was treated badly came to its end.
#[derive(Debug)]
pub(super) struct Ending {
    /// The end; [`Heard::Silence`] when none came.
    pub(super) last: Heard,
    /// Rejects on the way, with the headers of what was rejected.
    pub(super) rejects: Vec<(Reject, Bhs)>,
    /// R2Ts on the way; nobody answered them.
    pub(super) r2ts: Vec<R2t>,
}

/// Hears a task out.
pub(super) async fn ending(session: &mut Session, itt: Itt) -> Result<Ending, Finding> {
    let mut ending = Ending {
        last: Heard::Silence,
        rejects: Vec::new(),
        r2ts: Vec::new(),
    };
    loop {
        match hear(session, itt, SOON).await? {
            Heard::R2t(pdu) => {
                ending.r2ts.push(pdu);
                // Whoever asks again does not take what it got for the whole.
                return Ok(ending);
            }
            Heard::Rejected(reject, bhs) => {
                let is_command = bhs.opcode() == Opcode::SCSI_COMMAND;
                ending.rejects.push((reject, bhs));
                if is_command {
                    return Ok(ending);
                }
            }
            Heard::DataIn(pdu, _) if pdu.has_status => {
                ending.last = Heard::Ended(Ended::of_data(&pdu));
                return Ok(ending);
            }
            Heard::DataIn(..) => {}
            last => {
                ending.last = last;
                return Ok(ending);
            }
        }
    }
}

impl Ending {
    /// The task did not end GOOD. Closing the connection is always legal; a rejected command needs
    /// no further answer (RFC 7143 7.3); CHECK CONDITION should carry one of `senses`.
    pub(super) fn is_refusal(&self, senses: &[Sense]) -> Result<(), Finding> {
        let named: Vec<String> = senses.iter().map(Sense::to_string).collect();
        let expected = format!(
            "CHECK CONDITION {}, or the connection closed",
            named.join(" or ")
        );
        match &self.last {
            Heard::Closed => Ok(()),
            Heard::Silence if !self.r2ts.is_empty() => Ok(()),
            Heard::Silence if self.command_rejected() => Ok(()),
            Heard::Silence => Err(Finding::Hang(format!("{expected}: nothing came"))),
            Heard::Ended(ended) if ended.is_good() => Err(Finding::fail(expected, ended)),
            Heard::Ended(ended) => match ended.sense {
                Some(sense) if senses.contains(&sense) => Ok(()),
                _ => Err(Finding::weak(expected, ended)),
            },
            other => Err(Finding::fail(expected, other)),
        }
    }

    fn command_rejected(&self) -> bool {
        self.rejects
            .iter()
            .any(|(_, bhs)| bhs.opcode() == Opcode::SCSI_COMMAND)
    }
}

/// A READ, PDU by PDU.
#[derive(Debug)]
pub(super) struct ReadStory {
    /// The Data-Ins with their payload.
    pub(super) data_ins: Vec<(DataIn, Vec<u8>)>,
    /// The end.
    pub(super) ended: Ended,
}

impl ReadStory {
    /// All payload in the order it came.
    pub(super) fn data(&self) -> Vec<u8> {
        self.data_ins
            .iter()
            .flat_map(|(_, data)| data.iter().copied())
            .collect()
    }
}

/// Sends a READ and hears all of it.
pub(super) async fn read_story(
    session: &mut Session,
    command: ScsiCommand,
) -> Result<ReadStory, Finding> {
    session.conn().send(&command.into(), []).await?;
    let mut data_ins = Vec::new();
    loop {
        match hear(session, command.itt, SOON).await? {
            Heard::DataIn(pdu, data) => {
                data_ins.push((pdu, data));
                if pdu.has_status {
                    let ended = Ended::of_data(&pdu);
                    return Ok(ReadStory { data_ins, ended });
                }
            }
            Heard::Ended(ended) => return Ok(ReadStory { data_ins, ended }),
            Heard::Silence => return Err(Finding::Hang("no answer to a READ".into())),
            other => return Err(Finding::fail("Data-In or SCSI Response", other)),
        }
    }
}

/// CmdSN of the command before this one: no command in flight has it any more.
pub(super) fn long_gone(session: &mut Session) -> Serial {
    session.numbering().exp_cmd_sn.minus(1)
}
