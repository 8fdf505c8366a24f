//! The only place that asks the system for randomness.

use rand::TryRngCore;
use rand::rngs::OsRng;

/// Fresh random bytes for one login (its CHAP challenge). `None` when the system has none to give;
/// then nobody may log in.
pub fn for_login() -> Option<[u8; 64]> {
    fresh()
}

/// Fresh random bytes for a name that nobody else shall come upon.
pub fn for_name() -> Option<[u8; 8]> {
    fresh()
}

fn fresh<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    OsRng.try_fill_bytes(&mut bytes).ok()?;
    Some(bytes)
}
