//! A failure made small, saved, and told.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::table::one_line;
use super::{again, table};
use crate::record;
use crate::worlds::campaign;
use crate::worlds::conversation::conversation;
use crate::worlds::shrink::{is_same, shrink};
use crate::worlds::{Complaint, Plan, Played};

/// Failures that are examined.
const EXAMINED_MAX: usize = 3;

/// Plans that are tried to make one small.
const BUDGET: u32 = 10_000;

/// The first failures, no two of which are the same.
pub(super) fn worth_showing(failed: &[(u64, Complaint)]) -> Vec<&(u64, Complaint)> {
    let mut shown: Vec<&(u64, Complaint)> = Vec::new();
    for failure in failed {
        let is_known = |(_, known): &&(u64, Complaint)| is_same(known, &failure.1);
        if shown.len() < EXAMINED_MAX && !shown.iter().any(is_known) {
            shown.push(failure);
        }
    }
    shown
}

/// Makes a failure small, saves it, and tells it.
pub(super) fn examine(seed: u64, complaint: &Complaint, save: &Path, small: bool) -> String {
    let first = one_line(&complaint.what, 1000);
    let mut text = format!("\nseed {seed}: {:?}: {first}\n", complaint.oracle);
    let drawn = match campaign::plan(seed) {
        Ok(plan) => plan,
        Err(why) => return text + &format!("  no plan: {why}\n  again: {}\n", again(seed)),
    };
    let (mut plan, mut what) = (drawn.clone(), complaint.clone());
    if small {
        let waiting = super::super::table::waiting(format!("making seed {seed} small"));
        let shrunk = shrink(&drawn, |plan| recurs(plan, complaint), BUDGET);
        waiting.finish_and_clear();
        match shrunk {
            Some(shrunk) => {
                let (before, after) = (drawn.events.len(), shrunk.plan.events.len());
                let tries = shrunk.tries;
                let _ = writeln!(text, "  {before} events made {after}, {tries} plans tried");
                (plan, what) = (shrunk.plan, shrunk.complaint);
            }
            None => text += "  it passes when it is played again: something is not drawn\n",
        }
    }
    let played = campaign::played(&plan, true);
    let file = save.join(format!("world-{seed}.txt"));
    let comments = [
        format!(
            "seed {seed}: {:?}: {}",
            what.oracle,
            one_line(&what.what, 1000)
        ),
        format!("as drawn: {}", again(seed)),
    ];
    match keep(&file, &commented(&plan, &comments), &played) {
        Ok(lines) => text += &lines,
        Err(why) => {
            let _ = writeln!(text, "  {why}");
        }
    }
    text + "\n" + &told(&plan, &played)
}

/// The complaint of a plan that is the same as this one, if it has it.
fn recurs(plan: &Plan, wanted: &Complaint) -> Option<Complaint> {
    let complaints = campaign::played(plan, false).complaints;
    complaints.into_iter().find(|found| is_same(found, wanted))
}

/// A plan as a file with comments after its first line.
fn commented(plan: &Plan, comments: &[String]) -> String {
    let text = plan.to_string();
    let (head, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let comments = comments.iter().map(|comment| format!("# {comment}\n"));
    format!("{head}\n{}{rest}", comments.collect::<String>())
}

/// Saves plan and capture; the lines say where, and how to play it again.
fn keep(file: &Path, text: &str, played: &Played) -> Result<String, String> {
    let wrong = |error| format!("cannot write {}: {error}", file.display());
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(wrong)?;
    }
    fs::write(file, text).map_err(wrong)?;
    let shown = file.display();
    let again = format!("cargo run --release -p scenarios -- simulate --replay {shown}");
    let lines = format!("  plan: {shown}\n  again: {again}\n");
    let capture = keep_recording(&file.with_extension("pcapng"), played)?;
    Ok(lines + &capture.unwrap_or_default())
}

/// Writes the capture of a world, if it was recorded; the line says where.
pub(super) fn keep_recording(path: &Path, played: &Played) -> Result<Option<String>, String> {
    if played.recording.is_empty() {
        return Ok(None);
    }
    let written = record::write_pcapng(path, &played.recording);
    written.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(Some(format!("  capture: {}\n", path.display())))
}

/// The conversation of a world, and what is wrong with it.
pub(super) fn told(plan: &Plan, played: &Played) -> String {
    let mut text = conversation(plan, played);
    for Complaint { oracle, what } in &played.complaints {
        let what = table::visible(what);
        let _ = writeln!(text, "COMPLAINT {oracle:?}: {what}");
    }
    text
}
