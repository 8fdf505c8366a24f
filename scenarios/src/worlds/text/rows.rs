//! The lines of a setting: each field of its types with the key it is written as, for both ways.

use std::fmt;

use super::fields::{Fields, Value};
use crate::worlds::plan;

pub(super) use plan::{
    Deviant, InitiatorSetting as Initiator, TargetSetting as Target, VolumeSetting as Volume,
    WireSetting as Wire,
};

/// A type that is a line.
pub(super) trait Row: Sized {
    /// The word the line begins with.
    const WORD: &'static str;
    /// Writes the line.
    fn write(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result;
    /// Takes its own from the line.
    fn read(fields: &mut Fields<'_>) -> Result<Self, String>;
}

macro_rules! row {
    ($word:literal $type:ty { $($field:ident $key:literal,)* }) => {
        impl Row for $type {
            const WORD: &'static str = $word;

            fn write(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str($word)?;
                $(write!(out, " {}={}", $key, self.$field.show())?;)*
                writeln!(out)
            }

            fn read(fields: &mut Fields<'_>) -> Result<Self, String> {
                Ok(Self { $($field: fields.take($key)?),* })
            }
        }
    };
}

row!("target" Target {
    luns "luns",
    sectors "sectors",
    write_back "write-back",
    queue_depth "depth",
    session_memory "memory",
    share "share",
    storage_timeout "timeout",
    ping_interval "ping",
});

row!("initiator" Initiator {
    target "target",
    host "host",
    immediate_data "immediate",
    initial_r2t "initial-r2t",
    first_burst "first-burst",
    max_burst "max-burst",
    max_recv "max-recv",
    r2ts "r2ts",
    header_digest "header-digest",
    data_digest "data-digest",
    rejoins "rejoins",
    time2retain "retain",
});

row!("deviant" Deviant {
    target "target",
    seed "seed",
    connections "connections",
});

row!("volume" Volume {
    kind "kind",
    bricks "bricks",
    shard "shard",
    capacity "capacity",
    ping_timeout "ping-timeout",
    heal_delay "heal-delay",
    post_op_delay "post-op-delay",
    lost_percent "lost",
    torn_percent "torn",
    latency "latency",
});

row!("wire" Wire {
    latency "latency",
    chops "chops",
    buffer "buffer",
    mail "mail",
});
