//! Which bugs of the planted `glintd` ([`::planted`]) the power cut has to see.

use std::process::Command;

use ::planted::{Bug as Planted, VARIABLE};

use super::Cache;

/// A bug of the planted build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bug {
    planted: Planted,
    /// The mode in which it does harm.
    pub cache: Cache,
}

/// All of them.
pub const BUGS: [Bug; 6] = [
    Bug::new(Planted::FlushNotDone, Cache::WriteBack),
    Bug::new(Planted::FuaDropped, Cache::WriteBack),
    Bug::new(Planted::SyncErrorSwallowed, Cache::WriteBack),
    Bug::new(Planted::OthersNotFlushed, Cache::WriteBack),
    Bug::new(Planted::ThroughNotDurable, Cache::WriteThrough),
    Bug::new(Planted::LimboReused, Cache::WriteThrough),
];

impl Bug {
    const fn new(planted: Planted, cache: Cache) -> Self {
        Self { planted, cache }
    }

    /// What it is called.
    pub const fn name(&self) -> &'static str {
        self.planted.name()
    }

    /// What it is.
    pub const fn what(&self) -> &'static str {
        self.planted.what()
    }

    /// Has a planted glintd that is about to be started make it.
    pub(super) fn plant(self, command: &mut Command) {
        command.env(VARIABLE, self.name());
    }
}
