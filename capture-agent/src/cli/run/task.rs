//! One task of a foreground capture: it runs, then leaves while its files are being closed, then has
//! ended. A disk that does not answer keeps that task from its end, and says so; the others go on.

use std::{
    task::{Context, Poll},
    time::{Duration, Instant},
};

use capture_engine::{ClosingTask, Ended, Engine, TaskHandle};
use capture_task::task::{Counters, StopReason, TaskRecord};

use crate::cli::{
    error::engine_sentence,
    report::{duration_text, figures_line, reason_text},
};

/// How long the files of a task may take to close before that is said. The reader of a pipe is
/// given up before then.
const CLOSE_NOTICE_AFTER: Duration = Duration::from_secs(5);

/// A task of the capture.
pub(super) struct Task {
    pub(super) id: TaskHandle,
    /// What messages about it begin with: nothing, or its position in the file and its name.
    pub(super) label: String,
    pub(super) record: TaskRecord,
    pub(super) limit: Option<Duration>,
    pub(super) phase: Phase,
}

/// Where it is.
pub(super) enum Phase {
    Running,
    ClosingTask(Box<Left>),
    Ended(Box<End>),
}

/// Detached, its files not closed yet.
pub(super) struct Left {
    leaving: ClosingTask,
    elapsed: Duration,
    since: Instant,
    /// When it is time to say that it takes long.
    patience: Duration,
}

/// How a task ended.
pub(super) struct End {
    pub(super) ended: Ended,
    pub(super) elapsed: Duration,
}

impl Task {
    pub(super) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running)
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }

    /// Ends the task as far as that is possible without waiting for its disk. A fault in doing so is
    /// the task's, and given back to be said.
    pub(super) fn leave(
        &mut self,
        engine: &mut Engine,
        reason: StopReason,
        elapsed: Duration,
    ) -> Option<String> {
        let counters = engine.counters(self.id);
        match engine.leave(self.id, reason) {
            Ok(leaving) => {
                self.phase = Phase::ClosingTask(Box::new(Left {
                    leaving,
                    elapsed,
                    since: Instant::now(),
                    patience: CLOSE_NOTICE_AFTER,
                }));
                None
            }
            Err(error) => {
                let message = format!("{}{}", self.label, engine_sentence(&error));
                let ended = Ended::broken(error, counters, Vec::new());
                self.phase = Phase::Ended(Box::new(End { ended, elapsed }));
                Some(message)
            }
        }
    }

    /// Ready where the files have just been closed and [`Task::settle`] will make an end of it.
    pub(super) fn poll_closed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.phase {
            Phase::ClosingTask(left) => left.leaving.poll_closed(context),
            Phase::Running | Phase::Ended(_) => Poll::Pending,
        }
    }

    /// Takes note of files that are closed, and gives what there is to say: the task's fault, or
    /// what it has been waiting for so long.
    pub(super) fn settle(&mut self) -> Option<String> {
        let Phase::ClosingTask(left) = &mut self.phase else {
            return None;
        };
        let mut context = Context::from_waker(std::task::Waker::noop());
        if left.leaving.poll_closed(&mut context).is_pending() {
            let waited = left.since.elapsed();
            if waited < left.patience {
                return None;
            }
            left.patience *= 2;
            let what = left.leaving.waits_for();
            return Some(format!(
                "{}its output is not closed after {}s ({}); a second signal gives it up",
                self.label,
                waited.as_secs(),
                what.as_deref().unwrap_or("writing"),
            ));
        }
        let Phase::ClosingTask(left) = std::mem::replace(&mut self.phase, Phase::Running) else {
            return None;
        };
        let ended = left.leaving.ended();
        let error = ended.error.as_ref();
        let message = error.map(|error| format!("{}{}", self.label, engine_sentence(error)));
        self.phase = Phase::Ended(Box::new(End {
            ended,
            elapsed: left.elapsed,
        }));
        message
    }

    /// The figures so far in one line, `elapsed` since the start of all tasks: `2s of 1m: matched 36, …`.
    pub(super) fn figures_line(&self, engine: &Engine, elapsed: Duration) -> String {
        let figures = figures_line(&self.counters(engine));
        let state = match &self.phase {
            Phase::Running => match self.limit {
                Some(limit) => format!("{} of {}", duration_text(elapsed), duration_text(limit)),
                None => duration_text(elapsed),
            },
            Phase::ClosingTask(left) => format!("ending after {}", duration_text(left.elapsed)),
            Phase::Ended(end) => {
                let reason = reason_text(end.ended.stop_reason);
                format!("ended ({reason}) after {}", duration_text(end.elapsed))
            }
        };
        format!("{}{state}: {figures}", self.label)
    }

    /// The figures so far, or the final ones.
    pub(super) fn counters(&self, engine: &Engine) -> Counters {
        match &self.phase {
            Phase::Running => engine.counters(self.id),
            Phase::ClosingTask(left) => left.leaving.counters(),
            Phase::Ended(end) => end.ended.counters,
        }
    }
}
