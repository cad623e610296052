//! The scheduler, one asynchronous task: starts due tasks while there is room, ends those that have a reason to,
//! removes expired files, publishes figures. Blocking work runs in jobs, all of which it awaits.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use capture_store::{Action, Change, Outcome, TaskId, access::Actor};
use capture_task::task::Counters;
use serde::Serialize;
use tokio::{
    task::{AbortHandle, JoinError, JoinSet},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::{
    inner::Inner,
    retention::{ClockReading, RetentionDecision},
};
use crate::error::Result;

/// Time between two looks at what nobody wakes the scheduler for, and between figures.
const TICK: Duration = Duration::from_secs(1);

/// Ticks between two looks for files whose time is over.
const SWEEP_TICKS: u32 = 30;

/// The same for copies that no share needs. The first look is at the start, as a kill may have left some.
const COPIES_TICKS: u32 = 20 * SWEEP_TICKS;

/// Runs until the daemon ends and every task with it.
pub(super) async fn run(inner: Arc<Inner>) {
    let mut jobs = JoinSet::new();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut chores = Chores::default();
    loop {
        inner.pulse.fetch_add(1, Ordering::Relaxed);
        chores.evict(&inner, &mut jobs);
        let most = inner.config().limits.max_running;
        let now = inner.clock.now();
        let decision = inner.table().decide(now, most);
        if decision.is_over {
            break;
        }
        let engine = inner.engine.get();
        if let Some(engine) = engine
            && decision.end.len() > 1
        {
            // All at the same moment, though each then ends at its own pace.
            engine.halt(decision.end.iter().map(|(_, task, _)| *task));
        }
        for (id, task, reason) in decision.end {
            let inner = Arc::clone(&inner);
            jobs.spawn_blocking(move || inner.end(&id, task, reason));
        }
        for id in decision.start {
            let inner = Arc::clone(&inner);
            jobs.spawn_blocking(move || inner.start(&id));
        }
        let start_in = decision.start_at.map(|at| at.duration_since(now));
        let start_in = start_in.and_then(|wait| Duration::try_from(wait).ok());
        let due = start_in.and_then(|wait| Instant::now().checked_add(wait));
        let due = [due, decision.deadline].into_iter().flatten().min();
        let changed = async {
            match engine {
                Some(engine) => engine.changed().notified().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = inner.wake.notified() => {}
            () = changed => {}
            () = reached(due) => {}
            Some(ended) = jobs.join_next() => note_panic(ended),
            _ = ticks.tick() => chores.tick(&inner, &mut jobs),
        }
    }
    // Figures and sweeps that are under way.
    while let Some(ended) = jobs.join_next().await {
        note_panic(ended);
    }
    jobs.spawn_blocking(move || inner.last_try());
    while let Some(ended) = jobs.join_next().await {
        note_panic(ended);
    }
}

fn note_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        log::error!("a job of a task has not come to its end: {error}");
    }
}

async fn reached(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// What is done now and then, never twice at the same time.
#[derive(Default)]
struct Chores {
    ticks: u32,
    stats: Option<AbortHandle>,
    sweep: Option<AbortHandle>,
    late: Option<AbortHandle>,
    evict: Option<AbortHandle>,
}

impl Chores {
    /// Makes room for writers that have none.
    fn evict(&mut self, inner: &Arc<Inner>, jobs: &mut JoinSet<()>) {
        let is_free = self.evict.as_ref().is_none_or(AbortHandle::is_finished);
        if is_free && inner.storage.space().is_short() {
            let inner = Arc::clone(inner);
            self.evict = Some(jobs.spawn_blocking(move || inner.evict()));
        }
    }

    fn tick(&mut self, inner: &Arc<Inner>, jobs: &mut JoinSet<()>) {
        let is_free = |job: &Option<AbortHandle>| job.as_ref().is_none_or(AbortHandle::is_finished);
        if inner.events.has_listeners() && is_free(&self.stats) {
            let inner = Arc::clone(inner);
            self.stats = Some(jobs.spawn_blocking(move || inner.tell_figures()));
        }
        // A clock that is set is seen here, between two sweeps too.
        let is_set = inner.retention().observe(ClockReading::of(&*inner.clock));
        if (is_set || self.ticks.is_multiple_of(SWEEP_TICKS)) && is_free(&self.sweep) {
            let inner = Arc::clone(inner);
            let has_copies = self.ticks.is_multiple_of(COPIES_TICKS);
            self.sweep = Some(jobs.spawn_blocking(move || {
                inner.sweep();
                if has_copies {
                    inner.sweep_copies();
                }
            }));
        }
        if is_free(&self.late) && inner.unstored().is_due() {
            let inner = Arc::clone(inner);
            self.late = Some(jobs.spawn_blocking(move || inner.catch_up()));
        }
        self.ticks = self.ticks.wrapping_add(1);
    }
}

/// The figures of all running tasks, as listeners get them.
#[derive(Serialize)]
struct Stats {
    tasks: Vec<TaskStats>,
}

#[derive(Serialize)]
struct TaskStats {
    id: String,
    counters: Counters,
    /// Bytes of its files.
    size: u64,
}

impl Inner {
    fn tell_figures(&self) {
        let figures = self.figures();
        let tasks = figures.iter().map(|(id, (counters, files))| TaskStats {
            id: id.to_string(),
            counters: *counters,
            size: files.iter().map(|file| file.size).sum(),
        });
        let mut tasks: Vec<_> = tasks.collect();
        tasks.sort_by(|one, other| one.id.cmp(&other.id));
        self.events.stats(&Stats { tasks });
    }

    /// Removes the files of tasks whose time is over; their records stay.
    pub(super) fn sweep(&self) {
        if let Err(error) = self.try_sweep() {
            log::error!("{error}");
        }
        self.sweep_shares();
    }

    fn try_sweep(&self) -> Result<()> {
        let kept = self.store.kept()?;
        let now = ClockReading::of(&*self.clock);
        let usual = self.config().limits.retention;
        let RetentionDecision { expired, moved } = self.retention().decide(&kept, now, usual);
        for id in expired {
            if let Err(error) = self.remove_files(&id, Action::FileExpire) {
                log::error!("the files of task {id}, whose time is over: {error}");
            }
        }
        if moved.is_empty() {
            return Ok(());
        }
        Ok(self.store.move_expiry(&moved)?)
    }

    /// Removes the files of a task that has ended, and notes that.
    pub(super) fn remove_files(&self, id: &TaskId, action: Action) -> Result<()> {
        self.storage.remove(id)?;
        let at = self.clock.now();
        self.store.update(id, &Change::FilesRemoved { at })?;
        self.views.forget(id);
        self.retention().gone(id);
        let actor = Actor::daemon();
        self.write_audit(&actor, action, &id.to_string(), Outcome::Done)?;
        self.announce(id);
        Ok(())
    }
}
