//! A panic in a world is a complaint with its message and its place, and prints nothing.

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::worlds::{Complaint, Oracle, Plan, Played};

thread_local! {
    /// What the panic of this thread said; `None` while panics here are nobody's business.
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Plays a plan; a panic is a complaint.
pub fn played(plan: &Plan, record: bool) -> Played {
    caught(|| crate::worlds::play(plan, record))
}

/// What `play` says, or that it panicked.
pub(super) fn caught(play: impl FnOnce() -> Played) -> Played {
    listen();
    SAID.set(Some(String::new()));
    let played = panic::catch_unwind(AssertUnwindSafe(play));
    let said = SAID.take();
    played.unwrap_or_else(|_| {
        let what = said.unwrap_or_default();
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
    })
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
