//! Faults by plan. One rule a line:
//!
//! ```text
//! KIND PATH [nth=N | from=N to=N | every=N | chance=PERCENT] EFFECT…
//! write /disk.img nth=3 errno=ENOSPC      the third write fails
//! fsync *         nth=1 lose              fails with EIO, and the un-synced bytes are gone
//! write *         nth=2 lose              the same of a write with O_DSYNC
//! *     /disk.img from=10 latency=200ms   slow from the tenth call on
//! read  *         every=100 short=512     delivers at most 512 bytes
//! write *         nth=7 hang              until the rule is taken out of the plan
//! write *         nth=7 hang=8s errno=ENOTCONN
//! write *         nth=9 cut               the power fails at this call
//! ```
//! `*` is any. Each rule counts the calls that match it, from 1. Delays of several rules add up; of
//! other effects the first rule's counts.

use std::time::Duration;

use crate::call::OpKind;
use crate::chance::Chance;
use crate::command::duration;
use crate::errno::Errno;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// It is carried out.
    #[default]
    Proceed,
    /// It fails and changes nothing.
    Fail(Errno),
    /// It is carried out for at most that many bytes.
    Short(u64),
    /// It fails, and the un-synced bytes of the file are dropped: an fsync that loses, of its own
    /// or within a write with O_DSYNC.
    Lose(Errno),
    /// All power fails instead.
    Cut,
}

/// What the plan says about one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// It is carried out that much later.
    pub delay: Duration,
    /// It waits until this rule is no longer in the plan.
    pub hang: Option<String>,
    /// What then happens.
    pub outcome: Outcome,
    /// The first rule that applied, its line counted from 1; 0 for none.
    pub rule: u32,
}

/// Rules in the order of their lines.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    text: String,
    line: u32,
    kind: Option<OpKind>,
    path: Option<String>,
    when: When,
    delay: Duration,
    hang: bool,
    outcome: Outcome,
    seen: u64,
}

#[derive(Clone, Copy, Debug)]
enum When {
    Window { from: u64, to: u64 },
    Every(u64),
    Chance(u64),
}

impl Plan {
    /// Reads a plan. The error says which line is not understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rules = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                let number = index as u32 + 1;
                let rule = Rule::parse(line, number)
                    .ok_or_else(|| format!("line {number}: not a rule: {line}"))?;
                rules.push(rule);
            }
        }
        Ok(Self { rules })
    }

    /// Takes the counts of those rules that stand word for word in both plans.
    pub fn resume(mut self, before: &Self) -> Self {
        for rule in &mut self.rules {
            if let Some(old) = before.rules.iter().find(|old| old.text == rule.text) {
                rule.seen = old.seen;
            }
        }
        self
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a rule of that text is in the plan.
    pub fn holds(&self, text: &str) -> bool {
        self.rules.iter().any(|rule| rule.text == text)
    }

    /// What becomes of this call; counts it.
    pub fn judge(&mut self, kind: OpKind, path: &str, chance: &mut Chance) -> Verdict {
        let mut verdict = Verdict::default();
        for rule in &mut self.rules {
            if !rule.applies(kind, path, chance) {
                continue;
            }
            verdict.delay += rule.delay;
            if rule.hang {
                verdict.hang.get_or_insert_with(|| rule.text.clone());
            }
            if verdict.outcome == Outcome::Proceed {
                verdict.outcome = rule.outcome;
            }
            if verdict.rule == 0 {
                verdict.rule = rule.line;
            }
        }
        verdict
    }
}

impl Rule {
    fn parse(text: &str, line: u32) -> Option<Self> {
        let mut words = text.split_whitespace();
        let kind = match words.next()? {
            "*" => None,
            name => Some(OpKind::named(name)?),
        };
        let path = match words.next()? {
            "*" => None,
            path => Some(path.to_owned()),
        };
        let mut rule = Self {
            text: text.to_owned(),
            line,
            kind,
            path,
            when: When::Window {
                from: 1,
                to: u64::MAX,
            },
            delay: Duration::ZERO,
            hang: false,
            outcome: Outcome::Proceed,
            seen: 0,
        };
        for word in words {
            let (key, value) = match word.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (word, None),
            };
            rule.take(key, value)?;
        }
        let idle = rule.delay.is_zero() && !rule.hang && rule.outcome == Outcome::Proceed;
        (!idle).then_some(rule)
    }

    fn take(&mut self, key: &str, value: Option<&str>) -> Option<()> {
        let number = || value.and_then(|value| value.parse::<u64>().ok());
        match (key, value) {
            ("nth", Some(_)) => {
                let nth = number()?;
                self.when = When::Window { from: nth, to: nth };
            }
            ("from", Some(_)) => {
                self.when = When::Window {
                    from: number()?,
                    to: u64::MAX,
                }
            }
            ("to", Some(_)) => match &mut self.when {
                When::Window { to, .. } => *to = number()?,
                When::Every(_) | When::Chance(_) => return None,
            },
            ("every", Some(_)) => self.when = When::Every(number().filter(|&n| n > 0)?),
            ("chance", Some(_)) => self.when = When::Chance(number().filter(|&n| n <= 100)?),
            ("latency", Some(value)) => self.delay = duration(value)?,
            ("hang", None) => self.hang = true,
            ("hang", Some(value)) => self.delay = duration(value)?,
            ("short", Some(_)) => self.outcome = Outcome::Short(number()?),
            ("cut", None) => self.outcome = Outcome::Cut,
            ("lose", None) => {
                self.outcome = match self.outcome {
                    Outcome::Fail(errno) => Outcome::Lose(errno),
                    _ => Outcome::Lose(Errno::EIO),
                }
            }
            ("errno", Some(name)) => {
                let errno = Errno::named(name)?;
                self.outcome = match self.outcome {
                    Outcome::Lose(_) => Outcome::Lose(errno),
                    _ => Outcome::Fail(errno),
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn applies(&mut self, kind: OpKind, path: &str, chance: &mut Chance) -> bool {
        let kind_fits = self.kind.is_none_or(|wanted| wanted == kind);
        let path_fits = self.path.as_deref().is_none_or(|wanted| wanted == path);
        if !kind_fits || !path_fits {
            return false;
        }
        self.seen += 1;
        match self.when {
            When::Window { from, to } => (from..=to).contains(&self.seen),
            When::Every(n) => self.seen.is_multiple_of(n),
            When::Chance(percent) => chance.below(100) < percent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(plan: &str, calls: usize) -> Vec<Outcome> {
        let mut plan = Plan::parse(plan).expect("a plan");
        let mut chance = Chance::new(1);
        let mut judge = || plan.judge(OpKind::Write, "/a", &mut chance).outcome;
        (0..calls).map(|_| judge()).collect()
    }

    #[test]
    fn a_rule_counts_the_calls_that_match_it() {
        use Outcome::{Fail, Proceed};
        let fail = Fail(Errno::EIO);
        assert_eq!(
            outcomes("write /a nth=2 errno=EIO", 3),
            [Proceed, fail, Proceed]
        );
        assert_eq!(
            outcomes("* * from=2 to=3 errno=EIO", 4),
            [Proceed, fail, fail, Proceed]
        );
        assert_eq!(
            outcomes("write * every=2 errno=EIO", 4),
            [Proceed, fail, Proceed, fail]
        );
        assert_eq!(outcomes("read * errno=EIO", 2), [Proceed, Proceed]);
        assert_eq!(outcomes("write /b errno=EIO", 2), [Proceed, Proceed]);
    }

    #[test]
    fn delays_add_up_and_the_first_outcome_counts() {
        let text = "* * latency=2ms\nwrite * hang=1s errno=ENOTCONN\nwrite * short=512";
        let mut plan = Plan::parse(text).expect("a plan");
        let verdict = plan.judge(OpKind::Write, "/a", &mut Chance::new(1));
        assert_eq!(verdict.delay, Duration::from_millis(1002));
        assert_eq!(verdict.outcome, Outcome::Fail(Errno::ENOTCONN));
        assert_eq!((verdict.rule, verdict.hang), (1, None));
    }

    #[test]
    fn a_hang_lasts_as_long_as_its_rule() {
        let text = "write * nth=1 hang";
        let mut plan = Plan::parse(text).expect("a plan");
        let verdict = plan.judge(OpKind::Write, "/a", &mut Chance::new(1));
        let rule = verdict.hang.expect("hangs");
        assert!(plan.holds(&rule));
        assert!(!Plan::parse("").expect("empty").holds(&rule));
    }

    #[test]
    fn counts_survive_a_new_plan_that_keeps_the_rule() {
        let mut plan = Plan::parse("write * nth=2 errno=EIO").expect("a plan");
        let mut chance = Chance::new(1);
        plan.judge(OpKind::Write, "/a", &mut chance);
        let text = "read * errno=EIO\nwrite * nth=2 errno=EIO";
        let mut plan = Plan::parse(text).expect("a plan").resume(&plan);
        let verdict = plan.judge(OpKind::Write, "/a", &mut chance);
        assert_eq!(verdict.outcome, Outcome::Fail(Errno::EIO));
    }

    #[test]
    fn what_is_not_a_rule_is_refused_with_its_line() {
        for wrong in [
            "write",
            "write *",
            "paint * errno=EIO",
            "write * errno=EWHAT",
            "write * latency=5",
            "write * every=0 cut",
            "write * nth=x cut",
        ] {
            let error = Plan::parse(&format!("# first\n{wrong}")).expect_err(wrong);
            assert!(error.starts_with("line 2:"), "{error}");
        }
    }
}
