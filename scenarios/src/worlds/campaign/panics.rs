//! A panic in a world is a complaint with its message and its place, and prints nothing.

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::worlds::{Complaint, Oracle, Plan, Played, draw};

thread_local! {
    /// What the panic of this thread said; `None` while panics here are nobody's business.
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Plays a plan; a panic is a complaint.
pub fn played(plan: &Plan, record: bool) -> Played {
    judged(|| crate::worlds::play(plan, record))
}

/// The plan of a seed, or what the panic said.
pub fn plan(seed: u64) -> Result<Plan, String> {
    caught(|| draw::draw(seed))
}

/// What `play` says; a panic is a complaint.
pub(super) fn judged(play: impl FnOnce() -> Played) -> Played {
    caught(play).unwrap_or_else(broken)
}

/// What came of a world that panicked with these words.
pub(in crate::worlds) fn broken(what: String) -> Played {
    // Always with the same keys.
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    Played {
        hash: hasher.finish(),
        complaints: vec![Complaint {
            oracle: Oracle::Panic,
            what,
        }],
        ..Played::default()
    }
}

/// What `work` gives, or message and place of its panic.
pub(in crate::worlds) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    listen();
    let before = SAID.replace(Some(String::new()));
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    let said = SAID.replace(before);
    done.map_err(|_| said.unwrap_or_default())
}

/// Sees to it that panics of threads that listen are kept and not printed; others go to whoever
/// heard them before.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let text = || {
                let message = panic.payload_as_str().unwrap_or("a panic without words");
                match panic.location() {
                    Some(place) => format!("{message} at {}:{}", place.file(), place.line()),
                    None => message.to_owned(),
                }
            };
            let kept = SAID.with_borrow_mut(|said| said.as_mut().map(|said| *said = text()));
            if kept.is_none() {
                before(panic);
            }
        }));
    });
}
