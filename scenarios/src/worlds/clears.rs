//! Functions about a set of tasks, whoever sent them: whose commands they may have taken, and who has
//! to be told.

use engine::Moment;

/// All of them, in the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct Clears(Vec<Clear>);

#[derive(Debug)]
struct Clear {
    unit: Unit,
    /// The initiator.
    by: u8,
    /// It is about the tasks of others as well, who are told by a unit attention.
    tells: bool,
    sent: Moment,
    ended: Option<Moment>,
    complete: bool,
}

/// A unit: of which target, and which.
pub(super) type Unit = (u8, u8);

impl Clears {
    /// One is sent; its number.
    pub(super) fn sent(&mut self, unit: Unit, by: u8, tells: bool, sent: Moment) -> usize {
        self.0.push(Clear {
            unit,
            by,
            tells,
            sent,
            ended: None,
            complete: false,
        });
        self.0.len() - 1
    }

    /// The one of that number is answered.
    pub(super) fn ended(&mut self, number: usize, now: Moment, complete: bool) {
        let one = &mut self.0[number];
        (one.ended, one.complete) = (Some(now), complete);
    }

    /// Whether a command that was sent then may have been taken by one.
    pub(super) fn may_have_taken(&self, unit: Unit, command: Moment) -> bool {
        let met = |each: &Clear| each.ended.is_none_or(|ended| ended >= command);
        self.0.iter().any(|each| each.unit == unit && met(each))
    }

    /// Whether there is one of others that an initiator had to be told of before a command sent at
    /// `command` could be GOOD. It has its connection since `since`, and was told something at `told`.
    pub(super) fn is_untold(
        &self,
        unit: Unit,
        to: u8,
        (since, told): (Moment, Option<Moment>),
        command: Moment,
    ) -> bool {
        let untold = |each: &Clear| {
            let before = each.ended.is_some_and(|ended| ended < command);
            let news = each.sent > since && told.is_none_or(|told| told < each.sent);
            each.complete && each.tells && each.by != to && before && news
        };
        self.0.iter().any(|each| each.unit == unit && untold(each))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: Unit = (0, 1);

    fn one() -> Clears {
        let mut clears = Clears::default();
        let number = clears.sent(UNIT, 0, true, Moment(10));
        clears.ended(number, Moment(20), true);
        clears
    }

    #[test]
    fn what_was_under_way_may_have_been_taken() {
        let mut clears = one();
        assert!(clears.may_have_taken(UNIT, Moment(5)) && clears.may_have_taken(UNIT, Moment(15)));
        assert!(!clears.may_have_taken(UNIT, Moment(25)));
        assert!(!clears.may_have_taken((0, 0), Moment(15)));
        clears.sent(UNIT, 1, false, Moment(30));
        assert!(clears.may_have_taken(UNIT, Moment(99)), "nobody knows when");
    }

    #[test]
    fn others_have_to_be_told() {
        let clears = one();
        let untold = |to, since, told: Option<u64>, command| {
            let known = (Moment(since), told.map(Moment));
            clears.is_untold(UNIT, to, known, Moment(command))
        };
        assert!(untold(1, 5, None, 25) && untold(1, 5, Some(9), 25));
        assert!(!untold(1, 5, Some(12), 25), "told");
        assert!(!untold(1, 11, None, 25), "a session that began later");
        assert!(!untold(1, 5, None, 15), "it was not complete");
        assert!(!untold(0, 5, None, 25), "its own");
    }
}
