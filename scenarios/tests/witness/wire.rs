//! Wireshark's dissectors as a judge: every PDU of an honest session must make sense to them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use libiscsi_sys::Initiator;
use libtest_mimic::{Failed, Trial};

use crate::libiscsi::pattern;
use crate::pcap;
use crate::process::succeed;
use crate::server::{Server, TARGET};
use crate::tools::{TSHARK, Tool, trial};

const LIMIT: Duration = Duration::from_secs(60);

/// Wireshark's "error" level of expert information.
const EXPERT_ERROR: u32 = 0x0080_0000;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial(
        "wire::tshark_finds_no_fault",
        &[Tool::Libiscsi, TSHARK],
        tshark_finds_no_fault,
    )]
}

fn tshark_finds_no_fault() -> Result<(), Failed> {
    let server = Server::start()?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("session.pcap");
    let portal = pcap::record(&server.portal, &file)?;
    talk(&portal)?;
    server.stop()?;

    let counts = dissect(&file)?;
    // Login, SCSI, Text and Logout Responses, Data-In, R2T, Task Management Response; and what
    // they answer.
    for opcode in [
        0x23, 0x21, 0x24, 0x26, 0x25, 0x31, 0x22, 0x03, 0x01, 0x04, 0x06, 0x05, 0x02,
    ] {
        if !counts.contains_key(&opcode) {
            return Err(format!("no PDU with opcode {opcode:#04x} among {counts:x?}").into());
        }
    }
    // One answer each, and nothing dropped on the way: both connections are there to the end.
    for (question, answer) in [(0x03, 0x23), (0x04, 0x24), (0x06, 0x26), (0x02, 0x22)] {
        if counts[&question] != counts[&answer] {
            return Err(format!("questions without answers: {counts:x?}").into());
        }
    }
    Ok(())
}

/// A discovery and a normal session, with every way data can move. No VPD page B0h: the dissector
/// gives up on it, whoever sent it.
fn talk(portal: &str) -> Result<(), Failed> {
    let name = "iqn.2026-11.example.glint:recorded";
    Initiator::new(name)?.discover(portal)?;
    let mut initiator = Initiator::new(name)?;
    initiator.login(portal, TARGET, 0)?;
    initiator.inquiry(0, None)?.good()?;
    initiator.inquiry(0, Some(0x83))?.good()?;
    initiator.read_capacity_16(0)?.good()?;
    for (seed, blocks) in (1..).zip([1_u32, 16, 700, 4000]) {
        let data = pattern(seed, usize::try_from(blocks)? * 512);
        initiator.write_10(0, 0, &data, 512)?.good()?;
        if initiator.read_10(0, 0, blocks * 512, 512)?.good()? != data {
            return Err("the proxy or the target changed the data".into());
        }
    }
    initiator.lun_reset(0)?;
    initiator.logout()?;
    Ok(())
}

/// How many PDUs of each opcode tshark sees, if it finds fault with none of them.
fn dissect(file: &Path) -> Result<BTreeMap<u32, usize>, Failed> {
    let mut tshark = Command::new("tshark");
    tshark
        .arg("-r")
        .arg(file)
        .args(["-o", "iscsi.bogus_pdu_max_data_len:16777215"]);
    tshark.args([
        "-Y",
        "iscsi",
        "-T",
        "fields",
        "-E",
        "occurrence=a",
        "-E",
        "aggregator=,",
    ]);
    for field in [
        "frame.number",
        "iscsi.opcode",
        "_ws.expert.severity",
        "_ws.malformed",
    ] {
        tshark.args(["-e", field]);
    }
    let output = succeed(&mut tshark, LIMIT)?;
    let mut counts = BTreeMap::new();
    for line in output.lines().filter(|line| line.contains('\t')) {
        let mut columns = line.split('\t').skip(1);
        let opcodes = numbers(columns.next());
        let severities = numbers(columns.next());
        let malformed = columns.next().is_some_and(|text| !text.is_empty());
        if malformed || severities.iter().any(|&severity| severity >= EXPERT_ERROR) {
            return Err(format!("tshark objects to frame {line}").into());
        }
        for opcode in opcodes {
            *counts.entry(opcode).or_insert(0) += 1;
        }
    }
    Ok(counts)
}

fn numbers(column: Option<&str>) -> Vec<u32> {
    let parse = |text: &str| match text.strip_prefix("0x") {
        Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok(),
        None => text.parse().ok(),
    };
    column
        .unwrap_or_default()
        .split(',')
        .filter_map(parse)
        .collect()
}
