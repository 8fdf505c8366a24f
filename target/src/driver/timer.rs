//! One wake-up per task. Moving a deadline later costs nothing: the timer fires early once and is
//! set again.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;

use engine::Moment;
use tokio::time::{Sleep, sleep_until};

use crate::clock::Clock;

pub(super) struct Timer {
    clock: Clock,
    sleep: Pin<Box<Sleep>>,
    armed: Option<Moment>,
}

impl Timer {
    pub(super) fn new(clock: Clock) -> Self {
        let sleep = Box::pin(sleep_until(clock.instant(clock.now())));
        Self {
            clock,
            sleep,
            armed: None,
        }
    }

    /// Whether `wanted` has come; if not, `cx` is woken when it does.
    pub(super) fn poll_due(
        &mut self,
        cx: &mut Context<'_>,
        now: Moment,
        wanted: Option<Moment>,
    ) -> bool {
        let Some(wanted) = wanted else { return false };
        if now >= wanted {
            return true;
        }
        if self
            .armed
            .is_none_or(|armed| armed > wanted || armed <= now)
        {
            self.sleep.as_mut().reset(self.clock.instant(wanted));
            self.armed = Some(wanted);
        }
        let fired = self.sleep.as_mut().poll(cx).is_ready();
        if fired {
            // It fired between `now` and here, or for an earlier wish: look again next turn.
            self.armed = None;
            cx.waker().wake_by_ref();
        }
        false
    }
}
