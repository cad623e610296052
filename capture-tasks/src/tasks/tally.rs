//! What became of tasks since the daemon started, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use capture_task::{plan::Keyword as _, task::StopReason};

/// Counts that only grow.
#[derive(Debug)]
pub(super) struct Tally {
    created: AtomicU64,
    downloads: AtomicU64,
    /// In the order of [`StopReason::WORDS`].
    ended: Vec<AtomicU64>,
}

/// The counts at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskCounts {
    /// Tasks created.
    pub created: u64,
    /// Answers with a file of a task, or a part of one.
    pub downloads: u64,
    /// Tasks that ended, for each reason.
    pub ended: Vec<(StopReason, u64)>,
}

impl Default for Tally {
    fn default() -> Self {
        let reasons = StopReason::WORDS.iter();
        Self {
            created: AtomicU64::default(),
            downloads: AtomicU64::default(),
            ended: reasons.map(|_| AtomicU64::default()).collect(),
        }
    }
}

impl Tally {
    pub(super) fn created(&self) {
        self.created.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn downloaded(&self) {
        self.downloads.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self, reason: StopReason) {
        let counts = StopReason::WORDS.iter().zip(&self.ended);
        for (_, count) in counts.filter(|((_, it), _)| *it == reason) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn counts(&self) -> TaskCounts {
        let now = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let ended = StopReason::WORDS.iter().zip(&self.ended);
        TaskCounts {
            created: now(&self.created),
            downloads: now(&self.downloads),
            ended: ended
                .map(|((_, reason), count)| (*reason, now(count)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_count_of_its_own() {
        let tally = Tally::default();
        for (_, reason) in StopReason::WORDS {
            tally.ended(*reason);
        }
        tally.ended(StopReason::DiskFull);
        tally.created();
        tally.downloaded();
        let TaskCounts {
            created,
            downloads,
            ended,
        } = tally.counts();
        assert_eq!((created, downloads), (1, 1));
        assert_eq!(ended.len(), StopReason::WORDS.len());
        for (reason, count) in ended {
            assert_eq!(
                count,
                1 + u64::from(reason == StopReason::DiskFull),
                "{reason:?}"
            );
        }
    }
}
