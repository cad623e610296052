//! How a task ended, as the engine knows it or as a start finds it.

use capture_engine::Ended;
use capture_store::{Pause, TaskEnd};
use capture_task::{
    interruption::InterruptionCause,
    task::{Counters, FileRecord, StopReason, TaskRecord, time_of},
};
use jiff::Timestamp;

use super::engine::named;
use crate::{error::Error, storage::Leftover};

/// What is known at the end.
#[derive(Clone, Debug)]
pub(super) struct TaskOutcome {
    pub(super) reason: StopReason,
    pub(super) error: Option<String>,
    pub(super) counters: Counters,
    pub(super) verdict: Option<String>,
    pub(super) files: Vec<FileRecord>,
    /// When, by the clock of its packets, where it had any; of a task that was interrupted, when it last wrote.
    pub(super) ended_at: Option<Timestamp>,
    /// When its files are to be removed, where that was said before.
    pub(super) expires_at: Option<Timestamp>,
}

impl TaskOutcome {
    /// Of a task that captured nothing.
    pub(super) fn before_start(reason: StopReason, error: Option<String>) -> Self {
        let counters = Counters::default();
        Self {
            reason,
            error,
            counters,
            // Nobody can say that it is complete.
            verdict: None,
            files: Vec::new(),
            ended_at: None,
            expires_at: None,
        }
    }

    /// Of a task that the last daemon did not end. What it lost, nobody knows.
    pub(super) fn interrupted(leftover: Leftover) -> Self {
        let Leftover {
            files,
            counters,
            written_at,
            ended: _,
        } = leftover;
        let error = format!(
            "the daemon ended without ending this task; {} packets were found in its files, and how \
             many were lost is not known",
            counters.captured
        );
        Self {
            reason: StopReason::Interrupted,
            error: Some(error),
            counters,
            verdict: counters.verdict_at(StopReason::Interrupted),
            files,
            ended_at: written_at,
            expires_at: None,
        }
    }

    /// Of a task that the last daemon did end, as the record beside its files says; none where there is no such
    /// record.
    pub(super) fn beside_files(leftover: &mut Leftover) -> Option<Self> {
        let end = leftover.ended.take()?;
        Some(Self {
            files: std::mem::take(&mut leftover.files),
            ..Self::from(end)
        })
    }

    /// What is known of the task until now, where it is to be taken up again.
    pub(super) fn pause(self, cause: InterruptionCause, now: Timestamp) -> Pause {
        Pause {
            at: self.ended_at.unwrap_or(now),
            cause,
            counters: self.counters,
            files: self.files,
        }
    }

    /// The same of a task that captured before: with its files and figures, and ended when it was interrupted.
    pub(super) fn behind(self, record: &TaskRecord) -> Self {
        let Some(open) = record.open_interruption() else {
            return self;
        };
        Self {
            counters: record.counters,
            files: record.files.clone(),
            ended_at: open.from.parse().ok(),
            ..self
        }
    }

    /// Of a task that cannot go on: where the last daemon ended in order, that is what has cut it short.
    pub(super) fn cut_short(self, record: &TaskRecord) -> Self {
        match record.open_interruption() {
            Some(open) if open.cause == InterruptionCause::Shutdown => Self {
                reason: StopReason::Shutdown,
                error: Some(
                    "the daemon ended, and the task's time was over before the next one started"
                        .to_owned(),
                ),
                ended_at: open.from.parse().ok(),
                ..self
            },
            _ => self,
        }
    }

    pub(super) fn of(ended: Ended) -> Self {
        let Ended {
            counters,
            files,
            ended_ns,
            stop_reason,
            error,
            malformed: _,
        } = ended;
        Self {
            reason: stop_reason,
            error: error.map(|error| Error::from(error).message),
            counters,
            verdict: counters.verdict_at(stop_reason),
            files: named(files),
            ended_at: time_of(ended_ns),
            expires_at: None,
        }
    }

    /// What a note says of an end that could not be stored; none where the note could not be written in full.
    pub(super) fn noted(note: &[u8]) -> Option<Self> {
        serde_json::from_slice::<TaskEnd>(note).ok().map(Self::from)
    }

    /// The end as it is stored, with the times that were not said of it.
    pub(super) fn end(self, now: Timestamp, expires_at: Timestamp) -> TaskEnd {
        TaskEnd {
            at: self.ended_at.unwrap_or(now),
            reason: self.reason,
            error: self.error,
            counters: self.counters,
            verdict: self.verdict,
            files: self.files,
            expires_at: self.expires_at.unwrap_or(expires_at),
        }
    }
}

impl From<TaskEnd> for TaskOutcome {
    fn from(end: TaskEnd) -> Self {
        Self {
            reason: end.reason,
            error: end.error,
            counters: end.counters,
            verdict: end.verdict,
            files: end.files,
            ended_at: Some(end.at),
            expires_at: Some(end.expires_at),
        }
    }
}
