//! The contract suite on the fake: a trial for each case, on a served cluster of its own. The same
//! cases on real Gluster are `cargo run -p ci -- contract`.

mod programs;

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use glfs_sys::Api;
use gluster_mock::contract::{Case, DIFFERENCES, Fake, NOT_RUN, Outcome, cases, run};
use libtest_mimic::{Arguments, Failed, Trial};

/// Cases mostly wait: for ping timeouts, reconnects and post-op delays.
const AT_A_TIME: usize = 32;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_A_TIME);
    let mut trials: Vec<Trial> = cases()
        .into_iter()
        .map(|case| Trial::test(case.id, move || play(case)))
        .collect();
    trials.push(Trial::test("tables", tables));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn api() -> &'static Api {
    static API: OnceLock<Api> = OnceLock::new();
    API.get_or_init(|| {
        Api::open(programs::built("libgluster_mock.so")).expect("the fake's library loads")
    })
}

fn play(case: Case) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let fake = Fake::new(folder.path()).map_err(|why| format!("{why:?}"))?;
    let rows = run(api(), Arc::new(fake), &[case], 1, |_| ());
    match rows.into_iter().next().map(|row| row.outcome) {
        Some(Outcome::Passed) => Ok(()),
        Some(Outcome::Failed(why) | Outcome::Skipped(why)) => {
            Err(format!("{}\n  stated: {}", why, case.clause).into())
        }
        None => Err("it was not run".into()),
    }
}

/// Enough cases, each named once; what is excused exists and says why.
fn tables() -> Result<(), Failed> {
    let mut ids: Vec<&str> = cases().iter().map(|case| case.id).collect();
    assert!(ids.len() >= 60, "{}", ids.len());
    ids.sort_unstable();
    let all = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), all, "two cases of one name");
    for row in DIFFERENCES {
        assert!(ids.contains(&row.id) && !row.evidence.is_empty(), "{row:?}");
    }
    for row in NOT_RUN {
        assert!(!row.reason.is_empty() && !row.row.is_empty(), "{row:?}");
    }
    Ok(())
}
