//! The clocks of the daemon's control path: the wall clock for days of the quota, expiry, what the audit log
//! says, and beside it the time that really passes. Tests put one in their place that they set themselves. The
//! data path has clocks of its own.

use std::{fmt::Debug, time::Duration};

use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};

/// Where the time comes from.
pub trait Clock: Debug + Send + Sync {
    /// The time now, UTC. Anybody may set it, ahead and back.
    fn now(&self) -> Timestamp;

    /// Time since a moment before the start of the process, which nobody can set. It goes on while the machine
    /// sleeps.
    fn elapsed(&self) -> Duration;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        // It fails where there is no such clock, and every kernel that we run on has one.
        clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
    }
}

/// Clocks that stand still until they are set.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct FakeClock(std::sync::Mutex<(Timestamp, Duration)>);

#[cfg(test)]
impl FakeClock {
    /// A clock that shows this time, as in `2026-03-29T00:30:00Z`.
    pub(crate) fn at(time: &str) -> std::sync::Arc<Self> {
        let time = time.parse().expect("a time");
        let elapsed = Duration::from_secs(1000);
        std::sync::Arc::new(Self(std::sync::Mutex::new((time, elapsed))))
    }

    /// The wall clock shows this time from now on, and no time has passed.
    pub(crate) fn set(&self, time: &str) {
        self.lock().0 = time.parse().expect("a time");
    }

    /// The wall clock is set ahead or back, and no time has passed.
    pub(crate) fn step(&self, by: jiff::SignedDuration) {
        self.lock().0 += by;
    }

    /// So much time passes.
    pub(crate) fn advance(&self, by: jiff::SignedDuration) {
        let mut clocks = self.lock();
        clocks.0 += by;
        clocks.1 += Duration::try_from(by).expect("time does not go back");
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Timestamp, Duration)> {
        self.0.lock().expect("nobody panics with it")
    }
}

#[cfg(test)]
impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        self.lock().0
    }

    fn elapsed(&self) -> Duration {
        self.lock().1
    }
}
