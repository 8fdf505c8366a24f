//! The whole catalogue against a `glintd` whose units are images on the volume.

use std::sync::Arc;

use libtest_mimic::{Completion, Failed, Trial};
use scenarios::catalogue;
use scenarios::runner::Played;
use scenarios::scenario::{Need, Scenario};
use scenarios::verdict::Verdict;

use crate::room::Room;

/// Scenarios that need the fake Gluster: nobody cuts the power of a container, or makes its bricks
/// fail a call of one's choice.
const ONLY_ON_THE_FAKE: usize = 23;

pub(crate) fn trials(room: &Arc<Room>) -> Vec<Trial> {
    let scenarios = catalogue::all().into_iter();
    let mut trials: Vec<Trial> = scenarios
        .map(|scenario| {
            let name = format!("{}::gluster", scenario.id);
            room.ignorable_trial(name, &[], move |room| conforms(room, scenario))
        })
        .collect();
    trials.push(Trial::test(
        "catalogue::all_but_the_known_are_played",
        || {
            let all = catalogue::all();
            let count = all.iter().filter(|scenario| is_skipped(scenario)).count();
            match count == ONLY_ON_THE_FAKE {
                true => Ok(()),
                false => Err(format!("{count} of {} are not played", all.len()).into()),
            }
        },
    ));
    trials
}

fn is_skipped(scenario: &Scenario) -> bool {
    let fake = |need: &Need| matches!(need, Need::PowerCut | Need::Faults);
    scenario.needs.iter().any(fake)
}

fn conforms(room: &Room, scenario: Scenario) -> Result<Completion, Failed> {
    let Played {
        scenario,
        verdict,
        breaches,
        ..
    } = room.play(scenario)?;
    match (&verdict, is_skipped(&scenario)) {
        (Verdict::Pass | Verdict::Weak(_) | Verdict::Info(_), false) => Ok(Completion::Completed),
        (Verdict::Skip(why), true) => Ok(Completion::ignored_with(why)),
        _ => {
            let mut text = format!("{} ({})\n{verdict}", scenario.requirement, scenario.clause);
            for breach in breaches {
                text += &format!("\nmonitor: {breach}");
            }
            Err(Failed::from(text))
        }
    }
}
