//! What a task would be and do, were it created now: nothing is stored, attached or written.

mod ssh;
mod warnings;

use std::net::SocketAddr;

use capture_engine::{interfaces, interfaces::InterfaceEntry, planned_hooks};
use capture_file::worst_case;
use capture_store::{Quota, Refusal, TaskFilter, access::Actor};
use capture_task::{
    plan::{Door, Plan, create_command, curl_command, normalise},
    preview::{PlannedHook, Preview, QuotaPreview, Warning},
    task::{State, TaskSpec, rfc3339},
};
use jiff::{SignedDuration, Timestamp};

use self::warnings::{Room, Surroundings};
use super::{create::CreateError, inner::Inner, service::Tasks};
use crate::{
    config::Paths,
    error::{Error, Result},
};

/// Most interfaces whose hooks are shown: as many as a task can name.
const MOST_HOOKS: usize = capture_task::plan::MAX_INTERFACES;

/// How a request came in.
#[derive(Clone, Debug)]
pub struct Way {
    /// Where the next one finds the API.
    pub door: Door,
    /// Both ends of the connection, where it is TCP: the client's, and ours.
    pub connection: Option<[SocketAddr; 2]>,
}

/// What came of looking at a valid request.
#[derive(Debug)]
pub struct Previewed {
    /// What the task would be and do.
    pub preview: Preview,
    /// Why it would not be created now all the same.
    pub refusal: Option<Refusal>,
}

/// What to mind about the packets of a valid task on this host, whoever executes it.
pub fn packet_warnings(plan: &Plan, hooks: &[PlannedHook]) -> Vec<Warning> {
    warnings::of_packets(plan, hooks, &present_interfaces())
}

/// What to mind where the files of a task may take more than is free on the disk.
pub fn disk_warning(worst_case_bytes: u64, disk_free: u64) -> Option<Warning> {
    warnings::disk(worst_case_bytes, disk_free)
}

fn present_interfaces() -> Vec<InterfaceEntry> {
    interfaces::list().unwrap_or_else(|error| {
        log::warn!("cannot list the interfaces: {error}");
        Vec::new()
    })
}

impl Tasks {
    /// What a task would be and do for an actor who may create it.
    ///
    /// # Errors
    /// All that is wrong with the request; the daemon ends; what keeps it from looking.
    pub async fn preview(
        &self,
        spec: TaskSpec,
        start_at: Option<Timestamp>,
        actor: &Actor,
        way: Way,
    ) -> Result<Previewed, CreateError> {
        let actor = actor.clone();
        self.blocking(move |inner| inner.preview(spec, start_at, &actor, &way))
            .await
    }
}

impl Inner {
    fn preview(
        &self,
        mut spec: TaskSpec,
        start_at: Option<Timestamp>,
        actor: &Actor,
        way: &Way,
    ) -> Result<Previewed, CreateError> {
        normalise(&mut spec);
        let plan = self.check(&spec, start_at).map_err(CreateError::Invalid)?;
        let access = &self.config().access;
        let refused = access.refusals(&plan, actor);
        if !refused.is_empty() {
            return Err(CreateError::NotAllowed(refused));
        }
        if self.table().is_closing() {
            return Err(CreateError::Closing);
        }
        let now = self.clock.now();
        let later = start_at.filter(|at| *at > now);
        let config = self.config();
        let quota = self.store.quota(&actor.account, &config.quota)?;
        let limits = self.create_limits(&config);
        let budget_left = self.store.budget_left(&limits)?;
        let needed = plan.max_file_bytes.unwrap_or(u64::MAX);
        let refusal = self.store.refusal(needed, &limits, &actor.account)?;
        let disk = self.storage.space().disk();
        // Without a size there is no bound that is known.
        let disk_free = disk.map_or(u64::MAX, |disk| disk.writable());
        let hooks = match later {
            Some(_) => Vec::new(),
            None => self.hooks(&plan),
        };
        let running = TaskFilter {
            states: vec![State::Running],
            account: access.scope(actor),
            ..TaskFilter::default()
        };
        let running = self.store.tasks(&running, &self.overlay())?;
        let running = running.tasks.into_iter().map(|task| task.record).collect();
        let worst_case_bytes = worst_case(&plan).unwrap_or(u64::MAX);
        let surroundings = Surroundings {
            interfaces: present_interfaces(),
            running,
            connection: way.connection,
            room: Room {
                worst_case: worst_case_bytes,
                disk_free,
                budget_left,
            },
            quota: &quota,
            starts_later: later.is_some(),
        };
        let warnings = warnings::of(&plan, &hooks, &surroundings);
        let (active, waits) = self.table().load(now, config.limits.max_running);
        let (starts, begin) = match later {
            Some(at) => (rfc3339(at), Some(at)),
            None if waits => ("waits".to_owned(), None),
            None => ("now".to_owned(), Some(now)),
        };
        let ends_at = begin.zip(plan.duration).and_then(|(begin, duration)| {
            let duration = SignedDuration::try_from(duration).ok()?;
            begin.checked_add(duration).ok()
        });
        let start_text = start_at.map(|at| at.to_string());
        let socket = &config.paths.socket;
        let socket = (*socket != Paths::default().socket).then(|| socket.display().to_string());
        let preview = Preview {
            valid: true,
            spec: TaskSpec::from(&plan),
            summary: plan.filter.summary(),
            expression: plan.filter.to_string(),
            expression_caveats: plan.filter.caveats().into_iter().map(Into::into).collect(),
            cli: create_command(&spec, start_text.as_deref(), socket.as_deref()),
            curl: curl_command(&spec, start_text.as_deref(), &way.door),
            hooks,
            worst_case_bytes,
            disk_free,
            budget: config.limits.disk_budget,
            budget_left,
            budget_left_after: budget_left.saturating_sub(worst_case_bytes),
            quota: quota_preview(&quota),
            running: active as u64,
            max_running: config.limits.max_running as u64,
            starts,
            ends_at: ends_at.map(rfc3339),
            warnings,
        };
        Ok(Previewed { preview, refusal })
    }

    /// The hooks of a task that would start now, those with a conflict first.
    fn hooks(&self, plan: &Plan) -> Vec<PlannedHook> {
        let engine = self.engine.get().map(|engine| &**engine);
        let planned = planned_hooks(engine, plan).unwrap_or_else(|error| {
            // An interface that has gone since the request was checked.
            log::debug!("looking for hooks: {error}");
            Vec::new()
        });
        let mut hooks: Vec<_> = planned
            .into_iter()
            .map(|hook| PlannedHook {
                interface: hook.interface,
                hook: hook.hook.to_owned(),
                mode: hook.mode,
                conflict: hook.conflict.map(|error| Error::from(error).message),
            })
            .collect();
        hooks.sort_by_key(|hook| hook.conflict.is_none());
        hooks.truncate(MOST_HOOKS);
        hooks
    }
}

fn quota_preview(quota: &Quota) -> QuotaPreview {
    QuotaPreview {
        used: quota.used,
        limit: quota.limit,
        left_after: quota.remaining.map(|left| left.saturating_sub(1)),
        resets_at: rfc3339(quota.resets_at),
    }
}
