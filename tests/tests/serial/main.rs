//! Tests that run one at a time, each with the machine to itself: they capture at a sustained rate, measure
//! times and memory, or count the descriptors of this process. Each test holds [`one_at_a_time`]. All others
//! are in `integration`, where as many run at once as there are CPUs.

mod alongside;
mod churn;
mod daemon_load;
mod daemon_loops;
mod frozen;
mod latency;
mod mixture;
mod volume;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The first thing that a test here does, whatever `--test-threads` says.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    // A test that failed with the lock says nothing of the next.
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}
