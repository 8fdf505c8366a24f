//! All of them.

/// Declares the bugs: name here, number for good, name elsewhere, what is wrong.
macro_rules! bugs {
    ($($name:ident = $number:literal $word:literal $what:literal,)*) => {
        /// What can be wrong with the planted build.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Bug {
            $(#[doc = $what] $name = $number,)*
        }

        impl Bug {
            /// All of them, by number.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// What it is called.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }

            /// What is wrong.
            pub const fn what(self) -> &'static str {
                match self { $(Self::$name => $what),* }
            }
        }
    };
}

bugs! {
    // What is durable.
    FlushNotDone = 1 "flush-not-done" "A flush is answered without `fdatasync`.",
    FuaDropped = 2 "fua-dropped" "FUA is dropped on its way to the volume.",
    SyncErrorSwallowed = 3 "sync-error-swallowed" "The error of an `fdatasync` is swallowed.",
    OthersNotFlushed = 4 "others-not-flushed"
        "A flush is skipped for a session that has written nothing itself.",
    ThroughNotDurable = 5 "through-not-durable" "With WCE=0, writes lack O_DSYNC.",
    LimboReused = 6 "limbo-reused" "Blocks are used again while an overdue write can still change them.",
    AckBeforeDurable = 7 "ack-before-durable"
        "A write that is to be durable is given to storage like any other.",
    FlushNotSubmitted = 8 "flush-not-submitted" "A flush is answered without being given to storage.",
    FlushFailureForgotten = 9 "flush-failure-forgotten"
        "A flush that failed is told to one initiator, and the next one is GOOD.",
    FailedFlushCovers = 10 "failed-flush-covers"
        "What a flush that failed was to make durable counts as durable.",
    LaterWritesCovered = 11 "later-writes-covered"
        "Writes that were answered while a flush was under way count as durable after it.",
    ShakenIgnored = 12 "shaken-ignored"
        "Bricks were away, and nobody asks what they had in their caches.",
    DurableErrorForgotten = 13 "durable-error-forgotten"
        "The error of a durable write is not taken for that of cached ones.",

    // Answers that come too soon, or are wrong.
    AckBeforeWritten = 14 "ack-before-written"
        "A write is answered once its data has come, before storage has answered.",
    OverdueIsDone = 15 "overdue-is-done" "A write that passed its deadline is answered as if it had ended.",
    HeldWriteGood = 16 "held-write-good"
        "A write that storage was away for, and that was tried until its deadline, is answered GOOD.",
    ReadFaultIgnored = 17 "read-fault-ignored"
        "A read that failed is answered with what its buffer held before.",
    RefusedWriteGood = 18 "refused-write-good" "A write for which there is no memory is dropped and answered GOOD.",
    FlushAnsweredTwice = 19 "flush-answered-twice"
        "A flush with IMMED that fails is answered a second time.",

    // Aborts.
    AbortBeforeDrained = 20 "abort-before-drained"
        "ABORT TASK is complete although a ticket of the task is in flight.",
    OverdueNotAwaited = 21 "overdue-not-awaited"
        "Task management does not wait for tickets that passed their deadline.",
    OverdueTicketEnds = 22 "overdue-ticket-ends" "The ticket of a write ends at its deadline, landed or not.",
    ResetBeforeDrained = 23 "reset-before-drained"
        "LUN RESET and CLEAR TASK SET do not wait for tickets of other sessions.",
    ResetAwaitsOne = 24 "reset-awaits-one"
        "LUN RESET and CLEAR TASK SET wait for the first old ticket of other sessions, not for the last.",
    StampedTooLate = 25 "stamped-too-late"
        "A task belongs to the time of its ticket, not of its arrival: it outlives a reset on another session.",
    LateAbortComplete = 26 "late-abort-complete"
        "Task management that storage does not let end is answered complete at its deadline.",
    DrainedForAnother = 27 "drained-for-another" "What one reset waited for ends the wait of all.",
    AbortSetTakesAll = 28 "abort-set-takes-all" "ABORT TASK SET takes the tasks of other units, too.",
    AttentionForOne = 29 "attention-for-one" "Of several sessions only one is told a unit attention.",
    GhostForgotten = 30 "ghost-forgotten" "Data that was asked for before an abort is rejected.",

    // Sessions and connections.
    EndsWithTickets = 31 "ends-with-tickets" "A session ends although tickets of its tasks are in flight.",
    SuccessorTooSoon = 32 "successor-too-soon"
        "A login is let in before the session that it takes the place of has ended.",
    JoinerTooSoon = 33 "joiner-too-soon"
        "A connection is let in before the tasks of the one whose place it takes have ended.",
    LogoutTooSoon = 34 "logout-too-soon" "A logout is answered before the session's tasks have ended.",
    LastCompletionLost = 35 "last-completion-lost" "A completion for a session that is ending is not counted.",
    DeadLoginAdmitted = 36 "dead-login-admitted"
        "A login that left while it waited for its predecessor's end gets its session.",
    UnbornSessionKept = 37 "unborn-session-kept"
        "The session of a login that left before it could begin stays in the table.",
    TerminateMissed = 38 "terminate-missed"
        "A session that was to end before it had begun is not told again.",
    JoinerDied = 39 "joiner-died" "A session whose next connection dies on its way waits for it for good.",
    TimerLost = 40 "timer-lost" "After its first deadline a session is not woken for another.",
    TmfTimerLost = 41 "tmf-timer-lost" "Nobody is woken for the deadline of task management.",
    JoinTellsOwnWindow = 42 "join-tells-own-window"
        "A connection that joins a session is told its login's window, not the session's.",
    BytesLostAtHandover = 43 "bytes-lost-at-handover"
        "What came behind the last Login Request is lost when the session takes over.",
    ParkedOutlivesConnection = 44 "parked-outlives-connection"
        "A command that waits for its turn is carried out although its connection is gone.",
    PingAnswerUnheard = 45 "ping-answer-unheard" "The answer to a ping does not count as a sign of life.",

    // Memory and the command window.
    AbortLeaksBuffers = 46 "abort-leaks-buffers" "An aborted write does not give its buffers back.",
    CutLeaksBuffer = 47 "cut-leaks-buffer"
        "The buffer of a payload that was cut off with its connection is not given back.",
    HungryForgotten = 48 "hungry-forgotten" "A task that was fed in vain is not fed again.",
    AbortKeepsSlot = 49 "abort-keeps-slot" "An aborted task keeps its place in the command window.",
    SlotGivenTwice = 50 "slot-given-twice"
        "A write that passed its deadline gives its place in the command window back twice.",
    ReopenedWindowUntold = 51 "reopened-window-untold" "A command window that opens again with nothing to send is not told.",
    RejectSkipsStatSn = 52 "reject-skips-stat-sn" "A Reject takes two status numbers.",
    PingTakesStatSn = 53 "ping-takes-stat-sn" "A NOP-In that asks takes a status number.",
    DigestErrorAccepted = 54 "digest-error-accepted" "Data-Out with a wrong digest is stored.",

    // The crew of an image.
    LimboRead = 55 "limbo-read" "Blocks are read while an overdue write can still change them.",
    ContestedIgnored = 56 "contested-ignored"
        "Blocks are used while a write that was tried in vain waits to be tried again.",
    CrossedTriedAgain = 57 "crossed-tried-again"
        "A write that failed while another was under way in its blocks is tried again.",
    ContestedForGood = 58 "contested-for-good"
        "Blocks stay reserved for a write that was given up.",
    CompletedTwice = 59 "completed-twice"
        "A read that passed its deadline is completed again when its call comes back.",
    FlushSharedTooSoon = 60 "flush-shared-too-soon"
        "A flush is answered by another's that had begun before it was asked for.",
    ReadOvertakes = 61 "read-overtakes" "Blocks are read while a write to them is under way.",
}

impl Bug {
    /// Its number, the same in every version.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The one of that name or number.
    pub fn find(word: &str) -> Option<Self> {
        let number = word.parse().ok();
        let mut all = Self::ALL.iter().copied();
        all.find(|bug| bug.name() == word || Some(bug.number()) == number)
    }
}
