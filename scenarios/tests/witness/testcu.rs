//! libiscsi's own conformance suite: each test in a process of its own, on a fresh unit of a fresh
//! target.

use libtest_mimic::{Failed, Trial};
use scenarios::foreign::cunit::Verdict;
use scenarios::foreign::testcu::{NEED_COMPANY, conforms, is_skipped, listed, names, run};

use crate::server::Server;
use crate::tools::{ISCSI_TEST_CU, TGTD, trial};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial(
            "testcu::the_list_is_the_tools_own",
            &[ISCSI_TEST_CU],
            the_list_is_the_tools_own,
        ),
        trial("testcu::control_tgtd", &[ISCSI_TEST_CU, TGTD], control),
    ];
    for test in names() {
        let skips = is_skipped(&test);
        let name = format!("testcu::{test}{}", if skips { "::is_skipped" } else { "" });
        trials.push(trial(name, &[ISCSI_TEST_CU], move || passes(&test)));
    }
    trials
}

fn passes(test: &str) -> Result<(), Failed> {
    let server = Server::start()?;
    match conforms(&server.url(), test) {
        Ok(None) => {}
        Ok(Some(skip)) => eprintln!("{test}: {skip}"),
        Err(why) => return Err(format!("{why}\n{}", server.log()).into()),
    }
    server.stop()
}

/// A test the tool has and we do not run, or the other way round, is a hole.
fn the_list_is_the_tools_own() -> Result<(), Failed> {
    let theirs = listed()?;
    let mut ours: Vec<String> = names().collect();
    ours.sort_unstable();
    if theirs == ours {
        Ok(())
    } else {
        Err(format!("the tool lists {theirs:?}").into())
    }
}

/// tgtd passes a read, takes Data-Outs out of order, and lacks COMPARE AND WRITE: seen thus, or
/// our reading of the tool is wrong. What cannot pass alone, tgtd fails as well.
fn control() -> Result<(), Failed> {
    let server = Server::start_tgtd()?;
    let verdicts = [
        alone(&server, "Read10.Simple")?,
        alone(&server, "iSCSIdatasn.iSCSIDataSnInvalid")?,
        alone(&server, "CompareAndWrite.Simple")?,
        alone(&server, "Nobody.Knows")?,
    ];
    match &verdicts {
        [
            Verdict::Pass,
            Verdict::Fail(why),
            Verdict::Skip(reason),
            Verdict::Broken(_),
        ] if why.contains("CU_ASSERT") && reason.contains("not implemented") => {}
        other => return Err(format!("tgtd is seen as {other:?}").into()),
    }
    for (test, assertion) in NEED_COMPANY {
        match alone(&server, test)? {
            Verdict::Fail(why) if why.lines().count() == 1 && why.contains(assertion) => {}
            other => return Err(format!("{test} on tgtd: {other:?}").into()),
        }
    }
    Ok(())
}

fn alone(server: &Server, test: &str) -> Result<Verdict, Failed> {
    Ok(run(&server.url(), test, test)?)
}
