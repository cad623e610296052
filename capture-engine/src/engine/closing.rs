//! A task that is detached and drained while its files are being closed, and then its end. Comes from
//! [`Engine::leave`](super::Engine::leave), and holds nothing of the kernel: it may outlive its engine.

use std::{
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use capture_file::{ClosingOutput, OutputCounters};
use capture_task::task::{Counters, FileRecord, StopReason};

use super::{
    handle::TaskHandle,
    stats::Past,
    task::{self, Task},
};
use crate::{clock::unix_ns, error::Error, kernel::SlotFigures, reader::DrainedTask};

/// A task whose files are being closed.
pub struct ClosingTask {
    output: ClosingOutput,
    written: Arc<OutputCounters>,
    figures: SlotFigures,
    ended_ns: u64,
    /// The reason given, unless a fault came first.
    reason: StopReason,
    /// A fault in the kernel's view of the packets.
    fault: Option<Error>,
    malformed: u64,
    /// Those of them that the task has a criterion for.
    undecided: u64,
    /// Who keeps the sum of all tasks, and which one this is.
    past: (Arc<Past>, TaskHandle),
}

/// The end of a task.
#[derive(Debug)]
pub struct Ended {
    /// Final figures, which add up.
    pub counters: Counters,
    /// The files, in order.
    pub files: Vec<FileRecord>,
    /// When it ended by the clock of its packets, nanoseconds since the Unix epoch; the wall clock may have been
    /// set meanwhile.
    pub ended_ns: u64,
    /// Why it ended: the reason given to [`Engine::leave`](super::Engine::leave), unless a fault came
    /// first.
    pub stop_reason: StopReason,
    /// What went wrong, if something did.
    pub error: Option<Error>,
    /// Frames on the task's interfaces that were too short to decide on some criterion, whether or
    /// not the task asks for it.
    pub malformed: u64,
}

impl Ended {
    /// The end of a task that could not be ended in order, with what was last known of it.
    pub fn broken(error: Error, counters: Counters, files: Vec<FileRecord>) -> Self {
        Self {
            counters,
            files,
            ended_ns: unix_ns(),
            stop_reason: StopReason::Error,
            error: Some(error),
            malformed: 0,
        }
    }
}

/// Wakes a thread that waits without a runtime.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl ClosingTask {
    pub(super) fn new(
        mut task: Task,
        figures: SlotFigures,
        drained: DrainedTask,
        reason: StopReason,
        past: (Arc<Past>, TaskHandle),
    ) -> Self {
        let DrainedTask { output, ended_ns } = drained;
        Self {
            written: output.counters(),
            output: output.end(&task.closing(figures, ended_ns)),
            figures,
            ended_ns,
            reason,
            fault: task.fault.take(),
            malformed: task.malformed(),
            undecided: task.undecided(),
            past,
        }
    }

    /// Ready once [`ClosingTask::ended`] does not wait.
    pub fn poll_closed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.output.poll_done(context)
    }

    /// Waits so long for the files to be closed, and says whether they are.
    pub fn closed_within(&mut self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            if self.poll_closed(&mut context).is_ready() {
                return true;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            thread::park_timeout(left);
        }
    }

    /// What the output is waiting for, where it is: `sync /mnt/a.pcapng.part, for 7s`.
    pub fn waits_for(&self) -> Option<String> {
        self.output.waits_for()
    }

    /// The figures so far; they add up once the files are closed.
    pub fn counters(&self) -> Counters {
        let mut counters = Counters::default();
        self.written.fill(&mut counters);
        task::fill(self.figures, &mut counters);
        counters
    }

    /// Waits until the files are closed.
    pub fn ended(self) -> Ended {
        let Self {
            output,
            written,
            figures,
            ended_ns,
            reason,
            fault,
            malformed,
            undecided,
            past: (past, id),
        } = self;
        let report = output.report();
        let mut counters = Counters::default();
        written.fill(&mut counters);
        task::fill(figures, &mut counters);
        counters.undecided = undecided;
        past.end(id, Some(counters));
        let (stop_reason, error) = match (report.error, fault) {
            (Some(error), _) => (error.stop_reason(), Some(error.into())),
            (None, Some(fault)) => (StopReason::Error, Some(fault)),
            (None, None) => (reason, None),
        };
        Ended {
            counters,
            files: report.files,
            ended_ns,
            stop_reason,
            error,
            malformed,
        }
    }
}
