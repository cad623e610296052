//! One task of a foreground capture and its phases: running, closing its files, ended. Closing does not block: a
//! disk that does not answer holds up the end of its own task alone, and a message says so.

use std::{
    task::{Context, Poll},
    time::{Duration, Instant},
};

use capture_engine::{ClosingTask, Ended, Engine, TaskHandle};
use capture_task::task::{Counters, StopReason, TaskRecord};

use crate::{
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

pub(super) enum Phase {
    Running,
    /// Detached; its files are not closed yet.
    Closing(Box<Closing>),
    Ended(Box<End>),
}

pub(super) struct Closing {
    files: ClosingTask,
    elapsed: Duration,
    since: Instant,
    /// When it is said again that closing takes long.
    notice_after: Duration,
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
            Ok(files) => {
                self.phase = Phase::Closing(Box::new(Closing {
                    files,
                    elapsed,
                    since: Instant::now(),
                    notice_after: CLOSE_NOTICE_AFTER,
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
            Phase::Closing(closing) => closing.files.poll_closed(context),
            Phase::Running | Phase::Ended(_) => Poll::Pending,
        }
    }

    /// Takes note of files that are closed, and gives what there is to say: the task's fault, or
    /// what it has been waiting for so long.
    pub(super) fn settle(&mut self) -> Option<String> {
        let Phase::Closing(closing) = &mut self.phase else {
            return None;
        };
        let mut context = Context::from_waker(std::task::Waker::noop());
        if closing.files.poll_closed(&mut context).is_pending() {
            let waited = closing.since.elapsed();
            if waited < closing.notice_after {
                return None;
            }
            closing.notice_after *= 2;
            let what = closing.files.waits_for();
            return Some(format!(
                "{}its output is not closed after {}s ({}); a second signal gives it up",
                self.label,
                waited.as_secs(),
                what.as_deref().unwrap_or("writing"),
            ));
        }
        let Phase::Closing(closing) = std::mem::replace(&mut self.phase, Phase::Running) else {
            return None;
        };
        let ended = closing.files.ended();
        let error = ended.error.as_ref();
        let message = error.map(|error| format!("{}{}", self.label, engine_sentence(error)));
        self.phase = Phase::Ended(Box::new(End {
            ended,
            elapsed: closing.elapsed,
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
            Phase::Closing(closing) => format!("ending after {}", duration_text(closing.elapsed)),
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
            Phase::Closing(closing) => closing.files.counters(),
            Phase::Ended(end) => end.ended.counters,
        }
    }
}
