//! The bugs of the planted `glintd` (`target/src/planted.rs`), by name.

use std::process::Command;

use super::Cache;

/// The variable in which the planted build looks for its bug.
const VARIABLE: &str = "GLINT_PLANTED_BUG";

/// A bug of the planted build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bug {
    /// What it is called, there and here.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
    /// The mode in which it does harm.
    pub cache: Cache,
}

/// All of them.
pub const BUGS: [Bug; 6] = [
    Bug {
        name: "flush-not-done",
        what: "a flush is answered without fdatasync",
        cache: Cache::WriteBack,
    },
    Bug {
        name: "fua-dropped",
        what: "FUA is dropped",
        cache: Cache::WriteBack,
    },
    Bug {
        name: "sync-error-swallowed",
        what: "the error of an fdatasync is swallowed",
        cache: Cache::WriteBack,
    },
    Bug {
        name: "others-not-flushed",
        what: "a flush skips what other sessions wrote",
        cache: Cache::WriteBack,
    },
    Bug {
        name: "through-not-durable",
        what: "WCE=0 without O_DSYNC",
        cache: Cache::WriteThrough,
    },
    Bug {
        name: "limbo-reused",
        what: "blocks of an overdue write are used again before it has landed",
        cache: Cache::WriteThrough,
    },
];

impl Bug {
    /// Has a planted glintd that is about to be started make it.
    pub(super) fn plant(self, command: &mut Command) {
        command.env(VARIABLE, self.name);
    }
}
