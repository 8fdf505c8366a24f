//! Every scenario against `glintd` as a trial of its own, and Wireshark's opinion of what was said.

mod stage;
mod wireshark;

use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use scenarios::catalogue;
use scenarios::runner::Played;
use scenarios::verdict::Verdict;

use stage::Stage;

fn main() {
    let arguments = Arguments::from_args();
    let stage = Arc::new(Stage::new());
    let mut trials: Vec<Trial> = catalogue::all()
        .into_iter()
        .map(|scenario| {
            let stage = Arc::clone(&stage);
            let name = format!("{}::glintd", scenario.id);
            Trial::ignorable_test(name, move || outcome(&stage.play(scenario)?))
        })
        .collect();
    trials.push(wireshark::trial(&stage));
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Err(why) = stage.end() {
        // What a trial saw would have failed it; this is the end of all of them.
        panic!("glintd did not end well: {why}");
    }
    conclusion.exit();
}

fn outcome(played: &Played) -> Result<Completion, Failed> {
    let Played {
        scenario,
        verdict,
        breaches,
        ..
    } = played;
    match verdict {
        Verdict::Pass | Verdict::Weak(_) | Verdict::Info(_) => Ok(Completion::Completed),
        Verdict::Skip(why) => Ok(Completion::ignored_with(why)),
        Verdict::Fail(_) | Verdict::Hang(_) | Verdict::Crash(_) => {
            let mut text = format!("{} ({})\n{verdict}", scenario.requirement, scenario.clause);
            for breach in breaches {
                text += &format!("\nmonitor: {breach}");
            }
            text += &format!("\nrerun: cargo scenarios --only {}", scenario.id);
            Err(Failed::from(text))
        }
    }
}
