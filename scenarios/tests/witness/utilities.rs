//! libiscsi's small programs: what they make of us, line by line.

use std::process::Command;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};

use crate::process::succeed;
use crate::server::{Server, TARGET};
use crate::tools::{ISCSI_INQ, ISCSI_LS, trial};

const LIMIT: Duration = Duration::from_secs(20);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("iscsi_ls::lists_target_and_units", &[ISCSI_LS], list),
        trial("iscsi_inq::standard_data", &[ISCSI_INQ], standard_data),
        trial(
            "iscsi_inq::vital_product_data",
            &[ISCSI_INQ],
            vital_product_data,
        ),
    ]
}

fn list() -> Result<(), Failed> {
    let server = Server::start_with(&["--lun", "mem:64MiB", "--lun", "mem:2GiB"])?;
    let portal = format!("iscsi://{}", server.portal);
    let output = succeed(
        Command::new("iscsi-ls").args(["--show-luns", &portal]),
        LIMIT,
    )?;
    // The tool takes the last LBA for the number of blocks, and rounds down.
    contains(
        &output,
        &[
            &format!("Target:{TARGET} Portal:{},1", server.portal),
            "Lun:0    Type:DIRECT_ACCESS (Size:63M)",
            "Lun:1    Type:DIRECT_ACCESS (Size:1G)",
        ],
    )?;
    server.stop()
}

fn standard_data() -> Result<(), Failed> {
    let server = Server::start()?;
    let output = succeed(Command::new("iscsi-inq").arg(server.url()), LIMIT)?;
    contains(
        &output,
        &[
            "Peripheral Qualifier:CONNECTED",
            "Peripheral Device Type:DIRECT_ACCESS",
            "Removable:0",
            "Version:6", // SPC-4, which the tool has no name for
            "ReponseDataFormat:2",
            "CmdQue:1",
            "iSCSI",
            "SBC-3",
        ],
    )?;
    server.stop()
}

fn vital_product_data() -> Result<(), Failed> {
    let server = Server::start()?;
    let url = server.url();
    let page = |page: &str| {
        succeed(
            Command::new("iscsi-inq").args(["--evpd=1", &format!("--pagecode={page}"), &url]),
            LIMIT,
        )
    };
    contains(
        &page("0")?,
        &[
            "Page:0x00 SUPPORTED_VPD_PAGES",
            "Page:0x80 UNIT_SERIAL_NUMBER",
            "Page:0x83 DEVICE_IDENTIFICATION",
            "Page:0xb0 BLOCK_LIMITS",
            "Page:0xb1 BLOCK_DEVICE_CHARACTERISTICS",
        ],
    )?;
    let serial = page("128")?;
    let serial = serial
        .split_once("Unit Serial Number:[")
        .map(|(_, rest)| rest);
    let serial = serial
        .and_then(|rest| rest.split_once(']'))
        .map(|(serial, _)| serial.trim());
    if serial.is_none_or(str::is_empty) {
        return Err("the serial number is empty".into());
    }
    contains(&page("131")?, &["NAA", "BINARY"])?;
    server.stop()
}

fn contains(output: &str, lines: &[&str]) -> Result<(), Failed> {
    match lines.iter().find(|line| !output.contains(**line)) {
        None => Ok(()),
        Some(line) => Err(format!("no `{line}` in:\n{output}").into()),
    }
}
