//! The tasks of the daemon, from the request to the removal: what the API calls, and what runs below it.
//!
//! In the order of a task's life: `create` checks a request and has the store keep it, `schedule`
//! decides when a task starts and when it ends, `start` and `end` do so on the `engine`, `files` opens
//! what it has written, meanwhile too, `figures` logs what signals ask for, and `retention` decides when files go. `task_table` is what
//! the memory holds of all this; everything else is in the store, or on its way there in `unstored`. `takeover` is what a start
//! does about the last daemon's tasks.

mod create;
mod end;
mod engine;
mod figures;
mod files;
mod removal;
mod retention;
mod schedule;
mod start;
mod takeover;
mod task_table;
#[cfg(test)]
mod tests;
mod unstored;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use capture_task::task::{State, StopReason, TaskRecord};
use serde::Serialize;
use tokio::{sync::Notify, task::JoinHandle};
use utoipa::ToSchema;

pub use self::{
    create::{CreateError, Created},
    files::OpenFile,
};
use self::{
    end::TaskOutcome,
    engine::LazyEngine,
    retention::{ParsedTask, Retention},
    task_table::TaskTable,
    unstored::Unstored,
};
use super::{
    access::{Actor, Right},
    clock::Clock,
    config::{Config, LiveConfig},
    events::{EventStream, Events},
    storage::Storage,
    store::{
        Action, AuditEvent, Cursor, Deletion, FILE_BYTES, Failure, Outcome, PAGE_BYTES, Store,
        StoredTask, TaskFilter, TaskId, TaskTotals,
    },
};
use crate::error::{Error, Result};

/// How old the figures of running tasks may be that a list shows: however many ask, the kernel's tables
/// are read ten times a second at most.
const FRESH: Duration = Duration::from_millis(100);

/// How long the removal of a running task waits for its end.
const FORCED_END: Duration = Duration::from_secs(60);

/// The tasks of a daemon; clones are the same.
#[derive(Clone)]
pub struct Tasks(Arc<Inner>);

/// What all tasks share.
struct Inner {
    store: Store,
    storage: Storage,
    events: Events,
    clock: Arc<dyn Clock>,
    engine: LazyEngine,
    config: Arc<LiveConfig>,
    table: Mutex<TaskTable>,
    retention: Mutex<Retention>,
    unstored: Mutex<Unstored>,
    /// Held while a task is created.
    creating: Mutex<()>,
    figures: Mutex<Option<(Instant, Arc<Figures>)>>,
    /// Wakes the scheduler.
    wake: Notify,
    /// Counts its rounds.
    pulse: AtomicU64,
    scheduler: Mutex<Option<JoinHandle<()>>>,
}

/// The figures of each running task.
type Figures = HashMap<TaskId, task_table::Figures>;

/// A page of tasks, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TaskPage {
    /// The tasks.
    pub tasks: Vec<TaskRecord>,
    /// Where the next page begins, if there is one.
    #[schema(required = true, pattern = "^t[0-7][0-9a-f]{15}$")]
    pub next_cursor: Option<String>,
}

impl TaskPage {
    /// Tasks with their places in the list, and where the next page begins behind the last of them. The store has
    /// ended the page by what it has itself; the files of running tasks come here, and may end it sooner.
    fn of(shown: impl Iterator<Item = (Cursor, TaskRecord)>, mut next: Option<Cursor>) -> Self {
        let (mut tasks, mut files, mut last) = (Vec::new(), 0, None);
        for (cursor, record) in shown {
            if files * FILE_BYTES >= PAGE_BYTES {
                next = last;
                break;
            }
            last = Some(cursor);
            files += record.files.len();
            tasks.push(record);
        }
        Self {
            tasks,
            next_cursor: next.map(|cursor| cursor.to_string()),
        }
    }
}

/// Why something was not done to a task.
#[derive(Debug)]
pub enum TaskError {
    /// There is no such task, or no such file of it.
    NotFound,
    /// The actor may not.
    Forbidden,
    /// The task must have ended first.
    Unfinished(State),
    /// The time of its files is over, and they are removed.
    FilesRemoved,
    /// No space is left for it.
    NoSpace(Error),
    /// Something failed.
    Broken(Error),
}

impl From<Error> for TaskError {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

impl From<Failure> for TaskError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoSpace(error) => Self::NoSpace(error),
            Failure::Refused(error) | Failure::Broken(error) => Self::Broken(error),
        }
    }
}

impl TaskError {
    /// The word for it in the audit log.
    fn outcome(&self) -> Outcome<'_> {
        match self {
            Self::NotFound => Outcome::Refused("not found"),
            Self::Forbidden => Outcome::Refused("not allowed"),
            Self::Unfinished(_) => Outcome::Refused("not ended"),
            Self::FilesRemoved => Outcome::Refused("files removed"),
            Self::NoSpace(error) | Self::Broken(error) => Outcome::Failed(&error.message),
        }
    }
}

impl Tasks {
    /// Takes over the tasks of the store: recovers what those have left that the last daemon did not end,
    /// and begins to run those that wait. Waits for the disk, and must be called within a runtime.
    ///
    /// # Errors
    /// The store or the captures cannot be read, or written.
    pub fn start(
        config: Arc<LiveConfig>,
        store: Store,
        storage: Storage,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        storage.tidy(|id| Ok(store.task(id)?.is_some()))?;
        let inner = Arc::new(Inner {
            table: Mutex::default(),
            unstored: Mutex::default(),
            engine: LazyEngine::new(config.get().capture.ring_size),
            store,
            storage,
            events: Events::new(ulid::Ulid::new().to_string()),
            retention: Mutex::new(Retention::new(ParsedTask::of(&*clock))),
            clock,
            config,
            creating: Mutex::new(()),
            figures: Mutex::new(None),
            wake: Notify::new(),
            pulse: AtomicU64::new(0),
            scheduler: Mutex::new(None),
        });
        inner.take_over()?;
        let scheduler = tokio::spawn(schedule::run(Arc::clone(&inner)));
        *lock(&inner.scheduler) = Some(scheduler);
        Ok(Self(inner))
    }

    /// Heeds a configuration that was read again.
    pub fn reconfigured(&self) {
        let budget = self.0.config().limits.disk_budget;
        self.0.storage.space().set_limit(budget);
        self.0.wake.notify_one();
    }

    /// Changes from now on, or from behind the event with the identifier `last`.
    pub fn events(&self, last: Option<&str>) -> EventStream {
        self.0.events.listen(last)
    }

    /// A number that grows while tasks are taken care of, at least every other second.
    pub fn pulse(&self) -> u64 {
        self.0.pulse.load(Ordering::Relaxed)
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// All tasks together.
    ///
    /// # Errors
    /// The store's.
    pub fn totals(&self) -> Result<TaskTotals> {
        self.0.store.totals(&self.0.known())
    }

    /// Bytes of all captures.
    pub fn stored_bytes(&self) -> u64 {
        self.0.storage.space().used()
    }

    /// What the engine counted since its start, where it has started. Waits for the kernel.
    pub fn engine_stats(&self) -> Option<capture_engine::EngineStats> {
        self.0.engine.get().map(|engine| engine.totals())
    }

    /// A task as it is now.
    ///
    /// # Errors
    /// [`TaskError::NotFound`], or the store's.
    pub async fn get(&self, id: TaskId) -> Result<TaskRecord, TaskError> {
        self.blocking(move |inner| {
            let stored = inner.stored(&id)?;
            Ok(inner.shown(stored))
        })
        .await
    }

    /// A page of tasks.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, filter: TaskFilter) -> Result<TaskPage, TaskError> {
        self.blocking(move |inner| {
            let page = inner.store.tasks(&filter, &inner.known())?;
            let tasks = page.tasks.into_iter();
            let shown = tasks.filter_map(|task| {
                let cursor = task.cursor;
                Some((cursor, inner.shown(inner.as_known(task)?)))
            });
            Ok(TaskPage::of(shown, page.next_cursor))
        })
        .await
    }

    /// Asks for the end of a task, and gives the task as it is then; one that has ended stays as it is.
    ///
    /// # Errors
    /// [`TaskError::NotFound`], [`TaskError::Forbidden`], or the store's.
    pub async fn stop(&self, id: TaskId, actor: &Actor) -> Result<TaskRecord, TaskError> {
        let actor = actor.clone();
        self.blocking(move |inner| {
            let stopped = inner.stop(&id, &actor);
            let nothing_done = matches!(stopped, Ok((_, false)));
            if !nothing_done {
                let refused = stopped.as_ref().err();
                inner.audit(&actor, Action::TaskStop, &id.to_string(), refused)?;
            }
            stopped.map(|(record, _)| record)
        })
        .await
    }

    /// Removes a task and its files. With `force` a running one is ended first.
    ///
    /// # Errors
    /// [`TaskError::NotFound`], [`TaskError::Forbidden`], [`TaskError::Unfinished`], or the store's.
    pub async fn delete(&self, id: TaskId, force: bool, actor: &Actor) -> Result<(), TaskError> {
        let owned = actor.clone();
        let refused = self
            .blocking(move |inner| {
                let allowed = inner.may_delete(&id, force, &owned);
                if let Err(error) = &allowed {
                    let object = id.to_string();
                    inner.audit(&owned, Action::TaskDelete, &object, Some(error))?;
                }
                allowed
            })
            .await;
        refused?;
        let ending = self.0.table().end(&id, StopReason::User);
        if let Some(mut ended) = ending {
            self.0.wake.notify_one();
            // The sender goes with the task's place in memory, which is the end.
            let ended = async { while ended.changed().await.is_ok() {} };
            if tokio::time::timeout(FORCED_END, ended).await.is_err() {
                return Err(TaskError::Unfinished(State::Stopping));
            }
        }
        let actor = actor.clone();
        self.blocking(move |inner| inner.delete(&id, &actor)).await
    }

    /// Opens a file of a task. Whoever then sends any of it says so by [`Tasks::downloaded`] first.
    ///
    /// # Errors
    /// [`TaskError::NotFound`], [`TaskError::Forbidden`], [`TaskError::FilesRemoved`], or the file system's.
    pub async fn open_file(
        &self,
        id: TaskId,
        index: u64,
        actor: &Actor,
    ) -> Result<OpenFile, TaskError> {
        let actor = actor.clone();
        self.blocking(move |inner| {
            let opened = inner.open_file(&id, index, &actor);
            if let Err(error) = &opened {
                let object = format!("{id}/{index}");
                inner.audit(&actor, Action::FileDownload, &object, Some(error))?;
            }
            opened
        })
        .await
    }

    /// Notes that an actor gets a file of a task, or a part of one.
    ///
    /// # Errors
    /// It cannot be noted, and must then not be done.
    pub async fn downloaded(&self, id: TaskId, index: u64, actor: &Actor) -> Result<()> {
        let actor = actor.clone();
        self.blocking(move |inner| {
            let object = format!("{id}/{index}");
            inner.audit(&actor, Action::FileDownload, &object, None)
        })
        .await
    }

    /// Writes a line about something other than a task to the audit log.
    pub async fn note(&self, actor: &Actor, action: Action, outcome: Result<(), String>) {
        let actor = actor.clone();
        let noted = self.blocking(move |inner| {
            let outcome = match &outcome {
                Ok(()) => Outcome::Done,
                Err(why) => Outcome::Failed(why),
            };
            inner.write_audit(&actor, action, "config.toml", outcome)
        });
        if let Err::<(), Error>(error) = noted.await {
            log::error!("{error}");
        }
    }

    /// Refuses new tasks from now on, and begins to end all that run; those that wait go on waiting.
    pub fn close(&self) {
        self.0.table().close();
        self.0.wake.notify_one();
    }

    /// Ends all tasks in order, and the events with them. Gives what had not ended at the deadline, each
    /// with what it hangs in.
    pub async fn shutdown(self, deadline: Duration) -> Vec<String> {
        self.close();
        let scheduler = lock(&self.0.scheduler).take();
        let hanging = match scheduler {
            Some(scheduler) => match tokio::time::timeout(deadline, scheduler).await {
                Ok(Ok(())) => Vec::new(),
                Ok(Err(error)) => vec![format!("the scheduler of tasks: {error}")],
                Err(_) => self.hanging(),
            },
            None => Vec::new(),
        };
        self.0.events.close();
        hanging
    }

    /// The tasks that have begun and not ended, each with what it is at.
    pub fn hanging(&self) -> Vec<String> {
        self.0.table().hanging()
    }

    /// Runs what waits for disk or kernel on a thread that may.
    async fn blocking<T, E>(
        &self,
        work: impl FnOnce(&Arc<Inner>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let inner = Arc::clone(&self.0);
        match tokio::task::spawn_blocking(move || work(&inner)).await {
            Ok(answer) => answer,
            Err(error) => Err(Error::runtime(format!("the daemon is ending: {error}")).into()),
        }
    }
}

impl Inner {
    fn table(&self) -> MutexGuard<'_, TaskTable> {
        lock(&self.table)
    }

    fn retention(&self) -> MutexGuard<'_, Retention> {
        lock(&self.retention)
    }

    fn config(&self) -> Arc<Config> {
        self.config.get()
    }

    fn stored(&self, id: &TaskId) -> Result<StoredTask, TaskError> {
        let stored = self.store.task(id)?;
        stored
            .and_then(|stored| self.as_known(stored))
            .ok_or(TaskError::NotFound)
    }

    /// The record of a task, with the figures of the moment while it runs.
    fn shown(&self, stored: StoredTask) -> TaskRecord {
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
        record
    }

    /// The figures of all running tasks, at most [`FRESH`] old.
    fn figures(&self) -> Arc<Figures> {
        let mut known = lock(&self.figures);
        if let Some((read, figures)) = &*known
            && read.elapsed() < FRESH
        {
            return Arc::clone(figures);
        }
        let mut figures = Figures::new();
        if let Some(engine) = self.engine.get() {
            let tasks = self.table().on_engine();
            for (id, task, last) in tasks {
                if let Some(now) = files::figures(engine, task).or(last) {
                    figures.insert(id, now);
                }
            }
        }
        let figures = Arc::new(figures);
        *known = Some((Instant::now(), Arc::clone(&figures)));
        figures
    }

    /// Gives the task, and whether this has changed anything: it may be ending already, or have ended.
    fn stop(&self, id: &TaskId, actor: &Actor) -> Result<(TaskRecord, bool), TaskError> {
        if !actor.may(Right::Stop) {
            return Err(TaskError::Forbidden);
        }
        let stored = self.stored(id)?;
        let waited = self.table().take_waiting(id);
        let mut is_done = true;
        if waited.is_some() {
            self.finish(id, TaskOutcome::before_start(StopReason::User, None));
        } else {
            let mut table = self.table();
            is_done = table.stop_of(id).is_none();
            if table.end(id, StopReason::User).is_none() {
                return Ok((stored.record, false));
            }
            drop(table);
            self.wake.notify_one();
        }
        Ok((self.shown(self.stored(id)?), is_done))
    }

    fn may_delete(&self, id: &TaskId, force: bool, actor: &Actor) -> Result<(), TaskError> {
        let StoredTask {
            account, record, ..
        } = self.stored_for(id, actor)?;
        if !actor.may_delete(&account) {
            return Err(TaskError::Forbidden);
        }
        // One whose end is in the record already has only its place in memory to give up.
        let runs = matches!(record.state, State::Running | State::Stopping);
        if runs && self.table().is_active(id) && !force {
            return Err(TaskError::Unfinished(record.state));
        }
        Ok(())
    }

    /// A task for somebody who may delete something at all; others do not learn whether it is there.
    fn stored_for(&self, id: &TaskId, actor: &Actor) -> Result<StoredTask, TaskError> {
        if actor.may(Right::DeleteOwn) {
            self.stored(id)
        } else {
            Err(TaskError::Forbidden)
        }
    }

    fn delete(&self, id: &TaskId, actor: &Actor) -> Result<(), TaskError> {
        let waiting = self.table().take_waiting(id);
        let deleted = self.storage.hide(id).map_err(TaskError::from);
        let deleted = deleted.and_then(|()| {
            let has_ended = self.unstored().has(id);
            let deletion = match has_ended {
                true => self.store.delete_ended(id, actor),
                false => self.store.delete(id, actor),
            };
            let deletion = match deletion {
                Err(Failure::NoSpace(error)) => self.delete_files_first(id, actor, error)?,
                deletion => deletion?,
            };
            match deletion {
                Deletion::Deleted => Ok(()),
                Deletion::NotFound => Err(TaskError::NotFound),
                Deletion::Unfinished => Err(TaskError::Unfinished(State::Running)),
            }
        });
        match deleted {
            Ok(()) => {
                self.retention().gone(id);
                self.events.deleted(&id.to_string());
                // The task is gone, whatever becomes of its files: the next start finds them.
                if let Err(error) = self.storage.purge(id) {
                    log::error!("{error}");
                }
                // Unless its record is on its way.
                if self.store.task(id).is_ok_and(|stored| stored.is_none()) {
                    self.forget(id);
                }
                self.store.replenish();
                Ok(())
            }
            Err(TaskError::NotFound) => {
                self.storage.purge(id)?;
                Err(TaskError::NotFound)
            }
            Err(error) => {
                if let Err(error) = self.storage.restore(id) {
                    log::error!(
                        "the files of task {id} are put aside and cannot be put back: {error}"
                    );
                }
                if let Some(waiting) = waiting {
                    self.table().put_back(waiting);
                }
                Err(error)
            }
        }
    }

    fn audit(
        &self,
        actor: &Actor,
        action: Action,
        object: &str,
        refused: Option<&TaskError>,
    ) -> Result<()> {
        let outcome = refused.map_or(Outcome::Done, TaskError::outcome);
        self.write_audit(actor, action, object, outcome)
    }

    fn write_audit(
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

    /// Tells everybody about the state of a task.
    fn announce(&self, id: &TaskId) {
        match self.stored(id) {
            Ok(stored) => self.events.task(&self.shown(stored)),
            Err(TaskError::Broken(error)) => log::error!("{error}"),
            Err(_) => {}
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
