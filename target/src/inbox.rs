//! What others leave for a task: a queue and the one who waits for it.
//!
//! A post wakes the owner at most once until it has looked; taking swaps the whole queue out, so
//! neither side allocates in steady state. Bounds are the posters': tickets are bounded by a
//! session's memory, messages by the number of entities.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

/// Where the storage completions of one session arrive.
pub type Completions = Inbox<block::Completion>;

/// A queue with one reader.
#[derive(Debug)]
pub struct Inbox<T> {
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    queue: Vec<T>,
    waker: Option<Waker>,
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                queue: Vec::new(),
                waker: None,
            }),
        }
    }
}

impl<T> Inbox<T> {
    /// Leaves one item and wakes the reader if it waits.
    pub fn post(&self, item: T) {
        let waker = {
            let mut state = self.lock();
            state.queue.push(item);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Moves everything that waits into `into`, which must be empty. When there is nothing, the
    /// next post wakes `cx`.
    pub fn poll_take(&self, cx: &Context<'_>, into: &mut Vec<T>) -> bool {
        debug_assert!(into.is_empty(), "the last batch was not used up");
        let mut state = self.lock();
        if state.queue.is_empty() {
            if !state
                .waker
                .as_ref()
                .is_some_and(|waker| waker.will_wake(cx.waker()))
            {
                state.waker = Some(cx.waker().clone());
            }
            return false;
        }
        std::mem::swap(&mut state.queue, into);
        true
    }

    /// Moves everything that waits into `into`, without asking to be woken.
    pub fn take(&self, into: &mut Vec<T>) {
        into.append(&mut self.lock().queue);
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_batch_wakes_its_reader_once() {
        let counter = Arc::new(Counter::default());
        let waker = Waker::from(Arc::clone(&counter));
        let cx = Context::from_waker(&waker);
        let inbox = Inbox::default();
        let mut got = Vec::new();
        assert!(!inbox.poll_take(&cx, &mut got));
        for item in 0..3 {
            inbox.post(item);
        }
        assert_eq!(counter.0.load(Ordering::Relaxed), 1);
        assert!(inbox.poll_take(&cx, &mut got));
        assert_eq!(got, [0, 1, 2]);
    }
}
