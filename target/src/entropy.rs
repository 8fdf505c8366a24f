//! The only place that asks the system for randomness.

use rand::TryRngCore;
use rand::rngs::OsRng;

/// Fresh random bytes for one login (its CHAP challenge). `None` when the system has none to give;
/// then nobody may log in.
pub fn for_login() -> Option<[u8; 64]> {
    let mut bytes = [0; 64];
    OsRng.try_fill_bytes(&mut bytes).ok()?;
    Some(bytes)
}
