//! What a case stands on: volumes of every kind, and what can be done to them from outside. The
//! same words for the fake and for real Gluster.

/// How a volume is made of bricks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One brick.
    Plain,
    /// Three copies.
    Replica3,
    /// Two copies and a brick of names only.
    Arbiter,
    /// Two parts data, one part parity.
    Disperse,
    /// Three copies of files cut into pieces of 4 MiB.
    Sharded,
}

/// The size of the pieces of a [`Kind::Sharded`] volume: the smallest there is.
pub(super) const SHARD_BYTES: i64 = 4 << 20;

impl Kind {
    /// How many bricks it has.
    pub fn bricks(self) -> usize {
        match self {
            Self::Plain => 1,
            _ => 3,
        }
    }
}

/// A volume as a case wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Wish {
    /// How it is made.
    pub kind: Kind,
    /// Options beside the ground's own, in Gluster's words.
    pub options: &'static [(&'static str, &'static str)],
    /// Bytes on each brick, for cases about full ones.
    pub room: Option<u64>,
}

/// Why a ground does not do what it is told.
#[derive(Clone, Debug)]
pub enum GroundError {
    /// It cannot do that.
    NotYet(&'static str),
    /// It tried.
    Failed(String),
}

/// A cluster, real or not.
pub trait Ground: Send + Sync {
    /// The version of Gluster it is, or the one it imitates: `10.3`.
    fn version(&self) -> &str;
    /// A fresh volume, started.
    fn volume(&self, wish: &Wish) -> Result<Box<dyn Volume>, GroundError>;
    /// Ends the daemon that hands out volume descriptions.
    fn kill_server(&self) -> Result<(), GroundError>;
    /// Has it back.
    fn start_server(&self) -> Result<(), GroundError>;
    /// Freezes it.
    fn hang_server(&self) -> Result<(), GroundError>;
    /// Thaws it.
    fn resume_server(&self) -> Result<(), GroundError>;
}

/// A volume, and what an administrator or an accident does to it.
pub trait Volume: Send + Sync {
    /// Where clients ask for its description.
    fn server(&self) -> (&str, u16);
    /// Its name.
    fn name(&self) -> &str;
    /// Ends the process of a brick at once.
    fn kill_brick(&self, brick: usize) -> Result<(), GroundError>;
    /// Starts the bricks that are away; clients find them a little later.
    fn start_bricks(&self) -> Result<(), GroundError>;
    /// Freezes a brick; its connections stay.
    fn hang_brick(&self, brick: usize) -> Result<(), GroundError>;
    /// Thaws it.
    fn resume_brick(&self, brick: usize) -> Result<(), GroundError>;
    /// `volume set`.
    fn set(&self, key: &str, value: &str) -> Result<(), GroundError>;
    /// `volume stop`.
    fn stop(&self) -> Result<(), GroundError>;
    /// What a brick holds under a path, without its client's help.
    fn brick_file(&self, brick: usize, path: &str) -> Result<Vec<u8>, GroundError>;
    /// Takes it away with all it holds; called once, when no case needs it any more.
    fn discard(&self);
}
