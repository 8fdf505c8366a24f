//! Coverage marks: named places of the model that a fault leads to. A run counts how often it came
//! by, so that a suite can prove that it reached every one.

macro_rules! marks {
    ($($mark:ident $name:literal $meaning:literal,)*) => {
        /// One place.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mark { $(#[doc = $meaning] $mark),* }

        impl Mark {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$mark),*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$mark => $name),* }
            }

            /// What happens there.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$mark => $meaning),* }
            }
        }
    };
}

marks! {
    PlanFailed "plan.failed" "A rule of the plan made a call fail.",
    PlanShort "plan.short" "A rule cut a transfer short.",
    PlanDelayed "plan.delayed" "A rule delayed a call.",
    PlanHung "plan.hung" "A rule made a call hang.",
    PlanCut "plan.cut" "A rule cut the power.",
    SyncLost "sync.lost" "A sync failed once and the un-synced bytes were dropped.",
    BrickKilled "brick.killed" "A brick died with calls of a client on it, or without.",
    BrickKilledUnderCall "brick.killed-under-call" "A brick died with a call inside.",
    BrickRestarted "brick.restarted" "A brick came back.",
    BrickHung "brick.hung" "A call waits on a brick that stands still.",
    BrickResumed "brick.resumed" "A brick went on and took what had waited.",
    BrickSlow "brick.slow" "A call is inside a slow brick.",
    BrickErroring "brick.erroring" "A brick refused a change with an error of its own.",
    BrickFull "brick.full" "A brick had no room.",
    CallsCut "link.calls-cut" "A call did not arrive.",
    AnswersCut "link.answers-cut" "A call was carried out and its answer lost.",
    PingTimeout "link.ping-timeout" "A client gave a silent brick up.",
    FrameTimeout "link.frame-timeout" "Without pings, a call timed out.",
    Reconnected "link.reconnected" "A client found a brick again.",
    QuorumLost "quorum.lost" "A change was refused for want of bricks.",
    QuorumHeld "quorum.held" "A change went on without a brick.",
    PartialOld "quorum.partial-old" "Too few bricks took a change; heal will undo it.",
    PartialNew "quorum.partial-new" "Too few bricks took a change; heal will complete it.",
    ReadFailedOver "read.failed-over" "A read went to another replica.",
    StaleAvoided "read.stale-avoided" "A read passed over a replica that had missed changes.",
    Healed "heal.done" "A brick got what it had missed.",
    HealWaited "heal.waited" "Self-heal waited for changes under way.",
    HealSourceless "heal.sourceless" "A brick came back and no other had the file right.",
    Diverged "replicas.diverged" "A brick lost un-synced pages the others kept.",
    PageLost "page.lost" "An un-synced page was not on stable storage.",
    PageTorn "page.torn" "Part of an un-synced page was on stable storage.",
    PowerCutAll "power.all" "All power failed.",
    PowerCutBrick "power.brick" "A brick's power failed.",
    ClientKilled "client.killed" "A client died.",
    ClientFrozen "client.frozen" "A client stood still, unnoticed.",
    ClientOff "client.off" "A client's host went off.",
    ClientDropped "client.dropped" "Bricks noticed, after the TCP user timeout.",
    TurnWaited "turn.waited" "A change waited for another client's inode lock.",
    TurnOverlap "turn.overlap" "A change waited for one of the same client that overlaps it.",
    TurnStalled "turn.stalled" "It waits for a client that stands still.",
    TurnHandedOver "turn.handed-over" "The inode lock went to another client after the post-op delay.",
    TurnCleared "turn.cleared" "The inode lock was cleared by command.",
    LockPreempted "lock.preempted" "A lock pushed another client's aside.",
    LockConflict "lock.conflict" "A lock was refused because of another.",
    LockWaited "lock.waited" "A lock waited for another.",
    LockBlocked "lock.blocked" "A write waits for a mandatory lock without enforcement.",
    LockHealed "lock.healed" "A lock was taken again on a brick that came back.",
    LockQuorumLost "lock.quorum-lost" "A handle went bad because its lock was lost on a quorum.",
    FencedWrite "fence.write" "A write without the lock was refused (EBUSY).",
    FencedOther "fence.other" "A read or another change without the lock was refused (EAGAIN).",
    RefusedSlowly "fence.slow" "The refusal took its second.",
    EnforceRefused "fence.enforce-refused" "Enforcement was asked of a volume without the options.",
    ArbiterLock "fence.arbiter" "A mandatory lock on an arbiter volume, which kills a real client.",
    HoleShard "hole.shard" "H1: a shard past the first is not fenced.",
    HoleDrain "hole.drain" "H2: a write landed after its client had lost the lock.",
    HoleRestart "hole.restart" "H3: a restarted brick did not know of the enforcement.",
    HoleRefusedLanded "hole.refused-landed" "H3: a change was refused and landed nevertheless.",
    HoleBehind "hole.behind" "H4: a fenced write was acknowledged by write-behind.",
    BehindLost "behind.lost" "Cached writes were lost; the next sync says so, once.",
    GraphSwitched "graph.switched" "A call waited for a graph switch.",
    MigrationFailed "graph.migration-failed" "A handle did not survive a graph switch.",
    InitWithoutQuorum "init.no-quorum" "A client found no quorum of bricks.",
    InitPatient "init.patient" "A client waited for a missing brick before it went on.",
}

/// How often each was passed.
#[derive(Clone, Debug)]
pub struct Marks([u64; Mark::ALL.len()]);

impl Default for Marks {
    fn default() -> Self {
        Self([0; Mark::ALL.len()])
    }
}

impl Marks {
    /// Came by.
    pub(crate) fn hit(&mut self, mark: Mark) {
        self.0[mark as usize] += 1;
    }

    /// How often.
    pub fn count(&self, mark: Mark) -> u64 {
        self.0[mark as usize]
    }

    /// Those never passed.
    pub fn missing(&self) -> Vec<Mark> {
        let all = Mark::ALL.iter().copied();
        all.filter(|&mark| self.count(mark) == 0).collect()
    }

    /// Both runs together.
    pub fn merge(&mut self, other: &Self) {
        for (own, more) in self.0.iter_mut().zip(other.0) {
            *own += more;
        }
    }
}
