//! Whether the daemon can do its work: the scheduler makes its rounds, and the store answers and takes changes.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use capture_store::{Overlay, Store};
use tokio::time::Instant;

use super::blocking::blocking;
use crate::error::Error;

/// How long the tasks may go without care before the daemon is not ready: the scheduler makes a round
/// at least every other second.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an answer of the store is good for: anybody may ask, and the store has other work.
const STORE_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// What is known of the daemon's parts.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// When the scheduler was last seen to move.
    moved: Mutex<Option<(u64, Instant)>>,
    /// Whether the store answered, and when that was.
    store: tokio::sync::Mutex<Option<(bool, Instant)>>,
}

impl Health {
    /// Whether tasks are taken care of.
    pub(super) fn is_moving(&self, pulse: u64) -> bool {
        let now = Instant::now();
        let mut seen = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        match *seen {
            Some((last, since)) if last == pulse => now.duration_since(since) < STALL_TIMEOUT,
            _ => {
                *seen = Some((pulse, now));
                true
            }
        }
    }

    /// Whether the store answers, and takes changes; however many ask, it is asked once a second.
    pub(super) async fn store_answers(&self, store: &Store) -> bool {
        let mut known = self.store.lock().await;
        if let Some((answers, since)) = *known
            && since.elapsed() < STORE_CHECK_INTERVAL
        {
            return answers;
        }
        let store = store.clone();
        let answers = blocking(move || {
            store.totals(&Overlay::default())?;
            Ok::<_, Error>(store.is_writable())
        });
        let answers = answers.await.unwrap_or(false);
        *known = Some((answers, Instant::now()));
        answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pulse_that_stands_still_is_noticed() {
        let health = Health::default();
        assert!(health.is_moving(1));
        tokio::time::advance(STALL_TIMEOUT / 2).await;
        assert!(health.is_moving(1));
        tokio::time::advance(STALL_TIMEOUT).await;
        assert!(!health.is_moving(1));
        assert!(health.is_moving(2));
    }
}
