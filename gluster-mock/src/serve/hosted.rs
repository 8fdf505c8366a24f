//! One volume by the host's clock: calls come from any thread, and one thread of its own carries
//! out what is due when nobody calls.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, getpid, kill_process};

use crate::call::{Answer, Call, ClientId, Moment, Submitted, Ticket};
use crate::command::{Command, Stop};
use crate::errno::Errno;
use crate::plan::Plan;
use crate::volume::Volume;

use super::folder;

/// What gets the answer of a call, on whatever thread; perhaps before the call returns.
pub(crate) type Then = Box<dyn FnOnce(Answer) + Send>;

/// How soon a changed plan is noticed.
const PLAN_INTERVAL: Duration = Duration::from_millis(5);

/// A wait shorter than this is not worth the name.
const WAIT_MIN: Duration = Duration::from_micros(20);

/// An open volume. Dropped, it is closed as it stands: nothing is synced.
pub(crate) struct Hosted(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Something is due sooner than the clock knows, or the volume is closed.
    sooner: Condvar,
    folder: PathBuf,
    start: Instant,
}

struct State {
    volume: Volume,
    plan: PlanFile,
    pending: BTreeMap<Ticket, Then>,
    /// What the clock waits for.
    awaited: Option<Moment>,
    /// Ours as long as it is open; given back when the volume is closed.
    lock: Option<File>,
}

#[derive(Default)]
struct PlanFile {
    looked: Option<Instant>,
    /// Inode, length, and time of change: any of them tells of another plan.
    seen: Option<(u64, u64, i64, i64)>,
}

impl Hosted {
    /// Opens the volume in that folder for this process.
    pub(crate) fn open(folder: &Path) -> Result<Self, Errno> {
        let (volume, lock) = folder::open(folder)?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                volume,
                plan: PlanFile::default(),
                pending: BTreeMap::new(),
                awaited: None,
                lock: Some(lock),
            }),
            sooner: Condvar::new(),
            folder: folder.to_owned(),
            start: Instant::now(),
        });
        let clock = Arc::clone(&shared);
        let run = move || {
            // A panic in the model is a bug of ours; what it left is not to be trusted.
            if catch_unwind(AssertUnwindSafe(|| clock.run())).is_err() {
                clock.give_up();
            }
        };
        let thread = thread::Builder::new().name("glfs_timer".to_owned());
        thread.spawn(run).map_err(|error| folder::errno(&error))?;
        Ok(Self(shared))
    }

    /// Hands a call in.
    pub(crate) fn submit(&self, client: ClientId, call: Call, then: Then) {
        let Ok(mut state) = self.0.lock() else {
            return then(Err(Errno::EIO));
        };
        let now = self.0.look(&mut state);
        let mut answered = Vec::new();
        match state.volume.submit(now, client, call) {
            Submitted::Answered(answer) => answered.push((then, answer)),
            Submitted::Pending(ticket) => drop(state.pending.insert(ticket, then)),
        }
        answered.extend(state.turn(now));
        self.0.release(state, now);
        deliver(answered);
    }

    /// Does something to the cluster from outside.
    pub(crate) fn command(&self, command: &Command) -> Result<String, String> {
        let mut state = self.0.lock().map_err(|errno| errno.to_string())?;
        let now = self.0.look(&mut state);
        let told = state.volume.command(now, command);
        let mut answered = state.turn(now);
        if *command == Command::PowerCut(Stop::All) {
            // Nobody is left who could be answered otherwise.
            let pending = std::mem::take(&mut state.pending).into_values();
            answered.extend(pending.map(|then| (then, Err(Errno::ENOTCONN))));
        }
        self.0.release(state, now);
        deliver(answered);
        told
    }

    /// The description of the volume under that name.
    pub(crate) fn describe(&self, name: &str) -> Result<String, Errno> {
        Ok(self.0.lock()?.volume.describe(name))
    }

    /// How many bricks it has.
    pub(crate) fn bricks(&self) -> Result<u32, Errno> {
        Ok(self.0.lock()?.volume.settings().bricks)
    }

    #[cfg(feature = "face-c")]
    /// The bricks write back what they have, if nobody has the volume mounted.
    pub(crate) fn settle_if_deserted(&self) -> Result<(), Errno> {
        let mut state = self.0.lock()?;
        match state.volume.is_deserted() {
            true => state.volume.settle(),
            false => Ok(()),
        }
    }

    /// The bricks write back what they have, and that was all: nothing is carried out any more.
    pub(crate) fn settle_and_stop(&self) -> Result<(), Errno> {
        let mut state = self.0.lock()?;
        let settled = state.volume.settle();
        state.lock = None;
        self.0.sooner.notify_all();
        settled
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.lock = None;
        self.0.sooner.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> Result<MutexGuard<'_, State>, Errno> {
        let state = self.state.lock().map_err(|_| Errno::EIO)?;
        match state.lock {
            Some(_) => Ok(state),
            None => Err(Errno::ENOTCONN),
        }
    }

    /// The time, and the plan of this time.
    fn look(&self, state: &mut State) -> Moment {
        let now = Moment::default().after(self.start.elapsed());
        if let Some(plan) = state.plan.changed(&self.folder) {
            state.volume.set_plan(now, plan);
        }
        now
    }

    /// Lets others at it; the clock is told when it would sleep too long.
    fn release(&self, state: MutexGuard<'_, State>, now: Moment) {
        let next = state.wanted(now);
        if next.is_some_and(|next| state.awaited.is_none_or(|awaited| next < awaited)) {
            self.sooner.notify_all();
        }
    }

    /// Carries out what is due, until the volume is closed.
    fn run(&self) {
        let Ok(mut state) = self.lock() else { return };
        loop {
            let now = self.look(&mut state);
            let answered = state.turn(now);
            if !answered.is_empty() {
                drop(state);
                deliver(answered);
                match self.lock() {
                    Ok(again) => state = again,
                    Err(_) => return self.give_up(),
                }
                continue;
            }
            state.awaited = state.wanted(now);
            let waited = match state.awaited {
                Some(until) => {
                    let wait = Duration::from_nanos(until.0.saturating_sub(now.0)).max(WAIT_MIN);
                    let waited = self.sooner.wait_timeout(state, wait);
                    waited.map(|(state, _)| state).map_err(drop)
                }
                None => self.sooner.wait(state).map_err(drop),
            };
            match waited {
                Ok(again) if again.lock.is_some() => state = again,
                _ => return self.give_up(),
            }
        }
    }

    /// Whatever is still in flight is never answered otherwise.
    fn give_up(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = std::mem::take(&mut state.pending);
        drop(state);
        deliver(pending.into_values().map(|then| (then, Err(Errno::EIO))));
    }
}

impl State {
    /// When the clock has something to do: what is due, or a plan that lets go what hangs.
    fn wanted(&self, now: Moment) -> Option<Moment> {
        let poll = (!self.pending.is_empty()).then(|| now.after(PLAN_INTERVAL));
        self.volume.next_due().into_iter().chain(poll).min()
    }

    /// Carries out what is due by now; what is answered is to be delivered when others may have the
    /// volume again.
    fn turn(&mut self, now: Moment) -> Vec<(Then, Answer)> {
        if self.volume.next_due().is_some_and(|due| due <= now) {
            self.volume.advance(now);
        }
        if self.volume.is_dark() {
            lose_power();
        }
        let answers = self.volume.answers().into_iter();
        let pending = &mut self.pending;
        answers
            .filter_map(|(ticket, answer)| Some((pending.remove(&ticket)?, answer)))
            .collect()
    }
}

fn deliver(answered: impl IntoIterator<Item = (Then, Answer)>) {
    for (then, answer) in answered {
        then(answer);
    }
}

impl PlanFile {
    /// The plan in that folder, where it is another than before.
    fn changed(&mut self, folder: &Path) -> Option<Plan> {
        let fresh = |looked: Instant| looked.elapsed() < PLAN_INTERVAL;
        if self.looked.is_some_and(fresh) {
            return None;
        }
        self.looked = Some(Instant::now());
        let path = folder.join("plan");
        let seen = fs::metadata(&path).ok();
        let seen = seen.map(|file| (file.ino(), file.len(), file.mtime(), file.mtime_nsec()));
        if seen == self.seen {
            return None;
        }
        self.seen = seen;
        let text = fs::read_to_string(&path).unwrap_or_default();
        let plan = Plan::parse(&text);
        plan.map_err(|error| folder::complain(folder, "plan", &error))
            .ok()
    }
}

/// The machine goes dark, and this process with it: no destructor, no flush.
fn lose_power() -> ! {
    // Nobody refuses a process its own end; if so, there is another way.
    let _ = kill_process(getpid(), Signal::KILL);
    std::process::abort()
}
