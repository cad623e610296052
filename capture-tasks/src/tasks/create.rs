//! Creates a task: validates the request as a whole, also against configuration and machine, then stores it.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use capture_engine::{interfaces, interfaces::InterfaceEntry};
use capture_file as output;
use capture_store::{
    Action, CreateLimits, Creation, Failure, IdempotencyKey, NewTask, Outcome, Refusal,
    access::Actor,
};
use capture_task::{
    bytes_text, count_text, duration_text,
    plan::{
        Fault, FaultKind, Field, Filter, Hook, InterfaceSelection, Keyword as _, MAX_INTERFACES,
        Plan, RequestOrigin, add_new, nearest, normalise, quote, seconds,
    },
    task::TaskSpec,
};
use jiff::{SignedDuration, Timestamp};

use super::{
    inner::{Inner, lock},
    service::Tasks,
    task_log,
};
use crate::{
    config::Config,
    error::{Error, Result},
};

/// How far ahead a start may lie.
const MAX_START_AHEAD: SignedDuration = SignedDuration::from_hours(366 * 24);

/// How long ago a start may have been, which then is at once: clocks differ, and a request may be late. A time long past
/// is a mistake.
const MAX_START_PAST: SignedDuration = SignedDuration::from_hours(1);

/// Unknown interfaces of a request for which one is looked for that may have been meant: a host can have
/// thousands.
const MAX_HINTS: usize = 10;

/// Why there is no new task.
#[derive(Debug)]
pub enum CreateError {
    /// Everything that is wrong with the request.
    Invalid(Vec<Fault>),
    /// It is valid, and beyond what the role may.
    NotAllowed(Vec<Fault>),
    /// It is valid, and not granted.
    Refused(Refusal),
    /// The daemon is ending.
    Closing,
    /// Something failed.
    Broken(Error),
}

impl From<Failure> for CreateError {
    fn from(failure: Failure) -> Self {
        Self::Refused(Refusal::Broken(failure))
    }
}

impl From<capture_store::Error> for CreateError {
    fn from(error: capture_store::Error) -> Self {
        Self::Broken(error.into())
    }
}

impl From<Error> for CreateError {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

impl Tasks {
    /// Creates a task for an actor who may. It starts when `start_at` has come and there is room for it.
    pub async fn create(
        &self,
        mut spec: TaskSpec,
        actor: &Actor,
        key: Option<IdempotencyKey>,
        start_at: Option<Timestamp>,
    ) -> Result<Creation, CreateError> {
        let actor = actor.clone();
        self.blocking(move |inner| {
            normalise(&mut spec);
            let plan = match inner.check(&spec, start_at) {
                Ok(plan) => plan,
                Err(faults) => {
                    // Valid once, as an interface may have gone since: what it was answered then holds.
                    let first = key.map(|key| {
                        let account = &actor.account;
                        inner.store.first_answer(&key, &spec, start_at, account)
                    });
                    let first = first.transpose()?.flatten();
                    return match first {
                        Some(first) => Ok(Creation::Repeated(first)),
                        None => Err(CreateError::Invalid(faults)),
                    };
                }
            };
            let refused = inner.config().access.refusals(&plan, &actor);
            if !refused.is_empty() {
                let outcome = Outcome::Refused("beyond the role");
                inner.write_audit(&actor, Action::TaskCreate, &summary(&plan), outcome)?;
                return Err(CreateError::NotAllowed(refused));
            }
            let new = NewTask {
                summary: summary(&plan),
                name: plan.name,
                spec,
                start_at,
                max_file_bytes: plan.max_file_bytes.unwrap_or(u64::MAX),
                key,
            };
            inner.create(&new, &actor)
        })
        .await
    }

    /// All that is wrong with a request of which some fields could not be read: that, and what is wrong with
    /// the others.
    pub async fn faults(
        &self,
        spec: TaskSpec,
        start_at: Option<Timestamp>,
        mut known: Vec<Fault>,
    ) -> Result<Vec<Fault>> {
        self.blocking(move |inner| {
            let more = inner.check(&spec, start_at).err().unwrap_or_default();
            add_new(&mut known, more);
            Ok(known)
        })
        .await
    }
}

/// What a task captures, for the audit log: `on eth0 by xdp: tcp port 443; at most 1m, 1.1 GB; "web"`.
fn summary(plan: &Plan) -> String {
    let limits = [
        plan.duration.map(duration_text),
        plan.max_packets
            .map(|most| format!("{} packets", count_text(most))),
        plan.max_file_bytes.map(bytes_text),
        plan.max_bytes.map(|most| format!("{most} bytes a frame")),
    ];
    let limits: Vec<_> = limits.into_iter().flatten().collect();
    let hook = match plan.hook {
        Hook::Auto => String::new(),
        other => format!(" by {}", other.keyword()),
    };
    let limits = match limits.as_slice() {
        [] => String::new(),
        limits => format!("; at most {}", limits.join(", ")),
    };
    let (interfaces, filter) = (interfaces_of(plan), filter_of(plan));
    // The name last, as what is long is cut.
    format!(
        "on {interfaces}{hook}{filter}{limits}; {}",
        quote(&plan.name)
    )
}

/// Interfaces and filter of a plan: `eth0: tcp port 443`.
pub(super) fn what(plan: &Plan) -> String {
    interfaces_of(plan) + &filter_of(plan)
}

fn interfaces_of(plan: &Plan) -> String {
    match &plan.interfaces {
        InterfaceSelection::Any => "any".to_owned(),
        InterfaceSelection::Named(names) => names.join(","),
    }
}

fn filter_of(plan: &Plan) -> String {
    match plan.filter == Filter::default() {
        true => String::new(),
        false => format!(": {}", plan.filter),
    }
}

impl Inner {
    /// What a new task must stay within now.
    pub(super) fn create_limits(&self, config: &Config) -> CreateLimits {
        let space = self.storage.space();
        let evicts = config.capture.evict_oldest;
        let full = space.check_keep_free().err();
        let full = full.filter(|_| !evicts || !self.has_evictable().unwrap_or_default());
        CreateLimits {
            quota: config.quota.clone(),
            disk_budget: config.limits.disk_budget,
            used_bytes: space.used(),
            evicts,
            full_disk: full.map(|full| Error::from(full).message),
        }
    }

    fn create(&self, new: &NewTask, actor: &Actor) -> Result<Creation, CreateError> {
        let config = self.config();
        let limits = self.create_limits(&config);
        // With the lock, so that tasks wait in the order in which the store has created them.
        let creating = lock(&self.creating);
        if self.table().is_closing() {
            return Err(CreateError::Closing);
        }
        let created = self.store.create(new, &limits, actor);
        let record = match created.map_err(CreateError::Refused)? {
            Creation::New(record) => record,
            repeated => return Ok(repeated),
        };
        let id = record.id.parse().map_err(|error| {
            Error::runtime(format!("the store has given a task a bad ID: {error}"))
        })?;
        // Before the scheduler knows of it, so that nobody hears of the second state first.
        self.announce(&id);
        task_log::created(&record, actor);
        self.tally.created();
        self.table().add(id, &record.name, new.start_at);
        drop(creating);
        self.wake.notify_one();
        Ok(Creation::New(record))
    }

    /// The plan for a request, or everything that is wrong with it here and now.
    pub(super) fn check(
        &self,
        spec: &TaskSpec,
        start_at: Option<Timestamp>,
    ) -> Result<Plan, Vec<Fault>> {
        let (plan, mut faults) = match Plan::resolve(spec, RequestOrigin::Daemon) {
            Ok(plan) => {
                let faults = output::size_faults(&plan);
                (Some(plan), faults)
            }
            Err(faults) => (None, faults),
        };
        let now = self.clock.now();
        if start_at.is_some_and(|at| at.duration_since(now) > MAX_START_AHEAD) {
            faults.push(Fault::of(Field::StartAt, FaultKind::StartTooFar));
        }
        if start_at.is_some_and(|at| now.duration_since(at) > MAX_START_PAST) {
            faults.push(Fault::of(Field::StartAt, FaultKind::StartPast));
        }
        let most = self.config().limits.max_duration;
        check_duration(spec, most, &mut faults);
        // What is not there yet may be by then.
        if start_at.is_none_or(|at| at <= now) && spec.interfaces.len() <= MAX_INTERFACES {
            check_interfaces(&spec.interfaces, &mut faults);
        }
        match plan {
            Some(mut plan) if faults.is_empty() => {
                // The default gives way.
                plan.duration = plan.duration.map(|duration| duration.min(most));
                Ok(plan)
            }
            _ => Err(faults),
        }
    }
}

/// Whether the daemon lets a task last as long as is asked for. What is no duration is another's fault.
fn check_duration(spec: &TaskSpec, most: Duration, faults: &mut Vec<Fault>) {
    let asked = spec.duration.as_ref().and_then(|asked| seconds(asked).ok());
    if let Some(asked) = asked
        && asked > most.as_secs()
    {
        let kind = FaultKind::DurationAboveLimit {
            seconds: asked,
            most: most.as_secs(),
        };
        faults.push(Fault::of(Field::Duration, kind));
    }
}

fn names_of(entries: &[InterfaceEntry]) -> impl Iterator<Item = &str> {
    entries.iter().map(|entry| entry.name.as_str())
}

/// Whether this machine has the interfaces, and can capture on them. What is no name, or there twice, is
/// known to be wrong.
fn check_interfaces(names: &[String], faults: &mut Vec<Fault>) {
    let present = match interfaces::list() {
        Ok(present) => present,
        Err(error) => {
            // The start will say so, if it lasts.
            log::warn!("cannot list the interfaces: {error}");
            return;
        }
    };
    let known: HashSet<_> = faults.iter().map(|fault| fault.pointer.clone()).collect();
    let entries: HashMap<_, _> = present
        .iter()
        .map(|entry| (entry.name.as_str(), entry))
        .collect();
    let mut hints = 0;
    for (index, name) in names.iter().enumerate() {
        let pointer = format!("/interfaces/{index}");
        if name == "any" || known.contains(&pointer) {
            continue;
        }
        let excerpt = name.as_str().into();
        let kind = match entries.get(name.as_str()) {
            Some(entry) if entry.link_type().is_some() => continue,
            Some(entry) => FaultKind::InterfaceUnsupported {
                name: excerpt,
                link: entry.link_description(),
            },
            None => {
                hints += 1;
                let near = (hints <= MAX_HINTS).then(|| nearest(name, names_of(&present)));
                FaultKind::NoSuchInterface {
                    name: excerpt,
                    near: near.flatten().map(Into::into),
                }
            }
        };
        faults.push(Fault { pointer, kind });
    }
}

#[cfg(test)]
mod tests {
    use capture_task::plan::NameRule;
    use capture_tests::cpus::thread_cpu_time;

    use super::*;

    /// As many names as no request may have, and each of them with a fault already: ten times as many cost
    /// about ten times as much, and not a hundred times.
    #[test]
    fn interfaces_cost_no_more_than_their_number() {
        let cost = |count: usize| {
            let names = vec![String::new(); count];
            let faults: Vec<_> = (0..count)
                .map(|index| {
                    let kind = FaultKind::InterfaceName {
                        name: "".into(),
                        rule: NameRule::Empty,
                    };
                    Fault::of_item(Field::Interfaces, index, kind)
                })
                .collect();
            let cost = || {
                let mut faults = faults.clone();
                let before = thread_cpu_time();
                check_interfaces(&names, &mut faults);
                assert_eq!(faults.len(), count);
                thread_cpu_time() - before
            };
            (0..3).map(|_| cost()).min().unwrap_or_default()
        };
        let (few, many) = (cost(1_000), cost(10_000));
        assert!(
            many < 25 * few + Duration::from_millis(10),
            "{few:?}, {many:?}"
        );
    }
}
