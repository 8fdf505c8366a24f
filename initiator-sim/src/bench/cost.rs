//! CPU time, user and system, of this process or another.

use std::time::Duration;

use rustix::param::clock_ticks_per_second;
use rustix::time::{ClockId, clock_gettime};

/// CPU time could not be read.
#[derive(Debug, thiserror::Error)]
#[error("CPU time of process {pid}: {reason}")]
pub struct CpuError {
    pid: u32,
    reason: String,
}

/// The CPU clock of a process, over all its threads, living and dead.
#[derive(Debug, Clone, Copy)]
pub struct CpuClock {
    pid: Option<u32>,
}

impl CpuClock {
    /// This process, to the nanosecond.
    pub fn own() -> Self {
        Self { pid: None }
    }

    /// Another process, in the kernel's ticks (mostly 10 ms).
    pub fn of(pid: u32) -> Self {
        Self { pid: Some(pid) }
    }

    /// CPU time used so far.
    pub fn now(&self) -> Result<Duration, CpuError> {
        let Some(pid) = self.pid else {
            let time = clock_gettime(ClockId::ProcessCPUTime);
            let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
            return Ok(Duration::new(time.tv_sec.unsigned_abs(), nanos));
        };
        let error = |reason: String| CpuError { pid, reason };
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .map_err(|reason| error(reason.to_string()))?;
        let ticks = ticks(&stat).ok_or_else(|| error("stat has another format".to_owned()))?;
        Ok(Duration::from_secs_f64(
            ticks as f64 / clock_ticks_per_second() as f64,
        ))
    }
}

/// utime + stime of a stat line (proc_pid_stat(5)): fields 14 and 15. The second field, the
/// program's name, may hold spaces and parentheses; counting starts behind its last one.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(14 - 3);
    let utime: u64 = fields.next()?.parse().ok()?;
    let stime: u64 = fields.next()?.parse().ok()?;
    Some(utime + stime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses() {
        let line = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 700 30 0 0 20 0 1 0 99";
        assert_eq!(ticks(line), Some(730));
        assert_eq!(ticks("42 (short) S 1"), None);
    }

    #[test]
    fn own_time_passes() {
        let before = CpuClock::own().now().expect("own time");
        let stat_before = CpuClock::of(std::process::id()).now().expect("own stat");
        let mut sum = 1_u64;
        while CpuClock::own().now().expect("own time") < before + Duration::from_millis(50) {
            sum = std::hint::black_box(sum.wrapping_mul(3));
        }
        let stat_after = CpuClock::of(std::process::id()).now().expect("own stat");
        assert!(
            stat_after - stat_before >= Duration::from_millis(20),
            "stat counts it too"
        );
    }
}
