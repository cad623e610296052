//! Starts a task: directory, hooks, output, then the state `running`. If a step fails nothing of it remains, and
//! the task has failed with a message.

use std::sync::Arc;

use capture_engine::{Engine, TaskHandle};
use capture_file::{OutputConfig, Target};
use capture_store::{Change, TaskId};
use capture_task::{
    plan::{Plan, RequestOrigin, Wording},
    task::{StopReason, TaskSpec, time_of},
};

use super::{inner::Inner, outcome::TaskOutcome, task_log};
use crate::error::{Error, Result};

impl Inner {
    /// Starts a task that is noted as starting.
    pub(super) fn start(&self, id: &TaskId) {
        let stop = self.table().stop_of(id);
        let last = match stop {
            // It was asked to end before anything had begun.
            Some(StopReason::Shutdown) => return self.table().not_started(id),
            Some(reason) => TaskOutcome::before_start(reason, None),
            None => match self.try_start(id) {
                Ok(()) => {
                    if let Some(record) = self.announce(id) {
                        task_log::started(&record);
                    }
                    self.wake.notify_one();
                    return;
                }
                Err(error) => {
                    self.storage.remove_if_empty(id);
                    TaskOutcome::before_start(StopReason::Error, Some(error.message))
                }
            },
        };
        self.finish(id, last);
    }

    fn try_start(&self, id: &TaskId) -> Result<()> {
        let stored = self.store.task(id)?;
        let stored = stored.ok_or_else(|| Error::not_found("the task is gone"))?;
        if let Some(unread) = stored.unread {
            // What is left of it may capture more than was asked for.
            return Err(Error::runtime(unread));
        }
        let plan = self.plan(&stored.record.spec)?;
        self.storage.prepare(id)?;
        let engine = self.engine.start()?;
        let output = OutputConfig {
            target: Target::File(self.storage.target(id, plan.format)),
            task_id: id.to_string(),
            space: Some(Arc::clone(self.storage.space())),
            owner: None,
        };
        let task = engine.add(&plan, output)?;
        let status = engine.status(task);
        let status = status.ok_or_else(|| Error::runtime("the engine has lost the task"))?;
        // By the clock of its packets, as its end.
        let at = time_of(status.started_ns()).unwrap_or_else(|| self.clock.now());
        if let Err(failure) = self.store.update(id, &Change::Started { at }) {
            // A capture that nobody knows of would be one that nobody can end.
            take_back(engine, task);
            if let Err(error) = self.storage.remove(id) {
                log::error!("{error}");
            }
            return Err(Error::runtime(format!(
                "its start could not be stored: {failure}"
            )));
        }
        self.table().running(id, task, status);
        self.analyze_running(id);
        Ok(())
    }

    /// The plan of a request that was valid when it was made.
    fn plan(&self, spec: &TaskSpec) -> Result<Plan> {
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

fn take_back(engine: &Engine, task: TaskHandle) {
    if let Err(error) = engine.remove(task, StopReason::Error) {
        log::error!("{error}");
    }
}
