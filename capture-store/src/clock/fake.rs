//! Clocks that tests set.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use super::Clock;

/// Clocks that stand still until they are set.
#[derive(Debug)]
pub struct FakeClock(Mutex<(Timestamp, Duration)>);

impl FakeClock {
    /// A clock that shows this time, as in `2026-03-29T00:30:00Z`.
    pub fn at(time: &str) -> Arc<Self> {
        let time = time.parse().expect("a time");
        let elapsed = Duration::from_secs(1000);
        Arc::new(Self(Mutex::new((time, elapsed))))
    }

    /// The wall clock shows this time from now on, and no time has passed.
    pub fn set(&self, time: &str) {
        self.lock().0 = time.parse().expect("a time");
    }

    /// The wall clock is set ahead or back, and no time has passed.
    pub fn step(&self, by: SignedDuration) {
        self.lock().0 += by;
    }

    /// So much time passes.
    pub fn advance(&self, by: SignedDuration) {
        let mut clocks = self.lock();
        clocks.0 += by;
        clocks.1 += Duration::try_from(by).expect("time does not go back");
    }

    fn lock(&self) -> MutexGuard<'_, (Timestamp, Duration)> {
        self.0.lock().expect("nobody panics with it")
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        self.lock().0
    }

    fn elapsed(&self) -> Duration {
        self.lock().1
    }
}
