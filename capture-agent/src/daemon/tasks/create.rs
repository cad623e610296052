//! A new task: the request is checked as a whole, against the configuration and this machine too, and the
//! store keeps it or refuses. Nothing is captured yet.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Inner, Tasks};
use crate::{
    daemon::{
        access::Actor,
        store::{CreateLimits, Creation, Failure, IdempotencyKey, NewTask, Refusal},
    },
    error::{Error, Result},
    interfaces,
    plan::{Face, Fault, Plan, nearest, quote, seconds},
    task::{TaskRecord, TaskSpec},
};

/// How far ahead a start may lie.
const FAR: SignedDuration = SignedDuration::from_hours(366 * 24);

/// What became of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Created {
    /// The task, pending.
    New(TaskRecord),
    /// The first answer to the same key.
    Repeated(TaskRecord),
    /// Nothing was asked for but whether the request is valid, and it is.
    Valid,
}

/// Why there is no new task.
#[derive(Debug)]
pub enum CreateError {
    /// Everything that is wrong with the request.
    Invalid(Vec<Fault>),
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

impl From<Error> for CreateError {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

impl Tasks {
    /// Creates a task for an actor who may, or with `dry_run` only says whether it would be valid. It
    /// starts when `start_at` has come and there is room for it.
    ///
    /// # Errors
    /// Everything that is wrong with the request, or why it is refused.
    pub async fn create(
        &self,
        spec: TaskSpec,
        actor: &Actor,
        key: Option<IdempotencyKey>,
        start_at: Option<Timestamp>,
        dry_run: bool,
    ) -> Result<Created, CreateError> {
        let actor = actor.clone();
        self.blocking(move |inner| {
            let plan = match inner.check(&spec, start_at) {
                Ok(_) if dry_run => return Ok(Created::Valid),
                Ok(plan) => plan,
                Err(faults) => {
                    // Valid once, as an interface may have gone since: what it was answered then holds.
                    let key = key.filter(|_| !dry_run);
                    let first = key.map(|key| {
                        let account = &actor.account;
                        inner.store.first_answer(&key, &spec, start_at, account)
                    });
                    let first = first.transpose()?.flatten();
                    return first
                        .map(Created::Repeated)
                        .ok_or(CreateError::Invalid(faults));
                }
            };
            let new = NewTask {
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
    ///
    /// # Errors
    /// The daemon is ending.
    pub async fn faults(
        &self,
        spec: TaskSpec,
        start_at: Option<Timestamp>,
        mut known: Vec<Fault>,
    ) -> Result<Vec<Fault>> {
        self.blocking(move |inner| {
            let pointers: Vec<_> = known.iter().map(|fault| fault.pointer.clone()).collect();
            let mut more = inner.check(&spec, start_at).err().unwrap_or_default();
            more.retain(|fault| !pointers.contains(&fault.pointer));
            known.append(&mut more);
            Ok(known)
        })
        .await
    }
}

impl Inner {
    fn create(&self, new: &NewTask, actor: &Actor) -> Result<Created, CreateError> {
        let config = self.config();
        let limits = CreateLimits {
            quota: config.quota.clone(),
            disk_budget: config.limits.disk_budget,
            used_bytes: self.storage.space().used(),
        };
        // With the lock, so that tasks wait in the order in which the store has created them.
        let creating = super::lock(&self.creating);
        if self.live().is_closing() {
            return Err(CreateError::Closing);
        }
        let created = self.store.create(new, &limits, actor);
        let record = match created.map_err(CreateError::Refused)? {
            Creation::New(record) => record,
            Creation::Repeated(record) => return Ok(Created::Repeated(record)),
        };
        let id = record.id.parse().map_err(|error| {
            Error::runtime(format!("the store has given a task a bad ID: {error}"))
        })?;
        // Before the scheduler knows of it, so that nobody hears of the second state first.
        self.events.task(&record);
        self.live().add(id, &record.name, new.start_at);
        drop(creating);
        self.wake.notify_one();
        Ok(Created::New(record))
    }

    /// The plan for a request, or everything that is wrong with it here and now.
    fn check(&self, spec: &TaskSpec, start_at: Option<Timestamp>) -> Result<Plan, Vec<Fault>> {
        let (plan, mut faults) = match Plan::resolve(spec, Face::Daemon) {
            Ok(plan) => (Some(plan), Vec::new()),
            Err(faults) => (None, faults),
        };
        let now = self.clock.now();
        if start_at.is_some_and(|at| at.duration_since(now) > FAR) {
            faults.push(fault(
                "/start_at",
                "out_of_range",
                "`start_at` is more than a year ahead; create the task nearer to its time",
            ));
        }
        let most = self.config().limits.max_duration;
        check_duration(spec, most, &mut faults);
        // What is not there yet may be by then.
        if start_at.is_none_or(|at| at <= now) {
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
        faults.push(fault(
            "/duration",
            "out_of_range",
            format!(
                "`duration` is {asked} seconds; the most here is {} (`limits.max_duration`)",
                most.as_secs()
            ),
        ));
    }
}

fn fault(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Fault {
    Fault {
        pointer: pointer.into(),
        code,
        detail: detail.into(),
    }
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
    for (index, name) in names.iter().enumerate() {
        let pointer = format!("/interfaces/{index}");
        if name == "any" || faults.iter().any(|fault| fault.pointer == pointer) {
            continue;
        }
        let detail = match present.iter().find(|entry| entry.name == *name) {
            Some(entry) if entry.link_type().is_some() => continue,
            Some(entry) => format!(
                "{} cannot be captured on: {}",
                quote(name),
                entry.link_description()
            ),
            None => {
                let names = present.iter().map(|entry| entry.name.as_str());
                let hint = nearest(name, names)
                    .map(|near| format!("did you mean {}?", quote(near)))
                    .unwrap_or_else(|| "`capture-agent interfaces` lists what there is".to_owned());
                format!("there is no interface {}; {hint}", quote(name))
            }
        };
        faults.push(fault(pointer, "unknown", detail));
    }
}
