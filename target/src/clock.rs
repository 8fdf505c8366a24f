//! The only place that asks the system for the time.

use std::time::{Duration, Instant, SystemTime};

use engine::Moment;

/// Monotonic time since the server started.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Time begins now.
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// The time.
    pub fn now(&self) -> Moment {
        Moment::default().plus(self.start.elapsed())
    }

    /// `moment` on the runtime's clock.
    pub fn instant(&self, moment: Moment) -> tokio::time::Instant {
        (self.start + Duration::from_nanos(moment.0)).into()
    }
}

/// What the clock on the wall says, for people to read.
pub fn wall() -> SystemTime {
    SystemTime::now()
}
