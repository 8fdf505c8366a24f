//! Coverage marks: places of a world that a run of many seeds has to come by. One that nobody comes
//! by is a fault, a sense or a state that is not tested any more.

use initiator_sim::Outcome;
use iscsi::{TmfFunction, TmfResponse};

use super::plan::Step;

/// Declares the marks with what they are called and what they mean.
macro_rules! marks {
    ($($name:ident $word:literal $what:literal,)*) => {
        /// A place to come by.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mark {
            $(#[doc = $what] $name,)*
        }

        impl Mark {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// What it is called.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }

            /// What it means.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $what),* }
            }
        }
    };
}

marks! {
    LoggedIn "login.done" "A session was opened.",
    LoginRefused "login.refused" "A login was refused.",
    LoginLost "login.lost" "A connection was lost before it was logged in.",
    HandedOverBytes "login.bytes" "Bytes that came with the last login PDU went to the session.",
    SessionReinstated "session.reinstated" "A login took the place of a session that stood.",
    ConnectionReinstated "connection.reinstated" "A connection took the place of one that stood.",
    Rejoined "connection.rejoined" "A session that had lost its connection got another.",
    Logout "logout.asked" "An initiator logged out.",
    LoggedOut "logout.answered" "A logout was answered.",
    Vanished "session.left" "An initiator closed its connection without a word.",
    LostUnderWay "connection.lost" "A connection was lost with commands in flight.",
    AskedToLeave "session.asked" "An initiator was asked to log out.",
    SessionEnded "session.ended" "A session ended and gave everything back.",
    GaveUp "session.given-up" "An initiator gave up a session that did not answer.",
    TimedOut "command.timed-out" "A command took too long for its initiator.",
    Retried "command.retried" "A command was tried again.",
    TakenByOthers "command.taken" "A command had been taken away by another initiator's function.",
    NopAnswered "nop.answered" "A ping of an initiator was answered.",
    Pinged "nop.pinged" "A target pinged an initiator.",
    Rejected "pdu.rejected" "A PDU was rejected.",
    Hostile "pdu.hostile" "A hostile peer sent something.",
    Cut "wire.cut" "A connection was reset.",
    HalfClosed "wire.half-closed" "An initiator's end was closed for sending.",
    Stalled "wire.stalled" "A connection stood still.",
    Crashed "target.crashed" "A target was killed.",
    BlackedOut "power.out" "All power failed.",
    ShutDown "target.shut-down" "A target asked everybody to log out.",
    ClusterFault "cluster.fault" "Something was done to the cluster.",
    Loss "storage.loss" "Storage lost what was not durable.",
    Overdue "storage.overdue" "An operation passed its deadline.",
    Late "storage.late" "An overdue call came back.",
    Reopened "storage.reopened" "A handle that went bad was opened anew.",
    ReadGood "read.good" "A read was GOOD.",
    WriteGood "write.good" "A write was GOOD.",
    SyncGood "sync.good" "A flush was GOOD.",
    ReadBusy "read.busy" "A read was BUSY.",
    WriteBusy "write.busy" "A write was BUSY.",
    SyncBusy "sync.busy" "A flush was BUSY.",
    TaskSetFull "status.task-set-full" "A command was TASK SET FULL.",
    UnitAttention "sense.unit-attention" "A command was told a unit attention.",
    CommandsCleared "sense.cleared" "Another nexus cleared the task set (6/2F/00).",
    ResetOccurred "sense.reset" "A unit was reset (6/29/03).",
    ReadError "sense.read-error" "Unrecovered read error (3/11/00).",
    WriteError "sense.write-error" "Write error on a write (3/0C/00).",
    FlushFailed "sense.flush-failed" "Write error on a flush (3/0C/00).",
    NoSpace "sense.no-space" "Space allocation failed (7/27/07).",
    WriteProtected "sense.write-protected" "Write protected (7/27/00).",
    TargetFailure "sense.target-failure" "Internal target failure (4/44/00).",
    AbortComplete "abort-task.complete" "ABORT TASK was complete.",
    AbortNoTask "abort-task.no-task" "ABORT TASK found no task.",
    AbortRefused "abort-task.refused" "ABORT TASK was refused: storage hung.",
    AbortSetComplete "abort-task-set.complete" "ABORT TASK SET was complete.",
    ClearComplete "clear-task-set.complete" "CLEAR TASK SET was complete.",
    ResetComplete "lun-reset.complete" "LOGICAL UNIT RESET was complete.",
    SetRefused "task-set.refused" "A function about a task set was refused: storage hung.",
}

/// How often each was passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    own: [u64; Mark::ALL.len()],
    /// Those of the fake Gluster, by its own numbers.
    volume: [u64; gluster_mock::Mark::ALL.len()],
}

impl Default for Marks {
    fn default() -> Self {
        Self {
            own: [0; Mark::ALL.len()],
            volume: [0; gluster_mock::Mark::ALL.len()],
        }
    }
}

impl Marks {
    /// Came by.
    pub fn hit(&mut self, mark: Mark) {
        self.own[mark as usize] += 1;
    }

    /// How often.
    pub fn count(&self, mark: Mark) -> u64 {
        self.own[mark as usize]
    }

    /// What an initiator was told of a command.
    pub(super) fn outcome(&mut self, step: &Step, outcome: &Outcome) {
        let sense = outcome
            .sense
            .map(|sense| (sense.key, sense.asc, sense.ascq));
        let mark = match (step, outcome.status, sense) {
            (Step::Read { .. }, Outcome::GOOD, _) => Mark::ReadGood,
            (Step::Write { .. }, Outcome::GOOD, _) => Mark::WriteGood,
            (Step::Sync { .. }, Outcome::GOOD, _) => Mark::SyncGood,
            (Step::Read { .. }, Outcome::BUSY, _) => Mark::ReadBusy,
            (Step::Write { .. }, Outcome::BUSY, _) => Mark::WriteBusy,
            (Step::Sync { .. }, Outcome::BUSY, _) => Mark::SyncBusy,
            (_, Outcome::TASK_SET_FULL, _) => Mark::TaskSetFull,
            (_, _, Some((6, 0x2f, 0))) => Mark::CommandsCleared,
            (_, _, Some((6, 0x29, 3))) => Mark::ResetOccurred,
            (_, _, Some((6, _, _))) => Mark::UnitAttention,
            (_, _, Some((3, 0x11, 0))) => Mark::ReadError,
            (Step::Sync { .. }, _, Some((3, 0x0c, 0))) => Mark::FlushFailed,
            (_, _, Some((3, 0x0c, 0))) => Mark::WriteError,
            (_, _, Some((7, 0x27, 7))) => Mark::NoSpace,
            (_, _, Some((7, 0x27, 0))) => Mark::WriteProtected,
            (_, _, Some((4, 0x44, 0))) => Mark::TargetFailure,
            _ => return,
        };
        self.hit(mark);
    }

    /// What an initiator was told of a function.
    pub(super) fn function(&mut self, function: TmfFunction, response: TmfResponse) {
        let complete = response == TmfResponse::COMPLETE;
        self.hit(match (function, complete) {
            (TmfFunction::ABORT_TASK, true) => Mark::AbortComplete,
            (TmfFunction::ABORT_TASK, false) if response == TmfResponse::TASK_DOES_NOT_EXIST => {
                Mark::AbortNoTask
            }
            (TmfFunction::ABORT_TASK, false) => Mark::AbortRefused,
            (TmfFunction::ABORT_TASK_SET, true) => Mark::AbortSetComplete,
            (TmfFunction::CLEAR_TASK_SET, true) => Mark::ClearComplete,
            (TmfFunction::LOGICAL_UNIT_RESET, true) => Mark::ResetComplete,
            _ => Mark::SetRefused,
        });
    }

    /// What a volume came by.
    pub fn add_volume(&mut self, marks: &gluster_mock::marks::Marks) {
        for (own, &mark) in self.volume.iter_mut().zip(gluster_mock::Mark::ALL) {
            *own += marks.count(mark);
        }
    }

    /// Both runs together.
    pub fn merge(&mut self, other: &Self) {
        let pairs = self.own.iter_mut().zip(other.own);
        pairs.for_each(|(own, more)| *own += more);
        let pairs = self.volume.iter_mut().zip(other.volume);
        pairs.for_each(|(own, more)| *own += more);
    }

    /// Every mark with how often it was passed: its name, what it means, the count. Those of the
    /// fake Gluster are named `volume.…`; those that only locks and fencing reach are not among
    /// them.
    pub fn all(&self) -> Vec<(String, &'static str, u64)> {
        let own = Mark::ALL.iter().map(|&mark| {
            let count = self.count(mark);
            (mark.name().to_owned(), mark.meaning(), count)
        });
        let volume = gluster_mock::Mark::ALL.iter().zip(self.volume);
        let volume = volume
            .filter(|(mark, _)| is_expected(**mark))
            .map(|(mark, count)| (format!("volume.{}", mark.name()), mark.meaning(), count));
        own.chain(volume).collect()
    }
}

/// Whether worlds can come by that mark of the fake Gluster. Not yet: clients that share a file, its
/// locks and their holes (failover); a client whose cache writes behind, which glintd switches off;
/// a host that is off while its process goes on; handles that a graph switch loses, which `EBADFD`
/// by plan stands for; a frame timeout of half an hour.
fn is_expected(mark: gluster_mock::Mark) -> bool {
    const APART: [&str; 5] = ["turn.", "lock.", "fence.", "hole.", "behind."];
    const OTHERS: [&str; 4] = [
        "client.off",
        "client.dropped",
        "graph.migration-failed",
        "link.frame-timeout",
    ];
    let name = mark.name();
    let apart = APART.iter().any(|kind| name.starts_with(kind)) && name != "turn.overlap";
    !apart && !OTHERS.contains(&name)
}
