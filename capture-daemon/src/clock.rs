//! The wall clock of the daemon's control path: days of the quota, expiry, what the audit log says.
//! Tests put one in its place that they set themselves. The data path has clocks of its own.

use std::fmt::Debug;

use jiff::Timestamp;

/// Where the time comes from.
pub trait Clock: Debug + Send + Sync {
    /// The time now, UTC.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that stands still until it is set.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct FakeClock(std::sync::Mutex<Timestamp>);

#[cfg(test)]
impl FakeClock {
    /// A clock that shows this time, as in `2026-03-29T00:30:00Z`.
    pub(crate) fn at(time: &str) -> std::sync::Arc<Self> {
        let time = time.parse().expect("a time");
        std::sync::Arc::new(Self(std::sync::Mutex::new(time)))
    }

    /// Shows this time from now on.
    pub(crate) fn set(&self, time: &str) {
        *self.0.lock().expect("nobody panics with it") = time.parse().expect("a time");
    }

    /// Goes on, or back.
    pub(crate) fn advance(&self, by: jiff::SignedDuration) {
        *self.0.lock().expect("nobody panics with it") += by;
    }
}

#[cfg(test)]
impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().expect("nobody panics with it")
    }
}
