//! A conversation as text, one line per PDU, for people.

use std::fmt::Write as _;
use std::time::SystemTime;

use initiator_sim::Flow;
use iscsi::pdu::{DataIn, DataOut, LoginRequest, LoginResponse, R2t, ScsiCommand, ScsiResponse};
use iscsi::{Bhs, Itt, Lun, Request, Response, Stage, Ttt};

use crate::record::{Event, Pdu, What};

/// Lines shown of a long conversation: so many from its beginning, so many from its end.
const LINES_AT_EACH_END: usize = 200;
/// Bytes shown of text and of unparsed bytes.
const TEXT_BYTES_MAX: usize = 600;

/// The conversation, PDU by PDU; `→` is to the target.
pub fn ladder(events: &[Event]) -> String {
    let start = events
        .first()
        .map_or(SystemTime::UNIX_EPOCH, |event| event.at);
    let several = events.iter().any(|event| event.conn != events[0].conn);
    let skipped = events.len().saturating_sub(2 * LINES_AT_EACH_END);
    let mut out = String::new();
    for (index, event) in events.iter().enumerate() {
        if skipped > 0 && index == LINES_AT_EACH_END {
            // Writing to a String does not fail, here and below.
            let _ = writeln!(out, "            … {skipped} more …");
        }
        if skipped > 0 && (LINES_AT_EACH_END..LINES_AT_EACH_END + skipped).contains(&index) {
            continue;
        }
        let millis = event
            .at
            .duration_since(start)
            .unwrap_or_default()
            .as_secs_f64()
            * 1e3;
        let _ = write!(out, "{millis:>9.3} ");
        if several {
            let _ = write!(out, "#{:<3} ", event.conn);
        }
        let _ = writeln!(out, "{}", line(&event.what));
    }
    out
}

fn line(what: &What) -> String {
    match what {
        What::Opened { local, peer } => format!("—  connected {local} to {peer}"),
        What::Closed => "—  closed".to_owned(),
        What::Raw(bytes) => format!("→  {} raw bytes: {}", bytes.len(), hex(bytes)),
        What::Pdu(pdu) => {
            let arrow = match pdu.flow {
                Flow::Sent => "→",
                Flow::Received => "←",
            };
            format!("{arrow}  {}", self::pdu(pdu))
        }
    }
}

/// A PDU in words.
pub(crate) fn pdu(pdu: &Pdu) -> String {
    let mut text = match pdu.flow {
        Flow::Sent => sent(pdu),
        Flow::Received => received(pdu),
    };
    if !pdu.ahs.is_empty() {
        let _ = write!(text, " AHS {} bytes", pdu.ahs.len());
    }
    text
}

fn sent(pdu: &Pdu) -> String {
    let (bhs, data) = (&pdu.bhs, pdu.data.as_slice());
    let Ok(request) = Request::decode(bhs) else {
        return unknown(bhs, data);
    };
    let immediate = if bhs.is_immediate() { " I" } else { "" };
    let head = format!("{}{immediate} {}", request.opcode(), itt(bhs.itt()));
    match &request {
        Request::Login(pdu) => format!("{head}{}{}", login_request(pdu), text(data)),
        Request::ScsiCommand(pdu) => format!("{head}{}{}", scsi_command(pdu), bytes(data)),
        Request::DataOut(pdu) => format!("{head}{}{}", data_out(pdu), bytes(data)),
        Request::Text(pdu) => {
            let bits = flags(&[(pdu.is_final, "F"), (pdu.cont, "C")]);
            format!(
                "{head}{bits}{} CmdSN={}{}",
                ttt(pdu.ttt),
                pdu.cmd_sn,
                text(data)
            )
        }
        Request::NopOut(pdu) => {
            format!("{head}{} CmdSN={}{}", ttt(pdu.ttt), pdu.cmd_sn, bytes(data))
        }
        Request::TaskManagement(pdu) => format!(
            "{head} {} LUN {} referenced {} CmdSN={}",
            pdu.function,
            lun(pdu.lun),
            pdu.rtt,
            pdu.cmd_sn
        ),
        Request::Logout(pdu) => {
            format!(
                "{head} {} CID={} CmdSN={}",
                pdu.reason, pdu.cid.0, pdu.cmd_sn
            )
        }
        Request::Snack(pdu) => {
            format!(
                "{head} type {} BegRun={} RunLength={}",
                pdu.kind, pdu.beg_run, pdu.run_length
            )
        }
    }
}

fn received(pdu: &Pdu) -> String {
    let (bhs, data) = (&pdu.bhs, pdu.data.as_slice());
    let Ok(response) = Response::decode(bhs) else {
        return unknown(bhs, data);
    };
    let head = format!("{} {}", response.opcode(), itt(bhs.itt()));
    let counters = counters(bhs);
    match &response {
        Response::Login(pdu) => format!("{head}{}{counters}{}", login_response(pdu), text(data)),
        Response::DataIn(pdu) => format!("{head}{}{counters}{}", data_in(pdu), bytes(data)),
        Response::ScsiResponse(pdu) => {
            format!(
                "{head}{}{counters}{}",
                scsi_response(pdu, data),
                bytes(data)
            )
        }
        Response::R2t(pdu) => format!("{head}{}{counters}", r2t(pdu)),
        Response::Text(pdu) => {
            let bits = flags(&[(pdu.is_final, "F"), (pdu.cont, "C")]);
            format!("{head}{bits}{}{counters}{}", ttt(pdu.ttt), text(data))
        }
        Response::NopIn(pdu) => format!("{head}{}{counters}{}", ttt(pdu.ttt), bytes(data)),
        Response::TaskManagement(pdu) => format!("{head} {}{counters}", pdu.response),
        Response::Logout(pdu) => format!("{head} {}{counters}", pdu.result),
        Response::Async(pdu) => format!("{head} {}{counters}{}", pdu.event, bytes(data)),
        Response::Reject(pdu) => format!("{head} {}{counters} of {}", pdu.reason, rejected(data)),
    }
}

fn unknown(bhs: &Bhs, data: &[u8]) -> String {
    format!(
        "opcode 0x{:02x} {}{} {}",
        bhs.opcode().0,
        itt(bhs.itt()),
        bytes(data),
        hex(&bhs.0)
    )
}

fn login_request(pdu: &LoginRequest) -> String {
    let bits = flags(&[(pdu.transit, "T"), (pdu.cont, "C")]);
    format!(
        "{bits} {} ISID={} TSIH={} CID={} CmdSN={}",
        stages(pdu.transit, pdu.csg, pdu.nsg),
        pdu.isid,
        pdu.tsih.0,
        pdu.cid.0,
        pdu.cmd_sn
    )
}

fn login_response(pdu: &LoginResponse) -> String {
    let bits = flags(&[(pdu.transit, "T"), (pdu.cont, "C")]);
    let stages = stages(pdu.transit, pdu.csg, pdu.nsg);
    format!(
        "{bits} {} (0x{:04x}) {stages} TSIH={}",
        pdu.status, pdu.status.0, pdu.tsih.0
    )
}

/// NSG means nothing without T.
fn stages(transit: bool, csg: Stage, nsg: Stage) -> String {
    if transit {
        format!("{csg} to {nsg}")
    } else {
        csg.to_string()
    }
}

fn scsi_command(pdu: &ScsiCommand) -> String {
    let bits = flags(&[(pdu.is_final, "F"), (pdu.read, "R"), (pdu.write, "W")]);
    let cdb = hex(&pdu.cdb);
    format!(
        "{bits} LUN {} EDTL={} CmdSN={} CDB {cdb}",
        lun(pdu.lun),
        pdu.edtl,
        pdu.cmd_sn
    )
}

fn data_out(pdu: &DataOut) -> String {
    let bits = flags(&[(pdu.is_final, "F")]);
    format!(
        "{bits}{} DataSN={} offset={}",
        ttt(pdu.ttt),
        pdu.data_sn,
        pdu.buffer_offset
    )
}

fn data_in(pdu: &DataIn) -> String {
    let bits = flags(&[
        (pdu.is_final, "F"),
        (pdu.acknowledge, "A"),
        (pdu.has_status, "S"),
    ]);
    let mut line = format!(
        "{bits}{} DataSN={} offset={}",
        ttt(pdu.ttt),
        pdu.data_sn,
        pdu.buffer_offset
    );
    if pdu.has_status {
        line += &format!(" status 0x{:02x}", pdu.status);
        line += &residual(pdu.overflow, pdu.underflow, pdu.residual);
    }
    line
}

fn scsi_response(pdu: &ScsiResponse, data: &[u8]) -> String {
    let mut line = match pdu.response {
        0 => format!(" status 0x{:02x}", pdu.status),
        code => format!(" response 0x{code:02x}"),
    };
    line += &residual(pdu.overflow, pdu.underflow, pdu.residual);
    if let [_, _, sense @ ..] = data
        && let (Some(key), Some(asc), Some(ascq)) = (sense.get(2), sense.get(12), sense.get(13))
    {
        line += &format!(" sense {:x}/{asc:02x}/{ascq:02x}", key & 0x0f);
    }
    line
}

fn r2t(pdu: &R2t) -> String {
    format!(
        "{} R2TSN={} offset={} length={}",
        ttt(pdu.ttt),
        pdu.r2t_sn,
        pdu.buffer_offset,
        pdu.desired_len
    )
}

fn rejected(data: &[u8]) -> String {
    match data.first_chunk::<48>() {
        Some(header) => {
            let bhs = Bhs(*header);
            format!("{} {}", bhs.opcode(), itt(bhs.itt()))
        }
        None => format!("{} bytes", data.len()),
    }
}

fn counters(bhs: &Bhs) -> String {
    let word =
        |at: usize| u32::from_be_bytes([bhs.0[at], bhs.0[at + 1], bhs.0[at + 2], bhs.0[at + 3]]);
    format!(" StatSN={} window={}..{}", word(24), word(28), word(32))
}

fn residual(over: bool, under: bool, count: u32) -> String {
    match (over, under) {
        (false, false) => String::new(),
        _ => format!("{} residual {count}", flags(&[(over, "O"), (under, "U")])),
    }
}

fn flags(bits: &[(bool, &str)]) -> String {
    let set: Vec<&str> = bits
        .iter()
        .filter(|(set, _)| *set)
        .map(|(_, name)| *name)
        .collect();
    if set.is_empty() {
        String::new()
    } else {
        format!(" {}", set.join(" "))
    }
}

fn itt(itt: Itt) -> String {
    match itt {
        Itt::RESERVED => "ITT=-".to_owned(),
        Itt(tag) => format!("ITT={tag:#x}"),
    }
}

fn ttt(ttt: Ttt) -> String {
    match ttt {
        Ttt::RESERVED => String::new(),
        Ttt(tag) => format!(" TTT={tag:#x}"),
    }
}

fn lun(lun: Lun) -> String {
    lun.number()
        .map_or_else(|| lun.to_string(), |number| number.to_string())
}

fn bytes(data: &[u8]) -> String {
    if data.is_empty() {
        String::new()
    } else {
        format!(" + {} bytes", data.len())
    }
}

/// Keys and values, as they are.
fn text(data: &[u8]) -> String {
    if data.is_empty() {
        return String::new();
    }
    let shown = &data[..data.len().min(TEXT_BYTES_MAX)];
    let pairs = String::from_utf8_lossy(shown).replace('\0', " ");
    let more = if shown.len() < data.len() { "…" } else { "" };
    format!(" | {}{more}", pairs.trim_end())
}

fn hex(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(64)];
    let mut out: String = shown.iter().map(|byte| format!("{byte:02x}")).collect();
    if shown.len() < bytes.len() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use iscsi::pdu::NopOut;
    use iscsi::{Digests, Serial};

    fn event(what: What) -> Event {
        Event {
            conn: 1,
            at: SystemTime::UNIX_EPOCH,
            what,
        }
    }

    fn nop(flow: Flow) -> Event {
        let pdu = NopOut {
            immediate: true,
            lun: Lun(0),
            itt: Itt(5),
            ttt: Ttt::RESERVED,
            cmd_sn: Serial(9),
            exp_stat_sn: Serial(1),
        };
        let (ahs, data, digests) = (Vec::new(), vec![1, 2], Digests::default());
        event(What::Pdu(Pdu {
            flow,
            bhs: pdu.encode(),
            ahs,
            data,
            digests,
        }))
    }

    #[test]
    fn a_pdu_is_a_line() {
        let text = ladder(&[nop(Flow::Sent)]);
        assert_eq!(text, "    0.000 →  NOP-Out I ITT=0x5 CmdSN=9 + 2 bytes\n");
    }

    #[test]
    fn what_cannot_be_read_is_shown_as_bytes() {
        // A NOP-Out does not come from a target.
        let text = ladder(&[nop(Flow::Received)]);
        assert!(
            text.contains("←  opcode 0x00 ITT=0x5 + 2 bytes 40"),
            "{text}"
        );
        let text = ladder(&[event(What::Raw(vec![0xde, 0xad]))]);
        assert!(text.contains("→  2 raw bytes: dead"), "{text}");
    }

    #[test]
    fn the_middle_of_a_long_conversation_is_left_out() {
        let events: Vec<Event> = (0..1000).map(|_| nop(Flow::Sent)).collect();
        let text = ladder(&events);
        assert_eq!(text.lines().count(), 2 * LINES_AT_EACH_END + 1);
        assert!(text.contains("… 600 more …"));
    }
}
