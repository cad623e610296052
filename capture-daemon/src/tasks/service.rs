//! The interface of the tasks for the API and for signals. Blocking work runs on a thread for it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use capture_task::task::{State, StopReason, TaskRecord};
use serde::Serialize;
use tokio::sync::Notify;
use utoipa::ToSchema;

use super::{
    engine::LazyEngine,
    error::TaskError,
    files::OpenFile,
    inner::{Inner, lock},
    retention::{ClockReading, Retention},
    schedule,
};
use crate::{
    access::Actor,
    clock::Clock,
    config::LiveConfig,
    error::{Error, Result},
    events::{EventStream, Events},
    storage::Storage,
    store::{
        Action, Cursor, FILE_BYTES, Outcome, PAGE_BYTES, Store, TaskFilter, TaskId, TaskTotals,
    },
};

/// How long the removal of a running task waits for its end.
const FORCED_END_TIMEOUT: Duration = Duration::from_secs(60);

/// The tasks of a daemon; clones are the same.
#[derive(Clone)]
pub(crate) struct Tasks(pub(super) Arc<Inner>);

/// A page of tasks, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TaskPage {
    /// The tasks.
    pub(crate) tasks: Vec<TaskRecord>,
    /// Where the next page begins, if there is one.
    #[schema(required = true, pattern = "^t[0-7][0-9a-f]{15}$")]
    pub(crate) next_cursor: Option<String>,
}

impl TaskPage {
    /// Tasks with their places in the list, and where the next page begins behind the last of them. The store has
    /// ended the page by what it has itself; the files of running tasks come here, and may end it sooner.
    pub(super) fn of(
        shown: impl Iterator<Item = (Cursor, TaskRecord)>,
        mut next: Option<Cursor>,
    ) -> Self {
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

impl Tasks {
    /// Takes over the tasks of the store: recovers what those have left that the last daemon did not end,
    /// and begins to run those that wait. Waits for the disk, and must be called within a runtime.
    pub(crate) fn start(
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
            retention: Mutex::new(Retention::new(ClockReading::of(&*clock))),
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
    pub(crate) fn reconfigured(&self) {
        let budget = self.0.config().limits.disk_budget;
        self.0.storage.space().set_limit(budget);
        self.0.wake.notify_one();
    }

    /// Changes from now on, or from behind the event with the identifier `last`.
    pub(crate) fn events(&self, last: Option<&str>) -> EventStream {
        self.0.events.listen(last)
    }

    /// A number that grows while tasks are taken care of, at least every other second.
    pub(crate) fn pulse(&self) -> u64 {
        self.0.pulse.load(Ordering::Relaxed)
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    /// All tasks together.
    pub(crate) fn totals(&self) -> Result<TaskTotals> {
        self.0.store.totals(&self.0.overlay())
    }

    /// Bytes of all captures.
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.0.storage.space().used()
    }

    /// What the engine counted since its start, where it has started. Waits for the kernel.
    pub(crate) fn engine_stats(&self) -> Option<capture_engine::EngineStats> {
        self.0.engine.get().map(|engine| engine.totals())
    }

    /// A task as it is now.
    pub(crate) async fn get(&self, id: TaskId) -> Result<TaskRecord, TaskError> {
        self.blocking(move |inner| {
            let stored = inner.stored(&id)?;
            Ok(inner.shown(stored))
        })
        .await
    }

    /// A page of tasks.
    pub(crate) async fn list(&self, filter: TaskFilter) -> Result<TaskPage, TaskError> {
        self.blocking(move |inner| {
            let page = inner.store.tasks(&filter, &inner.overlay())?;
            let tasks = page.tasks.into_iter();
            let shown = tasks.filter_map(|task| {
                let cursor = task.cursor;
                Some((cursor, inner.shown(inner.overlaid(task)?)))
            });
            Ok(TaskPage::of(shown, page.next_cursor))
        })
        .await
    }

    /// Asks for the end of a task, and gives the task as it is then; one that has ended stays as it is.
    pub(crate) async fn stop(&self, id: TaskId, actor: &Actor) -> Result<TaskRecord, TaskError> {
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
    pub(crate) async fn delete(
        &self,
        id: TaskId,
        force: bool,
        actor: &Actor,
    ) -> Result<(), TaskError> {
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
            if tokio::time::timeout(FORCED_END_TIMEOUT, ended)
                .await
                .is_err()
            {
                return Err(TaskError::Unfinished(State::Stopping));
            }
        }
        let actor = actor.clone();
        self.blocking(move |inner| inner.delete(&id, &actor)).await
    }

    /// Opens a file of a task. Whoever then sends any of it says so by [`Tasks::downloaded`] first.
    pub(crate) async fn open_file(
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

    /// Notes that an actor gets a file of a task, or a part of one. If that fails, nothing may be sent.
    pub(crate) async fn downloaded(&self, id: TaskId, index: u64, actor: &Actor) -> Result<()> {
        let actor = actor.clone();
        self.blocking(move |inner| {
            let object = format!("{id}/{index}");
            inner.audit(&actor, Action::FileDownload, &object, None)
        })
        .await
    }

    /// Writes a line about something other than a task to the audit log.
    pub(crate) async fn note(&self, actor: &Actor, action: Action, outcome: Result<(), String>) {
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
    pub(crate) fn close(&self) {
        self.0.table().close();
        self.0.wake.notify_one();
    }

    /// Ends all tasks in order, and the events with them. Gives what had not ended at the deadline, each
    /// with what it hangs in.
    pub(crate) async fn shutdown(self, deadline: Duration) -> Vec<String> {
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
    pub(crate) fn hanging(&self) -> Vec<String> {
        self.0.table().hanging()
    }

    /// Runs what waits for disk or kernel on a thread that may.
    pub(super) async fn blocking<T, E>(
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
