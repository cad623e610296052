//! From the kernel's monotonic time stamps to UTC. Each task has a clock of its own: a step of the
//! wall clock while it captures neither reorders its file nor stretches what it measured, and the
//! next task begins with the right time.

pub use capture_file::unix_ns;
use nix::time::{ClockId, clock_gettime};

/// Largest change of the wall clock that is taken over by a running task: adjtime and NTP slew by
/// 500 ppm, which is a tenth of a millisecond between two readings, and a step of this size is harmless.
const LARGEST_SLEW_NS: i64 = 50_000_000;

/// Nanoseconds on the monotonic clock, that of `bpf_ktime_get_ns`.
pub fn monotonic_ns() -> u64 {
    nanoseconds(ClockId::CLOCK_MONOTONIC)
}

fn nanoseconds(clock: ClockId) -> u64 {
    // These clocks exist on every kernel that we run on.
    clock_gettime(clock)
        .map(|time| (time.tv_sec() as u64).wrapping_mul(1_000_000_000) + time.tv_nsec() as u64)
        .unwrap_or(0)
}

/// How far the clocks are apart at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClockReading {
    /// Wall clock less the time since boot, nanoseconds.
    wall: i64,
    /// Time since boot less monotonic time, nanoseconds: what was spent suspended.
    suspended: i64,
}

impl ClockReading {
    /// Reads the clocks.
    pub(crate) fn now() -> Self {
        // The monotonic clock is read on both sides of the others, and the middle taken: the error is at most
        // half of what the readings take, which is well below a microsecond unless the thread is interrupted.
        let before = monotonic_ns();
        let wall = unix_ns();
        let boot = nanoseconds(ClockId::CLOCK_BOOTTIME);
        let after = monotonic_ns();
        let monotonic = before + (after - before) / 2;
        Self {
            wall: wall.wrapping_sub(boot) as i64,
            suspended: boot.wrapping_sub(monotonic) as i64,
        }
    }
}

/// The clock of one task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskClock {
    reading: ClockReading,
    last_ns: u64,
}

impl TaskClock {
    /// A clock that is right at the moment of `reading`.
    pub(crate) fn new(reading: ClockReading) -> Self {
        Self {
            reading,
            last_ns: 0,
        }
    }

    /// Follows the wall clock as long as it only slews; a step is left to the next task. Time spent
    /// suspended is always followed.
    pub(crate) fn follow(&mut self, reading: ClockReading) {
        self.reading.suspended = reading.suspended;
        if (reading.wall - self.reading.wall).abs() <= LARGEST_SLEW_NS {
            self.reading.wall = reading.wall;
        }
    }

    /// Nanoseconds since the Unix epoch for a monotonic time stamp; never less than the one before.
    pub(crate) fn stamp(&mut self, monotonic_ns: u64) -> u64 {
        self.last_ns = self.last_ns.max(self.unix_ns(monotonic_ns));
        self.last_ns
    }

    /// Nanoseconds since the Unix epoch at a monotonic time, for this task.
    pub(crate) fn unix_ns(&self, monotonic_ns: u64) -> u64 {
        monotonic_ns.saturating_add_signed(self.reading.wall + self.reading.suspended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000_000;

    fn reading(wall: i64, suspended: i64) -> ClockReading {
        ClockReading { wall, suspended }
    }

    #[test]
    fn a_step_either_way_changes_nothing() {
        for step in [HOUR, -HOUR] {
            let mut clock = TaskClock::new(reading(1_000 * HOUR, 0));
            let first = clock.stamp(10);
            clock.follow(reading(1_000 * HOUR + step, 0));
            assert_eq!(clock.stamp(20) - first, 10);
        }
    }

    #[test]
    fn slewing_is_followed_and_never_goes_back() {
        let mut clock = TaskClock::new(reading(HOUR, 0));
        let first = clock.stamp(1_000);
        clock.follow(reading(HOUR + 500, 0));
        assert_eq!(clock.stamp(2_000) - first, 1_500);
        clock.follow(reading(HOUR - 5_000, 0));
        assert_eq!(clock.stamp(2_001), first + 1_500);
    }

    #[test]
    fn suspension_counts() {
        let mut clock = TaskClock::new(reading(HOUR, 0));
        let first = clock.stamp(0);
        clock.follow(reading(HOUR, 5 * HOUR));
        assert_eq!(clock.stamp(1) - first, 5 * HOUR as u64 + 1);
    }

    #[test]
    fn a_reading_is_right_to_a_millisecond() {
        let mut clock = TaskClock::new(ClockReading::now());
        let stamp = clock.stamp(monotonic_ns());
        assert!(stamp.abs_diff(unix_ns()) < 1_000_000);
    }
}
