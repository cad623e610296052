//! The interface of the tasks for the API and for signals. Blocking work runs on a thread for it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, Once,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use capture_engine::{
    doctor::{self, Report},
    loader::StartLoader,
};
use capture_file::DiskSpace;
use capture_inspector::view::ViewRequest;
use capture_store::{
    Action, Cursor, FILE_BYTES, Note, Outcome, PAGE_BYTES, Store, TaskFilter, TaskId, TaskTotals,
    access::{Account, Actor},
    clock::Clock,
};
use capture_task::task::{State, StopReason, TaskRecord};
use serde::Serialize;
use serde_json::{Value, value::RawValue};
use tokio::{
    sync::{Notify, oneshot},
    task::spawn_blocking,
    time::timeout,
};
use utoipa::ToSchema;

use super::{
    analyze,
    engine::LazyEngine,
    error::TaskError,
    files::OpenFile,
    follow::follow,
    inner::{Inner, lock},
    look,
    occupancy::Occupancy,
    retention::{ClockReading, Retention},
    schedule,
    tally::{Tally, TaskCounts},
    wireshark,
};
use crate::{
    analyses::AnalysisFigures,
    config::LiveConfig,
    error::{Error, Result},
    events::{EventStream, Events},
    followers::{Followers, PacketStream},
    storage::Storage,
    views::Viewed,
};

/// How long the removal of a running task waits for its end.
const FORCED_END_TIMEOUT: Duration = Duration::from_secs(60);

/// How long analyses may take to end, which are stopped at once.
const ANALYSTS_END_TIMEOUT: Duration = Duration::from_secs(5);

/// The tasks of a daemon; clones are the same.
#[derive(Clone)]
pub struct Tasks(pub(super) Arc<Inner>);

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
    /// and begins to run those that wait. Waits for the disk, and must be called within a runtime. A process that cannot load
    /// the kernel programs has a loader.
    pub fn start(
        config: Arc<LiveConfig>,
        store: Store,
        storage: Storage,
        clock: Arc<dyn Clock>,
        loader: Option<StartLoader>,
    ) -> Result<Self> {
        storage.tidy(|id| Ok(store.task(id)?.is_some()))?;
        let inner = Arc::new(Inner {
            table: Mutex::default(),
            unstored: Mutex::default(),
            engine: LazyEngine::new(config.get().capture.ring_size, loader),
            store,
            storage,
            events: Events::new(ulid::Ulid::new().to_string()),
            retention: Mutex::new(Retention::new(ClockReading::of(&*clock))),
            clock,
            config,
            tally: Tally::default(),
            creating: Mutex::new(()),
            figures: Mutex::new(None),
            wake: Notify::new(),
            pulse: AtomicU64::new(0),
            scheduler: Mutex::new(None),
            analyses: Arc::default(),
            analysts: Mutex::default(),
            views: Arc::default(),
            followers: Followers::default(),
            wireshark: wireshark::turns(),
            confinement: Once::new(),
            page: Mutex::default(),
            probes: Mutex::default(),
            copies: AtomicUsize::new(0),
            sharing: Mutex::default(),
        });
        inner.take_over()?;
        inner.note_missing_files()?;
        inner.evict_on_shortage();
        let scheduler = tokio::spawn(schedule::run(Arc::clone(&inner)));
        *lock(&inner.scheduler) = Some(scheduler);
        let analysts = analyze::start(&inner)
            .map_err(|error| Error::runtime(format!("starting analyses: {error}")))?;
        *lock(&inner.analysts) = analysts;
        Ok(Self(inner))
    }

    /// Whether this machine can capture. Waits for the kernel.
    pub fn examine(&self) -> Report {
        doctor::examine_own(self.0.engine.loader())
    }

    /// Heeds a configuration that was read again.
    pub fn reconfigured(&self) {
        let config = self.0.config();
        let space = self.0.storage.space();
        space.set_limit(config.limits.disk_budget);
        space.set_keep_free(config.capture.keep_free);
        self.0.set_eviction();
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
    pub fn totals(&self) -> Result<TaskTotals> {
        Ok(self.0.store.totals(&self.0.overlay())?)
    }

    /// What became of tasks since the start.
    pub fn counts(&self) -> TaskCounts {
        self.0.tally.counts()
    }

    /// How long the task waits that has waited longest since its time came.
    pub fn longest_wait(&self) -> Duration {
        self.0.table().longest_wait(self.0.clock.now())
    }

    /// The limit of the bytes of all captures.
    pub fn disk_budget(&self) -> u64 {
        self.0.storage.space().limit()
    }

    /// The file system of the captures, where it can be asked.
    pub fn disk(&self) -> Option<DiskSpace> {
        self.0.storage.space().disk()
    }

    /// Writes to the directory of captures, and so finds out whether it takes anything now. Waits for the disk.
    ///
    /// # Errors
    /// A sentence that says why not.
    pub fn test_captures(&self) -> Result<()> {
        self.0.storage.test_write()
    }

    /// Bytes of all captures.
    pub fn stored_bytes(&self) -> u64 {
        self.0.storage.space().used()
    }

    /// Whether captures are analyzed.
    pub fn has_analysis(&self) -> bool {
        self.0.config().analysis.enabled
    }

    /// What is on the disk, and what may come.
    pub async fn occupancy(&self) -> Result<Occupancy> {
        self.blocking(|inner| inner.occupancy()).await
    }

    /// What the engine counted since its start, where it has started. Waits for the kernel.
    pub fn engine_stats(&self) -> Option<capture_engine::EngineStats> {
        self.0.engine.get().map(|engine| engine.totals())
    }

    /// Why interfaces cannot be captured on by the default hook now, those that cannot by index.
    pub async fn conflicts(&self) -> Result<BTreeMap<u32, String>> {
        self.blocking(|inner| {
            let engine = inner.engine.get().map(|engine| &**engine);
            let conflicts = capture_engine::conflicts(engine)?.into_iter();
            let words = conflicts.map(|(ifindex, error)| (ifindex, Error::from(error).message));
            Ok(words.collect())
        })
        .await
    }

    /// The account whose tasks alone an actor sees; none for one who sees all.
    pub fn scope(&self, actor: &Actor) -> Option<Account> {
        self.0.config().access.scope(actor)
    }

    /// Whose a task is.
    pub async fn owner(&self, id: TaskId) -> Result<Account, TaskError> {
        self.blocking(move |inner| Ok(inner.stored(&id)?.account))
            .await
    }

    /// A task as it is now.
    pub async fn get(&self, id: TaskId) -> Result<TaskRecord, TaskError> {
        self.blocking(move |inner| {
            let stored = inner.stored(&id)?;
            Ok(inner.shown(stored))
        })
        .await
    }

    /// A page of tasks.
    pub async fn list(&self, filter: TaskFilter) -> Result<TaskPage, TaskError> {
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

    /// What was found in the packets of a task, so far or at the end: JSON.
    pub async fn findings(&self, id: TaskId) -> Result<Arc<str>, TaskError> {
        self.blocking(move |inner| inner.findings(&id)).await
    }

    /// What was found in the files of a task, as a page of HTML, and the task's name. The audit log tells of it.
    pub async fn report_page(
        &self,
        id: TaskId,
        actor: &Actor,
    ) -> Result<(String, String), TaskError> {
        let actor = actor.clone();
        let (done, made) = oneshot::channel();
        let inner = Arc::clone(&self.0);
        let make = move || {
            let page = inner.report_page(&id, &actor);
            let refused = page.as_ref().err();
            let noted = inner.audit(&actor, Action::ReportDownload, &id.to_string(), refused);
            // Whoever asked may be gone.
            let _ = done.send(noted.map_err(TaskError::from).and(page));
        };
        // The inspector ends with the thread that starts it, which so is one for it alone.
        thread::Builder::new()
            .name("report".to_owned())
            .spawn(make)
            .map_err(|error| Error::runtime(format!("making a report: {error}")))?;
        let made = made.await;
        made.unwrap_or_else(|_| Err(Error::runtime("the report was not made").into()))
    }

    /// Asks about the packets of a task: JSON, of the type that the question names. The audit log tells who looks, and by
    /// which filter, once.
    pub async fn view(
        &self,
        id: TaskId,
        request: ViewRequest,
        actor: &Actor,
    ) -> Result<Box<RawValue>, TaskError> {
        let (actor, filter) = (actor.clone(), request.filter.clone());
        self.blocking(move |inner| inner.may_look(&id, &actor, &filter))
            .await?;
        let answer = look::ask(&self.0, Viewed::files(id), move |inspector| {
            inspector.view(request)
        });
        let answer = answer.await?;
        answer.map_err(TaskError::View)
    }

    /// All of a packet, taken apart by Wireshark.
    pub async fn packet_by_wireshark(
        &self,
        id: TaskId,
        file: Option<u64>,
        number: u64,
        actor: &Actor,
    ) -> Result<Value, TaskError> {
        let actor = actor.clone();
        self.blocking(move |inner| inner.may_look(&id, &actor, ""))
            .await?;
        wireshark::show(&self.0, id, file, number).await
    }

    /// Whether packets can be taken apart by Wireshark here. May start it, to ask for its version.
    pub async fn has_wireshark(&self) -> bool {
        let has = self.blocking(|inner| Ok::<_, Error>(inner.has_wireshark()));
        has.await.unwrap_or_default()
    }

    /// Follows the packets of a task that pass a filter. Must be called within a runtime.
    pub async fn follow(
        &self,
        id: TaskId,
        filter: String,
        actor: &Actor,
    ) -> Result<PacketStream, TaskError> {
        let (actor, asked) = (actor.clone(), filter.clone());
        self.blocking(move |inner| inner.may_look(&id, &actor, &asked))
            .await?;
        follow(&self.0, id, &filter)
    }

    /// Notes in the audit log that somebody has the bytes of a stream, or an export of packets.
    pub async fn note_look(
        &self,
        id: TaskId,
        action: Action,
        object: String,
        filter: &str,
        actor: &Actor,
    ) -> Result<TaskRecord, TaskError> {
        let (actor, filter) = (actor.clone(), filter.to_owned());
        self.blocking(move |inner| {
            inner.may_look(&id, &actor, &filter)?;
            let record = inner.shown(inner.stored(&id)?);
            inner.audit(&actor, action, &object, None)?;
            Ok(record)
        })
        .await
    }

    /// The stream of a packet: JSON. The audit log tells who follows which one, once.
    pub async fn stream(
        &self,
        id: TaskId,
        number: u64,
        request: ViewRequest,
        actor: &Actor,
    ) -> Result<Box<RawValue>, TaskError> {
        let who = actor.clone();
        self.blocking(move |inner| inner.may_follow_stream(&id, number, &who))
            .await?;
        self.view(id, request, actor).await
    }

    /// Keeps a note about a packet; gives nothing where it says nothing, and so is none.
    pub async fn put_note(
        &self,
        id: TaskId,
        number: u64,
        marked: bool,
        comment: Option<String>,
        actor: &Actor,
    ) -> Result<Option<Note>, TaskError> {
        let actor = actor.clone();
        self.blocking(move |inner| inner.put_note(&id, number, marked, comment.as_deref(), &actor))
            .await
    }

    /// The notes about packets of a task.
    pub async fn notes(&self, id: TaskId, actor: &Actor) -> Result<Vec<Note>, TaskError> {
        let actor = actor.clone();
        self.blocking(move |inner| inner.notes(&id, &actor)).await
    }

    /// What was found in the files of a task, and what differs from those of another one: JSON.
    pub async fn compare(
        &self,
        task: TaskId,
        baseline: TaskId,
        actor: &Actor,
    ) -> Result<Box<RawValue>, TaskError> {
        let actor = actor.clone();
        let (done, made) = oneshot::channel();
        let inner = Arc::clone(&self.0);
        let make = move || {
            let compared = inner.compare(&task, &baseline, &actor);
            let refused = compared.as_ref().err();
            let object = format!("{task} with {baseline}");
            let noted = inner.audit(&actor, Action::TaskCompare, &object, refused);
            // Whoever asked may be gone.
            let _ = done.send(noted.map_err(TaskError::from).and(compared));
        };
        // The inspector ends with the thread that starts it, which so is one for it alone.
        thread::Builder::new()
            .name("comparison".to_owned())
            .spawn(make)
            .map_err(|error| Error::runtime(format!("comparing tasks: {error}")))?;
        let made = made.await;
        made.unwrap_or_else(|_| Err(Error::runtime("the tasks were not compared").into()))
    }

    /// The analyses since the start.
    pub fn analysis_figures(&self) -> AnalysisFigures {
        self.0.analyses.figures()
    }

    /// Asks for the end of a task, and gives the task as it is then; one that has ended stays as it is.
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
        let has_ended = self.force_end(id, actor).await?;
        let actor = actor.clone();
        self.blocking(move |inner| {
            let deleted = match has_ended {
                true => inner.delete(&id, &actor),
                false => Err(TaskError::Unfinished(State::Stopping)),
            };
            if let Err(error) = &deleted {
                inner.audit(&actor, Action::TaskDelete, &id.to_string(), Some(error))?;
            }
            deleted
        })
        .await
    }

    /// Ends a task for its removal, and waits for the end a while. Whether it has come.
    async fn force_end(&self, id: TaskId, actor: &Actor) -> Result<bool, TaskError> {
        if self.0.table().is_interrupted(&id) {
            let actor = actor.clone();
            self.blocking(move |inner| inner.stop(&id, &actor)).await?;
        }
        if !self.0.table().is_active(&id) {
            return Ok(true);
        }
        // Before it is done: whoever asks may not wait for what comes of it.
        let actor = actor.clone();
        self.blocking(move |inner| inner.audit(&actor, Action::TaskStop, &id.to_string(), None))
            .await?;
        let ending = self.0.table().end(&id, StopReason::User);
        let Some(mut ended) = ending else {
            return Ok(true);
        };
        self.0.wake.notify_one();
        // The sender goes with the task's place in memory, which is the end.
        let ended = async { while ended.changed().await.is_ok() {} };
        Ok(timeout(FORCED_END_TIMEOUT, ended).await.is_ok())
    }

    /// Opens a file of a task. Whoever then sends any of it says so by [`Tasks::downloaded`] first.
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

    /// Notes that an actor gets a file of a task, or a part of one. If that fails, nothing may be sent.
    pub async fn downloaded(&self, id: TaskId, index: u64, actor: &Actor) -> Result<()> {
        let actor = actor.clone();
        self.blocking(move |inner| {
            let object = format!("{id}/{index}");
            inner.audit(&actor, Action::FileDownload, &object, None)?;
            inner.tally.downloaded();
            Ok(())
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
        self.0.analyses.close();
        self.0.views.close();
        let scheduler = lock(&self.0.scheduler).take();
        let mut hanging = match scheduler {
            Some(scheduler) => match timeout(deadline, scheduler).await {
                Ok(Ok(())) => Vec::new(),
                Ok(Err(error)) => vec![format!("the scheduler of tasks: {error}")],
                Err(_) => self.hanging(),
            },
            None => Vec::new(),
        };
        self.0.events.close();
        self.0.followers.close();
        let mut analysts = std::mem::take(&mut *lock(&self.0.analysts));
        analysts.extend(self.0.views.threads());
        let joined = spawn_blocking(move || analyze::join(analysts));
        if !matches!(timeout(ANALYSTS_END_TIMEOUT, joined).await, Ok(Ok(()))) {
            hanging.push("an analysis, or a view of packets".to_owned());
        }
        hanging
    }

    /// The tasks that have begun and not ended, each with what it is at.
    pub fn hanging(&self) -> Vec<String> {
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
        match spawn_blocking(move || work(&inner)).await {
            Ok(answer) => answer,
            Err(error) => Err(Error::runtime(format!("the daemon is ending: {error}")).into()),
        }
    }
}
