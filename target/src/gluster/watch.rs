//! Calls into libgfapi that may never return, made on a thread that can be left behind.

use std::io;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

/// What `call` gives, unless that takes longer than `limit`. A result that comes later is dropped
/// on the thread that made it.
pub(super) fn within<T: Send + 'static>(
    name: &str,
    limit: Duration,
    call: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (sender, receiver) = sync_channel(1);
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            // Nobody listens any more: what came too late ends here.
            sender.send(call()).ok();
        })?;
    receiver.recv_timeout(limit).map_err(|why| match why {
        RecvTimeoutError::Timeout => io::ErrorKind::TimedOut.into(),
        RecvTimeoutError::Disconnected => io::Error::other("bug: the call panicked"),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Barrier};

    use super::*;

    #[test]
    fn a_call_in_time_gives_its_result() {
        let given = within("quick", Duration::from_secs(20), || 7);
        assert_eq!(given.expect("in time"), 7);
    }

    #[test]
    fn a_late_result_is_dropped_where_it_was_made() {
        struct Late(Arc<AtomicBool>);
        impl Drop for Late {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let (gate, dropped) = (Arc::new(Barrier::new(2)), Arc::new(AtomicBool::new(false)));
        let (inner, late) = (Arc::clone(&gate), Late(Arc::clone(&dropped)));
        let given = within("slow", Duration::from_millis(20), move || {
            inner.wait();
            late
        });
        assert_eq!(
            given.err().map(|why| why.kind()),
            Some(io::ErrorKind::TimedOut)
        );
        assert!(!dropped.load(Ordering::SeqCst));
        gate.wait();
        while !dropped.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
    }
}
