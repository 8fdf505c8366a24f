//! The report for people: one page that needs nothing else.

use std::fmt::Write as _;
use std::path::Path;

use super::{Run, breaches, ladder, or_nothing, visible};
use crate::runner::Played;
use crate::verdict::{Tally, Verdict};

const PAGE: &str = include_str!("page.html");

/// The words in the order of the filter.
const WORDS: [&str; 7] = ["FAIL", "HANG", "CRASH", "WEAK", "INFO", "SKIP", "PASS"];

/// The run as a page. `pcap` says where the capture of a scenario is, if it was kept.
pub fn page(run: &Run<'_>, pcap: impl Fn(&str) -> Option<String>) -> String {
    let tally = Tally::of(run.played.iter().map(|played| &played.verdict));
    let mut summary = format!("{tally}, {} in all", run.played.len());
    if let Some(fine_print) = tally.fine_print() {
        summary += &format!(": {fine_print}");
    }
    let rows: String = run
        .played
        .iter()
        .map(|played| row(run, played, pcap(played.scenario.id)))
        .collect();
    PAGE.replace(
        "{{title}}",
        &escape(&format!("Scenarios on {}", run.device)),
    )
    .replace("{{summary}}", &escape(&summary))
    .replace("{{choices}}", &choices(run.played))
    // Last: what scenarios said is not searched for placeholders.
    .replace("{{rows}}", &rows)
}

fn choices(played: &[Played]) -> String {
    let mut out = String::new();
    for word in WORDS {
        let count = played
            .iter()
            .filter(|played| played.verdict.word() == word)
            .count();
        if count > 0 {
            // Writing to a String does not fail, here and below.
            let _ = writeln!(
                out,
                "<label><input type=\"checkbox\" value=\"{word}\" checked> \
                 <span class=\"verdict {word}\">{word}</span> {count}</label>"
            );
        }
    }
    out
}

fn row(run: &Run<'_>, played: &Played, pcap: Option<String>) -> String {
    let (scenario, verdict) = (&played.scenario, &played.verdict);
    let (word, id) = (verdict.word(), escape(scenario.id));
    let sought = format!(
        "{} {} {} {}",
        scenario.id,
        scenario.clause,
        scenario.requirement,
        verdict.detail()
    );
    let mut out = format!(
        "<details id=\"{id}\" data-verdict=\"{word}\" data-text=\"{}\">\n<summary>\
         <span class=\"verdict {word}\">{word}</span><span class=\"id\">{id}</span>\
         <span class=\"what\">{}{}</span><span class=\"took\">{} ms</span></summary>\n\
         <div class=\"body\">\n<dl>",
        escape(&sought.to_lowercase()),
        escape(scenario.requirement),
        saw(verdict),
        played.took.as_millis(),
    );
    let mut term = |name: &str, value: &str| {
        let _ = write!(out, "<dt>{name}</dt><dd>{}</dd>", escape(value));
    };
    term("Requirement", scenario.requirement);
    term("Clause", scenario.clause);
    if let Some(expected) = verdict.expected() {
        term("Expected", expected);
        term("Actual", or_nothing(verdict.detail()));
    } else if !verdict.detail().is_empty() {
        term("Note", verdict.detail());
    }
    for breach in breaches(&played.breaches) {
        term("Monitor", &breach);
    }
    let rerun = escape(&run.rerun(scenario.id));
    let _ = write!(out, "<dt>Rerun</dt><dd><code>{rerun}</code></dd>");
    if let Some(path) = pcap {
        let name = Path::new(&path)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let (path, name) = (escape(&path), escape(&name));
        let _ = write!(
            out,
            "<dt>Capture</dt><dd><a href=\"{path}\">{name}</a></dd>"
        );
    }
    out += "</dl>\n";
    if !played.events.is_empty() {
        let _ = writeln!(out, "<pre>{}</pre>", escape(&ladder(&played.events)));
    }
    out + "</div>\n</details>\n"
}

/// What there is to say about a scenario that did not simply pass, on a line of its own.
fn saw(verdict: &Verdict) -> String {
    if *verdict == Verdict::Pass {
        return String::new();
    }
    let first = verdict.detail().lines().next().unwrap_or_default();
    format!("<small>{}</small>", escape(or_nothing(first)))
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in visible(text).chars() {
        match char {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            char => out.push(char),
        }
    }
    out
}
