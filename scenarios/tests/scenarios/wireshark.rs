//! Wireshark as a judge: it dissects what was recorded of honest scenarios, finds as many PDUs as
//! we did, and has nothing to complain of in those the target sent.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use initiator_sim::Flow;
use libtest_mimic::{Completion, Failed, Trial};
use scenarios::catalogue;
use scenarios::record::{self, Event, What};
use scenarios::runner::Played;
use scenarios::verdict::Verdict;

use crate::stage::Stage;

/// Scenarios in which the initiator does nothing odd. None of them sends INQUIRY, whose short
/// answers Wireshark's SCSI dissector (not its iSCSI dissector) gives up on.
const HONEST: [&str; 8] = [
    "read.sizes",
    "read.parallel",
    "write.mode.solicited",
    "write.mode.immediate",
    "write.mode.immediate-and-unsolicited",
    "write.parallel",
    "discovery.by-name",
    "session.nop.echo",
];

pub(crate) fn trial(stage: &Arc<Stage>) -> Trial {
    let stage = Arc::clone(stage);
    Trial::ignorable_test("wireshark::honest-conversations", move || {
        if Command::new("tshark").arg("--version").output().is_err() {
            let reason = "needs tshark: package tshark";
            return match std::env::var_os("CI").is_some_and(|value| value == "true") {
                true => Err(Failed::from(reason)),
                false => Ok(Completion::ignored_with(reason)),
            };
        }
        let mut events = Vec::new();
        for id in HONEST {
            events.extend(honest(&stage, id)?);
        }
        dissect(&events)?;
        Ok(Completion::Completed)
    })
}

/// What is said in a scenario.
fn honest(stage: &Stage, id: &str) -> Result<Vec<Event>, Failed> {
    let all = catalogue::all();
    let scenario = all.iter().find(|scenario| scenario.id == id);
    let scenario = scenario.ok_or_else(|| format!("there is no scenario {id}"))?;
    let Played {
        verdict, events, ..
    } = stage.play(*scenario)?;
    match verdict {
        Verdict::Pass => Ok(events),
        verdict => Err(format!("{id}: {verdict}").into()),
    }
}

fn dissect(events: &[Event]) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("honest.pcapng");
    record::write_pcapng(&path, events)?;
    let port = target_port(events).ok_or("no connection was made")?;

    let dissected = tshark(
        &path,
        port,
        &format!("tcp.srcport=={port} && iscsi"),
        "iscsi.opcode",
    )?;
    // A frame may hold several PDUs; tshark then lists them with commas.
    let found = dissected.lines().flat_map(|line| line.split(',')).count();
    let sent = events
        .iter()
        .filter(|event| matches!(&event.what, What::Pdu(pdu) if pdu.flow == Flow::Received))
        .count();
    if found != sent || sent == 0 {
        return Err(format!("tshark finds {found} PDUs of the target, we saw {sent}").into());
    }
    let objections = format!("tcp.srcport=={port} && iscsi && (_ws.malformed || _ws.expert)");
    let said = tshark(&path, port, &objections, "_ws.expert.message")?;
    match said.trim() {
        "" => Ok(()),
        said => Err(format!("tshark says {said}").into()),
    }
}

/// Where the target of the first connection listens.
fn target_port(events: &[Event]) -> Option<u16> {
    events.iter().find_map(|event| match &event.what {
        What::Opened { peer, .. } => Some(peer.port()),
        _ => None,
    })
}

fn tshark(path: &Path, port: u16, filter: &str, field: &str) -> Result<String, Failed> {
    let output = Command::new("tshark")
        .arg("-r")
        .arg(path)
        .args(["-d", &format!("tcp.port=={port},iscsi")])
        // Longer data segments are taken for garbage otherwise.
        .args(["-o", "iscsi.bogus_pdu_max_data_len:16777215"])
        .args(["-o", &format!("iscsi.target_ports:{port}")])
        .args(["-Y", filter, "-T", "fields", "-e", field])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
