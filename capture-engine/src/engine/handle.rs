//! What callers hold of a task: its handle, and its status, which is asked for without the engine's lock.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use capture_task::task::StopReason;

use crate::{clock::monotonic_ns, reader::EndSignal};

/// A task that the engine executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskHandle(pub(super) u64);

/// When and why a task is to be removed.
#[derive(Clone, Debug)]
pub struct TaskStatus {
    pub(super) end_signal: Arc<EndSignal>,
    pub(super) started_ns: u64,
    pub(super) deadline_ns: Option<u64>,
}

impl TaskStatus {
    /// As [`Engine::ended`](super::Engine::ended).
    pub fn reason(&self) -> Option<StopReason> {
        let over = self
            .deadline_ns
            .is_some_and(|deadline| monotonic_ns() >= deadline);
        self.end_signal
            .reason()
            .or(over.then_some(StopReason::Duration))
    }

    /// When it began by the clock of its packets, nanoseconds since the Unix epoch, as [`Ended::ended_ns`](super::Ended::ended_ns).
    pub fn started_ns(&self) -> u64 {
        self.started_ns
    }

    /// When its time is over.
    pub fn deadline(&self) -> Option<Instant> {
        let left_ns = self.deadline_ns?.saturating_sub(monotonic_ns());
        Instant::now().checked_add(Duration::from_nanos(left_ns))
    }
}
