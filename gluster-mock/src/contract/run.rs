//! The run: shared volumes are made once, cases that want nobody near get their own, as many at a
//! time as asked for. A case that does not end is given up, not waited for.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use glfs_sys::Api;

use super::case::{Case, Company, Fault, Site, Stage};
use super::ground::{Ground, GroundError, Wish};

/// No case takes longer, whatever it waits for.
const CASE_LIMIT: Duration = Duration::from_secs(120);

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All was as stated.
    Passed,
    /// Something was not.
    Failed(String),
    /// The ground cannot do what the case needs.
    Skipped(String),
}

/// A case that was run.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub id: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took, without its volume.
    pub took: Duration,
}

type Shared = Arc<OnceLock<Result<Arc<Site>, GroundError>>>;

/// The ground, and the volumes of it that cases share.
struct Theatre {
    api: &'static Api,
    ground: Arc<dyn Ground>,
    shared: Mutex<HashMap<Wish, Shared>>,
}

/// Runs these cases, `jobs` at a time, and tells each row as soon as there is one.
pub fn run(
    api: &'static Api,
    ground: Arc<dyn Ground>,
    cases: &[Case],
    jobs: usize,
    tell: impl Fn(&Row) + Sync,
) -> Vec<Row> {
    let theatre = Theatre {
        api,
        ground,
        shared: Mutex::default(),
    };
    let (alone, mut together): (Vec<Case>, Vec<Case>) = cases
        .iter()
        .partition(|case| case.company == Company::Alone);
    // Those that wait for bricks take longest: they begin, and the quick ones fill the gaps.
    together.sort_by_key(|case| case.company == Company::Shared);
    let mut rows = theatre.play(&together, jobs, &tell);
    rows.extend(theatre.play(&alone, 1, &tell));
    // In the order of the table, whoever was first.
    rows.sort_by_key(|row| cases.iter().position(|case| case.id == row.id));
    rows
}

impl Theatre {
    fn play(&self, cases: &[Case], jobs: usize, tell: &(impl Fn(&Row) + Sync)) -> Vec<Row> {
        let next = AtomicUsize::new(0);
        let rows = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..jobs.max(1) {
                scope.spawn(|| {
                    while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let row = self.row(*case);
                        tell(&row);
                        let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
                        rows.push(row);
                    }
                });
            }
        });
        rows.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn row(&self, case: Case) -> Row {
        let site = match self.site(&case) {
            Ok(site) => site,
            Err(error) => return row(case.id, Err(error.into()), Duration::ZERO),
        };
        let stage = Stage {
            api: self.api,
            ground: Arc::clone(&self.ground),
            site: Arc::clone(&site),
            case,
        };
        let begin = Instant::now();
        let (send, receive) = mpsc::channel();
        thread::spawn(move || {
            let verdict = catch_unwind(AssertUnwindSafe(|| (case.body)(&stage)));
            let verdict = verdict.unwrap_or_else(|_| Err(Fault::Seen("it panicked".to_owned())));
            // Nobody listens any more once the case has been given up.
            send.send(verdict).ok();
        });
        let verdict = receive
            .recv_timeout(CASE_LIMIT)
            .unwrap_or_else(|_| Err(Fault::Seen(format!("did not end within {CASE_LIMIT:?}"))));
        let took = begin.elapsed();
        if case.company != Company::Shared {
            site.volume.discard();
        }
        row(case.id, verdict, took)
    }

    /// The volume of a case.
    fn site(&self, case: &Case) -> Result<Arc<Site>, GroundError> {
        let make = || {
            let volume = self.ground.volume(&case.wish)?;
            Site::open(self.api, volume).map(Arc::new)
        };
        if case.company != Company::Shared {
            return make();
        }
        let shared = {
            let mut all = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(case.wish).or_default())
        };
        shared.get_or_init(make).clone()
    }
}

fn row(id: &'static str, verdict: Result<(), Fault>, took: Duration) -> Row {
    let outcome = match verdict {
        Ok(()) => Outcome::Passed,
        Err(Fault::Seen(what)) => Outcome::Failed(what),
        Err(Fault::NotYet(what)) => {
            Outcome::Skipped(format!("the ground has no such thing: {what}"))
        }
        Err(Fault::Ground(why)) => Outcome::Failed(format!("the ground: {why}")),
    };
    Row { id, outcome, took }
}
