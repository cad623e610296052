//! Whether the daemon can do its work: the scheduler makes its rounds, and database and captures can be written. Each is
//! written to for a try, as the last change may be long ago.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use capture_store::Overlay;
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{Instant, timeout},
};

use crate::{error::Error, tasks::Tasks};

/// How long the tasks may go without care before the daemon is not ready: the scheduler makes a round
/// at least every other second.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the outcome of a try is good for: anybody may ask, and the disk has other work.
const WRITE_TEST_INTERVAL: Duration = Duration::from_secs(1);

/// How long a try may take. A disk that hangs takes nothing.
const WRITE_TEST_TIMEOUT: Duration = Duration::from_secs(5);

/// What is known of the daemon's parts.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// When the scheduler was last seen to move.
    moved: Mutex<Option<(u64, Instant)>>,
    writes: tokio::sync::Mutex<WriteTests>,
}

/// The tries to write.
#[derive(Debug, Default)]
struct WriteTests {
    last: Option<(Writable, Instant)>,
    /// The one that did not come back in time.
    hangs: Option<JoinHandle<Writable>>,
}

/// What takes changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Writable {
    /// The database, which also answers.
    pub(crate) database: bool,
    /// The directory of captures.
    pub(crate) captures: bool,
}

impl Writable {
    const NOTHING: Self = Self {
        database: false,
        captures: false,
    };

    /// Tries. Waits for the disk.
    fn find_out(tasks: &Tasks, before: Option<Self>) -> Self {
        let store = tasks.store();
        let test = || {
            store.totals(&Overlay::default())?;
            store.test_write()?;
            Ok::<_, Error>(store.is_writable())
        };
        let captures = tasks.test_captures();
        let was_writable = before.is_none_or(|before| before.captures);
        match &captures {
            Err(error) if was_writable => log::error!("{error}"),
            Ok(()) if !was_writable => log::info!("captures can be written again"),
            _ => {}
        }
        Self {
            // The store itself says why not.
            database: test().unwrap_or(false),
            captures: captures.is_ok(),
        }
    }
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

    /// What takes changes; however many ask, it is tried once a second.
    pub(super) async fn writable(&self, tasks: &Tasks) -> Writable {
        let mut tests = self.writes.lock().await;
        if let Some((writable, since)) = tests.last
            && since.elapsed() < WRITE_TEST_INTERVAL
        {
            return writable;
        }
        let before = tests.last.map(|(writable, _)| writable);
        let mut test = match tests.hangs.take() {
            // One is enough to wait for a disk.
            Some(hangs) => hangs,
            None => {
                let tasks = tasks.clone();
                spawn_blocking(move || Writable::find_out(&tasks, before))
            }
        };
        let writable = match timeout(WRITE_TEST_TIMEOUT, &mut test).await {
            Ok(writable) => writable.unwrap_or(Writable::NOTHING),
            Err(_) => {
                tests.hangs = Some(test);
                Writable::NOTHING
            }
        };
        tests.last = Some((writable, Instant::now()));
        writable
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
