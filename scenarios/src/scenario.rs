//! What a scenario is: an id, the requirement it checks, what it needs, and a conversation.
//!
//! Knows nothing of how the device under test was started or how results are shown.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::context::Context;

/// One requirement, played against a device under test.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Dotted, stable, unique: `login.stages.operational-only`.
    pub id: &'static str,
    /// Where the requirement stands: `RFC 7143 6.3.1`, `SBC-3 5.10`.
    pub clause: &'static str,
    /// The requirement in one sentence of our own.
    pub requirement: &'static str,
    /// What the device must have for this to make sense.
    pub needs: &'static [Need],
    /// The conversation.
    pub play: fn(Context) -> Play,
}

/// A conversation under way.
pub type Play = Pin<Box<dyn Future<Output = Result<(), Finding>> + Send>>;

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Something not every device offers. A missing one makes a scenario SKIP, with the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// A target that asks for CHAP, with known credentials ([`Context::chap_target`]).
    Chap,
    /// The same, which also proves itself when challenged.
    MutualChap,
    /// Grants HeaderDigest=CRC32C.
    HeaderDigest,
    /// Grants DataDigest=CRC32C.
    DataDigest,
    /// Grants InitialR2T=No.
    UnsolicitedData,
    /// A target that lets only some initiators in ([`Context::closed_target`]).
    AccessList,
    /// A LUN that may be written all over.
    Destructive,
    /// A LUN that nothing else touches and that has room for 8 MiB.
    EightMebibytes,
    /// A device of the scenario's own that can be killed and started again, on storage that
    /// outlives it ([`Context::rig`]).
    Restart,
    /// The same, and killing it is a power cut: what was not synced is gone.
    PowerCut,
    /// The same, and its storage fails, stalls and hangs by plan ([`crate::rig::Rig::plan`]).
    Faults,
}

/// Why a scenario did not simply pass.
#[derive(Clone, Debug)]
pub enum Finding {
    /// A MUST is broken.
    Fail {
        /// What the requirement asks for.
        expected: String,
        /// What was seen.
        actual: String,
    },
    /// A SHOULD is not followed.
    Weak {
        /// What the standard advises.
        expected: String,
        /// What was seen.
        actual: String,
    },
    /// It cannot be played here after all.
    Skip(String),
    /// Nothing to judge, something to tell.
    Info(String),
    /// The device did not answer in time.
    Hang(String),
}

impl Finding {
    /// A broken MUST.
    pub fn fail(expected: impl Into<String>, actual: impl fmt::Display) -> Self {
        Self::Fail {
            expected: expected.into(),
            actual: actual.to_string(),
        }
    }

    /// A SHOULD not followed.
    pub fn weak(expected: impl Into<String>, actual: impl fmt::Display) -> Self {
        Self::Weak {
            expected: expected.into(),
            actual: actual.to_string(),
        }
    }
}

/// Fails unless both are equal; `what` names the thing compared.
pub fn expect_eq<T: PartialEq + fmt::Debug>(
    what: &str,
    expected: T,
    actual: T,
) -> Result<(), Finding> {
    match expected == actual {
        true => Ok(()),
        false => Err(Finding::fail(
            format!("{what} = {expected:?}"),
            format!("{actual:?}"),
        )),
    }
}

/// Fails unless `holds`; `actual` tells what was seen instead.
pub fn expect(holds: bool, expected: &str, actual: impl fmt::Display) -> Result<(), Finding> {
    if holds {
        Ok(())
    } else {
        Err(Finding::fail(expected, actual))
    }
}

/// Writes a scenario as a row of its family's table.
///
/// ```text
/// scenario! {
///     "login.stages.operational-only", "RFC 7143 6.3.1",
///     "A login may start in the operational stage and go straight to full feature phase.",
///     needs [];
///     async |ctx| { … Ok(()) }
/// }
/// ```
#[macro_export]
macro_rules! scenario {
    ($id:literal, $clause:literal, $requirement:literal, needs [$($need:ident),*];
     async |$ctx:ident| $body:block) => {
        $crate::scenario::Scenario {
            id: $id,
            clause: $clause,
            requirement: $requirement,
            needs: &[$($crate::scenario::Need::$need),*],
            play: |$ctx: $crate::context::Context| {
                Box::pin(async move { $body })
            },
        }
    };
}
