//! How a scenario went.

use std::fmt;

use crate::monitor::Breach;
use crate::scenario::Finding;

/// The outcome of one scenario on one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The requirement holds.
    Pass,
    /// A SHOULD is not followed.
    Weak(Contrast),
    /// A MUST is broken.
    Fail(Contrast),
    /// It was not played, and why.
    Skip(String),
    /// Nothing to judge, something to tell.
    Info(String),
    /// The device did not answer in time.
    Hang(String),
    /// The device died.
    Crash(String),
}

/// What was asked for against what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contrast {
    /// What the standard asks for.
    pub expected: String,
    /// What was seen.
    pub actual: String,
}

impl Verdict {
    /// The verdict on a conversation that ended with `result`, during which the monitor saw
    /// `breaches`. A breach weighs more than anything but a failure.
    pub fn of(result: Result<(), Finding>, breaches: &[Breach]) -> Self {
        let verdict = match result {
            Ok(()) => Self::Pass,
            Err(Finding::Fail { expected, actual }) => Self::Fail(Contrast { expected, actual }),
            Err(Finding::Weak { expected, actual }) => Self::Weak(Contrast { expected, actual }),
            Err(Finding::Skip(why)) => Self::Skip(why),
            Err(Finding::Info(what)) => Self::Info(what),
            Err(Finding::Hang(what)) => Self::Hang(what),
        };
        match breaches.first() {
            Some(breach) if !verdict.is_failure() => Self::Fail(Contrast {
                expected: format!("{} ({}; seen by the monitor)", breach.rule, breach.clause),
                actual: breach.seen.clone(),
            }),
            _ => verdict,
        }
    }

    /// Whether the device does not conform.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Fail(_) | Self::Hang(_) | Self::Crash(_))
    }

    /// Whether nothing can be said.
    pub fn is_skip(&self) -> bool {
        matches!(self, Self::Skip(_))
    }

    /// The verdict in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Weak(_) => "WEAK",
            Self::Fail(_) => "FAIL",
            Self::Skip(_) => "SKIP",
            Self::Info(_) => "INFO",
            Self::Hang(_) => "HANG",
            Self::Crash(_) => "CRASH",
        }
    }

    /// What was expected, when something else came.
    pub fn expected(&self) -> Option<&str> {
        match self {
            Self::Weak(contrast) | Self::Fail(contrast) => Some(&contrast.expected),
            Self::Hang(_) => Some("an answer in time"),
            Self::Crash(_) => Some("the device lives"),
            Self::Pass | Self::Skip(_) | Self::Info(_) => None,
        }
    }

    /// What there is to say beyond the word.
    pub fn detail(&self) -> &str {
        match self {
            Self::Pass => "",
            Self::Weak(contrast) | Self::Fail(contrast) => &contrast.actual,
            Self::Skip(text) | Self::Info(text) | Self::Hang(text) | Self::Crash(text) => text,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.word(), self.expected(), self.detail()) {
            (word, _, "") => f.write_str(word),
            (word, Some(expected), detail) => write!(f, "{word}: {detail}, not {expected}"),
            (word, None, detail) => write!(f, "{word}: {detail}"),
        }
    }
}

/// How many of each there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requirements that hold, those with a WEAK or an INFO among them.
    pub passed: usize,
    /// FAIL, HANG and CRASH.
    pub failed: usize,
    /// Not played.
    pub skipped: usize,
    /// Of the passed: those that break a SHOULD.
    pub weak: usize,
    /// Of the passed: those that only tell something.
    pub info: usize,
    /// Of the failed.
    pub hung: usize,
    /// Of the failed.
    pub crashed: usize,
}

impl Tally {
    /// Counts verdicts.
    pub fn of<'a>(verdicts: impl IntoIterator<Item = &'a Verdict>) -> Self {
        let mut tally = Self::default();
        for verdict in verdicts {
            let (all, some) = match verdict {
                Verdict::Pass => (&mut tally.passed, None),
                Verdict::Weak(_) => (&mut tally.passed, Some(&mut tally.weak)),
                Verdict::Info(_) => (&mut tally.passed, Some(&mut tally.info)),
                Verdict::Fail(_) => (&mut tally.failed, None),
                Verdict::Hang(_) => (&mut tally.failed, Some(&mut tally.hung)),
                Verdict::Crash(_) => (&mut tally.failed, Some(&mut tally.crashed)),
                Verdict::Skip(_) => (&mut tally.skipped, None),
            };
            *all += 1;
            if let Some(some) = some {
                *some += 1;
            }
        }
        tally
    }

    /// What the three numbers hide; nothing when they hide nothing.
    pub fn fine_print(&self) -> Option<String> {
        let counts = [
            (self.weak, "of the passed break a SHOULD (WEAK)"),
            (self.info, "of the passed only tell something (INFO)"),
            (self.hung, "of the failed got no answer in time (HANG)"),
            (self.crashed, "of the failed saw the device die (CRASH)"),
        ];
        let told: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        (!told.is_empty()).then(|| told.join(", "))
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breach() -> Breach {
        Breach {
            clause: "RFC 7143 4.2.2.2",
            rule: "StatSN counts",
            seen: "7".to_owned(),
        }
    }

    #[test]
    fn a_breach_turns_all_but_failures_into_one() {
        let results = [
            Ok(()),
            Err(Finding::Skip(String::new())),
            Err(Finding::Info(String::new())),
        ];
        for result in results {
            assert!(!Verdict::of(result.clone(), &[]).is_failure());
            let verdict = Verdict::of(result, &[breach()]);
            assert!(
                verdict
                    .expected()
                    .is_some_and(|text| text.contains("4.2.2.2")),
                "{verdict}"
            );
        }
        let own = Verdict::of(Err(Finding::fail("a", "b")), &[breach()]);
        assert_eq!(own.detail(), "b");
        assert_eq!(
            Verdict::of(Err(Finding::Hang(String::new())), &[breach()]).word(),
            "HANG"
        );
    }

    #[test]
    fn a_skip_is_never_a_pass_and_a_weak_pass_is_told() {
        let contrast = || Contrast {
            expected: String::new(),
            actual: String::new(),
        };
        let verdicts = [
            Verdict::Pass,
            Verdict::Weak(contrast()),
            Verdict::Info(String::new()),
            Verdict::Fail(contrast()),
            Verdict::Hang(String::new()),
            Verdict::Crash(String::new()),
            Verdict::Skip(String::new()),
        ];
        let tally = Tally::of(&verdicts);
        assert_eq!(tally.to_string(), "3 passed, 3 failed, 1 skipped");
        let fine_print = tally.fine_print().unwrap();
        assert_eq!(fine_print.matches('1').count(), 4, "{fine_print}");
        assert_eq!(Tally::of(&[Verdict::Pass]).fine_print(), None);
    }
}
