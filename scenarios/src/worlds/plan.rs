//! What is going to happen in a world: its setting and its events, as plain values.
//!
//! A plan is all there is to a world besides chance: who there is, what they ask for and when, what
//! goes wrong and when. Chance (delays, where bytes are cut, which message comes first, the dice of
//! the fake Gluster) comes from one number of its own, so that an event can be left out and the rest
//! stays what it was.
//! Invariant: events are sorted by moment; an event's number names it for good, also when others are
//! left out.

use std::time::Duration;

use gluster_mock::Kind;
use iscsi::TmfFunction;

/// A point in virtual time, in nanoseconds since the world began.
pub type Moment = engine::Moment;

/// Bytes in a sector, the unit in which is written, stamped and judged. A unit's logical block.
pub const SECTOR: usize = 512;

/// One world before it is played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What chance begins from. A plan drawn from a seed has the seed here.
    pub chance: u64,
    /// Who and what there is.
    pub setting: Setting,
    /// What happens, by moment.
    pub events: Vec<Event>,
}

/// Who and what there is in a world. One swarm choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The targets, each a process of its own, all on one volume.
    pub targets: Vec<TargetSetting>,
    /// The honest initiators.
    pub initiators: Vec<InitiatorSetting>,
    /// Hostile peers, each by the seed of what it sends; they talk to the target of that number.
    pub deviants: Vec<Deviant>,
    /// The volume.
    pub volume: VolumeSetting,
    /// The network.
    pub wire: WireSetting,
    /// How long after the last event everything is mended.
    pub calm: Duration,
}

/// A hostile peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deviant {
    /// Whom it talks to.
    pub target: u8,
    /// What it sends is drawn from this.
    pub seed: u64,
    /// How many connections it makes, one after the other.
    pub connections: u8,
}

/// One target process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetSetting {
    /// Logical units.
    pub luns: u8,
    /// Sectors of each.
    pub sectors: u32,
    /// WCE=1: plain writes may sit in a volatile cache.
    pub write_back: bool,
    /// The CmdSN window.
    pub queue_depth: u32,
    /// Memory one session may have in flight, in bytes.
    pub session_memory: usize,
    /// Calls to storage under way per unit, within their deadline.
    pub share: u8,
    /// From submission to answer.
    pub storage_timeout: Duration,
    /// An initiator silent for so long is pinged; zero: never.
    pub ping_interval: Duration,
}

/// One honest initiator: a session, and what it makes of it when it loses its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitiatorSetting {
    /// Which target it logs in to.
    pub target: u8,
    /// Its name. Two with the same name are two paths of one host (multipath): two sessions that
    /// differ in ISID.
    pub host: u8,
    /// ImmediateData=Yes.
    pub immediate_data: bool,
    /// InitialR2T=Yes.
    pub initial_r2t: bool,
    /// FirstBurstLength offered, in bytes.
    pub first_burst: u32,
    /// MaxBurstLength offered, in bytes.
    pub max_burst: u32,
    /// MaxRecvDataSegmentLength declared, in bytes.
    pub max_recv: u32,
    /// MaxOutstandingR2T offered.
    pub r2ts: u8,
    /// HeaderDigest=CRC32C.
    pub header_digest: bool,
    /// DataDigest=CRC32C.
    pub data_digest: bool,
    /// After a lost connection it first tries to bring the session a new one (TSIH kept) instead of
    /// logging in anew.
    pub rejoins: bool,
    /// DefaultTime2Retain offered, in seconds.
    pub time2retain: u16,
}

/// The volume all targets are on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeSetting {
    /// Replica, arbiter, disperse, distribute.
    pub kind: Kind,
    /// Bricks.
    pub bricks: u8,
    /// Shard size in bytes; 0 for whole files.
    pub shard: u64,
    /// Bytes a brick holds; `None` without bound.
    pub capacity: Option<u64>,
    /// When a client gives a silent brick up, in seconds.
    pub ping_timeout: u8,
    /// From a brick's return to the end of its self-heal.
    pub heal_delay: Duration,
    /// How long a client keeps a file's inode lock after a change.
    pub post_op_delay: Duration,
    /// Of 100 un-synced pages, how many a power cut loses whole.
    pub lost_percent: u8,
    /// And how many it tears.
    pub torn_percent: u8,
    /// How long a brick takes for a call, at most.
    pub latency: Duration,
}

/// The network between initiators and targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireSetting {
    /// The longest a byte is on its way.
    pub latency: Duration,
    /// Whether what arrives is cut anywhere, down to single bytes.
    pub chops: bool,
    /// Bytes that fit between two ends before the sender has to wait.
    pub buffer: usize,
    /// The longest a message between two entities of a target, or an answer of storage, is on its
    /// way.
    pub mail: Duration,
}

/// Something that happens at a moment whether or not anybody is ready for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its number, unique in the plan; also the number of the write it is, if it is one.
    pub number: u16,
    /// When.
    pub at: Moment,
    /// What.
    pub what: What,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// An initiator has something to do. While it is not logged in it waits.
    Step(u8, Step),
    /// Something goes wrong, or right again.
    Fault(Fault),
}

/// What an initiator is to do. A command of the target that is not here yet joins as a variant: how
/// it is sent is in `peer`, what it means for blocks in `history`, how often it is drawn in `draw`,
/// its words in `text`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// READ(10) or READ(16).
    Read {
        /// Where.
        place: Extent,
        /// READ(16) instead of READ(10).
        long: bool,
        /// FUA.
        fua: bool,
    },
    /// WRITE(10) or WRITE(16) with stamps of this event.
    Write {
        /// Where.
        place: Extent,
        /// WRITE(16) instead of WRITE(10).
        long: bool,
        /// FUA.
        fua: bool,
    },
    /// SYNCHRONIZE CACHE(10) of a range; 0 sectors are all from there on.
    Sync {
        /// Where.
        place: Extent,
        /// IMMED: answered at once.
        immediate: bool,
    },
    /// TEST UNIT READY.
    Ready {
        /// Of which unit.
        lun: u8,
    },
    /// NOP-Out that asks for an answer, with so many bytes.
    Nop {
        /// Bytes of ping data.
        bytes: u16,
    },
    /// SendTargets within the session.
    Text,
    /// A task management function. ABORT TASK is about the command in flight that so many were sent
    /// after (0: the latest).
    Manage {
        /// Which.
        function: TmfFunction,
        /// On which unit.
        lun: u8,
        /// ABORT TASK: how many commands back.
        back: u8,
    },
    /// Logs out and, if there is more to do, in again.
    Logout,
    /// Logs in anew under the same name while the old connection stands (session reinstatement).
    Reinstate,
    /// Brings the session a new connection of the same CID while the old one stands (connection
    /// reinstatement).
    Rejoin,
    /// Closes its connection without a word and logs in again.
    Vanish,
}

/// A range of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Which unit.
    pub lun: u8,
    /// The first sector.
    pub at: u32,
    /// How many.
    pub sectors: u16,
}

/// What goes wrong, or right again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A word for the fake cluster, as its control socket takes it: `brick kill 1`, `plan write *
    /// nth=3 errno=EIO`. Clients are named by target: `C0` stands for the client of target 0.
    Cluster(String),
    /// An initiator's connection is reset.
    Cut {
        /// Whose.
        initiator: u8,
    },
    /// The initiator's end is closed for sending; it still listens.
    HalfClose {
        /// Whose.
        initiator: u8,
    },
    /// Nothing moves on an initiator's connection for a while.
    Stall {
        /// Whose.
        initiator: u8,
        /// In which direction.
        way: Way,
        /// For how long.
        time: Duration,
    },
    /// A target is killed, and started again some time later.
    Crash {
        /// Which.
        target: u8,
        /// Until it is there again.
        time: Duration,
    },
    /// All power fails, bricks and targets, and comes back some time later.
    Blackout {
        /// Until then.
        time: Duration,
    },
    /// The operator asks a target's initiators to log out, and ends sessions that have not done so
    /// when the time is over.
    Shutdown {
        /// Which.
        target: u8,
        /// The grace.
        time: Duration,
    },
}

/// A direction on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the target.
    In,
    /// To the initiator.
    Out,
}
