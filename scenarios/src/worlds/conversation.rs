//! A world that was played, for people: its setting, then what happened and what was said, one line
//! each, in the order of virtual time.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use initiator_sim::Flow;
use iscsi::pdu::ScsiCommand;
use iscsi::{Bhs, Opcode};
use scsi::Cdb;

use super::places::{Party, moment};
use super::{Note, Plan, Played};
use crate::record::{Event, Pdu, What};
use crate::report;

/// Lines shown of a long conversation: so many from its beginning, so many from its end.
const LINES_AT_EACH_END: usize = 300;

/// The conversation of a plan that was played with a recording.
pub fn conversation(plan: &Plan, played: &Played) -> String {
    let mut lines: Vec<(u64, String)> = Vec::new();
    for event in &plan.events {
        let line = format!("—  #{} {}", event.number, event.what);
        lines.push((event.at.0, line));
    }
    let mut notes = played.notes.iter().peekable();
    let parties = Parties::of(&played.recording);
    for (number, event) in played.recording.iter().enumerate() {
        while let Some(note) = notes.next_if(|note| note.after <= number) {
            lines.push(told(note));
        }
        lines.push((moment(event.at).0, parties.line(event)));
    }
    lines.extend(notes.map(told));
    // Stable: what was planned comes before what came of it at the same moment.
    lines.sort_by_key(|(at, _)| *at);

    let mut out = format!("chance {}\n{}\n", plan.chance, plan.setting);
    let skipped = lines.len().saturating_sub(2 * LINES_AT_EACH_END);
    for (index, (at, line)) in lines.iter().enumerate() {
        if skipped > 0 && index == LINES_AT_EACH_END {
            // Writing to a String does not fail, here and below.
            let _ = writeln!(out, "            … {skipped} more …");
        }
        if skipped == 0 || !(LINES_AT_EACH_END..LINES_AT_EACH_END + skipped).contains(&index) {
            let (seconds, micros) = (at / 1_000_000_000, at % 1_000_000_000 / 1_000);
            let _ = writeln!(out, "{seconds:>5}.{micros:06} s  {line}");
        }
    }
    if played.recording.is_empty() {
        out += "(no PDU was recorded)\n";
    }
    out
}

fn told(note: &Note) -> (u64, String) {
    (note.at.0, format!("—  {}", note.what))
}

/// Who is at the ends of each connection.
struct Parties {
    /// The initiator's end, then the target's.
    names: BTreeMap<u64, [String; 2]>,
}

impl Parties {
    /// Connections of a party that makes several are numbered.
    fn of(recording: &[Event]) -> Self {
        let opened = recording.iter().filter_map(|event| match event.what {
            What::Opened { local, peer } => {
                let name = |address| {
                    Party::of(address)
                        .map_or_else(|| address.to_string(), |party| party.to_string())
                };
                Some((event.conn, [name(local), name(peer)]))
            }
            _ => None,
        });
        let mut names: BTreeMap<u64, [String; 2]> = opened.collect();
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for [from, _] in names.values() {
            *counts.entry(from.clone()).or_default() += 1;
        }
        counts.retain(|_, count| *count > 1);
        let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
        for [from, _] in names.values_mut() {
            if counts.contains_key(from) {
                let number = numbers.entry(from.clone()).or_default();
                *number += 1;
                let _ = write!(from, " ({number})");
            }
        }
        Self { names }
    }

    fn line(&self, event: &Event) -> String {
        let (from, to) = match self.names.get(&event.conn) {
            Some([from, to]) => (from.clone(), to.clone()),
            None => (format!("connection {}", event.conn), "?".to_owned()),
        };
        match &event.what {
            What::Opened { .. } => format!("{from} → {to}  connected"),
            What::Closed => format!("{from} — {to}  closed"),
            What::Raw(bytes) => format!("{from} → {to}  {} raw bytes", bytes.len()),
            What::Pdu(pdu) => {
                let arrow = match pdu.flow {
                    Flow::Sent => '→',
                    Flow::Received => '←',
                };
                format!("{from} {arrow} {to}  {}", words(pdu))
            }
        }
    }
}

fn words(pdu: &Pdu) -> String {
    let command = match pdu.flow {
        Flow::Sent if pdu.bhs.opcode() == Opcode::SCSI_COMMAND => scsi_command(&pdu.bhs),
        _ => None,
    };
    match command {
        Some(command) if pdu.data.is_empty() => command,
        Some(command) => format!("{command} + {} bytes", pdu.data.len()),
        None => report::pdu(pdu),
    }
}

/// A SCSI command by its name, with its blocks where it has some.
fn scsi_command(bhs: &Bhs) -> Option<String> {
    let command = ScsiCommand::decode(bhs).ok()?;
    let cdb = Cdb::from(command.cdb);
    let mut line = format!("{} ITT={:#x}", cdb.name()?, command.itt.0);
    let lun = command.lun.number();
    let _ = match lun {
        Some(number) => write!(line, " LUN {number}"),
        None => write!(line, " LUN {}", command.lun),
    };
    if let Some((lba, blocks)) = blocks(&cdb) {
        let _ = write!(line, " LBA={lba} blocks={blocks}");
    }
    for (set, name) in [
        (has_fua(&cdb), " FUA"),
        (command.immediate, " I"),
        (command.is_final, " F"),
    ] {
        line += if set { name } else { "" };
    }
    let _ = write!(line, " CmdSN={}", command.cmd_sn);
    Some(line)
}

/// READ, WRITE and SYNCHRONIZE CACHE, (10) and (16).
fn blocks(cdb: &Cdb) -> Option<(u64, u32)> {
    let bytes = cdb.bytes();
    match cdb.opcode() {
        0x28 | 0x2a | 0x35 => {
            let lba = u32::from_be_bytes(*bytes[2..].first_chunk()?);
            let blocks = u16::from_be_bytes(*bytes[7..].first_chunk()?);
            Some((lba.into(), blocks.into()))
        }
        0x88 | 0x8a | 0x91 => {
            let lba = u64::from_be_bytes(*bytes[2..].first_chunk()?);
            Some((lba, u32::from_be_bytes(*bytes[10..].first_chunk()?)))
        }
        _ => None,
    }
}

fn has_fua(cdb: &Cdb) -> bool {
    matches!(cdb.opcode(), 0x28 | 0x2a | 0x88 | 0x8a) && cdb.bytes()[1] & 0x08 != 0
}

#[cfg(test)]
mod tests {
    use engine::Moment;
    use iscsi::{Digests, Itt, Lun, Serial, TaskAttribute};

    use super::*;
    use crate::worlds::places::date;

    const PLAN: &str = "\
# glint world 1
chance 7
target luns=1 sectors=64 write-back=no depth=32 memory=65536 share=8 timeout=20s ping=0s
volume kind=replica bricks=1 shard=0 capacity=none ping-timeout=10 heal-delay=0s post-op-delay=0s lost=0 torn=0 latency=0s
wire latency=0s chops=no buffer=65536 mail=0s
calm 0s
at 1.25ms       #4   cluster: brick kill 0
";

    fn write_command() -> What {
        let mut cdb = [0; 16];
        cdb[..10].copy_from_slice(&[0x2a, 0x08, 0, 0, 0, 8, 0, 0, 8, 0]);
        let pdu = ScsiCommand {
            immediate: false,
            is_final: true,
            read: false,
            write: true,
            attribute: TaskAttribute::SIMPLE,
            lun: Lun(0),
            itt: Itt(5),
            edtl: 4096,
            cmd_sn: Serial(9),
            exp_stat_sn: Serial(1),
            cdb,
        };
        What::Pdu(Pdu {
            flow: Flow::Sent,
            bhs: pdu.encode(),
            ahs: Vec::new(),
            data: vec![1; 512],
            digests: Digests::default(),
        })
    }

    fn event(conn: u64, nanos: u64, what: What) -> Event {
        let at = date(Moment(nanos));
        Event { conn, at, what }
    }

    fn note(nanos: u64, after: usize, what: &str) -> Note {
        let (at, what) = (Moment(nanos), what.to_owned());
        Note { at, after, what }
    }

    fn opened(from: Party) -> What {
        let (local, peer) = (from.at(4000), Party::Target(0).at(3260));
        What::Opened { local, peer }
    }

    #[test]
    fn everything_is_a_line_in_the_order_of_time() {
        let played = Played {
            recording: vec![
                event(1, 0, opened(Party::Initiator(0))),
                event(2, 1_000_000, opened(Party::Deviant(3))),
                event(1, 1_250_000, write_command()),
                event(3, 2_000_000, opened(Party::Initiator(0))),
                event(1, 3_000_000_000, What::Closed),
            ],
            notes: vec![
                note(3_000_000_000, 4, "leaving"),
                note(3_000_000_000, 5, "left"),
            ],
            ..Played::default()
        };
        let text = conversation(&Plan::parse(PLAN).unwrap(), &played);
        let (setting, lines) = text.split_once("\n\n").unwrap();
        assert!(setting.starts_with("chance 7\ntarget luns=1"), "{setting}");
        let expected = "    0.000000 s  initiator 0 (1) → target 0  connected
    0.001000 s  deviant 3 → target 0  connected
    0.001250 s  —  #4 cluster: brick kill 0
    0.001250 s  initiator 0 (1) → target 0  WRITE(10) ITT=0x5 LUN 0 LBA=8 blocks=8 FUA F CmdSN=9 + 512 bytes
    0.002000 s  initiator 0 (2) → target 0  connected
    3.000000 s  —  leaving
    3.000000 s  initiator 0 (1) — target 0  closed
    3.000000 s  —  left
";
        assert_eq!(lines, expected);
    }

    #[test]
    fn the_middle_of_a_long_conversation_is_left_out() {
        let played = Played {
            recording: (0..1000).map(|at| event(1, at, write_command())).collect(),
            ..Played::default()
        };
        let text = conversation(&Plan::parse(PLAN).unwrap(), &played);
        assert!(text.contains("… 401 more …"), "{text}");
        assert!(text.contains("connection 1 → ?  WRITE(10)"));
    }

    #[test]
    fn a_world_without_a_recording_says_so() {
        let text = conversation(&Plan::parse(PLAN).unwrap(), &Played::default());
        assert!(text.ends_with("#4 cluster: brick kill 0\n(no PDU was recorded)\n"));
    }
}
