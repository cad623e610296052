//! How many requests were answered, by status.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use http::StatusCode;

/// Those that are shown before there was one: an alert on the first could not tell it from a start.
const ALWAYS: [u16; 9] = [200, 400, 401, 403, 404, 429, 500, 503, 507];

/// Counts of all statuses, 100 to 599.
#[derive(Debug)]
pub(crate) struct StatusCounts(Vec<AtomicU64>);

impl Default for StatusCounts {
    fn default() -> Self {
        Self((100..600).map(|_| AtomicU64::default()).collect())
    }
}

impl StatusCounts {
    /// One more of a status.
    pub(super) fn count(&self, status: StatusCode) {
        let index = usize::from(status.as_u16()).checked_sub(100);
        if let Some(count) = index.and_then(|index| self.0.get(index)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The statuses that there were, and some others.
    pub(crate) fn counts(&self) -> BTreeMap<u16, u64> {
        let all = (100..).zip(&self.0);
        let all = all.map(|(code, count)| (code, count.load(Ordering::Relaxed)));
        all.filter(|(code, count)| *count > 0 || ALWAYS.contains(code))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_counted_each_for_itself() {
        let answers = StatusCounts::default();
        for status in [StatusCode::OK, StatusCode::OK, StatusCode::GONE] {
            answers.count(status);
        }
        // A status may be anything of three digits.
        answers.count(StatusCode::from_u16(999).expect("a status"));
        let counts = answers.counts();
        assert_eq!((counts[&200], counts[&410], counts[&500]), (2, 1, 0));
        assert_eq!(counts.len(), ALWAYS.len() + 1);
    }
}
