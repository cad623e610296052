//! State that everything about tasks shares, with the common steps: look a task up, write an audit line, announce a
//! change.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, Once, PoisonError,
        atomic::{AtomicU64, AtomicUsize},
    },
    thread,
    time::{Duration, Instant},
};

use capture_store::{
    Action, AuditEvent, Outcome, Overlay, Store, StoredTask, TaskId, access::Actor, clock::Clock,
};
use capture_task::task::{State, TaskRecord};
use tokio::{
    sync::{Notify, Semaphore},
    task::JoinHandle,
};

use super::{
    engine::{LazyEngine, figures_of},
    error::TaskError,
    retention::Retention,
    tally::Tally,
    task_table::{Figures, TaskTable},
    unstored::Unstored,
};
use crate::{
    analyses::Analyses,
    config::{Config, LiveConfig},
    error::Result,
    events::Events,
    followers::Followers,
    storage::Storage,
    views::Views,
};

/// How old the figures of running tasks may be that a list shows: however many ask, the kernel's tables
/// are read ten times a second at most.
const FIGURES_MAX_AGE: Duration = Duration::from_millis(100);

pub(super) struct Inner {
    pub(super) store: Store,
    pub(super) storage: Storage,
    pub(super) events: Events,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) engine: LazyEngine,
    pub(super) config: Arc<LiveConfig>,
    pub(super) table: Mutex<TaskTable>,
    pub(super) retention: Mutex<Retention>,
    pub(super) unstored: Mutex<Unstored>,
    pub(super) tally: Tally,
    /// Held while a task is created.
    pub(super) creating: Mutex<()>,
    pub(super) figures: Mutex<Option<(Instant, Arc<AllFigures>)>>,
    /// Wakes the scheduler.
    pub(super) wake: Notify,
    /// Counts its rounds.
    pub(super) pulse: AtomicU64,
    pub(super) scheduler: Mutex<Option<JoinHandle<()>>>,
    pub(super) analyses: Arc<Analyses>,
    pub(super) analysts: Mutex<Vec<thread::JoinHandle<()>>>,
    pub(super) views: Arc<Views>,
    pub(super) followers: Followers,
    /// Turns to have Wireshark take a packet apart.
    pub(super) wireshark: Semaphore,
    /// Says once what confines inspectors less than it could.
    pub(super) confinement: Once,
    /// Held while a report is made a page.
    pub(super) page: Mutex<()>,
    /// How many probes run.
    pub(super) probes: Mutex<usize>,
    /// Copies of captures that are made while somebody takes them.
    pub(super) copies: AtomicUsize,
    /// Held while copies for shares are made or removed.
    pub(super) sharing: Mutex<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Threads wait for work that cannot come any more.
        self.analyses.close();
        self.views.close();
    }
}

/// The figures of each running task.
pub(super) type AllFigures = HashMap<TaskId, Figures>;

impl Inner {
    pub(super) fn table(&self) -> MutexGuard<'_, TaskTable> {
        lock(&self.table)
    }

    pub(super) fn retention(&self) -> MutexGuard<'_, Retention> {
        lock(&self.retention)
    }

    pub(super) fn unstored(&self) -> MutexGuard<'_, Unstored> {
        lock(&self.unstored)
    }

    pub(super) fn config(&self) -> Arc<Config> {
        self.config.get()
    }

    /// A task of the store, as memory knows it.
    pub(super) fn stored(&self, id: &TaskId) -> Result<StoredTask, TaskError> {
        let stored = self.store.task(id)?;
        stored
            .and_then(|stored| self.overlaid(stored))
            .ok_or(TaskError::NotFound)
    }

    /// A task as memory knows it; none where it is removed.
    pub(super) fn overlaid(&self, stored: StoredTask) -> Option<StoredTask> {
        self.unstored().overlaid(stored)
    }

    /// What memory knows before the rows do.
    pub(super) fn overlay(&self) -> Overlay {
        self.unstored().overlay()
    }

    /// The record of a task, with the figures of the moment while it runs.
    pub(super) fn shown(&self, stored: StoredTask) -> TaskRecord {
        let StoredTask { id, mut record, .. } = stored;
        if record.state == State::Running && self.table().is_stopping_unstored(&id) {
            record.state = State::Stopping;
        }
        if matches!(record.state, State::Running | State::Stopping)
            && let Some((counters, files)) = self.figures().get(&id)
        {
            record.counters = *counters;
            record.files.clone_from(files);
        }
        // Those of one that has ended are what was stored: it may have had no files to analyze.
        if record.findings.is_none() && !record.state.is_final() {
            record.findings = self.analyses.counts(&id);
        }
        record
    }

    /// The figures of all running tasks, at most [`FIGURES_MAX_AGE`] old.
    pub(super) fn figures(&self) -> Arc<AllFigures> {
        let mut known = lock(&self.figures);
        if let Some((read, figures)) = &*known
            && read.elapsed() < FIGURES_MAX_AGE
        {
            return Arc::clone(figures);
        }
        let mut figures = AllFigures::new();
        if let Some(engine) = self.engine.get() {
            let tasks = self.table().on_engine();
            for (id, task, earlier, last) in tasks {
                let now = figures_of(engine, task);
                let now = now.map(|(counters, files)| (counters + earlier, files));
                if let Some(now) = now.or(last) {
                    figures.insert(id, now);
                }
            }
        }
        let figures = Arc::new(figures);
        *known = Some((Instant::now(), Arc::clone(&figures)));
        figures
    }

    /// Notes in the audit log what was done to an object, or why it was not.
    pub(super) fn audit(
        &self,
        actor: &Actor,
        action: Action,
        object: &str,
        refused: Option<&TaskError>,
    ) -> Result<()> {
        let outcome = refused.map_or(Outcome::Done, TaskError::outcome);
        self.write_audit(actor, action, object, outcome)
    }

    pub(super) fn write_audit(
        &self,
        actor: &Actor,
        action: Action,
        object: &str,
        outcome: Outcome<'_>,
    ) -> Result<()> {
        let event = AuditEvent {
            action,
            object,
            outcome,
        };
        Ok(self.store.audit_soon(&actor.caller, event)?)
    }

    /// Tells listeners of a task as it is now, and gives its record.
    pub(super) fn announce(&self, id: &TaskId) -> Option<TaskRecord> {
        self.events.task(|| match self.stored(id) {
            Ok(stored) => Some(self.shown(stored)),
            Err(TaskError::Broken(error)) => {
                log::error!("{error}");
                None
            }
            Err(_) => None,
        })
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
