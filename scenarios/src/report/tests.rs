//! Reports say what happened, also when it looks like markup.

use std::time::Duration;

use super::*;
use crate::scenario::Scenario;
use crate::verdict::{Contrast, Verdict};

fn played(id: &'static str, verdict: Verdict) -> Played {
    Played {
        scenario: Scenario {
            id,
            clause: "RFC 7143 1",
            requirement: "1 < 2 & so on.",
            needs: &[],
            play: |_| Box::pin(async { Ok(()) }),
        },
        verdict,
        took: Duration::from_millis(7),
        breaches: Vec::new(),
        events: Vec::new(),
    }
}

fn all() -> Vec<Played> {
    let contrast = Contrast {
        expected: "<b>".to_owned(),
        actual: "a\u{0}b {{rows}}".to_owned(),
    };
    vec![
        played("a.pass", Verdict::Pass),
        played("a.fail", Verdict::Fail(contrast)),
        played("a.hang", Verdict::Hang("silence".to_owned())),
        played("a.skip", Verdict::Skip("no CHAP".to_owned())),
    ]
}

#[test]
fn junit_tells_failures_errors_and_skips_apart() {
    let played = all();
    let run = Run {
        device: "glintd",
        options: "",
        played: &played,
    };
    let xml = junit(&run).unwrap();
    assert!(
        xml.contains("tests=\"4\" failures=\"1\" errors=\"1\""),
        "{xml}"
    );
    assert!(xml.contains("<skipped message=\"no CHAP\""), "{xml}");
    assert!(xml.contains("type=\"HANG\""), "{xml}");
    assert!(!xml.contains('\0'), "XML cannot say NUL");
}

#[test]
fn a_breach_seen_again_is_counted_not_repeated() {
    let breach = |seen: &str| Breach {
        clause: "RFC 7143 1",
        rule: "a rule",
        seen: seen.to_owned(),
    };
    let seen = [breach("1"), breach("2"), breach("1")];
    assert_eq!(
        breaches(&seen),
        [
            "RFC 7143 1: a rule; seen: 1 (2 times)",
            "RFC 7143 1: a rule; seen: 2"
        ]
    );
}

#[test]
fn control_characters_are_shown_and_lines_stay() {
    let text = "a=1\0b\u{1b}[2J\u{9b}\n\tc";
    assert_eq!(visible(text), "a=1\\0b\\u{1b}[2J\\u{9b}\n\tc");
}

#[test]
fn the_page_shows_every_scenario_and_escapes_what_it_quotes() {
    let played = all();
    let run = Run {
        device: "glintd",
        options: " --store file",
        played: &played,
    };
    let html = page(&run, |id| {
        (id == "a.fail").then(|| "pcap/a.fail.pcapng".to_owned())
    });
    assert_eq!(html.matches("<details ").count(), 4);
    assert!(html.contains("1 passed, 2 failed, 1 skipped, 4 in all"));
    assert!(html.contains("1 &lt; 2 &amp; so on."));
    assert!(html.contains("&lt;b&gt;") && !html.contains("<b>"));
    assert!(
        html.contains("a\\0b"),
        "what was seen, also where it is no text"
    );
    assert_eq!(html.matches("href=").count(), 1, "one capture was kept");
    assert!(html.contains("cargo scenarios --store file --only a.pass"));
    assert!(
        !html.contains("{{title}}") && html.contains("{{rows}}"),
        "quoted, not filled in"
    );
    assert!(!html.contains("http"), "it needs nothing else");
}
