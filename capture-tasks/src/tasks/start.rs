//! Starts a task: directory, hooks, output, then the state `running`. If a step fails nothing of it remains, and
//! the task has failed with a message.

use std::sync::Arc;

use capture_engine::{Engine, TaskHandle};
use capture_file::{OutputConfig, Target};
use capture_store::{Change, TaskId};
use capture_task::{
    Cause,
    plan::{Plan, RequestOrigin, Wording},
    task::{StopReason, TaskSpec, time_of},
};

use super::{inner::Inner, resume, task_log};
use crate::error::{Error, Result};

impl Inner {
    /// Starts a task that is noted as starting.
    pub(super) fn start(&self, id: &TaskId) {
        let stop = self.table().stop_of(id);
        let last = match stop {
            // It was asked to end before anything had begun.
            Some(StopReason::Shutdown) => return self.table().not_started(id),
            Some(reason) => self.off_engine(id, reason, None),
            None => match self.try_start(id) {
                Ok(()) => {
                    if let Some(record) = self.announce(id) {
                        match record.interruptions.is_empty() {
                            true => task_log::started(&record),
                            false => task_log::taken_up(&record),
                        }
                    }
                    self.wake.notify_one();
                    return;
                }
                Err(failure) => {
                    self.storage.remove_if_empty(id);
                    if failure.may_pass && self.waits_for_interface(id, &failure.error) {
                        return;
                    }
                    self.off_engine(id, StopReason::Error, Some(failure.error.message))
                }
            },
        };
        self.finish(id, last);
    }

    /// Whether a task is tried again, as its interface may come.
    fn waits_for_interface(&self, id: &TaskId, error: &Error) -> bool {
        let waits = self.table().wait_for_interface(id, &error.message);
        if waits == Some(true) {
            log::warn!("task {id} waits for its interface: {error}");
        }
        self.wake.notify_one();
        waits.is_some()
    }

    fn try_start(&self, id: &TaskId) -> Result<(), StartFailure> {
        let stored = self.store.task(id)?;
        let stored = stored.ok_or_else(|| Error::not_found("the task is gone"))?;
        if let Some(unread) = stored.unread {
            // What is left of it may capture more than was asked for.
            return Err(Error::runtime(unread).into());
        }
        let mut plan = self.plan(&stored.record.spec)?;
        // First, as it takes a while, which is no time for the task.
        let engine = self.engine.start()?;
        let is_interrupted = resume::is_interrupted(&stored.record);
        if is_interrupted {
            let rest = resume::rest_of(plan, &stored.record, self.clock.now());
            plan = rest.ok_or_else(|| {
                let why = self.table().waited_for(id);
                Error::runtime(why.unwrap_or_else(|| "its time is over".to_owned()))
            })?;
        } else {
            self.storage.prepare(id)?;
        }
        let earlier = self.storage.earlier_files(id, &stored.record);
        let earlier = earlier.map_err(|error| Error::runtime(Cause(&error).to_string()))?;
        let output = OutputConfig {
            target: Target::File(self.storage.target(id, plan.format)),
            task_id: id.to_string(),
            space: Some(Arc::clone(self.storage.space())),
            owner: None,
            earlier,
        };
        let task = engine.add(&plan, output).map_err(StartFailure::of)?;
        let status = engine.status(task);
        let status = status.ok_or_else(|| Error::runtime("the engine has lost the task"))?;
        // By the clock of its packets, as its end.
        let at = time_of(status.started_ns()).unwrap_or_else(|| self.clock.now());
        let change = match is_interrupted {
            true => Change::TakenUp { at },
            false => Change::Started { at },
        };
        if let Err(failure) = self.store.update(id, &change) {
            // A capture that nobody knows of would be one that nobody can end.
            take_back(engine, task);
            // What was captured before stays.
            if !is_interrupted && let Err(error) = self.storage.remove(id) {
                log::error!("{error}");
            }
            return Err(Error::runtime(format!("its start could not be stored: {failure}")).into());
        }
        self.table()
            .running(id, task, status, stored.record.counters);
        if is_interrupted {
            self.note_taken_up(id);
        }
        self.analyze_running(id);
        Ok(())
    }

    /// The plan of a request that was valid when it was made.
    pub(super) fn plan(&self, spec: &TaskSpec) -> Result<Plan> {
        let mut plan = Plan::resolve(spec, RequestOrigin::Daemon).map_err(|faults| {
            let details: Vec<_> = faults
                .iter()
                .map(|fault| fault.kind.sentence(Wording::API))
                .collect();
            Error::usage(details.join("; "))
        })?;
        let most = self.config().limits.max_duration;
        plan.duration = plan.duration.map(|duration| duration.min(most));
        Ok(plan)
    }
}

/// Why a task does not start.
struct StartFailure {
    error: Error,
    /// Whether it may start in some seconds, as its interface comes.
    may_pass: bool,
}

impl StartFailure {
    fn of(error: capture_engine::Error) -> Self {
        Self {
            may_pass: error.may_pass(),
            error: error.into(),
        }
    }
}

impl<E: Into<Error>> From<E> for StartFailure {
    fn from(error: E) -> Self {
        let error = error.into();
        Self {
            error,
            may_pass: false,
        }
    }
}

fn take_back(engine: &Engine, task: TaskHandle) {
    if let Err(error) = engine.remove(task, StopReason::Error) {
        log::error!("{error}");
    }
}
