//! The run on a terminal: progress, a table, the failures in full, the closing line.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::Played;
use crate::report::{Run, breaches, or_nothing, visible};
use crate::verdict::{Tally, Verdict};

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const BLUE: &str = "\x1b[34m";
const PLAIN: &str = "\x1b[0m";

/// A bar on standard error, silent when that is no terminal.
pub(super) fn progress(count: usize) -> ProgressBar {
    let bar = ProgressBar::new(count as u64);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}");
    bar.set_style(style.expect("the template is right"));
    bar
}

/// A sign of life while something is waited for.
pub(super) fn waiting(message: String) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(message);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// All scenarios, one line each. `width` is that of the terminal.
pub(super) fn table(played: &[Played], colours: bool, width: usize) -> String {
    let id_width = played
        .iter()
        .map(|played| played.scenario.id.len())
        .max()
        .unwrap_or(0);
    let room = width.saturating_sub(id_width + 18);
    let mut out = String::new();
    for Played {
        scenario,
        verdict,
        took,
        ..
    } in played
    {
        let why = verdict.detail().lines().next().unwrap_or_default();
        let (word, millis) = (verdict.word(), took.as_millis());
        let (colour, plain) = if colours {
            (colour(verdict), PLAIN)
        } else {
            ("", "")
        };
        let line = format!(
            "{colour}{word:<5}{plain}  {:<id_width$}  {millis:>6} ms  {}",
            scenario.id,
            shorten(why, room),
        );
        // Writing to a String does not fail, here and below.
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

fn colour(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => GREEN,
        Verdict::Weak(_) => YELLOW,
        Verdict::Skip(_) | Verdict::Info(_) => BLUE,
        Verdict::Fail(_) | Verdict::Hang(_) | Verdict::Crash(_) => RED,
    }
}

/// Fits a line; what a device sent must not move the cursor.
fn shorten(text: &str, room: usize) -> String {
    let text = visible(text).replace('\t', " ");
    if text.chars().count() <= room {
        return text;
    }
    text.chars()
        .take(room.saturating_sub(1))
        .chain(['…'])
        .collect()
}

/// What is wrong with a scenario that did not simply pass, in full.
pub(super) fn failure(run: &Run<'_>, played: &Played, capture: Option<&Path>) -> String {
    let Played {
        scenario, verdict, ..
    } = played;
    let mut out = format!("\n{} {}\n", verdict.word(), scenario.id);
    let mut term = |name: &str, value: &str| {
        let value = visible(value.trim_end()).replace('\n', "\n               ");
        let _ = writeln!(out, "  {name:<12} {value}");
    };
    term(
        "requirement",
        &format!("{} ({})", scenario.requirement, scenario.clause),
    );
    if let Some(expected) = verdict.expected() {
        term("expected", expected);
    }
    term("actual", or_nothing(verdict.detail().trim_end()));
    for breach in breaches(&played.breaches) {
        term("monitor", &breach);
    }
    if let Some(capture) = capture {
        term("capture", &capture.display().to_string());
    }
    term("rerun", &run.rerun(scenario.id));
    out
}

/// The closing lines.
pub(super) fn closing(tally: &Tally) -> String {
    match tally.fine_print() {
        Some(fine_print) => format!("{fine_print}\n{tally}"),
        None => tally.to_string(),
    }
}
