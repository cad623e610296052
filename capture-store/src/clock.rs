//! Clocks of the control path: wall time for quota days, expiry and the audit log, and elapsed time. Tests
//! substitute their own. The data path has clocks of its own.

#[cfg(any(test, feature = "testing"))]
mod fake;

use std::{fmt::Debug, time::Duration};

use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};

#[cfg(any(test, feature = "testing"))]
pub use self::fake::FakeClock;

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
