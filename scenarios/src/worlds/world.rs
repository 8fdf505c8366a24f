//! Plays a plan.

use super::{Plan, Played};

pub(super) fn play(_plan: &Plan, _record: bool) -> Played {
    Played::default()
}
