//! The report for machines: JUnit XML.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Run, breaches};
use crate::runner::Played;
use crate::verdict::Verdict;

/// The run as JUnit XML.
pub fn junit(run: &Run<'_>) -> Result<String, quick_junit::SerializeError> {
    let mut suite = TestSuite::new(format!("scenarios::{}", run.device));
    suite.add_test_cases(run.played.iter().map(|played| case(run, played)));
    let mut report = Report::new("scenarios");
    report.add_test_suite(suite);
    report.to_string()
}

fn case(run: &Run<'_>, played: &Played) -> TestCase {
    let (scenario, verdict) = (&played.scenario, &played.verdict);
    let mut case = TestCase::new(scenario.id, status(verdict));
    case.set_classname(format!("scenarios::{}", run.device));
    case.set_time(played.took);
    let mut said = format!("{} {}\n{verdict}\n", scenario.clause, scenario.requirement);
    if verdict.is_failure() {
        said += &format!("rerun: {}\n", run.rerun(scenario.id));
        for breach in breaches(&played.breaches) {
            said += &format!("monitor: {breach}\n");
        }
    }
    case.set_system_out(said);
    case
}

fn status(verdict: &Verdict) -> TestCaseStatus {
    let kind = match verdict {
        Verdict::Pass | Verdict::Weak(_) | Verdict::Info(_) => return TestCaseStatus::success(),
        Verdict::Skip(why) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(why.as_str());
            return status;
        }
        Verdict::Fail(_) => NonSuccessKind::Failure,
        Verdict::Hang(_) | Verdict::Crash(_) => NonSuccessKind::Error,
    };
    let mut status = TestCaseStatus::non_success(kind);
    status
        .set_type(verdict.word())
        .set_message(verdict.to_string());
    status
}
